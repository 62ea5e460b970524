//! The tables of the README name tests that are there.

use std::fs;
use std::path::Path;

const README: &str = include_str!("../README.md");

/// What stands between backticks in one cell, each with the folder or file before it.
fn named(cell: &str) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let words: Vec<&str> = part.split_whitespace().map(|word| word.trim_matches('`')).collect();
        match words.as_slice() {
            ["F", file, test] => {
                (format!("../../tests/e2e/tests/features/{file}"), (*test).to_owned())
            }
            ["O", file, test] => {
                (format!("../../tests/e2e/tests/office/{file}"), (*test).to_owned())
            }
            [file, test] => ((*file).to_owned(), (*test).to_owned()),
            _ => panic!("no place and test: {part}"),
        }
    };
    cell.split(", ").map(pair).collect()
}

#[test]
fn every_row_names_tests_that_are_there() {
    let rows = README.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let rows: Vec<&str> = rows.filter(|line| line.contains('`')).collect();
    let mut tests = 0;
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, cell, result] = cells.as_slice() else { panic!("{row}") };
        assert!(!result.is_empty(), "{row}");
        for (file, name) in named(cell) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "{file} has no {name}");
            tests += 1;
        }
    }
    for row in ["S-02", "S-07", "S-08", "S-12", "S-13", "S-23"] {
        assert!(rows.iter().any(|line| line.starts_with(&format!("| {row} |"))), "no row of {row}");
    }
    assert!(tests > 60, "{tests}");
}
