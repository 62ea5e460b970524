//! What a receiver knows of the packets that came (RFC 3550, appendices A.1, A.3 and A.8).

use koukan_base::Time;

use crate::rtcp::ReportBlock;

/// Sequence and jitter of one source.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiveStats {
    ssrc: u32,
    started: bool,
    base: u32,
    highest: u32,
    received: u64,
    lost_before: u64,
    transit: u32,
    jitter_16: u32,
    /// Expected and received at the report before.
    reported: (u64, u64),
    /// The longest run of numbers that were missing when the next one came, since it was asked for.
    longest_run: u32,
}

impl ReceiveStats {
    /// Notes a packet that was accepted. `clock_rate` is in Hz.
    pub fn note(&mut self, now: Time, ssrc: u32, sequence: u16, timestamp: u32, clock_rate: u32) {
        let arrival = now.as_nanos() / 1_000 * u64::from(clock_rate) / 1_000_000;
        #[expect(clippy::cast_possible_truncation, reason = "RTP time wraps at 32 bits")]
        let transit = (arrival as u32).wrapping_sub(timestamp);
        if !self.started || self.ssrc != ssrc {
            self.lost_before = self.lost();
            let lost_before = self.lost_before;
            let received = self.received;
            *self = Self {
                ssrc,
                started: true,
                base: u32::from(sequence),
                highest: u32::from(sequence),
                received,
                lost_before,
                transit,
                jitter_16: self.jitter_16,
                reported: self.reported,
                longest_run: self.longest_run,
            };
            self.base = self.base.wrapping_sub(u32::try_from(received & 0xFFFF_FFFF).unwrap_or(0));
            self.received = received.saturating_add(1);
            return;
        }
        self.received = self.received.saturating_add(1);
        let [_, _, high, low] = self.highest.to_be_bytes();
        let ahead = sequence.wrapping_sub(u16::from_be_bytes([high, low]));
        if ahead < 0x8000 {
            self.longest_run = self.longest_run.max(u32::from(ahead.saturating_sub(1)));
            self.highest = self.highest.wrapping_add(u32::from(ahead));
        }
        let difference = transit.wrapping_sub(self.transit).cast_signed().unsigned_abs();
        self.transit = transit;
        // A.8: J += (|D| - J) / 16, kept in sixteenths. A timestamp jump is no jitter.
        if difference < clock_rate {
            let decay = self.jitter_16.saturating_add(8) >> 4;
            self.jitter_16 = self.jitter_16.saturating_add(difference).saturating_sub(decay);
        }
    }

    /// What a report says of the source (section 6.4.1), but for the peer's last report; `None`
    /// before its first packet. The fraction lost is that since the call before.
    pub fn report(&mut self) -> Option<ReportBlock> {
        if !self.started {
            return None;
        }
        let (received, lost) = (self.received, self.lost());
        let expected = received.saturating_add(lost);
        let (expected_before, received_before) = self.reported;
        self.reported = (expected, received);
        let expected_since = expected.saturating_sub(expected_before);
        let lost_since = expected_since.saturating_sub(received.saturating_sub(received_before));
        let share = lost_since.saturating_mul(256).checked_div(expected_since).unwrap_or(0);
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: u8::try_from(share).unwrap_or(u8::MAX),
            lost: i32::try_from(lost).unwrap_or(i32::MAX).min(0x7F_FFFF),
            highest: self.highest,
            jitter: self.jitter_16 >> 4,
            last_report: 0,
            delay: 0,
        })
    }

    /// The longest run of missing numbers since the last call of this. What was only late counts.
    pub const fn take_longest_run(&mut self) -> u32 {
        std::mem::replace(&mut self.longest_run, 0)
    }

    /// Packets accepted.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Packets that are missing, never below zero.
    #[must_use]
    pub fn lost(&self) -> u64 {
        if !self.started {
            return 0;
        }
        let expected = u64::from(self.highest.wrapping_sub(self.base)).saturating_add(1);
        self.lost_before.saturating_add(expected.saturating_sub(self.received))
    }

    /// Interarrival jitter, in microseconds.
    #[must_use]
    pub fn jitter_us(&self, clock_rate: u32) -> u32 {
        let us = u64::from(self.jitter_16 >> 4) * 1_000_000 / u64::from(clock_rate.max(1));
        u32::try_from(us).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(stats: &mut ReceiveStats, ms: u64, ssrc: u32, sequence: u16, timestamp: u32) {
        stats.note(Time::from_millis(ms), ssrc, sequence, timestamp, 8000);
    }

    #[test]
    fn a_gap_is_lost_and_a_late_packet_fills_it_even_over_the_wrap() {
        let mut stats = ReceiveStats::default();
        note(&mut stats, 0, 1, 65_534, 0);
        note(&mut stats, 40, 1, 0, 320);
        assert_eq!((stats.received(), stats.lost()), (2, 1));
        note(&mut stats, 41, 1, 65_535, 160);
        assert_eq!((stats.received(), stats.lost()), (3, 0));
    }

    #[test]
    fn a_new_source_keeps_what_was_lost_before() {
        let mut stats = ReceiveStats::default();
        note(&mut stats, 0, 1, 10, 0);
        note(&mut stats, 60, 1, 13, 480);
        note(&mut stats, 80, 2, 40_000, 7);
        note(&mut stats, 100, 2, 40_001, 167);
        assert_eq!((stats.received(), stats.lost()), (4, 2));
        assert_eq!((stats.take_longest_run(), stats.take_longest_run()), (2, 0));
    }

    #[test]
    fn even_packets_have_no_jitter_and_uneven_ones_have() {
        let mut stats = ReceiveStats::default();
        for n in 0..100u16 {
            note(&mut stats, u64::from(n) * 20, 1, n, u32::from(n) * 160);
        }
        assert_eq!(stats.jitter_us(8000), 0);
        for n in 100..200u16 {
            note(&mut stats, u64::from(n) * 20 + u64::from(n % 2) * 10, 1, n, u32::from(n) * 160);
        }
        assert!((8_000..=10_500).contains(&stats.jitter_us(8000)), "{}", stats.jitter_us(8000));
    }
}
