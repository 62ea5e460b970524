//! The tables of `modules/README.md` name files and tests that are there, and every row that they
//! must have.

use std::fs;
use std::path::Path;

const README: &str = include_str!("../../README.md");

/// What stands between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_test(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    word.matches('_').count() >= 3 && word.chars().all(plain)
}

#[test]
fn every_file_and_test_that_the_tables_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut files, mut tests) = (0, 0);
    for line in README.lines() {
        let mut text = String::new();
        for word in quoted(line) {
            if word.contains('/') && Path::new(word).extension().is_some_and(|e| e == "rs") {
                let path = root.join(word);
                text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{word}: {error}"));
                files += 1;
            } else if is_test(word) {
                assert!(text.contains(&format!("fn {word}(")), "{word} is not there: {line}");
                tests += 1;
            }
        }
    }
    assert!(files > 60 && tests > 40, "{files} files, {tests} tests");
}

#[test]
fn every_row_of_the_modules_has_a_test_and_a_result() {
    let table = README.split("## Rows of the service").nth(1).expect("the section");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| S-")).collect();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, tests, result] = cells.as_slice() else { panic!("{row}") };
        assert!(quoted(tests).any(is_test) && !result.is_empty(), "{row}");
    }
    let demanded = [8].into_iter().chain(20..=28).chain(45..=50).chain(55..=63).chain(65..=65);
    for number in demanded.chain(70..=75) {
        let id = format!("S-{number:02}");
        let names = |row: &&&str| {
            row.split('|').nth(1).is_some_and(|cell| cell.split(',').any(|part| part.trim() == id))
        };
        assert!(rows.iter().any(|row| names(&row)), "no row of {id}");
    }
}
