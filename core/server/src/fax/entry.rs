//! A fax as the store keeps it.

use jiff::Timestamp;
use koukan_fax::{Cause, Language, Told, Way};
use serde::{Deserialize, Serialize};

/// What is known of a fax.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fax {
    /// The call that brought it.
    pub call: String,
    /// The box, by its name in the plan.
    pub mailbox: String,
    /// The caller's number or user.
    pub caller: String,
    /// What was called.
    pub called: String,
    /// What the other machine calls itself (TSI); empty when it does not say.
    pub station: String,
    /// `g711` or `t38`.
    pub medium: String,
    /// When it began.
    pub started: Timestamp,
    /// When it was over; none while it is under way.
    pub ended: Option<Timestamp>,
    /// Pages that are kept.
    pub pages: u32,
    /// bit/s of the last page; 0 when there was none.
    pub bit_rate: u32,
    /// With error correction.
    pub ecm: bool,
    /// How it ended.
    pub cause: Option<Cause>,
    /// Faxes of the box that are kept beside it.
    pub keep: u32,
    /// Who is told of it.
    pub notify: Vec<String>,
    /// The number that was called and the machine of the office that what is kept is sent on to, by
    /// their names in the plan.
    #[serde(default)]
    pub deliver_to: Option<(String, String)>,
    /// The office's language, `ja` or `en`.
    pub language: String,
    /// Seconds that the office's clocks were ahead of UTC.
    pub utc_offset_s: i32,
}

impl Fax {
    /// The language of its sentences.
    #[must_use]
    pub fn language(&self) -> Language {
        if self.language == "ja" { Language::Japanese } else { Language::English }
    }

    /// How it ended, in one sentence.
    #[must_use]
    pub fn sentence(&self, language: Language) -> String {
        let told = Told {
            way: Way::Received,
            cause: self.cause.unwrap_or(Cause::Worker),
            confirmed: self.pages,
            pages: None,
            bit_rate: (self.bit_rate > 0).then_some(self.bit_rate),
            attempts: 1,
        };
        told.sentence(language)
    }

    /// A date as the office's clocks show it.
    #[must_use]
    pub fn stamp(&self, at: Timestamp) -> koukan_fax::Stamp {
        stamp(at, self.utc_offset_s)
    }
}

/// A date as clocks show it that are so many seconds ahead of UTC.
pub(super) fn stamp(at: Timestamp, utc_offset_s: i32) -> koukan_fax::Stamp {
    let offset = jiff::tz::Offset::from_seconds(utc_offset_s);
    let offset = offset.unwrap_or(jiff::tz::Offset::UTC);
    let local = offset.to_datetime(at);
    let part = |value: i8| u8::try_from(value).unwrap_or(0);
    koukan_fax::Stamp {
        year: u16::try_from(local.year()).unwrap_or(1970),
        month: part(local.month()),
        day: part(local.day()),
        hour: part(local.hour()),
        minute: part(local.minute()),
        second: part(local.second()),
        offset_minutes: i16::try_from(utc_offset_s / 60).unwrap_or(0),
    }
}
