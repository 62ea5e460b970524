//! Broken copies of the sample office: each error at its place, all of them at once.

mod office;

use koukan_dialplan::{Capabilities, Plans, Report, TenantSource};
use office::{Break, load, load_files, sample, wednesday};

/// Copies with one error each: what is changed, and what the carets must stand under.
const ONE_ERROR: &[Break] = &[
    Break {
        from: "kind = \"desk\"\nmodel = \"grp",
        to: "kidn = \"desk\"\nmodel = \"grp",
        at: "kidn",
    },
    Break { from: "strategy = \"priority\"", to: "strategy = \"prority\"", at: "\"prority\"" },
    Break { from: "forward_to = \"09012345678\"", to: "forward_to = 7", at: "7" },
    Break { from: "after = \"20s\"", to: "after = \"7s\"", at: "\"7s\"" },
    Break { from: "from = \"09:00\"", to: "from = \"09:10\"", at: "\"09:10\"" },
    Break {
        from: "from = \"12:00\", to = \"13:00\"",
        to: "from = \"11:30\", to = \"13:00\"",
        at: "{ from = \"11:30\"",
    },
    Break {
        from: "voicemail = { box = \"main\", after = \"15s\" }",
        to: "voicemail = { box = \"mian\", after = \"15s\" }",
        at: "\"mian\"",
    },
    Break {
        from: "did = \"0312340002\"",
        to: "did = \"0312340001\"",
        at: "\"0312340001\"\nrole = \"additional\"",
    },
    Break { from: "ext = \"803\"", to: "ext = \"802\"", at: "\"802\"\nkind = \"app\"" },
    Break { from: "secret = \"file:secrets/A\"", to: "secret = \"hunter2\"", at: "\"hunter2\"" },
    Break {
        from: "premium = { prefix = [\"0990\"]",
        to: "premium = { prefix = [\"0570\"]",
        at: "\"0570\"], digits = 10 }\ndata",
    },
    Break { from: "max_bytes = \"10MB\"", to: "max_bytes = \"11MB\"", at: "\"11MB\"" },
    Break {
        from: "price = \"17.5\", per = \"1m\" },\n  { leg = \"out\", device = [\"desk\", \"ata\"], class = [\"navi\"]",
        to: "price = \"17,5\", per = \"1m\" },\n  { leg = \"out\", device = [\"desk\", \"ata\"], class = [\"navi\"]",
        at: "\"17,5\"",
    },
    Break {
        from: "busy_announcement = true",
        to: "busy_announcement = true\nvoicemail = { box = \"main\", after = \"5s\" }\noptions = [\"voicemail\"]",
        at: "\"main\", after = \"5s\"",
    },
    Break { from: "dial = \"600\"", to: "dial = \"119\"", at: "\"119\"\ndo" },
    Break { from: "dial = \"700\"", to: "dial = \"006\"", at: "\"006\"" },
    Break { from: "do = \"echo\"", to: "do = \"ehco\"", at: "\"ehco\"" },
    Break {
        from: "do = { conference = \"main\" }",
        to: "do = { conference = \"main\", reject = 486 }",
        at: "{ conference",
    },
    Break {
        from: "{ leg = \"out\", class = [\"tollfree\"], price = \"0\", per = \"call\" },",
        to: "{ leg = \"out\", class = [\"tollfree\"], device = [], price = \"0\", per = \"call\", valid_until = \"2020-01-01\" },",
        at: "[tariff]",
    },
    Break {
        from: "caller_id = \"number3\"\n[device.E]",
        to: "caller_id = \"free\"\n[device.E]",
        at: "\"free\"\n[device.E]",
    },
    Break {
        from: "caller_id = \"number1\"\n[device.C]",
        to: "caller_id = \"number1\"\noptions = [\"free10\"]\n[device.C]",
        at: "\"free10\"",
    },
    Break {
        from: "rings = [\"A\", \"B\", \"C\"]",
        to: "rings = [\"A\", \"B\", \"D\"]",
        at: "[\"A\", \"B\", \"D\"]",
    },
    Break { from: "charge = \"40\"", to: "charge = \"20\"", at: "\"20\"" },
    Break {
        from: "holidays = [\"calendar:jp\"",
        to: "holidays = [\"calender:jp\"",
        at: "\"calender:jp\"",
    },
    Break { from: "step = \"0s\"", to: "step = \"20s\"", at: "\"20s\" }\noptions" },
    Break {
        from: "\"E\"], strategy = \"priority\", tiers = [[\"desk\", \"ata\"]",
        to: "\"E\"], strategy = \"priority\", tiers = [[\"desk\"]",
        at: "\"E\"], strategy",
    },
    Break {
        from: "forward_to = \"09012345678\"",
        to: "forward_to = \"01014155550001\"",
        at: "\"01014155550001\"",
    },
    Break {
        from: "options = [\"voicemail\", \"off_hours\", \"fax\"",
        to: "options = [\"voicemail\", \"fax\"",
        at: "\"office\"\nforward_to",
    },
    Break { from: "verified = true", to: "verified = true, langauge = \"ja\"", at: "langauge" },
    Break {
        from: "timezone = \"Asia/Tokyo\"",
        to: "timezone = \"Asia/Tokio\"",
        at: "\"Asia/Tokio\"",
    },
    Break {
        from: "default_trunk = \"carrier\"",
        to: "default_trunk = \"carier\"",
        at: "\"carier\"",
    },
];

#[test]
fn each_broken_copy_names_the_exact_place_and_nothing_else() {
    let mut texts = String::new();
    for broken in ONE_ERROR {
        let text = broken.apply(&sample());
        let report = load(&text, &Capabilities::all()).report;
        let errors: Vec<_> = report.errors().collect();
        let found: Vec<_> = errors.iter().map(|error| (error.line, error.column)).collect();
        assert_eq!(found, [broken.position(&text)], "{}\n{report}", broken.to);
        texts.push_str(&report.to_string());
        texts.push('\n');
    }
    insta::assert_snapshot!(texts);
}

fn errors(report: &Report) -> Vec<(String, u32, u32, String)> {
    let place = |error: &koukan_dialplan::Diagnostic| {
        (error.path.to_string(), error.line, error.column, error.message.clone())
    };
    report.errors().map(place).collect()
}

#[test]
fn two_errors_in_one_file_are_both_reported() {
    let text = sample().replace("ext = \"804\"", "etx = \"804\"");
    let text = text.replace("dial = \"600\"", "dial = 600");
    let found = errors(&load(&text, &Capabilities::all()).report);
    let messages: Vec<&str> = found.iter().map(|(.., message)| message.as_str()).collect();
    assert!(messages.contains(&"unknown key `etx` in device.D"), "{messages:?}");
    assert!(messages.contains(&"extension.echo.dial cannot be an integer"), "{messages:?}");
}

#[test]
fn syntax_errors_do_not_hide_each_other_nor_what_stands_elsewhere() {
    let text = sample().replace("ext = \"804\"", "ext = = \"804\"");
    let text = text.replace("step = \"0s\" }", "step = \"0s\"");
    let text = text.replace("did = \"0312340003\"", "did = \"0312340003\"\nddi = 1");
    let report = load(&text, &Capabilities::all()).report;
    insta::assert_snapshot!(report.to_string());
}

#[test]
fn a_key_defined_in_two_files_names_both_places() {
    let files = [
        ("a.toml", "schema = 1\n[tenant]\nid = \"acme\"\ntimezone = \"Asia/Tokyo\"\n"),
        ("b.toml", "schema = 1\n[tenant]\nlanguage = \"en\"\nid = \"acme2\"\n"),
    ];
    let report = load_files(&files, &Capabilities::all()).report;
    insta::assert_snapshot!(report.to_string(), @r#"
    b.toml:4:1  `tenant.id` is defined twice
        id = "acme2"
        ^^ first at a.toml:3
    "#);
}

#[test]
fn a_file_split_in_two_is_the_same_office() {
    let text = sample();
    let (first, second) = text.split_once("[schedule.office]").expect("the sample has a schedule");
    let second = format!("schema = 1\n[schedule.office]{second}");
    let files = [("a.toml", first), ("b.toml", second.as_str())];
    assert_eq!(load_files(&files, &Capabilities::all()).report.to_string(), "");
}

#[test]
fn a_broken_tenant_is_refused_alone_and_what_is_taken_is_taken_for_all() {
    let office = |name: &str, text: String| TenantSource {
        name: name.to_owned(),
        files: vec![(format!("{name}/office.toml"), text)],
    };
    let twin = sample().replace("id = \"acme\"", "id = \"beta\"");
    let tenants = [
        office("broken", String::from("schema = 1\ntenant = 7\n")),
        office("acme", sample()),
        office("beta", twin),
    ];
    let loaded = Plans::load(&tenants, &[], &Capabilities::all(), wednesday());
    let ids: Vec<_> = loaded.plans.tenants().map(ToString::to_string).collect();
    assert_eq!(ids, ["acme"]);
    assert_eq!(loaded.refused.iter().map(|name| &**name).collect::<Vec<_>>(), ["broken", "beta"]);
    let twice = loaded.report.errors().filter(|error| error.message.contains("taken twice"));
    assert_eq!(twice.count(), 4, "{}", loaded.report);
}

#[test]
fn what_this_version_does_not_execute_is_refused_at_its_place() {
    let report = load(&sample(), &Capabilities::this_version()).report;
    assert!(report.errors().all(|error| error.message.ends_with("not supported by this version")));
    insta::assert_snapshot!(report.to_string());
}

#[test]
fn an_office_that_says_nothing_of_the_outside_is_in_order() {
    let text = "schema = 1\ntenant = { id = \"acme\", timezone = \"Asia/Tokyo\" }\n\
                [device.A]\next = \"801\"\nkind = \"desk\"\nsecret = \"env:A\"\n\
                [number.main]\ndid = \"0312340001\"\nrole = \"contract\"\n\
                ring = { devices = [\"A\"] }\n";
    assert_eq!(load(text, &Capabilities::this_version()).report.to_string(), "");
}
