//! Wrong PINs of rooms, counted over calls: by caller and room, and of all callers from outside
//! together, since a number can be made up. Who has guessed too often is not asked any more, until
//! some time behind its last guess.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use koukan_base::Time;

use super::RoomKey;
use crate::action::Now;
use crate::call::Call;
use crate::leg::Party;
use crate::limits;
use crate::switch::Switch;

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
    const fn most(&self) -> u32 {
        match self {
            Self::Device(..) | Self::Outside(_) => limits::PIN_GUESSES,
            Self::AllOutside => limits::PIN_GUESSES_OUTSIDE,
        }
    }
}

/// Wrong PINs, and when they are forgotten.
#[derive(Clone, Copy, Debug)]
struct Guesses {
    count: u32,
    until: Time,
}

/// What is remembered of wrong PINs.
#[derive(Debug, Default)]
pub(super) struct WrongPins(HashMap<(RoomKey, Who), Guesses>);

impl WrongPins {
    fn note(&mut self, now: Time, key: (RoomKey, Who)) {
        if self.0.len() >= limits::PIN_CALLERS && !self.0.contains_key(&key) {
            self.0.retain(|_, guesses| guesses.until > now);
            let oldest = self.0.iter().min_by_key(|(_, guesses)| guesses.until);
            let oldest = oldest.map(|(key, _)| key.clone());
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= limits::PIN_CALLERS) {
                self.0.remove(&oldest);
            }
        }
        let known = self.0.entry(key).or_insert(Guesses { count: 0, until: now });
        if known.until <= now {
            known.count = 0;
        }
        known.count = known.count.saturating_add(1);
        known.until = now + Duration::from_secs(limits::PIN_REST_S);
    }

    fn is_over(&self, now: Time, key: &(RoomKey, Who)) -> bool {
        let known = self.0.get(key).filter(|guesses| guesses.until > now);
        known.is_some_and(|guesses| guesses.count >= key.1.most())
    }
}

impl Switch {
    /// A caller has pressed a wrong PIN.
    pub(super) fn note_wrong_pin(&mut self, now: Now, call: &Call, room: &RoomKey) {
        for who in guessers(call) {
            self.rooms.wrong.note(now.time, (room.clone(), who));
        }
    }

    /// Whether a caller has pressed so many wrong PINs that it is not asked any more.
    pub(super) fn has_guessed(&self, now: Now, call: &Call, room: &RoomKey) -> bool {
        let wrong = &self.rooms.wrong;
        guessers(call).into_iter().any(|who| wrong.is_over(now.time, &(room.clone(), who)))
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
            assert!(!wrong.is_over(now, &key(1)));
            now = now + Duration::from_secs(limits::PIN_REST_S - 1);
            wrong.note(now, key(1));
        }
        assert!(wrong.is_over(now, &key(1)) && !wrong.is_over(now, &key(2)));
        let later = now + Duration::from_secs(limits::PIN_REST_S);
        assert!(!wrong.is_over(later, &key(1)));
        wrong.note(later, key(1));
        assert!(!wrong.is_over(later, &key(1)), "it begins anew");
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
