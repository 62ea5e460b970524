//! Any comings, goings, words, whispers and ways between the parts of a room: nobody is lost, what
//! goes round between two parts stays as much, an empty room is silent, and no part hears itself.
//! Each operation is four bytes.
#![no_main]

use std::collections::VecDeque;

use koukan_media::mixer::{Distant, Mixer, MixerConfig, Share};
use libfuzzer_sys::fuzz_target;

const PARTS: usize = 3;
const PLACES: usize = 4;
const FRAME: usize = 16;
const BOXES: usize = 3;

/// The way from one part to another.
#[derive(Default)]
struct Way {
    full: VecDeque<Box<Share>>,
    empty: Vec<Box<Share>>,
}

fuzz_target!(|bytes: &[u8]| {
    let mut parts: Vec<Mixer> = (0u16..)
        .take(PARTS)
        .map(|part| {
            Mixer::new(MixerConfig { rate: 8_000, frame: FRAME, members: PLACES, talkers: 3, part })
        })
        .collect();
    let share = || Box::new(Share::new(FRAME));
    let way = || Way { full: VecDeque::new(), empty: (0..BOXES).map(|_| share()).collect() };
    let mut ways: Vec<Vec<Way>> =
        (0..PARTS).map(|_| (0..PARTS).map(|_| way()).collect()).collect();
    let mut distant: Vec<Vec<Distant>> =
        (0..PARTS).map(|_| (1..PARTS).map(|_| Distant::new(share())).collect()).collect();
    let mut ahead = vec![vec![0usize; PARTS]; PARTS];
    let (mut number, mut names) = (1u64, 0u64);
    let (operations, _) = bytes.as_chunks::<4>();
    for [what, a, b, c] in operations {
        let (part, place) = (usize::from(*a) % PARTS, usize::from(*b) % (PLACES + 1));
        match what % 8 {
            0 => {
                names += 1;
                let before = parts[part].present();
                let joined = parts[part].join(names % 8).is_some();
                assert_eq!(parts[part].present(), before + usize::from(joined));
                assert_eq!(joined, before < PLACES);
            }
            1 => parts[part].leave(place),
            2 => parts[part].mute(place, c % 2 == 0),
            3 => parts[part].whisper(place, (c % 3 > 0).then_some(u64::from(c % 8))),
            4 => {
                if let Some(input) = parts[part].input(place) {
                    input.fill(i16::from_be_bytes([*c, *b]));
                }
            }
            // What is said from one part to another waits for so many frames.
            5 => ahead[part][place % PARTS] = usize::from(c % 4),
            // A part stands still while the others go on, or all turn.
            _ => {
                number += u64::from(c / 128);
                for own in 0..PARTS {
                    if what % 8 == 6 && own == part {
                        continue;
                    }
                    let others = (0..PARTS).filter(|other| *other != own);
                    for (from, heard) in others.clone().zip(&mut distant[own]) {
                        let held = ahead[from][own];
                        let Way { full, empty } = &mut ways[from][own];
                        let come = || (full.len() > held).then(|| full.pop_front()).flatten();
                        heard.turn(number, come, |share| empty.push(share));
                        assert!(heard.share().sum(FRAME).is_none_or(|sum| sum.len() == FRAME));
                    }
                    turn(&mut parts[own], &distant[own]);
                    for to in others {
                        let way = &mut ways[own][to];
                        if let Some(mut share) = way.empty.pop() {
                            parts[own].share(number, &mut share);
                            assert_eq!(share.number(), number);
                            way.full.push_back(share);
                        }
                        assert!(way.full.len() + way.empty.len() + 1 >= BOXES);
                    }
                    parts[own].finish();
                }
                number += 1;
            }
        }
    }
    // Everybody leaves; two frames later nobody is heard anywhere.
    for mixer in &mut parts {
        (0..PLACES).for_each(|place| mixer.leave(place));
        mixer.mix(&[], |_| {});
        mixer.finish();
        mixer.mix(&[], |_| {});
        assert_eq!((mixer.present(), mixer.common()), (0, [0; FRAME].as_slice()));
    }
});

/// A frame of a part.
fn turn(mixer: &mut Mixer, others: &[Distant]) {
    let mut talkers = [0i32; PLACES];
    mixer.mix(others, |event| talkers[event.member] += if event.talking { 1 } else { -1 });
    assert!(talkers.iter().all(|change| change.abs() <= 1), "a change is told once");
    for place in 0..=PLACES {
        let mut out = [7; FRAME];
        mixer.output(place, others, &mut out);
        if place < PLACES && !mixer.hears_own(place, others) {
            assert_eq!(out, mixer.common(), "who has nothing of its own hears what all hear");
        }
    }
}
