//! The rules of the house that a machine can check. Each finding names file, line and rule.

mod rust;
mod tree;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes beyond which a file of the tree needs a reason.
const LARGEST: u64 = 100_000;

/// Names that stand at the top; hidden files apart.
const TOP_LEVEL: &[&str] = &[
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

/// Made by builds, starts and developers, never part of the tree.
const NOT_OURS: &[&str] = &["target", "data", "secrets", "corpus", "artifacts", ".git"];

/// A file of the tree.
struct Source {
    /// Below the root, with slashes.
    path: String,
    text: String,
}

/// Every finding in the tree at `root`, sorted.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let told = |error: io::Error| format!("{}: {error}", root.display());
    let mut findings = Vec::new();
    top_level(root, &mut findings).map_err(told)?;
    let mut sources = Vec::new();
    walk(root, root, &mut sources, &mut findings).map_err(told)?;
    let map = text_of(&sources, "core/ARCHITECTURE.md");
    for source in &sources {
        tree::check(source, &mut findings);
        if source.path.ends_with(".rs") {
            rust::check(source, map, &mut findings);
        }
    }
    tree::dependencies(text_of(&sources, "Cargo.toml"), map, &mut findings);
    findings.sort();
    Ok(findings)
}

fn text_of<'a>(sources: &'a [Source], path: &str) -> &'a str {
    sources.iter().find(|source| source.path == path).map_or("", |source| &source.text)
}

fn top_level(root: &Path, findings: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let known = TOP_LEVEL.contains(&&*name) || NOT_OURS.contains(&&*name);
        if !known && !name.starts_with('.') {
            findings.push(format!("{name}: does not belong to the top level"));
        }
    }
    for name in TOP_LEVEL {
        if !root.join(name).exists() {
            findings.push(format!("{name}: is missing at the top level"));
        }
    }
    Ok(())
}

fn walk(
    root: &Path,
    directory: &Path,
    sources: &mut Vec<Source>,
    findings: &mut Vec<String>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if NOT_OURS.contains(&&*name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &path, sources, findings)?;
            continue;
        }
        let below = shown(root, &path);
        let data = below.contains("/tests/data/") || below.ends_with("Cargo.lock");
        if entry.metadata()?.len() > LARGEST && !data {
            findings.push(format!("{below}: more than {LARGEST} bytes"));
        }
        if let Ok(text) = String::from_utf8(fs::read(&path)?) {
            sources.push(Source { path: below, text });
        }
    }
    Ok(())
}

fn shown(root: &Path, path: &Path) -> String {
    let below: PathBuf = path.strip_prefix(root).unwrap_or(path).to_owned();
    below.to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings of one file.
    fn of(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        let mut findings = Vec::new();
        tree::check(&source, &mut findings);
        rust::check(&source, "## Unsafe\n- `core/x/src/raw.rs`: reasons\n", &mut findings);
        findings
    }

    #[test]
    fn a_clean_file_has_no_finding() {
        let text = "//! What it is.\n\n/// Doc.\npub fn f() {\n    g();\n}\n";
        assert_eq!(of("core/sip/src/x.rs", text), [""; 0]);
    }

    #[test]
    fn each_planted_fault_is_named_with_its_line() {
        let body = "//! What it is.\n";
        let wide = format!("{body}// {}\n", "x".repeat(100));
        let word = ["TO", "DO"].concat();
        let long = format!("{body}fn f() {{\n{}}}\n", "    g();\n".repeat(71));
        let huge = format!("{body}{}", "// x\n".repeat(600));
        for (path, text, finding) in [
            ("a/x.rs", "fn f() {}\n".to_owned(), "a/x.rs:1: no module doc"),
            ("a/x.rs", wide, "a/x.rs:2: longer than 100 columns"),
            ("a/x.rs", format!("{body}// {word}: later\n"), "a/x.rs:2: an unfinished thing"),
            ("a/x.rs", format!("{body}fn f() {{}} \n"), "a/x.rs:2: blank at the end of the line"),
            ("a/x.rs", format!("{body}fn f() {{}}\r\n"), "a/x.rs:2: carriage return"),
            ("a/x.rs", format!("{body}fn f() {{}}"), "a/x.rs: does not end with a line feed"),
            ("a/x.rs", long, "a/x.rs:2: function of 73 lines, the limit is 70"),
            ("a/x.rs", huge, "a/x.rs: 601 lines without tests, the limit is 600"),
            (
                "core/sip/src/x.rs",
                format!("{body}use std::net::UdpSocket;\n"),
                "core/sip/src/x.rs:2: a pure crate uses UdpSocket",
            ),
            (
                "core/y/src/x.rs",
                format!("{body}unsafe {{ f() }}\n"),
                "core/y/src/x.rs:2: unsafe in a file that the map does not list",
            ),
            (
                "core/sip/tests/x.rs",
                format!("{body}std::thread::sleep(time);\n"),
                "core/sip/tests/x.rs:2: a test that sleeps",
            ),
        ] {
            assert_eq!(of(path, &text), [finding], "{text}");
        }
    }

    #[test]
    fn a_listed_file_may_hold_unsafe_and_words_in_texts_are_not_code() {
        assert_eq!(of("core/x/src/raw.rs", "//! Raw.\n// SAFETY: x\nunsafe { f() }\n"), [""; 0]);
        assert_eq!(of("core/y/src/x.rs", "//! Not unsafe at all.\n// unsafe\n"), [""; 0]);
    }

    #[test]
    fn tests_at_the_end_of_a_file_do_not_count_as_its_length() {
        let text = format!("//! X.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    // x\n".repeat(700));
        assert_eq!(of("a/x.rs", &text), [""; 0]);
    }

    #[test]
    fn a_dependency_without_a_reason_is_named() {
        let manifest = "[workspace.dependencies]\nkoukan-x = { path = \"x\" }\naxum = \"1\"\n\
                        mio = \"1\"\n\n[profile.dev]\ndebug = 1\n";
        let mut findings = Vec::new();
        tree::dependencies(manifest, "## Dependencies\n| mio | loops |\n", &mut findings);
        assert_eq!(findings, ["Cargo.toml: axum has no reason in core/ARCHITECTURE.md"]);
    }

    #[test]
    fn this_tree_is_tidy() {
        let findings = check(&crate::root()).unwrap();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}
