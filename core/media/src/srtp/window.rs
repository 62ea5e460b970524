//! Packet indices of a source: the rollover counter (RFC 3711, section 3.3.1) and the window that
//! refuses replays (section 3.3.2).

/// Indices of one source of RTP.
#[derive(Clone, Copy, Debug)]
pub(super) struct RtpWindow {
    /// The highest index that was authenticated.
    highest: u64,
    /// Bit n: highest - n was seen.
    seen: u128,
}

/// Packets that the window remembers.
const WIDTH: u64 = 128;

impl RtpWindow {
    /// A window before its first packet, in the rollover counter's first round.
    pub(super) const fn new() -> Self {
        Self { highest: 0, seen: 0 }
    }

    /// The index that a sequence number most likely stands for (appendix A).
    pub(super) fn estimate(&self, sequence: u16) -> u64 {
        if self.seen == 0 {
            return u64::from(sequence);
        }
        let [.., high, low] = self.highest.to_be_bytes();
        let ahead = sequence.wrapping_sub(u16::from_be_bytes([high, low])).cast_signed();
        match u64::try_from(ahead) {
            Ok(ahead) => self.highest.saturating_add(ahead),
            // Before the first round nothing was: then it is ahead after all.
            Err(_) => self
                .highest
                .checked_sub(u64::from(ahead.unsigned_abs()))
                .unwrap_or(u64::from(sequence)),
        }
    }

    /// Whether an index may be new.
    pub(super) const fn is_fresh(&self, index: u64) -> bool {
        if self.seen == 0 || index > self.highest {
            return true;
        }
        let age = self.highest - index;
        age < WIDTH && self.seen >> age & 1 == 0
    }

    /// An index was authenticated.
    pub(super) const fn note(&mut self, index: u64) {
        if self.seen == 0 {
            (self.highest, self.seen) = (index, 1);
        } else if index > self.highest {
            let ahead = index - self.highest;
            self.seen = if ahead < WIDTH { self.seen << ahead | 1 } else { 1 };
            self.highest = index;
        } else if self.highest - index < WIDTH {
            self.seen |= 1 << (self.highest - index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_grow_over_the_wrap_and_back_again() {
        let mut window = RtpWindow::new();
        assert_eq!(window.estimate(65_535), 65_535);
        window.note(65_535);
        assert_eq!(window.estimate(0), 65_536);
        assert_eq!(window.estimate(65_530), 65_530);
        window.note(65_537);
        assert_eq!(window.estimate(65_534), 65_534);
        assert!(window.is_fresh(65_536) && !window.is_fresh(65_535) && !window.is_fresh(65_537));
        window.note(65_536);
        assert!(!window.is_fresh(65_536));
    }

    #[test]
    fn what_is_older_than_the_window_is_refused() {
        let mut window = RtpWindow::new();
        window.note(1_000);
        assert!(window.is_fresh(873) && !window.is_fresh(872));
        window.note(5_000);
        assert!(!window.is_fresh(1_000) && window.is_fresh(4_999));
    }

    #[test]
    fn a_first_packet_just_after_the_wrap_is_in_the_first_round() {
        let mut window = RtpWindow::new();
        window.note(3);
        assert_eq!(window.estimate(65_534), 65_534, "there is no round before the first");
    }
}
