//! What a recording costs for each 20 ms on its worker: the packets of both directions into the
//! tap, and what is due out of it into the ring's blocks. Nothing may allocate; the thread that
//! writes gives its blocks back.

#[path = "../../../media/benches/frames/counting.rs"]
#[expect(dead_code, reason = "packets need not sound like a voice")]
mod counting;
#[path = "../../src/record/ring.rs"]
#[allow(dead_code, unused_imports, reason = "the writer's side, and tests, stand elsewhere")]
mod ring;
#[path = "../../src/record/tap.rs"]
#[allow(dead_code, unused_imports, reason = "a recording's end, and tests, stand elsewhere")]
mod tap;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use koukan_base::{OpId, Time};
use koukan_media::jitter::Payload;
use koukan_media::{Codec, LONGEST_RECORDING, RecordFormat, Recorded, Recording, RtpHeader};

use counting::measure;
use ring::Ring;
use tap::{Tap, Tracks};

fn header(number: u32, codec: Codec) -> RtpHeader {
    let [.., high, low] = number.to_be_bytes();
    RtpHeader {
        marker: false,
        payload_type: codec.offered_payload_type(),
        sequence: u16::from_be_bytes([high, low]),
        timestamp: number.wrapping_mul(codec.clock_rate() / 50),
        ssrc: 7,
        payload_start: 12,
        payload_end: 172,
    }
}

/// Turns of 20 ms before a recording is as long as one may be.
const LONGEST: u32 = 2_000_000;

fn recording(criterion: &mut Criterion, codec: Codec, what: Recorded, format: RecordFormat) {
    let order = Recording {
        path: Path::new("/nowhere.wav").into(),
        seal: false,
        what,
        format,
        longest: LONGEST_RECORDING,
        silence: None,
        stop_digits: None,
    };
    let rate = format.sample_rate();
    let begin = Time::from_millis(5_000);
    let start = || {
        let ring = Arc::new(Ring::new(rate, what.channels()));
        let mut tap = Tap::new(OpId(1), &order, ring.clone());
        let tracks = Tracks::new(codec, what, rate).ok().map(Box::new);
        drop(tap.turn_to(tracks));
        tap.start(begin);
        (tap, ring)
    };
    let ((mut tap, mut ring), mut number, payload) = (start(), 0u32, [0x27; 160]);
    let name = format!("tap of {codec:?}, {what:?} at {rate} Hz: both packets, 20 ms taken down");
    measure(criterion, &name, || {
        if number == LONGEST {
            ((tap, ring), number) = (start(), 0);
        }
        number += 1;
        let now = begin + Duration::from_millis(20) * number;
        let header = header(number, codec);
        tap.hear(now, &header, Some(codec), Payload::Audio(&payload));
        tap.say(now, &header, codec, Payload::Audio(&payload));
        assert!(tap.tick(now, false).is_none());
        while let Some(block) = ring.take() {
            ring.give_back(block.samples);
        }
        assert_eq!(ring.dropped(), 0, "the writer keeps up");
    });
}

fn bench(criterion: &mut Criterion) {
    recording(criterion, Codec::Pcma, Recorded::Peer, RecordFormat::Linear8k);
    recording(criterion, Codec::Pcma, Recorded::Mixed, RecordFormat::Linear8k);
    recording(criterion, Codec::Pcma, Recorded::Stereo, RecordFormat::Linear8k);
    recording(criterion, Codec::G722, Recorded::Stereo, RecordFormat::Linear16k);
}

criterion_group!(all, bench);
criterion_main!(all);
