//! The phone of the health check: a user agent of our own on sockets of this thread, which knows no
//! more of the server than any other phone.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use koukan_base::{Rng, Time};
use koukan_codecs::g711::{decode_ulaw, encode_ulaw};
use koukan_sip::sdp::Session;
use koukan_sip::{
    Body, ClientTx, Credentials, DialogId, Event, Flow, Listener, ListenerId, Method, Request,
    Response, Transport, UaAction, UaConfig, UserAgent,
};

use super::sound;

/// As whom it calls.
#[derive(Clone, Debug)]
pub struct Account {
    /// The device's user and password.
    pub credentials: Credentials,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Up(DialogId),
    Refused(u16),
    Nothing,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Talk {
    pub(super) sent: u32,
    pub(super) packets: u32,
    pub(super) level_db: f64,
}

#[derive(Debug)]
pub(super) struct Phone {
    ua: UserAgent,
    socket: UdpSocket,
    media: UdpSocket,
    flow: Flow,
    account: Account,
    begun: Instant,
    /// Where the server wants to hear us.
    remote: Option<SocketAddr>,
}

/// How long one look at a socket takes at most.
const LOOK: Duration = Duration::from_millis(2);

/// How long the end of a call is waited for that was given up.
const GIVEN_UP: Duration = Duration::from_secs(2);

impl Phone {
    pub(super) fn new(server: SocketAddr, account: Account, seed: [u8; 32]) -> io::Result<Self> {
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let route = UdpSocket::bind(any)?;
        route.connect(server)?;
        let own = SocketAddr::new(route.local_addr()?.ip(), 0);
        let (socket, media) = (UdpSocket::bind(own)?, UdpSocket::bind(own)?);
        socket.set_read_timeout(Some(LOOK))?;
        media.set_nonblocking(true)?;
        let advertised = socket.local_addr()?;
        let listener = Listener { id: ListenerId(0), transport: Transport::Udp, advertised };
        let config = UaConfig {
            listeners: vec![listener],
            server_name: "koukan selftest".to_owned(),
            reliable: false,
            ..UaConfig::default()
        };
        let flow = Flow {
            transport: Transport::Udp,
            listener: ListenerId(0),
            remote: server,
            connection: 0,
        };
        let ua = UserAgent::new(config, Rng::from_seed(seed));
        let begun = Instant::now();
        Ok(Self { ua, socket, media, flow, account, begun, remote: None })
    }

    pub(super) const fn server(&self) -> SocketAddr {
        self.flow.remote
    }

    pub(super) fn user(&self) -> &str {
        &self.account.credentials.username
    }

    /// The Call-ID of a call that stands.
    pub(super) fn call_id(&self, dialog: DialogId) -> Option<String> {
        let (call_id, ..) = self.ua.identity(dialog)?;
        Some(String::from_utf8_lossy(call_id).into_owned())
    }

    /// The status that OPTIONS gets.
    pub(super) fn options(&mut self, limit: Duration) -> Option<u16> {
        let uri = format!("sip:{}", self.server());
        let request = self.request(Method::Options, &uri);
        self.ua.request(self.now(), request);
        self.until(limit, |event| match event {
            Event::Response { status, message: Some(_), .. }
            | Event::Failed { status, message: Some(_), .. } => Some(*status),
            _ => None,
        })
    }

    pub(super) fn dial(&mut self, number: &str, limit: Duration) -> Answered {
        let Ok(own) = self.media.local_addr() else { return Answered::Nothing };
        let family = if own.is_ipv4() { "IP4" } else { "IP6" };
        let (ip, port) = (own.ip(), own.port());
        let sdp = format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        );
        let uri = format!("sip:{number}@{}", self.server());
        let mut request = self.request(Method::Invite, &uri);
        request.body = Some(Body::sdp(sdp.into_bytes()));
        let tx = self.ua.invite(self.now(), request);
        let mut remote = None;
        let answered = self.until(limit, |event| match event {
            Event::Answered { dialog, message, .. } => {
                let session = Session::parse(message.sdp().unwrap_or_default()).ok();
                remote = session.as_ref().and_then(|session| {
                    let (_, audio) = session.audio()?;
                    Some(SocketAddr::new(audio.connection?, audio.port))
                });
                Some(Answered::Up(*dialog))
            }
            Event::Failed { status, message: Some(_), .. } => Some(Answered::Refused(*status)),
            _ => None,
        });
        self.remote = remote;
        if let Some(Answered::Up(dialog)) = answered {
            self.ua.ack(self.now(), dialog, None);
            self.drain(&mut |_| None::<()>);
        }
        if answered.is_none() {
            self.give_up(tx);
        }
        answered.unwrap_or(Answered::Nothing)
    }

    /// Leaves no call behind that rings on (RFC 3261, 9.1); one that is answered at this very
    /// moment is hung up.
    fn give_up(&mut self, tx: ClientTx) {
        self.ua.cancel(self.now(), tx, None);
        let crossed = self.until(GIVEN_UP, |event| match event {
            Event::Answered { dialog, .. } => Some(Some(*dialog)),
            Event::Failed { .. } => Some(None),
            _ => None,
        });
        if let Some(Some(dialog)) = crossed {
            self.ua.ack(self.now(), dialog, None);
            let _ = self.hang_up(dialog, GIVEN_UP);
        }
    }

    /// Speaks the tone for so long, and says what came back.
    pub(super) fn talk(&mut self, dialog: DialogId, length: Duration) -> Result<Talk, String> {
        let remote = self.remote.ok_or("the answer names no place for sound")?;
        let (mut sent, mut packets, mut heard) = (0u32, 0u32, Vec::new());
        let begun = Instant::now();
        let mut over = false;
        while begun.elapsed() < length && !over {
            while begun.elapsed() >= Duration::from_millis(20).saturating_mul(sent) {
                self.send_packet(remote, sent);
                sent = sent.saturating_add(1);
            }
            let ended = self.turn(&mut |event| match event {
                Event::Bye { dialog: of, .. } if *of == dialog => Some(()),
                _ => None,
            });
            over = ended.is_some();
            packets = packets.saturating_add(self.hear(&mut heard));
        }
        if over {
            return Err("the server hangs up".to_owned());
        }
        // The first moments are those of the way's beginning.
        let settled = heard.get(heard.len() / 4..).unwrap_or_default();
        Ok(Talk { sent, packets, level_db: sound::level_db(settled) })
    }

    pub(super) fn hang_up(&mut self, dialog: DialogId, limit: Duration) -> Option<u16> {
        let bye = self.ua.request_in_dialog(self.now(), dialog, Method::Bye, Vec::new(), None)?;
        self.until(limit, |event| match event {
            Event::Response { tx, status, message: Some(_), .. } if *tx == bye => Some(*status),
            _ => None,
        })
    }

    fn send_packet(&self, remote: SocketAddr, number: u32) {
        let from = number.wrapping_mul(160);
        let mut packet = [0u8; 12 + sound::PACKET];
        let (head, payload) = packet.split_at_mut(12);
        let [_, _, high, low] = number.to_be_bytes();
        let mut fields = vec![0x80, 0, high, low];
        fields.extend(from.to_be_bytes());
        fields.extend(0x5E1F_7E57u32.to_be_bytes());
        head.copy_from_slice(&fields);
        encode_ulaw(&sound::tone(from), payload);
        // What cannot be sent is lost, and counted so at the end.
        let _ = self.media.send_to(&packet, remote);
    }

    /// Takes the packets that have come.
    fn hear(&self, heard: &mut Vec<i16>) -> u32 {
        let (mut count, mut buffer) = (0u32, [0; 2_048]);
        while let Ok((length, _)) = self.media.recv_from(&mut buffer) {
            let payload = buffer.get(12..length).unwrap_or_default();
            if payload.is_empty() || heard.len() > MOST_SAMPLES {
                continue;
            }
            let mut samples = vec![0; payload.len()];
            decode_ulaw(payload, &mut samples);
            heard.extend(samples);
            count = count.saturating_add(1);
        }
        count
    }

    fn request(&self, method: Method, uri: &str) -> Request {
        let (server, user) = (self.server(), self.user());
        Request {
            method,
            flow: self.flow,
            request_uri: uri.as_bytes().to_vec(),
            from: format!("\"selftest\" <sip:{user}@{server}>").into_bytes(),
            to: format!("<{uri}>").into_bytes(),
            route: Vec::new(),
            max_forwards: 70,
            headers: Vec::new(),
            body: None,
            credentials: Some(self.account.credentials.clone()),
        }
    }

    fn now(&self) -> Time {
        Time::from_millis(1) + self.begun.elapsed()
    }

    /// Goes on until something is found, or it has taken too long.
    fn until<T>(
        &mut self,
        limit: Duration,
        mut found: impl FnMut(&Event) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(value) = self.turn(&mut found) {
                return Some(value);
            }
        }
        None
    }

    fn turn<T>(&mut self, found: &mut impl FnMut(&Event) -> Option<T>) -> Option<T> {
        let mut value = self.drain(found);
        let mut buffer = [0; 4_096];
        if let Ok((length, from)) = self.socket.recv_from(&mut buffer)
            && from == self.server()
        {
            let bytes = buffer.get(..length).unwrap_or_default();
            self.ua.handle_bytes(self.now(), self.flow, bytes);
        }
        if self.ua.poll_timeout().is_some_and(|at| at <= self.now()) {
            self.ua.handle_timeout(self.now());
        }
        value = value.or(self.drain(found));
        value
    }

    fn drain<T>(&mut self, found: &mut impl FnMut(&Event) -> Option<T>) -> Option<T> {
        let mut value = None;
        while let Some(action) = self.ua.poll_action() {
            match action {
                UaAction::Send { bytes, .. } => {
                    // What is lost is sent again by the transaction.
                    let _ = self.socket.send_to(&bytes, self.server());
                }
                UaAction::Event(event) => {
                    if value.is_none() {
                        value = found(&event);
                    }
                    if let Event::InDialog { tx, .. } = event {
                        self.ua.respond(self.now(), tx, Response::new(200));
                    }
                }
            }
        }
        value
    }
}

/// More is not listened to.
const MOST_SAMPLES: usize = 10 * 8_000;
