//! The fax machine of `agent.c` as an end of a call: Debian's libspandsp2 0.0.6 in a process of its
//! own, driven tick by tick.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::VecDeque;
use std::io::{BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use koukan_base::{Rng, Time};
use koukan_fax::protocol::{Law, T38};
use koukan_fax::queue::Rate;
use koukan_faxworker::session::{Line, RtpLine, TICK, TICK_SAMPLES, UdptlLine};
use koukan_faxworker::spandsp::Packet;

use crate::ends::{End2, START, address, audio, t38};

/// The agent, built once with Debian's libspandsp.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let header = Path::new("/usr/include/spandsp/t38_core.h");
        assert!(header.is_file(), "libspandsp-dev: `cargo xtask deps` installs it");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agent.c");
        let mut command = Command::new("cc");
        command.args(["-O1", "-o"]).arg(&program).args([source, "-lspandsp"]);
        let done = command.output().expect("a C compiler is there");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        program
    })
}

/// What the agent says of itself after a tick.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    pub(crate) over: bool,
    pub(crate) code: u8,
    pub(crate) pages: u8,
}

/// The agent at one end of a link.
pub(crate) struct Agent {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    line: AgentLine,
    pub(crate) port: u16,
    pub(crate) status: Status,
}

enum AgentLine {
    Audio(Box<RtpLine>),
    T38(Box<UdptlLine>),
}

impl Agent {
    /// One that calls or answers, and sends or receives this file; its peer is at `peer`.
    pub(crate) fn new(
        (port, peer): (u16, u16),
        over: Line,
        (calling, sends): (bool, bool),
        file: &Path,
        (rate, ecm): (Rate, bool),
    ) -> Self {
        let medium = if over == Line::T38 { "t38" } else { "audio" };
        let role = if calling { "call" } else { "answer" };
        let duty = if sends { "send" } else { "receive" };
        let modems = match rate {
            Rate::V27ter => "1",
            Rate::V29 => "3",
            Rate::V17 => "7",
        };
        let mut command = Command::new(program());
        command.args([medium, role, duty]).arg(file).args([modems, if ecm { "1" } else { "0" }]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let to = child.stdin.take().expect("piped");
        let from = BufReader::new(child.stdout.take().expect("piped"));
        let line = match over {
            Line::T38 | Line::Far => AgentLine::T38(Box::new(UdptlLine::new(&t38(peer)))),
            Line::Audio => AgentLine::Audio(Box::new(RtpLine::new(audio(peer, Law::Mu)))),
        };
        Self { child, to, from, line, port, status: Status::default() }
    }

    /// With T.38 as this was agreed.
    pub(crate) fn agreed(mut self, t38: &T38) -> Self {
        self.line = AgentLine::T38(Box::new(UdptlLine::new(t38)));
        self
    }

    /// Over which it speaks.
    pub(crate) fn line(&self) -> Line {
        match self.line {
            AgentLine::Audio(_) => Line::Audio,
            AgentLine::T38(_) => Line::T38,
        }
    }

    /// A datagram came.
    pub(crate) fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        match &mut self.line {
            AgentLine::Audio(line) => drop(line.receive(now, from, datagram)),
            AgentLine::T38(line) => {
                line.receive(now, from, datagram, |number, ifp| {
                    let length = u16::try_from(ifp.len()).expect("short");
                    let mut request = vec![b'P'];
                    request.extend_from_slice(&number.to_be_bytes());
                    request.extend_from_slice(&length.to_be_bytes());
                    request.extend_from_slice(ifp);
                    self.to.write_all(&request).expect("the agent lives");
                });
            }
        }
    }

    /// 20 ms have passed.
    pub(crate) fn tick(&mut self, now: Time, mut send: impl FnMut(SocketAddr, &[u8])) {
        match &mut self.line {
            AgentLine::Audio(line) => {
                let mut samples = [0_i16; TICK_SAMPLES];
                line.pull(now, &mut samples);
                let mut request = vec![b'A'];
                samples.iter().for_each(|one| request.extend_from_slice(&one.to_le_bytes()));
                self.to.write_all(&request).expect("the agent lives");
                let [kind] = read(&mut self.from);
                assert_eq!(kind, b'A');
                let bytes: [u8; 2 * TICK_SAMPLES] = read(&mut self.from);
                for (sample, pair) in samples.iter_mut().zip(bytes.chunks_exact(2)) {
                    *sample = i16::from_le_bytes([pair[0], pair[1]]);
                }
                line.send(&samples, &mut send);
            }
            AgentLine::T38(_) => self.to.write_all(b"T").expect("the agent lives"),
        }
        loop {
            let [kind, one, two, three] = read(&mut self.from);
            if kind == b'S' {
                self.status = Status { over: one != 0, code: two, pages: three };
                return;
            }
            let mut ifp = vec![0; usize::from(u16::from_be_bytes([two, three]))];
            self.from.read_exact(&mut ifp).expect("the agent lives");
            if let AgentLine::T38(line) = &mut self.line {
                line.send(&Packet { ifp, times: one.clamp(1, 3) }, &mut send);
            }
        }
    }
}

/// Our sessions and agents on one link until the agents are over and have said so.
pub(crate) fn run_with(
    ends: &mut [End2],
    agents: &mut [Agent],
    lost_per_mille: u64,
    seed: u64,
) -> f64 {
    let mut random = Rng::from_number(seed);
    let mut flying = VecDeque::<(Time, SocketAddr, SocketAddr, Line, Vec<u8>)>::new();
    let (mut now, last) = (START, START + Duration::from_secs(900));
    let over = |ends: &[End2], agents: &[Agent]| {
        agents.iter().all(|agent| agent.status.over)
            && ends.iter().all(|end| end.session.is_over() || agents.len() == 2)
    };
    while now < last && !over(ends, agents) {
        now = now + TICK;
        while let Some((due, ..)) = flying.front()
            && *due <= now
        {
            let Some((_, from, to, line, datagram)) = flying.pop_front() else { break };
            for end in ends.iter_mut().filter(|end| address(end.port) == to) {
                end.session.receive(now, line, from, &datagram);
            }
            for agent in agents.iter_mut().filter(|agent| address(agent.port) == to) {
                agent.receive(now, from, &datagram);
            }
        }
        let mut send = |from, to, line, datagram: &[u8]| {
            if random.next_u64() % 1_000 >= lost_per_mille {
                flying.push_back((now + TICK, from, to, line, datagram.to_vec()));
            }
        };
        for end in ends.iter_mut() {
            let from = address(end.port);
            end.session.tick(now, |line, to, datagram| send(from, to, line, datagram));
            if end.session.take_store().is_some() {
                end.session.stored(now, true);
            }
            end.events.extend(end.session.take_events());
        }
        for agent in agents.iter_mut() {
            let (from, to) = (address(agent.port), agent.line());
            agent.tick(now, |peer, datagram| send(from, peer, to, datagram));
        }
    }
    now.since(START).as_secs_f64()
}

fn read<const N: usize>(from: &mut impl Read) -> [u8; N] {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).expect("the agent lives");
    bytes
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.to.write_all(b"Q");
        let _ = self.to.flush();
        let _ = self.child.wait();
    }
}
