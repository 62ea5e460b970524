//! A small office on a server in this process: its directory, and a phone of a few lines that
//! speaks SIP over UDP with digest.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use koukan::config;
use koukan::server::{RunningServer, Server};
use koukan_sip::{Credentials, Header, Message, Scanner, Transport};
use serde_json::Value;

pub(crate) const PASSWORD: &str = "in-process";

const PLAN: &str = r#"
schema = 1
tenant = { id = "acme", timezone = "Asia/Tokyo", language = "en", verified = true, channels = 4 }
[device.A]
ext = "801"
kind = "desk"
secret = "file:secrets/A"
caller_id = "main"
[device.B]
ext = "802"
kind = "desk"
secret = "file:secrets/B"
caller_id = "main"
[number.main]
did = "0312340001"
role = "contract"
ring = { devices = ["A", "B"], strategy = "all" }
mode = "ring"
[extension.echo]
dial = "600"
do = "echo"
"#;

/// A directory of its own with the office in it; removed when it is dropped.
pub(crate) struct Office {
    pub(crate) directory: PathBuf,
}

impl Office {
    pub(crate) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let own = format!("koukan-{name}-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(own);
        let tenant = directory.join("conf/tenants/acme");
        fs::create_dir_all(tenant.join("secrets")).unwrap();
        fs::write(tenant.join("office.toml"), PLAN).unwrap();
        for device in ["A", "B"] {
            let mut file = fs::File::options();
            let path = tenant.join("secrets").join(device);
            let mut file = file.write(true).create(true).mode(0o600).open(path).unwrap();
            writeln!(file, "{PASSWORD}").unwrap();
        }
        let office = Self { directory };
        office.configure(
            "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nmin_expires = \"1s\"\n\
             [media]\nworkers = 1\n[test]\nclock = true\n",
        );
        office
    }

    /// `KOUKAN_TEST_SHARDS` has the same tests run over several shards.
    pub(crate) fn configure(&self, text: &str) {
        let shards = std::env::var("KOUKAN_TEST_SHARDS").ok().filter(|_| !text.contains("shards"));
        let text = match shards {
            Some(count) if text.contains("[server]\n") => {
                text.replace("[server]\n", &format!("[server]\nshards = {count}\n"))
            }
            Some(count) => format!("[server]\nshards = {count}\n{text}"),
            None => text.to_owned(),
        };
        fs::write(self.conf().join("koukan.toml"), text).unwrap();
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.directory.join("conf")
    }

    pub(crate) fn start(&self) -> RunningServer {
        Server::start(config::load(&self.conf()).unwrap()).unwrap()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn sip_address(server: &RunningServer, transport: Transport) -> SocketAddr {
    server.listeners().iter().find(|listener| listener.transport == transport).unwrap().address
}

/// A request to the control API over its Unix socket: status and body.
pub(crate) fn ask(socket: &Path, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: koukan\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

pub(crate) fn json(socket: &Path, path: &str) -> Value {
    let (status, body) = ask(socket, "GET", path, "");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Waits until a condition holds, at most ten seconds.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until no call, stream, dialog or request of ours is left. Answered requests stay in memory
/// for another 32 s (timer J), which no test waits for.
pub(crate) fn wait_empty(socket: &Path) {
    until("empty tables", || {
        let status = json(socket, "/v1/status");
        let tables = status["tables"].as_object().unwrap().clone();
        let gone = |(name, count): (&String, &Value)| name == "server_transactions" || count == 0;
        tables.iter().all(gone).then_some(())
    });
}

/// A phone.
pub(crate) struct Phone {
    pub(crate) socket: UdpSocket,
    server: SocketAddr,
    user: &'static str,
    cseq: u32,
}

impl Phone {
    pub(crate) fn new(server: SocketAddr, user: &'static str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { socket, server, user, cseq: 0 }
    }

    pub(crate) fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.server).unwrap();
    }

    pub(crate) fn receive(&self) -> Message {
        let mut buffer = [0; 8192];
        let (length, _) = self.socket.recv_from(&mut buffer).expect("an answer within 5 s");
        Message::from_datagram(&mut Scanner::new(), &buffer[..length]).unwrap()
    }

    /// The final response, 1xx passed over.
    pub(crate) fn finally(&self) -> Message {
        loop {
            let message = self.receive();
            if message.status().is_some_and(|status| status >= 200) {
                return message;
            }
        }
    }

    /// A request outside dialogs with the digest of the challenge that it meets.
    pub(crate) fn request(&mut self, method: &str, to: &str, extra: &str, body: &str) -> Message {
        self.cseq += 1;
        let call = format!("{method}-{}", self.socket.local_addr().unwrap().port());
        self.send(&self.text(method, to, &call, extra, body));
        let first = self.finally();
        let (challenge, header) = match first.status() {
            Some(401) => (Header::WwwAuthenticate, "Authorization"),
            Some(407) => (Header::ProxyAuthenticate, "Proxy-Authorization"),
            _ => return first,
        };
        if method == "INVITE" {
            self.acknowledge(&first, to, &call, self.cseq);
        }
        let uri = format!("sip:{to}@{}", self.server);
        let credentials =
            Credentials { username: self.user.to_owned(), password: PASSWORD.to_owned() };
        let value = koukan_sip::digest::answer(
            first.header(challenge).unwrap(),
            &credentials,
            method.as_bytes(),
            uri.as_bytes(),
            b"cnonce",
        )
        .unwrap();
        let value = String::from_utf8(value).unwrap();
        self.cseq += 1;
        let extra = format!("{extra}{header}: {value}\r\n");
        self.send(&self.text(method, to, &call, &extra, body));
        self.finally()
    }

    pub(crate) fn acknowledge(&self, response: &Message, to: &str, call: &str, cseq: u32) {
        let own = self.socket.local_addr().unwrap();
        let target = String::from_utf8_lossy(response.header(Header::To).unwrap()).into_owned();
        self.send(&format!(
            "ACK sip:{to}@{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {own};branch=z9hG4bK{method}{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{server}>;tag=t\r\nTo: {target}\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} ACK\r\nContent-Length: 0\r\n\r\n",
            server = self.server,
            user = self.user,
            method = "INVITE",
        ));
    }

    pub(crate) const fn cseq(&self) -> u32 {
        self.cseq
    }

    pub(crate) fn text(
        &self,
        method: &str,
        to: &str,
        call: &str,
        extra: &str,
        body: &str,
    ) -> String {
        let own = self.socket.local_addr().unwrap();
        format!(
            "{method} sip:{to}@{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {own};branch=z9hG4bK{method}{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{server}>;tag=t\r\nTo: <sip:{to}@{server}>\r\nCall-ID: {call}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:{user}@{own}>\r\n{extra}\
             Content-Length: {length}\r\n\r\n{body}",
            server = self.server,
            user = self.user,
            cseq = self.cseq,
            length = body.len(),
        )
    }
}
