//! The sample office of the language's description: every expectation holds, and one error in a copy
//! of it is named at its exact place.
#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

use koukan_dialplan::{
    Caller, Capabilities, Decision, Facts, Origin, Plans, Quiet, Report, SourceFile, Start, State,
    Step, TenantSource, moment,
};

const OFFICE: &str = include_str!("data/acme/office.toml");

fn load_files(files: &[(&str, &str)]) -> (Plans, Report) {
    let file =
        |(path, text): &(&str, &str)| SourceFile { path: (*path).into(), text: (*text).into() };
    let files = files.iter().map(file).collect();
    Plans::load(vec![TenantSource { name: "acme".into(), files }], &Capabilities::all())
}

fn load(text: &str) -> (Plans, Report) {
    load_files(&[("office.toml", text)])
}

fn decide(plans: &Plans, from: Option<&str>, to: &str, at: &str, state: &dyn State) -> Decision {
    let origin = match from {
        Some(device) => Origin::Device { tenant: "acme".into(), device: device.into() },
        None => Origin::Trunk { tenant: Some("acme".into()), trunk: "carrier".into() },
    };
    let caller = Caller { number: Some("0455550001".into()), anonymous: false };
    let at = moment(plans.plan("acme").unwrap(), at).unwrap();
    plans.decide(&Facts { at, origin: &origin, caller: &caller, called: to, state })
}

#[test]
fn every_expectation_of_the_sample_holds() {
    let (plans, report) = load(OFFICE);
    assert_eq!(report.to_string(), "");
    assert_eq!(plans.plan("acme").unwrap().expects.len(), 8);
}

#[test]
fn an_expectation_that_does_not_hold_is_named_with_its_reasons() {
    let text = OFFICE.replace("rings = [\"D\", \"E\"]", "rings = [\"D\", \"C\"]");
    let (_, report) = load(&text);
    assert_eq!(report.errors.len(), 1);
    let error = report.errors[0].to_string();
    assert!(error.contains("rings is D E"), "{error}");
    assert!(error.contains("number.number3.ring: rings D E"), "{error}");
}

/// What is changed, where the error must be named (by the text at that place) and what it must say.
const BROKEN: &[(&str, &str, &str, &str)] = &[
    (
        "kind = \"ata\"\nmodel = \"ht801\"\nmac = \"c0:74:ad:00:00:05\"",
        "knid = \"ata\"",
        "knid",
        "did you mean \"kind\"?",
    ),
    (
        "kind = \"ata\"\nmodel = \"ht801\"\nmac = \"c0:74:ad:00:00:06\"",
        "kind = \"atta\"",
        "\"atta\"",
        "did you mean \"ata\"?",
    ),
    (
        "caller_id = \"number2\"",
        "caller_id = \"numbr2\"",
        "\"numbr2\"",
        "did you mean \"number2\"?",
    ),
    ("ext = \"804\"", "ext = \"803\"", "\"803\"", "extension \"803\" is used twice"),
    (
        "did = \"0312340003\"",
        "did = \"0312340001\"",
        "\"0312340001\"",
        "number \"0312340001\" is used twice",
    ),
    ("schedule = \"office\"", "schedule = \"ofice\"", "\"ofice\"", "did you mean \"office\"?"),
    (
        "from = \"12:00\", to = \"13:00\"",
        "from = \"12:10\", to = \"13:00\"",
        "\"12:10\"",
        "half hour",
    ),
    (
        "{ from = \"18:00\", to = \"20:00\"",
        "{ from = \"17:30\", to = \"20:00\"",
        "{ from = \"17:30\"",
        "overlap",
    ),
    (
        "busy_announcement = true",
        "busy_announcement = true\nvoicemail = { box = \"main\", after = \"20s\" }",
        "true",
        "not available on a number with voicemail",
    ),
    ("after = \"15s\"", "after = \"35s\"", "\"35s\"", "5, 10, 15, 20, 25 or 30"),
    (
        "secret = \"file:secrets/A\"",
        "secret = \"hunter2\"",
        "\"hunter2\"",
        "never stands in the plan",
    ),
    ("do = \"echo\"", "do = \"ecko\"", "\"ecko\"", "did you mean \"echo\"?"),
    ("dial = \"600\"", "dial = \"110\"", "\"110\"", "hides a number of the network"),
    ("max_message = \"30s\"", "max_message = 30", "30", "a duration"),
    (
        "holidays = [\"calendar:jp\"",
        "holidays = [\"calendar:us\"",
        "\"calendar:us\"",
        "unknown source of holidays",
    ),
    (
        "price = \"20\", per = \"30s\" },\n  { leg = \"out\", device = [\"desk\", \"ata\"], class = [\"fixed\"]",
        "price = 20, per = \"30s\" },\n  { leg = \"out\", device = [\"desk\", \"ata\"], class = [\"fixed\"]",
        "20,",
        "an amount in quotes",
    ),
];

#[test]
fn one_error_in_a_copy_is_named_at_its_exact_place() {
    for (good, bad, marked, message) in BROKEN {
        assert_eq!(OFFICE.matches(good).count(), 1, "{good}");
        let text = OFFICE.replace(good, bad);
        let start = OFFICE.find(good).unwrap() + bad.find(marked).unwrap();
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[..start].matches('\n').count() + 1;
        let column = text[line_start..start].chars().count() + 1;
        let (_, report) = load(&text);
        let found = report.errors.iter().find(|error| {
            error.line == line && error.column == column && error.to_string().contains(message)
        });
        assert!(found.is_some(), "{bad} at {line}:{column}:\n{report}");
        let others =
            report.errors.iter().filter(|error| (error.line, error.column) != (line, column));
        let allowed = usize::from(bad.contains("knid"));
        assert!(others.count() <= allowed, "more than the one error for {bad}:\n{report}");
    }
}

#[test]
fn two_errors_in_one_file_are_both_reported_and_a_syntax_error_hides_neither() {
    let text = OFFICE
        .replace("ext = \"801\"", "ext = 801")
        .replace("strategy = \"priority\"", "strategy = \"prio\"");
    let (_, report) = load(&text);
    assert_eq!(report.errors.len(), 2, "{report}");
    let text = OFFICE.replace("do = \"echo\"", "do = \"ecko\"").replace("ext = \"801\"", "ext = ");
    let (_, report) = load(&text);
    let all = report.to_string();
    assert!(all.contains("syntax error") && all.contains("ecko"), "{all}");
}

#[test]
fn a_key_in_two_files_is_an_error_that_names_both_places() {
    let second = "[device.A]\next = \"899\"\nkind = \"app\"\nsecret = \"env:X\"\n";
    let (_, report) = load_files(&[("a.toml", OFFICE), ("b.toml", second)]);
    let all = report.to_string();
    assert!(all.contains("b.toml:1:9  \"A\" is defined twice"), "{all}");
    assert!(all.contains("first defined at a.toml:4:9"), "{all}");
}

#[test]
fn a_field_that_this_version_does_not_execute_is_refused_where_it_stands() {
    let file = SourceFile { path: "office.toml".into(), text: OFFICE.into() };
    let tenants = vec![TenantSource { name: "acme".into(), files: vec![file] }];
    let (plans, report) = Plans::load(tenants, &Capabilities::this_version());
    assert!(plans.plan("acme").is_none());
    let all = report.to_string();
    for key in ["\"voicemail\"", "\"fax\"", "\"record\"", "\"keys\"", "\"tariff\"", "\"park\""] {
        assert!(all.contains(&format!("{key} is not supported by this version")), "{key}:\n{all}");
    }
}

#[test]
fn the_three_numbers_ring_their_devices_and_no_fax_machine() {
    let (plans, _) = load(OFFICE);
    for (did, expected) in
        [("0312340001", "A B C D E"), ("0312340002", "A B C"), ("0312340003", "D E")]
    {
        let decision = decide(&plans, None, did, "2026-07-01T10:00", &Quiet);
        let Some(Step::Ring { targets, .. }) = decision.steps.first() else {
            panic!("{:?}", decision.steps)
        };
        let names: Vec<&str> = targets.iter().map(|target| &*target.device).collect();
        assert_eq!(names.join(" "), expected);
        assert!(
            targets.iter().all(|target| target.start == Start::After(std::time::Duration::ZERO))
        );
    }
}

struct Busy;

impl State for Busy {
    fn reachable(&self, _: &str, _: &str) -> bool {
        true
    }
    fn tenant_channels(&self, _: &str) -> u32 {
        6
    }
    fn number_channels(&self, _: &str, _: &str) -> u32 {
        0
    }
    fn trunk_channels(&self, _: Option<&str>, _: &str) -> u32 {
        0
    }
}

#[test]
fn a_full_office_answers_by_the_rules_of_each_number() {
    let (plans, _) = load(OFFICE);
    let at = "2026-07-01T10:00";
    let first = decide(&plans, None, "0312340001", at, &Busy);
    assert!(matches!(first.steps[..], [Step::Voicemail { .. }]), "{first:?}");
    let second = decide(&plans, None, "0312340002", at, &Busy);
    assert_eq!(second.release.prompt.as_ref().map(|prompt| &*prompt.name), Some("lines-busy"));
    let lunch = decide(&plans, None, "0312340001", "2026-07-01T12:30", &Busy);
    assert!(matches!(lunch.steps.first(), Some(Step::Announce { .. })), "needs no channel");
    let out = decide(&plans, Some("A"), "0455550001", at, &Busy);
    assert_eq!((out.release.status, &*out.release.cause), (486, "channels-full"));
}

#[test]
fn a_device_calls_devices_extensions_numbers_and_outside() {
    let (plans, _) = load(OFFICE);
    let call = |to: &str| decide(&plans, Some("A"), to, "2026-07-01T10:00", &Quiet);
    assert!(matches!(call("600").steps[..], [Step::Echo]));
    assert!(matches!(&call("802").steps[..], [Step::Ring { targets, .. }] if targets.len() == 1));
    assert!(matches!(&call("0312340002").steps[0], Step::Ring { .. }), "on-net");
    let outside = |to: &str| match &call(to).steps[..] {
        [Step::Trunk(call)] => (call.number.to_string(), call.class.to_string(), call.anonymous),
        other => panic!("{to}: {other:?}"),
    };
    assert_eq!(outside("0455550001"), ("0455550001".into(), "fixed".into(), false));
    assert_eq!(outside("1840455550001"), ("0455550001".into(), "fixed".into(), true));
    assert_eq!(outside("+81455550001"), ("0455550001".into(), "fixed".into(), false));
    assert_eq!(outside("55550001"), ("0355550001".into(), "fixed".into(), false));
    assert_eq!(outside("09012345678").1, "mobile");
    for (to, cause) in [
        ("119", "blocked:emergency"),
        ("0101234567", "blocked:international"),
        ("104", "no-class"),
        ("999", "no-class"),
        ("0570123456789", "no-class"),
    ] {
        assert_eq!(&*call(to).release.cause, cause, "{to}");
    }
}

#[test]
fn a_toll_free_call_goes_on_as_its_target_and_an_unknown_number_is_announced() {
    let (plans, _) = load(OFFICE);
    let call = |to: &str| decide(&plans, None, to, "2026-07-01T10:00", &Quiet);
    assert_eq!(call("0120000001").number.as_deref(), Some("number1"));
    let unknown = call("0399999999");
    assert_eq!(unknown.release.status, 404);
    assert_eq!(unknown.release.prompt.as_ref().map(|prompt| &*prompt.name), Some("unallocated"));
}

#[test]
fn every_mutation_of_the_sample_is_judged_without_a_panic() {
    let mut state = 7u64;
    for _ in 0..400 {
        let mut bytes = OFFICE.as_bytes().to_vec();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(state >> 33).unwrap() % bytes.len();
            match state % 3 {
                0 => drop(bytes.remove(at)),
                1 => bytes[at] = u8::try_from((state >> 8) % 128).unwrap(),
                _ => bytes.insert(at, b"\"[]{}=.\n#'"[usize::try_from(state >> 40).unwrap() % 10]),
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (_, report) = load(&text);
        let lines = text.lines().count() + 1;
        assert!(report.errors.iter().all(|error| error.line <= lines && error.column >= 1));
    }
}
