//! Who calls: the name that an office's phones show, and the numbers that it refuses. Each office
//! has a book, `DIRECTORY/OFFICE.toml`, which is read anew when its file changes; one with a fault
//! in it is named in the log at file, line and column, and what was read before holds.

#![forbid(unsafe_code)]

mod book;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use koukan_sdk::{Caller, Error, Kept, Opened, Question, Result, Source, export_module};
use serde::Deserialize;

pub use book::{Book, Fault, LARGEST};

/// `[module.callers.options]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where the books are; relative to the server's own directory.
    pub directory: PathBuf,
    /// For so many seconds a caller is not looked for again.
    #[serde(default)]
    pub keep_s: u32,
}

/// The books of all offices.
#[derive(Debug)]
pub struct Books {
    directory: PathBuf,
    keep: Duration,
    read: HashMap<String, Read>,
}

/// A book as it was read last.
#[derive(Debug, Default)]
struct Read {
    /// Which state of the file that was; none without a file.
    stamp: Option<(SystemTime, u64)>,
    book: Book,
}

impl Source for Books {
    type Options = Options;

    fn open(options: Options, opened: &Opened<'_>) -> Result<Self> {
        let directory = Path::new(opened.base).join(&options.directory);
        let keep = Duration::from_secs(u64::from(options.keep_s));
        Ok(Self { directory, keep, read: HashMap::new() })
    }

    fn caller(&mut self, question: &Question<'_>) -> Result<Kept<Caller>> {
        let keep = self.keep;
        let book = self.book(question.tenant)?;
        Ok(Kept { answer: book.find(question.number, question.national), keep })
    }
}

impl Books {
    /// An office's book, as its file is now.
    fn book(&mut self, tenant: &str) -> Result<&Book> {
        // Offices' ids are plain; a name that could lead elsewhere is nobody's.
        if tenant.is_empty() || tenant.contains(['/', '\\', '\0']) || tenant.starts_with('.') {
            return Err(Error::Failed(format!("{tenant:?} is no office")));
        }
        let path = self.directory.join(format!("{tenant}.toml"));
        let stamp = match fs::metadata(&path) {
            Ok(file) => Some((file.modified().unwrap_or(SystemTime::UNIX_EPOCH), file.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&path, &error.to_string())),
        };
        let read = self.read.entry(tenant.to_owned()).or_default();
        if read.stamp == stamp {
            return Ok(&read.book);
        }
        let book = match stamp {
            None => Ok(Book::default()),
            Some((_, bytes)) if bytes > LARGEST => {
                Err(failed(&path, &format!("is larger than {LARGEST} bytes")))
            }
            Some(_) => fs::read_to_string(&path)
                .map_err(|error| failed(&path, &error.to_string()))
                .and_then(|text| Book::read(&text).map_err(|faults| wrong(&path, &faults))),
        };
        // A file with a fault is told once, and looked at again when it is another.
        read.stamp = stamp;
        read.book = book?;
        Ok(&read.book)
    }
}

fn failed(path: &Path, words: &str) -> Error {
    Error::Failed(format!("{}: {words}", path.display()))
}

/// The first faults of a book; the rest is counted.
fn wrong(path: &Path, faults: &[Fault]) -> Error {
    let shown: Vec<String> =
        faults.iter().take(SHOWN).map(|fault| format!("{}:{fault}", path.display())).collect();
    let more = match faults.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("\nand {more} more"),
    };
    Error::Failed(format!("what was read before holds\n{}{more}", shown.join("\n")))
}

const SHOWN: usize = 10;

export_module! {
    name: "callers",
    version: env!("CARGO_PKG_VERSION"),
    source: Books,
    schema: "[\"kk.source/1\"]\n\
             [\"kk.config/1\"]\n\
             directory = { type = \"text\", required = true }\n\
             keep_s = { type = \"whole\" }\n",
}
