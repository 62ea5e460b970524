//! What a check has to say: errors and warnings with their place, in the words of an admin.

use std::fmt;
use std::sync::Arc;

use crate::source::Position;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The plan is not taken.
    Error,
    /// The plan works, but hardly as meant.
    Warning,
}

/// One finding, at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How grave.
    pub severity: Severity,
    /// The tenant's directory; empty for the server's own files.
    pub tenant: Arc<str>,
    /// The file, as it was handed in.
    pub path: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What was expected, the nearest known name, the known names; may be empty.
    pub hint: String,
    /// The offending line and, under it, the carets.
    excerpt: String,
    underline: String,
    /// More than a line can say: the week of a schedule; may be empty.
    pub picture: String,
}

impl Diagnostic {
    pub(crate) fn new(
        severity: Severity,
        tenant: Arc<str>,
        position: Position,
        message: String,
        hint: String,
    ) -> Self {
        let Position { path, line, column, excerpt, underline } = position;
        let picture = String::new();
        Self { severity, tenant, path, line, column, message, hint, excerpt, underline, picture }
    }

    pub(crate) fn with_picture(self, picture: String) -> Self {
        Self { picture, ..self }
    }

    /// The offending line.
    #[must_use]
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        let Self { path, line, column, message, .. } = self;
        writeln!(f, "{path}:{line}:{column}  {kind}{message}")?;
        writeln!(f, "    {}", self.excerpt)?;
        write!(f, "    {}", self.underline)?;
        if !self.hint.is_empty() {
            write!(f, " {}", self.hint)?;
        }
        for line in self.picture.lines() {
            write!(f, "\n        {line}")?;
        }
        Ok(())
    }
}

/// All findings of a check, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Whether nothing stands against taking the plans.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.errors().next().is_none()
    }

    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error)
    }

    /// The warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Warning)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.diagnostics {
            writeln!(f, "{found}")?;
        }
        Ok(())
    }
}

/// The hint for a name that is not known: the nearest one, then all of them.
pub(crate) fn did_you_mean<'n>(
    wrong: &str,
    known: impl IntoIterator<Item = &'n str>,
    what: &str,
) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let near = known
        .iter()
        .map(|name| (distance(wrong, name), *name))
        .filter(|(distance, name)| *distance <= tolerated(name))
        .min();
    let mut hint = near.map(|(_, name)| format!("did you mean \"{name}\"? ")).unwrap_or_default();
    if known.is_empty() {
        return format!("nothing is {what}");
    }
    let listed = known.len().min(LISTED_NAMES);
    hint.push_str(what);
    hint.push_str(": ");
    hint.push_str(&known.get(..listed).unwrap_or_default().join(", "));
    if known.len() > listed {
        hint.push_str(&format!(" and {} more", known.len() - listed));
    }
    hint
}

/// Whether a name is so near to a known one that it must have been meant.
pub(crate) fn is_near(wrong: &str, known: &str) -> bool {
    distance(wrong, known) <= tolerated(known)
}

/// How many edits a name may be away from what was meant.
fn tolerated(name: &str) -> usize {
    name.chars().count().max(3) / 3
}

/// Edit distance with neighbouring letters swapped counted as one (optimal string alignment), on
/// the first [`COMPARED_CHARS`] characters without regard to case.
fn distance(left: &str, right: &str) -> usize {
    let letters = |text: &str| -> Vec<char> {
        text.chars().take(COMPARED_CHARS).flat_map(char::to_lowercase).collect()
    };
    let (left, right) = (letters(left), letters(right));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let changed = at(&last, j) + usize::from(a != b);
            let mut best = changed.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped =
                i > 0 && j > 0 && left.get(i - 1) == Some(b) && right.get(j - 1) == Some(a);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, right.len())
}

const LISTED_NAMES: usize = 24;
const COMPARED_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        assert_eq!(distance("voicemial", "voicemail"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "SAME"), 0);
    }

    #[test]
    fn the_hint_names_the_nearest_and_then_all() {
        let hint = did_you_mean("voicemial", ["sales", "fax", "voicemail"], "defined targets");
        assert_eq!(hint, "did you mean \"voicemail\"? defined targets: fax, sales, voicemail");
        assert_eq!(did_you_mean("zzz", ["fax"], "known keys"), "known keys: fax");
        assert_eq!(did_you_mean("zzz", [], "defined in [room]"), "nothing is defined in [room]");
    }
}
