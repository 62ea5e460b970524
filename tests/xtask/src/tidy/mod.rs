//! The house rules that a machine can check. Every finding is one line, `file:line: rule: words`.

mod architecture;
mod code;
mod functions;
mod layout;
mod manifest;
mod mask;
mod purity;
mod text;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

use tree::Tree;

/// A broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: PathBuf,
    line: usize,
    rule: &'static str,
    words: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path.display(), self.line, self.rule, self.words)
    }
}

/// What the rules find, in no order.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, path: &Path, line: usize, rule: &'static str, words: impl Into<String>) {
        self.0.push(Finding { path: path.to_owned(), line, rule, words: words.into() });
    }
}

/// Every finding in the tree at `root`, sorted.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let tree = Tree::read(root).map_err(|error| format!("{}: {error}", root.display()))?;
    Ok(findings(&tree).iter().map(ToString::to_string).collect())
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut found = Findings::default();
    for rule in [
        layout::check,
        text::check,
        code::check,
        functions::check,
        purity::check,
        manifest::check,
        architecture::check,
    ] {
        rule(tree, &mut found);
    }
    found.0.sort();
    found.0
}

#[cfg(test)]
mod tests;
