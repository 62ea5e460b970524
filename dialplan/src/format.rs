//! `koukan fmt`: one way to write a file. Comments, the order of everything and line breaks within
//! arrays are kept; spaces, indents and blank lines are made even. What comes out says exactly what
//! went in, which is proved on every run, or nothing is changed.

use crate::read::{Document, Entry, Node, TextError, Value};

/// Why a file is not formatted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It is no TOML: the file is at fault.
    #[error("line {line}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// It would say something else afterwards: this program is at fault, the file stays as it is.
    #[error("the file would change its meaning; it is left as it is")]
    Changed,
}

/// Formats a TOML text.
///
/// # Errors
/// The text is no TOML.
pub fn format(text: &str) -> Result<String, FormatError> {
    let before = read(text)?;
    let formatted = lines_to_text(blank_lines(lines(&tokens(text))));
    match read(&formatted) {
        Ok(after) if same_tables(&before, &after) => Ok(formatted),
        _ => Err(FormatError::Changed),
    }
}

fn read(text: &str) -> Result<Vec<Entry>, FormatError> {
    let mut document = Document::default();
    let (wrong, _) = document.add(0, text);
    for error in wrong {
        if let TextError::Syntax { place, message, .. } = error {
            let start = text.get(..place.start as usize).unwrap_or_default();
            let line = start.matches('\n').count() + 1;
            return Err(FormatError::Syntax { line, message });
        }
    }
    Ok(document.root)
}

fn same_tables(one: &[Entry], other: &[Entry]) -> bool {
    let key = |entries: &[Entry], at: usize| entries.get(at).map(|entry| entry.key.clone());
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .enumerate()
            .all(|(at, (a, b))| key(one, at) == key(other, at) && same(&a.node, &b.node))
}

fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Whole(a), Value::Whole(b)) => a == b,
        (Value::Flag(a), Value::Flag(b)) => a == b,
        (Value::Other(a, x), Value::Other(b, y)) => a == b && x == y,
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Table(a), Value::Table(b)) => same_tables(a, b),
        _ => false,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Newline,
    Comment,
    /// A string, a number, a bare key.
    Word,
    /// One of `[ ] { } , =`.
    Mark(char),
}

#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    kind: Kind,
    text: &'t str,
    /// Characters before it in its line.
    column: usize,
    /// Nothing stands between it and the token before.
    glued: bool,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line_start, mut glued) = (0, 0, false);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let c = rest.chars().next().unwrap_or(' ');
        let (kind, length) = match c {
            ' ' | '\t' | '\r' => {
                at += 1;
                glued = false;
                continue;
            }
            '\n' => (Kind::Newline, 1),
            '#' => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
            '[' | ']' | '{' | '}' | ',' | '=' => (Kind::Mark(c), 1),
            '"' | '\'' => (Kind::Word, string_length(rest, c)),
            _ => {
                let end = |c: char| c.is_whitespace() || "[]{},=#\"'".contains(c);
                (Kind::Word, rest.find(end).unwrap_or(rest.len()).max(c.len_utf8()))
            }
        };
        let own = rest.get(..length).unwrap_or(rest);
        let column = text.get(line_start..at).unwrap_or_default().chars().count();
        let shown = if kind == Kind::Comment { own.trim_end() } else { own };
        tokens.push(Token { kind, text: shown, column, glued });
        if let Some(last) = own.rfind('\n') {
            line_start = at + last + 1;
        }
        at += length;
        glued = true;
    }
    tokens
}

/// Bytes of a string that begins here, its quotes too.
fn string_length(rest: &str, quote: char) -> usize {
    let triple = rest.get(..3).is_some_and(|start| start.chars().all(|c| c == quote));
    let open = if triple { 3 } else { 1 };
    let (mut escaped, mut run) = (false, 0);
    for (at, c) in rest.char_indices().skip(open) {
        if escaped {
            escaped = false;
            run = 0;
            continue;
        }
        run = if c == quote { run + 1 } else { 0 };
        escaped = quote == '"' && c == '\\';
        if run == open {
            // Up to two quotes may stand before the three that end the string.
            let behind = rest.get(at + 1..).unwrap_or_default();
            let more = behind.chars().take_while(|c| *c == quote).count();
            return at + 1 + if triple { more.min(2) } else { 0 };
        }
    }
    rest.len()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Blank,
    Comment,
    Header,
    Other,
}

struct Line {
    what: What,
    text: String,
}

/// The lines, each with even spaces and its indent.
fn lines(tokens: &[Token<'_>]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut depth: usize = 0;
    for line in tokens.split(|token| token.kind == Kind::Newline) {
        let closes = |token: &&Token<'_>| matches!(token.kind, Kind::Mark(']' | '}'));
        let closing = line.iter().take_while(closes).count();
        let indent = depth.saturating_sub(closing) * INDENT;
        let what = match line.first().map(|token| token.kind) {
            None => What::Blank,
            Some(Kind::Comment) if depth == 0 => What::Comment,
            Some(Kind::Mark('[')) if depth == 0 => What::Header,
            Some(_) => What::Other,
        };
        let mut text = " ".repeat(if line.is_empty() { 0 } else { indent });
        let mut before: Option<&Token<'_>> = None;
        for token in line {
            match (token.kind, before) {
                (Kind::Comment, Some(_)) => {
                    let last = text.rsplit('\n').next().unwrap_or_default();
                    let length = last.chars().count();
                    text.push_str(&" ".repeat(token.column.saturating_sub(length).max(1)));
                }
                (_, Some(before)) if spaced(before, token) => text.push(' '),
                _ => {}
            }
            text.push_str(token.text);
            match token.kind {
                Kind::Mark('[' | '{') => depth += 1,
                Kind::Mark(']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            before = Some(token);
        }
        lines.push(Line { what, text });
    }
    lines
}

fn spaced(before: &Token<'_>, token: &Token<'_>) -> bool {
    match (before.kind, token.kind) {
        (_, Kind::Mark(',')) | (Kind::Mark('['), _) | (_, Kind::Mark(']')) => false,
        (Kind::Mark('{'), Kind::Mark('}')) => false,
        (Kind::Word, Kind::Word) => !token.glued,
        _ => true,
    }
}

/// One blank line before a table with its comments, none at the ends, never two.
fn blank_lines(lines: Vec<Line>) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::with_capacity(lines.len());
    for line in lines {
        match line.what {
            What::Blank if out.last().is_none_or(|last| last.what == What::Blank) => continue,
            What::Header => {
                let comments = out.iter().rev().take_while(|line| line.what == What::Comment);
                let at = out.len() - comments.count();
                let before = at.checked_sub(1).and_then(|before| out.get(before));
                if before.is_some_and(|line| line.what != What::Blank) {
                    out.insert(at, Line { what: What::Blank, text: String::new() });
                }
            }
            What::Blank | What::Comment | What::Other => {}
        }
        out.push(line);
    }
    while out.last().is_some_and(|line| line.what == What::Blank) {
        out.pop();
    }
    out
}

fn lines_to_text(lines: Vec<Line>) -> String {
    lines.into_iter().fold(String::new(), |mut text, line| {
        text.push_str(line.text.trim_end());
        text.push('\n');
        text
    })
}

const INDENT: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spaces_indents_and_blank_lines_are_made_even_and_comments_stay() {
        let text = "# head\nschema=1\n\n\n[a.'b c']   # why\nx={p=[1,2 ],q = \"a#b\"}#tight\n\
                    list=[\n{a=1},# one\n   [ ],\n]\n# of b\n[[b]]\nt = \"\"\"\n keep   this\n\"\"\"\n\n";
        let even = "# head\nschema = 1\n\n[a.'b c']   # why\nx = { p = [1, 2], q = \"a#b\" } #tight\n\
                    list = [\n  { a = 1 }, # one\n  [],\n]\n\n# of b\n[[b]]\nt = \"\"\"\n keep   this\n\"\"\"\n";
        assert_eq!(format(text).as_deref(), Ok(even));
        assert_eq!(format(even).as_deref(), Ok(even));
    }

    #[test]
    fn what_is_no_toml_is_left_alone() {
        let error = format("a = 1\nb = = 2\n");
        assert!(matches!(error, Err(FormatError::Syntax { line: 2, .. })), "{error:?}");
    }

    proptest! {
        #[test]
        fn any_text_ends_and_what_is_formatted_once_stays(text in "([a-c\\[\\]{}=,.#\"' \n1\\\\-]|é){0,60}") {
            if let Ok(once) = format(&text) {
                prop_assert_eq!(format(&once), Ok(once));
            }
        }
    }
}
