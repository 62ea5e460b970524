//! G.711 in RTP for a modem (RFC 3550, RFC 3551): one delay, no concealment, and packets of 20 ms
//! by the worker's tick. In the place of what is missing stands the packet before it, so that not
//! one sample slips and no carrier breaks off.

use std::net::SocketAddr;

use koukan_base::Time;
use koukan_codecs::g711;
use koukan_fax::protocol::{Audio, Law};
use koukan_media::jitter::{Decode, JitterBuffer, JitterConfig, JitterMode, Payload};
use koukan_media::{HEADER_BYTES, Latch, RtpHeader, Verdict};

use super::TICK_SAMPLES;

/// One RTP stream, both ways.
pub struct RtpLine {
    audio: Audio,
    latch: Latch,
    /// Where packets come from, and so where they go.
    peer: SocketAddr,
    buffer: JitterBuffer,
    sound: G711,
    marker: bool,
}

impl std::fmt::Debug for RtpLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RtpLine").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// A law, and what was heard last.
struct G711 {
    law: Law,
    last: [i16; TICK_SAMPLES],
    /// Samples in a row that have stood in for lost ones.
    repeated: usize,
}

/// Behind so many the sender has gone, or is silent.
const REPEATED: usize = 5 * TICK_SAMPLES;

impl Decode for G711 {
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        let count = payload.len().min(out.len());
        if let (Some(from), Some(to)) = (payload.get(..count), out.get_mut(..count)) {
            match self.law {
                Law::Mu => g711::decode_ulaw(from, to),
                Law::A => g711::decode_alaw(from, to),
            }
            // Of a packet of another length the tail is kept, or nothing.
            if let Some(tail) = to.last_chunk() {
                (self.last, self.repeated) = (*tail, 0);
            }
        }
        count
    }

    /// 20 ms are a whole number of periods of every carrier of T.30 (1,650 to 1,850 Hz of V.21,
    /// 1,700 of V.29, 1,800 of V.27ter and V.17, 1,100 and 2,100 of the tones) and of symbols at
    /// each of their rates: the same again goes on in phase, where silence is the end of a carrier
    /// and with it of the page. What the symbols said is wrong, and is asked for again.
    fn conceal(&mut self, _: Option<&[u8]>, out: &mut [i16]) -> bool {
        if self.repeated >= REPEATED {
            return false;
        }
        let from = self.last.iter().cycle().skip(self.repeated % TICK_SAMPLES);
        out.iter_mut().zip(from).for_each(|(to, sample)| *to = *sample);
        self.repeated += out.len();
        true
    }
}

impl RtpLine {
    /// A stream as it stands when it is handed over.
    #[must_use]
    pub fn new(audio: Audio) -> Self {
        let mode = JitterMode::FAX;
        let payload_bytes = JitterConfig::payload_room(mode, 8_000);
        let config = JitterConfig { sample_rate: 8_000, clock_rate: 8_000, payload_bytes, mode };
        let peer = audio.remote;
        let buffer = JitterBuffer::new(config);
        let sound = G711 { law: audio.law, last: [0; TICK_SAMPLES], repeated: 0 };
        Self { audio, latch: Latch::default(), peer, buffer, sound, marker: true }
    }

    /// Takes a datagram; says whether it was one of the stream's.
    pub fn receive(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) -> bool {
        let Some(header) = RtpHeader::parse(datagram) else { return false };
        if header.payload_type != self.audio.payload_type {
            return false;
        }
        match self.latch.judge(now, from, header.ssrc, self.audio.remote) {
            Verdict::Foreign => return false,
            Verdict::Latched => self.peer = from,
            Verdict::Accept => {}
        }
        let payload = datagram.get(header.payload_start..header.payload_end).unwrap_or_default();
        let numbers = (header.ssrc, header.sequence, header.timestamp);
        self.buffer.insert(now, numbers, Payload::Audio(payload));
        true
    }

    /// The samples of this tick.
    pub fn pull(&mut self, now: Time, samples: &mut [i16]) {
        self.buffer.pull(now, &mut self.sound, samples);
    }

    /// Sends a tick's samples.
    pub fn send(&mut self, samples: &[i16; TICK_SAMPLES], send: impl FnOnce(SocketAddr, &[u8])) {
        let header = RtpHeader {
            marker: std::mem::take(&mut self.marker),
            payload_type: self.audio.payload_type,
            sequence: self.audio.sequence,
            timestamp: self.audio.timestamp,
            ssrc: self.audio.ssrc,
            payload_start: HEADER_BYTES,
            payload_end: HEADER_BYTES + TICK_SAMPLES,
        };
        let mut datagram = [0; HEADER_BYTES + TICK_SAMPLES];
        let (head, payload) = datagram.split_at_mut(HEADER_BYTES);
        head.copy_from_slice(&header.bytes());
        match self.audio.law {
            Law::Mu => g711::encode_ulaw(samples, payload),
            Law::A => g711::encode_alaw(samples, payload),
        }
        self.audio.sequence = self.audio.sequence.wrapping_add(1);
        self.audio.timestamp = self.audio.timestamp.wrapping_add(160);
        send(self.peer, &datagram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_goes_on_in_phase_over_lost_packets_and_ends_when_nothing_comes() {
        let mut sound = G711 { law: Law::Mu, last: [0; TICK_SAMPLES], repeated: 0 };
        for carrier in [1_650_u32, 1_700, 1_750, 1_800, 1_850, 1_100, 2_100] {
            let tone = |at: usize| {
                let phase =
                    f64::from(carrier) * f64::from(u32::try_from(at).unwrap_or(0)) / 8_000.0;
                #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
                let sample = ((phase * std::f64::consts::TAU).sin() * 8_000.0) as i16;
                sample
            };
            let said: [i16; TICK_SAMPLES] = std::array::from_fn(tone);
            let mut payload = [0; TICK_SAMPLES];
            g711::encode_ulaw(&said, &mut payload);
            let mut out = [0; TICK_SAMPLES];
            assert_eq!(sound.decode(&payload, &mut out), TICK_SAMPLES);
            // Lost packets are made up in pieces of any length.
            let mut made = Vec::new();
            for length in [80, 80, 160, 80, 400] {
                let mut piece = vec![0; length];
                assert!(sound.conceal(None, &mut piece), "{carrier} Hz");
                made.extend(piece);
            }
            for (at, sample) in made.iter().enumerate() {
                // One step of the law at this height.
                let off = (i32::from(*sample) - i32::from(tone(TICK_SAMPLES + at))).abs();
                assert!(off <= 300, "{carrier} Hz, sample {at}: {off} off");
            }
            assert!(!sound.conceal(None, &mut out), "the sender has gone");
        }
    }
}
