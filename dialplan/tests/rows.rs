//! The table of rows in the README names tests that are there.

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
