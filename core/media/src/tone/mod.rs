//! Tones in the sound: DTMF, call progress (ITU-T E.180, supplement 2; for Japan the technical
//! reference of the telephone network), fax (ITU-T T.30) and answer tones (V.25, V.8).

mod dtmf;
mod fax;
mod generator;
mod goertzel;
mod music;
mod named;
mod progress;

pub use dtmf::{COLUMNS, DtmfDetector, DtmfEvent, KEYS, ROWS};
pub use fax::{AnswerTone, FaxDetector, FaxTone};
pub use generator::{Tone, ToneGenerator};
pub use music::hold_music;
pub use named::{Country, NamedTone};
pub use progress::{Progress, ProgressDetector, Tones};

/// Japan: 400 Hz throughout.
pub const JAPAN: Tones = [
    (Progress::Dial, Tone::new([400.0, 0.0], [1_000, 0, 0, 0])),
    // 400 Hz modulated by 16 Hz, a second on and two off.
    (Progress::Ringback, Tone::new([400.0, 0.0], [1_000, 2_000, 0, 0]).modulated(16.0, 0.85)),
    (Progress::Busy, Tone::new([400.0, 0.0], [500, 500, 0, 0])),
    (Progress::Reorder, Tone::new([400.0, 0.0], [250, 190, 0, 0])),
];

/// North America.
pub const NORTH_AMERICA: Tones = [
    (Progress::Dial, Tone::new([350.0, 440.0], [1_000, 0, 0, 0])),
    (Progress::Ringback, Tone::new([440.0, 480.0], [2_000, 4_000, 0, 0])),
    (Progress::Busy, Tone::new([480.0, 620.0], [500, 500, 0, 0])),
    (Progress::Reorder, Tone::new([480.0, 620.0], [250, 250, 0, 0])),
];

/// The United Kingdom.
pub const UNITED_KINGDOM: Tones = [
    (Progress::Dial, Tone::new([350.0, 440.0], [1_000, 0, 0, 0])),
    (Progress::Ringback, Tone::new([400.0, 450.0], [400, 200, 400, 2_000])),
    (Progress::Busy, Tone::new([400.0, 0.0], [375, 375, 0, 0])),
    (Progress::Reorder, Tone::new([400.0, 0.0], [400, 350, 225, 525])),
];

/// Germany, and with it most of Europe.
pub const GERMANY: Tones = [
    (Progress::Dial, Tone::new([425.0, 0.0], [1_000, 0, 0, 0])),
    (Progress::Ringback, Tone::new([425.0, 0.0], [1_000, 4_000, 0, 0])),
    (Progress::Busy, Tone::new([425.0, 0.0], [480, 480, 0, 0])),
    (Progress::Reorder, Tone::new([425.0, 0.0], [240, 240, 0, 0])),
];

/// The tone of a key (ITU-T Q.23).
#[must_use]
pub fn key_tone(key: u8) -> Option<Tone> {
    let rows = KEYS.iter().zip(ROWS);
    rows.flat_map(|(keys, row)| {
        keys.iter().zip(COLUMNS).map(move |(key, column)| (key, row, column))
    })
    .find(|(known, _, _)| **known == key.to_ascii_uppercase())
    .map(|(_, row, column)| Tone { dbm0: -9.0, ..Tone::new([row, column], [1_000, 0, 0, 0]) })
}
