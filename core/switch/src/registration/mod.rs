//! REGISTER (RFC 3261, section 10) with digest (section 22), and what it leaves in the journal.

mod dismissed;
pub(crate) mod guard;
mod habits;
pub(crate) mod keepalive;
pub(crate) mod throttle;

use std::net::SocketAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use koukan_base::Time;
use koukan_dialplan::DeviceInfo;
use koukan_sip::digest::Verdict;
use koukan_sip::header::Uri;
use koukan_sip::registrar::{
    Binding, BindingKey, Change, Health, Liveness, RegisterError, RegisterRequest,
};
use koukan_sip::{Flow, Header, Listener, ListenerId, Message, Response, ServerTx, Transport};

use crate::action::{Action, Now};
use crate::record::{Contact, Record};
use crate::registration::habits::takes_md5_alone;
use crate::switch::Switch;
use crate::view::RegistrationView;

impl Switch {
    pub(crate) fn register(&mut self, now: Now, tx: ServerTx, flow: Flow, message: &Message) {
        let Some(device) = self.authenticate(now, (tx, flow), message, Challenge::Registrar) else {
            return;
        };
        let own = message.to().and_then(|to| to.uri()).and_then(|uri| self.device_of(uri));
        if own.is_none_or(|own| own.user != device.user) {
            self.ua.respond(now.time, tx, Response::new(403));
            return;
        }
        let most = usize::try_from(device.max_contacts).unwrap_or(1);
        let before: Vec<(BindingKey, Flow)> = self
            .registrar
            .bindings(&device.user)
            .iter()
            .map(|binding| (binding.key(), binding.flow))
            .collect();
        let old = before.first().map(|(_, flow)| *flow);
        let outcome = RegisterRequest::from_message(message).and_then(|request| {
            let changes = self.registrar.register(now.time, &device.user, &request, flow, most)?;
            Ok((changes, request.is_outbound()))
        });
        match outcome {
            Ok((changes, outbound)) => {
                let changed = !changes.is_empty();
                for change in changes {
                    self.move_dialogs(&before, &change);
                    let record = record(now, &device.user, change);
                    self.actions.push_back(Action::Record(record));
                }
                let response = self.registered(now, &device.user, outbound);
                self.ua.respond(now.time, tx, response);
                if changed {
                    let way = old.map(|old| (old, flow));
                    self.registration_changed(now, &device.user, way);
                    self.tell_messages(now, &device);
                }
            }
            Err(error) => self.ua.respond(now.time, tx, refusal(error)),
        }
    }

    /// A phone that registers from elsewhere takes its calls along: its connection broke and it
    /// made another, or its NAT gave it another port.
    fn move_dialogs(&mut self, before: &[(BindingKey, Flow)], change: &Change) {
        let Change::Bound(binding) = change else { return };
        let old = before.iter().find(|(key, _)| *key == binding.key()).map(|(_, flow)| *flow);
        if let Some(old) = old.filter(|old| *old != binding.flow) {
            self.ua.move_flow(old, binding.flow);
        }
    }

    /// The 200 with the list of contacts; a phone that binds flows of its own (RFC 5626, section 6)
    /// hears that this is done here, and how often to show that they live.
    fn registered(&self, now: Now, user: &str, outbound: bool) -> Response {
        let mut response = Response::new(200);
        for binding in self.registrar.bindings(user) {
            let left = binding.expires.since(now.time).as_secs();
            let mut tail = format!(">;expires={left}").into_bytes();
            if let Some(instance) = &binding.instance {
                tail.extend_from_slice(b";+sip.instance=\"");
                tail.extend_from_slice(instance);
                tail.push(b'"');
            }
            if let Some(reg_id) = binding.reg_id {
                tail.extend_from_slice(format!(";reg-id={reg_id}").as_bytes());
            }
            response.headers.push(("Contact", [b"<", binding.uri.as_slice(), &tail].concat()));
        }
        if outbound {
            let timer = self.registrar.config().flow_timer.to_string();
            response.headers.push(("Require", b"outbound".to_vec()));
            response.headers.push(("Flow-Timer", timer.into_bytes()));
        }
        response.headers.push(("Date", http_date(now.date)));
        response
    }

    /// The device that a URI names.
    pub(crate) fn device_of(&self, uri: Uri<'_>) -> Option<&DeviceInfo> {
        let user = String::from_utf8(uri.user_unescaped()?).ok()?;
        let domain = std::str::from_utf8(uri.host).ok()?;
        self.directory.plans.device_by_user(&user, domain)
    }

    /// The device that the request's digest proves. Otherwise the request has been answered.
    pub(crate) fn authenticate(
        &mut self,
        now: Now,
        (tx, flow): (ServerTx, Flow),
        message: &Message,
        kind: Challenge,
    ) -> Option<DeviceInfo> {
        let (header, name, status) = match kind {
            Challenge::Registrar => (Header::Authorization, "WWW-Authenticate", 401),
            Challenge::Proxy => (Header::ProxyAuthorization, "Proxy-Authenticate", 407),
        };
        let directory = self.directory.clone();
        let given =
            message.headers(header).find(|value| contains(value, self.config.realm.as_bytes()));
        let remote = flow.remote;
        let verdict = given.map(|value| {
            self.digest.verify(now.time, remote.ip(), message.method_name(), value, |user| {
                let user = std::str::from_utf8(user).ok()?;
                directory.secrets.get(user).cloned()
            })
        });
        let (stale, answered) = match verdict {
            Some(Verdict::Accepted { username }) => {
                if !self.is_believed(now, remote.ip(), &username) {
                    self.ua.forget(tx);
                    return None;
                }
                self.throttle.forgive(&username, remote.ip());
                let user = String::from_utf8(username).unwrap_or_default();
                let device = self.directory.plans.device_by_user(&user, "").cloned();
                if device.is_none() {
                    self.ua.respond(now.time, tx, Response::new(403));
                }
                return device;
            }
            Some(Verdict::Malformed) => {
                if self.may_ask(now, remote) {
                    self.ua.respond(now.time, tx, Response::new(400));
                } else {
                    self.ua.forget(tx);
                }
                return None;
            }
            Some(Verdict::Wrong { username }) => {
                let request = guard::fingerprint(message, given.unwrap_or_default());
                self.refuse_password(now, (tx, remote.ip()), &username, request);
                return None;
            }
            Some(Verdict::Foreign) => (true, self.may_ask_again(now, remote)),
            Some(Verdict::Challenge { stale }) => (stale, self.may_ask(now, remote)),
            None => (false, self.may_ask(now, remote)),
        };
        if !answered {
            self.ua.forget(tx);
            return None;
        }
        let mut response = Response::new(status);
        let [md5, sha256] = self.digest.challenge(now.time, remote.ip(), &mut self.rng, stale);
        let sha256 = (!takes_md5_alone(message.header(Header::UserAgent))).then_some(sha256);
        for challenge in std::iter::once(md5).chain(sha256) {
            response.headers.push((name, challenge));
        }
        self.ua.respond(now.time, tx, response);
        None
    }

    pub(crate) fn expire_registrations(&mut self, now: Now) {
        for (user, change) in self.registrar.handle_timeout(now.time) {
            let record = record(now, &user, change);
            self.actions.push_back(Action::Record(record));
            self.registration_changed(now, &user, None);
        }
        while let Some(keepalive) = self.registrar.poll_keepalive() {
            self.keep_alive(now, keepalive);
        }
    }

    /// Brings back a contact from before a restart; one that has expired meanwhile is passed over.
    pub fn restore_contact(&mut self, now: Now, contact: &Contact) {
        let left = contact.expires.duration_since(now.date);
        let Ok(left) = Duration::try_from(left) else { return };
        let transport = match contact.transport.as_str() {
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => Transport::Udp,
        };
        let remote = contact.source;
        let listener = self.listener_again(transport, ListenerId(contact.listener), remote);
        let flow = Flow { transport, listener, remote, connection: 0 };
        // A connection does not survive the process.
        let liveness = match transport {
            Transport::Udp => Liveness::default(),
            Transport::Tcp | Transport::Tls => Liveness::lost(now.time),
        };
        let binding = Binding {
            uri: contact.uri.clone().into_bytes(),
            flow,
            q: contact.q,
            call_id: contact.call_id.clone().into_bytes(),
            cseq: contact.cseq,
            expires: now.time + left,
            user_agent: contact.user_agent.clone().into_bytes(),
            path: contact.path.iter().map(|path| path.clone().into_bytes()).collect(),
            instance: contact.instance.clone().map(String::into_bytes),
            reg_id: contact.reg_id,
            liveness,
        };
        self.registrar.restore(now.time, &contact.user, binding);
    }

    /// The listener that a phone is spoken to from after a restart: the one of before, unless the
    /// configuration has another in its place.
    fn listener_again(
        &self,
        transport: Transport,
        before: ListenerId,
        remote: SocketAddr,
    ) -> ListenerId {
        let fits = |known: &&Listener| {
            known.transport == transport && known.advertised.is_ipv4() == remote.is_ipv4()
        };
        let mut fitting = self.config.listeners.iter().filter(fits);
        let same = fitting.clone().any(|known| known.id == before);
        let other = fitting.next().map(|known| known.id);
        if same { before } else { other.unwrap_or(before) }
    }

    /// Every registered contact.
    #[must_use]
    pub fn registrations(&self, now: Now) -> Vec<RegistrationView> {
        let view = |user: &str, binding: &Binding| {
            let device = self.directory.plans.device_by_user(user, "");
            RegistrationView {
                user: user.to_owned(),
                tenant: device.map_or_else(String::new, |device| device.tenant.to_string()),
                device: device.map_or_else(String::new, |device| device.device.to_string()),
                contact: text(&binding.uri),
                flow: binding.flow.to_string(),
                expires_s: binding.expires.since(now.time).as_secs(),
                user_agent: text(&binding.user_agent),
                instance: binding.instance.as_deref().map(text),
                reg_id: binding.reg_id,
                behind_nat: binding.is_behind_nat(),
                health: health(&binding.liveness.health),
                round_trip_ms: round_trip_ms(&binding.liveness.health),
            }
        };
        let mut views: Vec<RegistrationView> = self
            .registrar
            .users()
            .flat_map(|(user, bindings)| bindings.iter().map(move |binding| view(user, binding)))
            .collect();
        views.sort_by(|a, b| (&a.user, &a.contact).cmp(&(&b.user, &b.contact)));
        views
    }
}

/// Who asks for digest: a registrar (401) or a proxy (407).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Registrar,
    Proxy,
}

pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn refusal(error: RegisterError) -> Response {
    let mut response = Response::new(error.status());
    if let RegisterError::TooBrief { min } = error {
        response.headers.push(("Min-Expires", min.to_string().into_bytes()));
    }
    response
}

pub(super) fn record(now: Now, user: &str, change: Change) -> Record {
    match change {
        Change::Removed { key } => {
            Record::Unregistered { user: user.to_owned(), uri: text(&key.uri), reg_id: key.reg_id }
        }
        Change::Bound(binding) => Record::Registered(Contact {
            user: user.to_owned(),
            uri: text(&binding.uri),
            transport: binding.flow.transport.param_name().to_owned(),
            listener: binding.flow.listener.0,
            source: binding.flow.remote,
            q: binding.q,
            call_id: text(&binding.call_id),
            cseq: binding.cseq,
            expires: date_of(now, binding.expires),
            user_agent: text(&binding.user_agent),
            path: binding.path.iter().map(|path| text(path)).collect(),
            instance: binding.instance.as_deref().map(text),
            reg_id: binding.reg_id,
        }),
    }
}

/// A phone's health as the control calls show it.
fn health(health: &Health) -> String {
    match health {
        Health::Untested => "untested",
        Health::Reachable { .. } => "reachable",
        Health::Unreachable { .. } => "unreachable",
        Health::Lost { .. } => "lost",
    }
    .to_owned()
}

fn round_trip_ms(health: &Health) -> Option<u64> {
    match health {
        Health::Reachable { round_trip } => {
            Some(u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX))
        }
        Health::Untested | Health::Unreachable { .. } | Health::Lost { .. } => None,
    }
}

/// The date of a monotonic time to come.
pub(crate) fn date_of(now: Now, time: Time) -> Timestamp {
    let ahead = SignedDuration::try_from(time.since(now.time)).unwrap_or(SignedDuration::MAX);
    now.date.saturating_add(ahead).unwrap_or(Timestamp::MAX)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// RFC 3261, 20.17: the date that phones without a clock set theirs by.
fn http_date(date: Timestamp) -> Vec<u8> {
    date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string().into_bytes()
}
