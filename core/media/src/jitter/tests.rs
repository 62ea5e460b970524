//! The buffer behind a simulated link: loss, bursts, jitter, reordering, duplicates, drift; every
//! packet and every sample accounted for.

#![allow(clippy::cast_possible_truncation, reason = "numbers of tests wrap as on the wire")]

use koukan_base::{Rng, Time};
use proptest::prelude::*;

use super::*;

/// Samples as they are: what is heard tells where it was said.
struct Plain;

impl Decode for Plain {
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        let samples = payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
        out.iter_mut().zip(samples).map(|(to, sample)| *to = sample).count()
    }

    fn conceal(&mut self, _: Option<&[u8]>, _: &mut [i16]) -> bool {
        false
    }
}

/// A link and its sender.
#[derive(Clone, Debug)]
struct Link {
    seed: u64,
    packet_ms: u64,
    loss_percent: u64,
    /// Packets lost in a row when one is lost.
    burst: u64,
    jitter_ms: u64,
    /// In how many of a hundred packets the jitter is four times as long.
    spikes_percent: u64,
    duplicate_percent: u64,
    /// Parts in a million by which the sender's clock is fast.
    drift_ppm: i64,
}

const STEADY: Link = Link {
    seed: 1,
    packet_ms: 20,
    loss_percent: 0,
    burst: 1,
    jitter_ms: 0,
    spikes_percent: 0,
    duplicate_percent: 0,
    drift_ppm: 0,
};

/// What came out.
struct Run {
    buffer: JitterBuffer,
    sound: Vec<i16>,
    /// Delay in ms after each pull.
    delays: Vec<u64>,
    /// Samples put in and taken out until each pull.
    changes: Vec<u64>,
    inserted: u64,
}

/// The voice that is sent: two tones of a period that divides nothing.
fn said(sample: u64) -> i16 {
    let time = sample as f64 / 8_000.0 * std::f64::consts::TAU;
    ((time * 163.0).sin() * 6_000.0 + (time * 326.0).cos() * 3_000.0) as i16
}

fn config(mode: JitterMode) -> JitterConfig {
    let payload_bytes = JitterConfig::payload_room(mode, 16_000);
    JitterConfig { sample_rate: 8_000, clock_rate: 8_000, payload_bytes, mode }
}

/// Sends `seconds` of an endless voice over the link into a buffer that is pulled every 20 ms.
fn run(link: &Link, mode: JitterMode, seconds: u64) -> Run {
    run_with(link, mode, seconds, said)
}

/// The same of any sound.
fn run_with(link: &Link, mode: JitterMode, seconds: u64, said: fn(u64) -> i16) -> Run {
    let mut rng = Rng::from_number(link.seed);
    let mut chance = move |percent: u64| u64::from(rng.next_u32()) % 10_000 < percent * 100;
    let mut other = Rng::from_number(link.seed ^ 77);
    let (mut arrivals, mut losing) = (Vec::new(), 0);
    for number in 0..seconds * 1_000 / link.packet_ms {
        if losing == 0 && chance(link.loss_percent) {
            losing = link.burst;
        }
        if losing > 0 {
            losing -= 1;
            continue;
        }
        let sent_us = number * link.packet_ms * 1_000;
        let sent_us = sent_us - sent_us * link.drift_ppm.max(0).unsigned_abs() / 1_000_000
            + sent_us * link.drift_ppm.min(0).unsigned_abs() / 1_000_000;
        let scale = if chance(link.spikes_percent) { 4 } else { 1 };
        let jitter_us = u64::from(other.next_u32()) % (link.jitter_ms * 1_000 + 1) * scale;
        arrivals.push((30_000 + sent_us + jitter_us, number));
        if chance(link.duplicate_percent) {
            arrivals.push((30_000 + sent_us + jitter_us + 7_000, number));
        }
    }
    arrivals.sort_unstable();
    let mut buffer = JitterBuffer::new(config(mode));
    let (mut sound, mut delays, mut inserted) = (Vec::new(), Vec::new(), 0);
    let mut changes = Vec::new();
    let mut arrivals = arrivals.into_iter().peekable();
    for pull in 0..seconds * 50 {
        let now_us = pull * 20_000 + 3_000;
        while let Some((at, number)) = arrivals.next_if(|(at, _)| *at <= now_us) {
            let samples = link.packet_ms * 8;
            let payload: Vec<u8> = (number * samples..(number + 1) * samples)
                .flat_map(|sample| said(sample).to_be_bytes())
                .collect();
            let (sequence, timestamp) = (number as u16, (number * samples) as u32);
            let now = Time::from_nanos(at * 1_000);
            buffer.insert(now, (9, sequence, timestamp), Payload::Audio(&payload));
            inserted += 1;
        }
        let mut out = [0; 160];
        let now = Time::from_nanos(now_us * 1_000);
        buffer.pull(now, &mut Plain, &mut out);
        sound.extend(out);
        check(&buffer, sound.len(), inserted);
        delays.push(u64::try_from(buffer.delay(now).as_millis()).unwrap());
        let counts = buffer.counts();
        changes.push(counts.inserted + counts.removed);
    }
    Run { buffer, sound, delays, changes, inserted }
}

/// Every packet and every sample is accounted for.
fn check(buffer: &JitterBuffer, pulled: usize, inserted: u64) {
    let counts = buffer.counts();
    let made = counts.played + counts.concealed + counts.inserted + counts.noise - counts.removed;
    assert_eq!(made, (pulled + buffer.pending()) as u64, "{counts:?}");
    let taken = counts.decoded + counts.discarded + buffer.waiting() as u64;
    assert_eq!(counts.kept, taken, "{counts:?}");
    let came = counts.kept + counts.duplicate + counts.late + counts.strange;
    assert_eq!(came, inserted, "{counts:?}");
}

fn largest_step(signal: &[i16]) -> i32 {
    let steps = signal.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
    steps.max().unwrap()
}

#[test]
fn an_even_stream_is_played_as_it_was_said_with_hardly_a_delay() {
    for packet_ms in [10, 20, 30, 40, 60] {
        let run = run(&Link { packet_ms, ..STEADY }, JitterMode::VOICE, 20);
        let counts = run.buffer.counts();
        assert_eq!((counts.late, counts.lost, counts.concealed), (0, 0, 0), "{counts:?}");
        let half = run.delays.len() / 2;
        let settled = run.delays[half..].iter().max().unwrap();
        println!("{packet_ms} ms packets: {settled} ms, {counts:?}");
        assert!(*settled <= 20 + packet_ms / 2, "{packet_ms} ms packets: {settled} ms");
        // Packets as long as the pulls are played by the first pull behind them.
        assert!(packet_ms != 20 || *settled <= 5, "{settled} ms");
        let tail = &run.sound[80_000..150_000];
        assert!(largest_step(tail) <= 1_900, "{}", largest_step(tail));
    }
}

#[test]
fn jitter_is_waited_for_and_no_more_than_it_needs() {
    let link = Link { jitter_ms: 60, ..STEADY };
    let run = run(&link, JitterMode::VOICE, 60);
    let counts = run.buffer.counts();
    assert!(counts.late * 100 <= run.inserted * 5, "{counts:?}");
    let later = &run.delays[500..2_900];
    let mean = later.iter().sum::<u64>() / later.len() as u64;
    assert!((40..110).contains(&mean), "{mean} ms");
    assert!(largest_step(&run.sound[8_000..]) <= 4_500, "{}", largest_step(&run.sound[8_000..]));
}

/// Words of 700 ms and pauses of 300.
fn worded(sample: u64) -> i16 {
    if sample % 8_000 < 5_600 { said(sample) } else { 0 }
}

#[test]
fn the_delay_is_changed_between_words_and_not_in_them() {
    for jitter_ms in [40, 60, 80] {
        for seed in 1..=5 {
            let link = Link { jitter_ms, seed, ..STEADY };
            let run = run_with(&link, JitterMode::VOICE, 24, worded);
            let loud = |pull: usize| {
                let sound = &run.sound[pull * 160..(pull + 1) * 160];
                sound.iter().any(|sample| sample.unsigned_abs() > 2_000)
            };
            // Words of the first four seconds pay for what is not known of the network yet.
            let pulls = 200..run.changes.len() - 10;
            let in_words = pulls.filter(|pull| {
                let changed = run.changes[*pull] != run.changes[pull - 1];
                changed && loud(pull - 1) && loud(*pull) && loud(pull + 1)
            });
            let (changed, mean) = (in_words.count(), run.delays[200..].iter().sum::<u64>() / 1_000);
            assert!(changed <= 1, "jitter {jitter_ms}, seed {seed}: {changed} words cut");
            assert!(mean <= jitter_ms + 25, "jitter {jitter_ms}, seed {seed}: {mean} ms");
        }
    }
}

#[test]
fn a_clock_that_is_fast_or_slow_is_followed_for_ten_minutes_without_a_loss() {
    for drift_ppm in [-500, 500] {
        let link = Link { drift_ppm, jitter_ms: 3, ..STEADY };
        let run = run(&link, JitterMode::VOICE, 600);
        let counts = run.buffer.counts();
        let over = u64::try_from(drift_ppm.abs()).unwrap() * 8 * 600 / 1_000;
        assert!(counts.late + counts.lost + counts.discarded <= 3, "{drift_ppm}: {counts:?}");
        let most = run.delays.iter().max().unwrap();
        println!("{drift_ppm} ppm: {most} ms, {counts:?}");
        // The fast sender has said everything a little before the end.
        let most = run.delays[..run.delays.len() - 50].iter().max().unwrap();
        assert!(*most < 60, "{drift_ppm} ppm: {most} ms");
        let changed = counts.inserted.abs_diff(counts.removed);
        assert!(changed.abs_diff(over) < over / 4 + 500, "{drift_ppm}: {changed} of {over}");
        assert!(largest_step(&run.sound[8_000..]) <= 2_600);
    }
}

#[test]
fn lost_packets_are_concealed_and_late_ones_come_back_as_delay_that_goes_again() {
    let run = run(&Link { loss_percent: 5, ..STEADY }, JitterMode::VOICE, 60);
    let counts = run.buffer.counts();
    let lost = 3_000 - run.inserted;
    assert!(counts.lost.abs_diff(lost) <= 3, "{lost}: {counts:?}");
    assert!(counts.concealed.abs_diff(lost * 160) < 1_000, "{lost}: {counts:?}");
    assert!(largest_step(&run.sound[8_000..]) <= 4_500);
}

#[test]
fn a_network_that_stands_still_for_200_ms_loses_nothing() {
    let mut buffer = JitterBuffer::new(config(JitterMode::VOICE));
    let (mut pulled, mut sent, mut delays) = (0, 0u64, Vec::new());
    for pull in 0..500u64 {
        let stands = (100..110).contains(&pull);
        while sent <= pull && !stands {
            let payload: Vec<u8> =
                (sent * 160..sent * 160 + 160).flat_map(|at| said(at).to_be_bytes()).collect();
            let now = Time::from_millis(pull * 20 + 1);
            let numbers = (9, sent as u16, (sent * 160) as u32);
            buffer.insert(now, numbers, Payload::Audio(&payload));
            sent += 1;
        }
        let mut out = [0; 160];
        buffer.pull(Time::from_millis(pull * 20 + 2), &mut Plain, &mut out);
        pulled += 160;
        check(&buffer, pulled, sent);
        delays.push(buffer.delay(Time::from_millis(pull * 20 + 2)).as_millis());
    }
    let counts = buffer.counts();
    assert_eq!((counts.late, counts.lost, counts.discarded), (0, 0, 0), "{counts:?}");
    assert!(delays.iter().all(|ms| *ms <= 420), "{:?}", delays.iter().max());
    assert!(*delays.last().unwrap() < 80, "{:?}", &delays[95..]);
}

#[test]
fn a_pause_with_comfort_noise_costs_no_loss_and_the_next_word_is_in_time() {
    let mut buffer = JitterBuffer::new(config(JitterMode::VOICE));
    let mut sound = Vec::new();
    for pull in 0..400u64 {
        let now = Time::from_millis(pull * 20 + 1);
        let payload: Vec<u8> =
            (pull * 160..pull * 160 + 160).flat_map(|at| said(at).to_be_bytes()).collect();
        // A word of a second, a pause of one, and so on; the pause has one packet.
        let sequence = (pull / 100 * 51 + (pull % 100).min(50)) as u16;
        let numbers = (9, sequence, (pull * 160) as u32);
        match pull % 100 {
            0..50 => drop(buffer.insert(now, numbers, Payload::Audio(&payload))),
            50 => drop(buffer.insert(now, numbers, Payload::Noise(&[60]))),
            _ => {}
        }
        let mut out = [0; 160];
        buffer.pull(now, &mut Plain, &mut out);
        sound.push(out);
    }
    let counts = buffer.counts();
    assert_eq!((counts.lost, counts.late, counts.concealed), (0, 0, 0), "{counts:?}");
    let loud = |out: &[i16; 160]| out.iter().any(|sample| sample.abs() > 1_500);
    assert!(sound[110..140].iter().all(loud));
    let noise = &sound[160..195];
    assert!(noise.iter().all(|out| !loud(out) && out.iter().any(|sample| *sample != 0)));
}

#[test]
fn another_source_and_another_timestamp_are_played_on_at_once() {
    let mut buffer = JitterBuffer::new(config(JitterMode::VOICE));
    let (mut pulled, mut silent) = (0, 0);
    for pull in 0..600u64 {
        let payload: Vec<u8> =
            (pull * 160..pull * 160 + 160).flat_map(|at| said(at).to_be_bytes()).collect();
        let (ssrc, jump) = match pull {
            0..200 => (1, 0),
            200..400 => (1, 0x7000_0000u64),
            _ => (2, 5),
        };
        let now = Time::from_millis(pull * 20 + 1);
        let numbers = (ssrc, pull as u16, (jump + pull * 160) as u32);
        buffer.insert(now, numbers, Payload::Audio(&payload));
        let mut out = [0; 160];
        buffer.pull(now, &mut Plain, &mut out);
        pulled += 160;
        check(&buffer, pulled, pull + 1);
        silent += u64::from(pull > 10 && out.iter().all(|sample| sample.abs() < 50));
    }
    let counts = buffer.counts();
    assert_eq!((counts.restarts, counts.strange, counts.late), (1, 0, 0), "{counts:?}");
    assert!(silent <= 6, "{silent} silent frames, {counts:?}");
}

#[test]
fn events_between_sound_are_no_loss() {
    let mut buffer = JitterBuffer::new(config(JitterMode::VOICE));
    for pull in 0..300u64 {
        let now = Time::from_millis(pull * 20 + 1);
        let payload: Vec<u8> =
            (pull * 160..pull * 160 + 160).flat_map(|at| said(at).to_be_bytes()).collect();
        let event = (100..110).contains(&pull);
        let timestamp = if event { 16_000 } else { (pull * 160) as u32 };
        let what = if event { Payload::Event } else { Payload::Audio(&payload) };
        buffer.insert(now, (9, pull as u16, timestamp), what);
        buffer.pull(now, &mut Plain, &mut [0; 160]);
    }
    let counts = buffer.counts();
    assert_eq!((counts.lost, counts.late, counts.strange), (0, 0, 0), "{counts:?}");
}

#[test]
fn fax_hears_every_sample_at_one_delay_and_drift_slips_only_in_pauses() {
    let run = run(&Link { jitter_ms: 30, ..STEADY }, JitterMode::FAX, 60);
    let counts = run.buffer.counts();
    assert_eq!((counts.inserted, counts.removed, counts.concealed), (0, 0, 0), "{counts:?}");
    let begin = run.sound.iter().position(|sample| *sample == said(0)).unwrap();
    let heard = &run.sound[begin..begin + 400_000];
    assert!(heard.iter().zip(0..).all(|(heard, at)| *heard == said(at)));
    // 100 ppm for ten minutes are 60 ms: within half the delay to either side nothing slips.
    let drifting = Link { drift_ppm: 100, jitter_ms: 5, ..STEADY };
    let counts = self::run(&drifting, JitterMode::FAX, 600).buffer.counts();
    assert_eq!((counts.removed, counts.discarded, counts.late), (0, 0, 0), "{counts:?}");
}

fn links() -> impl Strategy<Value = Link> {
    let network = (0u64..30, 1u64..6, 0u64..120, 0u64..10, 0u64..10);
    (any::<u64>(), prop::sample::select(vec![10u64, 20, 30, 40, 60]), network, -400i64..400)
        .prop_map(
            |(seed, packet_ms, (loss_percent, burst, jitter_ms, spikes, twice), drift_ppm)| Link {
                seed,
                packet_ms,
                loss_percent,
                burst,
                jitter_ms,
                spikes_percent: spikes,
                duplicate_percent: twice,
                drift_ppm,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn on_any_link_all_is_accounted_for_and_the_delay_is_bounded(link in links()) {
        let run = run(&link, JitterMode::VOICE, 20);
        // The bound, one frame that is being pulled and one period.
        prop_assert!(run.delays.iter().all(|ms| *ms <= 400 + 35), "{:?}", run.delays.iter().max());
    }

    #[test]
    fn on_any_link_a_fixed_buffer_stays_within_its_bound(link in links()) {
        let run = run(&link, JitterMode::FAX, 20);
        prop_assert!(run.delays.iter().all(|ms| *ms <= 200 + 35), "{:?}", run.delays.iter().max());
    }

    #[test]
    fn no_packets_break_the_accounts(
        packets in prop::collection::vec(
            (0u32..2, any::<u16>(), any::<u32>(), 0usize..1_600, 0u8..4, 0u64..200), 0..300),
    ) {
        let mut buffer = JitterBuffer::new(config(JitterMode::VOICE));
        let (mut now, mut pulled, mut inserted) = (Time::ZERO, 0, 0);
        for (ssrc, sequence, timestamp, length, what, wait) in packets {
            now = now + Duration::from_millis(wait / 8);
            let bytes = vec![0x22; length];
            let payload = match what {
                0 => Payload::Noise(&bytes),
                1 => Payload::Event,
                _ => Payload::Audio(&bytes),
            };
            // Half of them near enough to belong together.
            let (sequence, timestamp) =
                if what == 3 { (sequence, timestamp) } else { (sequence % 64, timestamp % 9_000) };
            buffer.insert(now, (ssrc, sequence, timestamp), payload);
            inserted += 1;
            let mut out = [0; 160];
            buffer.pull(now, &mut Plain, &mut out);
            pulled += out.len();
            check(&buffer, pulled, inserted);
        }
    }
}
