//! The dashboard beside this crate: every metric that it draws is one that the server has.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "no phone is needed here")]
mod office;

use std::collections::BTreeSet;

use office::{Office, ask, json};
use serde_json::Value;

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let word = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '_';
    let words = text.split(|sign| !word(sign)).filter(|word| word.starts_with("koukan_"));
    words.map(str::to_owned).collect()
}

/// Every string under a key, wherever it stands.
fn strings(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str().filter(|_| name == key) {
                    Some(text) => found.push(text.to_owned()),
                    None => strings(value, key, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| strings(value, key, found)),
        _ => {}
    }
}

#[test]
fn every_metric_of_the_dashboard_is_measured_and_has_the_labels_that_it_is_shown_by() {
    let board: Value = serde_json::from_str(include_str!("../grafana.json")).unwrap();
    let (mut drawn, mut legends) = (Vec::new(), Vec::new());
    strings(&board, "expr", &mut drawn);
    strings(&board, "query", &mut drawn);
    strings(&board, "legendFormat", &mut legends);
    let drawn = names(&drawn.join(" "));
    assert!(drawn.len() > 30, "{drawn:?}");
    let office = Office::new("dashboard");
    let server = office.start();
    let (status, page) = ask(server.socket(), "GET", "/metrics", "");
    assert_eq!(status, 200);
    let measured: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(str::to_owned)
        .collect();
    let unknown: Vec<&String> = drawn.difference(&measured).collect();
    assert!(unknown.is_empty(), "the server does not measure {unknown:?}");
    for legend in legends.iter().filter(|legend| legend.contains("{{")) {
        let label = legend.split("{{").nth(1).unwrap().split("}}").next().unwrap();
        assert!(page.contains(&format!("{{{label}=\"")), "no metric has the label {label}");
    }
    // What should be zero is drawn, all of it.
    for grave in ["koukan_panics_total", "koukan_journal_lost_total"] {
        assert!(drawn.contains(grave), "{grave} is not drawn");
    }
    assert_eq!(json(server.socket(), "/v1/boxes"), Value::Array(Vec::new()));
}
