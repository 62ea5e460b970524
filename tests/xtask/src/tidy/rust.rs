//! Rules for Rust.

use super::Source;

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;

/// Crates that know no clock, socket, thread, file or random source.
const PURE: [&str; 5] =
    ["core/base/src/", "core/sip/src/", "core/media/src/", "core/switch/src/", "dialplan/src/"];

/// What a pure crate does not use.
const IMPURE: [&str; 11] = [
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
];

/// Where waiting for another process by the clock cannot be avoided.
const MAY_SLEEP: [&str; 3] = ["tests/e2e/", "tests/bench/", "core/engine/tests/"];

/// The part of a text from a heading to the next one of its kind.
pub(super) fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(&format!("{heading}\n")) else { return "" };
    let next = if heading.starts_with('#') { "\n## " } else { "\n[" };
    rest.split_once(next).map_or(rest, |(part, _)| part)
}

pub(super) fn check(source: &Source, map: &str, findings: &mut Vec<String>) {
    let Source { path, text } = source;
    let lines: Vec<&str> = text.lines().collect();
    let mut tell = |line: usize, rule: &str| findings.push(format!("{path}:{line}: {rule}"));
    if !text.starts_with("//!") {
        tell(1, "no module doc");
    }
    let pure = PURE.iter().any(|crate_path| path.starts_with(crate_path));
    let listed = section(map, "## Unsafe").contains(path.as_str());
    let sleeps = MAY_SLEEP.iter().any(|place| path.starts_with(place));
    for (index, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if let Some(found) = IMPURE.iter().find(|word| pure && code.contains(**word)) {
            tell(index + 1, &format!("a pure crate uses {found}"));
        }
        if holds_unsafe(code) && !listed {
            tell(index + 1, "unsafe in a file that the map does not list");
        }
        if path.contains("/tests/") && code.contains("thread::sleep(") && !sleeps {
            tell(index + 1, "a test that sleeps");
        }
    }
    for (line, length) in long_functions(&lines) {
        let rule = format!("function of {length} lines, the limit is {FUNCTION_LINES}");
        tell(line, &rule);
    }
    let body = lines.iter().position(|line| *line == "#[cfg(test)]").unwrap_or(lines.len());
    if body > FILE_LINES {
        let rule = format!("{body} lines without tests, the limit is {FILE_LINES}");
        findings.push(format!("{path}: {rule}"));
    }
}

/// `unsafe` as a word of the language, outside of texts.
fn holds_unsafe(code: &str) -> bool {
    let outside: String = code.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe("]
        .iter()
        .any(|form| outside.contains(form))
}

/// First line and length of functions beyond the limit. rustfmt puts the closing brace of a
/// function below the beginning of its first line.
fn long_functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let is_function = code.starts_with("fn ")
            || (code.contains(" fn ") && (code.starts_with("pub") || code.starts_with("const")))
            || code.starts_with("async fn ");
        if !is_function {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let rest = lines.get(index..).unwrap_or_default();
        let Some(length) = rest.iter().position(|line| *line == end) else { continue };
        // A declaration or a one-line function has no such end of its own.
        let own = rest.iter().take(length).any(|line| line.ends_with('{'));
        if own && length + 1 > FUNCTION_LINES {
            found.push((index + 1, length + 1));
        }
    }
    found
}
