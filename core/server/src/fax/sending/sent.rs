//! A document as the store keeps it and the API shows it.

use jiff::Timestamp;
use koukan_fax::queue::{RetryTable, Saved};
use koukan_fax::{Cause, Language, Told, Way};
use serde::{Deserialize, Serialize};

/// Where a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its next attempt is due at `due`.
    Waiting,
    /// Its number is being called.
    Calling,
    /// A machine has answered.
    Sending,
    /// Every page was confirmed.
    Done,
    /// Not every page was, and nothing more is tried.
    Failed,
}

/// A document that is, or was, to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Where it stands.
    pub state: State,
    /// The number that sends, by its name in the plan.
    pub number: String,
    /// Its digits.
    pub from: String,
    /// The fax box whose rules hold.
    pub mailbox: String,
    /// The number that it goes to; a device's name when `to_device`.
    pub to: String,
    /// It goes to a machine of the office.
    #[serde(default)]
    pub to_device: bool,
    /// The app that sends it, by its device's name in the plan.
    #[serde(default)]
    pub app: Option<String>,
    /// When it was handed in.
    pub created: Timestamp,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// When the next attempt is due.
    pub due: Option<Timestamp>,
    /// Its pages.
    pub pages: u32,
    /// Those of them that were confirmed.
    pub confirmed: u32,
    /// Seconds that it takes on the wire at 14400 bit/s, about.
    pub estimate_s: u32,
    /// Attempts that were begun.
    pub attempts: u32,
    /// The calls that were made for it, the newest last, for `koukan why`.
    pub calls: Vec<String>,
    /// What the other machine calls itself (CSI).
    pub station: String,
    /// `g711` or `t38`, of the last attempt.
    pub medium: String,
    /// bit/s of the last attempt; 0 when none was agreed on.
    pub bit_rate: u32,
    /// With error correction.
    pub ecm: bool,
    /// How the last attempt ended.
    pub cause: Option<Cause>,
    /// Who is told of the result.
    pub notify: Vec<String>,
    /// The office's language, `ja` or `en`.
    pub language: String,
    /// Seconds that the office's clocks were ahead of UTC.
    pub utc_offset_s: i32,
}

impl Sent {
    /// The language of its sentences.
    #[must_use]
    pub fn language(&self) -> Language {
        if self.language == "ja" { Language::Japanese } else { Language::English }
    }

    /// How it stands after its last attempt, in one sentence.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        let told = Told {
            way: Way::Sent,
            cause: self.cause.unwrap_or(Cause::Worker),
            confirmed: self.confirmed,
            pages: Some(self.pages),
            bit_rate: (self.bit_rate > 0).then_some(self.bit_rate),
            attempts: self.attempts,
        };
        told.sentence(language)
    }

    /// The same for a list, of one that is not over too.
    #[must_use]
    pub fn result(&self) -> String {
        let before = self.cause.map(|_| self.sentence(Language::English)).unwrap_or_default();
        match self.state {
            State::Done | State::Failed => before,
            State::Waiting if self.attempts == 0 => "The fax waits to be sent.".to_owned(),
            State::Waiting => {
                let due = self.due.map(|due| self.clock(due)).unwrap_or_default();
                format!("{before} It is tried again at {due}.")
            }
            State::Calling => "The number is being called.".to_owned(),
            State::Sending => {
                format!("{} of {} pages are confirmed.", self.confirmed, self.pages)
            }
        }
    }

    fn clock(&self, at: Timestamp) -> String {
        let offset = jiff::tz::Offset::from_seconds(self.utc_offset_s);
        let local = offset.unwrap_or(jiff::tz::Offset::UTC).to_datetime(at);
        format!("{:02}:{:02}:{:02}", local.hour(), local.minute(), local.second())
    }

    /// Whether nothing more is tried.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }
}

/// What the store keeps of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// What is shown.
    #[serde(flatten)]
    pub(crate) sent: Sent,
    /// Where the queue's rules stand.
    pub(crate) job: Saved,
    /// Its delays.
    pub(crate) table: RetryTable,
}

/// A document as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SentView {
    /// What it is called in every order about it.
    pub id: String,
    /// How it stands, in one sentence of English.
    pub result: String,
    /// What is known of it.
    #[serde(flatten)]
    pub sent: Sent,
}

impl SentView {
    pub(crate) fn new(id: String, sent: Sent) -> Self {
        Self { id, result: sent.result(), sent }
    }
}
