//! Digits: RFC 4733 events that a media worker reports, INFO with `application/dtmf-relay` or
//! `application/dtmf`. On a bridge a digit of the media reaches a party that has no
//! telephone-event by INFO, and one of an INFO reaches a party that has them by them.

use koukan_media::{Command, Digits};
use koukan_sip::{Body, Header, Message, Method};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::LegState;
use crate::switch::{Fate, Switch};

/// The pause behind a digit that a worker presses, in ms.
const PAUSE_MS: u16 = 60;

/// How long a digit lasts when nobody says, in ms.
const DURATION_MS: u32 = 160;

/// A digit in an INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digit {
    pub(crate) digit: u8,
    pub(crate) duration_ms: u32,
}

impl Digit {
    /// Reads a body: `Signal=5` and `Duration=160` in any case and spacing, or the digit alone.
    /// Signals from 10 on are `*`, `#` and the letters, as some phones write them.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        let kind = message.header(Header::ContentType).unwrap_or_default();
        let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let body = message.body();
        if kind.eq_ignore_ascii_case(b"application/dtmf") {
            let digit = signal(body.trim_ascii())?;
            return Some(Self { digit, duration_ms: DURATION_MS });
        }
        if !kind.eq_ignore_ascii_case(b"application/dtmf-relay") {
            return None;
        }
        let value = |name: &[u8]| {
            body.split(|byte| matches!(byte, b'\r' | b'\n')).find_map(|line| {
                let at = line.iter().position(|&byte| byte == b'=')?;
                let (key, value) = line.split_at_checked(at)?;
                let value = value.get(1..).unwrap_or_default().trim_ascii();
                key.trim_ascii().eq_ignore_ascii_case(name).then_some(value)
            })
        };
        let digit = signal(value(b"signal")?)?;
        let duration = value(b"duration").and_then(|ms| std::str::from_utf8(ms).ok()?.parse().ok());
        let duration_ms = duration.unwrap_or(DURATION_MS).clamp(40, 8_000);
        Some(Self { digit, duration_ms })
    }

    fn body(self) -> Body {
        let (digit, ms) = (char::from(self.digit), self.duration_ms);
        Body {
            content_type: "application/dtmf-relay",
            bytes: format!("Signal={digit}\r\nDuration={ms}\r\n").into_bytes(),
        }
    }
}

fn signal(text: &[u8]) -> Option<u8> {
    match text {
        [digit @ (b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D')] => Some(*digit),
        [letter @ b'a'..=b'd'] => Some(letter.to_ascii_uppercase()),
        [b'1', b'0'] => Some(b'*'),
        [b'1', b'1'] => Some(b'#'),
        [b'1', digit @ b'2'..=b'5'] => Some(digit.wrapping_sub(b'2').wrapping_add(b'A')),
        _ => None,
    }
}

impl Switch {
    /// A party pressed a key: the application that has the caller hears it, or the other party.
    /// `in_media`: as a telephone-event, which the media worker has passed on where it can be.
    pub(crate) fn pressed(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        digit: Digit,
        in_media: bool,
    ) -> Fate {
        if index == 0 && self.taken_back(now, call, digit.digit) {
            return Fate::Keep;
        }
        let other = match call.stage {
            Stage::Bridged { leg } if index == 0 => leg,
            Stage::Bridged { leg } if index == leg => 0,
            Stage::Menu(_) if index == 0 => return self.menu_key(now, call, digit.digit),
            Stage::Conference(_) if index == 0 => {
                return self.conference_key(now, call, digit.digit);
            }
            _ => {
                if index == 0 {
                    self.digit(now, call, digit.digit);
                }
                return Fate::Keep;
            }
        };
        let Some(leg) = call.leg(other) else { return Fate::Keep };
        let LegState::Up { dialog } = leg.state else { return Fate::Keep };
        let events = leg.agreed.as_ref().is_some_and(|a| a.telephone_event.is_some());
        if leg.takes_info && !events {
            let body = Some(digit.body());
            self.ua.request_in_dialog(now.time, dialog, Method::Info, Vec::new(), body);
        } else if !in_media || call.is_supervised() {
            self.send_digit(call, other, digit);
        }
        Fate::Keep
    }

    /// Has a leg's worker press a key towards its peer: as a telephone-event, else as a tone.
    fn send_digit(&mut self, call: &Call, index: u16, digit: Digit) {
        let op = self.next_op();
        let stream = call.leg(index).and_then(|leg| leg.stream.live());
        let (Some(stream), Some(digits)) = (stream, Digits::new(&[digit.digit])) else { return };
        let duration_ms = u16::try_from(digit.duration_ms).unwrap_or(u16::MAX).min(10_000);
        let command = Command::SendDigits { stream, op, digits, duration_ms, pause_ms: PAUSE_MS };
        self.media(call.worker, command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_in_the_spellings_of_the_field() {
        for (text, digit) in [("5", b'5'), ("*", b'*'), ("10", b'*'), ("11", b'#'), ("d", b'D')] {
            assert_eq!(signal(text.as_bytes()), Some(digit));
        }
        assert_eq!((signal(b"12"), signal(b"15")), (Some(b'A'), Some(b'D')));
        for text in ["", "16", "55", "x", "1*"] {
            assert_eq!(signal(text.as_bytes()), None, "{text}");
        }
    }
}
