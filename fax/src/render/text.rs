//! Text in UTF-8, with or without a byte order mark: broken at the margin, a form feed begins a
//! page, a tab goes to the next eighth column.

use super::typeface::{FontError, Size, Typeface};
use super::{Options, RenderError, check_pages, room};
use crate::{Bitmap, Gray, Paper, limits};

/// Whether the bytes are text: UTF-8 without control characters but the usual ones.
pub(super) fn is_text(document: &[u8]) -> bool {
    let plain = |one: char| !one.is_control() || matches!(one, '\n' | '\r' | '\t' | '\u{c}');
    document.len() <= limits::TEXT_BYTES
        && std::str::from_utf8(document).is_ok_and(|text| text.chars().all(plain))
}

/// Millimetres of white around the text.
const MARGIN_MM: f32 = 15.0;
/// Height of a letter and from line to line, in millimetres: 10.5 points on 15.
const LETTER_MM: f32 = 3.7;
const LINE_MM: f32 = 5.3;

pub(super) fn sheets(
    document: &[u8],
    options: &Options,
    typeface: Option<&Typeface>,
) -> Result<Vec<Bitmap>, RenderError> {
    let typeface = typeface.ok_or(FontError::None)?;
    let text = std::str::from_utf8(document).map_err(|_| RenderError::Kind)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (width, height) = room(Paper::A4, options);
    let dpi = options.resolution.dpi();
    let across = |mm: f32| mm / 25.4 * dpi.x;
    let down = |mm: f32| mm / 25.4 * dpi.y;
    let layout = Layout {
        typeface,
        size: Size { x: across(LETTER_MM), y: down(LETTER_MM) },
        left: across(MARGIN_MM),
        room: precise(width) - 2.0 * across(MARGIN_MM),
        first: down(MARGIN_MM),
        step: down(LINE_MM),
        last: precise(height) - down(MARGIN_MM),
    };
    let lines = layout.lines(text);
    let pages = layout.pages(&lines);
    check_pages(pages.len(), options)?;
    let draw = |page: &&[Line]| {
        let mut gray = Gray::white(width, height);
        let mut base = layout.first + typeface.ascent(layout.size);
        for line in page.iter() {
            typeface.draw(&mut gray, layout.size, (layout.left, base), &line.text);
            base += layout.step;
        }
        gray.below(140)
    };
    Ok(pages.iter().map(draw).collect())
}

struct Line {
    text: String,
    begins_page: bool,
}

struct Layout<'t> {
    typeface: &'t Typeface,
    size: Size,
    left: f32,
    room: f32,
    first: f32,
    step: f32,
    last: f32,
}

impl Layout<'_> {
    /// The text's lines, each no wider than the room.
    fn lines(&self, text: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        for (number, part) in text.split('\u{c}').enumerate() {
            for (index, whole) in part.lines().enumerate() {
                let mut begins_page = number > 0 && index == 0;
                for text in self.broken(whole) {
                    lines.push(Line { text, begins_page });
                    begins_page = false;
                }
            }
        }
        lines
    }

    /// At a space when there is one, else where the room ends: Japanese has none.
    fn broken(&self, whole: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let (mut line, mut width) = (String::new(), 0.0);
        let mut columns = 0;
        let mut pushed = |line: &mut String, one: char, width: &mut f32| {
            let advance = self.typeface.width(self.size, one.encode_utf8(&mut [0; 4]));
            if *width + advance > self.room && !line.is_empty() {
                let rest = match line.rfind(' ').filter(|_| one != ' ') {
                    Some(space) => line.split_off(space + 1),
                    None => String::new(),
                };
                lines.push(line.trim_end().to_owned());
                *width = self.typeface.width(self.size, &rest);
                *line = rest;
            }
            line.push(one);
            *width += advance;
        };
        for one in whole.chars() {
            let times = if one == '\t' { 8 - columns % 8 } else { 1 };
            for _ in 0..times {
                pushed(&mut line, if one == '\t' { ' ' } else { one }, &mut width);
                columns += 1;
            }
        }
        lines.push(line.trim_end().to_owned());
        lines
    }

    fn pages<'l>(&self, lines: &'l [Line]) -> Vec<&'l [Line]> {
        let mut pages = Vec::new();
        let (mut begin, mut base) = (0, self.first);
        for (index, line) in lines.iter().enumerate() {
            let full = base + self.step > self.last || line.begins_page;
            if full && index > begin {
                pages.extend(lines.get(begin..index));
                (begin, base) = (index, self.first);
            }
            base += self.step;
        }
        pages.extend(lines.get(begin..).filter(|rest| !rest.is_empty()));
        pages
    }
}

#[expect(clippy::cast_precision_loss, reason = "pages have less than 2^24 picture elements")]
fn precise(elements: u32) -> f32 {
    elements as f32
}
