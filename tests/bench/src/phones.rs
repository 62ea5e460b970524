//! Phones for the server under measurement: real user agents, each with its own socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

use koukan_base::{Rng, Time};
use koukan_sip::{
    Body, Credentials, DialogId, Event, Flow, Listener, ListenerId, Message, Method, Request,
    Response, Transport, UaAction, UaConfig, UserAgent,
};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::office::{PASSWORD, extension};

/// Nothing on one machine takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Phones that register at the same time.
const TOGETHER: usize = 100;

struct Phone {
    agent: UserAgent,
    socket: UdpSocket,
    address: SocketAddr,
    registered: bool,
    /// Subscriptions that were granted.
    subscribed: usize,
    /// Calls that it has begun and that nobody has answered yet.
    calling: usize,
    /// Calls that it made and that stand.
    dialogs: Vec<DialogId>,
    /// When it answered or ended its last call.
    changed: Option<Instant>,
    /// How its last call was refused.
    refused: Option<u16>,
    /// Its calls have media.
    speaks: bool,
    /// NOTIFYs in the order in which they came.
    notified: Vec<Notified>,
}

/// A NOTIFY.
pub(crate) struct Notified {
    pub(crate) at: Instant,
    pub(crate) message: Message,
}

/// All phones on one thread.
pub(crate) struct Phones {
    phones: Vec<Phone>,
    server: SocketAddr,
    poll: Poll,
    begun: Instant,
}

impl Phones {
    pub(crate) fn new(server: SocketAddr, count: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut phones = Vec::new();
        for index in 0..count {
            let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
            poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
            let address = socket.local_addr()?;
            let config = UaConfig {
                listeners: vec![Listener {
                    id: ListenerId(0),
                    transport: Transport::Udp,
                    advertised: address,
                }],
                server_name: "bench".to_owned(),
                max_transactions: 100,
                max_dialogs: 100,
                ..UaConfig::default()
            };
            let seed = u64::try_from(index).unwrap_or(0);
            let agent = UserAgent::new(config, Rng::from_number(seed));
            phones.push(Phone {
                agent,
                socket,
                address,
                registered: false,
                subscribed: 0,
                calling: 0,
                dialogs: Vec::new(),
                changed: None,
                refused: None,
                speaks: true,
                notified: Vec::new(),
            });
        }
        Ok(Self { phones, server, poll, begun: Instant::now() })
    }

    fn now(&self) -> Time {
        Time::from_millis(1) + self.begun.elapsed()
    }

    /// Registers these phones, again if they are registered already.
    pub(crate) fn register(&mut self, phones: Range<usize>) -> io::Result<()> {
        // Not all in one instant: a socket's buffer holds only so many datagrams.
        for start in phones.clone().step_by(TOGETHER) {
            self.register_together(start..phones.end.min(start + TOGETHER))?;
        }
        Ok(())
    }

    fn register_together(&mut self, phones: Range<usize>) -> io::Result<()> {
        let (now, server) = (self.now(), self.server);
        for index in phones.clone() {
            let Some(phone) = self.phones.get_mut(index) else { continue };
            phone.registered = false;
            let user = format!("bench-{}", extension(index));
            let contact = format!("<sip:{user}@{}>", phone.address).into_bytes();
            let uri = format!("sip:{server}");
            let request = request(Method::Register, server, &user, &uri, None);
            let to = format!("<sip:{user}@{server}>").into_bytes();
            let headers = vec![("Contact", contact)];
            phone.agent.request(now, Request { to, headers, ..request });
        }
        self.until("every phone is registered", |phone| phone.registered, phones)
    }

    /// From now on nobody speaks: calls are up with streams that are inactive (RFC 3264, 5.1), and
    /// nobody is missed when no packet comes.
    pub(crate) fn be_silent(&mut self) {
        self.phones.iter_mut().for_each(|phone| phone.speaks = false);
    }

    /// Calls that these phones made and that stand.
    pub(crate) fn standing(&self, callers: Range<usize>) -> usize {
        let phones = self.phones.get(callers).unwrap_or_default();
        phones.iter().map(|phone| phone.dialogs.len()).sum()
    }

    /// Each of these phones calls the one that stands `apart` further on, which answers.
    pub(crate) fn call(&mut self, callers: Range<usize>, apart: usize) -> io::Result<()> {
        for index in callers {
            self.dial(index, &extension(index + apart));
            self.until("the call is up", |phone| phone.up(), index..index + 1)?;
        }
        Ok(())
    }

    /// A phone begins to call another; nobody waits for the call.
    pub(crate) fn dial_device(&mut self, caller: usize, called: usize) {
        self.dial(caller, &extension(called));
    }

    /// A phone ends the calls that it made; nobody waits for the answers.
    pub(crate) fn hang_up_now(&mut self, caller: usize) {
        let now = self.now();
        let Some(phone) = self.phones.get_mut(caller) else { return };
        for dialog in phone.dialogs.drain(..) {
            phone.agent.bye(now, dialog, None);
        }
        phone.changed = Some(Instant::now());
        phone.drain(now);
    }

    /// Each of these phones watches the lamps of `count` others, the next ones in the row of them
    /// all.
    pub(crate) fn watch(&mut self, phones: Range<usize>, count: usize) -> io::Result<()> {
        for step in 1..=count {
            for start in phones.clone().step_by(TOGETHER) {
                let together = start..phones.end.min(start + TOGETHER);
                for index in together.clone() {
                    let watched = (index + step) % phones.len();
                    self.subscribe(index, watched);
                }
                self.until("the lamp is watched", |phone| phone.subscribed >= step, together)?;
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, index: usize, watched: usize) {
        let (now, server) = (self.now(), self.server);
        let Some(phone) = self.phones.get_mut(index) else { return };
        let user = format!("bench-{}", extension(index));
        let uri = format!("sip:bench-{}@{server}", extension(watched));
        let request = request(Method::Subscribe, server, &user, &uri, None);
        let headers = vec![
            ("Event", b"dialog".to_vec()),
            ("Accept", b"application/dialog-info+xml".to_vec()),
            ("Expires", b"3600".to_vec()),
        ];
        phone.agent.request(now, Request { headers, ..request });
    }

    /// The NOTIFYs that a phone has got since it was asked last.
    pub(crate) fn notified(&mut self, index: usize) -> Vec<Notified> {
        self.phones
            .get_mut(index)
            .map(|phone| std::mem::take(&mut phone.notified))
            .unwrap_or_default()
    }

    /// When a phone answered a call, or ended one, the last time.
    pub(crate) fn changed(&self, index: usize) -> Option<Instant> {
        self.phones.get(index)?.changed
    }

    /// Lets all phones do what comes for so long.
    pub(crate) fn run_for(&mut self, time: Duration) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.turn(&mut events, 0..self.phones.len())?;
        }
        Ok(())
    }

    /// Each of these phones calls a number that the server answers.
    pub(crate) fn call_number(&mut self, callers: Range<usize>, number: &str) -> io::Result<()> {
        callers.into_iter().try_for_each(|index| {
            self.dial(index, number);
            self.until("the call is up", |phone| phone.up(), index..index + 1)
        })
    }

    fn dial(&mut self, index: usize, number: &str) {
        let (now, server) = (self.now(), self.server);
        let Some(phone) = self.phones.get_mut(index) else { return };
        let user = format!("bench-{}", extension(index));
        let uri = format!("sip:{number}@{server}");
        let body = Some(description(phone.address, phone.speaks));
        phone.calling += 1;
        phone.agent.invite(now, request(Method::Invite, server, &user, &uri, body));
        phone.drain(now);
    }

    /// These phones end the calls that they made.
    pub(crate) fn hang_up(&mut self, callers: Range<usize>) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        for index in callers {
            self.hang_up_now(index);
            // The BYE's answer is nobody's concern any more.
            self.turn(&mut events, index..index + 1)?;
        }
        Ok(())
    }

    /// Runs until what is asked holds for each of these phones.
    fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&Phone) -> bool,
        phones: Range<usize>,
    ) -> io::Result<()> {
        let begun = Instant::now();
        let mut events = Events::with_capacity(1024);
        loop {
            self.turn(&mut events, phones.clone())?;
            if self.phones.get(phones.clone()).is_some_and(|some| some.iter().all(&holds)) {
                return Ok(());
            }
            let some = self.phones.get(phones.clone()).unwrap_or_default();
            if let Some(status) = some.iter().find_map(|phone| phone.refused) {
                return Err(io::Error::other(format!("{status} instead of this: {what}")));
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("it does not come to this: {what}")));
            }
        }
    }

    fn turn(&mut self, events: &mut Events, phones: Range<usize>) -> io::Result<()> {
        let (now, server) = (self.now(), self.server);
        for phone in self.phones.get_mut(phones).into_iter().flatten() {
            phone.agent.handle_timeout(now);
            phone.drain(now);
        }
        self.poll.poll(events, Some(Duration::from_millis(10)))?;
        let mut buffer = [0; 65_535];
        for event in &*events {
            let Some(phone) = self.phones.get_mut(event.token().0) else { continue };
            while let Ok((length, _)) = phone.socket.recv_from(&mut buffer) {
                let bytes = buffer.get(..length).unwrap_or_default();
                phone.agent.handle_bytes(now, flow(server), bytes);
                phone.drain(now);
            }
        }
        Ok(())
    }
}

impl Phone {
    /// Whether every call that it began is up.
    fn up(&self) -> bool {
        self.calling == 0
    }

    fn drain(&mut self, now: Time) {
        while let Some(action) = self.agent.poll_action() {
            match action {
                // A full buffer is a lost datagram; SIP sends it again.
                UaAction::Send { flow, bytes } => {
                    let _ = self.socket.send_to(&bytes, flow.remote);
                }
                UaAction::Event(Event::Invite { tx, .. }) => {
                    let body = Some(description(self.address, self.speaks));
                    self.agent.respond(now, tx, Response { body, ..Response::new(200) });
                    self.changed = Some(Instant::now());
                }
                UaAction::Event(Event::Answered { dialog, .. }) => {
                    self.agent.ack(now, dialog, None);
                    self.calling -= 1;
                    self.dialogs.push(dialog);
                }
                UaAction::Event(Event::Response { status: 200, message, .. }) => {
                    let cseq = message.as_ref().and_then(Message::cseq);
                    match cseq.map(|cseq| cseq.method) {
                        Some(Method::Register) => self.registered = true,
                        Some(Method::Subscribe) => self.subscribed += 1,
                        _ => {}
                    }
                }
                UaAction::Event(Event::Request { tx, message, .. }) => {
                    self.agent.respond(now, tx, Response::new(200));
                    if message.method() == Some(Method::Notify) {
                        self.notified.push(Notified { at: Instant::now(), message });
                    }
                }
                UaAction::Event(Event::Failed { status, .. }) => self.refused = Some(status),
                UaAction::Event(Event::Bye { dialog, .. }) => {
                    self.dialogs.retain(|known| *known != dialog);
                }
                UaAction::Event(Event::InDialog { tx, .. }) => {
                    self.agent.respond(now, tx, Response::new(200));
                }
                UaAction::Event(_) => {}
            }
        }
    }
}

const fn flow(remote: SocketAddr) -> Flow {
    Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection: 0 }
}

fn description(address: SocketAddr, speaks: bool) -> Body {
    let ip = address.ip();
    let direction = if speaks { "sendrecv" } else { "inactive" };
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n\
         a={direction}\r\n",
        address.port()
    );
    Body::sdp(text.into_bytes())
}

fn request(
    method: Method,
    server: SocketAddr,
    user: &str,
    uri: &str,
    body: Option<Body>,
) -> Request {
    Request {
        method,
        flow: flow(server),
        request_uri: uri.as_bytes().to_vec(),
        from: format!("<sip:{user}@{server}>").into_bytes(),
        to: format!("<{uri}>").into_bytes(),
        route: Vec::new(),
        max_forwards: 70,
        headers: Vec::new(),
        body,
        credentials: Some(Credentials { username: user.to_owned(), password: PASSWORD.to_owned() }),
    }
}
