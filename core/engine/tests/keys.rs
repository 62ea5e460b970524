//! Keys over loopback: ordered ones reach the peer as events beside the voice or as tones, those of
//! a peer are reported once however it says them, and a bridge tells the other side once, in the
//! form that it takes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]
#![allow(clippy::cast_possible_truncation, reason = "signals of tests")]

mod common;

use std::time::{Duration, Instant};

use common::{Phone, WORKER, bridge, engine, wait};
use koukan_base::OpId;
use koukan_codecs::{Decoder, Encoder, Resampler, g711, sample_rate};
use koukan_engine::{Engine, OpusSettings};
use koukan_media::jitter::Decode;
use koukan_media::tone::{Country, DtmfDetector, DtmfEvent, NamedTone, Progress, ProgressDetector};
use koukan_media::{
    Codec, Command, Digit, DigitReceiver, Digits, Event, PlayEnd, Prompt, StreamConfig,
    TelephoneEvent,
};

fn digits(text: &[u8]) -> Digits {
    Digits::new(text).unwrap()
}

fn order(engine: &mut Engine, phone: &Phone, op: u64, text: &[u8]) {
    let (stream, op, digits) = (phone.stream, OpId(op), digits(text));
    let command = Command::SendDigits { stream, op, digits, duration_ms: 100, pause_ms: 60 };
    engine.send(WORKER, command);
}

/// Agrees anew with a phone.
fn agree(engine: &mut Engine, phone: &Phone, change: impl Fn(&mut StreamConfig)) {
    let mut config = Phone::config(phone.socket.local_addr().unwrap(), phone.codec);
    change(&mut config);
    engine.send(WORKER, Command::Configure { stream: phone.stream, config });
}

fn event(payload_type: u8, clock_rate: u32) -> Option<TelephoneEvent> {
    Some(TelephoneEvent { payload_type, receive_type: payload_type, clock_rate })
}

/// What a phone receives within a time: events as digits, sound as samples, and all headers.
#[derive(Default)]
struct Heard {
    digits: Vec<Digit>,
    sound: Vec<i16>,
    headers: Vec<koukan_media::RtpHeader>,
    ends: usize,
}

/// A phone that says and hears for a while: `say` gives the next 20 ms.
fn talk(
    speaker: &mut Phone,
    listener: &Phone,
    (frames, clock_rate): (u64, u32),
    mut say: impl FnMut(&mut Phone, u64),
) -> Heard {
    let (mut decoder, rate) = Decoder::new(listener.codec, 8_000).unwrap();
    let mut narrow = Resampler::new(rate, 8_000);
    let (mut heard, mut receiver) = (Heard::default(), DigitReceiver::default());
    let begin = Instant::now();
    listener.socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    for number in 0..frames {
        say(speaker, number);
        while begin.elapsed() < Duration::from_millis(20 * (number + 1)) {
            let Some((header, payload)) = listener.hear() else { continue };
            heard.headers.push(header);
            if header.payload_type == 101 {
                heard.ends += usize::from(payload[1] & 0x80 != 0);
                let now = koukan_base::Time::from_millis(number * 20);
                heard.digits.extend(receiver.receive(now, header.timestamp, &payload, clock_rate));
                continue;
            }
            let (mut out, mut low) = ([0; 1_920], [0; 1_920]);
            let count = decoder.decode(&payload, &mut out);
            let samples = match &mut narrow {
                Some(narrow) => {
                    let made = narrow.process(&out[..count], &mut low);
                    &low[..made]
                }
                None => &out[..count],
            };
            heard.sound.extend_from_slice(samples);
        }
    }
    heard
}

fn keys_in(sound: &[i16]) -> Vec<u8> {
    let (mut detector, mut found) = (DtmfDetector::new(), Vec::new());
    detector.listen(sound, |event| {
        if let DtmfEvent::Pressed(key) = event {
            found.push(key);
        }
    });
    found
}

/// A phone's encoder of a sound at 8 kHz.
struct Voice {
    encoder: Encoder,
    up: Option<Resampler>,
    sound: Vec<i16>,
}

impl Voice {
    fn new(codec: Codec, sound: Vec<i16>) -> Self {
        let settings = OpusSettings { complexity: 0, ..OpusSettings::default() };
        let encoder = Encoder::new(codec, settings).unwrap();
        Self { encoder, up: Resampler::new(8_000, sample_rate(codec)), sound }
    }

    fn say(&mut self, phone: &mut Phone, number: u64) {
        let at = number as usize * 160;
        let mut frame = [0; 160];
        for (to, from) in frame.iter_mut().zip(self.sound.iter().skip(at)) {
            *to = *from;
        }
        let (mut wide, mut payload) = ([0; 400], [0; 1_500]);
        let samples = match &mut self.up {
            Some(up) => {
                let made = up.process(&frame, &mut wide);
                &wide[..made]
            }
            None => &frame[..],
        };
        let length = self.encoder.encode(samples, &mut payload);
        phone.say(&payload[..length]);
    }
}

/// Keys of 80 ms with pauses of 100, after a fifth of a second.
fn tones(keys: &[u8]) -> Vec<i16> {
    let mut sound = vec![0; 1_600];
    for key in keys {
        sound.extend(NamedTone::Key(*key).samples(80));
        sound.extend([0; 800]);
    }
    sound
}

fn ended(event: Event) -> Option<(OpId, PlayEnd)> {
    match event {
        Event::DigitsSent { op, end, .. } => Some((op, end)),
        _ => None,
    }
}

#[test]
fn ordered_digits_are_events_beside_the_voice_which_goes_on_as_if_they_were_not() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcmu);
    let b = Phone::new(&mut engine, 2, Codec::Pcmu);
    bridge(&mut engine, a.stream, b.stream);
    let heard = talk(&mut a, &b, (60, 8_000), |a, number| {
        if number == 5 {
            order(&mut engine, &b, 7, b"12#");
        }
        a.speak(0x31);
    });
    let digit = |digit| Digit { digit, duration_ms: 100 };
    assert_eq!(heard.digits, [digit(b'1'), digit(b'2'), digit(b'#')]);
    assert_eq!(heard.ends, 9, "each end is sent three times");
    assert_eq!(wait(&mut engine, ended), (OpId(7), PlayEnd::Finished));
    for pair in heard.headers.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "no packet is missing");
    }
    let (events, voice): (Vec<koukan_media::RtpHeader>, Vec<koukan_media::RtpHeader>) =
        heard.headers.iter().partition(|header| header.payload_type == 101);
    assert!(voice.len() >= 55 && events.len() == 21, "{} {}", voice.len(), events.len());
    for pair in voice.windows(2) {
        assert_eq!(pair[1].timestamp, pair[0].timestamp.wrapping_add(160));
    }
    assert_eq!(events.iter().filter(|header| header.marker).count(), 3);
    for key in events.chunks(7) {
        assert!(key[0].marker && key.iter().all(|header| header.timestamp == key[0].timestamp));
    }
}

#[test]
fn without_events_ordered_digits_are_tones_in_every_codec() {
    let mut engine = engine("/nowhere".into());
    for (number, codec) in (0..).zip(Codec::ALL) {
        let mut a = Phone::new(&mut engine, number * 2 + 1, codec);
        let b = Phone::new(&mut engine, number * 2 + 2, codec);
        agree(&mut engine, &b, |config| config.telephone_event = None);
        bridge(&mut engine, a.stream, b.stream);
        let mut voice = Voice::new(codec, vec![0; 160]);
        let heard = talk(&mut a, &b, (55, 8_000), |a, number| {
            if number == 5 {
                order(&mut engine, &b, number, b"90*A");
            }
            voice.say(a, number);
        });
        assert_eq!(keys_in(&heard.sound), b"90*A", "{codec:?}");
        assert_eq!(wait(&mut engine, ended).1, PlayEnd::Finished);
    }
}

#[test]
fn orders_are_answered_once_also_when_nobody_may_be_told() {
    let mut engine = engine("/nowhere".into());
    let b = Phone::new(&mut engine, 1, Codec::Pcmu);
    for op in 0..20 {
        order(&mut engine, &b, op, b"123");
    }
    let mut ends: Vec<_> = (8..20).map(|_| wait(&mut engine, ended)).collect();
    engine.send(WORKER, Command::Close { stream: b.stream });
    ends.extend((0..8).map(|_| wait(&mut engine, ended)));
    ends.sort_unstable_by_key(|(op, _)| op.0);
    let ops: Vec<u64> = ends.iter().map(|(op, _)| op.0).collect();
    assert_eq!(ops, (0..20).collect::<Vec<_>>());
    assert_eq!(ends.iter().filter(|(_, end)| *end == PlayEnd::Failed).count(), 12);
    order(&mut engine, &b, 99, b"1");
    assert_eq!(wait(&mut engine, ended), (OpId(99), PlayEnd::Stopped));
}

#[test]
fn keys_in_the_sound_of_every_codec_are_reported_once_and_only_when_asked_for() {
    let mut engine = engine("/nowhere".into());
    for (number, codec) in (0..).zip(Codec::ALL) {
        let mut a = Phone::new(&mut engine, number * 2 + 1, codec);
        let b = Phone::new(&mut engine, number * 2 + 2, codec);
        let mut voice = Voice::new(codec, tones(b"5"));
        talk(&mut a, &b, (25, 8_000), |a, number| voice.say(a, number));
        engine.send(WORKER, Command::Detect { stream: a.stream, dtmf: true, fax: false });
        let mut voice = Voice::new(codec, tones(b"19#D"));
        talk(&mut a, &b, (55, 8_000), |a, number| voice.say(a, number));
        let mut found = Vec::new();
        while let Some(event) = engine.try_recv() {
            if let Event::Digit { digit, duration_ms, .. } = event {
                assert!((60..=110).contains(&duration_ms), "{duration_ms}");
                found.push(digit);
            }
        }
        assert_eq!(found, b"19#D", "{codec:?}");
    }
}

#[test]
fn a_fax_machine_is_recognised_by_its_calling_tone() {
    let mut engine = engine("/nowhere".into());
    let mut a = Phone::new(&mut engine, 1, Codec::Pcma);
    let b = Phone::new(&mut engine, 2, Codec::Pcma);
    engine.send(WORKER, Command::Detect { stream: a.stream, dtmf: false, fax: true });
    let turn = 1_100.0 * std::f64::consts::TAU / 8_000.0;
    let tone = |n: usize| if n < 4_000 { ((n as f64 * turn).sin() * 8_000.0) as i16 } else { 0 };
    let mut voice = Voice::new(Codec::Pcma, (0..6_000).map(tone).collect());
    talk(&mut a, &b, (35, 8_000), |a, number| voice.say(a, number));
    let tone = wait(&mut engine, |event| match event {
        Event::FaxTone { tone, .. } => Some(tone),
        _ => None,
    });
    assert_eq!(tone, koukan_media::tone::FaxTone::Cng);
}

#[test]
fn a_key_in_the_sound_is_one_event_at_the_other_side_and_no_tone_beside_it() {
    let mut engine = engine("/nowhere".into());
    for (number, to) in (0..).zip([Codec::Pcmu, Codec::G722]) {
        let mut a = Phone::new(&mut engine, number * 2 + 1, Codec::Pcmu);
        let b = Phone::new(&mut engine, number * 2 + 2, to);
        agree(&mut engine, &a, |config| config.telephone_event = None);
        engine.send(WORKER, Command::Detect { stream: a.stream, dtmf: true, fax: false });
        bridge(&mut engine, a.stream, b.stream);
        let mut voice = Voice::new(Codec::Pcmu, tones(b"147"));
        let heard = talk(&mut a, &b, (60, 8_000), |a, number| voice.say(a, number));
        let found: Vec<u8> = heard.digits.iter().map(|digit| digit.digit).collect();
        assert_eq!(found, b"147", "{to:?}");
        assert!(keys_in(&heard.sound).is_empty(), "{to:?}: the tone is heard as well");
    }
}

/// An event of 100 ms, as a phone sends it, from frame 5 on.
fn press(phone: &mut Phone, number: u64, key: u8, stamp: u32, units_ms: u16) {
    let Some(step) = number.checked_sub(5).filter(|step| *step < 7) else { return };
    let duration = (u16::try_from(step).unwrap() + 1).min(5) * 20 * units_ms;
    let [high, low] = duration.to_be_bytes();
    let flags = if step >= 4 { 0x8A } else { 10 };
    let mut packet = phone.packet(101, &[key, flags, high, low]);
    packet[4..8].copy_from_slice(&stamp.to_be_bytes());
    phone.socket.send_to(&packet, phone.engine).unwrap();
}

#[test]
fn an_event_is_a_tone_for_a_peer_without_events_unless_it_is_told_otherwise() {
    let mut engine = engine("/nowhere".into());
    for (number, tones) in [(1, true), (3, false)] {
        let mut a = Phone::new(&mut engine, number, Codec::Pcmu);
        let b = Phone::new(&mut engine, number + 1, Codec::Pcma);
        agree(&mut engine, &b, |config| {
            (config.telephone_event, config.digit_tones) = (None, tones);
        });
        bridge(&mut engine, a.stream, b.stream);
        let heard = talk(&mut a, &b, (40, 8_000), |a, number| {
            a.speak(g711::ULAW_SILENCE);
            press(a, number, 8, 5_000, 8);
        });
        assert_eq!(keys_in(&heard.sound), if tones { &b"8"[..] } else { b"" });
        assert!(heard.digits.is_empty());
    }
}

#[test]
fn events_of_different_clock_rates_are_one_event_of_the_same_length() {
    let mut engine = engine("/nowhere".into());
    for (number, from, to) in [(1, 48_000, 8_000), (3, 8_000, 48_000), (5, 48_000, 48_000)] {
        let mut a = Phone::new(&mut engine, number, Codec::Opus);
        let b = Phone::new(&mut engine, number + 1, Codec::Opus);
        agree(&mut engine, &a, |config| config.telephone_event = event(101, from));
        agree(&mut engine, &b, |config| config.telephone_event = event(101, to));
        bridge(&mut engine, a.stream, b.stream);
        let mut voice = Voice::new(Codec::Opus, vec![0; 160]);
        let units_ms = u16::try_from(from / 1_000).unwrap();
        let heard = talk(&mut a, &b, (40, to), |a, number| {
            voice.say(a, number);
            press(a, number, 11, 9_000, units_ms);
        });
        assert_eq!(heard.digits.len(), 1, "{from} {to}: {:?}", heard.digits);
        let Digit { digit, duration_ms } = heard.digits[0];
        assert!(digit == b'#' && (100..=120).contains(&duration_ms), "{from} {to}: {duration_ms}");
        let reported = wait(&mut engine, |event| match event {
            Event::Digit { digit, duration_ms, .. } => Some((digit, duration_ms)),
            _ => None,
        });
        assert_eq!(reported, (b'#', 100));
    }
}

#[test]
fn tones_music_and_silence_are_played_in_one_list_in_every_codec() {
    let mut engine = engine("/nowhere".into());
    for (number, codec) in (0..).zip([Codec::Pcmu, Codec::G722]) {
        let phone = Phone::new(&mut engine, number + 1, codec);
        let prompts = [
            Prompt::Tone { tone: NamedTone::Key(b'3'), ms: 100 },
            Prompt::Silence { ms: 100 },
            Prompt::Tone { tone: NamedTone::Progress(Country::Japan, Progress::Busy), ms: 2_600 },
            Prompt::Tone { tone: NamedTone::Key(b'4'), ms: 100 },
        ];
        let (stream, op) = (phone.stream, OpId(number * 2));
        engine.send(WORKER, Command::Play { stream, op, prompts: prompts.into(), times: 1 });
        let heard = talk_alone(&phone, 160);
        assert_eq!(keys_in(&heard), b"34", "{codec:?}");
        let mut progress = Vec::new();
        ProgressDetector::new(Country::Japan.tones()).listen(&heard, |found| progress.push(found));
        assert_eq!(progress, [Progress::Busy], "{codec:?}");
        let played = |event| match event {
            Event::Played { op, end, .. } => Some((op, end)),
            _ => None,
        };
        assert_eq!(wait(&mut engine, played), (op, PlayEnd::Finished));
        let (op, prompts) = (OpId(number * 2 + 1), [Prompt::Music].into());
        engine.send(WORKER, Command::Play { stream, op, prompts, times: 0 });
        let heard = talk_alone(&phone, 25);
        let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 500).count();
        assert!(loud > 1_000, "{codec:?}: music is heard");
        engine.send(WORKER, Command::StopPlay { stream, op });
        assert_eq!(wait(&mut engine, played), (op, PlayEnd::Stopped));
    }
}

/// What a phone hears that says nothing.
fn talk_alone(phone: &Phone, frames: u32) -> Vec<i16> {
    let (mut decoder, rate) = Decoder::new(phone.codec, 8_000).unwrap();
    let mut narrow = Resampler::new(rate, 8_000);
    let mut sound = Vec::new();
    phone.socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    for _ in 0..frames {
        let Some((_, payload)) = phone.hear() else { break };
        let (mut out, mut low) = ([0; 1_920], [0; 1_920]);
        let count = decoder.decode(&payload, &mut out);
        match &mut narrow {
            Some(narrow) => {
                let made = narrow.process(&out[..count], &mut low);
                sound.extend_from_slice(&low[..made]);
            }
            None => sound.extend_from_slice(&out[..count]),
        }
    }
    sound
}
