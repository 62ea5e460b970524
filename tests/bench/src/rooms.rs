//! One room in which everybody sends and three talk: what a member costs, and how soon the others
//! hear the first sound of somebody who begins to talk.

use std::io;
use std::time::Duration;

use koukan_base::BridgeId;
use koukan_media::{Codec, Command, Event, HEADER_BYTES};

use crate::Figure;
use crate::load::{Load, PAYLOAD, Said, Voice, quantile};
use crate::media::{self, LOAD_CORE, WORKER};

const SIZES: [usize; 6] = [100, 400, 700, 1_000, 1_500, 2_000];
const MEASURED: Duration = Duration::from_secs(8);
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
    let cpu = media::thread_cpu(media::THREAD);
    let mut span = media::span(load, MEASURED, members * 50, cpu)?;
    let late: u64 = engine.stats().workers.iter().map(|worker| worker.late_ticks).sum();
    let onsets = &mut span.voice.onsets;
    onsets.sort_unstable();
    let onset = (quantile(onsets, 500), quantile(onsets, 990));
    println!(
        "rooms: {members} members: {:.0} % of a core, {:.2} us a packet out, {:.1} % came; onset {:.1} ms (p50), \
         {:.1} ms (p99) of {}; {late} ticks more than 5 ms late; load late {:.2} ms (p99)",
        span.share * 100.0,
        span.cpu_us,
        span.received * 100.0,
        onset.0,
        onset.1,
        onsets.len(),
        quantile(&span.late, 990),
    );
    Ok(Row { received: span.received, onset })
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
    onsets: Vec<Duration>,
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
            self.onsets.push(at.saturating_sub(begun));
        }
    }
}
