//! Output for people: aligned columns, colour on a terminal only.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

/// Writes to standard output. A reader that has gone (`| head`) ends the program quietly.
pub(super) fn print(text: &str) {
    if io::stdout().write_all(text.as_bytes()).is_err() {
        std::process::exit(0);
    }
}

/// Writes an error to standard error, in red on a terminal.
pub(super) fn complain(words: &str) {
    let mut out = io::stderr();
    let words = words.trim_end();
    let written = if out.is_terminal() {
        writeln!(out, "\x1b[31mkoukan:\x1b[0m {words}")
    } else {
        writeln!(out, "koukan: {words}")
    };
    // Nobody is left to tell when standard error is closed.
    drop(written);
}

/// A finding with its carets in red on a terminal.
pub(super) fn carets(finding: &str) -> String {
    if !io::stdout().is_terminal() {
        return finding.to_owned();
    }
    let paint = |line: &str| match (line.find('^'), line.rfind('^')) {
        (Some(from), Some(to)) if line.get(..from).is_some_and(|lead| lead.trim().is_empty()) => {
            let (lead, rest) = line.split_at(from);
            let (under, hint) = rest.split_at(to.saturating_sub(from).saturating_add(1));
            format!("{lead}\x1b[31m{under}\x1b[0m{hint}")
        }
        _ => line.to_owned(),
    };
    finding.lines().map(paint).collect::<Vec<_>>().join("\n")
}

/// Emphasised on a terminal.
pub(super) fn strong(text: &str) -> String {
    if io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// Letters that stand for the outcome at a place of a list, on a ground of its own colour on a
/// terminal.
pub(super) fn shade(place: usize, letters: &str) -> String {
    const GROUNDS: [u8; 6] = [42, 44, 43, 45, 46, 41];
    let ground = GROUNDS.get(place % GROUNDS.len()).copied().unwrap_or(47);
    if io::stdout().is_terminal() {
        format!("\x1b[30;{ground}m{letters}\x1b[0m")
    } else {
        letters.to_owned()
    }
}

/// A list of objects as columns: title and the pointer of the value (`/legs`).
pub(super) fn columns(rows: &Value, columns: &[(&str, &str)], none: &str) -> String {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return format!("{none}\n");
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|(_, at)| cell(row.pointer(at))).collect())
        .collect();
    let width = |index: usize, title: &str| {
        let widest = cells.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
        widest.max().unwrap_or(0).max(title.len())
    };
    let mut text = String::new();
    let mut head = String::new();
    for (index, (title, _)) in columns.iter().enumerate() {
        head.push_str(&format!("{title:<width$}  ", width = width(index, title)));
    }
    text.push_str(&strong(head.trim_end()));
    text.push('\n');
    for row in &cells {
        let mut line = String::new();
        for (index, ((title, _), value)) in columns.iter().zip(row).enumerate() {
            line.push_str(&format!("{value:<width$}  ", width = width(index, title)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// An object as lines `key  value`.
pub(super) fn lines(object: &Value) -> String {
    let mut text = String::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::Object(inner) => {
                for (name, value) in inner {
                    text.push_str(&format!(
                        "{:<30}{}\n",
                        format!("{key}.{name}"),
                        cell(Some(value))
                    ));
                }
            }
            other => text.push_str(&format!("{key:<30}{}\n", cell(Some(other)))),
        }
    }
    text
}

/// One value; bytes that a terminal would obey are shown as what they are.
fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    };
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_control_bytes_are_not_obeyed() {
        let rows = json!([{"a": "x\u{1b}[31m", "b": 1}, {"a": "longer one", "b": null}]);
        let text = columns(&rows, &[("A", "/a"), ("B", "/b")], "none");
        insta::assert_snapshot!(text);
        assert_eq!(columns(&json!([]), &[("A", "/a")], "nothing"), "nothing\n");
    }
}
