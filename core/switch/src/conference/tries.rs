//! Wrong PINs of rooms, counted over calls: by caller and room, and of all callers from outside
//! together, since a number can be made up. What is pressed after too many of them is looked at
//! later and later, until some time behind the last one; nobody is shut out by what others press.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use koukan_base::Time;

use super::RoomKey;
use crate::action::{Action, Now};
use crate::call::Call;
use crate::leg::Party;
use crate::limits;
use crate::switch::Switch;

/// The first PIN that waits; each further one waits twice as long.
const FIRST: Duration = Duration::from_secs(2);

/// Who guesses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    /// A phone, by its tenant and its name.
    Device(Arc<str>, Arc<str>),
    /// A number from outside; `None`: those that show none.
    Outside(Option<Arc<str>>),
    /// Everybody outside.
    AllOutside,
}

impl Who {
    /// Whether it is one caller, as far as can be known.
    const fn is_one(&self) -> bool {
        matches!(self, Self::Device(..) | Self::Outside(Some(_)))
    }

    /// How many wrong PINs cost nothing, and how long the next one waits at most.
    const fn bounds(&self) -> (u32, Duration) {
        let (most, seconds) = match self {
            Self::Device(..) | Self::Outside(Some(_)) => (limits::PIN_GUESSES, limits::PIN_WAIT_S),
            Self::Outside(None) => (limits::PIN_GUESSES_HIDDEN, limits::PIN_WAIT_SHARED_S),
            Self::AllOutside => (limits::PIN_GUESSES_OUTSIDE, limits::PIN_WAIT_SHARED_S),
        };
        (most, Duration::from_secs(seconds))
    }

    /// How long the next PIN waits behind so many wrong ones.
    fn delay(&self, count: u32) -> Duration {
        let (most, longest) = self.bounds();
        let Some(over) = count.checked_sub(most) else { return Duration::ZERO };
        FIRST.saturating_mul(1 << over.min(8)).min(longest)
    }
}

/// Wrong PINs, and when they are forgotten.
#[derive(Clone, Copy, Debug)]
struct Guesses {
    count: u32,
    until: Time,
    /// When the last PIN of one caller is looked at.
    looked: Time,
}

/// What is remembered of wrong PINs.
#[derive(Debug, Default)]
pub(super) struct WrongPins(HashMap<(RoomKey, Who), Guesses>);

impl WrongPins {
    /// A wrong PIN; how many there were.
    fn note(&mut self, now: Time, key: (RoomKey, Who)) -> u32 {
        if self.0.len() >= limits::PIN_CALLERS && !self.0.contains_key(&key) {
            self.0.retain(|_, guesses| guesses.until > now);
            let oldest = self.0.iter().min_by_key(|(_, guesses)| guesses.until);
            let oldest = oldest.map(|(key, _)| key.clone());
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= limits::PIN_CALLERS) {
                self.0.remove(&oldest);
            }
        }
        let fresh = Guesses { count: 0, until: now, looked: now };
        let known = self.0.entry(key).or_insert(fresh);
        if known.until <= now {
            known.count = 0;
        }
        known.count = known.count.saturating_add(1);
        known.until = now + Duration::from_secs(limits::PIN_REST_S);
        known.count
    }

    /// When a PIN that is pressed now is looked at. Those of one caller are one behind the other,
    /// by however many calls it presses them.
    fn look_at(&mut self, now: Time, key: &(RoomKey, Who)) -> Time {
        let Some(known) = self.0.get_mut(key).filter(|guesses| guesses.until > now) else {
            return now;
        };
        let delay = key.1.delay(known.count);
        if delay.is_zero() || !key.1.is_one() {
            return now + delay;
        }
        let (_, longest) = key.1.bounds();
        known.looked = (known.looked.max(now) + delay).min(now + longest);
        known.looked
    }
}

impl Switch {
    /// A caller has pressed a wrong PIN.
    pub(super) fn note_wrong_pin(&mut self, now: Now, call: &Call, room: &RoomKey) {
        for who in guessers(call) {
            let all = who == Who::AllOutside;
            let count = self.rooms.wrong.note(now.time, (room.clone(), who));
            if all && count == limits::PIN_GUESSES_OUTSIDE {
                let (tenant, room) = room;
                let text = format!(
                    "room {room} of {tenant}: {count} wrong PINs from outside, further ones wait"
                );
                self.actions.push_back(Action::Notice { grave: true, text });
            }
        }
    }

    /// When the PIN that a caller has pressed now is looked at.
    pub(super) fn pin_due(&mut self, now: Now, call: &Call, room: &RoomKey) -> Time {
        let wrong = &mut self.rooms.wrong;
        let due =
            guessers(call).into_iter().map(|who| wrong.look_at(now.time, &(room.clone(), who)));
        due.max().unwrap_or(now.time)
    }

    /// A caller knows a PIN: what it pressed wrong itself is forgotten.
    pub(super) fn forgive_pins(&mut self, call: &Call, room: &RoomKey) {
        for who in guessers(call).into_iter().filter(Who::is_one) {
            self.rooms.wrong.0.remove(&(room.clone(), who));
        }
    }
}

/// As whom the guesses of a call count.
fn guessers(call: &Call) -> Vec<Who> {
    let Some(leg) = call.leg(0) else { return Vec::new() };
    match &leg.party {
        Party::Device { tenant, device } => vec![Who::Device(tenant.clone(), device.clone())],
        Party::Trunk(_) => vec![Who::Outside(leg.identity.number.clone()), Who::AllOutside],
        Party::FaxBox { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> (RoomKey, Who) {
        let number: Arc<str> = number.to_string().into();
        (("acme".into(), "main".into()), Who::Outside(Some(number)))
    }

    #[test]
    fn guesses_are_forgotten_some_time_behind_the_last() {
        let mut wrong = WrongPins::default();
        let mut now = Time::ZERO;
        for _ in 0..limits::PIN_GUESSES {
            assert_eq!(wrong.look_at(now, &key(1)), now);
            now = now + Duration::from_secs(limits::PIN_REST_S - 1);
            wrong.note(now, key(1));
        }
        assert!(wrong.look_at(now, &key(1)) > now && wrong.look_at(now, &key(2)) == now);
        let later = now + Duration::from_secs(limits::PIN_REST_S);
        assert_eq!(wrong.look_at(later, &key(1)), later);
        wrong.note(later, key(1));
        assert_eq!(wrong.look_at(later, &key(1)), later, "it begins anew");
    }

    #[test]
    fn calls_of_one_caller_have_their_pins_looked_at_one_behind_the_other() {
        let mut wrong = WrongPins::default();
        let now = Time::ZERO;
        for _ in 0..=limits::PIN_GUESSES {
            wrong.note(now, key(1));
        }
        let due: Vec<u64> = (0..20).map(|_| wrong.look_at(now, &key(1)).as_millis()).collect();
        assert_eq!(due[..4], [4_000, 8_000, 12_000, 16_000]);
        assert_eq!(due[19], limits::PIN_WAIT_S * 1_000, "and none waits for ever");
    }

    #[test]
    fn what_strangers_guess_makes_others_wait_for_a_bounded_time() {
        let mut wrong = WrongPins::default();
        let key = (("acme".into(), "main".into()), Who::AllOutside);
        let mut waits = Vec::new();
        for _ in 0..1_000 {
            wrong.note(Time::ZERO, key.clone());
            waits.push(wrong.look_at(Time::ZERO, &key).as_millis());
        }
        assert_eq!((waits[28], waits[29], waits[30]), (0, 2_000, 4_000));
        assert_eq!(waits[999], limits::PIN_WAIT_SHARED_S * 1_000);
    }

    #[test]
    fn callers_without_number_take_no_memory_without_end_and_the_newest_are_kept() {
        let mut wrong = WrongPins::default();
        let now = Time::ZERO;
        for caller in 0..limits::PIN_CALLERS + 500 {
            let at = now + Duration::from_millis(u64::try_from(caller).unwrap());
            wrong.note(at, key(caller));
            assert!(wrong.0.len() <= limits::PIN_CALLERS);
        }
        assert!(wrong.0.contains_key(&key(limits::PIN_CALLERS + 499)));
        assert!(!wrong.0.contains_key(&key(0)));
    }
}
