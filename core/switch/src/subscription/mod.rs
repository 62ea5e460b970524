//! SUBSCRIBE and NOTIFY (RFC 6665) of the phones of an office: lamps (RFC 4235), waiting messages
//! (RFC 3842), registrations (RFC 3680), each for devices of the own office alone, proved by
//! digest. A list (RFC 4662) is a group of the plan, or `lamps`, which stands for every device; a
//! phone that knows no lists sees a group as one lamp.

mod group;
pub(crate) mod lamps;
mod night;
pub(crate) mod watch;

use koukan_dialplan::DeviceInfo;
use koukan_sip::header::Uri;
use koukan_sip::subscription::{
    ContactEvent, ContactInfo, Member, MessageSummary, NotifierAction, Package, RegInfo, RegState,
    State, Subscribe, Target, unsolicited,
};
use koukan_sip::{ClientTx, Flow, Message, Response, ServerTx};

use crate::action::{Action, Now};
use crate::leg::identity::{escape, name_addr};
use crate::record::Record;
use crate::registration::Challenge;
use crate::switch::Switch;

/// The user that stands for every device of the office.
const ALL: &str = "lamps";

impl Switch {
    /// SUBSCRIBE, outside any dialog or within one of the notifier's.
    pub(crate) fn subscribe(&mut self, now: Now, tx: ServerTx, flow: Flow, message: &Message) {
        let Some(device) = self.authenticate(now, (tx, flow), message, Challenge::Registrar) else {
            return;
        };
        let response = if message.to_tag().is_some() {
            self.notifier.refresh(now.time, flow, message)
        } else {
            match self.watched(&device, message) {
                Ok(target) => {
                    let tag = self.ua.response_tag(tx).unwrap_or_default().to_vec();
                    let subscribe =
                        Subscribe { message, flow, local_tag: &tag, user: &device.user, target };
                    self.notifier.subscribe(now.time, subscribe)
                }
                Err(status) => Response::new(status),
            }
        };
        self.notify_all(now, Some((tx, response)));
    }

    /// Whom a SUBSCRIBE is about: a device or a list of the subscriber's own office.
    fn watched(&self, device: &DeviceInfo, message: &Message) -> Result<Target, u16> {
        let uri = Uri::parse(message.request_uri()).ok_or(404u16)?;
        let user = uri.user_unescaped().and_then(|user| String::from_utf8(user).ok());
        let user = user.ok_or(404u16)?;
        let domain = std::str::from_utf8(uri.host).unwrap_or_default();
        let plans = &self.directory.plans;
        let own = |info: &&DeviceInfo| info.tenant == device.tenant;
        let named = plans.device_by_user(&user, domain);
        let extension = || plans.devices().filter(own).find(|info| *info.extension == *user);
        if let Some(info) = named.filter(own).or_else(extension) {
            let entity = message.request_uri().to_vec();
            return Ok(Target::One { resource: (*info.user).into(), entity });
        }
        if named.is_some() {
            return Err(403);
        }
        let slot = self.slot_of(&device.tenant, &user);
        let key = slot.or_else(|| self.night_of(device, &user));
        if let Some(resource) = key.or_else(|| self.group_of(device, &user, message)) {
            return Ok(Target::One {
                resource: (*resource).into(),
                entity: message.request_uri().to_vec(),
            });
        }
        let devices = match plans.group_devices(&device.tenant, &user) {
            Some(devices) => devices,
            None if user == ALL => plans.devices().filter(own).collect(),
            None => return Err(404),
        };
        let port = uri.port.map(|port| format!(":{port}")).unwrap_or_default();
        let members = devices.into_iter().map(|info| Member {
            resource: (*info.user).into(),
            uri: format!("sip:{}@{domain}{port}", escape(&info.user)).into_bytes(),
            name: info.extension.as_bytes().to_vec(),
        });
        Ok(Target::List { entity: message.request_uri().to_vec(), members: members.collect() })
    }

    /// Does what the notifier wants, after the response that must go first.
    fn notify_all(&mut self, now: Now, response: Option<(ServerTx, Response)>) {
        let mut wanted = Vec::new();
        while let Some(action) = self.notifier.poll_action() {
            wanted.push(action);
        }
        let (first, then): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|action| {
            matches!(action, NotifierAction::Store { .. } | NotifierAction::Forget { .. })
        });
        // What a response promises is written down before it leaves.
        for action in first {
            self.notifier_action(now, action);
        }
        if let Some((tx, response)) = response {
            self.ua.respond(now.time, tx, response);
        }
        for action in then {
            self.notifier_action(now, action);
        }
        while let Some(action) = self.notifier.poll_action() {
            self.notifier_action(now, action);
        }
    }

    fn notifier_action(&mut self, now: Now, action: NotifierAction) {
        match action {
            NotifierAction::Notify { subscription, request, identity } => {
                let tx = self.ua.request_as(now.time, *request, identity);
                self.by_notify.insert(tx, subscription);
            }
            NotifierAction::StateWanted { package, resource } => {
                self.tell_state(now, package, &resource);
            }
            NotifierAction::Store { subscription, record } => {
                let watch = watch::stored(now, &record);
                self.watches.insert(subscription, watch.key.clone());
                self.actions.push_back(Action::Record(Record::Watching(watch.into())));
            }
            NotifierAction::Forget { subscription } => {
                if let Some(key) = self.watches.remove(&subscription) {
                    self.actions.push_back(Action::Record(Record::Unwatched { key }));
                }
            }
        }
    }

    /// The outcome of a NOTIFY; false when this was none.
    pub(crate) fn notified(
        &mut self,
        now: Now,
        tx: ClientTx,
        status: u16,
        message: Option<&Message>,
    ) -> bool {
        let Some(subscription) = self.by_notify.remove(&tx) else { return false };
        let retry = message.and_then(|message| message.number(koukan_sip::Header::RetryAfter));
        self.notifier.handle_outcome(now.time, subscription, status, retry);
        self.notify_all(now, None);
        true
    }

    /// What is due at the notifier, and what has changed since the last input.
    pub(crate) fn turn_lamps(&mut self, now: Now) {
        let changed: Vec<_> = self.lamps.take_changed().into_iter().collect();
        for key in &changed {
            let Some(info) = self.directory.plans.device(&key.0, &key.1) else { continue };
            let user = info.user.clone();
            if self.notifier.is_watched(Package::Dialog, &user) {
                let dialogs = self.dialogs_of(key);
                self.notifier.set_state(now.time, &user, State::Dialogs(dialogs));
            }
        }
        self.turn_groups(now, &changed);
        self.turn_slots(now);
        self.turn_night_keys(now);
        self.notifier.handle_timeout(now.time);
        self.notify_all(now, None);
    }

    /// The state of a resource for who has begun to watch it.
    fn tell_state(&mut self, now: Now, package: Package, user: &str) {
        let own = self.night_state(user).or_else(|| self.group_state(user));
        let own = own.or_else(|| self.slot_state(user));
        if let Some(state) = own.filter(|_| package == Package::Dialog) {
            return self.notifier.set_state(now.time, user, state);
        }
        let Some(info) = self.directory.plans.device_by_user(user, "") else { return };
        let key = (info.tenant.clone(), info.device.clone());
        let state = match package {
            Package::Dialog => State::Dialogs(self.dialogs_of(&key)),
            Package::Reg => State::Registration(self.registration_info(now, user)),
            Package::MessageSummary => State::Messages(self.summary(user)),
        };
        self.notifier.set_state(now.time, user, state);
    }

    fn summary(&self, user: &str) -> MessageSummary {
        self.messages.get(user).cloned().unwrap_or_default()
    }

    fn registration_info(&self, now: Now, user: &str) -> RegInfo {
        let bindings = self.registrar.bindings(user);
        let contact = |(at, binding): (usize, &&koukan_sip::registrar::Binding)| ContactInfo {
            id: at.to_string().into_bytes(),
            uri: binding.uri.clone(),
            event: ContactEvent::Registered,
            expires: u32::try_from(binding.expires.since(now.time).as_secs()).ok(),
            q: binding.q,
            call_id: binding.call_id.clone(),
            cseq: binding.cseq,
        };
        let contacts: Vec<ContactInfo> = bindings.iter().enumerate().map(contact).collect();
        let state = if contacts.is_empty() { RegState::Init } else { RegState::Active };
        RegInfo { id: user.as_bytes().to_vec(), state, contacts }
    }

    /// A user's contacts have changed: who watches is told; a phone that does not ask for its
    /// messages is told of them; its lamps are reached by its new way.
    pub(crate) fn registration_changed(&mut self, now: Now, user: &str, way: Option<(Flow, Flow)>) {
        if let Some((old, new)) = way.filter(|(old, new)| old != new) {
            self.notifier.rebind(user, old, new);
        }
        if self.notifier.is_watched(Package::Reg, user) {
            let info = self.registration_info(now, user);
            self.notifier.set_state(now.time, user, State::Registration(info));
        }
    }

    /// What waits in the mailbox of a device (by its SIP user): plain data, kept until it is set
    /// anew. Told to who subscribed, and unasked to phones whose plan says so.
    pub fn set_messages(&mut self, now: Now, user: &str, summary: MessageSummary) {
        let Some(info) = self.directory.plans.device_by_user(user, "").cloned() else { return };
        if self.messages.get(&info.user) == Some(&summary) {
            return;
        }
        self.messages.insert(info.user.clone(), summary.clone());
        self.notifier.set_state(now.time, &info.user, State::Messages(summary));
        self.tell_messages(now, &info);
        self.notify_all(now, None);
        self.drain(now);
    }

    /// An unsolicited NOTIFY to every contact of a device whose plan asks for it.
    pub(crate) fn tell_messages(&mut self, now: Now, info: &DeviceInfo) {
        if !info.signalling.unsolicited_mwi {
            return;
        }
        let summary = self.summary(&info.user);
        let bindings = self.registrar.bindings(&info.user);
        let requests: Vec<_> = bindings
            .into_iter()
            .map(|binding| {
                let own = name_addr("", &info.user, &self.host_of(binding.flow));
                unsolicited(binding.flow, &binding.uri, &binding.path, &own, &summary)
            })
            .collect();
        for request in requests {
            self.ua.request(now.time, request);
        }
    }

    /// Brings back a subscription from before a restart; one that has ended meanwhile is passed
    /// over.
    pub fn restore_watch(&mut self, now: Now, watch: &watch::Watch) {
        let Some(record) = watch::restored(now, watch) else { return };
        let subscription = self.notifier.restore(now.time, record);
        self.watches.insert(subscription, watch.key.clone());
        self.notify_all(now, None);
    }

    /// Subscriptions that stand.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.notifier.len()
    }
}
