//! What the server and a rendering process say to each other: the order is an argument in JSON, the
//! document is the standard input, and the standard output is one line of JSON and behind it, when
//! all is well, the pages as a file that fax programs exchange (RFC 2306).

use serde::{Deserialize, Serialize};

use crate::render::{Options, RenderError};

/// What is to be drawn, and with which font.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderOrder {
    /// How.
    pub options: Options,
    /// The font's file; it is read before the walls are raised.
    pub font: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rendered {
    /// The pages follow.
    Pages {
        /// How many.
        pages: u32,
        /// Seconds that they take on the wire, about.
        seconds: u32,
    },
    /// The document cannot be sent: its sender's fault.
    Refused {
        /// Why, in a sentence.
        words: String,
        /// It is larger than may be sent, or takes longer.
        too_large: bool,
    },
    /// It could not be drawn here: the configuration's or the machine's fault.
    Failed {
        /// Why.
        words: String,
    },
}

impl Rendered {
    /// Why there are no pages.
    #[must_use]
    pub fn of_error(error: &RenderError) -> Self {
        let words = error.to_string();
        match error {
            RenderError::Font(_) => Self::Failed { words },
            RenderError::TooLarge { .. }
            | RenderError::TooManyPages { .. }
            | RenderError::TooManyPixels { .. }
            | RenderError::TooLong { .. } => Self::Refused { words, too_large: true },
            RenderError::Kind
            | RenderError::Password
            | RenderError::Damaged { .. }
            | RenderError::NoPage => Self::Refused { words, too_large: false },
        }
    }
}

/// The two parts of what a process has written; `None` when it ended before it said anything.
#[must_use]
pub fn split_rendered(output: &[u8]) -> Option<(Rendered, &[u8])> {
    let end = output.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = output.split_at_checked(end)?;
    Some((serde_json::from_slice(line).ok()?, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_behind_the_verdict_is_the_file() {
        let verdict = Rendered::Pages { pages: 2, seconds: 30 };
        let mut output = serde_json::to_vec(&verdict).unwrap();
        output.extend_from_slice(b"\nII*\0\n");
        assert_eq!(split_rendered(&output), Some((verdict, b"II*\0\n".as_slice())));
        assert_eq!(split_rendered(b"thread panicked"), None);
        assert_eq!(split_rendered(b"{}\n"), None);
    }

    #[test]
    fn whose_fault_it_is_that_there_are_no_pages_is_told() {
        let large = RenderError::TooManyPages { pages: 11, limit: 10 };
        let told = Rendered::of_error(&large);
        assert!(matches!(told, Rendered::Refused { too_large: true, .. }), "{told:?}");
        let told = Rendered::of_error(&RenderError::Password);
        assert!(matches!(told, Rendered::Refused { too_large: false, .. }), "{told:?}");
        let told = Rendered::of_error(&RenderError::Font(crate::render::FontError::None));
        assert!(matches!(told, Rendered::Failed { .. }), "{told:?}");
    }
}
