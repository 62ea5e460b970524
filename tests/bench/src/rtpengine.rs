//! Debian's rtpengine beside us, in user space with one thread, ordered by its control protocol
//! (bencoded dictionaries over UDP). The descriptions are written here, the server is theirs.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::{self, Load, Stamped};
use crate::media::{self, LOAD_CORE, Span, WORKER_CORE};
use crate::proc;

/// What it calls itself; `None` where it is not installed.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("rtpengine").arg("--version").output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let number =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Some(format!("rtpengine {}", number.unwrap_or("of Debian")))
}

/// It relays so many calls.
pub(crate) fn relayed(calls: usize, length: Duration) -> io::Result<Span<Stamped>> {
    let server = Rtpengine::start()?;
    proc::pin_process(server.process.id(), WORKER_CORE)?;
    let mut pairs = Vec::new();
    for call in 0..calls {
        let mut phones = load::sockets(2)?;
        let (Some(callee), Some(caller)) = (phones.pop(), phones.pop()) else {
            return Err(io::Error::other("no sockets"));
        };
        let (for_callee, for_caller) = server.call(call, caller.1, callee.1)?;
        pairs.push((caller.0, for_caller));
        pairs.push((callee.0, for_callee));
    }
    let load = Load::start(pairs, LOAD_CORE, Stamped::default());
    let process = server.process.id();
    let cpu = || Ok(proc::threads_cpu_ns(process)?.values().sum());
    media::span(load, length, calls * 100, cpu)
}

struct Rtpengine {
    process: Child,
    directory: PathBuf,
    control: UdpSocket,
}

impl Rtpengine {
    fn start() -> io::Result<Self> {
        let directory =
            std::env::temp_dir().join(format!("koukan-bench-{}-rtpengine", std::process::id()));
        fs::create_dir_all(&directory)?;
        let listen = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = fs::File::create(directory.join("log.txt"))?;
        let process = Command::new("rtpengine")
            .args(["--config-file=none", "--foreground", "--log-stderr", "--log-level=3"])
            // No table of the kernel's module: everything in user space.
            .args(["--table=-1", "--interface=127.0.0.1", "--num-threads=1"])
            .args(["--port-min=30000", "--port-max=39999"])
            .arg(format!("--listen-ng={listen}"))
            .arg(format!("--pidfile={}", directory.join("pid").display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let control = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        control.connect(listen)?;
        control.set_read_timeout(Some(Duration::from_millis(200)))?;
        let server = Self { process, directory, control };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if server.order("ping", &[]).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = fs::read_to_string(server.directory.join("log.txt")).unwrap_or_default();
        Err(io::Error::other(format!("rtpengine does not answer:\n{log}")))
    }

    /// Sets a call up: where the callee sends to, and where the caller does.
    fn call(
        &self,
        call: usize,
        caller: SocketAddr,
        callee: SocketAddr,
    ) -> io::Result<(SocketAddr, SocketAddr)> {
        let id = format!("bench-{call}");
        let offer = [("call-id", id.as_str()), ("from-tag", "a"), ("sdp", &sdp(caller))];
        let answer =
            [("call-id", id.as_str()), ("from-tag", "a"), ("to-tag", "b"), ("sdp", &sdp(callee))];
        Ok((port(&self.order("offer", &offer)?)?, port(&self.order("answer", &answer)?)?))
    }

    fn order(&self, command: &str, fields: &[(&str, &str)]) -> io::Result<String> {
        let mut fields: Vec<(&str, &str)> = fields.to_vec();
        fields.push(("command", command));
        // The keys of a bencoded dictionary are sorted.
        fields.sort_unstable();
        let text = |text: &str| format!("{}:{text}", text.len());
        let pairs: String = fields.iter().map(|(key, value)| text(key) + &text(value)).collect();
        // It answers the same cookie with the same answer again.
        let call = fields.iter().find(|(key, _)| *key == "call-id").map_or("", |(_, id)| id);
        self.control.send(format!("{command}-{call} d{pairs}e").as_bytes())?;
        let mut buffer = [0; 8192];
        let length = self.control.recv(&mut buffer)?;
        let answer = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        if answer.contains("6:result2:ok") || answer.contains("6:result4:pong") {
            return Ok(answer);
        }
        Err(io::Error::other(format!("rtpengine refuses {command}: {answer}")))
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        // A process that has ended by itself needs neither; a directory that stays lies in the
        // temporary one.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn sdp(address: SocketAddr) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n",
        ip = address.ip(),
        port = address.port()
    )
}

fn port(answer: &str) -> io::Result<SocketAddr> {
    let port = answer.split_once("m=audio ").and_then(|(_, rest)| rest.split(' ').next());
    let port = port.and_then(|port| port.parse().ok());
    let port: u16 = port.ok_or_else(|| io::Error::other(format!("no port in {answer}")))?;
    Ok((Ipv4Addr::LOCALHOST, port).into())
}
