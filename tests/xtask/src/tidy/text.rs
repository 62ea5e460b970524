//! Rules on the text of any file: line ends, spaces, width, and words that promise work.

use super::Findings;
use super::tree::{Source, Tree};

/// Columns of a line of code.
const COLUMNS: usize = 100;

/// Columns of one with a text in it, which the formatter leaves whole.
const COLUMNS_WITH_TEXT: usize = 140;

/// Words that say that something is unfinished; put together here, so that this file has none.
pub(super) const UNFINISHED: [&str; 3] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("place", "holder")];

pub(super) fn check(tree: &Tree, found: &mut Findings) {
    for file in &tree.files {
        if let Some(text) = file.text.as_deref().filter(|_| !is_foreign(file)) {
            check_text(file, text, found);
        }
    }
}

/// Wire data, other people's texts and generated files are as they are.
fn is_foreign(file: &Source) -> bool {
    let parts = || file.path.iter().filter_map(|part| part.to_str());
    parts().any(|part| matches!(part, "seeds" | "snapshots"))
        || (parts().any(|part| part == "data") && !file.is_rust())
        || file.path.ends_with("LICENSE-APACHE")
        || file.has_extension("lock")
}

fn check_text(file: &Source, text: &str, found: &mut Findings) {
    let is_code = file.is_rust()
        || file.has_extension("h")
        || file.has_extension("sh")
        || text.starts_with("#!/");
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.ends_with('\r') {
            found.add(&file.path, number, "line end", "CR LF: lines end with LF");
        } else if line.ends_with([' ', '\t']) {
            found.add(&file.path, number, "space", "at the end of the line");
        }
        let columns = line.chars().count();
        let most = if line.contains('"') { COLUMNS_WITH_TEXT } else { COLUMNS };
        if is_code && columns > most {
            let words = format!("{columns} columns, {most} are allowed");
            found.add(&file.path, number, "width", words);
        }
        for word in UNFINISHED {
            if has_word(line, word) {
                found.add(&file.path, number, "unfinished", format!("`{word}` in the tree"));
            }
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        found.add(&file.path, text.lines().count(), "line end", "the last line has none");
    }
}

/// Whether a word stands in a line by itself, as it is written here.
fn has_word(line: &str, word: &str) -> bool {
    let is_name = |one: char| one.is_alphanumeric() || one == '_' || one == '-';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|part| part.chars().next_back());
        let behind = line.get(at + word.len()..).and_then(|part| part.chars().next());
        !before.is_some_and(is_name) && !behind.is_some_and(is_name)
    })
}
