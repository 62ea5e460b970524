//! Digits in RTP (RFC 4733): each reported once, however often its end comes or whether it comes at
//! all; and the packets of a digit that we send.

use std::time::Duration;

use koukan_base::Time;

/// An event without news for so long has ended, its end lost: RFC 4733, 2.6.2, asks for three
/// packet times; 60 ms packets exist.
const LOST_END: Duration = Duration::from_millis(200);

/// How often the end is sent (section 2.5.1.4).
const ENDS: u8 = 3;

/// The receiver of one stream's telephone-events.
#[derive(Clone, Copy, Debug, Default)]
pub struct DigitReceiver {
    /// The event that goes on, or that was reported last.
    event: Option<Event>,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    timestamp: u32,
    code: u8,
    /// In units of the clock; of all segments (section 2.5.1.3).
    duration: u32,
    /// Of the segment that goes on.
    segment: u16,
    heard: Time,
    reported: bool,
}

/// A digit and how long it lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub digit: u8,
    /// In ms.
    pub duration_ms: u32,
}

impl DigitReceiver {
    /// Reads an event packet's payload. A digit comes out at its end; when the ends were lost, at
    /// the next digit or by [`DigitReceiver::overdue`].
    pub fn receive(
        &mut self,
        now: Time,
        timestamp: u32,
        payload: &[u8],
        clock_rate: u32,
    ) -> Option<Digit> {
        let &[code, flags, high, low] = payload.first_chunk()?;
        digit_of(code)?;
        let segment = u16::from_be_bytes([high, low]);
        let ends = flags & 0x80 != 0;
        let known = self.event.filter(|known| belongs(known, timestamp, code));
        let mut before = None;
        let mut event = match known {
            Some(known) if known.timestamp == timestamp => known,
            // Older than what is known: it was sent again, or overtaken.
            None if self.event.is_some_and(|known| is_older(timestamp, known.timestamp)) => {
                return None;
            }
            // The next segment of a digit longer than 65535 units.
            Some(known) => {
                let rest = u32::from(u16::MAX - known.segment);
                let duration = known.duration.saturating_add(rest);
                Event { timestamp, segment: 0, duration, ..known }
            }
            None => {
                before = self.event.filter(|known| !known.reported);
                let fresh =
                    Event { timestamp, code, duration: 0, segment: 0, heard: now, reported: false };
                self.event.replace(fresh);
                fresh
            }
        };
        if segment > event.segment {
            event.duration = event.duration.saturating_add(u32::from(segment - event.segment));
            event.segment = segment;
        }
        event.heard = now;
        let new_end = ends && !event.reported;
        event.reported |= ends;
        self.event = Some(event);
        // When the end of the digit before was lost, it is reported now, and this one, if this is
        // its only packet, when it is overdue.
        if let Some(before) = before {
            if new_end && let Some(event) = &mut self.event {
                event.reported = false;
            }
            return digit(&before, clock_rate);
        }
        new_end.then(|| digit(&event, clock_rate)).flatten()
    }

    /// The key that is down: its digit, and the timestamp that tells it from the next.
    #[must_use]
    pub fn held(&self) -> Option<(u8, u32)> {
        let event = self.event.filter(|event| !event.reported)?;
        Some((digit_of(event.code)?, event.timestamp))
    }

    /// The digit whose end has been lost, when nothing came of it for a while.
    pub fn overdue(&mut self, now: Time, clock_rate: u32) -> Option<Digit> {
        let event = self.event.as_mut().filter(|event| !event.reported)?;
        if now.since(event.heard) < LOST_END {
            return None;
        }
        event.reported = true;
        digit(event, clock_rate)
    }
}

/// Whether a packet is of the known event: the same, or the segment that follows it.
fn belongs(known: &Event, timestamp: u32, code: u8) -> bool {
    let follows = known.timestamp.wrapping_add(u32::from(u16::MAX));
    known.timestamp == timestamp || (known.code == code && !known.reported && follows == timestamp)
}

fn is_older(timestamp: u32, known: u32) -> bool {
    timestamp != known && timestamp.wrapping_sub(known) > 0x8000_0000
}

fn digit_of(code: u8) -> Option<u8> {
    match code {
        0..=9 => b'0'.checked_add(code),
        10 => Some(b'*'),
        11 => Some(b'#'),
        12..=15 => b'A'.checked_add(code.checked_sub(12)?),
        _ => None,
    }
}

fn digit(event: &Event, clock_rate: u32) -> Option<Digit> {
    let ms = u64::from(event.duration) * 1_000 / u64::from(clock_rate.max(1));
    Some(Digit { digit: digit_of(event.code)?, duration_ms: u32::try_from(ms).ok()? })
}

/// The event code of a digit (section 3.2, table 3).
fn code_of(digit: u8) -> Option<u8> {
    match digit.to_ascii_uppercase() {
        digit @ b'0'..=b'9' => digit.checked_sub(b'0'),
        b'*' => Some(10),
        b'#' => Some(11),
        digit @ b'A'..=b'D' => digit.checked_sub(b'A')?.checked_add(12),
        _ => None,
    }
}

/// One packet of a digit that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// The first packet of the digit has the marker.
    pub marker: bool,
    /// What to add to the timestamp at which the digit began: 0, but for the segments of a long
    /// one.
    pub offset: u32,
    /// The payload.
    pub payload: [u8; 4],
}

/// A digit being sent: a packet for each tick, the last one three times.
#[derive(Clone, Copy, Debug)]
pub struct DigitSender {
    code: u8,
    /// Units a ms.
    units_ms: u32,
    /// Units a tick, units in all, and where we are.
    step: u32,
    length: u32,
    position: u32,
    /// Units of the segments that are over.
    offset: u32,
    begun: bool,
    ends: u8,
}

/// Volume of the tones in -dBm0 (section 2.3.3).
const VOLUME: u8 = 10;

impl DigitSender {
    /// A digit of so many ms, sent every `tick_ms`; `None` when it is none.
    #[must_use]
    pub fn new(digit: u8, duration_ms: u32, tick_ms: u32, clock_rate: u32) -> Option<Self> {
        let units_ms = clock_rate / 1_000;
        let units = |ms: u32| ms.saturating_mul(units_ms);
        let step = units(tick_ms).max(1);
        let length = units(duration_ms).max(step);
        let code = code_of(digit)?;
        Some(Self { code, units_ms, step, length, position: 0, offset: 0, begun: false, ends: 0 })
    }

    /// Ends it when it has lasted so many ms, or with the next packet when it has.
    pub fn end_at(&mut self, duration_ms: u32) {
        let length = duration_ms.saturating_mul(self.units_ms).max(self.step);
        self.length = length.max(self.position);
    }

    /// The next tick's packet; `None` when the digit is over.
    pub fn next_packet(&mut self) -> Option<EventPacket> {
        if self.ends >= ENDS {
            return None;
        }
        let marker = !std::mem::replace(&mut self.begun, true);
        self.position = self.position.saturating_add(self.step).min(self.length);
        let longest = u32::from(u16::MAX);
        if self.position - self.offset > longest {
            // Section 2.5.1.3: the segment ends as long as it can be, the next one begins there.
            let offset = self.offset;
            self.offset += longest;
            return Some(EventPacket { marker, offset, payload: [self.code, VOLUME, 0xFF, 0xFF] });
        }
        let over = self.position >= self.length;
        if over {
            self.ends += 1;
        }
        let [high, low] =
            u16::try_from(self.position - self.offset).unwrap_or(u16::MAX).to_be_bytes();
        let flags = if over { 0x80 | VOLUME } else { VOLUME };
        Some(EventPacket { marker, offset: self.offset, payload: [self.code, flags, high, low] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn a_digit_with_three_ends_is_one_digit() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(receiver.receive(at(0), 1000, &[5, 10, 0, 160], 8000), None);
        let end = [5, 0x8A, 3, 0x20];
        let digit = Digit { digit: b'5', duration_ms: 100 };
        assert_eq!(receiver.receive(at(20), 1000, &end, 8000), Some(digit));
        assert_eq!(receiver.receive(at(40), 1000, &end, 8000), None);
        assert_eq!(receiver.receive(at(60), 3000, &[11, 0x80, 3, 0x20], 8000).unwrap().digit, b'#');
        assert_eq!(receiver.receive(at(80), 1000, &end, 8000), None, "sent again, overtaken");
        assert_eq!(receiver.receive(at(90), 5000, &[99, 0x80, 0, 0], 8000), None);
        assert_eq!(receiver.receive(at(95), 6000, &[1, 0x80], 8000), None);
    }

    #[test]
    fn a_digit_whose_ends_are_lost_comes_with_the_next_or_when_it_is_overdue() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(receiver.receive(at(0), 1000, &[1, 10, 1, 0x40], 8000), None);
        assert_eq!(receiver.overdue(at(100), 8000), None);
        let first = Some(Digit { digit: b'1', duration_ms: 40 });
        assert_eq!(receiver.receive(at(150), 9000, &[2, 0x8A, 1, 0x40], 8000), first);
        assert_eq!(receiver.overdue(at(160), 8000), None);
        let second = Some(Digit { digit: b'2', duration_ms: 40 });
        assert_eq!(receiver.overdue(at(350), 8000), second);
        assert_eq!(receiver.overdue(at(999), 8000), None);
        assert_eq!(receiver.receive(at(1_000), 9000, &[2, 0x8A, 1, 0x40], 8000), None);
    }

    #[test]
    fn what_is_sent_is_what_is_received_at_every_clock_rate_even_a_key_held_for_a_minute() {
        for rate in [8_000, 16_000, 48_000] {
            for ms in [40, 100, 160, 5_000, 60_000] {
                let mut sender = DigitSender::new(b'#', ms, 20, rate).unwrap();
                let mut receiver = DigitReceiver::default();
                let (mut found, mut packets, mut ends) = (Vec::new(), 0, 0);
                while let Some(packet) = sender.next_packet() {
                    packets += 1;
                    assert_eq!(packet.marker, packets == 1);
                    ends += u32::from(packet.payload[1] & 0x80 != 0);
                    let timestamp = 77u32.wrapping_add(packet.offset);
                    let now = at(packets * 20);
                    found.extend(receiver.receive(now, timestamp, &packet.payload, rate));
                }
                assert_eq!(ends, 3);
                assert_eq!(found.len(), 1, "{rate} {ms}");
                assert_eq!(found[0].digit, b'#');
                assert_eq!(found[0].duration_ms, ms, "{rate}");
            }
        }
        assert!(DigitSender::new(b'x', 100, 20, 8_000).is_none());
    }

    #[test]
    fn lost_packets_anywhere_leave_one_digit() {
        for lost in 0..0x100u32 {
            let mut sender = DigitSender::new(b'7', 100, 20, 8_000).unwrap();
            let (mut receiver, mut found, mut number) = (DigitReceiver::default(), Vec::new(), 0);
            while let Some(packet) = sender.next_packet() {
                if lost >> number & 1 == 0 {
                    found.extend(receiver.receive(at(number * 20), 500, &packet.payload, 8_000));
                }
                number += 1;
            }
            found.extend(receiver.overdue(at(1_000), 8_000));
            let all_lost = lost & 0x7F == 0x7F;
            assert_eq!(found.len(), usize::from(!all_lost), "{lost:#b}: {found:?}");
        }
    }
}
