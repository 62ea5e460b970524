//! The process that draws a document: started for it, given it as its input, ended with it.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use koukan_fax::limits;
use koukan_fax::protocol::{RenderOrder, Rendered, split_rendered};

/// Bytes of an answer: a line, and a file of pages.
const ANSWER: u64 = limits::FILE_BYTES as u64 + 65_536;

/// Pages that were drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    /// How many.
    pub(super) pages: u32,
    /// Seconds on the wire, about.
    pub(super) seconds: u32,
    /// The file.
    pub(super) file: Vec<u8>,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(super) enum DrawError {
    /// The document's fault.
    #[error("{words}")]
    Refused {
        /// In a sentence.
        words: String,
        /// It is larger than may be sent.
        too_large: bool,
    },
    /// Ours.
    #[error("the document cannot be drawn here: {0}")]
    Failed(String),
}

/// Draws a document.
pub(super) fn draw(
    program: &Path,
    order: &RenderOrder,
    document: Vec<u8>,
) -> Result<Drawn, DrawError> {
    let failed = |error: &dyn std::fmt::Display| DrawError::Failed(error.to_string());
    let order = serde_json::to_string(order).map_err(|error| failed(&error))?;
    let mut command = Command::new(program);
    command.arg("render").arg(order).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let output = exchange(&mut child, document);
    let late = output.is_none();
    if late {
        // One that has ended meanwhile cannot be killed.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| failed(&error))?;
    let output = output.unwrap_or(Ok(Vec::new())).map_err(|error| failed(&error))?;
    match split_rendered(&output) {
        Some((Rendered::Pages { pages, seconds }, file)) => {
            Ok(Drawn { pages, seconds, file: file.to_vec() })
        }
        Some((Rendered::Refused { words, too_large }, _)) => {
            Err(DrawError::Refused { words, too_large })
        }
        Some((Rendered::Failed { words }, _)) => Err(DrawError::Failed(words)),
        None => {
            // Its walls ended it: memory, time, or a call that it may not make.
            tracing::warn!(%status, late, "a document has ended the process that draws it");
            let words = "the document takes more memory or time than one may, or is damaged";
            Err(DrawError::Refused { words: words.to_owned(), too_large: true })
        }
    }
}

/// Gives the document, takes the answer; nothing when that takes too long.
fn exchange(child: &mut Child, document: Vec<u8>) -> Option<io::Result<Vec<u8>>> {
    let (to, from) = (child.stdin.take(), child.stdout.take());
    let (done, answer) = mpsc::channel();
    let talk = move || {
        if let Some(mut to) = to {
            // A process that has seen enough closes its end; what it says tells why.
            let _ = to.write_all(&document);
        }
        let mut output = Vec::new();
        let read = from.map(|from| from.take(ANSWER).read_to_end(&mut output));
        // Nobody listens any more when it was too late.
        let _ = done.send(read.transpose().map(|_| output));
    };
    match thread::Builder::new().name("fax-drawing".to_owned()).spawn(talk) {
        Ok(_) => answer.recv_timeout(limits::DRAWING).ok(),
        Err(error) => Some(Err(error)),
    }
}
