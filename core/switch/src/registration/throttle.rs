//! Wrong passwords slowed: a phone that registers again and again with a wrong secret gets its
//! refusals later and later, by user and source address. A right password is taken at once,
//! whatever was wrong before it, but from a source that is banned (see `guard`) by a user who was
//! wrong there too often and is not registered there. Nothing is ever sent that was not asked for.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use koukan_base::Time;

/// Wrong answers that are refused at once: people mistype.
const FREE: u32 = 3;
/// The first delay; each further wrong answer doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// Beyond the time that a client waits for an answer (64·T1) a delay is silence.
const LONGEST: Duration = Duration::from_secs(30);
/// From a source that guesses, who was wrong so often is not believed even when right.
const SUSPECT: u32 = 10;
/// Without a wrong answer for so long all is forgiven.
const FORGIVEN: Duration = Duration::from_secs(300);
/// Users and sources that are remembered; who comes when they are full is not slowed, but neither
/// are those who are remembered let go.
const REMEMBERED: usize = 16_384;
/// Refusals that wait at once; beyond it they are given at once.
const WAITING: usize = 4_096;

#[derive(Clone, Copy, Debug)]
struct Record {
    wrong: u32,
    last: Time,
    /// When its last refusal is given.
    due: Time,
}

/// When a refusal is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// Now.
    AtOnce,
    /// Now, and nobody remembers it: there is no room.
    Unremembered,
    /// So much later, to somebody who has waited for the one before.
    Patient(Duration),
    /// So much later, to somebody who has not.
    Hasty(Duration),
}

/// Who was wrong how often, and the refusals that wait.
#[derive(Debug)]
pub(crate) struct Throttle<T> {
    wrong: HashMap<u64, Record>,
    waiting: BTreeMap<(Time, T), u16>,
    /// When room was looked for last.
    looked: Option<Time>,
}

impl<T> Default for Throttle<T> {
    fn default() -> Self {
        Self { wrong: HashMap::new(), waiting: BTreeMap::new(), looked: None }
    }
}

impl<T: Ord + Copy> Throttle<T> {
    /// A wrong answer of this user from here, and when its refusal is to be given.
    pub(crate) fn note(&mut self, now: Time, (user, source): (&[u8], IpAddr)) -> Slow {
        let key = key(user, source);
        if !self.wrong.contains_key(&key) && self.wrong.len() >= REMEMBERED {
            self.make_room(now);
            if self.wrong.len() >= REMEMBERED {
                return Slow::Unremembered;
            }
        }
        let record = self.wrong.entry(key).or_insert(Record { wrong: 0, last: now, due: now });
        if now.since(record.last) >= FORGIVEN {
            record.wrong = 0;
        }
        record.wrong = record.wrong.saturating_add(1);
        record.last = now;
        let doublings = record.wrong.saturating_sub(FREE);
        if doublings == 0 {
            return Slow::AtOnce;
        }
        let factor = 1u32.checked_shl(doublings.saturating_sub(1)).unwrap_or(u32::MAX);
        let delay = FIRST.saturating_mul(factor).min(LONGEST);
        let hasty = now < record.due;
        record.due = now + delay;
        if hasty { Slow::Hasty(delay) } else { Slow::Patient(delay) }
    }

    /// Forgets who is forgiven, when any is: a flood of names must not have all of them looked at
    /// each time.
    fn make_room(&mut self, now: Time) {
        if self.looked.is_some_and(|at| now.since(at) < FIRST) {
            return;
        }
        self.looked = Some(now);
        self.wrong.retain(|_, record| now.since(record.last) < FORGIVEN);
    }

    /// A refusal waits, and comes from `pop_due`; false when too many do.
    pub(crate) fn wait(&mut self, until: Time, tx: T, status: u16) -> bool {
        let room = self.waiting.len() < WAITING;
        if room {
            self.waiting.insert((until, tx), status);
        }
        room
    }

    /// Whether this user was wrong from here too often to be believed from a source that guesses;
    /// `None` when nothing is known of the two.
    pub(crate) fn is_suspect(&self, user: &[u8], source: IpAddr) -> Option<bool> {
        self.wrong.get(&key(user, source)).map(|record| record.wrong >= SUSPECT)
    }

    /// A right answer: what was wrong before it is forgotten.
    pub(crate) fn forgive(&mut self, user: &[u8], source: IpAddr) {
        if !self.wrong.is_empty() {
            self.wrong.remove(&key(user, source));
        }
    }

    /// The next refusal whose time has come.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(T, u16)> {
        let entry = self.waiting.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((_, tx), status) = entry.remove_entry();
        Some((tx, status))
    }

    /// Refusals that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }
}

/// A collision slows a stranger's wrong answers a little, and nothing else.
fn key(user: &[u8], source: IpAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    source.to_canonical().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_floods_with_names_is_remembered_up_to_a_bound() {
        let mut throttle = Throttle::<u32>::default();
        let source = IpAddr::from([203, 0, 113, 9]);
        for number in 0..40_000u32 {
            throttle.note(Time::ZERO, (&number.to_be_bytes(), source));
        }
        assert_eq!(throttle.wrong.len(), REMEMBERED);
        let later = Time::ZERO + FORGIVEN;
        throttle.note(later, (b"new", source));
        assert_eq!(throttle.wrong.len(), 1, "what is forgiven makes room");
    }
}
