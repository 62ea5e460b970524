//! What stands where: the entries of the top directory, no names that say nothing, no file that is
//! too big.

use std::path::Path;

use super::Findings;
use super::tree::Tree;

/// The agreed entries of the top directory.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "codecs",
    "conf",
    "core",
    "dialplan",
    "fax",
    "modules",
    "rustfmt.toml",
    "tests",
];

/// File names that name no concept.
const EMPTY_NAMES: &[&str] = &["utils.rs", "util.rs", "helpers.rs", "helper.rs", "common.rs"];

const BYTES: usize = 1_000_000;
const BINARY_BYTES: usize = 100_000;

pub(super) fn check(tree: &Tree, found: &mut Findings) {
    for entry in &tree.top {
        if !TOP.contains(&entry.as_str()) {
            let words = "is none of the agreed entries of the top directory";
            found.add(Path::new(entry), 1, "layout", words);
        }
    }
    for file in &tree.files {
        let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if EMPTY_NAMES.contains(&name) {
            found.add(&file.path, 1, "name", "say what concept is in this file");
        }
        if name.ends_with(".pending-snap") || name.ends_with(".snap.new") {
            found.add(&file.path, 1, "snapshot", "an unreviewed snapshot: accept or drop it");
        }
        let test_data = file
            .path
            .iter()
            .zip(file.path.iter().skip(1))
            .any(|(parent, child)| parent == "tests" && child == "data");
        if file.size > BYTES {
            found.add(&file.path, 1, "size", format!("{} bytes, {BYTES} are allowed", file.size));
        } else if file.text.is_none() && file.size > BINARY_BYTES && !test_data {
            let words = format!("{} bytes of binary, {BINARY_BYTES} are allowed", file.size);
            found.add(&file.path, 1, "size", words);
        }
    }
}
