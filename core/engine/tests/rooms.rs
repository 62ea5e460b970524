//! Rooms over loopback: everybody hears the others and not itself, exactly, in their own codecs;
//! who talks is told; prompts are played into them; coming and going is no click.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]
#![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

mod common;

use std::time::{Duration, Instant};

use common::{Phone, WORKER, bridge, engine, engine_of, wait};
use koukan_base::{BridgeId, OpId, StreamId, WorkerId};
use koukan_codecs::{Decoder, Encoder, g711, sample_rate};
use koukan_engine::{Engine, OpusSettings};
use koukan_media::jitter::Decode;
use koukan_media::tone::{DtmfDetector, DtmfEvent, NamedTone};
use koukan_media::{Codec, Command, Event, PlayEnd, Prompt};

const ROOM: BridgeId = BridgeId(7);
const OTHER: WorkerId = WorkerId(1);

fn join(engine: &mut Engine, phone: &Phone, muted: bool) -> bool {
    let stream = phone.stream;
    engine.send(WORKER, Command::Join { stream, room: ROOM, muted });
    joined(engine, stream)
}

fn joined(engine: &mut Engine, stream: StreamId) -> bool {
    wait(engine, |event| match event {
        Event::Joined { stream: which, joined, .. } if which == stream => Some(joined),
        _ => None,
    })
}

/// A sine in a phone's codec.
struct Voice {
    encoder: Encoder,
    rate: u32,
    hertz: f64,
    at: usize,
}

impl Voice {
    fn new(codec: Codec, hertz: f64) -> Self {
        let settings = OpusSettings { complexity: 0, ..OpusSettings::default() };
        let encoder = Encoder::new(codec, settings).unwrap();
        Self { encoder, rate: sample_rate(codec), hertz, at: 0 }
    }

    fn say(&mut self, phone: &mut Phone) {
        let turn = self.hertz * std::f64::consts::TAU / f64::from(self.rate);
        let frame = self.rate as usize / 50;
        let tone: Vec<i16> = (self.at..self.at + frame)
            .map(|n| ((n as f64 * turn).sin() * 6_000.0) as i16)
            .collect();
        self.at += frame;
        let mut payload = [0; 1_500];
        let length = self.encoder.encode(&tone, &mut payload);
        phone.say(&payload[..length]);
    }
}

/// What phones hear while they and others speak for a while.
fn talk(phones: &mut [(&mut Phone, Option<Voice>)], frames: u32) -> Vec<Vec<i16>> {
    let begin = Instant::now();
    let mut decoders: Vec<Decoder> = Vec::new();
    let mut heard: Vec<Vec<i16>> = Vec::new();
    for (phone, _) in phones.iter() {
        phone.socket.set_nonblocking(true).unwrap();
        decoders.push(Decoder::new(phone.codec, sample_rate(phone.codec)).unwrap().0);
        heard.push(Vec::new());
    }
    for number in 0..frames {
        for (phone, voice) in phones.iter_mut() {
            if let Some(voice) = voice {
                voice.say(phone);
            }
        }
        while begin.elapsed() < Duration::from_millis(20) * (number + 1) {
            std::thread::sleep(Duration::from_millis(1));
            for (which, (phone, _)) in phones.iter().enumerate() {
                while let Some((_, payload)) = phone.hear() {
                    let mut out = [0; 2_000];
                    let count = decoders[which].decode(&payload, &mut out);
                    heard[which].extend_from_slice(&out[..count]);
                }
            }
        }
    }
    heard
}

/// The strength of a frequency in the second half of a sound: a peak.
fn strength(sound: &[i16], rate: u32, hertz: f64) -> f64 {
    let half = &sound[sound.len() / 2..];
    let turn = hertz * std::f64::consts::TAU / f64::from(rate);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in half.iter().enumerate() {
        re += f64::from(*sample) * (n as f64 * turn).cos();
        im += f64::from(*sample) * (n as f64 * turn).sin();
    }
    re.hypot(im) * 2.0 / half.len() as f64
}

#[test]
fn everybody_hears_the_others_and_not_itself_in_its_own_codec() {
    let mut engine = engine("/nowhere".into());
    let mut phones: Vec<Phone> =
        (1..).zip(Codec::ALL).map(|(n, codec)| Phone::new(&mut engine, n, codec)).collect();
    for phone in &phones {
        assert!(join(&mut engine, phone, false), "{:?}", phone.codec);
    }
    let pitches = [300.0, 500.0, 800.0, 1_100.0, 1_500.0];
    let mut all: Vec<(&mut Phone, Option<Voice>)> = phones
        .iter_mut()
        .zip(pitches)
        .map(|(phone, hertz)| {
            let voice = Voice::new(phone.codec, hertz);
            (phone, Some(voice))
        })
        .collect();
    let heard = talk(&mut all, 70);
    for (listener, sound) in heard.iter().enumerate() {
        let codec = Codec::ALL[listener];
        assert!(sound.len() > sample_rate(codec) as usize, "{codec:?} hears {}", sound.len());
        for (speaker, hertz) in pitches.into_iter().enumerate() {
            let found = strength(sound, sample_rate(codec), hertz);
            if speaker == listener {
                assert!(found < 400.0, "{codec:?} hears itself: {found}");
            } else {
                assert!(found > 3_000.0, "{codec:?} hears {:?}: {found}", Codec::ALL[speaker]);
            }
        }
    }
}

/// A and B speak, C listens.
fn voices<'p>(
    a: &'p mut Phone,
    b: &'p mut Phone,
    c: &'p mut Phone,
) -> [(&'p mut Phone, Option<Voice>); 3] {
    [
        (a, Some(Voice::new(Codec::Pcmu, 400.0))),
        (b, Some(Voice::new(Codec::Pcma, 700.0))),
        (c, None),
    ]
}

#[test]
fn who_whispers_is_heard_by_one_alone_also_when_the_room_is_made_anew() {
    let mut engine = engine("/nowhere".into());
    let mut phones: Vec<Phone> = (1..=3).map(|n| Phone::new(&mut engine, n, Codec::Pcmu)).collect();
    for (number, phone) in phones.iter().enumerate() {
        assert!(join(&mut engine, phone, number == 2));
    }
    let [one, two, three] = [0, 1, 2].map(|at: usize| phones[at].stream);
    engine.send(WORKER, Command::Whisper { stream: three, to: Some(two) });
    // A wide-band member has the room made anew, at another rate.
    let wide = Phone::new(&mut engine, 4, Codec::G722);
    assert!(join(&mut engine, &wide, false));
    let listen = |phones: &mut Vec<Phone>| {
        let mut all: Vec<(&mut Phone, Option<Voice>)> = phones
            .iter_mut()
            .zip([None, None, Some(700.0)])
            .map(|(phone, hertz)| (phone, hertz.map(|hertz| Voice::new(Codec::Pcmu, hertz))))
            .collect();
        let heard = talk(&mut all, 50);
        [0, 1].map(|at: usize| strength(&heard[at], 8_000, 700.0))
    };
    let [other, colleague] = listen(&mut phones);
    assert!(other < 100.0 && colleague > 4_000.0, "{other} {colleague}");
    engine.send(WORKER, Command::Whisper { stream: three, to: Some(one) });
    let [other, colleague] = listen(&mut phones);
    assert!(other > 4_000.0 && colleague < 100.0, "{other} {colleague}");
    engine.send(WORKER, Command::Whisper { stream: three, to: None });
    let levels = listen(&mut phones);
    assert!(levels.iter().all(|level| *level < 100.0), "{levels:?}");
}

#[test]
fn who_talks_is_told_the_muted_are_not_heard_and_who_left_is_out() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let mut b = Phone::new(&mut engine, 2, Codec::Pcma);
    let mut c = Phone::new(&mut engine, 3, Codec::Pcmu);
    assert!(join(&mut engine, &a, false));
    assert!(join(&mut engine, &b, true));
    assert!(join(&mut engine, &c, false));
    let heard = talk(&mut voices(&mut a, &mut b, &mut c), 40);
    assert!(strength(&heard[2], 8_000, 400.0) > 4_000.0);
    assert!(strength(&heard[2], 8_000, 700.0) < 100.0, "B is muted");
    assert!(strength(&heard[1], 8_000, 400.0) > 4_000.0, "the muted hear");
    let mut talkers = Vec::new();
    while let Some(event) = engine.try_recv() {
        if let Event::Talks { stream, talking, room } = event {
            assert_eq!(room, ROOM);
            talkers.push((stream.0, talking));
        }
    }
    assert_eq!(talkers, [(1, true)]);
    engine.send(WORKER, Command::Mute { stream: b.stream, muted: false });
    engine.send(WORKER, Command::Leave { stream: a.stream });
    let heard = talk(&mut voices(&mut a, &mut b, &mut c), 40);
    assert!(strength(&heard[2], 8_000, 700.0) > 4_000.0);
    assert!(strength(&heard[2], 8_000, 400.0) < 100.0, "A has left");
    assert!(heard[0].len() < 1_000, "nothing is sent to who left: {}", heard[0].len());
    // Back into a two-party call, and the room goes on with the others.
    bridge(&mut engine, a.stream, b.stream);
    let heard = talk(&mut voices(&mut a, &mut b, &mut c), 40);
    assert!(strength(&heard[0], 8_000, 700.0) > 4_000.0);
    assert!(strength(&heard[2], 8_000, 700.0) < 100.0);
}

#[test]
fn a_prompt_is_heard_by_all_and_coming_and_going_makes_no_click() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let mut b = Phone::new(&mut engine, 2, Codec::G722);
    let op = OpId(9);
    let prompts = [Prompt::Tone { tone: NamedTone::Key(b'5'), ms: 300 }];
    let announce = Command::Announce { room: ROOM, op, prompts: prompts.into(), times: 1 };
    engine.send(WORKER, announce.clone());
    let announced = |event| match event {
        Event::Announced { op, end, .. } => Some((op, end)),
        _ => None,
    };
    assert_eq!(wait(&mut engine, announced), (op, PlayEnd::Stopped), "there is no room");
    assert!(join(&mut engine, &a, false) && join(&mut engine, &b, false));
    engine.send(WORKER, announce);
    let heard = talk(&mut [(&mut a, None), (&mut b, None)], 40);
    assert_eq!(wait(&mut engine, announced), (op, PlayEnd::Finished));
    let mut keys = Vec::new();
    DtmfDetector::new().listen(&heard[0], |event| keys.push(event));
    assert!(matches!(keys[..], [DtmfEvent::Pressed(b'5'), DtmfEvent::Released(b'5', _)]));
    assert!(strength(&heard[1], 16_000, 770.0) < 50.0, "it has ended");
    assert!(heard[1].iter().any(|sample| sample.unsigned_abs() > 2_000), "B hears it, too");
    // A loud constant comes and goes: by small steps.
    let mut c = Phone::new(&mut engine, 3, Codec::Pcmu);
    let begin = Instant::now();
    let mut sound = Vec::new();
    let mut law = [0];
    g711::encode_ulaw(&[8_000], &mut law);
    a.socket.set_nonblocking(true).unwrap();
    for number in 0..60u32 {
        if number == 5 {
            engine.send(WORKER, Command::Join { stream: c.stream, room: ROOM, muted: false });
        }
        if number == 45 {
            engine.send(WORKER, Command::Leave { stream: c.stream });
        }
        c.speak(law[0]);
        while begin.elapsed() < Duration::from_millis(20) * (number + 1) {
            std::thread::sleep(Duration::from_millis(1));
            while let Some((_, payload)) = a.hear() {
                let mut out = [0; 160];
                g711::decode_ulaw(&payload, &mut out);
                sound.extend_from_slice(&out);
            }
        }
    }
    let loudest = sound.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    let step = sound.windows(2).map(|pair| pair[1].abs_diff(pair[0])).max().unwrap();
    assert!(loudest > 7_000 && step < 2_000, "{loudest} {step}");
    assert_eq!(sound.last().map(|sample| sample.unsigned_abs() < 100), Some(true));
}

/// Brings a stream to the other worker, and into the room there.
fn join_there(engine: &mut Engine, phone: &Phone, muted: bool) {
    let stream = phone.stream;
    engine.send(WORKER, Command::Move { stream, to: OTHER });
    wait(engine, |event| (event == Event::Moved { stream }).then_some(()));
    engine.send(OTHER, Command::Join { stream, room: ROOM, muted });
    assert!(joined(engine, stream));
}

#[test]
fn a_member_moves_from_one_part_to_another_and_what_cannot_join_is_told() {
    let mut engine = engine_of(2, "/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let mut b = Phone::new(&mut engine, 2, Codec::Pcmu);
    let other = OTHER;
    let stream = b.stream;
    assert!(join(&mut engine, &a, false));
    join_there(&mut engine, &b, false);
    let mut both = [(&mut a, Some(Voice::new(Codec::Pcmu, 500.0))), (&mut b, None)];
    let heard = talk(&mut both, 40);
    assert!(strength(&heard[1], 8_000, 500.0) > 4_000.0, "from one part to the other");
    engine.send(other, Command::Move { stream, to: WORKER });
    wait(&mut engine, |event| (event == Event::Moved { stream }).then_some(()));
    assert!(join(&mut engine, &b, false));
    let mut both = [(&mut a, Some(Voice::new(Codec::Pcmu, 500.0))), (&mut b, None)];
    let heard = talk(&mut both, 40);
    assert!(strength(&heard[1], 8_000, 500.0) > 4_000.0, "in one part");
    let nobody = StreamId(99);
    engine.send(WORKER, Command::Join { stream: nobody, room: ROOM, muted: false });
    assert!(!joined(&mut engine, nobody));
    for stream in [a.stream, b.stream] {
        engine.send(WORKER, Command::Close { stream });
    }
    // The room is gone with its last member: its number may be another worker's now.
    let c = Phone::new(&mut engine, 3, Codec::Pcmu);
    let stream = c.stream;
    engine.send(WORKER, Command::Move { stream, to: other });
    wait(&mut engine, |event| (event == Event::Moved { stream }).then_some(()));
    engine.send(other, Command::Join { stream, room: ROOM, muted: false });
    assert!(joined(&mut engine, stream));
}

#[test]
fn a_room_of_forty_grows_and_all_hear_the_one_who_speaks() {
    let mut engine = engine("/nowhere".into());
    let mut phones: Vec<Phone> =
        (1..=40).map(|number| Phone::new(&mut engine, number, Codec::Pcma)).collect();
    for phone in &phones {
        assert!(join(&mut engine, phone, false));
    }
    let mut all: Vec<(&mut Phone, Option<Voice>)> =
        phones.iter_mut().map(|phone| (phone, None)).collect();
    all[17].1 = Some(Voice::new(Codec::Pcma, 600.0));
    let heard = talk(&mut all, 40);
    for (number, sound) in heard.iter().enumerate() {
        let found = strength(sound, 8_000, 600.0);
        assert!((found > 4_000.0) == (number != 17), "{number}: {found}");
    }
}

#[test]
fn in_two_parts_everybody_hears_the_others_and_not_itself_in_its_own_codec() {
    let mut engine = engine_of(2, "/nowhere".into());
    let codecs = [Codec::Pcmu, Codec::G722, Codec::Pcma, Codec::Opus, Codec::Pcmu];
    let mut phones: Vec<Phone> =
        (1..).zip(codecs).map(|(n, codec)| Phone::new(&mut engine, n, codec)).collect();
    // One after the other in turn: the rate rises, and the room has got both its parts.
    for (number, phone) in phones.iter().enumerate() {
        if number % 2 == 0 {
            assert!(join(&mut engine, phone, false));
        } else {
            join_there(&mut engine, phone, false);
        }
    }
    let pitches = [300.0, 500.0, 800.0, 1_100.0, 1_500.0];
    let mut all: Vec<(&mut Phone, Option<Voice>)> = phones
        .iter_mut()
        .zip(pitches)
        .map(|(phone, hertz)| {
            let voice = Voice::new(phone.codec, hertz);
            (phone, Some(voice))
        })
        .collect();
    let heard = talk(&mut all, 70);
    for (listener, sound) in heard.iter().enumerate() {
        let codec = codecs[listener];
        for (speaker, hertz) in pitches.into_iter().enumerate() {
            let found = strength(sound, sample_rate(codec), hertz);
            if speaker == listener {
                assert!(found < 400.0, "{codec:?} hears itself: {found}");
            } else {
                assert!(found > 1_500.0, "{codec:?} hears {:?}: {found}", codecs[speaker]);
            }
        }
    }
    let mut talkers: Vec<u64> = Vec::new();
    while let Some(event) = engine.try_recv() {
        if let Event::Talks { stream, talking: true, .. } = event {
            talkers.push(stream.0);
        }
    }
    talkers.sort_unstable();
    talkers.dedup();
    assert_eq!(talkers, [1, 2, 3, 4, 5], "each part tells of its own");
}

#[test]
fn muting_whispers_words_for_all_and_leaving_reach_the_other_part() {
    let mut engine = engine_of(2, "/nowhere".into());
    let mut phones: Vec<Phone> = (1..=4).map(|n| Phone::new(&mut engine, n, Codec::Pcmu)).collect();
    assert!(join(&mut engine, &phones[0], false) && join(&mut engine, &phones[1], true));
    join_there(&mut engine, &phones[2], false);
    join_there(&mut engine, &phones[3], false);
    let streams = [0, 1, 2, 3].map(|at: usize| phones[at].stream);
    // The second speaks; what the third and the fourth, of the other part, hear of it.
    let listen = |phones: &mut Vec<Phone>, hertz: f64| {
        let mut all: Vec<(&mut Phone, Option<Voice>)> =
            phones.iter_mut().map(|phone| (phone, None)).collect();
        all[1].1 = Some(Voice::new(Codec::Pcmu, 700.0));
        let heard = talk(&mut all, 40);
        [2, 3].map(|at: usize| strength(&heard[at], 8_000, hertz))
    };
    let levels = listen(&mut phones, 700.0);
    assert!(levels.iter().all(|level| *level < 100.0), "it is muted: {levels:?}");
    engine.send(WORKER, Command::Whisper { stream: streams[1], to: Some(streams[3]) });
    let [other, colleague] = listen(&mut phones, 700.0);
    assert!(other < 100.0 && colleague > 1_500.0, "{other} {colleague}");
    engine.send(WORKER, Command::Whisper { stream: streams[1], to: None });
    engine.send(WORKER, Command::Mute { stream: streams[1], muted: false });
    let levels = listen(&mut phones, 700.0);
    assert!(levels.iter().all(|level| *level > 1_500.0), "{levels:?}");
    // Ordered from whichever worker, words are for both parts.
    let op = OpId(9);
    let prompts = [Prompt::Tone { tone: NamedTone::Key(b'5'), ms: 5_000 }];
    let announce = Command::Announce { room: ROOM, op, prompts: prompts.into(), times: 1 };
    engine.send(OTHER, announce);
    let levels = listen(&mut phones, 770.0);
    assert!(levels.iter().all(|level| *level > 1_000.0), "{levels:?}");
    engine.send(OTHER, Command::StopAnnounce { room: ROOM, op });
    // The first part is empty, and stands: who comes back is heard.
    for stream in [streams[0], streams[1]] {
        engine.send(WORKER, Command::Leave { stream });
    }
    let levels = listen(&mut phones, 700.0);
    assert!(levels.iter().all(|level| *level < 100.0), "{levels:?}");
    assert!(join(&mut engine, &phones[1], false));
    let levels = listen(&mut phones, 700.0);
    assert!(levels.iter().all(|level| *level > 1_500.0), "{levels:?}");
}
