//! What is made easier after a failed transmission: first the rate (V.17 at 14400, then V.29 at
//! 9600), then error correction the other way, then audio in place of T.38 or T.38 in place of
//! audio, at last the slowest rate. One step an attempt, so that it shows what helped.

use serde::{Deserialize, Serialize};

use crate::cause::Cause;

/// The fastest modem that an attempt allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Rate {
    /// V.27ter: at most 4800 bit/s.
    V27ter,
    /// V.29: at most 9600 bit/s.
    V29,
    /// V.17: at most 14400 bit/s.
    #[default]
    V17,
}

/// How an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Easier {
    /// The fastest modem.
    pub rate: Rate,
    /// Error correction (ECM).
    pub ecm: bool,
    /// T.38 is asked for and accepted.
    pub t38: bool,
    step: u8,
}

impl Default for Easier {
    fn default() -> Self {
        Self { rate: Rate::V17, ecm: true, t38: true, step: 0 }
    }
}

impl Easier {
    /// The attempt after one that failed in the transmission without a page.
    #[must_use]
    pub fn next(self, cause: Cause, by_t38: bool) -> Self {
        let step = self.step.saturating_add(1);
        match (step, cause) {
            // A line on which nothing trains is not helped by other error correction.
            (1, _) => Self { rate: Rate::V29, step, ..self },
            (2, Cause::CannotTrain) | (3, _) => Self { ecm: true, t38: !by_t38, step: 3, ..self },
            (2, _) => Self { ecm: !self.ecm, step, ..self },
            _ => Self { rate: Rate::V27ter, step, ..self },
        }
    }
}
