//! The notifier (RFC 6665, 4.2): SUBSCRIBEs in, NOTIFYs out, one at a time a subscription; what
//! changes meanwhile goes with the next one.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use koukan_base::Time;

use super::SubscriptionId;
use super::record::SubscriptionRecord;
use super::resource_list::{self, Entry};
use super::state::{Package, State};
use super::subscribe::{self, Subscribe, SubscribeError, Target};
use super::table::{Ending, News, Subscription};
use super::watch::Watch;
use crate::header::NameAddr;
use crate::timer::TimerQueue;
use crate::{Body, Flow, Header, Identity, Message, Method, Request, Response};

/// Bounds of subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifierConfig {
    /// Shorter wishes get 423, in seconds.
    pub min_expires: u32,
    /// Longer wishes are cut, in seconds.
    pub max_expires: u32,
    /// Subscriptions at once, see [`crate::limits::SUBSCRIPTIONS`].
    pub max_subscriptions: usize,
    /// Subscriptions of one user, see [`crate::limits::SUBSCRIPTIONS_PER_USER`].
    pub max_per_user: usize,
    /// Members of a list, see [`crate::limits::LIST_MEMBERS`].
    pub max_members: usize,
    /// Changes of a list's members are gathered for so long.
    pub list_window: Duration,
}

impl Default for NotifierConfig {
    fn default() -> Self {
        let bound =
            |limit: koukan_base::Limit| usize::try_from(limit.default).unwrap_or(usize::MAX);
        Self {
            min_expires: 60,
            max_expires: 3761,
            max_subscriptions: bound(crate::limits::SUBSCRIPTIONS),
            max_per_user: bound(crate::limits::SUBSCRIPTIONS_PER_USER),
            max_members: bound(crate::limits::LIST_MEMBERS),
            list_window: Duration::from_millis(250),
        }
    }
}

/// What the notifier wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifierAction {
    /// Send this by [`crate::UserAgent::request_as`], and tell the outcome by
    /// [`Notifier::handle_outcome`].
    Notify {
        /// The subscription.
        subscription: SubscriptionId,
        /// The request.
        request: Box<Request>,
        /// The dialog that it belongs to.
        identity: Identity,
    },
    /// Somebody watches this now: tell its state by [`Notifier::set_state`].
    StateWanted {
        /// The package.
        package: Package,
        /// The resource.
        resource: Box<str>,
    },
    /// Remember this until the next one of the same subscription.
    Store {
        /// The subscription.
        subscription: SubscriptionId,
        /// What to remember.
        record: Box<SubscriptionRecord>,
    },
    /// It is over: forget it.
    Forget {
        /// The subscription.
        subscription: SubscriptionId,
    },
}

/// So many NOTIFYs may be sent between two records of one subscription.
const RESERVED: u32 = 64;
/// A fetch whose state nobody tells is answered empty after this.
const FETCH: Duration = Duration::from_secs(5);
/// After a restart the first NOTIFYs are spread over this.
const SPREAD_MS: u64 = 4000;

/// Subscriptions of one shard.
#[derive(Debug)]
pub struct Notifier {
    config: NotifierConfig,
    next_id: u64,
    subscriptions: HashMap<u64, Subscription>,
    by_dialog: HashMap<Vec<u8>, u64>,
    pub(super) by_user: HashMap<Box<str>, Vec<u64>>,
    watch: Watch,
    timers: TimerQueue<u64>,
    actions: VecDeque<NotifierAction>,
}

impl Notifier {
    /// A notifier without subscriptions.
    #[must_use]
    pub fn new(config: NotifierConfig) -> Self {
        Self {
            config,
            next_id: 0,
            subscriptions: HashMap::new(),
            by_dialog: HashMap::new(),
            by_user: HashMap::new(),
            watch: Watch::default(),
            timers: TimerQueue::new(),
            actions: VecDeque::new(),
        }
    }

    /// A SUBSCRIBE outside any dialog; its response, which is to be sent before what
    /// [`Self::poll_action`] then gives.
    pub fn subscribe(&mut self, now: Time, subscribe: Subscribe<'_>) -> Response {
        match self.open(now, subscribe) {
            Ok(response) => response,
            Err(error) => error.response(),
        }
    }

    /// A SUBSCRIBE with a To tag: it refreshes or ends a subscription.
    pub fn refresh(&mut self, now: Time, flow: Flow, message: &Message) -> Response {
        match self.renew(now, flow, message) {
            Ok(response) => response,
            Err(error) => error.response(),
        }
    }

    /// The state of a resource, after `StateWanted` and at each change; one that nobody watches is
    /// not remembered.
    pub fn set_state(&mut self, now: Time, resource: &str, state: State) {
        let window = self.config.list_window;
        for (id, member) in self.watch.set(resource, state) {
            let list = self.subscriptions.get(&id).is_some_and(Subscription::is_list);
            self.change(id, |subscription| {
                if list {
                    subscription.news.add(member);
                    subscription.not_before.get_or_insert(now + window);
                } else {
                    subscription.news = News::All;
                }
            });
            // A list's changes are gathered until its timer.
            if !list {
                self.notify(now, id);
            }
        }
    }

    /// Whether a state would be told to anybody.
    #[must_use]
    pub fn is_watched(&self, package: Package, resource: &str) -> bool {
        self.watch.is_watched(package, resource)
    }

    /// The resource is gone: whoever watches it alone is told so (`noresource`).
    pub fn remove_resource(&mut self, now: Time, package: Package, resource: &str) {
        for (id, _) in self.watch.watchers(package, resource) {
            if self.subscriptions.get(&id).is_some_and(|known| !known.is_list()) {
                self.end(now, id, Ending::NoResource);
            }
        }
    }

    /// The user may not watch any more (`rejected`), or is gone.
    pub fn reject_user(&mut self, now: Time, user: &str) {
        for id in self.by_user.get(user).cloned().unwrap_or_default() {
            self.end(now, id, Ending::Rejected);
        }
    }

    /// An orderly stop without a successor: every subscriber is told to subscribe again
    /// (`deactivated`). A restart with `restore` needs none of this.
    pub fn stop(&mut self, now: Time) {
        let mut ids: Vec<u64> = self.subscriptions.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.end(now, id, Ending::Deactivated);
        }
    }

    /// The user's phone is reached another way now (it opened a new connection).
    pub fn rebind(&mut self, user: &str, old: Flow, new: Flow) {
        for id in self.by_user.get(user).into_iter().flatten() {
            let Some(subscription) = self.subscriptions.get_mut(id) else { continue };
            if subscription.record.flow == old {
                subscription.record.flow = new;
            }
        }
    }

    /// The outcome of a NOTIFY: a status of the subscriber, or one made up by the user agent;
    /// `retry_after` in seconds.
    pub fn handle_outcome(
        &mut self,
        now: Time,
        subscription: SubscriptionId,
        status: u16,
        retry_after: Option<u32>,
    ) {
        let id = subscription.0;
        let Some(known) = self.subscriptions.get(&id).filter(|known| known.outstanding) else {
            return;
        };
        let over = known.last;
        let retry = retry_after.filter(|seconds| *seconds <= self.config.max_expires);
        match (status, retry) {
            (200..=299, _) if !over => self.change(id, |known| known.outstanding = false),
            // RFC 6665, 4.2.2: a refusal with Retry-After ends nothing.
            (300.., Some(seconds)) if !over && status != 481 => self.change(id, |known| {
                known.outstanding = false;
                known.news = News::All;
                known.not_before = Some(now + Duration::from_secs(u64::from(seconds.max(1))));
            }),
            _ => {
                self.forget(id);
                return;
            }
        }
        self.notify(now, id);
    }

    /// Everything that is due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(id) = self.timers.pop_due(now) {
            let Some(subscription) = self.subscriptions.get_mut(&id) else { continue };
            let next = subscription.poll_timeout();
            self.timers.update(id, None, next);
            self.change(id, |subscription| {
                subscription.not_before = subscription.not_before.filter(|at| *at > now);
                if subscription.record.expires <= now && subscription.ending.is_none() {
                    subscription.ending = Some(Ending::Timeout);
                    subscription.not_before = None;
                }
            });
            self.notify(now, id);
        }
    }

    /// When `handle_timeout` is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// The next thing to do; drain after every input.
    pub fn poll_action(&mut self) -> Option<NotifierAction> {
        self.actions.pop_front()
    }

    /// Subscriptions that stand, ending ones among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether no table holds anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
            && self.by_dialog.is_empty()
            && self.by_user.is_empty()
            && self.watch.len() == 0
            && self.timers.next().is_none()
    }

    /// Brings back a subscription from before a restart. Its state is wanted again and told with a
    /// CSeq and version above all that were sent.
    pub fn restore(&mut self, now: Time, record: SubscriptionRecord) -> SubscriptionId {
        let spread = self.next_id.wrapping_mul(613) % SPREAD_MS;
        let sent = record.reserved;
        let subscription = Subscription {
            record: Box::new(record),
            sent,
            news: News::All,
            outstanding: false,
            not_before: Some(now + Duration::from_millis(spread)),
            ending: None,
            last: false,
        };
        SubscriptionId(self.insert(subscription))
    }

    fn open(&mut self, now: Time, subscribe: Subscribe<'_>) -> Result<Response, SubscribeError> {
        let Subscribe { message, flow, local_tag, user, target } = subscribe;
        let (package, event) = subscribe::package(message)?;
        let list = matches!(target, Target::List { .. });
        let (min, max) = (self.config.min_expires, self.config.max_expires);
        let seconds = subscribe::expires(message, package, min, max)?;
        if list && !message.supports(b"eventlist") {
            return Err(SubscribeError::ListUnsupported);
        }
        if !subscribe::accepts(message, package, list) {
            return Err(SubscribeError::NotAcceptable);
        }
        let members = if let Target::List { members, .. } = &target { members.len() } else { 1 };
        let of_user = self.by_user.get(user).map_or(0, Vec::len);
        if self.subscriptions.len() >= self.config.max_subscriptions
            || of_user >= self.config.max_per_user
            || members > self.config.max_members
        {
            return Err(SubscribeError::TooMany);
        }
        let from = message.header(Header::From).ok_or(SubscribeError::Malformed)?;
        let contact = contact(message).ok_or(SubscribeError::Malformed)?;
        let life = if seconds == 0 { FETCH } else { Duration::from_secs(u64::from(seconds)) };
        let record = SubscriptionRecord {
            package,
            event_id: event.id.map(<[u8]>::to_vec),
            user: user.into(),
            target,
            call_id: message.call_id().to_vec(),
            local_tag: local_tag.to_vec(),
            remote_tag: message.from_tag().unwrap_or_default().to_vec(),
            local: message.header(Header::To).unwrap_or_default().to_vec(),
            remote: from.to_vec(),
            remote_target: contact.to_vec(),
            routes: message.list(Header::RecordRoute).map(<[u8]>::to_vec).collect(),
            flow,
            remote_cseq: message.cseq().ok_or(SubscribeError::Malformed)?.number,
            reserved: 0,
            expires: now + life,
        };
        let subscription = Subscription {
            record: Box::new(record),
            sent: 0,
            news: News::All,
            outstanding: false,
            // Due at once: the states that are wanted now are known by then.
            not_before: Some(now),
            ending: (seconds == 0).then_some(Ending::Timeout),
            last: false,
        };
        let id = self.insert(subscription);
        if seconds > 0 {
            self.store(id);
        }
        let mut response = granted(seconds);
        if list {
            response.headers.push(("Require", b"eventlist".to_vec()));
        }
        Ok(response)
    }

    fn renew(
        &mut self,
        now: Time,
        flow: Flow,
        message: &Message,
    ) -> Result<Response, SubscribeError> {
        let (local, remote) = (message.to_tag(), message.from_tag().unwrap_or_default());
        let key = key(message.call_id(), local.unwrap_or_default(), remote);
        let id = *self.by_dialog.get(&key).ok_or(SubscribeError::Unknown)?;
        let known = self.subscriptions.get(&id).ok_or(SubscribeError::Unknown)?;
        let (package, event) = subscribe::package(message)?;
        let same = package == known.record.package && event.id == known.record.event_id.as_deref();
        if !same || known.ending.is_some() {
            return Err(SubscribeError::Unknown);
        }
        let cseq = message.cseq().ok_or(SubscribeError::Malformed)?.number;
        if cseq <= known.record.remote_cseq {
            return Err(SubscribeError::OutOfOrder);
        }
        let (min, max) = (self.config.min_expires, self.config.max_expires);
        let seconds = subscribe::expires(message, package, min, max)?;
        let list = known.is_list();
        self.change(id, |known| {
            let record = &mut known.record;
            (record.flow, record.remote_cseq) = (flow, cseq);
            if let Some(contact) = contact(message) {
                record.remote_target = contact.to_vec();
            }
            // RFC 6665, 4.2.1.2: a refresh wants the state at once, all of it.
            known.news = News::All;
            known.not_before = Some(now);
            if seconds == 0 {
                known.ending = Some(Ending::Timeout);
                record.expires = now + FETCH;
            } else {
                record.expires = now + Duration::from_secs(u64::from(seconds));
            }
        });
        if seconds > 0 {
            self.store(id);
        }
        let mut response = granted(seconds);
        if list {
            response.headers.push(("Require", b"eventlist".to_vec()));
        }
        Ok(response)
    }

    fn insert(&mut self, subscription: Subscription) -> u64 {
        self.next_id = self.next_id.wrapping_add(1);
        let id = self.next_id;
        let record = &subscription.record;
        self.by_dialog.insert(key(&record.call_id, &record.local_tag, &record.remote_tag), id);
        self.by_user.entry(record.user.clone()).or_default().push(id);
        for (resource, member) in resources(&record.target) {
            if self.watch.add(record.package, resource, (id, member)) {
                let (package, resource) = (record.package, resource.into());
                self.actions.push_back(NotifierAction::StateWanted { package, resource });
            }
        }
        self.timers.update(id, None, subscription.poll_timeout());
        self.subscriptions.insert(id, subscription);
        id
    }

    fn end(&mut self, now: Time, id: u64, ending: Ending) {
        self.change(id, |subscription| {
            if subscription.ending.is_none() {
                subscription.ending = Some(ending);
                subscription.not_before = None;
            }
        });
        self.notify(now, id);
    }

    /// Takes a subscription out of every table.
    fn forget(&mut self, id: u64) {
        let Some(gone) = self.subscriptions.remove(&id) else { return };
        self.timers.update(id, gone.poll_timeout(), None);
        let record = &gone.record;
        self.by_dialog.remove(&key(&record.call_id, &record.local_tag, &record.remote_tag));
        if let Some(ids) = self.by_user.get_mut(&record.user) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.by_user.remove(&record.user);
            }
        }
        for (resource, _) in resources(&record.target) {
            self.watch.remove(record.package, resource, id);
        }
        if record.reserved > 0 {
            self.actions.push_back(NotifierAction::Forget { subscription: SubscriptionId(id) });
        }
    }

    /// Changes a subscription and moves its deadline.
    fn change(&mut self, id: u64, change: impl FnOnce(&mut Subscription)) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        let before = subscription.poll_timeout();
        change(subscription);
        let after = subscription.poll_timeout();
        self.timers.update(id, before, after);
    }

    /// Stores a subscription with numbers reserved for the NOTIFYs until the next time.
    fn store(&mut self, id: u64) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        subscription.record.reserved = subscription.sent.saturating_add(RESERVED);
        let record = subscription.record.clone();
        self.actions.push_back(NotifierAction::Store { subscription: SubscriptionId(id), record });
    }

    /// Sends what is new, if it may be sent now.
    fn notify(&mut self, now: Time, id: u64) {
        let Some(known) = self.subscriptions.get(&id) else { return };
        let waits = known.outstanding || known.not_before.is_some_and(|at| at > now);
        if waits || (known.news.is_none() && known.ending.is_none()) {
            return;
        }
        let Some((body, left)) = self.body(now, known) else { return };
        if known.record.reserved > 0 && known.sent >= known.record.reserved {
            self.store(id);
        }
        let Some(known) = self.subscriptions.get(&id) else { return };
        let (request, identity) = request(now, known, body);
        self.change(id, |known| {
            known.sent = known.sent.saturating_add(1);
            known.outstanding = true;
            known.not_before = None;
            known.last = known.ending.is_some();
            known.news = News::None;
            for member in left {
                known.news.add(member);
            }
        });
        let subscription = SubscriptionId(id);
        let request = Box::new(request);
        self.actions.push_back(NotifierAction::Notify { subscription, request, identity });
    }

    /// The body of the next NOTIFY and the members of a list that had no room in it; `None` while
    /// the state of a single resource is not known and the subscription does not end.
    fn body(&self, now: Time, known: &Subscription) -> Option<(Option<Body>, Vec<u16>)> {
        let package = known.record.package;
        match &known.record.target {
            Target::One { resource, entity } => {
                let state = self.watch.state(package, resource);
                let Some(state) = state.filter(|_| known.ending != Some(Ending::NoResource)) else {
                    // A fetch waits for the state, but not for ever.
                    let over = known.ending.is_some()
                        && (known.ending != Some(Ending::Timeout) || known.record.expires <= now);
                    return over.then_some((None, Vec::new()));
                };
                let bytes = state.render(entity, known.sent);
                Some((Some(Body { content_type: package.content_type(), bytes }), Vec::new()))
            }
            Target::List { entity, members } => {
                let wanted = |index: u16| match &known.news {
                    News::All | News::None => true,
                    News::Members(changed) => changed.contains(&index),
                };
                let entries: Vec<Entry<'_>> = members
                    .iter()
                    .zip(0..)
                    .filter(|(_, index)| wanted(*index))
                    .map(|(member, index)| Entry {
                        index,
                        member,
                        state: self.watch.state(package, &member.resource),
                    })
                    .collect();
                let full = entries.len() == members.len();
                let (body, left) = resource_list::render(entity, known.sent, full, &entries);
                Some((Some(body), left))
            }
        }
    }
}

/// The NOTIFY of a subscription.
fn request(now: Time, known: &Subscription, body: Option<Body>) -> (Request, Identity) {
    let record = &known.record;
    let mut event = record.package.name().as_bytes().to_vec();
    if let Some(id) = &record.event_id {
        event.extend_from_slice(b";id=");
        event.extend_from_slice(id);
    }
    let state = match known.ending {
        Some(ending) => format!("terminated;reason={}", ending.reason()),
        None => {
            let left = record.expires.since(now).as_millis().div_ceil(1000);
            format!("active;expires={left}")
        }
    };
    let mut headers = vec![("Event", event), ("Subscription-State", state.into_bytes())];
    if known.is_list() {
        headers.push(("Require", b"eventlist".to_vec()));
    }
    let request = Request {
        method: Method::Notify,
        flow: record.flow,
        request_uri: record.remote_target.clone(),
        from: record.local.clone(),
        to: record.remote.clone(),
        route: record.routes.clone(),
        max_forwards: 70,
        headers,
        body,
        credentials: None,
    };
    let identity = Identity {
        call_id: record.call_id.clone(),
        local_tag: record.local_tag.clone(),
        cseq: known.sent.saturating_add(1),
    };
    (request, identity)
}

/// A 200 for so many seconds.
fn granted(seconds: u32) -> Response {
    Response { headers: vec![("Expires", seconds.to_string().into_bytes())], ..Response::new(200) }
}

/// The URI of the subscriber's Contact.
fn contact(message: &Message) -> Option<&[u8]> {
    let value = message.list(Header::Contact).next()?;
    NameAddr::parse(value).map(|address| address.uri_text).filter(|uri| *uri != b"*")
}

fn key(call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Vec<u8> {
    [call_id, b"\0", local_tag, b"\0", remote_tag].concat()
}

/// Every resource of a target with its place.
fn resources(target: &Target) -> impl Iterator<Item = (&str, u16)> {
    let (one, members) = match target {
        Target::One { resource, .. } => (Some((&**resource, 0)), None),
        Target::List { members, .. } => (None, Some(members.iter())),
    };
    let members = members.into_iter().flatten().zip(0..);
    one.into_iter().chain(members.map(|(member, index)| (&*member.resource, index)))
}
