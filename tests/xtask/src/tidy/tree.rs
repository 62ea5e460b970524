//! The files that the rules look at: the source tree without what is built, generated or secret.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::mask;

/// A file, read once for all rules.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the root, with `/`.
    pub(super) path: PathBuf,
    /// Its size in bytes.
    pub(super) size: usize,
    /// Its text; `None` when it is no UTF-8.
    pub(super) text: Option<String>,
    /// Rust only: the text with comments and the insides of literals blanked out.
    pub(super) code: Option<String>,
}

impl Source {
    pub(super) fn is_rust(&self) -> bool {
        self.code.is_some()
    }

    /// Lines of code before the tests of a Rust file: all of them when there are none.
    pub(super) fn lines_before_tests(&self) -> usize {
        let text = self.text.as_deref().unwrap_or_default();
        let lines = || text.lines().map(str::trim_end);
        let tests = lines().zip(lines().skip(1)).position(|(attribute, item)| {
            attribute == "#[cfg(test)]" && item.starts_with("mod ") && item.ends_with('{')
        });
        tests.unwrap_or_else(|| lines().count())
    }

    /// Whether the file is made of tests, benches or test support.
    pub(super) fn is_test(&self) -> bool {
        let mut parts = self.path.iter().filter_map(|part| part.to_str());
        let inside = parts.any(|part| matches!(part, "tests" | "benches"));
        let own = self.path.starts_with("tests/xtask") || self.path.starts_with("tests/bench");
        (inside && !own) || self.path.ends_with("tests.rs")
    }

    pub(super) fn has_extension(&self, wanted: &str) -> bool {
        self.path.extension().is_some_and(|extension| extension == wanted)
    }
}

/// The whole tree, sorted by path.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: Vec<Source>,
    /// Names of files and directories at the top.
    pub(super) top: Vec<String>,
}

/// What no rule looks at, relative to the root: the entries of `.gitignore`.
const IGNORED: &[&str] = &[
    ".git",
    "target",
    "data",
    "conf/secrets",
    "tests/fuzz/target",
    "tests/fuzz/corpus",
    "tests/fuzz/artifacts",
];

impl Tree {
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        let mut open = vec![PathBuf::new()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(root.join(&directory))? {
                let entry = entry?;
                let path = directory.join(entry.file_name());
                if is_ignored(&path) {
                    continue;
                }
                if directory.as_os_str().is_empty() {
                    tree.top.push(path.display().to_string());
                }
                if entry.file_type()?.is_dir() {
                    open.push(path);
                } else {
                    tree.files.push(read(root, path)?);
                }
            }
        }
        tree.files.sort_by(|one, other| one.path.cmp(&other.path));
        tree.top.sort();
        Ok(tree)
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.is_rust())
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == Path::new(path))?.text.as_deref()
    }
}

fn is_ignored(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    IGNORED.iter().any(|ignored| path == Path::new(ignored))
        || name == "__pycache__"
        || (name == "secrets" && path.starts_with("conf/tenants"))
        || path.extension().is_some_and(|extension| extension == "profraw")
}

fn read(root: &Path, path: PathBuf) -> io::Result<Source> {
    let bytes = fs::read(root.join(&path))?;
    let size = bytes.len();
    let text = String::from_utf8(bytes).ok();
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    let code = text.as_deref().filter(|_| is_rust).map(mask::code);
    Ok(Source { path, size, text, code })
}
