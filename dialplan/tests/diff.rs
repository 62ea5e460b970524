//! `diff`: changed outcomes, not changed lines.

mod office;

use koukan_dialplan::Plans;
use office::wednesday;
use office::world::{changed, plans};

fn differences(old: &Plans, changes: &[(&str, &str)]) -> String {
    let new = plans(&changed(changes));
    let lines: Vec<String> = old.diff(&new, wednesday()).iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn changed_outcomes_are_told_in_call_terms() {
    let old = plans(&changed(&[]));
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "a device leaves a ring list",
            &[("ring = { devices = [\"D\", \"E\"]", "ring = { devices = [\"D\"]")],
        ),
        (
            "an hour is moved",
            &[(
                "from = \"18:00\", to = \"20:00\", do = \"forward\"",
                "from = \"18:00\", to = \"19:30\", do = \"forward\"",
            )],
        ),
        (
            "a closing day is added",
            &[(
                "\"yearly:08-13..08-15\"]",
                "\"yearly:08-13..08-15\", \"2026-07-06\", \"2026-07-07\"]",
            )],
        ),
        (
            "a caller is blocked",
            &[("busy_announcement = true", "busy_announcement = true\nblocked = [\"0355551234\"]")],
        ),
        ("a class is blocked", &[("\"data\", \"service\"]", "\"data\", \"service\", \"navi\"]")]),
        (
            "a price changes",
            &[(
                "class = [\"fixed\", \"mobile\", \"ip050\", \"navi\"], price = \"20\"",
                "class = [\"fixed\", \"mobile\", \"ip050\", \"navi\"], price = \"21\"",
            )],
        ),
        ("an extension is renumbered", &[("dial = \"600\"", "dial = \"610\"")]),
    ];
    let mut text = String::new();
    for (name, changes) in cases {
        text.push_str(&format!("== {name}\n{}\n", differences(&old, changes)));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_same_office_written_otherwise_has_no_difference() {
    let old = plans(&changed(&[]));
    assert_eq!(differences(&old, &[("name = \"代表\"", "name = \"本社\"")]), "");
    assert_eq!(differences(&old, &[("# ", "#  ")].into_iter().take(0).collect::<Vec<_>>()), "");
    let nobody = Plans::default();
    assert!(!nobody.diff(&old, wednesday()).is_empty());
    assert_eq!(nobody.diff(&nobody, wednesday()), []);
}
