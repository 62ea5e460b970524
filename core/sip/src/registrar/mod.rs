//! The registrar's rules (RFC 3261, section 10.3; RFC 5626, section 6): what a REGISTER does to a
//! user's bindings, and the ways that lead to the phones.

mod binding;
mod keepalive;
mod memory;
mod request;
mod target;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use koukan_base::Time;
use thiserror::Error;

pub use binding::{Binding, BindingKey, Health, Liveness};
pub use keepalive::{Keepalive, KeepaliveBy, KeepaliveConfig, KeepaliveTo};
pub use request::{ContactEntry, RegisterRequest};
pub use target::{LongWay, Way};

use crate::Flow;
use crate::timer::TimerQueue;
use binding::{same_uri, standing_connection};

/// How the registrar is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrarConfig {
    /// Shorter wishes get 423 with Min-Expires, in seconds.
    pub min_expires: u32,
    /// Longer wishes are cut, in seconds.
    pub max_expires: u32,
    /// What a request that says nothing gets, in seconds.
    pub default_expires: u32,
    /// How often a phone should show that its flow lives (RFC 5626, Flow-Timer), in seconds.
    pub flow_timer: u32,
    /// Keep-alives to phones.
    pub keepalive: KeepaliveConfig,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self {
            min_expires: 60,
            max_expires: 3600,
            default_expires: 3600,
            flow_timer: 120,
            keepalive: KeepaliveConfig::default(),
        }
    }
}

/// A change to the bindings that must be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Bound or refreshed.
    Bound(Box<Binding>),
    /// Gone: removed, replaced or expired.
    Removed {
        /// Which.
        key: BindingKey,
    },
}

/// Why a REGISTER was refused; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// A header cannot be read, or `*` stands beside others or without `Expires: 0`: 400.
    #[error("the request's contacts cannot be read")]
    Malformed,
    /// The wish is too short: 423.
    #[error("the registration is shorter than {min} s")]
    TooBrief {
        /// Min-Expires.
        min: u32,
    },
    /// An older CSeq of the same Call-ID: 500, as section 10.3 step 7 wants it aborted.
    #[error("the request is older than the binding")]
    OutOfOrder,
}

impl RegisterError {
    /// The response's status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::TooBrief { .. } => 423,
            Self::OutOfOrder => 500,
        }
    }
}

/// The bindings of every user of one shard.
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    users: HashMap<Box<str>, User>,
    numbers: HashMap<u64, Box<str>>,
    next_number: u64,
    timers: TimerQueue<u64>,
    /// Which users are bound over a connection.
    connections: BTreeSet<(u64, u64)>,
    /// Where each user's phones speak from.
    sources: BTreeSet<(IpAddr, u16, u64)>,
    keepalives: VecDeque<Keepalive>,
}

#[derive(Debug, Default)]
struct User {
    number: u64,
    bindings: Vec<Binding>,
}

impl User {
    fn next(&self) -> Option<Time> {
        let due = |binding: &Binding| {
            binding.liveness.next.map_or(binding.expires, |next| next.min(binding.expires))
        };
        self.bindings.iter().map(due).min()
    }
}

impl Registrar {
    /// A registrar without bindings.
    #[must_use]
    pub fn new(config: RegistrarConfig) -> Self {
        Self {
            config,
            users: HashMap::new(),
            numbers: HashMap::new(),
            next_number: 0,
            timers: TimerQueue::new(),
            connections: BTreeSet::new(),
            sources: BTreeSet::new(),
            keepalives: VecDeque::new(),
        }
    }

    /// How it is set up.
    #[must_use]
    pub const fn config(&self) -> &RegistrarConfig {
        &self.config
    }

    /// Applies a REGISTER of `user`, all of it or nothing. A contact beyond `max_contacts` takes
    /// the place of the oldest.
    ///
    /// # Errors
    /// Why it is refused; then nothing has changed.
    pub fn register(
        &mut self,
        now: Time,
        user: &str,
        request: &RegisterRequest,
        flow: Flow,
        max_contacts: usize,
    ) -> Result<Vec<Change>, RegisterError> {
        let known = self.users.get(user).map_or(&[][..], |user| &user.bindings);
        self.check(known, request)?;
        if !request.star && request.contacts.is_empty() {
            return Ok(Vec::new());
        }
        let mut bindings = self.take(user);
        let mut changes = Vec::new();
        let removed = |gone: Binding| Change::Removed { key: gone.key() };
        if request.star {
            changes.extend(bindings.drain(..).map(removed));
        }
        for contact in &request.contacts {
            let found = bindings.iter().position(|known| same_binding(known, contact));
            let old = found.map(|at| bindings.remove(at));
            let seconds = self.granted(contact.expires.or(request.expires));
            if seconds == 0 {
                changes.extend(old.map(removed));
                continue;
            }
            let expires = now + Duration::from_secs(u64::from(seconds));
            let before = old.as_ref().map(Binding::key);
            let binding = bind(contact, request, flow, expires, old);
            let replaced = before.filter(|key| *key != binding.key());
            changes.extend(replaced.map(|key| Change::Removed { key }));
            // Another phone that claims the same contact by the same number takes its place.
            bindings.retain(|known| known.key() != binding.key());
            bindings.push(binding.clone());
            changes.push(Change::Bound(Box::new(binding)));
        }
        while beyond(&bindings, max_contacts.max(1)) {
            changes.push(removed(bindings.remove(0)));
        }
        self.store(now, user, bindings);
        Ok(changes)
    }

    /// RFC 3261, 10.3, steps 6 and 7, before anything is changed.
    fn check(&self, known: &[Binding], request: &RegisterRequest) -> Result<(), RegisterError> {
        let older =
            |binding: &Binding| binding.call_id == request.call_id && request.cseq <= binding.cseq;
        if request.star {
            if request.expires != Some(0) || !request.contacts.is_empty() {
                return Err(RegisterError::Malformed);
            }
            let late = known.iter().any(older);
            return if late { Err(RegisterError::OutOfOrder) } else { Ok(()) };
        }
        for contact in &request.contacts {
            let wish = contact.expires.or(request.expires);
            if wish.is_some_and(|wish| wish > 0 && wish < self.config.min_expires) {
                return Err(RegisterError::TooBrief { min: self.config.min_expires });
            }
            let bound = known.iter().find(|known| same_binding(known, contact));
            if bound.is_some_and(older) {
                return Err(RegisterError::OutOfOrder);
            }
        }
        Ok(())
    }

    fn granted(&self, wish: Option<u32>) -> u32 {
        wish.unwrap_or(self.config.default_expires).min(self.config.max_expires)
    }

    /// Brings back a binding from before a restart.
    pub fn restore(&mut self, now: Time, user: &str, binding: Binding) {
        let mut bindings = self.take(user);
        bindings.retain(|known| known.key() != binding.key());
        bindings.push(binding);
        self.store(now, user, bindings);
    }

    /// Takes a user's bindings out, to be changed and given to `store`.
    fn take(&mut self, user: &str) -> Vec<Binding> {
        let Some(entry) = self.users.get_mut(user) else { return Vec::new() };
        self.timers.update(entry.number, entry.next(), None);
        for binding in &entry.bindings {
            self.connections.remove(&(binding.flow.connection, entry.number));
            self.sources.remove(&source(binding, entry.number));
        }
        std::mem::take(&mut entry.bindings)
    }

    fn store(&mut self, now: Time, user: &str, mut bindings: Vec<Binding>) {
        let entry = match self.users.get_mut(user) {
            Some(entry) => entry,
            None => {
                self.next_number = self.next_number.wrapping_add(1);
                self.numbers.insert(self.next_number, user.into());
                self.users
                    .entry(user.into())
                    .or_insert(User { number: self.next_number, bindings: Vec::new() })
            }
        };
        let number = entry.number;
        for binding in &mut bindings {
            if binding.liveness.asked.is_none() && binding.liveness.next.is_none() {
                binding.liveness.next = self.config.keepalive.first(now, number, binding);
            }
        }
        entry.bindings = bindings;
        let bound = entry.bindings.iter().filter_map(standing_connection);
        self.connections.extend(bound.map(|id| (id, number)));
        self.sources.extend(entry.bindings.iter().map(|binding| source(binding, number)));
        let after = entry.next();
        self.timers.update(number, None, after);
        if after.is_none() {
            self.users.remove(user);
            self.numbers.remove(&number);
        }
    }

    /// The user is nobody's here any more: takes every binding away.
    pub fn remove(&mut self, now: Time, user: &str) -> Vec<Change> {
        let Some(known) = self.users.get(user) else { return Vec::new() };
        let gone = known.bindings.iter().map(|binding| Change::Removed { key: binding.key() });
        let gone = gone.collect();
        self.take(user);
        self.store(now, user, Vec::new());
        gone
    }

    /// A connection has ended: the bindings over it are kept, and called over it no more.
    pub fn flow_failed(&mut self, now: Time, flow: Flow) {
        let id = flow.connection;
        if id == 0 {
            return;
        }
        let bound = self.connections.range((id, 0)..=(id, u64::MAX));
        let numbers: Vec<u64> = bound.map(|(_, number)| *number).collect();
        for number in numbers {
            self.connections.remove(&(id, number));
            let name = self.numbers.get(&number);
            let Some(user) = name.and_then(|name| self.users.get_mut(name)) else { continue };
            let before = user.next();
            for binding in user.bindings.iter_mut().filter(|known| known.flow.connection == id) {
                binding.liveness = Liveness::lost(now);
            }
            let after = user.next();
            self.timers.update(number, before, after);
        }
    }

    /// The bindings of a user, the preferred first.
    #[must_use]
    pub fn bindings(&self, user: &str) -> Vec<&Binding> {
        let mut found: Vec<&Binding> =
            self.users.get(user).into_iter().flat_map(|user| &user.bindings).collect();
        found.sort_by_key(|binding| std::cmp::Reverse(binding.q));
        found
    }

    /// Whether a user has a binding.
    #[must_use]
    pub fn is_bound(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// Whether a phone that is registered speaks from this very address and port.
    #[must_use]
    pub fn is_source(&self, remote: SocketAddr) -> bool {
        let (ip, port) = (remote.ip().to_canonical(), remote.port());
        self.sources.range((ip, port, 0)..=(ip, port, u64::MAX)).next().is_some()
    }

    /// Whether a phone that is registered speaks from this address.
    #[must_use]
    pub fn is_known_address(&self, address: IpAddr) -> bool {
        let ip = address.to_canonical();
        self.sources.range((ip, 0, 0)..=(ip, u16::MAX, u64::MAX)).next().is_some()
    }

    /// Every user with its bindings.
    pub fn users(&self) -> impl Iterator<Item = (&str, &[Binding])> {
        self.users.iter().map(|(name, user)| (&**name, user.bindings.as_slice()))
    }

    /// Ends what has expired at `now`: each user with the contact that is gone. Then drain
    /// [`Self::poll_keepalive`].
    pub fn handle_timeout(&mut self, now: Time) -> Vec<(Box<str>, Change)> {
        let mut gone = Vec::new();
        while let Some(number) = self.timers.pop_due(now) {
            let Some(name) = self.numbers.get(&number).cloned() else { continue };
            let Some(user) = self.users.get_mut(&name) else { continue };
            let expired = user.bindings.extract_if(.., |binding| binding.expires <= now);
            for binding in expired {
                self.connections.remove(&(binding.flow.connection, number));
                self.sources.remove(&source(&binding, number));
                gone.push((name.clone(), Change::Removed { key: binding.key() }));
            }
            let bound = user.bindings.iter().filter_map(standing_connection);
            self.connections.extend(bound.map(|id| (id, number)));
            self.sources.extend(user.bindings.iter().map(|binding| source(binding, number)));
            let due = keepalive::take_due(now, &self.config.keepalive, user);
            let named = due.into_iter().map(|due| Keepalive { user: name.clone(), ..due });
            self.keepalives.extend(named);
            let next = user.next();
            self.timers.update(number, None, next);
            if next.is_none() {
                self.users.remove(&name);
                self.numbers.remove(&number);
            }
        }
        gone
    }

    /// When the next binding expires, or wants a keep-alive.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }
}

/// Where a binding of a user's number speaks from.
fn source(binding: &Binding, number: u64) -> (IpAddr, u16, u64) {
    let remote = binding.flow.remote;
    (remote.ip().to_canonical(), remote.port(), number)
}

/// Whether a contact refreshes this binding: by its phone's flow (RFC 5626, section 6), else by the
/// URI.
fn same_binding(known: &Binding, contact: &ContactEntry) -> bool {
    match (known.flow_of(), contact.flow_of()) {
        (Some(old), Some(new)) => old == new,
        (None, None) | (None, Some(_)) | (Some(_), None) => same_uri(&known.uri, &contact.uri),
    }
}

/// The binding that a contact of a request becomes. A refresh stays in the memory that the binding
/// has: what lives long is not to be scattered among what a burst of requests leaves behind.
fn bind(
    contact: &ContactEntry,
    request: &RegisterRequest,
    flow: Flow,
    expires: Time,
    old: Option<Binding>,
) -> Binding {
    let Some(old) = old else {
        return Binding {
            uri: contact.uri.clone(),
            flow,
            q: contact.q,
            call_id: request.call_id.clone(),
            cseq: request.cseq,
            expires,
            user_agent: request.user_agent.clone(),
            path: request.path.clone(),
            instance: contact.instance.clone(),
            reg_id: contact.reg_id,
            liveness: Liveness::default(),
        };
    };
    // A phone that was found there is still there, and is asked in its turn; one that was away has
    // come back.
    let stays = old.flow == flow && !old.is_away();
    let Binding { uri, call_id, user_agent, path, instance, liveness, .. } = old;
    Binding {
        uri: refilled(uri, &contact.uri),
        flow,
        q: contact.q,
        call_id: refilled(call_id, &request.call_id),
        cseq: request.cseq,
        expires,
        user_agent: refilled(user_agent, &request.user_agent),
        path: if path == request.path { path } else { request.path.clone() },
        instance: if instance == contact.instance { instance } else { contact.instance.clone() },
        reg_id: contact.reg_id,
        liveness: if stays { liveness } else { Liveness::default() },
    }
}

/// `old` with other bytes in it.
fn refilled(mut old: Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    old.clear();
    old.reserve_exact(bytes.len());
    old.extend_from_slice(bytes);
    old
}

/// Flows of one phone; RFC 5626, 4.2, wants two.
const MAX_FLOWS: usize = 4;

/// Whether there are more phones, or more flows of phones, than may be.
fn beyond(bindings: &[Binding], phones: usize) -> bool {
    let mut known: Vec<&[u8]> = bindings.iter().map(Binding::phone).collect();
    known.sort_unstable();
    known.dedup();
    known.len() > phones || bindings.len() > phones.saturating_mul(MAX_FLOWS)
}

#[cfg(test)]
mod tests;
