//! Orders, held keys and ticks in any order: every order ends once, ticks of an idle sender send
//! nothing, and a packet's marker begins each key. Each operation is three bytes.
#![no_main]

use koukan_base::OpId;
use koukan_media::{Digits, KeyFrame, KeyMode, KeyOrder, KeySender, TONE_FRAME};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut keys = KeySender::default();
    let (mut given, mut ended) = (0u64, Vec::new());
    let mut rest = bytes;
    while let Some((&[what, a, b], behind)) = rest.split_first_chunk() {
        rest = behind;
        let number = u16::from_be_bytes([a, b]);
        match what % 5 {
            0 => {
                let Some(digits) = Digits::new(&[a, b]) else { continue };
                let (duration_ms, pause_ms) = (number, number >> 4);
                let order = KeyOrder { op: OpId(given), digits, duration_ms, pause_ms };
                given += u64::from(keys.order(order));
            }
            1 => drop(keys.hold(a)),
            2 => keys.let_go(u32::from(number)),
            kind => {
                let mode = KeyMode::Event { clock_rate: u32::from(b % 7) * 8_000 };
                let mode = if kind == 3 { mode } else { KeyMode::Tone };
                for _ in 0..a {
                    let idle = keys.is_idle();
                    let frame = keys.tick(mode, &mut [0; TONE_FRAME]);
                    assert!(!idle || frame == KeyFrame::Nothing);
                    ended.extend(keys.poll_done());
                }
            }
        }
    }
    keys.give_up(|op| ended.push(op));
    ended.sort_unstable();
    assert_eq!(ended, (0..given).map(OpId).collect::<Vec<_>>());
});
