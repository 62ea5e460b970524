//! Generated mutations of the sample: every key misspelt, every value of another type, every name
//! changed. Each must be reported at exactly its place.

mod office;

use koukan_dialplan::Capabilities;
use office::{line_and_column, load, sample};

/// A place of the sample where a key stands, and the value behind it.
struct Site {
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
}

/// Every `key = value` of the sample that is not the name of an object.
fn sites(text: &str) -> Vec<Site> {
    let mut sites = Vec::new();
    for (at, _) in text.match_indices(" = ") {
        let before = &text[..at];
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let start = before.rfind(|c| !word(c)).map_or(0, |at| at + 1);
        if before[..start].ends_with('.') || is_object(text, start) {
            continue;
        }
        sites.push(Site { key: start..at, value: at + 3..value_end(text, at + 3) });
    }
    sites
}

/// Keys of `[announcement]` and `[class]` at the start of a line are names that the admin chose.
fn is_object(text: &str, at: usize) -> bool {
    let header = text[..at].rfind("\n[").map(|start| &text[start + 1..at]);
    let named = header.is_some_and(|t| t.starts_with("[announcement]") || t.starts_with("[class]"));
    named && text[..at].ends_with('\n')
}

/// Where the value that begins here ends.
fn value_end(text: &str, start: usize) -> usize {
    let mut depth = 0_i32;
    let mut quoted = false;
    for (offset, c) in text[start..].char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' | '{' => depth += 1,
            ']' | '}' if depth == 0 => return start + offset,
            ']' | '}' => depth -= 1,
            ',' | '\n' if depth == 0 => return start + offset,
            _ => {}
        }
    }
    text.len()
}

fn reported(text: &str, at: usize) -> bool {
    sentence(text, at).is_some()
}

/// What is said at exactly that place.
fn sentence(text: &str, at: usize) -> Option<String> {
    let report = load(text, &Capabilities::all()).report;
    let (line, column) = line_and_column(text, at);
    let mut found = report.errors().filter(|error| (error.line, error.column) == (line, column));
    found.next().map(|error| format!("{line}:{column} {}; {}", error.message, error.hint))
}

#[test]
fn every_misspelt_key_is_reported_at_its_place() {
    let text = sample();
    let sites = sites(&text);
    assert!(sites.len() > 150, "only {} keys found", sites.len());
    for site in &sites {
        let broken = format!("{}x{}", &text[..site.key.end], &text[site.key.end..]);
        assert!(reported(&broken, site.key.start), "{}x", &text[site.key.clone()]);
    }
}

#[test]
fn every_value_of_another_type_is_reported_at_its_place() {
    let text = sample();
    for site in sites(&text) {
        let value = &text[site.value.clone()];
        let broken = format!("{}7.5{}", &text[..site.value.start], &text[site.value.end..]);
        assert!(reported(&broken, site.value.start), "{} = {value}", &text[site.key.clone()]);
    }
}

#[test]
fn every_changed_name_is_reported_at_its_place() {
    let text = sample();
    let references = ["caller_id", "schedule", "target", "box", "announce", "do", "default_trunk"];
    let mut count = 0;
    for site in sites(&text) {
        let value = &text[site.value.clone()];
        if references.contains(&&text[site.key.clone()]) && value.starts_with('"') {
            let end = site.value.start + value.trim_end().len() - 1;
            let broken = format!("{}zz{}", &text[..end], &text[end..]);
            assert!(reported(&broken, site.value.start), "{value}");
            count += 1;
        }
    }
    assert!(count >= 20, "only {count} references found");
}

/// One mutation of every kind at every place: two hundred and more, each with its sentence.
#[test]
fn the_sentences_of_all_mutations() {
    let text = sample();
    let mut sentences = Vec::new();
    for (index, site) in sites(&text).iter().enumerate() {
        let (key, value) = (site.key.clone(), site.value.clone());
        let (broken, at) = match index % 3 {
            0 => (format!("{}x{}", &text[..key.end], &text[key.end..]), key.start),
            1 => (format!("{}7.5{}", &text[..value.start], &text[value.end..]), value.start),
            _ => (format!("{}-1{}", &text[..value.start], &text[value.end..]), value.start),
        };
        let found = sentence(&broken, at);
        sentences.push(found.unwrap_or_else(|| panic!("nothing is said at {at} of {broken}")));
    }
    assert!(sentences.len() >= 200, "only {} mutations", sentences.len());
    insta::assert_snapshot!(sentences.join("\n"));
}
