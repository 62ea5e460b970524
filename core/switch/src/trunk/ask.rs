//! What trunks are sent outside calls: REGISTER (RFC 3261, 10.2) and OPTIONS (11.1), and what
//! their answers mean.

use std::net::SocketAddr;
use std::time::Duration;

use koukan_base::Time;
use koukan_dialplan::NEIGHBOURS_AT;
use koukan_sip::header::NameAddr;
use koukan_sip::{
    ClientTx, FailureCause, Flow, Header, Identity, Message, Method, Request, Transport,
};

use super::registration::{Ask, Outcome, Told};
use super::{Trunk, shown, transport};
use crate::action::{Action, Now};
use crate::config::TrunkKey;
use crate::neighbours::way;
use crate::switch::Switch;

/// What a request of ours asked.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// To be registered there.
    Register { key: TrunkKey, host: SocketAddr, asked_s: u32, contact: Vec<u8> },
    /// Whether it is there.
    Probe { key: TrunkKey, host: SocketAddr },
    /// Not to be registered any more: whatever it says.
    Farewell,
}

impl Switch {
    /// Everything that is due at the trunks.
    pub(crate) fn handle_trunks(&mut self, now: Now) {
        self.trunks.see(now.time);
        while let Some((at, key)) = self.trunks.deadlines.first().cloned() {
            if at > now.time {
                return;
            }
            self.trunks.deadlines.pop_first();
            let Some(mut trunk) = self.trunks.by_key.remove(&key) else { continue };
            trunk.deadline = None;
            self.run_trunk(now.time, &key, &mut trunk);
            self.trunks.by_key.insert(key.clone(), trunk);
            self.trunks.wake(&key);
        }
    }

    fn run_trunk(&mut self, now: Time, key: &TrunkKey, trunk: &mut Trunk) {
        let lived = !trunk.hosts.is_down(now);
        let home = trunk.registration.as_ref().and_then(|known| known.stands());
        let home = home.map(|(host, _)| host).filter(|host| trunk.hosts.is_usable(now, *host));
        while let Some(host) = trunk.hosts.due(now) {
            self.probe_host(now, key, trunk, host);
        }
        if lived && trunk.hosts.is_down(now) {
            self.tell(key, true, "none of its hosts answers");
        }
        let Some(registration) = &mut trunk.registration else { return };
        if home.is_some_and(|host| !trunk.hosts.is_usable(now, host)) {
            registration.hurry(now);
        }
        let stood = registration.stands().is_some();
        let ask = registration.handle_timeout(now);
        if stood && registration.stands().is_none() {
            self.tell(key, true, "our registration there has run out");
        }
        let Some(ask) = ask else { return };
        let fits = |host: &SocketAddr| !ask.but.contains(host) && trunk.hosts.is_usable(now, *host);
        let mut prefer = ask.prefer.filter(fits);
        let mut passed = ask.but.clone();
        // A host that no listener of ours reaches, of the other family, is passed over.
        let sent = loop {
            let host = prefer.take().or_else(|| trunk.hosts.choose(now, &mut self.rng, &passed));
            let Some(host) = host else { break None };
            if self.send_register(now, key, trunk, host, &ask) {
                break Some(host);
            }
            passed.push(host);
        };
        let Some(registration) = &mut trunk.registration else { return };
        match sent {
            Some(host) => registration.sent(host),
            None => {
                let told = registration.no_host(now, &mut self.rng);
                self.tell_registration(key, &told);
            }
        }
    }

    fn probe_host(&mut self, now: Time, key: &TrunkKey, trunk: &mut Trunk, host: SocketAddr) {
        let Some(flow) = self.flow_to(host, transport(&trunk.info)) else {
            return trunk.hosts.probe_failed(now, host);
        };
        let own = self.host_of(flow);
        let target = format!("sip:{host}{}", parameter(flow.transport));
        let request = Request {
            method: Method::Options,
            flow,
            to: format!("<{target}>").into_bytes(),
            request_uri: target.into_bytes(),
            from: format!("<sip:koukan@{own}>").into_bytes(),
            route: Vec::new(),
            max_forwards: 70,
            headers: vec![("Accept", b"application/sdp".to_vec())],
            body: None,
            credentials: None,
        };
        let tx = self.ua.request(now, request);
        self.trunks.asked.insert(tx, Question::Probe { key: key.clone(), host });
    }

    /// Sends a REGISTER; false when no listener reaches the host.
    fn send_register(
        &mut self,
        now: Time,
        key: &TrunkKey,
        trunk: &mut Trunk,
        host: SocketAddr,
        ask: &Ask,
    ) -> bool {
        let Some(account) = trunk.info.account.clone() else { return false };
        let Some(flow) = self.flow_to(host, transport(&trunk.info)) else { return false };
        let named = trunk.hosts.at(host).and_then(|at| at.name.as_deref());
        let bare = bare(host);
        let domain = account.domain.as_deref().or(named).unwrap_or(&bare);
        let with_port = host.to_string();
        let registrar = account.domain.as_deref().or(named).unwrap_or(&with_port);
        let address = format!("<sip:{}@{domain}>", account.user);
        let (own, parameter) = (self.host_of(flow), parameter(flow.transport));
        let contact = format!("sip:{}@{own}{parameter}", account.user);
        // The answer to a challenge has taken a number of its own.
        trunk.cseq = trunk.cseq.saturating_add(2);
        let identity = Identity {
            call_id: trunk.call_id.clone(),
            local_tag: trunk.tag.clone(),
            cseq: trunk.cseq,
        };
        let request = Request {
            method: Method::Register,
            flow,
            request_uri: format!("sip:{registrar}").into_bytes(),
            from: address.clone().into_bytes(),
            to: address.into_bytes(),
            route: Vec::new(),
            max_forwards: 70,
            headers: vec![
                ("Contact", format!("<{contact}>").into_bytes()),
                ("Expires", ask.expires_s.to_string().into_bytes()),
            ],
            body: None,
            credentials: trunk.route.credentials.clone(),
        };
        let tx = self.ua.request_as(now, request, identity);
        let question = match ask.expires_s {
            0 => Question::Farewell,
            asked_s => {
                let (key, contact) = (key.clone(), contact.into_bytes());
                Question::Register { key, host, asked_s, contact }
            }
        };
        self.trunks.asked.insert(tx, question);
        true
    }

    /// Takes our registration at a trunk back, when it stands.
    pub(super) fn take_back(&mut self, now: Time, key: &TrunkKey) {
        let Some(mut trunk) = self.trunks.by_key.remove(key) else { return };
        let ask = trunk.registration.take().and_then(|mut registration| registration.stop());
        if let Some((ask, host)) = ask.and_then(|ask| ask.prefer.map(|host| (ask, host))) {
            self.send_register(now, key, &mut trunk, host, &ask);
        }
        self.trunks.by_key.insert(key.clone(), trunk);
        self.trunks.wake(key);
    }

    /// Takes back every registration, for an orderly stop.
    pub(crate) fn leave_trunks(&mut self, now: Time) {
        let mut keys: Vec<TrunkKey> = self.trunks.by_key.keys().cloned().collect();
        keys.sort_unstable();
        for key in keys {
            self.take_back(now, &key);
        }
    }

    /// The outcome of a request outside dialogs; false when it was none of these.
    pub(crate) fn trunk_answered(
        &mut self,
        now: Now,
        tx: ClientTx,
        status: u16,
        cause: FailureCause,
        message: Option<&Message>,
    ) -> bool {
        let Some(question) = self.trunks.asked.remove(&tx) else { return false };
        self.trunks.see(now.time);
        match question {
            Question::Farewell => {}
            Question::Probe { key, host } => self.probe_ended(now.time, &key, host, status, cause),
            Question::Register { key, host, asked_s, contact } => {
                let outcome = outcome(status, cause, message, (asked_s, &contact));
                let Some(mut trunk) = self.trunks.by_key.remove(&key) else { return true };
                if matches!(outcome, Outcome::HostFailed { .. }) {
                    if cause != FailureCause::Response || status == 503 {
                        trunk.hosts.failed(now.time, host, message.and_then(retry_after));
                    }
                } else {
                    trunk.hosts.answered(host);
                }
                if let Some(registration) = &mut trunk.registration {
                    let told = registration.handle_outcome(now.time, &mut self.rng, outcome);
                    self.tell_registration(&key, &told);
                }
                self.trunks.by_key.insert(key.clone(), trunk);
                self.trunks.wake(&key);
            }
        }
        true
    }

    fn probe_ended(
        &mut self,
        now: Time,
        key: &TrunkKey,
        host: SocketAddr,
        status: u16,
        cause: FailureCause,
    ) {
        let Some(trunk) = self.trunks.by_key.get_mut(key) else { return };
        let was_down = trunk.hosts.is_down(now);
        let was_out = !trunk.hosts.is_usable(now, host);
        match cause {
            // Any answer shows that somebody is there, but one that takes nothing.
            FailureCause::Response if status != 503 => trunk.hosts.probe_answered(now, host),
            FailureCause::Response | FailureCause::Transport => trunk.hosts.probe_failed(now, host),
            // Its patience was over long before.
            FailureCause::Timeout => {}
        }
        let is_back = was_down && !trunk.hosts.is_down(now);
        // A host that was away may have forgotten us; one that comes back may know us again.
        if was_out
            && trunk.hosts.is_usable(now, host)
            && let Some(registration) = &mut trunk.registration
            && registration.stands().is_none_or(|(home, _)| home == host)
        {
            registration.hurry(now);
        }
        if is_back {
            self.tell(key, false, "its host answers again");
        }
        self.trunks.wake(key);
    }

    fn tell_registration(&mut self, key: &TrunkKey, told: &Told) {
        match told {
            Told::Nothing => {}
            Told::Stands => self.tell(key, false, "we are registered there"),
            Told::Failed { status, pause } => {
                let wait = pause.as_secs();
                let text = format!("we are not registered there: {status}; again in {wait} s");
                self.tell(key, true, &text);
            }
        }
    }

    fn tell(&mut self, key: &TrunkKey, grave: bool, what: &str) {
        let text = format!("trunk {}: {what}", shown(key));
        self.actions.push_back(Action::Notice { grave, text });
    }

    /// The way to an address by a transport.
    pub(crate) fn flow_to(&self, address: SocketAddr, transport: Transport) -> Option<Flow> {
        if address == NEIGHBOURS_AT {
            return Some(way());
        }
        let listener = self.config.listeners.iter().find(|listener| {
            listener.transport == transport && listener.advertised.is_ipv4() == address.is_ipv4()
        })?;
        Some(Flow { transport, listener: listener.id, remote: address, connection: 0 })
    }
}

/// What the final response to a REGISTER says.
fn outcome(
    status: u16,
    cause: FailureCause,
    message: Option<&Message>,
    (asked_s, contact): (u32, &[u8]),
) -> Outcome {
    if cause != FailureCause::Response {
        return Outcome::HostFailed { status };
    }
    match status {
        200..=299 => {
            let expires_s =
                message.and_then(|message| granted(message, contact)).unwrap_or(asked_s);
            Outcome::Granted { expires_s }
        }
        423 => {
            let min_s = message.and_then(|message| message.number(Header::MinExpires));
            Outcome::TooBrief { min_s: min_s.unwrap_or(0) }
        }
        // RFC 3261, 8.1.3.4: another place; ours are those that the plan names.
        300..=399 | 408 | 430 | 500..=599 => Outcome::HostFailed { status },
        _ => Outcome::Refused { status },
    }
}

/// For how long we are bound. The response lists every contact of the account, also those of other
/// machines (RFC 3261, 10.2.4). A registrar behind an address translation may show ours changed:
/// among none that is as we sent it, ours is the one that is bound for longest, the newest.
fn granted(message: &Message, own: &[u8]) -> Option<u32> {
    let seconds = |contact: &NameAddr| {
        let text = std::str::from_utf8(contact.params.value(b"expires")?).ok()?;
        text.trim().parse().ok()
    };
    let contacts = || message.list(Header::Contact).filter_map(NameAddr::parse);
    if let Some(ours) = contacts().find(|contact| contact.uri_text == own) {
        return seconds(&ours).or_else(|| message.number(Header::Expires));
    }
    contacts().filter_map(|contact| seconds(&contact)).max().or(message.number(Header::Expires))
}

/// How long a host wants to be left alone (RFC 3261, 20.33: a comment may follow).
pub(crate) fn retry_after(message: &Message) -> Option<Duration> {
    let value = message.header(Header::RetryAfter)?;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(value.get(..digits)?).ok()?;
    text.parse().ok().map(Duration::from_secs)
}

/// The transport as a parameter of a URI; UDP needs none.
pub(crate) fn parameter(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    }
}

/// An address as the host of a URI.
fn bare(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}
