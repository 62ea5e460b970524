//! A second party for the caller: dialled by the plan's rules, talked to, and then the application
//! goes on with its caller.

use std::rc::Rc;
use std::time::Duration;

use crate::call::milliseconds;
use crate::op::{Op, Operation};
use crate::{Call, Error, Result};

/// How long and until when the caller is put through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgeLimits {
    /// The longest that the second party may ring; none: as long as the plan says.
    pub ring: Option<Duration>,
    /// The longest that both may talk; none: for ever.
    pub talk: Option<Duration>,
    /// Keys of the caller that bring it back, before and behind the answer.
    pub keys: String,
}

/// What came of a second party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bridged {
    /// Both have talked.
    Talked {
        /// For how long.
        length: Duration,
        /// What ended it.
        by: BridgeEnd,
    },
    /// It is busy.
    Busy,
    /// It does not want the call.
    Declined,
    /// It rang, and nobody answered in time.
    NoAnswer,
    /// No phone of it can be reached.
    Unreachable,
    /// It could not be called, by this SIP status.
    Failed(u16),
    /// The plan does not allow it, by its word for why.
    Refused(String),
    /// The caller pressed this key before anybody answered.
    GivenUp(u8),
}

/// What ended a talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeEnd {
    /// The second party has hung up.
    Party,
    /// A key of the caller.
    Key(u8),
    /// The longest time was over.
    Time,
}

impl Call {
    /// Dials a number for the caller, by the same rules as [`Self::dial`], and has both talk. The
    /// application waits meanwhile (it may [`Self::sleep`] beside) and goes on with its caller.
    /// Dropped before its end, it brings the caller back.
    ///
    /// # Errors
    /// [`Error::HangUp`]: the caller is gone, or goes on without the application, because it was
    /// sent on, parked or taken into a room. [`Error::Unsupported`]: the host is older.
    pub async fn bridge(&self, number: &str, limits: &BridgeLimits) -> Result<Bridged> {
        let ms = |time: Option<Duration>| time.map_or(0, milliseconds);
        let operation = Operation::Bridge {
            number: number.to_owned(),
            ring_ms: ms(limits.ring),
            max_ms: ms(limits.talk),
            keys: limits.keys.clone(),
        };
        let text = Op::new(Rc::clone(&self.session), operation, |text| text).await?;
        read(&text).ok_or_else(|| Error::Failed(format!("the host says \"{text}\"")))
    }
}

fn read(text: &str) -> Option<Bridged> {
    let mut words = text.split(' ');
    let key = |word: &str| match word.strip_prefix("key-").map(str::as_bytes) {
        Some([key]) => Some(*key),
        _ => None,
    };
    let first = words.next()?;
    Some(match first {
        "talked" => {
            let how = words.next()?;
            let by = match how {
                "party" => BridgeEnd::Party,
                "time" => BridgeEnd::Time,
                other => BridgeEnd::Key(key(other)?),
            };
            let length = Duration::from_millis(words.next()?.parse().ok()?);
            Bridged::Talked { length, by }
        }
        "busy" => Bridged::Busy,
        "declined" => Bridged::Declined,
        "no-answer" => Bridged::NoAnswer,
        "unreachable" => Bridged::Unreachable,
        "failed" => Bridged::Failed(words.next()?.parse().ok()?),
        "refused" => Bridged::Refused(words.next()?.to_owned()),
        other => Bridged::GivenUp(key(other)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_read_and_nothing_else() {
        let talked = |by| Bridged::Talked { length: Duration::from_millis(1_500), by };
        for (text, outcome) in [
            ("talked party 1500", talked(BridgeEnd::Party)),
            ("talked time 1500 more words", talked(BridgeEnd::Time)),
            ("talked key-* 1500", talked(BridgeEnd::Key(b'*'))),
            ("busy 486", Bridged::Busy),
            ("declined 603", Bridged::Declined),
            ("no-answer 408", Bridged::NoAnswer),
            ("unreachable 480", Bridged::Unreachable),
            ("failed 503", Bridged::Failed(503)),
            ("refused emergency", Bridged::Refused("emergency".to_owned())),
            ("key-#", Bridged::GivenUp(b'#')),
        ] {
            assert_eq!(read(text), Some(outcome), "{text}");
        }
        for text in
            ["", "talked", "talked party", "talked party x", "talked key- 1", "key-12", "ok"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
