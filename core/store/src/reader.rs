//! The reading end of the journal: frames from a position on, batch by batch, over the ends of
//! segments.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use koukan_switch::Record;

use crate::frame::{self, Found};
use crate::segment::{self, Position};

/// Records that were read together, and where they end.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) end: Position,
    /// Bytes read, good and bad.
    pub(crate) bytes: u64,
    pub(crate) damage: Vec<Damage>,
}

/// Bytes of the journal that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin.
    pub at: Position,
    /// How many they are.
    pub bytes: u64,
    /// They end the segment: a write that a power loss cut short.
    pub torn: bool,
}

/// Reads from `from` up to `end`, at most about `limit` bytes, and never over the end of a segment.
///
/// # Errors
/// A segment cannot be read.
pub(crate) fn read(directory: &Path, from: Position, end: u64, limit: usize) -> io::Result<Batch> {
    let mut batch = Batch { end: from, ..Batch::default() };
    let mut file = File::open(segment::path(directory, from.segment))?;
    file.seek(SeekFrom::Start(from.offset))?;
    let room = end.saturating_sub(from.offset);
    let mut text = Vec::new();
    let first = room.min(limit as u64);
    file.by_ref().take(first).read_to_end(&mut text)?;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        match frame::read(rest) {
            Found::Frame { payload, bytes } => {
                match serde_json::from_slice(payload) {
                    Ok(record) => batch.records.push(record),
                    // A later version's record: passed over, but told.
                    Err(_) => batch.damage.push(damage(from, at, bytes, false)),
                }
                at += bytes;
            }
            Found::Damage { bytes } => {
                batch.damage.push(damage(from, at, bytes, false));
                at += bytes;
            }
            // A frame goes on beyond what was read so far; unless this is all there is.
            Found::Torn { .. } if (text.len() as u64) < room && at > 0 => break,
            Found::Torn { .. } if (text.len() as u64) < room => {
                let more = file.by_ref().take(limit as u64).read_to_end(&mut text)?;
                if more == 0 {
                    batch.damage.push(damage(from, at, text.len() - at, true));
                    at = text.len();
                }
            }
            Found::Torn { bytes } => {
                batch.damage.push(damage(from, at, bytes, true));
                at += bytes;
            }
            Found::End => break,
        }
    }
    batch.bytes = at as u64;
    batch.end.offset += at as u64;
    Ok(batch)
}

fn damage(from: Position, at: usize, bytes: usize, torn: bool) -> Damage {
    let at = Position { offset: from.offset + at as u64, ..from };
    Damage { at, bytes: bytes as u64, torn }
}
