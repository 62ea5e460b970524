//! The line at the top of every page: when, who, and which page of how many. Drawn into the
//! picture, because machines have no letters for Japanese names. It stands above the document and
//! never on it.

use serde::{Deserialize, Serialize};

use super::typeface::{Size, Typeface};
use crate::{Bitmap, Gray, Resolution, Stamp, limits};

/// What the line says; longer parts are cut to [`limits::HEADER_CHARACTERS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// When the document is sent.
    pub at: Stamp,
    /// The sender's name, any script; may be empty.
    pub name: String,
    /// The sender's number.
    pub number: String,
}

/// Lines that the header takes.
pub(super) const fn rows(resolution: Resolution) -> u32 {
    match resolution {
        Resolution::Standard => 16,
        Resolution::Fine => 32,
        Resolution::Superfine => 64,
    }
}

impl Header {
    /// The page with the line above it.
    pub(super) fn above(
        &self,
        sheet: &Bitmap,
        (number, of): (usize, usize),
        resolution: Resolution,
        typeface: &Typeface,
    ) -> Bitmap {
        let rows = rows(resolution);
        let mut line = Gray::white(sheet.width(), rows);
        // 3.2 mm high; letters as wide as they are high at any number of lines.
        let dpi = resolution.dpi();
        let size = Size { x: 3.2 / 25.4 * dpi.x, y: 3.2 / 25.4 * dpi.y };
        let base = typeface.ascent(size) + 1.0;
        let (left, right) = (24.0, precise(sheet.width()) - 24.0);
        let space = size.x;
        let date_ends = typeface.draw(&mut line, size, (left, base), &self.at.to_string());
        let page = format!("P.{number:02}/{of:02}");
        let page_begins = right - typeface.width(size, &page);
        typeface.draw(&mut line, size, (page_begins, base), &page);
        let room = page_begins - date_ends - 2.0 * space;
        let who = self.who(room, size, typeface);
        let from = date_ends + space + (room - typeface.width(size, &who)).max(0.0) / 2.0;
        typeface.draw(&mut line, size, (from, base), &who);
        let mut page = line.below(128);
        page.append(sheet);
        page
    }

    /// Name and number, the name cut until both fit.
    fn who(&self, room: f32, size: Size, typeface: &Typeface) -> String {
        let cut = |text: &str| -> String {
            let visible = text.chars().filter(|one| !one.is_control());
            visible.take(limits::HEADER_CHARACTERS).collect()
        };
        let (mut name, number) = (cut(&self.name), cut(&self.number));
        loop {
            let both = format!("{name}  {number}");
            if typeface.width(size, both.trim()) <= room || name.pop().is_none() {
                return both.trim().to_owned();
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "pages have less than 2^24 picture elements")]
fn precise(elements: u32) -> f32 {
    elements as f32
}
