//! Rules for any text of the tree.

use super::Source;

/// Endings of files whose lines may be as long as they are.
const LONG_LINES: [&str; 7] = [".md", ".lock", ".snap", ".xml", ".dat", ".txt", "LICENSE-APACHE"];

/// Words of unfinished work, in pieces so that this file does not hold them.
const UNFINISHED: [[&str; 2]; 4] = [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["place", "holder"]];

pub(super) fn check(source: &Source, findings: &mut Vec<String>) {
    let Source { path, text } = source;
    if path.contains("/tests/data/") || path.contains("fuzz/seeds/") || path.ends_with(".lock") {
        return;
    }
    let long = LONG_LINES.iter().any(|ending| path.ends_with(ending));
    for (index, line) in text.split('\n').enumerate() {
        let mut tell = |rule: &str| findings.push(format!("{path}:{}: {rule}", index + 1));
        let (line, ended_by_return) = match line.strip_suffix('\r') {
            Some(line) => (line, true),
            None => (line, false),
        };
        if ended_by_return {
            tell("carriage return");
        }
        if !long && columns(line) > 100 {
            tell("longer than 100 columns");
        }
        if line.ends_with([' ', '\t']) && !path.ends_with(".snap") {
            tell("blank at the end of the line");
        }
        if UNFINISHED.iter().any(|[one, two]| line.contains(&format!("{one}{two}"))) {
            tell("an unfinished thing");
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(format!("{path}: does not end with a line feed"));
    }
}

/// Columns of a terminal; Japanese takes two each.
fn columns(line: &str) -> usize {
    line.chars()
        .map(|letter| if letter >= '\u{1100}' && letter.is_alphanumeric() { 2 } else { 1 })
        .sum()
}

/// Every dependency of the workspace has its reason in the map.
pub(super) fn dependencies(manifest: &str, map: &str, findings: &mut Vec<String>) {
    let reasons = super::rust::section(map, "## Dependencies");
    let table = super::rust::section(manifest, "[workspace.dependencies]");
    let names = table.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim());
    for name in names.filter(|name| !name.starts_with("koukan-") && !name.starts_with('#')) {
        let row = |line: &str| {
            line.trim_start_matches('|').split('|').next().is_some_and(|cell| {
                cell.split(',').any(|known| known.trim().trim_matches('`') == name)
            })
        };
        if !reasons.lines().any(row) {
            findings.push(format!("Cargo.toml: {name} has no reason in core/ARCHITECTURE.md"));
        }
    }
}
