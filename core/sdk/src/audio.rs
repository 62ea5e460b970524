//! Sounds made fit to be played (`grants = ["audio"]`): decoded, brought to the telephone's rate and
//! to the loudness of every prompt, by a thread of the host's.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::op::{Op, Operation};
use crate::session::Session;
use crate::{Background, Call};

/// A sound of any kind.
#[derive(Clone, PartialEq, Eq)]
pub enum Sound {
    /// The bytes of a sound file.
    Bytes(Vec<u8>),
    /// An object of the module's, for example a recording.
    Object(String),
}

impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Object(name) => write!(f, "the object {name}"),
        }
    }
}

fn made(
    session: &Rc<Session>,
    tenant: &str,
    (from, kind): (Sound, &str),
    object: &str,
) -> Op<Duration> {
    let (tenant, kind, object) = (tenant.to_owned(), kind.to_owned(), object.to_owned());
    let operation = Operation::MakePrompt { tenant, from, kind, object };
    let read = |text: String| Duration::from_millis(text.parse().unwrap_or(0));
    Op::new(Rc::clone(session), operation, read)
}

impl Call {
    /// Makes an object that can be played of a sound (WAV, AIFF, MP3, AAC in MP4, FLAC, Ogg
    /// Vorbis); `kind` is the usual extension of such a file, or empty. How long it is. Fails with
    /// [`Error::Failed`](crate::Error::Failed) and the reason when it cannot be one, and leaves the
    /// object as it was.
    pub fn make_prompt(&self, sound: Sound, kind: &str, object: &str) -> Op<Duration> {
        made(&self.session, self.session.tenant(), (sound, kind), object)
    }
}

impl Background {
    /// As [`Call::make_prompt`], for a tenant.
    pub fn make_prompt(
        &self,
        tenant: &str,
        sound: Sound,
        kind: &str,
        object: &str,
    ) -> Op<Duration> {
        made(&self.session, tenant, (sound, kind), object)
    }
}
