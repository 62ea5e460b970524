//! What `core/ARCHITECTURE.md` promises: `unsafe` only in the files that it names, and a line with
//! the reason for every dependency.

use std::path::Path;

use super::Findings;
use super::manifest;
use super::tree::{Source, Tree};

const MAP: &str = "core/ARCHITECTURE.md";

pub(super) fn check(tree: &Tree, found: &mut Findings) {
    let map = tree.text(MAP).unwrap_or_default();
    let unsafe_files = named(map, "## Unsafe");
    check_unsafe(tree, &unsafe_files, found);
    check_dependencies(tree, &named(map, "## Dependencies"), found);
}

/// The names in the first column of a section's table, with their lines; several names in one row
/// are parted by commas.
fn named<'t>(map: &'t str, title: &str) -> Vec<(&'t str, usize)> {
    let rows = (1..)
        .zip(map.lines())
        .skip_while(|(_, line)| line.trim_end() != title)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "))
        .skip_while(|(_, line)| !line.starts_with("|--"))
        .skip(1)
        .filter_map(|(number, line)| Some((number, line.strip_prefix('|')?.split('|').next()?)));
    let names = |(number, cell): (usize, &'t str)| {
        cell.split(',').map(move |name| (name.trim().trim_matches('`'), number))
    };
    rows.flat_map(names).collect()
}

fn check_unsafe(tree: &Tree, listed: &[(&str, usize)], found: &mut Findings) {
    for file in tree.rust() {
        let is_listed = listed.iter().any(|(path, _)| file.path == Path::new(path));
        if !is_listed && let Some(line) = first_unsafe(file) {
            let words = format!("this file does not stand in {MAP} under Unsafe");
            found.add(&file.path, line, "unsafe", words);
        }
        if is_crate_root(&file.path) {
            check_root(file, listed, found);
        }
    }
    for (path, line) in listed {
        let file = tree.rust().find(|file| file.path == Path::new(path));
        if file.and_then(first_unsafe).is_none() {
            found.add(Path::new(MAP), *line, "unsafe", format!("there is none in {path}"));
        }
    }
}

/// A crate without a listed file forbids `unsafe`; one with a listed file denies it elsewhere.
fn check_root(root: &Source, listed: &[(&str, usize)], found: &mut Findings) {
    let sources = root.path.parent().unwrap_or(&root.path);
    let has_listed = listed.iter().any(|(path, _)| Path::new(path).starts_with(sources));
    let code = root.code.as_deref().unwrap_or_default();
    let wanted = if has_listed { "deny(unsafe_code)" } else { "forbid(unsafe_code)" };
    if !code.contains(wanted) && !code.contains("forbid(unsafe_code)") {
        found.add(&root.path, 1, "unsafe", format!("write `#![{wanted}]`"));
    }
}

fn is_crate_root(path: &Path) -> bool {
    (path.ends_with("src/lib.rs") || path.ends_with("src/main.rs"))
        && !path.starts_with("tests/fuzz")
}

/// The line of the first keyword `unsafe`; the type of a C function's pointer is none.
fn first_unsafe(file: &Source) -> Option<usize> {
    let code = file.code.as_deref()?;
    let mut words = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let names = line.split(|one: char| !(one.is_alphanumeric() || one == '_' || one == '('));
        words.extend(names.filter(|name| !name.is_empty()).map(|name| (number, name)));
    }
    let is_type = |at: usize| {
        let word = |further: usize| words.get(at + further).map(|(_, word)| *word);
        word(1) == Some("extern") && word(2).is_some_and(|word| word.starts_with("fn("))
    };
    let keyword = |word: &str| {
        matches!(word.split('(').next_back(), Some("unsafe")) || word.starts_with("unsafe(")
    };
    let found = (0..).zip(&words).find(|(at, (_, word))| keyword(word) && !is_type(*at));
    found.map(|(_, (number, _))| *number)
}

fn check_dependencies(tree: &Tree, reasons: &[(&str, usize)], found: &mut Findings) {
    let Some(manifest) = tree.text("Cargo.toml") else { return };
    let table = manifest::names(manifest, &["workspace", "dependencies"]);
    let foreign = || table.iter().filter(|(name, _)| !name.starts_with("koukan"));
    for (name, line) in foreign() {
        if !reasons.iter().any(|(reason, _)| reason == name) {
            let words = format!("`{name}` has no reason in {MAP} under Dependencies");
            found.add(Path::new("Cargo.toml"), *line, "dependency", words);
        }
    }
    for (name, line) in reasons {
        if !foreign().any(|(known, _)| known == name) {
            let words = format!("`{name}` is not in the workspace's table");
            found.add(Path::new(MAP), *line, "dependency", words);
        }
    }
}
