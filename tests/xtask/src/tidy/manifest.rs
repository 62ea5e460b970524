//! The workspace's manifests: one table of dependencies at the root, the members take from it.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Findings;
use super::tree::{Source, Tree};

/// Tables of a member that name dependencies.
const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// What a member takes from the workspace.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

pub(super) fn check(tree: &Tree, found: &mut Findings) {
    let Some(root) = tree.text("Cargo.toml") else { return };
    let table = names(root, &["workspace", "dependencies"]);
    let mut used: Vec<String> = Vec::new();
    for file in members(tree) {
        let text = file.text.as_deref().unwrap_or_default();
        let document = match DeTable::parse(text) {
            Ok(document) => document.into_inner(),
            Err(error) => {
                let line = error.span().map_or(1, |span| line_of(text, &span));
                found.add(&file.path, line, "manifest", error.message());
                continue;
            }
        };
        check_package(file, &document, found);
        for (name, value, span) in TABLES.iter().flat_map(|key| entries(&document, &[key])) {
            if !is_inherited(value) {
                let words = format!("`{name}`: write `{name}.workspace = true`");
                found.add(&file.path, line_of(text, &span), "manifest", words);
            }
            used.push(name);
        }
    }
    for (name, line) in table {
        // Our own crates stand there before anyone uses them.
        if !used.contains(&name) && !name.starts_with("koukan-") {
            let words = format!("no member uses `{name}`");
            found.add(Path::new("Cargo.toml"), line, "manifest", words);
        }
    }
}

/// The manifests below the root; the fuzz targets are a workspace of their own.
fn members(tree: &Tree) -> impl Iterator<Item = &Source> {
    let is_member = |file: &&Source| {
        file.path.ends_with("Cargo.toml")
            && file.path != Path::new("Cargo.toml")
            && !file.path.starts_with("tests/fuzz")
    };
    tree.files.iter().filter(is_member)
}

fn check_package(file: &Source, document: &DeTable<'_>, found: &mut Findings) {
    for key in INHERITED {
        let value = at(document, &["package"]).and_then(|package| package.get(key));
        if !value.is_some_and(|value| is_inherited(value.get_ref())) {
            found.add(&file.path, 1, "manifest", format!("write `{key}.workspace = true`"));
        }
    }
    let lints = at(document, &["lints"]).and_then(|lints| lints.get("workspace"));
    if lints.and_then(|value| value.get_ref().as_bool()) != Some(true) {
        found.add(&file.path, 1, "manifest", "write `[lints]` with `workspace = true`");
    }
}

fn is_inherited(value: &DeValue<'_>) -> bool {
    let workspace = value.as_table().and_then(|table| table.get("workspace"));
    workspace.and_then(|value| value.get_ref().as_bool()) == Some(true)
}

fn at<'t, 'i>(document: &'t DeTable<'i>, keys: &[&str]) -> Option<&'t DeTable<'i>> {
    keys.iter().try_fold(document, |table, key| table.get(*key)?.get_ref().as_table())
}

fn entries<'t, 'i>(
    document: &'t DeTable<'i>,
    keys: &[&str],
) -> Vec<(String, &'t DeValue<'i>, Range<usize>)> {
    let table = at(document, keys).into_iter().flat_map(|table| table.iter());
    table.map(|(name, value)| (name.get_ref().to_string(), value.get_ref(), name.span())).collect()
}

/// The names in a table of a manifest, each with its line.
pub(super) fn names(text: &str, keys: &[&str]) -> Vec<(String, usize)> {
    let Ok(document) = DeTable::parse(text) else { return Vec::new() };
    let named = entries(document.get_ref(), keys).into_iter();
    named.map(|(name, _, span)| (name, line_of(text, &span))).collect()
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    1 + text.get(..span.start).unwrap_or(text).matches('\n').count()
}
