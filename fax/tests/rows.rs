//! The table of rows in the README names tests that are there, each with a row in its name.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::fs;
use std::path::Path;

const README: &str = include_str!("../README.md");

/// What stands between backticks in one cell: file and test by turns.
fn named(cell: &str) -> Vec<(&str, &str)> {
    let words: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

#[test]
fn every_row_names_tests_that_are_there() {
    let table = README.split("## Rows and what shows them").nth(1).expect("the section");
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut seen = Vec::new();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [id, tests, result] = cells.as_slice() else { panic!("{row}") };
        assert!(!result.is_empty(), "{row}");
        let tests = named(tests);
        assert!(!tests.is_empty(), "{row}");
        for (file, name) in tests {
            let text = fs::read_to_string(root.join(file));
            let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "{file} has no {name}");
            assert!(name.starts_with("s_"), "{name} has no row in its name");
        }
        let own = id.to_lowercase().replace('-', "_");
        assert!(row.contains(&format!("`{own}_")), "no test of {id} has it in its name");
        seen.push((*id).to_owned());
    }
    for number in [17, 30, 31, 32, 33, 34, 35, 36, 37, 39, 40, 63] {
        let id = format!("S-{number}");
        assert!(seen.contains(&id), "no row of {id}");
    }
}
