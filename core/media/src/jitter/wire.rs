//! From the wire's 16-bit sequence numbers and 32-bit timestamps to numbers that only grow
//! (RFC 3550, appendix A.1), across jumps of either.

/// A sequence number further ahead than this is not of this stream.
const MOST_AHEAD: i64 = 1_000;

/// The same behind: beyond it no packet is merely late.
const MOST_BEHIND: i64 = 200;

/// A timestamp that is further off than this, in seconds, has jumped.
const JUMP_SECONDS: i64 = 3;

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the running stream.
    Here {
        /// Extended sequence number.
        sequence: i64,
        /// Samples on the timeline.
        timeline: i64,
        /// Its timestamp has no relation to those before; its timeline is where it came.
        jumped: bool,
    },
    /// At the beginning of a new stream, whose numbers follow those of the old one.
    New {
        /// Extended sequence number.
        sequence: i64,
        /// Samples on the timeline.
        timeline: i64,
    },
    /// Nowhere, until the next one confirms it.
    Strange,
}

/// The newest packet of a stream.
#[derive(Clone, Copy, Debug)]
struct Newest {
    ssrc: u32,
    sequence: i64,
    wire_sequence: u16,
    timestamp: u32,
    timeline: i64,
}

/// The mapping of one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    sample_rate: i64,
    clock_rate: i64,
    newest: Option<Newest>,
    /// The number that would confirm a strange one.
    confirming: Option<u16>,
}

impl Wire {
    pub(super) fn new(sample_rate: u32, clock_rate: u32) -> Self {
        let (sample_rate, clock_rate) = (i64::from(sample_rate), i64::from(clock_rate.max(1)));
        Self { sample_rate, clock_rate, newest: None, confirming: None }
    }

    /// Places a packet that came when `arrived` would be played without any delay.
    pub(super) fn place(
        &mut self,
        ssrc: u32,
        wire_sequence: u16,
        timestamp: u32,
        arrived: i64,
    ) -> Place {
        let Some(newest) = self.newest.filter(|newest| newest.ssrc == ssrc) else {
            return self.begin(ssrc, wire_sequence, timestamp, arrived);
        };
        let ahead = i64::from(wire_sequence.wrapping_sub(newest.wire_sequence).cast_signed());
        if !(-MOST_BEHIND..=MOST_AHEAD).contains(&ahead) {
            if self.confirming == Some(wire_sequence) {
                return self.begin(ssrc, wire_sequence, timestamp, arrived);
            }
            self.confirming = Some(wire_sequence.wrapping_add(1));
            return Place::Strange;
        }
        self.confirming = None;
        let ticks = i64::from(timestamp.wrapping_sub(newest.timestamp).cast_signed());
        let sequence = newest.sequence + ahead;
        let steady = newest.timeline + ticks * self.sample_rate / self.clock_rate;
        let far = ticks.abs() > JUMP_SECONDS * self.clock_rate;
        if ahead <= 0 {
            // An old packet cannot be newer in time; a duplicate is as old as the first.
            let odd = ticks > 0 || far;
            return if odd {
                Place::Strange
            } else {
                Place::Here { sequence, timeline: steady, jumped: false }
            };
        }
        let jumped = ticks < 0 || far;
        let timeline = if jumped { arrived.max(newest.timeline + 1) } else { steady };
        self.newest = Some(Newest { sequence, wire_sequence, timestamp, timeline, ..newest });
        Place::Here { sequence, timeline, jumped }
    }

    /// A new stream: its numbers go on where the old one's ended, so that nothing is taken for
    /// something older.
    fn begin(&mut self, ssrc: u32, wire_sequence: u16, timestamp: u32, arrived: i64) -> Place {
        let (sequence, timeline) = self.newest.map_or((0, arrived), |old| {
            (old.sequence + MOST_AHEAD + MOST_BEHIND, arrived.max(old.timeline + 1))
        });
        self.newest = Some(Newest { ssrc, sequence, wire_sequence, timestamp, timeline });
        self.confirming = None;
        Place::New { sequence, timeline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_over_both_wraps_and_old_packets_fall_into_place() {
        let mut wire = Wire::new(16_000, 8_000);
        let start = wire.place(1, 65_535, u32::MAX - 79, 5_000);
        assert_eq!(start, Place::New { sequence: 0, timeline: 5_000 });
        let here = |sequence, timeline| Place::Here { sequence, timeline, jumped: false };
        assert_eq!(wire.place(1, 1, 240, 0), here(2, 5_640));
        assert_eq!(wire.place(1, 0, 80, 0), here(1, 5_320));
        assert_eq!(wire.place(1, 1, 240, 0), here(2, 5_640));
        assert_eq!(wire.place(1, 0, 900, 0), Place::Strange, "older number, newer time");
    }

    #[test]
    fn a_jump_of_the_timestamp_is_where_it_came_and_one_of_the_sequence_must_be_confirmed() {
        let mut wire = Wire::new(8_000, 8_000);
        wire.place(1, 10, 1_000, 0);
        let jumped = wire.place(1, 11, 9_000_000, 160);
        assert_eq!(jumped, Place::Here { sequence: 1, timeline: 160, jumped: true });
        let next = wire.place(1, 12, 9_000_160, 0);
        assert_eq!(next, Place::Here { sequence: 2, timeline: 320, jumped: false });
        let back = wire.place(1, 13, 5, 480);
        assert_eq!(back, Place::Here { sequence: 3, timeline: 480, jumped: true });
        assert_eq!(wire.place(1, 40_000, 165, 640), Place::Strange);
        assert_eq!(
            wire.place(1, 14, 165, 640),
            Place::Here { sequence: 4, timeline: 640, jumped: false }
        );
        assert_eq!(wire.place(1, 40_000, 325, 800), Place::Strange);
        assert!(matches!(wire.place(1, 40_001, 485, 960), Place::New { timeline: 960, .. }));
        assert!(matches!(wire.place(2, 7, 7, 1_120), Place::New { timeline: 1_120, .. }));
    }
}
