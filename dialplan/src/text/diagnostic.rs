//! Errors and warnings with file, line and column, printed with the offending line and a caret.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One file of a directory, as it was handed in.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path that messages show.
    pub path: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

/// The files that places refer to.
#[derive(Clone, Debug, Default)]
pub struct Sources(pub Vec<SourceFile>);

/// A piece of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Which file, counted in [`Sources`].
    pub file: usize,
    /// The bytes.
    pub span: Range<usize>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file's path.
    pub path: Arc<str>,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to do, or what would be right.
    pub hint: String,
    /// The offending line.
    pub excerpt: String,
    /// How many characters of it are meant.
    pub width: usize,
}

impl Sources {
    /// A finding at a place.
    #[must_use]
    pub fn at(
        &self,
        place: &Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnostic {
        let file = self.0.get(place.file);
        let text = file.map_or("", |file| &file.text);
        let start = floor(text, place.span.start);
        let end = floor(text, place.span.end.max(start));
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let rest = text.get(line_start..).unwrap_or_default();
        let excerpt = rest.lines().next().unwrap_or_default();
        let line_end = line_start.saturating_add(excerpt.len());
        let marked = text.get(start..end.min(line_end).max(start)).unwrap_or_default();
        Diagnostic {
            path: file.map_or_else(|| "?".into(), |file| file.path.clone()),
            line: before.matches('\n').count().saturating_add(1),
            column: text
                .get(line_start..start)
                .unwrap_or_default()
                .chars()
                .count()
                .saturating_add(1),
            message: message.into(),
            hint: hint.into(),
            excerpt: excerpt.to_owned(),
            width: marked.chars().count().max(1),
        }
    }

    /// `file:line:column` of a place.
    #[must_use]
    pub fn name(&self, place: &Place) -> String {
        let found = self.at(place, "", "");
        format!("{}:{}:{}", found.path, found.line, found.column)
    }
}

/// The nearest character border at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}:{}  {}", self.path, self.line, self.column, self.message)?;
        let indent = " ".repeat(self.column.saturating_sub(1));
        writeln!(f, "    {}", self.excerpt)?;
        let hint = if self.hint.is_empty() { String::new() } else { format!(" {}", self.hint) };
        writeln!(f, "    {indent}{}{hint}", "^".repeat(self.width))
    }
}

/// Everything that was found in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What must be mended before the plan is used, by place.
    pub errors: Vec<Diagnostic>,
    /// What an admin should look at.
    pub warnings: Vec<Diagnostic>,
}

impl Report {
    /// Whether nothing stands against using the plan.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// Puts the findings in the order of the files.
    pub fn sort(&mut self) {
        let key = |found: &Diagnostic| (found.path.clone(), found.line, found.column);
        self.errors.sort_by_key(key);
        self.errors.dedup();
        self.warnings.sort_by_key(key);
        self.warnings.dedup();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            write!(f, "warning: {warning}")?;
        }
        for error in &self.errors {
            write!(f, "{error}")?;
        }
        Ok(())
    }
}
