//! The texts that a check reads, and places in them. Files are handed in; nothing is opened here.

use std::sync::{Arc, OnceLock};

use crate::masked::masked_line;

/// The files of one tenant's directory, read by whoever may read files.
#[derive(Clone, Debug, Default)]
pub struct TenantSource {
    /// The directory's name (`acme`).
    pub name: String,
    /// Path as the admin knows it, and text, of every `*.toml` and `*.ics` in it.
    pub files: Vec<(String, String)>,
}

/// Everything that a load reads; (path, text) each.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The tenants' directories.
    pub tenants: Vec<TenantSource>,
    /// The trunks of the whole server (`trunks.toml`).
    pub trunks: Vec<(String, String)>,
    /// Plan files; the plan's name is the file's.
    pub plans: Vec<(String, String)>,
    /// Numbering plans beside the one that is built in; the country's name is the file's.
    pub countries: Vec<(String, String)>,
    /// The modules that actions may name; `None` when that is not known: they are not checked then.
    pub modules: Option<Vec<ModuleSource>>,
}

/// A module that actions may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleSource {
    /// Its name in the server's configuration.
    pub name: String,
    /// What its applications take, as TOML by its own word; empty when it does not say.
    pub schema: String,
}

/// A piece of a source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: u16,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// A reference by name.
pub(crate) type Name = At<Arc<str>>;

/// Where a place lies, as an admin counts: lines and columns from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) path: Arc<str>,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// The line (or its part around the place), tabs kept.
    pub(crate) excerpt: String,
    /// What stands under the line: blanks up to the place, then carets.
    pub(crate) underline: String,
}

/// The texts of one check.
#[derive(Debug, Default)]
pub(crate) struct Files<'a> {
    list: Vec<File<'a>>,
    country: File<'a>,
}

/// A text and its path.
#[derive(Debug, Default)]
struct File<'a> {
    path: &'a str,
    text: &'a str,
    /// Where its lines end, once somebody has asked for one.
    ends: OnceLock<Box<[usize]>>,
}

impl<'a> File<'a> {
    fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text, ends: OnceLock::new() }
    }

    /// The number of the line that a byte lies in, from 1.
    fn line_of(&self, at: usize) -> u32 {
        let ends = self.ends.get_or_init(|| {
            let bytes = self.text.bytes().enumerate();
            bytes.filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect()
        });
        let before = ends.partition_point(|end| *end < at);
        u32::try_from(before.saturating_add(1)).unwrap_or(u32::MAX)
    }
}

/// Where things stand, kept when the texts are gone: file and line of each.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    files: Box<[Arc<str>]>,
    lines: Box<[(u16, u32)]>,
}

impl Lines {
    /// `path:line` of each, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Arc<str>> {
        self.lines.iter().map(|(file, line)| {
            let path = self.files.get(usize::from(*file)).map_or("", |path| path);
            Arc::from(format!("{path}:{line}"))
        })
    }
}

/// The file number of the numbering plan, whose classes a tenant may have.
pub(crate) const COUNTRY_FILE: u16 = u16::MAX;

impl<'a> Files<'a> {
    /// Adds a text; the number that its places carry.
    pub(crate) fn add(&mut self, path: &'a str, text: &'a str) -> u16 {
        self.list.push(File::new(path, text));
        u16::try_from(self.list.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// A calendar file by its path below the tenant's directory.
    pub(crate) fn calendar(&self, name: &str) -> Option<(u16, &'a str)> {
        let named = |path: &str| {
            path.strip_suffix(name).is_some_and(|front| front.is_empty() || front.ends_with('/'))
        };
        let wanted = |file: &File<'_>| is_calendar(file.path) && named(file.path);
        let found = self.list.iter().position(wanted)?;
        Some((u16::try_from(found).ok()?, self.list.get(found)?.text))
    }

    /// The calendar files by their names.
    pub(crate) fn calendars(&self) -> impl Iterator<Item = &'a str> {
        let files = self.list.iter().map(|file| file.path).filter(|path| is_calendar(path));
        files.map(|path| path.rsplit('/').next().unwrap_or(path))
    }

    /// The file that places of [`COUNTRY_FILE`] lie in.
    pub(crate) fn set_country(&mut self, path: &'a str, text: &'a str) {
        self.country = File::new(path, text);
    }

    /// `path:line` of a place, for notes that name a second place.
    pub(crate) fn brief(&self, place: Place) -> String {
        let file = self.file(place);
        format!("{}:{}", file.path, file.line_of(place.start as usize))
    }

    /// File and line of many places at once, in their order, each text gone through once.
    pub(crate) fn lines(&self, places: &[Place]) -> Lines {
        let mut order: Vec<(usize, Place)> = places.iter().copied().enumerate().collect();
        order.sort_unstable_by_key(|(_, place)| *place);
        let mut lines: Box<[(u16, u32)]> = vec![(0, 0); places.len()].into();
        let (mut file, mut counted, mut line) = (None, 0, 1_u32);
        for (at, place) in order {
            let text = self.file(place).text;
            if file.replace(place.file) != Some(place.file) {
                (counted, line) = (0, 1);
            }
            let upto = (place.start as usize).clamp(counted, text.len().max(counted));
            let between = text.as_bytes().get(counted..upto).unwrap_or_default();
            let more = between.iter().filter(|byte| **byte == b'\n').count();
            line = line.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            counted = upto;
            if let Some(found) = lines.get_mut(at) {
                *found = (place.file, line);
            }
        }
        let files = self.list.iter().map(|file| Arc::from(file.path)).collect();
        Lines { files, lines }
    }

    /// Where a place lies.
    pub(crate) fn position(&self, place: Place) -> Position {
        let file = self.file(place);
        let text = file.text;
        let start = floor_boundary(text, place.start as usize);
        let end = floor_boundary(text, (place.end as usize).max(start));
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let lead = text.get(line_start..start).unwrap_or_default();
        let under = text.get(start..end).unwrap_or_default();
        let under = under.split(['\n', '\r']).next().unwrap_or_default();
        let (excerpt, underline) = draw(line, lead, under);
        Position {
            path: Arc::from(file.path),
            line: file.line_of(start),
            column: u32::try_from(lead.chars().count() + 1).unwrap_or(u32::MAX),
            excerpt,
            underline,
        }
    }

    fn file(&self, place: Place) -> &File<'a> {
        // A place is of a file of this check; the country stands in for one that is not.
        let known = self.list.get(usize::from(place.file));
        known.filter(|_| place.file != COUNTRY_FILE).unwrap_or(&self.country)
    }
}

/// Whether a file of a tenant is a calendar rather than a part of the plan.
pub(crate) fn is_calendar(path: &str) -> bool {
    path.ends_with(".ics")
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The excerpt and the line under it. A long line is cut to the part around the place; a wide
/// character (Japanese) takes two blanks, a tab stays a tab, so that the carets stand right.
fn draw(line: &str, lead: &str, under: &str) -> (String, String) {
    let lead_chars = lead.chars().count();
    let skip = if line.chars().count() > EXCERPT_CHARS && lead_chars > EXCERPT_LEAD {
        lead_chars - EXCERPT_LEAD
    } else {
        0
    };
    let line = masked_line(line);
    let mut excerpt = String::from(if skip > 0 { "…" } else { "" });
    excerpt.extend(line.chars().skip(skip).take(EXCERPT_CHARS));
    if line.chars().count() > skip + EXCERPT_CHARS {
        excerpt.push('…');
    }
    let mut underline = String::from(if skip > 0 { " " } else { "" });
    for c in lead.chars().skip(skip) {
        match c {
            '\t' => underline.push('\t'),
            c if is_wide(c) => underline.push_str("  "),
            _ => underline.push(' '),
        }
    }
    let shown = under.chars().take(EXCERPT_CHARS.saturating_sub(lead_chars - skip));
    let width: usize = shown.map(|c| if is_wide(c) { 2 } else { 1 }).sum();
    underline.extend(std::iter::repeat_n('^', width.max(1)));
    (excerpt, underline)
}

/// Whether a terminal draws the character in two cells (East Asian Wide, the common blocks).
pub(crate) fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff)
}

const EXCERPT_CHARS: usize = 160;
const EXCERPT_LEAD: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, start: usize, end: usize) -> Position {
        let mut files = Files::default();
        let file = files.add("a.toml", text);
        let (start, end) = (u32::try_from(start), u32::try_from(end));
        files.position(Place { file, start: start.expect("small"), end: end.expect("small") })
    }

    #[test]
    fn columns_count_characters_and_carets_count_cells() {
        let text = "x = 1\nname = \"代表\", bad = 7\n";
        let start = text.find("bad").expect("there");
        let position = position(text, start, start + 3);
        assert_eq!((position.line, position.column), (2, 14));
        assert_eq!(position.underline, "               ^^^");
    }

    #[test]
    fn a_place_at_the_end_of_the_text_has_one_caret() {
        let position = position("a = ", 4, 4);
        assert_eq!((position.line, position.column), (1, 5));
        assert_eq!(position.underline, "    ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}bad{}", "x".repeat(5_000), "y".repeat(5_000));
        let position = position(&text, 5_000, 5_003);
        assert_eq!(position.column, 5_001);
        assert!(position.excerpt.chars().count() < 200);
        assert!(position.excerpt.contains("bad"));
    }
}
