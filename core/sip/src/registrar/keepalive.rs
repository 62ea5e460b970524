//! Keep-alives to phones (RFC 5626, section 4.4, the other way round): what holds a NAT's binding
//! open for a phone that does not do so itself, and tells whether the phone is still there.

use std::time::Duration;

use koukan_base::Time;

use super::binding::{Binding, BindingKey, Health};
use super::{Registrar, User};
use crate::{Flow, Transport};

/// Who is kept alive, how, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepaliveConfig {
    /// To whom.
    pub to: KeepaliveTo,
    /// By what.
    pub by: KeepaliveBy,
    /// How often.
    pub interval: Duration,
    /// So many questions without an answer make a phone unreachable.
    pub misses: u32,
}

impl Default for KeepaliveConfig {
    fn default() -> Self {
        Self {
            to: KeepaliveTo::Nat,
            by: KeepaliveBy::Options,
            // NATs forget datagrams after 30 s of silence at the earliest (RFC 4787, REQ-5, wants
            // two minutes; the field knows 30 s).
            interval: Duration::from_secs(25),
            misses: 3,
        }
    }
}

/// Which bindings get keep-alives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepaliveTo {
    /// None.
    None,
    /// Those by datagrams whose contact is another address than they speak from.
    #[default]
    Nat,
    /// All of them.
    All,
}

/// What a keep-alive is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepaliveBy {
    /// A double line end: the cheapest, answered by nobody, by datagrams only.
    LineEnds,
    /// OPTIONS: any answer shows that the phone is there.
    #[default]
    Options,
}

/// One keep-alive to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Whose contact.
    pub user: Box<str>,
    /// Which.
    pub key: BindingKey,
    /// Where to.
    pub flow: Flow,
    /// Path values, topmost first.
    pub path: Vec<Vec<u8>>,
    /// By what; the outcome of OPTIONS is wanted by [`Registrar::keepalive_ended`].
    pub by: KeepaliveBy,
}

impl KeepaliveConfig {
    fn wants(&self, binding: &Binding) -> bool {
        let datagrams = binding.flow.transport == Transport::Udp;
        let (who, how) = match (self.to, self.by) {
            (KeepaliveTo::None, _) => (false, false),
            (KeepaliveTo::Nat, _) => (datagrams && binding.is_behind_nat(), true),
            (KeepaliveTo::All, KeepaliveBy::LineEnds) => (true, datagrams),
            (KeepaliveTo::All, KeepaliveBy::Options) => (true, true),
        };
        who && how && binding.target().is_some()
    }

    /// The first one after a registration: spread over half of the interval by the user's number,
    /// so that phones that registered in one moment are not asked in one moment.
    pub(super) fn first(&self, now: Time, number: u64, binding: &Binding) -> Option<Time> {
        let share = u32::try_from(number % 64).unwrap_or(0);
        let spread = self.interval.saturating_mul(share) / 128;
        self.wants(binding).then(|| now + self.interval / 2 + spread)
    }
}

impl Registrar {
    /// The next keep-alive that is due; drain it after `handle_timeout`.
    pub fn poll_keepalive(&mut self) -> Option<Keepalive> {
        self.keepalives.pop_front()
    }

    /// What became of an OPTIONS: answered in any way, or by nobody. Whether the phone is taken to
    /// be there from now on, when that has changed.
    pub fn keepalive_ended(
        &mut self,
        now: Time,
        user: &str,
        key: &BindingKey,
        answered: bool,
    ) -> Option<bool> {
        let config = self.config.keepalive;
        let entry = self.users.get_mut(user)?;
        let (number, before) = (entry.number, entry.next());
        let found = entry
            .bindings
            .iter_mut()
            .find(|known| known.uri == key.uri && known.reg_id == key.reg_id)?;
        let asked = found.liveness.asked.take()?;
        let was_away = found.is_away();
        let lost = matches!(found.liveness.health, Health::Lost { .. });
        if answered {
            found.liveness.misses = 0;
            found.liveness.health = Health::Reachable { round_trip: now.since(asked) };
        } else {
            found.liveness.misses = found.liveness.misses.saturating_add(1);
            if !was_away && found.liveness.misses >= config.misses {
                found.liveness.health = Health::Unreachable { since: now };
            }
        }
        let due = (asked + config.interval).max(now);
        found.liveness.next = config.wants(found).then_some(due);
        let change = (was_away != found.is_away() && !lost).then_some(!found.is_away());
        let after = entry.next();
        self.timers.update(number, before, after);
        change
    }
}

/// Takes what is due of a user's bindings.
pub(super) fn take_due(now: Time, config: &KeepaliveConfig, user: &mut User) -> Vec<Keepalive> {
    let mut taken = Vec::new();
    for binding in &mut user.bindings {
        if binding.liveness.next.is_none_or(|at| at > now) {
            continue;
        }
        let Some(flow) = binding.target() else {
            binding.liveness.next = None;
            continue;
        };
        match config.by {
            KeepaliveBy::LineEnds => binding.liveness.next = Some(now + config.interval),
            KeepaliveBy::Options => {
                (binding.liveness.next, binding.liveness.asked) = (None, Some(now));
            }
        }
        taken.push(Keepalive {
            user: Box::default(),
            key: binding.key(),
            flow,
            path: binding.path.clone(),
            by: config.by,
        });
    }
    taken
}
