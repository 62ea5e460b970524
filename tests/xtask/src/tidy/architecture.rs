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

/// The first word in backticks of every line of a section, with its line.
fn named<'t>(map: &'t str, title: &str) -> Vec<(&'t str, usize)> {
    let section = (1..)
        .zip(map.lines())
        .skip_while(|(_, line)| line.trim_end() != title)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "));
    section.filter_map(|(number, line)| Some((line.split('`').nth(1)?, number))).collect()
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

/// The line of the first keyword `unsafe`.
fn first_unsafe(file: &Source) -> Option<usize> {
    let is_name = |one: char| one.is_alphanumeric() || one == '_';
    let code = file.code.as_deref()?;
    (1..).zip(code.lines()).find_map(|(number, line)| {
        let mut words = line.split(|one| !is_name(one));
        words.any(|word| word == "unsafe").then_some(number)
    })
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
