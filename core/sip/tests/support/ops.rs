//! A list of operations against one user agent (RFC 3261, sections 12–17), read from bytes: the
//! peer's messages, the user's verbs, time and broken flows in any order. Whatever the order was,
//! once the user has ended everything the tables are empty. Shared by property test and fuzzer.

use std::time::Duration;

use koukan_base::Time;
use koukan_sip::{
    Body, ClientTx, Counts, DialogId, Event, Flow, Header, Message, Method, Request, Response,
    Scanner, ServerTx, Transport, UaAction, UserAgent,
};

use super::peer::{agent, flow};

/// A user agent with a flow to one peer.
pub(crate) struct Ops {
    now: Time,
    agent: UserAgent,
    flow: Flow,
    servers: Vec<ServerTx>,
    clients: Vec<ClientTx>,
    dialogs: Vec<DialogId>,
    sent: Vec<Vec<u8>>,
}

impl Ops {
    /// Empty tables.
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            now: Time::from_millis(1),
            agent: agent(transport),
            flow: flow(transport),
            servers: Vec::new(),
            clients: Vec::new(),
            dialogs: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Performs every operation of `script`, then ends what stands and checks the tables.
    pub(crate) fn run(mut self, script: &[u8]) {
        for operation in script.chunks_exact(3).take(300) {
            if let [what, which, how] = *operation {
                self.operation(what % 12, which, how);
                self.drain();
            }
        }
        self.finish();
    }

    fn operation(&mut self, what: u8, which: u8, how: u8) {
        let (now, flow) = (self.now, self.flow);
        match what {
            0 => self.peer_request(which, how),
            1 => self.peer_response(which, how),
            2 => self.advance(u64::from(which) * u64::from(how) * 4),
            3 => {
                if let Some(&tx) = pick(&self.servers, which) {
                    let body = (how & 0x20 != 0).then(sdp);
                    let reliable = how & 0x40 != 0;
                    let response = Response { body, reliable, ..Response::new(status(how)) };
                    self.agent.respond(now, tx, response);
                }
            }
            4 => {
                let mut request = request(flow, Method::Invite);
                request.body = request.body.filter(|_| how & 1 == 0);
                self.clients.push(self.agent.invite(now, request));
            }
            5 => {
                if let Some(&tx) = pick(&self.clients, which) {
                    self.agent.cancel(now, tx, None);
                }
            }
            6 => {
                if let Some(&dialog) = pick(&self.dialogs, which) {
                    self.agent.bye(now, dialog, None);
                }
            }
            7 => {
                let methods = [Method::Invite, Method::Info, Method::Update];
                let method = pick(&methods, how).copied().unwrap_or(Method::Invite);
                if let Some(&dialog) = pick(&self.dialogs, which) {
                    let body = (how & 0x20 != 0).then(sdp);
                    let tx = self.agent.request_in_dialog(now, dialog, method, Vec::new(), body);
                    self.clients.extend(tx);
                }
            }
            8 => {
                if let Some(&dialog) = pick(&self.dialogs, which) {
                    self.agent.ack(now, dialog, None);
                }
            }
            9 => self.agent.handle_flow_failed(now, flow),
            10 => {
                if let Some(&dialog) = pick(&self.dialogs, which) {
                    let tx = self.agent.prack(now, dialog, (how & 1 == 0).then(sdp));
                    self.clients.extend(tx);
                }
            }
            _ => {
                let tx = self.agent.request(now, request(flow, Method::Options));
                self.clients.push(tx);
            }
        }
    }

    /// A request of the peer; its few identities make retransmissions, mergers, CANCELs and
    /// requests within dialogs likely.
    fn peer_request(&mut self, which: u8, how: u8) {
        const METHODS: [&str; 8] =
            ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "PRACK"];
        let method = pick(&METHODS, which).copied().unwrap_or("OPTIONS");
        let identity = which >> 3 & 3;
        let dialog = pick(&self.dialogs, how).copied().filter(|_| which & 0x80 != 0);
        let tags = dialog.and_then(|dialog| self.tags_of(dialog));
        let (call_id, ours, theirs) = tags.unwrap_or_else(|| {
            (format!("c{identity}"), String::new(), format!("t{}", identity & 1))
        });
        let body = match how & 0x60 {
            0x20 => "Content-Type: application/sdp\r\n\r\nv=0\r\n",
            0x40 => "Session-Expires: 60\r\n\r\n",
            0x60 => "Session-Expires: 120;refresher=uas\r\n\r\n",
            _ => "\r\n",
        };
        let to_tag = if ours.is_empty() { String::new() } else { format!(";tag={ours}") };
        let text = format!(
            "{method} sip:b@192.0.2.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{call_id}{};rport\r\n\
             From: <sip:a@192.0.2.2>;tag={theirs}\r\nTo: <sip:b@192.0.2.1>{to_tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {} {method}\r\nContact: <sip:a@192.0.2.2>\r\n\
             Max-Forwards: 70\r\nSupported: 100rel, timer\r\n{}{body}",
            how & 3,
            how & 7,
            self.rack(),
        );
        self.agent.handle_bytes(self.now, self.flow, text.as_bytes());
    }

    /// The RAck line that acknowledges the last reliable response that was sent.
    fn rack(&self) -> String {
        let line = self.sent.iter().rev().find_map(|bytes| {
            let message = Message::from_datagram(&mut Scanner::new(), bytes).ok()?;
            let (rseq, cseq) = (message.number(Header::RSeq)?, message.cseq()?.number);
            Some(format!("RAck: {rseq} {cseq} INVITE\r\n"))
        });
        line.unwrap_or_default()
    }

    /// Call-ID, our tag and the peer's tag, out of what was sent in the dialog.
    fn tags_of(&self, dialog: DialogId) -> Option<(String, String, String)> {
        let ours = self.agent.local_tag(dialog)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.sent.iter().rev().find_map(|bytes| {
            let message = Message::from_datagram(&mut Scanner::new(), bytes).ok()?;
            let (from, to) = (message.from_tag()?, message.to_tag()?);
            let theirs = if from == ours { to } else { from };
            (from == ours || to == ours)
                .then(|| (text(message.call_id()), text(ours), text(theirs)))
        })
    }

    /// A response to something that was sent, from one of three forks.
    fn peer_response(&mut self, which: u8, how: u8) {
        let Some(bytes) = pick(&self.sent, which) else { return };
        let Ok(message) = Message::from_datagram(&mut Scanner::new(), bytes) else { return };
        if message.method().is_none() {
            return;
        }
        let mut answer = format!("SIP/2.0 {} X\r\n", status(how)).into_bytes();
        for (name, value) in message.lines() {
            let tagged = name == b"To" && message.to_tag().is_none();
            let suffix = format!(";tag=f{}", how >> 6);
            if matches!(name, b"Via" | b"From" | b"To" | b"Call-ID" | b"CSeq") {
                let suffix = if tagged { suffix.as_bytes() } else { b"" };
                answer.extend([name, b": ", value, suffix, b"\r\n"].concat());
            }
        }
        answer.extend(b"Contact: <sip:f@192.0.2.2>\r\nAllow: UPDATE\r\n");
        answer.extend(
            match how & 0x38 {
                0x08 => format!("Require: 100rel\r\nRSeq: {}\r\n\r\n", which >> 5),
                0x10 => format!("Require: 100rel\r\nRSeq: {}\r\n\r\nv=0\r\n", which >> 5),
                0x18 => "Session-Expires: 120;refresher=uac\r\n\r\n".to_owned(),
                0x20 => "Min-SE: 4000\r\nRetry-After: 3\r\n\r\n".to_owned(),
                0x28 => "\r\nv=0\r\n".to_owned(),
                _ => "\r\n".to_owned(),
            }
            .bytes(),
        );
        self.agent.handle_bytes(self.now, self.flow, &answer);
    }

    fn advance(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.agent.handle_timeout(self.now);
    }

    fn drain(&mut self) {
        while let Some(action) = self.agent.poll_action() {
            match action {
                UaAction::Send { bytes, .. } => {
                    let message = Message::from_datagram(&mut Scanner::new(), &bytes);
                    let message = message.expect("what we send is SIP");
                    assert!(message.via().is_some() && message.cseq().is_some());
                    assert!(message.from().is_some() && message.to().is_some());
                    self.sent.push(bytes);
                }
                UaAction::Event(event) => self.event(&event),
            }
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Request { tx, .. } => self.servers.push(*tx),
            Event::InDialog { tx, dialog, .. } | Event::Invite { tx, dialog, .. } => {
                self.servers.push(*tx);
                self.dialogs.push(*dialog);
            }
            Event::Pracked { tx, dialog, .. } => {
                self.servers.extend(*tx);
                self.dialogs.push(*dialog);
            }
            Event::Answered { dialog, .. } => self.dialogs.push(*dialog),
            Event::Progress { dialog, .. } => self.dialogs.extend(*dialog),
            Event::Cancelled { .. }
            | Event::PrackMissing { .. }
            | Event::TryAgain { .. }
            | Event::RefreshDue { .. }
            | Event::SessionExpired { .. }
            | Event::Acked { .. }
            | Event::AckMissing { .. }
            | Event::Bye { .. }
            | Event::Failed { .. }
            | Event::Response { .. } => {}
        }
    }

    /// The user ends everything; the peer is silent; nothing may stay.
    fn finish(mut self) {
        for _ in 0..3 {
            for tx in std::mem::take(&mut self.servers) {
                self.agent.respond(self.now, tx, Response::new(500));
            }
            for tx in std::mem::take(&mut self.clients) {
                self.agent.cancel(self.now, tx, None);
            }
            for dialog in std::mem::take(&mut self.dialogs) {
                self.agent.bye(self.now, dialog, None);
            }
            self.drain();
            let mut steps = 0;
            while let Some(next) = self.agent.poll_timeout() {
                self.now = self.now.max(next);
                self.agent.handle_timeout(self.now);
                self.drain();
                steps += 1;
                assert!(steps < 100_000, "a timer comes again and again");
            }
        }
        assert_eq!(self.agent.counts(), Counts::default());
    }
}

fn pick<T>(list: &[T], which: u8) -> Option<&T> {
    let back = usize::from(which % 8).checked_rem(list.len())?;
    list.iter().rev().nth(back)
}

fn status(how: u8) -> u16 {
    const STATUS: [u16; 8] = [180, 183, 183, 200, 200, 422, 491, 603];
    pick(&STATUS, how).copied().unwrap_or(500)
}

fn sdp() -> Body {
    Body::sdp(b"v=0\r\n".to_vec())
}

fn request(flow: Flow, method: Method) -> Request {
    Request {
        method,
        flow,
        request_uri: b"sip:b@192.0.2.2".to_vec(),
        from: b"<sip:a@192.0.2.1>".to_vec(),
        to: b"<sip:b@192.0.2.2>".to_vec(),
        route: Vec::new(),
        max_forwards: 70,
        headers: Vec::new(),
        body: Some(sdp()),
        credentials: None,
    }
}
