//! Packets of any numbers into the jitter buffer, pulled in between: every packet and every sample
//! is accounted for, and the delay stays within its bound. The first byte chooses the mode; each
//! operation is eight bytes.
#![no_main]

use std::time::Duration;

use koukan_base::Time;
use koukan_media::jitter::{Decode, JitterBuffer, JitterConfig, JitterMode, Payload};
use libfuzzer_sys::fuzz_target;

/// Every byte is a sample; what is odd cannot be decoded.
struct Bytes;

impl Decode for Bytes {
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        if payload.len() % 7 == 3 {
            return 0;
        }
        out.iter_mut().zip(payload).map(|(to, byte)| *to = i16::from(*byte) << 7).count()
    }

    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) -> bool {
        out.fill(1);
        next.is_some()
    }

    fn carries_previous(&self, payload: &[u8]) -> bool {
        payload.first().is_some_and(|byte| byte & 8 != 0)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let mode = if first & 1 == 0 { JitterMode::VOICE } else { JitterMode::FAX };
    let payload_bytes = JitterConfig::payload_room(mode, 8_000);
    let config = JitterConfig { sample_rate: 8_000, clock_rate: 8_000, payload_bytes, mode };
    let mut buffer = JitterBuffer::new(config);
    let (mut now, mut pulled, mut inserted) = (Time::ZERO, 0, 0);
    while let Some((&[what, ssrc, s0, s1, t0, t1, length, wait], behind)) = rest.split_first_chunk()
    {
        rest = behind;
        now = now + Duration::from_millis(u64::from(wait % 64));
        let payload = vec![what; usize::from(length) * 4];
        let payload = match what % 8 {
            0 => Payload::Noise(&payload),
            1 => Payload::Event,
            _ => Payload::Audio(&payload),
        };
        let sequence = if what & 0x80 == 0 { u16::from(s1) } else { u16::from_be_bytes([s0, s1]) };
        let timestamp = if what & 0x40 == 0 {
            u32::from_be_bytes([0, 0, t0, t1])
        } else {
            u32::from_be_bytes([t0, t1, s0, s1])
        };
        buffer.insert(now, (u32::from(ssrc & 1), sequence, timestamp), payload);
        inserted += 1;
        for _ in 0..wait >> 6 {
            let mut out = [0; 160];
            buffer.pull(now, &mut Bytes, &mut out);
            pulled += out.len();
        }
        let counts = buffer.counts();
        let made =
            counts.played + counts.concealed + counts.inserted + counts.noise - counts.removed;
        assert_eq!(made, (pulled + buffer.pending()) as u64, "{counts:?}");
        let taken = counts.decoded + counts.discarded + buffer.waiting() as u64;
        assert_eq!(counts.kept, taken, "{counts:?}");
        let came = counts.kept + counts.duplicate + counts.late + counts.strange;
        assert_eq!(came, inserted, "{counts:?}");
    }
});
