//! The table of `README.md` (which names the RFCs) names tests that exist, and no standard twice
//! without one.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

/// The names of every test of this crate, and of the switch, which does what a user of it does.
fn tests(directory: &Path, names: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            tests(&path, names)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path)?;
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                if line == "#[test]" {
                    is_test = true;
                } else if let Some(rest) = line.strip_prefix("fn ")
                    && std::mem::take(&mut is_test)
                {
                    names.extend(rest.split('(').next().map(str::to_owned));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_test_in_the_table_exists_and_every_row_has_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    for directory in ["src", "tests", "../switch/src", "../switch/tests"] {
        tests(&root.join(directory), &mut known).expect("the sources can be read");
    }
    assert!(known.len() > 150, "{}", known.len());
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let mut rows = 0;
    for row in readme.lines().filter(|line| line.starts_with("| ")) {
        if row.starts_with("| RFC") || row.starts_with("| input") {
            continue;
        }
        let named = row.split('`').skip(1).step_by(2).filter(|name| {
            name.contains('_')
                && name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
        });
        let named: Vec<&str> = named.collect();
        assert!(!named.is_empty(), "no test in {row}");
        for name in named {
            assert!(known.contains(name), "no test {name}");
        }
        rows += 1;
    }
    assert!(rows > 60, "{rows} rows");
}
