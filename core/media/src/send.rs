//! What we send to one peer: one SSRC for the stream's life, sequence numbers and timestamps that
//! go on without a jump whatever the audio's source is (RFC 3550, section 5.1).

use std::time::Duration;

use koukan_base::Time;

use crate::rtp::RtpHeader;

/// Packets put in between that are remembered: more than a late packet is late.
const PUT_IN: usize = 16;

/// The sender's state.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    ssrc: u32,
    /// Origin and SSRC of the packets passed on at the moment.
    origin: Option<(u64, u32)>,
    sequence_offset: u16,
    /// The origin's newest numbers when packets of ours were put in between: what comes late has
    /// the number that it would have had before.
    put_in: [Option<u16>; PUT_IN],
    timestamp_offset: u32,
    last_sequence: u16,
    last_timestamp: u32,
    last_sent: Time,
    sent: u64,
}

impl Sender {
    /// A sender that begins at these random values.
    #[must_use]
    pub const fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            origin: None,
            sequence_offset: 0,
            put_in: [None; PUT_IN],
            timestamp_offset: 0,
            last_sequence: sequence,
            last_timestamp: timestamp,
            last_sent: Time::ZERO,
            sent: 0,
        }
    }

    /// The header under which a packet of `origin` (any number that names the source) goes out:
    /// gaps and order of the source are kept, so that the receiver sees the loss that really
    /// happened.
    pub fn pass_on(
        &mut self,
        now: Time,
        origin: u64,
        packet: &RtpHeader,
        payload_type: u8,
        clock_rate: u32,
    ) -> RtpHeader {
        let mut marker = packet.marker;
        if self.origin != Some((origin, packet.ssrc)) {
            self.origin = Some((origin, packet.ssrc));
            self.put_in = [None; PUT_IN];
            let sequence = self.last_sequence.wrapping_add(1);
            let timestamp = self.next_timestamp(now, clock_rate);
            self.sequence_offset = sequence.wrapping_sub(packet.sequence);
            self.timestamp_offset = timestamp.wrapping_sub(packet.timestamp);
            marker = true;
        }
        let mut sequence = packet.sequence.wrapping_add(self.sequence_offset);
        if !(1..0x8000).contains(&sequence.wrapping_sub(self.last_sequence)) {
            let behind = |newest: &&u16| newest.wrapping_sub(packet.sequence) < 0x8000;
            let shift = self.put_in.iter().flatten().filter(behind).count();
            sequence = sequence.wrapping_sub(u16::try_from(shift).unwrap_or(0));
        }
        let timestamp = packet.timestamp.wrapping_add(self.timestamp_offset);
        if sequence.wrapping_sub(self.last_sequence) < 0x8000 {
            (self.last_sequence, self.last_timestamp) = (sequence, timestamp);
        }
        self.header(now, marker, payload_type, sequence, timestamp)
    }

    /// What the source sends now is not passed on (the peer is on hold): what follows later takes
    /// the next sequence number, or the receiver would count the pause as lost.
    pub fn interrupt(&mut self) {
        self.origin = None;
    }

    /// The header of a packet that begins here (a prompt, silence) and lasts `samples`.
    pub fn own(&mut self, now: Time, payload_type: u8, samples: u32, clock_rate: u32) -> RtpHeader {
        let fresh = self.origin.take().is_some() || self.sent == 0;
        let idle = now.since(self.last_sent).as_millis() > 100;
        let timestamp = if fresh || idle {
            self.next_timestamp(now, clock_rate)
        } else {
            self.last_timestamp.wrapping_add(samples)
        };
        self.last_sequence = self.last_sequence.wrapping_add(1);
        self.last_timestamp = timestamp;
        self.header(now, fresh || idle, payload_type, self.last_sequence, timestamp)
    }

    /// The header of a packet beside the sound, with a timestamp of its own (an event, RFC 4733):
    /// what is passed on, or begins here, goes on behind it as if it had not been.
    pub fn beside(&mut self, marker: bool, payload_type: u8, timestamp: u32) -> RtpHeader {
        self.put_in.rotate_right(1);
        if let Some(first) = self.put_in.first_mut() {
            *first = Some(self.last_sequence.wrapping_sub(self.sequence_offset));
        }
        self.last_sequence = self.last_sequence.wrapping_add(1);
        self.sequence_offset = self.sequence_offset.wrapping_add(1);
        self.sent = self.sent.saturating_add(1);
        RtpHeader {
            marker,
            payload_type,
            sequence: self.last_sequence,
            timestamp,
            ssrc: self.ssrc,
            payload_start: crate::rtp::HEADER_BYTES,
            payload_end: crate::rtp::HEADER_BYTES,
        }
    }

    /// Our SSRC.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The timestamp that stands for `now`.
    #[must_use]
    pub fn timestamp_at(&self, now: Time, clock_rate: u32) -> u32 {
        self.next_timestamp(now, clock_rate)
    }

    /// Sequence number and timestamp of the next packet, for whoever goes on with the stream.
    #[must_use]
    pub const fn next_numbers(&self) -> (u16, u32) {
        (self.last_sequence.wrapping_add(1), self.last_timestamp.wrapping_add(160))
    }

    /// Another went on with the stream for so long, a packet every 20 ms: what follows goes on
    /// behind it, with a second between both.
    pub fn skip(&mut self, away: Duration) {
        let packets = (away.as_millis() / 20).saturating_add(50);
        let packets = u32::try_from(packets & 0xFFFF_FFFF).unwrap_or(0);
        #[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
        let sequence = packets as u16;
        self.last_sequence = self.last_sequence.wrapping_add(sequence);
        self.last_timestamp = self.last_timestamp.wrapping_add(packets.wrapping_mul(160));
        self.origin = None;
    }

    /// Packets sent.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Where the timestamp stands now when it has gone on with the clock since the last packet.
    fn next_timestamp(&self, now: Time, clock_rate: u32) -> u32 {
        if self.sent == 0 {
            return self.last_timestamp;
        }
        let elapsed = now.since(self.last_sent).as_micros() * u128::from(clock_rate) / 1_000_000;
        let elapsed = u32::try_from(elapsed & 0xFFFF_FFFF).unwrap_or(0);
        self.last_timestamp.wrapping_add(elapsed.max(1))
    }

    fn header(
        &mut self,
        now: Time,
        marker: bool,
        payload_type: u8,
        sequence: u16,
        timestamp: u32,
    ) -> RtpHeader {
        self.last_sent = now;
        self.sent = self.sent.saturating_add(1);
        RtpHeader {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
            payload_start: crate::rtp::HEADER_BYTES,
            payload_end: crate::rtp::HEADER_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> RtpHeader {
        RtpHeader {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc,
            payload_start: 12,
            payload_end: 172,
        }
    }

    #[test]
    fn sequence_and_timestamp_go_on_across_sources_and_prompts() {
        let mut sender = Sender::new(7, 65_534, u32::MAX - 100);
        let mut last: Option<(u16, u32)> = None;
        let mut check = |header: RtpHeader, gap: u16| {
            if let Some((sequence, timestamp)) = last {
                assert_eq!(header.sequence.wrapping_sub(sequence), gap);
                let step = header.timestamp.wrapping_sub(timestamp);
                assert!((1..=480).contains(&step), "timestamp step {step}");
            }
            assert_eq!(header.ssrc, 7);
            last = Some((header.sequence, header.timestamp));
        };
        let mut ms = 1_000;
        let mut next = || {
            ms += 20;
            Time::from_millis(ms)
        };
        for n in 0..3u16 {
            check(sender.pass_on(next(), 1, &packet(5, n, u32::from(n) * 160), 0, 8000), 1);
        }
        check(sender.own(next(), 0, 160, 8000), 1);
        check(sender.own(next(), 0, 160, 8000), 1);
        check(sender.pass_on(next(), 2, &packet(9, 40_000, 1), 0, 8000), 1);
        // One packet of the source is missing: the receiver sees the gap.
        check(sender.pass_on(next(), 2, &packet(9, 40_002, 321), 0, 8000), 2);
        // The source starts again with another SSRC.
        check(sender.pass_on(next(), 2, &packet(10, 3, 99), 0, 8000), 1);
    }

    #[test]
    fn packets_put_in_between_shift_what_follows_and_not_what_is_late() {
        let mut sender = Sender::new(7, 10, 0);
        let now = Time::from_millis(1);
        let passed = |sender: &mut Sender, number: u16| {
            let packet = packet(5, number, u32::from(number) * 160);
            let header = sender.pass_on(now, 1, &packet, 0, 8000);
            (header.sequence, header.timestamp)
        };
        let (first, stamp) = passed(&mut sender, 100);
        assert_eq!(passed(&mut sender, 102), (first + 2, stamp + 320));
        assert_eq!(sender.beside(true, 101, 5).sequence, first + 3);
        assert_eq!(sender.beside(false, 101, 5).sequence, first + 4);
        assert_eq!(passed(&mut sender, 101), (first + 1, stamp + 160), "late");
        assert_eq!(passed(&mut sender, 104), (first + 6, stamp + 640));
        assert_eq!(sender.beside(true, 101, 900).sequence, first + 7);
        assert_eq!(passed(&mut sender, 103), (first + 5, stamp + 480), "late");
        assert_eq!(passed(&mut sender, 105), (first + 8, stamp + 800));
        let own = sender.own(now, 0, 160, 8000);
        assert_eq!((own.sequence, own.timestamp > stamp + 800), (first + 9, true));
    }

    #[test]
    fn a_late_packet_keeps_its_place() {
        let mut sender = Sender::new(7, 10, 0);
        let now = Time::from_millis(1);
        let first = sender.pass_on(now, 1, &packet(5, 100, 0), 0, 8000);
        let third = sender.pass_on(now, 1, &packet(5, 102, 320), 0, 8000);
        let second = sender.pass_on(now, 1, &packet(5, 101, 160), 0, 8000);
        assert_eq!(third.sequence.wrapping_sub(first.sequence), 2);
        assert_eq!(second.sequence.wrapping_sub(first.sequence), 1);
        let after = sender.pass_on(now, 2, &packet(6, 0, 0), 0, 8000);
        assert_eq!(after.sequence.wrapping_sub(third.sequence), 1);
    }
}
