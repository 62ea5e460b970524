//! The registrar's rules (RFC 3261, section 10.3): what a REGISTER does to a user's bindings.

mod request;

use std::collections::HashMap;
use std::time::Duration;

use koukan_base::Time;
use thiserror::Error;

pub use request::{ContactEntry, RegisterRequest};

use crate::Flow;
use crate::timer::TimerQueue;

/// Bounds of a registration's life, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrarConfig {
    /// Shorter wishes get 423 with Min-Expires.
    pub min_expires: u32,
    /// Longer wishes are cut.
    pub max_expires: u32,
    /// What a request that says nothing gets.
    pub default_expires: u32,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self { min_expires: 60, max_expires: 3600, default_expires: 3600 }
    }
}

/// One bound contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The contact URI as the phone wrote it.
    pub uri: Vec<u8>,
    /// The way back to the phone: where the REGISTER really came from.
    pub flow: Flow,
    /// Preference, 0–1000.
    pub q: u16,
    /// The registration's Call-ID.
    pub call_id: Vec<u8>,
    /// Its sequence number.
    pub cseq: u32,
    /// When it ends.
    pub expires: Time,
    /// The phone's User-Agent.
    pub user_agent: Vec<u8>,
    /// Path values (RFC 3327), topmost first.
    pub path: Vec<Vec<u8>>,
}

/// A change to the bindings that must be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Bound or refreshed.
    Bound(Binding),
    /// Gone: removed, replaced or expired.
    Removed {
        /// The contact URI.
        uri: Vec<u8>,
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
}

#[derive(Debug, Default)]
struct User {
    number: u64,
    bindings: Vec<Binding>,
}

impl User {
    fn next(&self) -> Option<Time> {
        self.bindings.iter().map(|binding| binding.expires).min()
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
        }
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
        let mut bindings = known.to_vec();
        let mut changes = Vec::new();
        if request.star {
            changes.extend(bindings.drain(..).map(|gone| Change::Removed { uri: gone.uri }));
        }
        for contact in &request.contacts {
            let found = bindings.iter().position(|known| same_uri(&known.uri, &contact.uri));
            let old = found.map(|at| bindings.remove(at));
            let seconds = self.granted(contact.expires.or(request.expires));
            if seconds == 0 {
                changes.extend(old.map(|gone| Change::Removed { uri: gone.uri }));
                continue;
            }
            if let Some(gone) = old.filter(|old| old.uri != contact.uri) {
                changes.push(Change::Removed { uri: gone.uri });
            }
            let binding = Binding {
                uri: contact.uri.clone(),
                flow,
                q: contact.q,
                call_id: request.call_id.clone(),
                cseq: request.cseq,
                expires: now + Duration::from_secs(u64::from(seconds)),
                user_agent: request.user_agent.clone(),
                path: request.path.clone(),
            };
            bindings.push(binding.clone());
            changes.push(Change::Bound(binding));
        }
        while bindings.len() > max_contacts.max(1) {
            changes.push(Change::Removed { uri: bindings.remove(0).uri });
        }
        self.store(user, bindings);
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
            let bound = known.iter().find(|known| same_uri(&known.uri, &contact.uri));
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
    pub fn restore(&mut self, user: &str, binding: Binding) {
        let mut bindings =
            self.users.get(user).map(|user| user.bindings.clone()).unwrap_or_default();
        bindings.retain(|known| !same_uri(&known.uri, &binding.uri));
        bindings.push(binding);
        self.store(user, bindings);
    }

    fn store(&mut self, user: &str, bindings: Vec<Binding>) {
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
        let before = entry.next();
        entry.bindings = bindings;
        let (number, after) = (entry.number, entry.next());
        self.timers.update(number, before, after);
        if after.is_none() {
            self.users.remove(user);
            self.numbers.remove(&number);
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

    /// Every user with its bindings.
    pub fn users(&self) -> impl Iterator<Item = (&str, &[Binding])> {
        self.users.iter().map(|(name, user)| (&**name, user.bindings.as_slice()))
    }

    /// Ends what has expired at `now`: each user with the contact that is gone.
    pub fn handle_timeout(&mut self, now: Time) -> Vec<(Box<str>, Change)> {
        let mut gone = Vec::new();
        while let Some(number) = self.timers.pop_due(now) {
            let Some(name) = self.numbers.get(&number).cloned() else { continue };
            let Some(user) = self.users.get_mut(&name) else { continue };
            let expired = user.bindings.extract_if(.., |binding| binding.expires <= now);
            gone.extend(
                expired.map(|binding| (name.clone(), Change::Removed { uri: binding.uri })),
            );
            let next = user.next();
            self.timers.update(number, None, next);
            if next.is_none() {
                self.users.remove(&name);
                self.numbers.remove(&number);
            }
        }
        gone
    }

    /// When the next binding expires.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }
}

/// Whether two contacts are one (RFC 3261, 19.1.4, as far as phones differ): same user, host, port
/// and transport; a phone that adds or drops another parameter on refresh is the same phone.
fn same_uri(left: &[u8], right: &[u8]) -> bool {
    use crate::header::Uri;
    if left == right {
        return true;
    }
    let (Some(a), Some(b)) = (Uri::parse(left), Uri::parse(right)) else { return false };
    let transport =
        |uri: &Uri<'_>| uri.params.value(b"transport").unwrap_or(b"udp").to_ascii_lowercase();
    a.scheme.eq_ignore_ascii_case(b.scheme)
        && a.user_unescaped() == b.user_unescaped()
        && a.host.eq_ignore_ascii_case(b.host)
        && a.port.unwrap_or(5060) == b.port.unwrap_or(5060)
        && transport(&a) == transport(&b)
}

#[cfg(test)]
mod tests;
