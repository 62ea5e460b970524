//! A phone of a few lines that lives for one request or call and gives up soon, as long as the
//! server may be dead at any moment: it registers, calls, speaks a tone and hears who hangs up.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use koukan_sip::sdp::Session;
use koukan_sip::{Credentials, Header, Message, Method, Scanner};

/// Requests are repeated so long, which is longer than a start takes.
const PATIENCE: Duration = Duration::from_secs(4);

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The server hung up.
    ByServer,
    /// The time was over.
    ByUs,
}

/// A call that was answered.
#[derive(Debug)]
pub struct Answered {
    /// Its Call-ID.
    pub call_id: String,
    to: String,
    target: String,
    media: Option<SocketAddr>,
}

/// The phone.
#[derive(Debug)]
pub struct Caller {
    socket: UdpSocket,
    rtp: UdpSocket,
    server: SocketAddr,
    user: String,
    password: String,
    call_id: String,
    cseq: u32,
}

static CALLS: AtomicU32 = AtomicU32::new(0);

impl Caller {
    /// A phone at a port, or at any (0).
    ///
    /// # Errors
    /// The port is in use.
    pub fn new(server: SocketAddr, user: &str, password: &str, port: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let call_id = format!("killing-{}-{number}", std::process::id());
        Ok(Self {
            socket,
            rtp: UdpSocket::bind("127.0.0.1:0")?,
            server,
            user: user.to_owned(),
            password: password.to_owned(),
            call_id,
            cseq: 0,
        })
    }

    /// Binds a contact; the final status.
    ///
    /// # Errors
    /// No answer.
    pub fn register(&mut self, contact: &str, expires: u32) -> io::Result<u16> {
        let headers = format!("Contact: <{contact}>\r\nExpires: {expires}\r\n");
        let to = self.user.clone();
        let answer = self.authorized("REGISTER", &to, &headers, "")?;
        Ok(answer.status().unwrap_or(0))
    }

    /// Asks something with headers of one's own; the final status. A call has a description, and is
    /// hung up when it is answered.
    ///
    /// # Errors
    /// No answer.
    pub fn ask(&mut self, method: &str, to: &str, headers: &str) -> io::Result<u16> {
        let own = self.socket.local_addr()?;
        let contact = format!("Contact: <sip:{}@{own}>\r\n{headers}", self.user);
        let body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                    m=audio 40000 RTP/AVP 0\r\n";
        let answer = match method {
            "INVITE" => {
                let headers = format!("{contact}Content-Type: application/sdp\r\n");
                self.authorized(method, to, &headers, body)?
            }
            _ => self.authorized(method, to, &contact, "")?,
        };
        let status = answer.status().unwrap_or(0);
        if method == "INVITE" && status == 200 {
            let answered = self.answered(&answer);
            self.in_dialog("ACK", &answered, self.cseq);
            self.hang_up(&answered);
        }
        Ok(status)
    }

    /// Calls; `None` when it was refused.
    ///
    /// # Errors
    /// No answer.
    pub fn call(&mut self, number: &str) -> io::Result<Option<Answered>> {
        let port = self.rtp.local_addr()?.port();
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\n"
        );
        let own = self.socket.local_addr()?;
        let headers =
            format!("Contact: <sip:{}@{own}>\r\nContent-Type: application/sdp\r\n", self.user);
        let answer = self.authorized("INVITE", number, &headers, &body)?;
        if answer.status() != Some(200) {
            return Ok(None);
        }
        let answered = self.answered(&answer);
        self.in_dialog("ACK", &answered, self.cseq);
        Ok(Some(answered))
    }

    fn answered(&self, answer: &Message) -> Answered {
        let header = |header| {
            String::from_utf8_lossy(answer.header(header).unwrap_or_default()).into_owned()
        };
        let target = header(Header::Contact);
        let target = target.trim_start_matches('<').split('>').next().unwrap_or_default();
        let session = answer.sdp().and_then(|sdp| Session::parse(sdp).ok());
        let media = session.and_then(|session| {
            let audio = session.media.iter().find(|media| media.kind == b"audio")?;
            Some(SocketAddr::new(self.server.ip(), audio.port))
        });
        Answered {
            call_id: self.call_id.clone(),
            to: header(Header::To),
            target: target.to_owned(),
            media,
        }
    }

    /// Speaks until the server hangs up or the time is over; `ended` is called before a BYE of the
    /// server is answered.
    pub fn talk(
        &mut self,
        answered: &Answered,
        length: Duration,
        mut ended: impl FnMut(Ended),
    ) -> Ended {
        let begun = Instant::now();
        let mut packet = [0_u8; 172];
        packet[0] = 0x80;
        let mut turn = 0_u32;
        let _ = self.socket.set_read_timeout(Some(Duration::from_millis(1)));
        while begun.elapsed() < length {
            while Duration::from_millis(u64::from(turn) * 20) < begun.elapsed() {
                let [.., high, low] = turn.to_be_bytes();
                (packet[2], packet[3]) = (high, low);
                packet[4..8].copy_from_slice(&(turn * 160).to_be_bytes());
                packet[8..12].copy_from_slice(&7_u32.to_be_bytes());
                // A square wave in G.711 u-law: loud enough for no silence.
                for (at, sample) in packet[12..].iter_mut().enumerate() {
                    *sample = if at / 8 % 2 == 0 { 0x20 } else { 0xa0 };
                }
                if let Some(media) = answered.media {
                    let _ = self.rtp.send_to(&packet, media);
                }
                turn += 1;
            }
            let Ok(message) = self.receive() else { continue };
            if message.method() == Some(Method::Bye) {
                ended(Ended::ByServer);
                self.answer(&message);
                return Ended::ByServer;
            }
            if message.status() == Some(200) {
                // Our ACK was lost.
                self.in_dialog("ACK", answered, self.cseq);
            }
        }
        ended(Ended::ByUs);
        Ended::ByUs
    }

    /// Hangs up; an answer is waited for a moment.
    pub fn hang_up(&mut self, answered: &Answered) {
        self.cseq += 1;
        let _ = self.socket.set_read_timeout(Some(Duration::from_millis(300)));
        for _ in 0..4 {
            self.in_dialog("BYE", answered, self.cseq);
            if self.receive().is_ok_and(|message| message.status() == Some(200)) {
                break;
            }
        }
    }

    fn in_dialog(&self, method: &str, answered: &Answered, cseq: u32) {
        let Ok(own) = self.socket.local_addr() else { return };
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}{cseq}{id};\
             rport\r\nMax-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=k\r\nTo: {to}\r\n\
             Call-ID: {id}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            target = answered.target,
            id = answered.call_id,
            user = self.user,
            server = self.server,
            to = answered.to,
        );
        let _ = self.socket.send_to(text.as_bytes(), self.server);
    }

    /// 200 to a request of the server.
    fn answer(&self, request: &Message) {
        let header = |header| {
            String::from_utf8_lossy(request.header(header).unwrap_or_default()).into_owned()
        };
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Content-Length: 0\r\n\r\n",
            header(Header::Via),
            header(Header::From),
            header(Header::To),
            header(Header::CallId),
            header(Header::CSeq),
        );
        let _ = self.socket.send_to(text.as_bytes(), self.server);
    }

    fn receive(&self) -> io::Result<Message> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        Message::from_datagram(&mut Scanner::new(), bytes)
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// A request with the digest that it is asked for; its final response.
    fn authorized(
        &mut self,
        method: &str,
        to: &str,
        headers: &str,
        body: &str,
    ) -> io::Result<Message> {
        let first = self.request(method, to, headers, body)?;
        let (challenge, name) = match first.status() {
            Some(401) => (Header::WwwAuthenticate, "Authorization"),
            Some(407) => (Header::ProxyAuthenticate, "Proxy-Authorization"),
            _ => return Ok(first),
        };
        let uri = format!("sip:{to}@{}", self.server);
        let credentials =
            Credentials { username: self.user.clone(), password: self.password.clone() };
        let challenge = first.header(challenge).unwrap_or_default();
        let value = koukan_sip::digest::answer(
            challenge,
            &credentials,
            method.as_bytes(),
            uri.as_bytes(),
            b"killing",
        );
        let value = value.ok_or_else(|| io::Error::other("a challenge of another kind"))?;
        let value = String::from_utf8_lossy(&value).into_owned();
        self.request(method, to, &format!("{headers}{name}: {value}\r\n"), body)
    }

    fn request(
        &mut self,
        method: &str,
        to: &str,
        headers: &str,
        body: &str,
    ) -> io::Result<Message> {
        self.cseq += 1;
        let own = self.socket.local_addr()?;
        let text = format!(
            "{method} sip:{to}@{server} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {own};branch=z9hG4bK{method}{cseq}{id};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=k\r\n\
             To: <sip:{to}@{server}>\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}",
            server = self.server,
            cseq = self.cseq,
            id = self.call_id,
            user = self.user,
            length = body.len(),
        );
        let begun = Instant::now();
        let mut wait = Duration::from_millis(500);
        let mut provisional = false;
        // A call may ring for long; what is not answered at all is given up soon.
        while begun.elapsed() < PATIENCE || (provisional && begun.elapsed() < PATIENCE * 5) {
            if !provisional {
                self.socket.send_to(text.as_bytes(), self.server)?;
            }
            let until = Instant::now() + wait;
            while Instant::now() < until {
                let Ok(message) = self.receive() else { continue };
                let own = message.header(Header::CallId) == Some(self.call_id.as_bytes())
                    && message.cseq().is_some_and(|cseq| cseq.number == self.cseq);
                match message.status().filter(|_| own) {
                    Some(100..=199) => provisional = true,
                    Some(status) => {
                        if method == "INVITE" && status >= 300 {
                            self.acknowledge(&message, to, &text);
                        }
                        return Ok(message);
                    }
                    // Somebody calls the carrier's address: nobody is there.
                    None if message.method() == Some(Method::Invite) => self.refuse(&message),
                    None => {}
                }
            }
            wait = (wait * 2).min(Duration::from_secs(2));
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
    }

    /// The ACK of a refusal (RFC 3261, 17.1.1.3).
    fn acknowledge(&self, response: &Message, to: &str, invite: &str) {
        let via = invite.lines().find(|line| line.starts_with("Via: ")).unwrap_or_default();
        let target = String::from_utf8_lossy(response.header(Header::To).unwrap_or_default());
        let text = format!(
            "ACK sip:{to}@{server} SIP/2.0\r\n{via}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{server}>;tag=k\r\nTo: {target}\r\nCall-ID: {id}\r\n\
             CSeq: {cseq} ACK\r\nContent-Length: 0\r\n\r\n",
            server = self.server,
            user = self.user,
            id = self.call_id,
            cseq = self.cseq,
        );
        let _ = self.socket.send_to(text.as_bytes(), self.server);
    }

    fn refuse(&self, invite: &Message) {
        let header = |header| {
            String::from_utf8_lossy(invite.header(header).unwrap_or_default()).into_owned()
        };
        let text = format!(
            "SIP/2.0 486 Busy Here\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=busy\r\nCall-ID: {}\r\n\
             CSeq: {}\r\nContent-Length: 0\r\n\r\n",
            header(Header::Via),
            header(Header::From),
            header(Header::To),
            header(Header::CallId),
            header(Header::CSeq),
        );
        let _ = self.socket.send_to(text.as_bytes(), self.server);
    }
}
