//! `[lookup]`: what is asked before a call from outside is decided, and what is wrong in it.

mod office;

use std::sync::Arc;
use std::time::Duration;

use koukan_dialplan::{
    Caller, Capabilities, Facts, ModuleSource, Origin, Plans, Sources, TenantSource,
};
use office::{line_and_column, sample, wednesday};

fn module(name: &str, schema: &str) -> ModuleSource {
    ModuleSource { name: name.to_owned(), schema: schema.to_owned() }
}

/// The sample with these lines, on a server with three modules.
fn load(lines: &str) -> (String, koukan_dialplan::Loaded) {
    let text = format!("{}\n{lines}", sample());
    let tenant =
        TenantSource { name: "acme".into(), files: vec![("office.toml".to_owned(), text.clone())] };
    let modules = vec![
        module("callers", "[\"kk.source/1\"]\n"),
        module("greeter", "[greet]\n"),
        module("silent", ""),
    ];
    let sources = Sources { tenants: vec![tenant], modules: Some(modules), ..Sources::default() };
    (text, Plans::load_all(&sources, &Capabilities::all(), wednesday()))
}

#[test]
fn what_is_wrong_is_named_at_its_place() {
    let cases = [
        ("[lookup]\nmodule = \"calers\"\n", "\"calers\"", "did you mean \"callers\"?"),
        ("[lookup]\nmodule = \"greeter\"\n", "\"greeter\"", "answers no lookups"),
        ("[lookup]\nmodule = \"callers\"\nwithin_ms = 5000\n", "5000", "20 to 2000"),
        ("[lookup]\nmodule = \"callers\"\nwithin = 5\n", "within", "within_ms"),
        ("[lookup]\nwithin_ms = 50\n", "[lookup]", "has no `module`"),
    ];
    for (lines, at, words) in cases {
        let (text, loaded) = load(lines);
        let from = text.find(lines).expect("they are there");
        let at = text[from..].find(at).map(|at| from + at).expect("it is there");
        let (line, column) = line_and_column(&text, at);
        let told: Vec<String> = loaded.report.errors().map(ToString::to_string).collect();
        let [one] = told.as_slice() else { panic!("{lines}: {told:?}") };
        assert!(one.contains(&format!("office.toml:{line}:{column} ")), "{line}:{column} {one}");
        assert!(one.contains(words), "{words}: {one}");
    }
    for fine in ["[lookup]\nmodule = \"callers\"\n", "[lookup]\nmodule = \"silent\"\n"] {
        assert_eq!(load(fine).1.report.errors().count(), 0, "{fine}");
    }
}

#[test]
fn an_office_asks_about_numbers_that_call_its_own_from_outside() {
    let plans = load("[lookup]\nmodule = \"callers\"\nwithin_ms = 150\n").1.plans;
    let trunk = Origin::Trunk { tenant: Some(Arc::from("acme")), trunk: Arc::from("carrier") };
    let device = Origin::Device { tenant: Arc::from("acme"), device: Arc::from("A") };
    let ask = |origin: &Origin, number: Option<&str>, called: &str| {
        let caller = Caller {
            number: number.map(Arc::from),
            anonymous: number.is_none(),
            ..Caller::default()
        };
        let state = &koukan_dialplan::Idle;
        plans.lookup(&Facts { at: wednesday(), origin, caller: &caller, called, state })
    };
    for number in ["0455550001", "+81455550001"] {
        let asked = ask(&trunk, Some(number), "0312340001").expect("it is asked");
        assert_eq!((&*asked.tenant, &*asked.module), ("acme", "callers"));
        assert_eq!((&*asked.number, &*asked.national), ("+81455550001", "0455550001"));
        assert_eq!((&*asked.called, asked.within), ("+81312340001", Duration::from_millis(150)));
    }
    assert!(ask(&trunk, Some("+14155550100"), "0312340001").is_some());
    assert_eq!(ask(&trunk, None, "0312340001"), None, "nobody knows a hidden caller");
    assert_eq!(ask(&trunk, Some("0455550001"), "0399999999"), None, "no number of the office");
    assert_eq!(ask(&device, Some("801"), "0312340001"), None, "a colleague");
    assert_eq!(
        load("").1.plans.lookup(&Facts {
            at: wednesday(),
            origin: &trunk,
            caller: &Caller { number: Some(Arc::from("0455550001")), ..Caller::default() },
            called: "0312340001",
            state: &koukan_dialplan::Idle,
        }),
        None
    );
}
