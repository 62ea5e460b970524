//! A phone, or the carrier: a real user agent with a habit.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use koukan_base::{Rng, Time};
use koukan_sip::sdp::{
    AudioFormat, Crypto, Direction, LocalAudio, LocalImage, LocalSession, Session,
};
use koukan_sip::{
    Body, ClientTx, DialogId, Event, Header, Listener, ListenerId, Message, Method, Response,
    ServerTx, Transport, UaAction, UaConfig, UserAgent,
};

use super::{PASSWORD, SERVER, flow, request};

/// What a phone does when it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Rings for ever.
    Rings,
    /// Rings and answers after so many milliseconds.
    Answers(u64),
    /// Sends no 18x and answers.
    AnswersAtOnce,
    /// Refuses at once.
    Refuses(u16),
    /// Rings, then refuses.
    RefusesAfter(u64, u16),
    /// Sends early media (183 with SDP) and answers with other media later.
    EarlyThenAnswers(u64),
    /// Sends such a redirection to this user.
    Redirects(&'static str),
    /// Answers with a description that cannot be used.
    AnswersRubbish,
    /// Shows no life but a 100.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
enum Later {
    Answer(ServerTx, DialogId),
    Refuse(ServerTx, u16),
}

pub(crate) struct Phone {
    pub(crate) name: char,
    pub(crate) ua: UserAgent,
    pub(crate) address: SocketAddr,
    pub(crate) media: SocketAddr,
    pub(crate) user: String,
    pub(crate) does: Does,
    /// It knows lists (RFC 4662).
    pub(crate) lists: bool,
    /// Its payload type of telephone-event, when it has it.
    pub(crate) telephone_event: Option<u8>,
    /// Its keys of SRTP, and whether it takes nothing else.
    pub(crate) crypto: Vec<Crypto>,
    pub(crate) secure: bool,
    /// What its responses to INVITEs say beside their description.
    pub(crate) answer_headers: Vec<(&'static str, Vec<u8>)>,
    /// Offers are left out of INVITEs.
    pub(crate) late_offer: bool,
    /// 2xx responses to INVITEs are not acknowledged.
    pub(crate) never_acks: bool,
    /// So many re-INVITEs are refused because one of its own is under way.
    pub(crate) crosses: u32,
    /// Its network is gone.
    pub(crate) gone: bool,
    /// Further headers of its INVITEs, and a From instead of its own.
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) from: Option<Vec<u8>>,
    /// What it heard, one line each.
    pub(crate) log: Vec<String>,
    /// The last INVITE that came.
    pub(crate) invite: Option<Message>,
    /// Responses to requests that were no INVITE, and refusals.
    pub(crate) responses: Vec<Message>,
    /// NOTIFYs of its subscriptions, and what it answers them with.
    pub(crate) notifies: Vec<Message>,
    pub(crate) notify_status: u16,
    /// Requests within calls.
    pub(crate) requests: Vec<Message>,
    /// Who is at the other end, as responses to INVITEs told.
    pub(crate) connected: Vec<String>,
    /// Descriptions that came in responses to INVITEs.
    pub(crate) descriptions: Vec<Session>,
    /// It answers offers of T.38, instead of refusing them.
    pub(crate) takes_t38: bool,
    pub(crate) refuses_t38: u16,
    calling: Option<ClientTx>,
    /// Provisional responses that had to be acknowledged.
    pub(crate) reliable: usize,
    offered_early: bool,
    /// Early dialogs of its own calls, and the one that rings it.
    pub(crate) early: Vec<DialogId>,
    pub(crate) ringing: Option<DialogId>,
    waiting: Option<(ServerTx, DialogId)>,
    pub(crate) up: Vec<DialogId>,
    session: LocalSession,
    later: BTreeMap<(Time, u64), Later>,
    count: u64,
}

impl Phone {
    pub(crate) fn new(name: char, seed: u64) -> Self {
        let number = u8::try_from(u32::from(name) - u32::from('A')).unwrap();
        let trunk = name == super::TRUNK;
        let address: SocketAddr = if trunk {
            "127.0.0.1:5070".parse().unwrap()
        } else {
            ([192, 0, 2, 11 + number], 5060).into()
        };
        let media = SocketAddr::new(address.ip(), 4000);
        let user = if trunk {
            "0455550001".to_owned()
        } else {
            format!("acme-{}", 801 + u32::from(number))
        };
        let listener =
            Listener { id: ListenerId(0), transport: Transport::Udp, advertised: address };
        let config = UaConfig {
            listeners: vec![listener],
            server_name: format!("phone {name}"),
            max_transactions: 1000,
            max_dialogs: 1000,
            ..UaConfig::default()
        };
        let rng = Rng::from_number(seed.wrapping_mul(100).wrapping_add(u64::from(number)));
        Self {
            name,
            ua: UserAgent::new(config, rng),
            address,
            media,
            user,
            does: Does::Rings,
            lists: true,
            telephone_event: Some(101),
            crypto: Vec::new(),
            secure: false,
            answer_headers: Vec::new(),
            late_offer: false,
            never_acks: false,
            crosses: 0,
            gone: false,
            headers: Vec::new(),
            from: None,
            log: Vec::new(),
            invite: None,
            responses: Vec::new(),
            notifies: Vec::new(),
            notify_status: 200,
            requests: Vec::new(),
            connected: Vec::new(),
            descriptions: Vec::new(),
            takes_t38: false,
            refuses_t38: 488,
            calling: None,
            reliable: 0,
            offered_early: false,
            early: Vec::new(),
            ringing: None,
            waiting: None,
            up: Vec::new(),
            session: LocalSession::new(u64::from(number) + 2),
            later: BTreeMap::new(),
            count: 0,
        }
    }

    /// Its Allow no longer lists UPDATE; to be called before anything else.
    pub(crate) fn take_no_update(&mut self) {
        let listener =
            Listener { id: ListenerId(0), transport: Transport::Udp, advertised: self.address };
        let config = UaConfig {
            listeners: vec![listener],
            allow: "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO",
            ..UaConfig::default()
        };
        self.ua = UserAgent::new(config, Rng::from_number(77));
    }

    pub(crate) fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.user, self.address)
    }

    /// REGISTER with these headers, or with the usual contact.
    pub(crate) fn register(&mut self, now: Time, headers: &[(&'static str, &str)]) {
        let user = self.user.clone();
        self.register_as(now, &user, PASSWORD, &user, headers);
    }

    pub(crate) fn register_as(
        &mut self,
        now: Time,
        user: &str,
        password: &str,
        aor: &str,
        headers: &[(&'static str, &str)],
    ) {
        let mut request = request(Method::Register, user, &format!("sip:{SERVER}"), password);
        request.to = format!("<sip:{aor}@{SERVER}>").into_bytes();
        let given = headers.iter().map(|(name, value)| (*name, value.as_bytes().to_vec()));
        request.headers = given.collect();
        if headers.iter().all(|(name, _)| *name != "Contact") {
            request.headers.push(("Contact", self.contact().into_bytes()));
        }
        self.ua.request(now, request);
    }

    pub(crate) fn call(&mut self, now: Time, number: &str) {
        let user = self.user.clone();
        self.call_as(now, number, &user, PASSWORD);
    }

    pub(crate) fn call_as(&mut self, now: Time, number: &str, user: &str, password: &str) {
        let mut request =
            request(Method::Invite, user, &format!("sip:{number}@{SERVER}"), password);
        request.headers.clone_from(&self.headers);
        if let Some(from) = &self.from {
            request.from.clone_from(from);
        }
        if !self.late_offer {
            request.body = Some(self.offer(Direction::SendRecv));
        }
        self.calling = Some(self.ua.invite(now, request));
    }

    /// Calls as a machine that offers T.38 and no audio, in words of its own.
    pub(crate) fn call_by_t38(&mut self, now: Time, number: &str, own: fn(&str) -> String) {
        let user = self.user.clone();
        let mut request =
            request(Method::Invite, &user, &format!("sip:{number}@{SERVER}"), PASSWORD);
        let offer = self.session.offer_image(&self.image());
        request.body = Some(Body::sdp(own(&String::from_utf8_lossy(&offer)).into_bytes()));
        self.calling = Some(self.ua.invite(now, request));
    }

    pub(crate) fn give_up(&mut self, now: Time) {
        if let Some(tx) = self.calling {
            self.ua.cancel(now, tx, None);
        }
    }

    pub(crate) fn hang_up(&mut self, now: Time) {
        for dialog in std::mem::take(&mut self.up) {
            self.ua.bye(now, dialog, None);
        }
    }

    /// A new offer within the call.
    pub(crate) fn offer_again(&mut self, now: Time, direction: Direction) {
        let body = self.offer(direction);
        let dialog = self.up[0];
        self.ua.request_in_dialog(now, dialog, Method::Invite, Vec::new(), Some(body)).unwrap();
    }

    /// A new offer in these words, from its usual one by replacing.
    pub(crate) fn offer_changed(&mut self, now: Time, direction: Direction, from: &str, to: &str) {
        let body = self.offer(direction);
        let text = String::from_utf8(body.bytes).unwrap();
        assert!(text.contains(from), "{text}");
        let body = Body::sdp(text.replace(from, to).into_bytes());
        let dialog = self.up[0];
        self.ua.request_in_dialog(now, dialog, Method::Invite, Vec::new(), Some(body)).unwrap();
    }

    /// A re-INVITE without an offer; the ACK answers what comes, or says nothing.
    pub(crate) fn ask_for_offer(&mut self, now: Time, answers: bool) {
        self.late_offer = answers;
        let dialog = self.up[0];
        self.ua.request_in_dialog(now, dialog, Method::Invite, Vec::new(), None).unwrap();
    }

    pub(crate) fn in_dialog(&mut self, now: Time, method: Method, body: Option<Body>) {
        let dialog = self.up[0];
        self.ua.request_in_dialog(now, dialog, method, Vec::new(), body).unwrap();
    }

    /// Watches something: the user of the SUBSCRIBE's target and its package.
    pub(crate) fn subscribe(&mut self, now: Time, target: &str, package: &str, expires: u32) {
        let uri = format!("sip:{target}@{SERVER}");
        let user = self.user.clone();
        let mut request = request(Method::Subscribe, &user, &uri, PASSWORD);
        request.headers = vec![
            ("Event", package.as_bytes().to_vec()),
            ("Expires", expires.to_string().into_bytes()),
            ("Contact", self.contact().into_bytes()),
        ];
        let lists = self.lists.then(|| ("Supported", b"eventlist".to_vec()));
        request.headers.extend(lists);
        self.ua.request(now, request);
    }

    /// The same again within the dialog that its first 200 opened.
    pub(crate) fn subscribe_again(&mut self, now: Time, package: &str, expires: u32) {
        let accepted = |message: &&Message| {
            message.status() == Some(200)
                && message.cseq().is_some_and(|cseq| cseq.method == Method::Subscribe)
        };
        let granted = self.responses.iter().find(accepted).unwrap().clone();
        let newest = self.responses.iter().rfind(accepted).unwrap().cseq().unwrap();
        let user = self.user.clone();
        let mut request = request(Method::Subscribe, &user, &format!("sip:{SERVER}"), PASSWORD);
        request.to = granted.header(Header::To).unwrap().to_vec();
        request.headers = vec![
            ("Event", package.as_bytes().to_vec()),
            ("Expires", expires.to_string().into_bytes()),
            ("Contact", self.contact().into_bytes()),
        ];
        let identity = koukan_sip::Identity {
            call_id: granted.call_id().to_vec(),
            local_tag: granted.from_tag().unwrap().to_vec(),
            cseq: newest.number + 1,
        };
        self.ua.request_as(now, request, identity);
    }

    /// Asks the exchange to connect the other party with `target` (a Refer-To value).
    pub(crate) fn refer(
        &mut self,
        now: Time,
        target: &str,
        headers: &[(&'static str, &str)],
    ) -> Option<ClientTx> {
        let dialog = self.up[0];
        let further = headers.iter().map(|(name, value)| (*name, value.as_bytes().to_vec()));
        let mut headers = vec![("Refer-To", target.as_bytes().to_vec())];
        headers.extend(further);
        self.ua.request_in_dialog(now, dialog, Method::Refer, headers, None)
    }

    /// Its newest call as another one's Replaces header names it.
    pub(crate) fn replaced(&self) -> String {
        self.replaces(*self.up.last().unwrap())
    }

    pub(crate) fn replaces(&self, dialog: DialogId) -> String {
        let (call_id, own, theirs) = self.ua.identity(dialog).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        format!("{};to-tag={};from-tag={}", text(call_id), text(theirs), text(own))
    }

    /// The statuses that NOTIFYs of a transfer told, in order.
    pub(crate) fn told(&self) -> Vec<u16> {
        let notify = |message: &&Message| message.method() == Some(Method::Notify);
        let status = |message: &Message| {
            let body = String::from_utf8(message.body().to_vec()).unwrap();
            body.split(' ').nth(1)?.parse().ok()
        };
        self.requests.iter().filter(notify).filter_map(status).collect()
    }

    fn local(&self, direction: Direction) -> LocalAudio {
        let format = |payload_type, name: &str| AudioFormat {
            payload_type,
            name: name.to_owned(),
            clock_rate: 8000,
            channels: 1,
        };
        LocalAudio {
            address: self.media,
            formats: vec![format(0, "PCMU"), format(8, "PCMA")],
            telephone_event: self.telephone_event,
            ptime_ms: 20,
            direction,
            crypto: self.crypto.clone(),
            secure: self.secure,
        }
    }

    fn offer(&mut self, direction: Direction) -> Body {
        let local = self.local(direction);
        Body::sdp(self.session.offer(&local))
    }

    fn image(&self) -> LocalImage {
        LocalImage { address: self.media, max_datagram: 238 }
    }

    fn offered_image(&self, message: &Message) -> Option<Session> {
        let offer = Session::parse(message.sdp()?).unwrap();
        offer.image().is_some().then_some(offer)
    }

    /// T.38 in the place of its audio.
    pub(crate) fn offer_t38(&mut self, now: Time) {
        let local = self.image();
        let body = Some(Body::sdp(self.session.offer_image(&local)));
        let dialog = self.up[0];
        // Nothing is sent while another offer of its own waits.
        self.ua.request_in_dialog(now, dialog, Method::Invite, Vec::new(), body);
    }

    /// The answer to the offer in a message, or an offer when it has none.
    fn describe(&mut self, message: &Message) -> Body {
        let local = self.local(Direction::SendRecv);
        match message.sdp().map(|body| Session::parse(body).unwrap()) {
            Some(offer) if offer.audio().is_none() => {
                let local = self.image();
                Body::sdp(self.session.answer_image(&offer, &local).unwrap().0)
            }
            Some(offer) => Body::sdp(self.session.answer(&offer, &local, false).unwrap().0),
            None => Body::sdp(self.session.offer(&local)),
        }
    }

    pub(crate) fn handle_bytes(&mut self, now: Time, bytes: &[u8]) {
        if !self.gone {
            self.ua.handle_bytes(now, flow(super::address()), bytes);
        }
    }

    pub(crate) fn next(&self) -> Option<Time> {
        let later = self.later.keys().next().map(|(at, _)| *at);
        [later, self.ua.poll_timeout()].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.ua.handle_timeout(now);
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Later::Refuse(tx, status) => self.ua.respond(now, tx, Response::new(status)),
                Later::Answer(tx, dialog) => self.answer(now, tx, dialog),
            }
        }
    }

    fn answer(&mut self, now: Time, tx: ServerTx, dialog: DialogId) {
        let Some(message) = self.invite.clone() else { return };
        let body = match self.does {
            Does::AnswersRubbish => Body::sdp(b"v=0\r\nm=video 1 RTP/AVP 31\r\n".to_vec()),
            _ => self.describe(&message),
        };
        if self.ua.flow(dialog).is_none() {
            return;
        }
        let headers = self.answer_headers.clone();
        self.ua.respond(now, tx, Response { body: Some(body), headers, ..Response::new(200) });
        self.up.push(dialog);
    }

    /// Answers the INVITE that waits.
    pub(crate) fn pick_up(&mut self, now: Time, dialog: DialogId) {
        if let Some((tx, _)) = self.waiting.take_if(|(_, known)| *known == dialog) {
            self.answer(now, tx, dialog);
        }
    }

    fn after(&mut self, now: Time, ms: u64, later: Later) {
        self.count += 1;
        self.later.insert((now + Duration::from_millis(ms), self.count), later);
    }

    /// Does what its user agent tells it; what it sends goes to `sent`.
    pub(crate) fn drain(&mut self, now: Time, sent: &mut Vec<(SocketAddr, Vec<u8>)>) {
        while let Some(action) = self.ua.poll_action() {
            match action {
                UaAction::Send { bytes, .. } if !self.gone => sent.push((self.address, bytes)),
                UaAction::Send { .. } => {}
                UaAction::Event(event) => self.event(now, event),
            }
        }
    }

    fn event(&mut self, now: Time, event: Event) {
        match event {
            Event::Invite { tx, dialog, message, .. } => self.called(now, tx, dialog, message),
            Event::Cancelled { reason, .. } => {
                let reason = reason.map(|reason| String::from_utf8(reason).unwrap());
                self.log.push(format!("cancelled {}", reason.unwrap_or_default()));
            }
            Event::Acked { .. } => self.log.push("acked".to_owned()),
            Event::AckMissing { dialog } => {
                self.up.retain(|known| *known != dialog);
                self.ua.bye(now, dialog, None);
            }
            Event::InDialog { tx, message, .. } => {
                self.log.push(format!("request {:?}", message.method().unwrap()));
                self.requests.push(message.clone());
                let invite = message.method() == Some(Method::Invite);
                if invite && self.crosses > 0 {
                    self.crosses -= 1;
                    self.ua.respond(now, tx, Response::new(491));
                    return;
                }
                if let Some(offer) = self.offered_image(&message) {
                    let local = self.image();
                    let taken = self.takes_t38.then(|| self.session.answer_image(&offer, &local));
                    let body = taken.map(|answer| Body::sdp(answer.unwrap().0));
                    let status = if body.is_some() { 200 } else { self.refuses_t38 };
                    self.ua.respond(now, tx, Response { body, ..Response::new(status) });
                    return;
                }
                let body = invite.then(|| self.describe(&message));
                self.ua.respond(now, tx, Response { body, ..Response::new(200) });
            }
            Event::Bye { dialog, message } => {
                self.up.retain(|known| *known != dialog);
                let reason = message.header(Header::Reason).unwrap_or_default();
                self.log.push(format!("bye {}", String::from_utf8_lossy(reason)));
            }
            Event::Progress { status, message, dialog, offer, .. } => {
                self.reliable += usize::from(message.header(Header::RSeq).is_some());
                self.early.extend(dialog);
                self.log.push(format!("progress {status}"));
                self.take_description(&message);
                if let Some(dialog) = dialog.filter(|_| offer) {
                    let body = self.describe(&message);
                    self.ua.prack(now, dialog, Some(body)).unwrap();
                    self.offered_early = true;
                }
            }
            Event::Answered { dialog, message, .. } => {
                self.log.push("answered".to_owned());
                self.take_description(&message);
                let late = self.late_offer && !std::mem::take(&mut self.offered_early);
                let body = late.then(|| self.describe(&message));
                if !self.never_acks {
                    self.ua.ack(now, dialog, body);
                }
                if !self.up.contains(&dialog) {
                    self.up.push(dialog);
                }
            }
            Event::Failed { status, message, .. } => {
                self.log.push(format!("failed {status}"));
                self.responses.extend(message);
            }
            Event::Response { status, message, .. } => {
                self.log.push(format!("response {status}"));
                self.responses.extend(message);
            }
            Event::Request { tx, message, .. } => {
                self.notifies.push(message);
                self.ua.respond(now, tx, Response::new(self.notify_status));
            }
            Event::SessionExpired { dialog } => self.ua.bye(now, dialog, None),
            Event::Pracked { .. }
            | Event::PrackMissing { .. }
            | Event::TryAgain { .. }
            | Event::RefreshDue { .. } => {}
        }
    }

    fn take_description(&mut self, message: &Message) {
        let who = message.header(Header::PAssertedIdentity);
        self.connected.extend(who.map(|who| String::from_utf8(who.to_vec()).unwrap()));
        self.descriptions.extend(message.sdp().map(|body| Session::parse(body).unwrap()));
    }

    fn called(&mut self, now: Time, tx: ServerTx, dialog: DialogId, message: Message) {
        self.log.push("invite".to_owned());
        self.ringing = Some(dialog);
        self.waiting = Some((tx, dialog));
        self.invite = Some(message.clone());
        let does = self.does.clone();
        if matches!(does, Does::Rings | Does::Answers(_) | Does::RefusesAfter(..)) {
            self.ua.respond(now, tx, Response::new(180));
        }
        match does {
            Does::Rings | Does::Nothing => {}
            Does::Answers(ms) => self.after(now, ms, Later::Answer(tx, dialog)),
            Does::AnswersAtOnce | Does::AnswersRubbish => self.answer(now, tx, dialog),
            Does::Redirects(user) => {
                let contact = format!("<sip:{user}@{SERVER}>").into_bytes();
                let headers = vec![("Contact", contact)];
                self.ua.respond(now, tx, Response { headers, ..Response::new(302) });
            }
            Does::Refuses(status) => self.ua.respond(now, tx, Response::new(status)),
            Does::RefusesAfter(ms, status) => self.after(now, ms, Later::Refuse(tx, status)),
            Does::EarlyThenAnswers(ms) => {
                let announced = self.media;
                self.media = early(announced);
                let body = Some(self.describe(&message));
                self.media = announced;
                self.ua.respond(now, tx, Response { body, ..Response::new(183) });
                self.after(now, ms, Later::Answer(tx, dialog));
            }
        }
    }

    pub(crate) fn heard(&self, line: &str) -> bool {
        self.log.iter().any(|known| known == line)
    }

    pub(crate) fn counts(&self) -> koukan_sip::Counts {
        self.ua.counts()
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.up.is_empty() && self.counts() == koukan_sip::Counts::default()
    }
}

/// Where a carrier's early media comes from: another port than the answer's.
pub(crate) fn early(media: SocketAddr) -> SocketAddr {
    SocketAddr::new(media.ip(), media.port() + 100)
}
