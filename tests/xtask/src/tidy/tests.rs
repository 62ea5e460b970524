//! Each rule names a violation that is planted in a tree of its own.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{findings, tree::Tree};

/// A small tree that keeps every rule.
struct Planted(PathBuf);

const GOOD: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        "[workspace]\n[workspace.dependencies]\nkoukan-base = { path = \"core/base\" }\nlibc = \"0.2\"\n",
    ),
    (
        "core/ARCHITECTURE.md",
        "# What stands\n\n## Unsafe\nWords.\n\n| file | what for |\n|---|---|\n\
         | `core/engine/src/pin.rs` | pinning |\n\n\
         ## Dependencies\n| crate | reason |\n|---|---|\n| libc | pinning |\n",
    ),
    ("core/base/Cargo.toml", MEMBER),
    ("core/base/src/lib.rs", "//! Time.\n#![forbid(unsafe_code)]\n"),
    ("core/engine/Cargo.toml", MEMBER),
    ("core/engine/src/lib.rs", "//! Workers.\n#![deny(unsafe_code)]\nmod pin;\n"),
    ("core/engine/src/pin.rs", "//! Pinning.\nfn pin() {\n    unsafe { call() }\n}\n"),
];

const MEMBER: &str = "[package]\nname = \"x\"\nversion.workspace = true\nedition.workspace = true\n\
    rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\
    [lints]\nworkspace = true\n[dependencies]\nlibc.workspace = true\nkoukan-base.workspace = true\n";

impl Planted {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("xtask-tidy-{}-{number}", std::process::id()));
        let planted = Self(root);
        for (path, text) in GOOD {
            // `libc` in a pure crate is a finding; the good tree has it in the driver alone.
            let text = text.replace(
                "libc.workspace = true\n",
                match *path {
                    "core/base/Cargo.toml" => "",
                    _ => "libc.workspace = true\n",
                },
            );
            planted.write(path, text.as_bytes());
        }
        planted
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn found(&self) -> Vec<String> {
        findings(&Tree::read(&self.0).unwrap()).iter().map(ToString::to_string).collect()
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Plants one file and expects exactly one finding that begins so.
fn expect(path: &str, bytes: impl AsRef<[u8]>, finding: &str) {
    let planted = Planted::new();
    planted.write(path, bytes.as_ref());
    let found = planted.found();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(finding), "{}\nis not {finding}", found[0]);
}

#[test]
fn a_good_tree_has_no_finding() {
    assert_eq!(Planted::new().found(), Vec::<String>::new());
}

#[test]
fn a_foreign_entry_at_the_top_is_named() {
    expect("notes.txt", "x\n", "notes.txt:1: layout");
}

#[test]
fn a_file_name_that_says_nothing_is_named() {
    expect("core/base/src/utils.rs", "//! All sorts.\n", "core/base/src/utils.rs:1: name");
}

#[test]
fn big_files_are_named_and_test_data_may_be_bigger() {
    expect("conf/x.bin", [0xFF; 100_001], "conf/x.bin:1: size: 100001 bytes of binary");
    expect("core/base/tests/data/x.pcap", [0xFF; 1_000_001], "core/base/tests/data/x.pcap:1: size");
}

#[test]
fn line_ends_spaces_and_width_are_named_with_their_line() {
    expect("conf/a.toml", "a = 1\r\n", "conf/a.toml:1: line end: CR LF");
    expect("conf/a.toml", "a = 1", "conf/a.toml:1: line end: the last line");
    expect("conf/a.toml", "a = 1\nb = 2 \n", "conf/a.toml:2: space");
    let wide = format!("//! {}\n", "x".repeat(97));
    expect("core/base/src/a.rs", wide, "core/base/src/a.rs:1: width: 101 columns");
}

#[test]
fn unfinished_work_is_named() {
    let text = format!("//! A.\n// {}: later\n", super::text::UNFINISHED[0]);
    expect("core/base/src/a.rs", text, "core/base/src/a.rs:2: unfinished");
}

#[test]
fn a_file_without_module_doc_and_a_long_one_are_named() {
    expect("core/base/src/a.rs", "fn a() {}\n", "core/base/src/a.rs:1: module doc");
    let long = format!("//! Long.\n{}", "const _: () = ();\n".repeat(600));
    expect("core/base/src/a.rs", long, "core/base/src/a.rs:600: length: 601 lines");
    let tests = "#[cfg(test)]\nmod tests {\n".to_owned() + &"// x\n".repeat(700) + "}\n";
    let planted = Planted::new();
    planted.write("core/base/src/a.rs", format!("//! Tested.\n{tests}").as_bytes());
    assert_eq!(planted.found(), Vec::<String>::new());
}

#[test]
fn a_long_function_is_named() {
    let text = format!("//! A.\nfn long() {{\n{}}}\n", "    a();\n".repeat(69));
    expect("core/base/src/a.rs", text, "core/base/src/a.rs:2: function: `long` has 71 lines");
}

#[test]
fn sleeping_and_ignored_tests_and_silenced_lints_are_named() {
    let sleep = "//! A.\n#[cfg(test)]\nmod tests {\n    fn a() {\n        std::thread::sleep(b);\n    }\n}\n";
    expect("core/engine/src/a.rs", sleep, "core/engine/src/a.rs:5: sleep");
    let ignored = "//! A.\n#[ignore]\nfn a() {}\n";
    expect("core/base/tests/a.rs", ignored, "core/base/tests/a.rs:2: ignored test");
    let silenced =
        "//! A.\n#[allow(dead_code)]\nfn a() {}\n#[expect(x, reason = \"y\")]\nfn b() {}\n";
    expect("core/base/src/a.rs", silenced, "core/base/src/a.rs:2: silenced lint");
}

#[test]
fn a_clock_or_socket_in_a_pure_crate_is_named_and_not_in_its_comments() {
    let text = "//! No UdpSocket here.\nfn a() {\n    let x = Instant::now(); // std::fs\n}\n";
    expect("core/base/src/a.rs", text, "core/base/src/a.rs:3: pure: `Instant::now`");
    let manifest = MEMBER;
    expect("core/base/Cargo.toml", manifest, "core/base/Cargo.toml:11: pure: a pure crate does");
}

#[test]
fn a_module_on_more_than_the_sdk_is_named() {
    let finding = "modules/x/Cargo.toml:12: module: a module depends on koukan-sdk";
    expect("modules/x/Cargo.toml", MEMBER, finding);
}

#[test]
fn unsafe_outside_the_list_is_named_and_a_stale_entry_too() {
    let text = "//! A.\nfn a() {\n    unsafe { b() }\n}\n";
    expect("core/engine/src/a.rs", text, "core/engine/src/a.rs:3: unsafe: this file does not");
    let exported = "//! A.\n#[unsafe(no_mangle)]\nfn a() {}\n";
    expect("core/engine/src/a.rs", exported, "core/engine/src/a.rs:2: unsafe");
    let safe = "//! A pointer.\ntype F = Option<unsafe extern \"C\" fn(u32)>;\n";
    expect("core/engine/src/pin.rs", safe, "core/ARCHITECTURE.md:8: unsafe: there is none");
    expect(
        "core/base/src/lib.rs",
        "//! Time.\n",
        "core/base/src/lib.rs:1: unsafe: write `#![forbid",
    );
}

#[test]
fn a_dependency_outside_the_table_or_without_reason_is_named() {
    let own = format!("{MEMBER}mio = \"1\"\n");
    expect("core/engine/Cargo.toml", own, "core/engine/Cargo.toml:13: manifest: `mio`");
    let table = format!("{}mio = \"1\"\n", GOOD[0].1);
    let planted = Planted::new();
    planted.write("Cargo.toml", table.as_bytes());
    let found = planted.found();
    assert!(found[0].starts_with("Cargo.toml:5: dependency: `mio` has no reason"), "{found:#?}");
    assert!(found[1].starts_with("Cargo.toml:5: manifest: no member uses `mio`"), "{found:#?}");
    let lints = MEMBER.replace("[lints]\nworkspace = true\n", "");
    expect("core/engine/Cargo.toml", lints, "core/engine/Cargo.toml:1: manifest: write `[lints]`");
}

#[test]
fn this_tree_is_tidy() {
    let found = super::check(&crate::root()).unwrap();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
