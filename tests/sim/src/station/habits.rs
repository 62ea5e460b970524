//! What a make of phone can and cannot do: the differences of the field.

use koukan_sip::SessionConfig;

use super::Line;
use crate::dice::Dice;

/// The habits of one station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Habits {
    /// It takes UPDATE (RFC 3311).
    update: bool,
    /// It takes INFO.
    info: bool,
    /// It wants reliable provisional responses (RFC 3262).
    pub(crate) reliable: bool,
    /// How it keeps sessions alive (RFC 4028).
    pub(crate) session: SessionConfig,
    /// Its payload type of telephone-event.
    pub(crate) telephone_event: Option<u8>,
    /// It speaks A-law alone.
    pub(crate) a_law: bool,
    /// For how long it registers, in seconds.
    pub(crate) expires: u32,
}

impl Habits {
    pub(crate) fn drawn(line: &Line, dice: &mut Dice) -> Self {
        let expires_s = match dice.below(4) {
            0 => None,
            1 => Some(90),
            2 => Some(300),
            _ => Some(1800),
        };
        let lives: &[u32] = &[30, 60, 120, 600, 3600];
        Self {
            update: dice.chance(700),
            info: dice.chance(800),
            reliable: dice.chance(600),
            session: SessionConfig { expires_s, min_se_s: 90, alone: dice.chance(100) },
            telephone_event: dice.chance(800).then(|| if dice.chance(800) { 101 } else { 96 }),
            a_law: !line.is_phone() || dice.chance(200),
            expires: dice.pick(lives).copied().unwrap_or(600),
        }
    }

    pub(crate) const fn allow(self) -> &'static str {
        match (self.update, self.info) {
            (true, true) => "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY",
            (true, false) => "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, REFER, NOTIFY",
            (false, true) => "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, REFER, NOTIFY",
            (false, false) => "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, REFER, NOTIFY",
        }
    }
}
