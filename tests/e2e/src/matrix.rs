//! The table of clients, transports and what they were seen to do.

use std::fmt;
use std::io;

use crate::audio::Sound;
use crate::baresip::Baresip;
use crate::client::{PhoneSpec, TONE_DBFS};
use crate::desk::Desk;
use crate::linphone::Linphone;
use crate::pjsua::Pjsua;
use crate::server::Server;

/// What was seen, or the words for what was not.
pub type Seen<T> = Result<T, String>;

/// Louder than this a tone is heard, when it should not be.
pub const SILENT_DBFS: f64 = -45.0;

/// The clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Debian's baresip.
    Baresip,
    /// Debian's linphonec.
    Linphone,
    /// The Python library of PJSIP.
    Pjsua,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Baresip, Self::Linphone, Self::Pjsua];

    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baresip => "baresip",
            Self::Linphone => "linphone",
            Self::Pjsua => "pjsua2",
        }
    }

    /// Starts one, its files below the server's directory.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(self, server: &Server, name: &str, spec: &PhoneSpec) -> Seen<Box<dyn Desk>> {
        let directory = server.directory.join(name);
        let started: io::Result<Box<dyn Desk>> = match self {
            Self::Baresip => Baresip::start(&directory, spec).map(|phone| Box::new(phone) as _),
            Self::Linphone => Linphone::start(&directory, spec).map(|phone| Box::new(phone) as _),
            Self::Pjsua => Pjsua::start(&directory, spec).map(|phone| Box::new(phone) as _),
        };
        started.map_err(|error| format!("{} does not start: {error}", self.name()))
    }
}

/// `Err` with the words when the condition does not hold.
///
/// # Errors
/// It does not hold.
pub fn must(condition: bool, words: impl FnOnce() -> String) -> Seen<()> {
    if condition { Ok(()) } else { Err(words()) }
}

/// The outcome of a command to a client.
///
/// # Errors
/// The client cannot be driven.
pub fn link<T>(outcome: io::Result<T>) -> Seen<T> {
    outcome.map_err(|error| format!("the client cannot be driven: {error}"))
}

/// The tone is there at its level, and the own one is not.
///
/// # Errors
/// Otherwise; what was heard instead.
pub fn hears(who: &str, heard: &Sound, tone: f64, own: f64) -> Seen<String> {
    let (level, echo) = (heard.steady_dbfs(tone), heard.steady_dbfs(own));
    must(heard.seconds() > 0.8, || format!("{who} heard only {:.2} s", heard.seconds()))?;
    must((level - TONE_DBFS).abs() <= 1.5, || {
        format!("{who} hears {tone} Hz at {level:.1} dBFS, sent at {TONE_DBFS}")
    })?;
    must(echo < SILENT_DBFS, || format!("{who} hears its own {own} Hz at {echo:.1} dBFS"))?;
    Ok(format!("{tone} Hz at {level:.1}"))
}

/// What became of one cell.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It works; what was measured or read in a trace.
    Pass(String),
    /// It does not; what was seen.
    Fail(String),
    /// The client cannot do it; by its own words or trace.
    Cannot(String),
}

impl Outcome {
    /// One word for the table.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pass(_) => "pass",
            Self::Fail(_) => "FAIL",
            Self::Cannot(_) => "n/a",
        }
    }

    /// What shows it.
    #[must_use]
    pub fn proof(&self) -> &str {
        match self {
            Self::Pass(proof) | Self::Fail(proof) | Self::Cannot(proof) => proof,
        }
    }
}

/// One line: a client on a transport, doing one thing.
#[derive(Clone, Debug)]
pub struct Line {
    /// Who wrote the client.
    pub client: &'static str,
    /// How it reaches the server.
    pub transport: &'static str,
    /// What it did.
    pub deed: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// All lines of a run.
#[derive(Clone, Debug, Default)]
pub struct Matrix(pub Vec<Line>);

impl Matrix {
    /// Lines that failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.0.iter().filter(|line| matches!(line.outcome, Outcome::Fail(_))).count()
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<9} {:<5} {:<21} {:<5} proof", "client", "over", "deed", "")?;
        for line in &self.0 {
            let Line { client, transport, deed, outcome } = line;
            let (word, proof) = (outcome.word(), outcome.proof());
            writeln!(f, "{client:<9} {transport:<5} {deed:<21} {word:<5} {proof}")?;
        }
        Ok(())
    }
}
