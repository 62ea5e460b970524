//! Records of calls and events as lines of JSON in a file: what billing reads.
//!
//! Each record is one line, written and synced before it is acknowledged. After any end of the
//! process the records that were written and not acknowledged come again; they are found in the
//! file's last lines and not written twice. A line that a kill cut off is taken away. A file that
//! was moved aside (log rotation) is begun anew with the next batch.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use koukan_sdk::{Error, Opened, Record, RecordKind, Result, Sink, export_module};
use serde::Deserialize;

/// `[module.cdr.options]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where the lines go; relative to the server's own directory.
    pub file: PathBuf,
    /// Whether events are written beside the records of calls.
    #[serde(default)]
    pub events: bool,
}

/// How far back lines are looked for that may come again: many times a batch of the host.
const TAIL_BYTES: u64 = 4 << 20;

/// The exporter.
#[derive(Debug)]
pub struct Exporter {
    path: PathBuf,
    events: bool,
    file: File,
    /// The last lines of the file as it was opened: after a kill they may come again.
    found: HashSet<String>,
    /// The lines of the last batch: they come again when its acknowledgement fails.
    last: HashSet<String>,
}

impl Sink for Exporter {
    type Options = Options;

    fn open(options: Options, opened: &Opened<'_>) -> Result<Self> {
        let path = Path::new(opened.base).join(&options.file);
        let (file, found) = open(&path).map_err(|error| failed(&path, &error))?;
        Ok(Self { path, events: options.events, file, found, last: HashSet::new() })
    }

    fn deliver(&mut self, records: &[Record<'_>], safe: &mut u64) -> Result<()> {
        let written = self.write(records);
        written.map_err(|error| failed(&self.path, &error))?;
        if let Some(last) = records.last() {
            *safe = last.sequence;
        }
        Ok(())
    }
}

impl Exporter {
    fn write(&mut self, records: &[Record<'_>]) -> io::Result<()> {
        self.follow_rotation()?;
        let (mut lines, mut batch) = (String::new(), HashSet::new());
        for record in records {
            let kind = match record.kind {
                RecordKind::Call => "call",
                RecordKind::Event if self.events => "event",
                RecordKind::Event | RecordKind::Other(_) => continue,
            };
            let (sequence, text) = (record.sequence, record.text);
            let line = format!("{{\"sequence\":{sequence},\"kind\":\"{kind}\",\"record\":{text}}}");
            if !self.found.contains(&line) && !self.last.contains(&line) {
                lines.push_str(&line);
                lines.push('\n');
            }
            batch.insert(line);
        }
        let begun = self.file.seek(SeekFrom::End(0))?;
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            // Whatever came before this batch has been acknowledged.
            Ok(()) => {
                self.found.retain(|line| !batch.contains(line));
                self.last = batch;
            }
            // A full disk leaves no half of a line where it lets us; the next opening looks again.
            Err(_) => {
                let _ = self.file.set_len(begun);
            }
        }
        written
    }

    /// Begins a new file when the one that is open is not at its place any more.
    fn follow_rotation(&mut self) -> io::Result<()> {
        let own = self.file.metadata()?.ino();
        let is_own = std::fs::metadata(&self.path).is_ok_and(|there| there.ino() == own);
        if !is_own {
            (self.file, self.found) = open(&self.path)?;
        }
        Ok(())
    }
}

/// Opens the file and reads its last lines; one that is not whole is taken away.
fn open(path: &Path) -> io::Result<(File, HashSet<String>)> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    Read::by_ref(&mut file).take(length.saturating_sub(start)).read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at.saturating_add(1));
    let torn = u64::try_from(tail.len().saturating_sub(whole)).unwrap_or(0);
    if torn > 0 {
        file.set_len(length.saturating_sub(torn))?;
    }
    let whole = tail.get(..whole).unwrap_or_default();
    let lines = String::from_utf8_lossy(whole);
    // The first line may have lost its beginning; it is equal to none then.
    Ok((file, lines.lines().map(str::to_owned).collect()))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("{}: {error}", path.display()))
}

export_module! {
    name: "cdr",
    version: env!("CARGO_PKG_VERSION"),
    sink: Exporter,
    schema: "[\"kk.config/1\"]\n\
             file = { type = \"text\", required = true }\n\
             events = { type = \"flag\" }\n",
}
