//! One room in which everybody sends and three talk: what a member costs, and how soon the others
//! hear the first sound of somebody who begins to talk.

use std::io;
use std::time::{Duration, Instant};

use koukan_base::BridgeId;
use koukan_media::{Codec, Command, Event, HEADER_BYTES};

use crate::Figure;
use crate::load::{Load, PAYLOAD, Said, Voice, quantile};
use crate::media::{self, LOAD_CORE, WORKER, WORKER_CORE};
use crate::phases::{self, Watched, median};
use crate::proc;

const SIZES: [usize; 4] = [100, 700, 1_000, 1_500];
/// Phases of a second in which nobody else had the cores.
const PHASES: usize = 8;
const WARM: Duration = Duration::from_secs(3);
/// The latest onset of a room that holds: p50 and p99, in ms.
const ONSET: (f64, f64) = (20.0, 30.0);
const ROOM: BridgeId = BridgeId(1);

pub(crate) fn bench() -> io::Result<Vec<Figure>> {
    let mut most: f64 = 0.0;
    let mut onset = (0.0, 0.0);
    for members in SIZES {
        let row = row(members)?;
        // A room holds when nearly everything arrives, and in time.
        if row.received < 0.995 || row.onset.0 > ONSET.0 || row.onset.1 > ONSET.1 {
            println!("rooms: {members} members are more than this core carries well");
            break;
        }
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let members = members as f64;
        most = members;
        onset = row.onset;
    }
    // Less is better in every figure: the members go in as what each has of a core.
    let figure = |name, unit, value, floor, goal| Figure { name, unit, value, floor, goal };
    Ok(vec![
        figure(
            "members of a room that one core carries, as ms a second each",
            "ms",
            1e3 / most,
            1e3 / 700.0,
            1e3 / 1_500.0,
        ),
        figure("onset in the largest room, p50", "ms", onset.0, ONSET.0, 15.0),
        figure("onset in the largest room, p99", "ms", onset.1, ONSET.1, 25.0),
    ])
}

struct Row {
    received: f64,
    /// p50 and p99 in ms.
    onset: (f64, f64),
}

fn row(members: usize) -> io::Result<Row> {
    let mut engine = media::start_engine(true)?;
    let pairs = media::open(&mut engine, 0..members, |_| media::params(Codec::Pcmu))?;
    for number in 0..members {
        let stream = media::stream(number);
        engine.send(WORKER, Command::Join { stream, room: ROOM, muted: false });
        media::wait(&mut engine, |event| match event {
            Event::Joined { stream: which, joined, .. } if which == stream => {
                Some(if joined { Ok(()) } else { Err(io::Error::other("a member was refused")) })
            }
            _ => None,
        })?;
    }
    let load = Load::start(pairs, LOAD_CORE, Meeting::new(members));
    std::thread::sleep(WARM);
    let worker = (proc::thread_named(media::THREAD)?, WORKER_CORE);
    let watched = Watched::new(&[worker, (load.thread(), LOAD_CORE)]);
    load.measure(true);
    let (since, received) = (Instant::now(), load.received());
    let phases = watched.phases(load.begun(), PHASES)?;
    let (lasted, received) = (since.elapsed(), load.received().saturating_sub(received));
    load.measure(false);
    let (voice, mut late) = load.stop()?;
    late.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "millions")]
    let received = received as f64 / (lasted.as_secs_f64() * 50.0 * members as f64);
    let onset = (median(&phases, &voice.onsets, 500), median(&phases, &voice.onsets, 990));
    let (calm, of) = phases::calm(&phases);
    println!(
        "rooms: {members} members: {:.0} % of a core, {:.1} % came; onset {:.1} ms (p50), {:.1} ms (p99), medians of \
         the {calm} calm of {of} phases, {} heard; load late {:.2} ms (p99)",
        phases::share(&phases) * 100.0,
        received * 100.0,
        onset.0,
        onset.1,
        voice.onsets.len(),
        quantile(&late, 990),
    );
    Ok(Row { received, onset })
}

/// Who talk, for half of the time: phones that send at unlike times. One of them begins, another
/// one each time, and the others fall in.
const TALKERS: [usize; 3] = [0, 7, 13];
/// Packets of sound, and of quiet.
const SPELL: u64 = 20;
/// Packets that the first talker is ahead.
const AHEAD: u64 = 3;

struct Meeting {
    /// When somebody began to talk.
    begun: Option<Duration>,
    /// Members that have not heard it yet.
    waiting: Vec<bool>,
    /// When somebody was heard first, and how long behind its beginning.
    onsets: Vec<(Duration, Duration)>,
    /// When the first packet was heard; what began before counts not.
    listens: Option<Duration>,
}

impl Meeting {
    fn new(members: usize) -> Self {
        Self { begun: None, waiting: vec![false; members], onsets: Vec::new(), listens: None }
    }
}

impl Voice for Meeting {
    fn say(&mut self, phone: usize, turn: u64, at: Duration, payload: &mut [u8; PAYLOAD]) -> Said {
        let (spell, within) = (turn / SPELL, turn % SPELL);
        let first = TALKERS.get(usize::try_from(spell / 2 % 3).unwrap_or(0)) == Some(&phone);
        let talks = spell % 2 == 1 && TALKERS.contains(&phone) && (first || within >= AHEAD);
        if first && within == 0 {
            self.begun = talks.then_some(at);
            for (member, waits) in self.waiting.iter_mut().enumerate() {
                *waits = talks && !TALKERS.contains(&member);
            }
        }
        for (number, byte) in payload.iter_mut().enumerate() {
            // A square wave near -10 dBm0, or the last bit of a quiet line.
            *byte = match (talks, number / 8 % 2) {
                (true, 0) => 0x9A,
                (true, _) => 0x1A,
                (false, 0) => 0xFE,
                (false, _) => 0x7E,
            };
        }
        Said { payload_type: 0, units: 160, length: 160 }
    }

    fn hear(&mut self, phone: usize, packet: &[u8], at: Duration) {
        let listens = *self.listens.get_or_insert(at);
        let Some(begun) = self.begun.filter(|begun| *begun >= listens) else { return };
        let Some(waits) = self.waiting.get_mut(phone).filter(|waits| **waits) else { return };
        let loud = |byte: &u8| byte & 0x7F < 0x40;
        if packet.get(HEADER_BYTES..).is_some_and(|sound| sound.iter().any(loud)) {
            *waits = false;
            self.onsets.push((at, at.saturating_sub(begun)));
        }
    }
}
