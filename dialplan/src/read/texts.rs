//! The texts of one check: what is wrong with them before anything in them is read.

use super::{Document, Reader, TextError};
use crate::limits;
use crate::source::{COUNTRY_FILE, Place};

/// What is wrong with the texts themselves.
#[derive(Default)]
pub(crate) struct Texts {
    wrong: Vec<TextError>,
    broken: Vec<Place>,
}

impl Texts {
    pub(crate) fn add(&mut self, document: &mut Document, file: u16, text: &str) {
        let (wrong, broken) = if text.len() as u64 > limits::FILE_BYTES.default {
            refuse(file, format!("the file is longer than {} bytes", limits::FILE_BYTES.default))
        } else if file != COUNTRY_FILE && u64::from(file) >= limits::FILES.default {
            refuse(file, format!("more than {} files in one directory", limits::FILES.default))
        } else {
            document.add(file, text)
        };
        self.wrong.extend(wrong);
        self.broken.extend(broken);
    }

    /// Reports it; whether one of the texts is no TOML.
    pub(crate) fn report(self, reader: &mut Reader<'_>) -> bool {
        let broken = !self.broken.is_empty();
        for error in self.wrong {
            match error {
                TextError::Syntax { place, message, hint } => reader.syntax(place, message, hint),
                TextError::Twice { key, first, second } => reader.error(
                    second,
                    format!("`{key}` is defined twice"),
                    format!("first at {}", reader.files.brief(first)),
                ),
            }
        }
        reader.distrust(self.broken);
        broken
    }
}

fn refuse(file: u16, message: String) -> (Vec<TextError>, Vec<Place>) {
    let start = Place { file, start: 0, end: 0 };
    (vec![TextError::Syntax { place: start, message, hint: "" }], vec![start])
}
