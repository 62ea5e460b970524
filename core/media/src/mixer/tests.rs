//! A room's sums, talkers, whispers, and what its parts say to each other.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn room(members: usize, talkers: usize) -> Mixer {
    let mut mixer = Mixer::new(MixerConfig { rate: 8_000, frame: 160, members, talkers, part: 0 });
    for name in 0..members {
        mixer.join(name as u64).unwrap();
    }
    turn(&mut mixer, |_| None);
    mixer
}

/// One frame; what each says, or nothing. Who began or ended to talk.
fn turn(mixer: &mut Mixer, says: impl Fn(usize) -> Option<[i16; 160]>) -> Vec<TalkerEvent> {
    for place in 0..mixer.members.len() {
        if let Some(frame) = says(place) {
            mixer.input(place).unwrap().copy_from_slice(&frame);
        }
    }
    let mut events = Vec::new();
    mixer.mix(&[], |event| events.push(event));
    mixer.finish();
    events
}

proptest! {
    #[test]
    fn everybody_hears_the_sum_of_the_others_saturated(
        frames in prop::collection::vec(
            prop::option::of(prop::collection::vec(any::<i16>(), 160)), 2..9),
    ) {
        let mut mixer = room(frames.len(), frames.len());
        for (place, frame) in frames.iter().enumerate() {
            if let Some(frame) = frame {
                mixer.input(place).unwrap().copy_from_slice(frame);
            }
        }
        mixer.mix(&[], |_| {});
        for place in 0..frames.len() {
            let mut heard = [0; 160];
            mixer.output(place, &[], &mut heard);
            for (at, heard) in heard.iter().enumerate() {
                let others = frames.iter().enumerate().filter(|(other, _)| *other != place);
                let sum: i64 = others
                    .filter_map(|(_, frame)| Some(i64::from(frame.as_ref()?[at])))
                    .sum();
                prop_assert_eq!(i64::from(*heard), sum.clamp(-32_768, 32_767));
            }
        }
    }
}

#[test]
fn a_big_room_sums_the_talkers_and_gives_all_others_the_same() {
    let mut mixer = room(200, 3);
    let events = turn(&mut mixer, |place| match place {
        10 => Some([4_000; 160]),
        20 => Some([3_000; 160]),
        30 => Some([2_000; 160]),
        40 => Some([1_000; 160]),
        _ => Some([20; 160]),
    });
    let began: Vec<usize> = events.iter().map(|event| event.member).collect();
    assert_eq!(began, [10, 20, 30]);
    let mut heard = [0; 160];
    mixer.output(0, &[], &mut heard);
    assert_eq!((heard[0], mixer.common()[0]), (9_000, 9_000));
    mixer.output(20, &[], &mut heard);
    assert_eq!(heard[0], 6_000);
    assert!(mixer.hears_own(20, &[]) && !mixer.hears_own(40, &[]));
}

#[test]
fn who_whispers_is_heard_by_one_alone_and_by_nobody_who_takes_its_place() {
    let mut mixer = room(4, 4);
    mixer.mute(3, true);
    mixer.whisper(3, Some(1));
    // What each place hears in the middle of a frame in which all speak.
    let frame = |mixer: &mut Mixer| {
        for place in 0..4 {
            let level = 100 * (i16::try_from(place).unwrap() + 1);
            mixer.input(place).unwrap().fill(level);
        }
        mixer.mix(&[], |_| {});
        let heard = [0, 1, 2, 3].map(|place| {
            let mut heard = [0; 160];
            mixer.output(place, &[], &mut heard);
            heard[80]
        });
        let own = (mixer.hears_own(1, &[]), mixer.hears_own(3, &[]));
        mixer.finish();
        (heard, own)
    };
    assert_eq!(frame(&mut mixer), ([500, 800, 300, 600], (true, false)));
    // It is heard by all when it is not muted any more.
    mixer.mute(3, false);
    assert_eq!(frame(&mut mixer).0, [900, 800, 700, 600]);
    mixer.mute(3, true);
    mixer.leave(1);
    frame(&mut mixer);
    assert_eq!(mixer.join(9), Some(1));
    turn(&mut mixer, |_| None);
    assert_eq!(frame(&mut mixer).0[1], 400, "a newcomer is told nothing");
}

#[test]
fn a_talker_keeps_its_place_against_one_as_loud_and_loses_it_to_silence() {
    let mut mixer = room(10, 1);
    let talk = |who: &'static [usize]| {
        move |place: usize| who.contains(&place).then_some([3_000 + 100 * (place == 5) as i16; 160])
    };
    assert_eq!(turn(&mut mixer, talk(&[2])), [TalkerEvent { member: 2, talking: true }]);
    for _ in 0..50 {
        assert_eq!(turn(&mut mixer, talk(&[2, 5])), [], "five is a little louder");
    }
    let mut changes = Vec::new();
    for frame in 0..40 {
        changes.extend(turn(&mut mixer, talk(&[5])).into_iter().map(|event| (frame, event)));
    }
    assert_eq!(changes.len(), 2);
    assert!(changes[0].0 <= 20 && changes.iter().any(|(_, e)| e.member == 5 && e.talking));
}

#[test]
fn coming_and_going_do_not_click() {
    let mut mixer =
        Mixer::new(MixerConfig { rate: 8_000, frame: 160, members: 4, talkers: 4, part: 0 });
    let listener = mixer.join(1).unwrap();
    turn(&mut mixer, |_| None);
    let mut heard: Vec<i16> = Vec::new();
    let guest = mixer.join(2).unwrap();
    for frame in 0..10 {
        if frame == 9 {
            mixer.leave(guest);
        }
        mixer.input(guest).unwrap().fill(10_000);
        mixer.mix(&[], |_| {});
        let mut out = [0; 160];
        mixer.output(listener, &[], &mut out);
        heard.extend(out);
        mixer.finish();
    }
    let first = heard[0];
    let steps = heard.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap();
    assert!(steps <= 70 && first <= 70 && *heard.last().unwrap() <= 70, "{steps} {first}");
    assert_eq!((mixer.present(), mixer.input(guest)), (1, None));
}

#[test]
fn the_muted_are_not_heard_and_a_full_room_takes_nobody() {
    let mut mixer = room(2, 2);
    assert_eq!(mixer.join(9), None);
    mixer.mute(1, true);
    turn(&mut mixer, |_| Some([500; 160]));
    let mut heard = [1; 160];
    mixer.output(0, &[], &mut heard);
    assert_eq!(heard, [0; 160]);
    mixer.output(9, &[], &mut heard);
    mixer.leave(9);
    assert!(mixer.input(9).is_none());
    let most = MixerConfig { rate: 8_000, frame: 160, members: 9_999, talkers: 8, part: 0 };
    assert_eq!(Mixer::new(most).members.len(), MOST_MEMBERS);
}

/// What everybody hears, by part and place.
type Heard = Vec<Vec<[i16; 160]>>;

/// A room of several parts, with what is on its way between each two of them.
struct Spread {
    number: u64,
    parts: Vec<Mixer>,
    /// Of each part, how it hears the others, with whose they are.
    distant: Vec<Vec<Distant>>,
    from: Vec<Vec<usize>>,
    /// From one part to another.
    ways: Vec<Vec<VecDeque<Box<Share>>>>,
}

impl Spread {
    /// So many members in each part, called in order, all of them there.
    fn new(members: &[usize], talkers: usize) -> Self {
        let mut name = 0;
        let parts: Vec<Mixer> = (0..)
            .zip(members)
            .map(|(part, count)| {
                let config =
                    MixerConfig { rate: 8_000, frame: 160, members: count + 1, talkers, part };
                let mut mixer = Mixer::new(config);
                for _ in 0..*count {
                    mixer.join(name).unwrap();
                    name += 1;
                }
                mixer
            })
            .collect();
        let others = |own: usize| (0..members.len()).filter(move |other| *other != own);
        let made = |_| Distant::new(Box::new(Share::new(160)));
        let mut spread = Self {
            number: 7,
            distant: (0..members.len()).map(|own| others(own).map(made).collect()).collect(),
            from: (0..members.len()).map(|own| others(own).collect()).collect(),
            ways: vec![vec![VecDeque::new(); members.len()]; members.len()],
            parts,
        };
        for _ in 0..2 {
            spread.turn(|_, _| None, |_, _| true);
        }
        spread
    }

    /// One frame of every part; what each member says, and whether what one part says to another
    /// sets out. What everybody hears, by part and place, and the events.
    fn turn(
        &mut self,
        says: impl Fn(usize, usize) -> Option<[i16; 160]>,
        sets_out: impl Fn(usize, usize) -> bool,
    ) -> (Heard, Vec<(usize, TalkerEvent)>) {
        self.number += 1;
        let (mut heard, mut events) = (Vec::new(), Vec::new());
        for (part, mixer) in self.parts.iter_mut().enumerate() {
            for (distant, from) in self.distant[part].iter_mut().zip(&self.from[part]) {
                let way = &mut self.ways[*from][part];
                distant.turn(self.number, || way.pop_front(), drop);
            }
            let others = &self.distant[part];
            for place in 0..mixer.members.len() {
                // Only who says something is asked for its frame.
                if let Some(frame) = says(part, place)
                    && let Some(input) = mixer.input(place)
                {
                    input.copy_from_slice(&frame);
                }
            }
            mixer.mix(others, |event| events.push((part, event)));
            let hear = |place: usize| {
                let mut out = [0; 160];
                mixer.output(place, others, &mut out);
                out
            };
            heard.push((0..mixer.members.len()).map(hear).collect());
            for to in (0..self.ways.len()).filter(|to| *to != part && sets_out(part, *to)) {
                let mut share = Share::new(160);
                mixer.share(self.number, &mut share);
                self.ways[part][to].push_back(Box::new(share));
            }
            mixer.finish();
        }
        (heard, events)
    }
}

proptest! {
    #[test]
    fn who_is_in_another_part_is_heard_a_frame_later_and_exactly(
        says in prop::collection::vec(prop::collection::vec(
            prop::collection::vec(prop::option::of(any::<i16>()), 1..4), 2..4), 2..5),
    ) {
        // By frame, part and place; the first frame says how many there are.
        let sizes: Vec<usize> = says[0].iter().map(Vec::len).collect();
        let said = |frame: usize, part: usize, place: usize| {
            let level = *says.get(frame)?.get(part)?.get(place)?;
            (place < sizes[part]).then_some(level?)
        };
        let mut spread = Spread::new(&sizes, 16);
        for frame in 0..says.len() {
            let level = |part, place| said(frame, part, place).map(|level| [level; 160]);
            let (heard, _) = spread.turn(level, |_, _| true);
            for (part, size) in sizes.iter().enumerate() {
                for (place, heard) in heard[part].iter().take(*size).enumerate() {
                    let here = (0..*size).filter(|other| *other != place);
                    let here: i64 =
                        here.filter_map(|other| said(frame, part, other)).map(i64::from).sum();
                    let there = |other: usize| {
                        let before = frame.checked_sub(1);
                        let all = (0..sizes[other])
                            .filter_map(move |place| said(before?, other, place));
                        all.map(i64::from).sum::<i64>()
                    };
                    let there: i64 =
                        (0..sizes.len()).filter(|other| *other != part).map(there).sum();
                    let due = (here + there).clamp(-32_768, 32_767);
                    prop_assert_eq!(i64::from(heard[80]), due);
                }
            }
        }
    }

    #[test]
    fn what_comes_when_it_likes_is_never_heard_late_and_makes_no_step(
        sets_out in prop::collection::vec(any::<bool>(), 1..60),
        held in 0usize..8,
    ) {
        let mut spread = Spread::new(&[1, 1], 16);
        let mut sound: Vec<i16> = vec![0];
        let mut waiting = VecDeque::new();
        for (frame, sets_out) in sets_out.into_iter().enumerate() {
            // A voice that begins without a step of its own.
            let begins = std::array::from_fn(|at| i16::try_from(at * 62).unwrap());
            let said = if frame == 0 { begins } else { [9_920; 160] };
            let speaks = |part, _| (part == 0).then_some(said);
            let (heard, _) = spread.turn(speaks, |_, _| true);
            sound.extend(heard[1][0]);
            // What is under way is held up, and comes in one go.
            waiting.extend(spread.ways[0][1].drain(..));
            if sets_out || waiting.len() > held {
                spread.ways[0][1].extend(waiting.drain(..));
            }
        }
        let steps = sound.windows(2).map(|pair| pair[1].abs_diff(pair[0])).max().unwrap();
        prop_assert!(steps <= 140, "{}", steps);
        spread.ways[0][1].extend(waiting);
        spread.turn(|part, _| (part == 0).then_some([9_920; 160]), |_, _| true);
        for _ in 0..2 {
            let (heard, _) = spread.turn(|_, _| None, |_, _| true);
            sound.extend(heard[1][0]);
        }
        prop_assert_eq!(sound.last(), Some(&0), "what has ended is heard no more");
    }
}

#[test]
fn the_loudest_of_all_parts_are_summed_and_each_part_tells_of_its_own() {
    let mut spread = Spread::new(&[100, 100], 3);
    let level = |part: usize, place: usize| match (part, place) {
        (0, 10) => Some([4_000; 160]),
        (1, 20) => Some([3_000; 160]),
        (0, 30) => Some([2_000; 160]),
        (1, 40) => Some([1_000; 160]),
        _ => Some([20; 160]),
    };
    let mut events = Vec::new();
    for _ in 0..5 {
        events.extend(spread.turn(level, |_, _| true).1);
    }
    let (heard, _) = spread.turn(level, |_, _| true);
    let talks = |part: usize, place: usize| spread.parts[part].members[place].talking;
    assert_eq!([talks(0, 10), talks(1, 20), talks(0, 30), talks(1, 40)], [true, true, true, false]);
    for (part, place) in [(0, 0), (1, 0), (1, 40)] {
        assert_eq!(heard[part][place][80], 9_000, "{part} {place}");
    }
    assert_eq!((heard[0][30][80], heard[1][20][80]), (7_000, 6_000));
    for (part, event) in events {
        assert!([(0, 10), (1, 20), (0, 30), (1, 40)].contains(&(part, event.member)));
    }
}

#[test]
fn a_whisper_reaches_one_member_of_another_part_alone() {
    let mut spread = Spread::new(&[2, 2], 16);
    spread.parts[0].mute(0, true);
    // The second of the second part is called so.
    spread.parts[0].whisper(0, Some(3));
    let level = |part, place| (part == 0 && place == 0).then_some([700; 160]);
    spread.turn(level, |_, _| true);
    let (heard, _) = spread.turn(level, |_, _| true);
    let heard: Vec<i16> = heard.iter().flat_map(|part| part.iter().map(|out| out[80])).collect();
    assert_eq!(heard, [0, 0, 0, 0, 700, 0]);
    assert!(spread.parts[1].hears_own(1, &spread.distant[1]));
    spread.parts[0].whisper(0, None);
    spread.turn(level, |_, _| true);
    let (heard, _) = spread.turn(level, |_, _| true);
    assert_eq!(heard[1][1], [0; 160]);
}

#[test]
fn a_room_that_grows_goes_on_in_the_middle_of_a_word() {
    let mut small = room(2, 8);
    small.mute(1, true);
    small.whisper(1, Some(0));
    turn(&mut small, |_| Some([3_000; 160]));
    let config = MixerConfig { rate: 8_000, frame: 160, members: 4, talkers: 8, part: 0 };
    let mut large = Mixer::new(config);
    large.take_over(&small);
    assert_eq!(large.join(2), Some(2));
    for place in 0..2 {
        large.input(place).unwrap().fill(3_000);
    }
    let mut events = Vec::new();
    large.mix(&[], |event| events.push(event));
    let mut heard = [[0; 160]; 3];
    for (place, out) in heard.iter_mut().enumerate() {
        large.output(place, &[], out);
    }
    assert_eq!((heard[0][0], heard[1][0], events), (3_000, 3_000, vec![]));
    assert!(heard[2][0] < 100 && heard[2][159] == 3_000, "the newcomer hears from nothing up");
    assert_eq!(large.present(), 3);
}

/// A room of 2,000 on four workers.
const BIG: [usize; 4] = [640, 560, 500, 300];

/// Those who talk in it, by part and place: two in one part, some alone in theirs.
const VOICES: [(usize, usize); 5] = [(0, 3), (0, 600), (1, 0), (2, 499), (3, 120)];

/// What a talker says in a frame: loud, and no two samples of anybody alike for long.
fn talk(voice: usize, number: u32) -> [i16; 160] {
    let mut state = number.wrapping_mul(31).wrapping_add(u32::try_from(voice).unwrap()) | 1;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [high, low, ..] = state.to_be_bytes();
        i16::from_be_bytes([high, low])
    })
}

fn voice(part: usize, place: usize) -> Option<usize> {
    VOICES.iter().position(|known| *known == (part, place))
}

#[test]
fn in_a_room_of_2000_on_four_workers_each_hears_the_exact_sum_of_the_other_talkers() {
    let mut spread = Spread::new(&BIG, 8);
    // Everybody's line hums; only who talks is summed.
    let says = |number: u32| {
        move |part, place| Some(voice(part, place).map_or([30; 160], |who| talk(who, number)))
    };
    for number in 0..4 {
        spread.turn(says(number), |_, _| true);
    }
    for number in 4..10 {
        let (heard, events) = spread.turn(says(number), |_, _| true);
        assert_eq!(events, [], "nobody begins or ends to talk");
        let sum = |part: usize, of: usize| -> [i32; 160] {
            let said = VOICES.iter().enumerate().filter(|(_, (home, _))| *home == of);
            // What comes from another part was said a frame ago.
            let said = said.map(|(who, _)| talk(who, number - u32::from(of != part)));
            said.fold([0; 160], |sum, said| std::array::from_fn(|at| sum[at] + i32::from(said[at])))
        };
        for (part, size) in BIG.iter().enumerate() {
            let all = (0..BIG.len())
                .map(|of| sum(part, of))
                .fold([0; 160], |all, sum| std::array::from_fn(|at| all[at] + sum[at]));
            for (place, heard) in heard[part].iter().enumerate().take(*size) {
                let own = voice(part, place).map_or([0; 160], |who| talk(who, number));
                let due: [i16; 160] =
                    std::array::from_fn(|at| narrow(all[at] - i32::from(own[at])));
                assert_eq!(*heard, due, "part {part}, place {place}");
                let tells = spread.parts[part].hears_own(place, &spread.distant[part]);
                assert_eq!(tells, own != [0; 160], "all others share one sum");
            }
        }
    }
}

#[test]
fn coming_and_going_in_a_room_of_2000_on_four_workers_does_not_click() {
    let mut spread = Spread::new(&BIG, 8);
    let mut sound: Vec<Vec<i16>> = vec![vec![0]; BIG.len()];
    // In each part somebody leaves who talks, and who takes the place talks from the first frame.
    for frame in 0..24u16 {
        for (part, name) in [(0, 5_000), (1, 5_001), (2, 5_002), (3, 5_003)] {
            // The newcomer has the lowest place that is free.
            let (comes, goes) = (frame % 12 == 4, frame % 12 == 9);
            if comes {
                let name = name + u64::from(frame);
                assert_eq!(spread.parts[part].join(name), Some(BIG[part]));
            } else if goes {
                spread.parts[part].leave(BIG[part]);
            }
        }
        let present = |part: usize, place: usize| place == BIG[part];
        let (heard, _) =
            spread.turn(|part, place| present(part, place).then_some([7_000; 160]), |_, _| true);
        for (part, sound) in sound.iter_mut().enumerate() {
            sound.extend(heard[part][7]);
        }
    }
    for (part, sound) in sound.iter().enumerate() {
        let loudest = sound.iter().max().unwrap();
        assert_eq!(*loudest, 28_000, "all four newcomers are heard in part {part}");
        let step = sound.windows(2).map(|pair| pair[1].abs_diff(pair[0])).max().unwrap();
        // Four of them grow by 7,000 in a frame, the three others a frame later.
        assert!(step <= 4 * 7_000 / 160 + 4, "a step of {step} in part {part}");
        assert_eq!(sound.last(), Some(&0), "whoever left is heard no more");
    }
}
