//! The border only grows: whatever a released `koukan.h` declares, today's declares at the same
//! place with the same value. A module that was built against a released one goes on working.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What a header declares.
#[derive(Debug, Default, PartialEq, Eq)]
struct Declared {
    /// The members of each struct, in order.
    structs: BTreeMap<String, Vec<String>>,
    /// Macros and constants.
    values: BTreeMap<String, String>,
}

impl Declared {
    fn read(text: &str) -> Self {
        let text = without_comments(text);
        let mut declared = Self::default();
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("#define ")) {
            let end = line.find([' ', '(']).unwrap_or(line.len());
            let (name, value) = line.split_at(end);
            declared.values.insert(name.to_owned(), spaced(value));
        }
        for (begin, is_enum) in [("typedef struct ", false), ("enum {", true)] {
            for part in text.split(begin).skip(1) {
                let Some((head, body, tail)) = block(part, is_enum) else { continue };
                if is_enum {
                    for constant in body.split(',').filter(|one| !one.trim().is_empty()) {
                        let (name, value) = constant.split_once('=').unwrap();
                        declared.values.insert(spaced(name), spaced(value));
                    }
                } else {
                    assert!(tail.trim_start().starts_with(head.trim()), "{head} is {tail:.20}");
                    let members = body.split(';').map(spaced).filter(|one| !one.is_empty());
                    declared.structs.insert(head.trim().to_owned(), members.collect());
                }
            }
        }
        declared
    }
}

/// Head, body and what follows of a block with braces.
fn block(part: &str, is_enum: bool) -> Option<(&str, &str, &str)> {
    let (head, rest) = if is_enum { ("", part) } else { part.split_once('{')? };
    if head.contains(';') {
        return None;
    }
    let (body, tail) = rest.split_once('}')?;
    Some((head, body, tail))
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("/*") {
        out.push_str(before);
        rest = behind.split_once("*/").unwrap().1;
    }
    out + rest
}

fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an older header declares that a newer one does not.
fn broken(old: &Declared, new: &Declared) -> Vec<String> {
    let structs = old.structs.iter().filter(|(name, members)| {
        !new.structs.get(*name).is_some_and(|now| now.starts_with(members))
    });
    let values = old
        .values
        .iter()
        .filter(|(name, value)| *name != "KK_ABI_MINOR" && new.values.get(*name) != Some(value));
    let names = structs.map(|(name, _)| name).chain(values.map(|(name, _)| name));
    names.cloned().collect()
}

fn header(path: &str) -> Declared {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    Declared::read(&fs::read_to_string(own.join(path)).unwrap())
}

#[test]
fn every_released_header_is_contained_in_todays() {
    let now = header("include/koukan.h");
    assert!(now.structs.len() > 10 && now.values.len() > 30, "{now:?}");
    for minor in 0..koukan_abi::ABI_MINOR {
        let old = header(&format!("tests/data/koukan-1.{minor}.h"));
        assert_eq!(old.values["KK_ABI_MINOR"], minor.to_string());
        assert_eq!(broken(&old, &now), [] as [String; 0], "since 1.{minor}");
    }
}

#[test]
fn a_change_of_what_was_released_is_noticed() {
    let text = |members: &str, value: &str| {
        Declared::read(&format!(
            "typedef struct kk_a {{ {members} }} kk_a;\n#define KK_X {value}\nenum {{ KK_Y = 1 }};"
        ))
    };
    let old = text("size_t size; int a;", "1");
    assert_eq!(broken(&old, &old), [] as [String; 0]);
    assert_eq!(broken(&old, &text("size_t size; int a; int b;", "1")), [] as [String; 0]);
    assert_eq!(broken(&old, &text("size_t size; int b; int a;", "1")), ["kk_a"]);
    assert_eq!(broken(&old, &text("size_t size; long a;", "1")), ["kk_a"]);
    assert_eq!(broken(&old, &text("size_t size;", "2")), ["kk_a", "KK_X"]);
}
