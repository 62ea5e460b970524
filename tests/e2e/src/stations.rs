//! Phones and carriers by the hundred on one thread, each a user agent of this project (RFC 3261)
//! with a socket of its own. What they do is told to them; what they see is told to the test in the
//! order in which it came.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use koukan_base::{Rng, Time};
use koukan_sip::{
    Body, ClientTx, Credentials, DialogId, Event, Flow, Header, Listener, ListenerId, Message,
    Method, Request, Response, ServerTx, Transport, UaAction, UaConfig, UserAgent,
};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

/// A phone or a carrier: its place among all stations.
pub type Place = usize;

struct Station {
    agent: UserAgent,
    socket: UdpSocket,
    address: SocketAddr,
    user: String,
    password: String,
}

/// All of them.
pub struct Stations {
    stations: Vec<Station>,
    server: SocketAddr,
    poll: Poll,
    events: Events,
    begun: Instant,
    /// Where phones that answer want their sound: nobody listens.
    deaf: std::net::UdpSocket,
}

impl std::fmt::Debug for Stations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stations").field("count", &self.stations.len()).finish_non_exhaustive()
    }
}

/// A call that comes.
#[derive(Clone, Debug)]
pub struct Invited {
    /// Answer or refuse it with this.
    pub tx: ServerTx,
    /// Its dialog when it is answered.
    pub dialog: DialogId,
    /// The user of the Request-URI.
    pub called: String,
    /// The user of From; none when it says that it is anonymous.
    pub caller: Option<String>,
    /// The network is asked to hide the caller.
    pub hidden: bool,
}

/// What a station sees.
#[derive(Clone, Debug)]
pub enum Saw {
    /// The answer to its REGISTER.
    Registered(u16),
    /// A call comes.
    Invited(Invited),
    /// A call that came is given up.
    Cancelled(ServerTx),
    /// Its call goes on: status.
    Progress(ClientTx, u16),
    /// Its call is answered: the dialog, the Call-ID, where the server listens.
    Answered(ClientTx, DialogId, Option<SocketAddr>),
    /// Its call is refused: status.
    Failed(ClientTx, u16),
    /// The server hangs up.
    Bye(DialogId),
}

impl Stations {
    /// None yet.
    ///
    /// # Errors
    /// The system has no poll.
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        let (poll, events) = (Poll::new()?, Events::with_capacity(1024));
        let deaf = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self { stations: Vec::new(), server, poll, events, begun: Instant::now(), deaf })
    }

    fn now(&self) -> Time {
        Time::from_millis(1) + self.begun.elapsed()
    }

    /// One more, on a port of its choice or on any.
    ///
    /// # Errors
    /// The port is taken.
    pub fn add(&mut self, port: u16, user: &str, password: &str) -> io::Result<Place> {
        let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port).into())?;
        let place = self.stations.len();
        self.poll.registry().register(&mut socket, Token(place), Interest::READABLE)?;
        let address = socket.local_addr()?;
        let listener =
            Listener { id: ListenerId(0), transport: Transport::Udp, advertised: address };
        let config = UaConfig {
            listeners: vec![listener],
            server_name: "station".to_owned(),
            reliable: false,
            max_transactions: 100,
            max_dialogs: 100,
            ..UaConfig::default()
        };
        let agent = UserAgent::new(config, Rng::from_number(place as u64));
        let (user, password) = (user.to_owned(), password.to_owned());
        self.stations.push(Station { agent, socket, address, user, password });
        Ok(place)
    }

    fn request(&self, place: Place, method: Method, to: &str) -> Request {
        let (server, station) = (self.server, &self.stations[place]);
        let credentials =
            Credentials { username: station.user.clone(), password: station.password.clone() };
        let uri = format!("sip:{}@{server}", to.replace('#', "%23"));
        Request {
            method,
            flow: flow(server),
            from: format!("<sip:{}@{server}>", station.user).into_bytes(),
            to: format!("<{uri}>").into_bytes(),
            request_uri: uri.into_bytes(),
            route: Vec::new(),
            max_forwards: 70,
            headers: Vec::new(),
            body: None,
            credentials: (!station.password.is_empty()).then_some(credentials),
        }
    }

    /// Registers a phone for an hour, or takes its registration back.
    pub fn register(&mut self, place: Place, on: bool) {
        let (now, server) = (self.now(), self.server);
        let mut request = self.request(place, Method::Register, "");
        let station = &mut self.stations[place];
        let contact = format!("<sip:{}@{}>", station.user, station.address);
        let expires = if on { "3600" } else { "0" };
        request.request_uri = format!("sip:{server}").into_bytes();
        request.to = format!("<sip:{}@{server}>", station.user).into_bytes();
        request.headers =
            vec![("Contact", contact.into_bytes()), ("Expires", expires.as_bytes().to_vec())];
        station.agent.request(now, request);
    }

    /// Calls; `shown` is who a carrier says that calls, `anonymous` hides it.
    pub fn call(
        &mut self,
        place: Place,
        to: &str,
        shown: Option<&str>,
        ear: SocketAddr,
    ) -> ClientTx {
        let (now, server) = (self.now(), self.server);
        let mut request = self.request(place, Method::Invite, to);
        match shown {
            Some("anonymous") => {
                request.from = b"\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_vec();
                request.headers.push(("Privacy", b"id".to_vec()));
            }
            Some(number) => request.from = format!("<sip:{number}@{server}>").into_bytes(),
            None => {}
        }
        request.body = Some(description(ear));
        self.stations[place].agent.invite(now, request)
    }

    /// Lets a call that comes ring.
    pub fn ring(&mut self, place: Place, tx: ServerTx) {
        self.refuse(place, tx, 180);
    }

    /// Answers a call that comes. Nobody speaks there, and nobody listens.
    ///
    /// # Errors
    /// A socket is gone.
    pub fn answer(&mut self, place: Place, tx: ServerTx) -> io::Result<()> {
        let now = self.now();
        let body = Some(description(self.deaf.local_addr()?));
        let response = Response { body, ..Response::new(200) };
        self.stations[place].agent.respond(now, tx, response);
        Ok(())
    }

    /// Refuses a call that comes.
    pub fn refuse(&mut self, place: Place, tx: ServerTx, status: u16) {
        let now = self.now();
        self.stations[place].agent.respond(now, tx, Response::new(status));
    }

    /// Gives up a call that it makes.
    pub fn cancel(&mut self, place: Place, tx: ClientTx) {
        let now = self.now();
        self.stations[place].agent.cancel(now, tx, None);
    }

    /// Hangs up.
    pub fn hang_up(&mut self, place: Place, dialog: DialogId) {
        let now = self.now();
        self.stations[place].agent.bye(now, dialog, None);
    }

    /// The Call-ID of a dialog.
    #[must_use]
    pub fn call_id(&self, place: Place, dialog: DialogId) -> Option<String> {
        let (call_id, ..) = self.stations.get(place)?.agent.identity(dialog)?;
        Some(String::from_utf8_lossy(call_id).into_owned())
    }

    /// Takes what comes within `wait`, and what the stations see by it.
    ///
    /// # Errors
    /// The poll failed.
    pub fn turn(&mut self, wait: Duration) -> io::Result<Vec<(Place, Saw)>> {
        let mut seen = Vec::new();
        let now = self.now();
        for (place, station) in self.stations.iter_mut().enumerate() {
            if station.agent.poll_timeout().is_some_and(|due| due <= now) {
                station.agent.handle_timeout(now);
            }
            station.drain(now, place, &mut seen);
        }
        let wait = if seen.is_empty() { wait } else { Duration::ZERO };
        self.poll.poll(&mut self.events, Some(wait))?;
        let (now, server) = (self.now(), self.server);
        let mut buffer = [0; 65_535];
        for event in &self.events {
            let place = event.token().0;
            let Some(station) = self.stations.get_mut(place) else { continue };
            while let Ok((length, _)) = station.socket.recv_from(&mut buffer) {
                let bytes = buffer.get(..length).unwrap_or_default();
                station.agent.handle_bytes(now, flow(server), bytes);
                station.drain(now, place, &mut seen);
            }
        }
        Ok(seen)
    }
}

impl Station {
    fn drain(&mut self, now: Time, place: Place, seen: &mut Vec<(Place, Saw)>) {
        while let Some(action) = self.agent.poll_action() {
            match action {
                // A full buffer is a lost datagram; SIP sends it again.
                UaAction::Send { flow, bytes } => drop(self.socket.send_to(&bytes, flow.remote)),
                UaAction::Event(event) => {
                    seen.extend(self.see(now, event).map(|saw| (place, saw)));
                }
            }
        }
    }

    fn see(&mut self, now: Time, event: Event) -> Option<Saw> {
        Some(match event {
            Event::Invite { tx, dialog, message, .. } => {
                Saw::Invited(invited(tx, dialog, &message))
            }
            Event::Cancelled { tx, .. } => Saw::Cancelled(tx),
            Event::Progress { tx, status, .. } => Saw::Progress(tx, status),
            Event::Answered { tx, dialog, message } => {
                self.agent.ack(now, dialog, None);
                Saw::Answered(tx, dialog, message.sdp().and_then(media_of))
            }
            Event::Failed { tx, status, .. } => Saw::Failed(tx, status),
            Event::Bye { dialog, .. } => Saw::Bye(dialog),
            Event::Response { status, message, .. } => {
                let cseq = message.as_ref().and_then(Message::cseq)?;
                return (cseq.method == Method::Register).then_some(Saw::Registered(status));
            }
            Event::Request { tx, .. } | Event::InDialog { tx, .. } => {
                self.agent.respond(now, tx, Response::new(200));
                return None;
            }
            Event::Acked { .. }
            | Event::AckMissing { .. }
            | Event::Pracked { .. }
            | Event::PrackMissing { .. }
            | Event::TryAgain { .. }
            | Event::RefreshDue { .. }
            | Event::SessionExpired { .. } => return None,
        })
    }
}

fn invited(tx: ServerTx, dialog: DialogId, message: &Message) -> Invited {
    let text = |user: Option<Vec<u8>>| {
        user.map(|user| String::from_utf8_lossy(&user).into_owned()).unwrap_or_default()
    };
    let caller = Some(text(message.from_user())).filter(|user| user != "anonymous");
    let hidden = message.header(Header::Privacy).is_some_and(|value| value == b"id");
    Invited { tx, dialog, called: text(message.request_user()), caller, hidden }
}

/// Where the other side listens (RFC 8866).
fn media_of(sdp: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(sdp).ok()?;
    let after = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let ip = after("c=IN IP4 ")?.trim().parse().ok()?;
    let port = after("m=audio ")?.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

const fn flow(remote: SocketAddr) -> Flow {
    Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection: 0 }
}

fn description(address: SocketAddr) -> Body {
    let (ip, port) = (address.ip(), address.port());
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=sendrecv\r\n"
    );
    Body::sdp(text.into_bytes())
}
