//! The hosts of a trunk: which of them is called next (RFC 3263, 4.3; the choice by priority and
//! weight is that of RFC 2782), and which of them live. A host is out for a while after a call to
//! it met nobody; where the plan wants probes (OPTIONS, RFC 3261, 11) it is out from the second
//! that stays without an answer until one is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use koukan_base::{Rng, Time};

/// A host of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkHost {
    /// Its address.
    pub address: SocketAddr,
    /// The name that the plan has for it, when it is a name.
    pub name: Option<Arc<str>>,
    /// The lowest that lives is called.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
}

/// How a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nobody has asked it.
    Untested,
    /// It answered, after so long.
    Alive { round_trip: Duration },
    /// It does not answer.
    Dead,
}

#[derive(Debug)]
struct Host {
    at: TrunkHost,
    health: Health,
    /// Probes in a row that stayed without an answer.
    misses: u8,
    /// The next probe, when there is one.
    probe: Option<Time>,
    /// Since when a probe waits for its answer.
    asked: Option<Time>,
    /// Nothing is sent there before.
    held: Option<Time>,
}

/// The hosts of one trunk.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    list: Vec<Host>,
    every: Option<Duration>,
}

/// A host that a call found silent is left alone for so long, unless it says how long itself.
const HELD: Duration = Duration::from_secs(30);
/// No host is believed that wants to be left alone for longer.
const HELD_MOST: Duration = Duration::from_secs(300);
/// A probe that is not answered for so long stays without an answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// So many of them make a dead host.
const MISSES: u8 = 2;
/// After the first the next one is sent so soon.
const AGAIN: Duration = Duration::from_secs(1);
impl TrunkHost {
    /// Hosts of one trunk; what a name stands for beyond them is left out.
    pub const MOST: usize = 32;
}

impl Hosts {
    /// The hosts as they are now, probed so often; what is known of one that stays is kept.
    pub(crate) fn set(&mut self, now: Time, hosts: &[TrunkHost], every: Option<Duration>) {
        let mut old = std::mem::take(&mut self.list);
        for at in hosts.iter().take(TrunkHost::MOST) {
            if self.list.iter().any(|known| known.at.address == at.address) {
                continue;
            }
            let known = old.iter().position(|known| known.at.address == at.address);
            let mut host = match known {
                Some(known) => old.swap_remove(known),
                None => Host {
                    at: at.clone(),
                    health: Health::Untested,
                    misses: 0,
                    probe: None,
                    asked: None,
                    held: None,
                },
            };
            host.at = at.clone();
            if every.is_none() {
                // Nobody asks any more: what was found out then says nothing of today.
                (host.health, host.misses, host.asked) = (Health::Untested, 0, None);
            }
            host.probe = every.map(|_| host.probe.unwrap_or(now));
            self.list.push(host);
        }
        self.every = every;
    }

    /// The host to be called next, other than those in `but`.
    pub(crate) fn choose(
        &self,
        now: Time,
        rng: &mut Rng,
        but: &[SocketAddr],
    ) -> Option<SocketAddr> {
        let fits = |host: &&Host| host.takes_calls(now) && !but.contains(&host.at.address);
        let priority = self.list.iter().filter(fits).map(|host| host.at.priority).min();
        let Some(priority) = priority else {
            // Who cannot know better tries a host that was silent before it tries none.
            let tried = |host: &&Host| {
                let silent = host.held.is_some() && host.health != Health::Dead;
                self.every.is_none() && silent && !but.contains(&host.at.address)
            };
            let soonest = self.list.iter().filter(tried).min_by_key(|host| host.held);
            return soonest.map(|host| host.at.address);
        };
        let same = || self.list.iter().filter(fits).filter(|host| host.at.priority == priority);
        let all: u64 = same().map(|host| u64::from(host.at.weight)).sum();
        let mut point = if all == 0 { 0 } else { rng.next_u64() % all };
        for host in same() {
            let weight = u64::from(host.at.weight);
            if point < weight {
                return Some(host.at.address);
            }
            point = point.saturating_sub(weight);
        }
        // All weights are nought.
        same().next().map(|host| host.at.address)
    }

    /// Whether a call would find no host.
    pub(crate) fn is_down(&self, now: Time) -> bool {
        let lives = |host: &Host| {
            host.takes_calls(now) || self.every.is_none() && host.health != Health::Dead
        };
        !self.list.iter().any(lives)
    }

    /// Who asks them in our place says which of them do not answer.
    pub(crate) fn hear(&mut self, dead: &[SocketAddr]) {
        for host in &mut self.list {
            let dead = dead.contains(&host.at.address);
            host.health = if dead { Health::Dead } else { Health::Untested };
        }
    }

    /// The hosts that do not answer.
    pub(crate) fn dead(&self) -> Vec<SocketAddr> {
        let dead = self.list.iter().filter(|host| host.health == Health::Dead);
        dead.map(|host| host.at.address).collect()
    }

    /// A host was silent, or said that it takes nothing for now.
    pub(crate) fn failed(&mut self, now: Time, address: SocketAddr, retry_after: Option<Duration>) {
        let Some(host) = self.host(address) else { return };
        host.held = Some(now + retry_after.unwrap_or(HELD).min(HELD_MOST));
        if host.asked.is_none() && host.probe.is_some() {
            host.probe = Some(now);
        }
    }

    /// A host answered something else than a probe.
    pub(crate) fn answered(&mut self, address: SocketAddr) {
        if let Some(host) = self.host(address) {
            host.held = None;
        }
    }

    /// The next host that is to be asked whether it is there.
    pub(crate) fn due(&mut self, now: Time) -> Option<SocketAddr> {
        let every = self.every?;
        for host in &mut self.list {
            if host.asked.is_some_and(|asked| now.since(asked) >= PATIENCE) {
                host.asked = None;
                host.misses = host.misses.saturating_add(1);
                if host.misses >= MISSES {
                    host.health = Health::Dead;
                } else {
                    host.probe = Some(now + AGAIN);
                }
            }
        }
        let ready = |host: &&mut Host| host.probe.is_some_and(|at| at <= now);
        let host = self.list.iter_mut().find(ready)?;
        (host.probe, host.asked) = (Some(now + every), Some(now));
        Some(host.at.address)
    }

    /// A probe was answered, also late.
    pub(crate) fn probe_answered(&mut self, now: Time, address: SocketAddr) {
        let Some(host) = self.host(address) else { return };
        let round_trip = host.asked.take().map_or(PATIENCE, |asked| now.since(asked));
        (host.health, host.misses, host.held) = (Health::Alive { round_trip }, 0, None);
    }

    /// A probe cannot be sent, or the host says that it takes nothing.
    pub(crate) fn probe_failed(&mut self, now: Time, address: SocketAddr) {
        let Some(host) = self.host(address) else { return };
        if host.asked.take().is_some() {
            host.misses = host.misses.saturating_add(1);
            if host.misses >= MISSES {
                host.health = Health::Dead;
            } else {
                host.probe = Some(now + AGAIN);
            }
        }
    }

    /// When `due` has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.every?;
        let next = |host: &Host| {
            let patience = host.asked.map(|asked| asked + PATIENCE);
            [host.probe, patience].into_iter().flatten().min()
        };
        self.list.iter().filter_map(next).min()
    }

    /// The host at an address.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<&TrunkHost> {
        self.list.iter().map(|host| &host.at).find(|host| host.address == address)
    }

    /// Every host and how it is.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&TrunkHost, Health)> {
        self.list.iter().map(|host| (&host.at, host.health))
    }

    /// Whether calls go to this host.
    pub(crate) fn is_usable(&self, now: Time, address: SocketAddr) -> bool {
        let host = self.list.iter().find(|host| host.at.address == address);
        host.is_some_and(|host| host.takes_calls(now))
    }

    /// Whether a host is left alone for a while.
    pub(crate) fn is_held(&self, now: Time, address: SocketAddr) -> bool {
        let host = self.list.iter().find(|host| host.at.address == address);
        host.is_some_and(|host| host.held.is_some_and(|held| now < held))
    }

    fn host(&mut self, address: SocketAddr) -> Option<&mut Host> {
        self.list.iter_mut().find(|host| host.at.address == address)
    }
}

impl Host {
    fn takes_calls(&self, now: Time) -> bool {
        self.health != Health::Dead && self.held.is_none_or(|held| held <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn host(last: u8, priority: u16, weight: u16) -> TrunkHost {
        TrunkHost { address: at(last), name: None, priority, weight }
    }

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5060))
    }

    fn secs(seconds: u64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    fn of(hosts: &[TrunkHost], every: Option<u64>) -> Hosts {
        let mut all = Hosts::default();
        all.set(secs(0), hosts, every.map(Duration::from_secs));
        all
    }

    #[test]
    fn the_lowest_priority_is_called_by_weight_and_the_next_one_when_it_is_out() {
        let hosts = [host(1, 1, 3), host(2, 1, 1), host(3, 2, 0), host(4, 2, 0)];
        let mut hosts = of(&hosts, None);
        let mut rng = Rng::from_number(1);
        let mut chosen: HashMap<SocketAddr, u32> = HashMap::new();
        for _ in 0..4_000 {
            *chosen.entry(hosts.choose(secs(0), &mut rng, &[]).unwrap()).or_default() += 1;
        }
        assert_eq!(chosen.len(), 2, "{chosen:?}");
        assert!((2_850..3_150).contains(&chosen[&at(1)]), "three quarters: {chosen:?}");
        assert_eq!(hosts.choose(secs(0), &mut rng, &[at(1), at(2)]), Some(at(3)));
        hosts.failed(secs(0), at(1), None);
        hosts.failed(secs(0), at(2), Some(Duration::from_secs(3_600)));
        assert_eq!(hosts.choose(secs(1), &mut rng, &[]), Some(at(3)));
        assert_eq!(hosts.choose(secs(31), &mut rng, &[]), Some(at(1)), "it is tried again");
        assert_eq!(hosts.choose(secs(31), &mut rng, &[at(1)]), Some(at(3)));
        assert!((0..50).any(|_| hosts.choose(secs(301), &mut rng, &[]) == Some(at(2))));
    }

    #[test]
    fn without_probes_a_host_that_was_silent_is_better_than_none() {
        let mut hosts = of(&[host(1, 1, 1)], None);
        let mut rng = Rng::from_number(1);
        hosts.failed(secs(0), at(1), None);
        assert_eq!(hosts.choose(secs(1), &mut rng, &[]), Some(at(1)));
        assert_eq!(hosts.choose(secs(1), &mut rng, &[at(1)]), None, "each once for a call");
        assert!(!hosts.is_down(secs(1)));
        assert!(of(&[], None).is_down(secs(1)), "a name that stands for nothing");
    }

    #[test]
    fn two_probes_without_an_answer_make_a_dead_host_and_one_answer_makes_it_live() {
        let mut hosts = of(&[host(1, 1, 1)], Some(30));
        let mut rng = Rng::from_number(1);
        assert_eq!(hosts.due(secs(0)), Some(at(1)));
        assert_eq!((hosts.due(secs(0)), hosts.poll_timeout()), (None, Some(secs(4))));
        assert_eq!(hosts.due(secs(4)), None);
        assert_eq!(hosts.due(secs(5)), Some(at(1)), "asked again at once");
        assert!(!hosts.is_down(secs(8)));
        assert_eq!(hosts.due(secs(9)), None);
        assert!(hosts.is_down(secs(9)));
        assert_eq!(hosts.choose(secs(9), &mut rng, &[]), None);
        assert_eq!(hosts.poll_timeout(), Some(secs(35)), "it is asked on");
        assert_eq!(hosts.due(secs(35)), Some(at(1)));
        hosts.probe_answered(secs(36), at(1));
        assert_eq!(hosts.choose(secs(36), &mut rng, &[]), Some(at(1)));
        let alive = Health::Alive { round_trip: Duration::from_secs(1) };
        assert_eq!(hosts.all().next().unwrap().1, alive);
    }

    #[test]
    fn what_is_known_of_a_host_stays_when_its_name_is_looked_up_again() {
        let mut hosts = of(&[host(1, 1, 1), host(2, 1, 1)], Some(30));
        let mut rng = Rng::from_number(1);
        for second in 0..10 {
            while hosts.due(secs(second)).is_some() {}
            hosts.probe_answered(secs(second), at(2));
        }
        hosts.set(secs(10), &[host(3, 1, 1), host(1, 1, 1)], Some(Duration::from_secs(30)));
        assert_eq!(hosts.choose(secs(10), &mut rng, &[]), Some(at(3)), "the first is dead");
        assert_eq!(hosts.due(secs(10)), Some(at(3)), "a new one is asked at once");
    }
}
