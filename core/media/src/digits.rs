//! Digits in RTP (RFC 4733): each reported once, at its first end packet, however often that comes.

/// The receiver of one stream's telephone-events.
#[derive(Clone, Copy, Debug, Default)]
pub struct DigitReceiver {
    /// The timestamp of the event that was reported last.
    reported: Option<u32>,
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
    /// Reads an event packet's payload; the digit comes out at its end.
    pub fn receive(&mut self, timestamp: u32, payload: &[u8], clock_rate: u32) -> Option<Digit> {
        let &[event, flags, high, low] = payload.first_chunk()?;
        let ends = flags & 0x80 != 0;
        if !ends || self.reported == Some(timestamp) {
            return None;
        }
        let digit = match event {
            0..=9 => b'0'.checked_add(event)?,
            10 => b'*',
            11 => b'#',
            12..=15 => b'A'.checked_add(event.checked_sub(12)?)?,
            _ => return None,
        };
        self.reported = Some(timestamp);
        let duration = u32::from(u16::from_be_bytes([high, low]));
        let duration_ms = duration.checked_mul(1000)?.checked_div(clock_rate)?;
        Some(Digit { digit, duration_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_with_three_ends_is_one_digit() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(receiver.receive(1000, &[5, 10, 0, 160], 8000), None);
        let end = [5, 0x8A, 3, 0x20];
        let digit = Digit { digit: b'5', duration_ms: 100 };
        assert_eq!(receiver.receive(1000, &end, 8000), Some(digit));
        assert_eq!(receiver.receive(1000, &end, 8000), None);
        assert_eq!(receiver.receive(3000, &[11, 0x80, 3, 0x20], 8000).unwrap().digit, b'#');
        assert_eq!(receiver.receive(5000, &[99, 0x80, 0, 0], 8000), None);
        assert_eq!(receiver.receive(6000, &[1, 0x80], 8000), None);
    }
}
