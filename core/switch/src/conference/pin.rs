//! The PIN of a room: asked for, pressed, and wrong only so often.

use std::sync::Arc;
use std::time::Duration;

use koukan_base::{OpId, Time};
use koukan_dialplan::Room;
use koukan_media::Source;

use super::{Attendance, Attending, RoomKey};
use crate::action::Now;
use crate::call::{Call, Stage};
use crate::limits;
use crate::switch::{Fate, Switch};

/// How long the first digit is waited for, behind the question.
const FIRST_DIGIT: Duration = Duration::from_secs(8);
/// How long the next digit is waited for.
const NEXT_DIGIT: Duration = Duration::from_secs(4);
/// Digits of a PIN are not more.
const MOST_DIGITS: usize = 12;

/// A caller is asked for the PIN.
#[derive(Debug)]
pub(super) struct Asking {
    play: Option<OpId>,
    digits: String,
    /// When it has taken too long; none while the question plays.
    pub(super) until: Option<Time>,
    /// How often it may still be wrong.
    left: u32,
    /// Many were wrong: what was pressed is looked at then.
    held: Option<Time>,
}

impl Asking {
    /// The question has ended; false when this was not it.
    pub(super) fn said(&mut self, now: Now, op: OpId) -> bool {
        let ended = self.play.take_if(|play| *play == op).is_some();
        if ended && self.digits.is_empty() {
            self.until = Some(now.time + FIRST_DIGIT);
        }
        ended
    }
}

impl Switch {
    /// Begins with the question.
    pub(super) fn ask_for_pin(&mut self, call: &mut Call, key: RoomKey, spec: Arc<Room>) {
        let left = limits::PIN_TRIES;
        let asking = Asking { play: None, digits: String::new(), until: None, left, held: None };
        let state = Attending::Asking(asking);
        call.stage = Stage::Conference(Attendance { key, spec, state });
        self.feed(call, 0, Source::Silence);
        self.stop_music(call, 0);
        self.listen(call, true);
        self.ask_again(call, false);
    }

    /// The question, after what is said of a wrong PIN.
    fn ask_again(&mut self, call: &mut Call, wrong: bool) {
        let op = self.next_op();
        let Some(asking) = asking_of(call) else { return };
        (asking.play, asking.until) = (Some(op), None);
        asking.digits.clear();
        let words = wrong.then_some("room-pin-wrong").into_iter().chain(["room-pin"]);
        let language = self.directory.plans.language(&call.tenant).to_owned();
        let prompts = words.map(|word| self.prompt(&call.tenant, &language, word)).collect();
        if let Some(stream) = call.leg(0).and_then(|leg| leg.stream.live()) {
            self.play(call.worker, stream, op, prompts, 1);
        }
    }

    /// A digit; the hash key ends the PIN, the star key begins it anew.
    pub(super) fn pin_key(&mut self, now: Now, call: &mut Call, key: u8) -> Fate {
        let (worker, stream) = (call.worker, call.leg(0).and_then(|leg| leg.stream.live()));
        let Some(asking) = asking_of(call).filter(|asking| asking.held.is_none()) else {
            return Fate::Keep;
        };
        let play = asking.play.take();
        asking.until = Some(now.time + NEXT_DIGIT);
        let done = match key {
            b'#' => true,
            b'*' => {
                asking.digits.clear();
                false
            }
            digit => {
                asking.digits.push(char::from(digit));
                asking.digits.len() >= MOST_DIGITS
            }
        };
        if let (Some(op), Some(stream)) = (play, stream) {
            self.stop_play(worker, stream, op);
        }
        if done { self.try_pin(now, call) } else { Fate::Keep }
    }

    pub(super) fn pin_timeout(&mut self, now: Now, call: &mut Call) -> Fate {
        self.try_pin(now, call)
    }

    /// Where many PINs were wrong, what is pressed waits before it is looked at; whether it does.
    fn holds_pin(&mut self, now: Now, call: &mut Call) -> bool {
        let Stage::Conference(attendance) = &call.stage else { return false };
        let Attending::Asking(asking) = &attendance.state else { return false };
        // Who presses nothing does not guess.
        if asking.digits.is_empty() || asking.held.is_some_and(|until| until <= now.time) {
            return false;
        }
        let key = attendance.key.clone();
        let due = match asking.held {
            Some(due) => due,
            None => self.pin_due(now, call, &key),
        };
        if due <= now.time {
            return false;
        }
        let wait = due.since(now.time).as_secs();
        if let Some(asking) = asking_of(call)
            && asking.held.replace(due).is_none()
        {
            asking.until = Some(due);
            let line = format!("many wrong PINs of room {}: looked at in {wait} s", key.1);
            self.explain(call.id, line);
        }
        true
    }

    /// Holds what was pressed against the room's PINs.
    fn try_pin(&mut self, now: Now, call: &mut Call) -> Fate {
        if self.holds_pin(now, call) {
            return Fate::Keep;
        }
        let Stage::Conference(attendance) = &mut call.stage else { return Fate::Keep };
        let (key, spec) = (attendance.key.clone(), attendance.spec.clone());
        let Attending::Asking(asking) = &mut attendance.state else { return Fate::Keep };
        asking.held = None;
        let digits = std::mem::take(&mut asking.digits);
        let pins = self.directory.room_pins.get(&key);
        let is = |pin: Option<&Arc<str>>| pin.is_some_and(|pin| **pin == *digits);
        let moderator = pins.is_some_and(|pins| is(pins.moderator.as_ref()));
        let member = pins.is_some_and(|pins| match &pins.member {
            Some(pin) => is(Some(pin)),
            // Without one, who does not lead presses nothing.
            None => digits.is_empty() && spec.pin.is_none(),
        });
        if moderator || member {
            self.forgive_pins(call, &key);
            return self.enter_room(now, call, (key, spec), (moderator, false));
        }
        let Some(asking) = asking_of(call) else { return Fate::Keep };
        asking.left = asking.left.saturating_sub(1);
        let left = asking.left;
        self.explain(call.id, format!("a wrong PIN of room {}", key.1));
        // Who presses nothing does not guess.
        if !digits.is_empty() {
            self.note_wrong_pin(now, call, &key);
        }
        if left > 0 {
            self.ask_again(call, !digits.is_empty());
            return Fate::Keep;
        }
        self.listen(call, false);
        self.refuse_step(call, 403, "room-pin-wrong");
        self.next_step(now, call)
    }
}

fn asking_of(call: &mut Call) -> Option<&mut Asking> {
    match &mut call.stage {
        Stage::Conference(Attendance { state: Attending::Asking(asking), .. }) => Some(asking),
        _ => None,
    }
}
