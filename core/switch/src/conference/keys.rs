//! What members order by keys: the star key, then what to do.
//!
//! | keys | what | who |
//! |---|---|---|
//! | `*1` | microphone off, on | everybody |
//! | `*2` | lock the room, open it | moderators |
//! | `*3` | nobody but moderators is heard, everybody is | moderators |
//! | `*4` | puts out who came last | moderators |
//! | `*9` NUMBER `#` | calls somebody into the room | moderators |

use std::time::Duration;

use koukan_base::Time;

use super::{Concerns, RoomKey, member_of};
use crate::action::Now;
use crate::call::{Call, Stage};
use crate::switch::Switch;

/// How long the next key of an order is waited for.
const NEXT_KEY: Duration = Duration::from_secs(4);
/// Digits of a number that is to be called are not more.
const MOST_DIGITS: usize = 32;

/// Keys of an order, behind the star.
#[derive(Debug)]
pub(super) struct Typed {
    keys: String,
    pub(super) until: Time,
}

impl Switch {
    /// A member pressed a key.
    pub(super) fn order_key(&mut self, now: Now, call: &mut Call, key: u8) {
        let until = now.time + NEXT_KEY;
        let Some(member) = member_of(call) else { return };
        let Some(mut typed) = member.typed.take() else {
            if key == b'*' {
                member.typed = Some(Typed { keys: String::new(), until });
            }
            return;
        };
        if typed.keys.starts_with('9') {
            match key {
                b'#' => return self.dial_from(now, call, &typed.keys),
                // A number may begin with a star; a second one begins anew.
                _ if typed.keys.len() <= MOST_DIGITS => typed.keys.push(char::from(key)),
                _ => {}
            }
            typed.until = until;
            member.typed = Some(typed);
            return;
        }
        match key {
            b'1' => member.muted = !member.muted,
            b'9' => {
                member.typed = Some(Typed { keys: "9".to_owned(), until });
                return;
            }
            b'2' | b'3' | b'4' => {
                self.lead(call, key);
                return;
            }
            _ => return,
        }
        self.attend(call);
    }

    /// The keys of an order have ended: a number is called without its hash key.
    pub(super) fn order_timeout(&mut self, now: Now, call: &mut Call) {
        let Some(member) = member_of(call) else { return };
        let due = |typed: &mut Typed| typed.until <= now.time;
        let Some(typed) = member.typed.take_if(due) else { return };
        if typed.keys.starts_with('9') {
            self.dial_from(now, call, &typed.keys);
        }
    }

    fn dial_from(&mut self, now: Now, call: &mut Call, keys: &str) {
        let number = keys.get(1..).unwrap_or_default();
        let leads = member_of(call).is_some_and(|member| member.moderator);
        if !leads || number.is_empty() {
            return self.tell_member(call, "room-refused");
        }
        if let Err(why) = self.dial_out(now, call, number) {
            self.explain(call.id, format!("{number} is not called: {why}"));
            self.tell_member(call, "room-refused");
        }
    }

    /// An order that moderators alone may give.
    fn lead(&mut self, call: &mut Call, key: u8) {
        if !member_of(call).is_some_and(|member| member.moderator) {
            return self.tell_member(call, "room-refused");
        }
        let Stage::Conference(attendance) = &call.stage else { return };
        let room_key: RoomKey = attendance.key.clone();
        let Some(room) = self.rooms.open.get_mut(&room_key) else { return };
        match key {
            b'2' => {
                let locked = !room.locked;
                self.lock_room(&room_key, locked);
            }
            b'3' => {
                room.hushed = !room.hushed;
                self.rooms.change(room_key, Concerns::Everybody);
            }
            _ => {
                let last = room.members.iter().rfind(|member| **member != call.id).copied();
                match last {
                    Some(last) => self.rooms.put_out.push(last),
                    None => self.tell_member(call, "room-refused"),
                }
            }
        }
    }

    /// Locks a room, or opens it, and says so in it.
    pub(super) fn lock_room(&mut self, key: &RoomKey, locked: bool) {
        let Some(room) = self.rooms.open.get_mut(key) else { return };
        if std::mem::replace(&mut room.locked, locked) != locked {
            self.rooms.say(key, if locked { "room-locked" } else { "room-unlocked" });
        }
    }
}
