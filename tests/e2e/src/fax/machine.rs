//! The machine: Debian's libspandsp2 behind a pipe, without a clock of its own.

use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use super::{Modem, SAMPLES};
use crate::server::{source_root, target};

/// What a machine is to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Duty<'a> {
    /// It calls, and sends this.
    Send(&'a Path),
    /// It is called, and receives into this.
    Receive(&'a Path),
}

/// The machine, built once with Debian's libspandsp.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let header = Path::new("/usr/include/spandsp/t38_core.h");
        assert!(header.is_file(), "libspandsp-dev: `cargo xtask deps` installs it");
        let name = format!("fax-machine-{}", std::process::id());
        let program = target().expect("built by cargo").join(name);
        let source = source_root().join("fax/worker/tests/agent.c");
        let mut command = Command::new("cc");
        command.args(["-O1", "-o"]).arg(&program).arg(source).arg("-lspandsp");
        let done = command.output().expect("a C compiler is there");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        program
    })
}

/// The program behind its pipe.
pub(super) struct Machine {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    pub(super) over: bool,
    pub(super) code: u8,
    pub(super) pages: u8,
}

impl Machine {
    pub(super) fn start(medium: &str, duty: Duty<'_>, modem: Modem) -> io::Result<Self> {
        let program = program();
        let mut command = Command::new(program);
        let (words, file) = match duty {
            Duty::Send(file) => (["call", "send"], file),
            Duty::Receive(file) => (["answer", "receive"], file),
        };
        let ecm = if modem.ecm { "1" } else { "0" };
        command.arg(medium).args(words).arg(file).args([modem.kinds, ecm]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (Some(to), Some(from)) = (to, from) else { return Err(io::Error::other("no pipe")) };
        let from = BufReader::new(from);
        Ok(Self { child, to, from, over: false, code: 0, pages: 0 })
    }

    /// 20 ms: what it hears, and what it says.
    pub(super) fn tick(&mut self, heard: &[i16; SAMPLES]) -> io::Result<[i16; SAMPLES]> {
        let mut request = vec![b'A'];
        heard.iter().for_each(|sample| request.extend_from_slice(&sample.to_le_bytes()));
        self.to.write_all(&request)?;
        let mut answer = [0; 1 + 2 * SAMPLES];
        self.from.read_exact(&mut answer)?;
        let mut said = [0; SAMPLES];
        for (sample, pair) in said.iter_mut().zip(answer[1..].chunks_exact(2)) {
            *sample = i16::from_le_bytes([pair[0], pair[1]]);
        }
        let mut status = [0; 4];
        self.from.read_exact(&mut status)?;
        (self.over, self.code, self.pages) = (status[1] != 0, status[2], status[3]);
        Ok(said)
    }

    /// 20 ms of T.38: the packets that it sends, with how often each goes.
    pub(super) fn tick_t38(&mut self) -> io::Result<Vec<(u8, Vec<u8>)>> {
        self.to.write_all(b"T")?;
        let mut packets = Vec::new();
        loop {
            let mut head = [0; 4];
            self.from.read_exact(&mut head)?;
            if head[0] == b'S' {
                (self.over, self.code, self.pages) = (head[1] != 0, head[2], head[3]);
                return Ok(packets);
            }
            let mut ifp = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
            self.from.read_exact(&mut ifp)?;
            packets.push((head[1].clamp(1, 3), ifp));
        }
    }

    /// A packet came.
    pub(super) fn take(&mut self, number: u16, ifp: &[u8]) -> io::Result<()> {
        let length = u16::try_from(ifp.len()).unwrap_or(u16::MAX);
        let [a, b] = number.to_be_bytes();
        let [c, d] = length.to_be_bytes();
        self.to.write_all(&[b'P', a, b, c, d])?;
        self.to.write_all(ifp)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.to.write_all(b"Q");
        let _ = self.to.flush();
        let _ = self.child.wait();
    }
}
