//! G.711 in RTP for a modem (RFC 3550, RFC 3551): one delay, no concealment, and packets of 20 ms
//! by the worker's tick. What is missing is silence, so that not one sample slips.

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
    marker: bool,
}

impl std::fmt::Debug for RtpLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RtpLine").field("peer", &self.peer).finish_non_exhaustive()
    }
}

struct G711(Law);

impl Decode for G711 {
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        let count = payload.len().min(out.len());
        if let (Some(from), Some(to)) = (payload.get(..count), out.get_mut(..count)) {
            match self.0 {
                Law::Mu => g711::decode_ulaw(from, to),
                Law::A => g711::decode_alaw(from, to),
            }
        }
        count
    }

    fn conceal(&mut self, _: Option<&[u8]>, _: &mut [i16]) -> bool {
        false
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
        Self { audio, latch: Latch::default(), peer, buffer, marker: true }
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
        self.buffer.pull(now, &mut G711(self.audio.law), samples);
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
