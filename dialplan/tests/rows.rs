//! The table of rows in the README names tests that are there, and every code that the tree uses is
//! explained there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const README: &str = include_str!("../README.md");

/// What stands between backticks in one cell, each with the letter or file before it.
fn named(cell: &str) -> Vec<(String, String)> {
    let file = |word: &str| match word {
        "N" => "tests/rows_numbers.rs".to_owned(),
        "S" => "tests/rows_settings.rs".to_owned(),
        "C" => "tests/rows_charges.rs".to_owned(),
        "O" => "tests/rows_outside.rs".to_owned(),
        path => path.trim_matches('`').to_owned(),
    };
    let pair = |part: &str| {
        let (place, test) = part.trim().split_once(' ').expect("a place and a test");
        (file(place), test.trim_matches('`').to_owned())
    };
    cell.split(", ").map(pair).collect()
}

#[test]
fn every_row_names_tests_that_are_there() {
    let table = README.split("## Rows of the service as decisions").nth(1).expect("the section");
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    let mut tests = 0;
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, test, result] = cells.as_slice() else { panic!("{row}") };
        assert!(!result.is_empty(), "{row}");
        for (file, name) in named(test) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "{file} has no {name}");
            tests += 1;
        }
    }
    let demanded = (1..=12).chain(20..=28).chain(55..=65).chain(90..=98).chain(100..=102);
    for number in demanded {
        let id = format!("S-{number:02}");
        let has = |row: &&&str| {
            row.split('|').nth(1).is_some_and(|cell| cell.split(',').any(|part| part.trim() == id))
        };
        assert!(rows.iter().any(|row| has(&row)), "no row of {id}");
    }
    assert!(tests > 50, "{tests}");
}

/// The codes in a text: `S-07`, `N-12`.
fn codes(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, letter) in text.match_indices(['S', 'N']) {
        let (before, after) = text.split_at(at);
        let Some(rest) = after.strip_prefix(letter).and_then(|rest| rest.strip_prefix('-')) else {
            continue;
        };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let ends = rest[digits.len()..].chars().next();
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let alone = !before.ends_with(is_word) && !ends.is_some_and(|c| c.is_alphanumeric());
        if alone && matches!(digits.len(), 2 | 3) {
            found.insert(format!("{letter}-{digits}"));
        }
    }
    found
}

/// The codes in the files below a directory.
fn codes_below(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_symlink() || name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            codes_below(&path, found);
        } else if ["rs", "md", "toml", "snap", "h"]
            .iter()
            .any(|end| path.extension().is_some_and(|is| is == *end))
        {
            found.extend(codes(&fs::read_to_string(&path).unwrap_or_default()));
        }
    }
}

#[test]
fn every_code_of_the_tree_is_explained() {
    let table = README.split("## What the codes stand for").nth(1).expect("the section");
    let table = table.split("\n## ").next().expect("a section");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let explained: BTreeSet<String> =
        rows.map(|(code, _)| code.to_owned()).filter(|code| code != "Code").collect();
    let mut used = BTreeSet::new();
    for part in ["codecs", "conf", "core", "dialplan", "fax", "modules", "tests"] {
        codes_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(part), &mut used);
    }
    assert!(used.len() > 70, "{used:?}");
    let missing: Vec<_> = used.difference(&explained).collect();
    assert!(missing.is_empty(), "without an explanation: {missing:?}");
    assert_eq!(
        codes("(S-07, N-12) S-1 XS-20 S-20x TLS-12 S-1234"),
        ["N-12", "S-07"].map(String::from).into()
    );
}
