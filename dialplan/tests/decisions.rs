//! Decisions in the corners of the fixed order: full channels, hidden callers, circles, routes.

mod office;

use std::sync::Arc;
use std::time::Duration;

use koukan_dialplan::{
    Caller, Capabilities, Decision, DeviceSignalling, Direction, DiversionHeader, Facts,
    IdentityHeader, Idle, Loaded, Origin, Plans, SrtpPolicy, Start, State, Step, TenantSource,
    TrunkSignalling,
};
use office::{load, sample, wednesday};

/// A switch with so many channels in use, and these devices off.
#[derive(Default)]
struct Busy {
    tenant: u32,
    number: u32,
    trunk: u32,
    off: &'static [&'static str],
}

impl State for Busy {
    fn reachable(&self, _tenant: &str, device: &str) -> bool {
        !self.off.contains(&device)
    }
    fn tenant_channels(&self, _tenant: &str) -> u32 {
        self.tenant
    }
    fn number_channels(&self, _tenant: &str, _number: &str) -> u32 {
        self.number
    }
    fn trunk_channels(&self, _tenant: Option<&str>, _trunk: &str) -> u32 {
        self.trunk
    }
}

fn plans(text: &str) -> Plans {
    let Loaded { plans, report, .. } = load(text, &Capabilities::all());
    assert!(report.is_ok(), "{report}");
    plans
}

/// The sample without its expectations, so that it may be changed.
fn free_sample() -> String {
    let text = sample();
    text.split_once("[[expect]]").expect("the sample has expectations").0.to_owned()
}

fn from_trunk(plans: &Plans, called: &str, state: &dyn State) -> Decision {
    let origin = Origin::Trunk { tenant: Some(Arc::from("acme")), trunk: Arc::from("carrier") };
    let caller = Caller { number: Some(Arc::from("+81455550001")), ..Caller::default() };
    plans.decide(&Facts { at: wednesday(), origin: &origin, caller: &caller, called, state })
}

fn from_device(plans: &Plans, device: &str, called: &str, state: &dyn State) -> Decision {
    let origin = Origin::Device { tenant: Arc::from("acme"), device: Arc::from(device) };
    let caller = Caller::default();
    plans.decide(&Facts { at: wednesday(), origin: &origin, caller: &caller, called, state })
}

#[test]
fn a_full_office_sends_callers_to_voicemail_or_plays_the_busy_prompt() {
    let plans = plans(&sample());
    let full = Busy { tenant: 6, ..Busy::default() };
    let first = from_trunk(&plans, "0312340001", &full);
    assert!(matches!(first.steps.as_slice(), [Step::Voicemail { .. }]));
    assert!(!first.uses_channel);
    let second = from_trunk(&plans, "0312340002", &full);
    let [Step::Announce { name, answered: false, .. }] = second.steps.as_slice() else {
        panic!("{second:?}")
    };
    assert_eq!((&**name, second.release.status), ("lines-busy", 486));
    assert_eq!(&*second.release.cause, "channels:tenant");
    let one_left = Busy { tenant: 5, ..Busy::default() };
    assert!(from_trunk(&plans, "0312340002", &one_left).uses_channel);
    let out = from_device(&plans, "A", "0455550001", &full);
    assert_eq!((out.release.status, &*out.release.cause), (486, "channels:tenant"));
    assert!(out.steps.is_empty() && !out.uses_channel);
}

#[test]
fn a_number_and_a_trunk_have_caps_of_their_own() {
    let text = free_sample().replace("busy_announcement = true", "channels = 2");
    let plans = plans(&text);
    let full = Busy { number: 2, ..Busy::default() };
    let decision = from_trunk(&plans, "0312340002", &full);
    assert_eq!(&*decision.release.cause, "channels:number:number2");
    let full = Busy { trunk: 30, ..Busy::default() };
    let decision = from_device(&plans, "A", "0455550001", &full);
    assert_eq!((decision.release.status, &*decision.release.cause), (503, "trunks-busy"));
}

#[test]
fn a_forwarded_call_needs_two_channels_of_its_trunk() {
    let text = free_sample().replace("mode = \"schedule\"", "mode = \"forward\"");
    let plans = plans(&text);
    let forward = |used| {
        let state = Busy { trunk: used, ..Busy::default() };
        from_trunk(&plans, "0312340001", &state)
    };
    assert!(matches!(forward(28).steps.as_slice(), [Step::Forward(_)]));
    assert_eq!(&*forward(29).release.cause, "trunks-busy");
}

#[test]
fn numbers_that_forward_to_each_other_end_as_a_loop() {
    let text = free_sample()
        .replace("mode = \"schedule\"", "mode = \"forward\"")
        .replace("forward_to = \"09012345678\"", "forward_to = \"0312340002\"")
        .replace(
            "mode = \"ring\"\nbusy_announcement = true",
            "mode = \"forward\"\nforward_to = \"+81312340001\"\noptions = [\"forwarding\"]",
        );
    let decision = from_trunk(&plans(&text), "0312340001", &Idle);
    assert_eq!((decision.release.status, &*decision.release.cause), (482, "loop"));
    assert!(decision.steps.is_empty());
}

#[test]
fn nobody_reachable_goes_on_at_once() {
    let plans = plans(&sample());
    let off = Busy { off: &["A", "B", "C", "D", "E"], ..Busy::default() };
    let first = from_trunk(&plans, "0312340003", &off);
    assert!(matches!(first.steps.as_slice(), [Step::Voicemail { .. }]));
    let second = from_trunk(&plans, "0312340002", &off);
    assert_eq!((second.release.status, &*second.release.cause), (480, "not-reachable"));
    assert_eq!(second.release.prompt.expect("a prompt").name.as_ref(), "not-reachable");
}

#[test]
fn tiers_begin_by_step_and_a_step_never_waits_for_the_unreachable() {
    let starts = |step: &str| {
        let text = free_sample().replace("step = \"0s\"", &format!("step = \"{step}\""));
        let decision = from_trunk(&plans(&text), "0312340001", &Idle);
        match decision.steps.into_iter().next() {
            Some(Step::Ring { targets, timeout, .. }) => {
                assert_eq!(timeout, Duration::from_secs(20));
                targets.into_iter().map(|target| target.start).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    let now = Start::After(Duration::ZERO);
    let later = Start::After(Duration::from_secs(10));
    assert_eq!(starts("10s"), [now, now, later, later, now]);
    let never = Start::WhenUnreachable;
    assert_eq!(starts("never"), [now, now, never, never, now]);
}

#[test]
fn a_caller_on_the_block_list_and_a_hidden_one_are_refused_where_the_plan_says_so() {
    let text = free_sample()
        .replace("busy_announcement = true", "blocked = [\"0455550001\"]\nblock_anonymous = true");
    let plans = plans(&text);
    assert_eq!(from_trunk(&plans, "0312340002", &Idle).release.status, 603);
    let origin = Origin::Trunk { tenant: Some(Arc::from("acme")), trunk: Arc::from("carrier") };
    let caller = Caller { anonymous: true, ..Caller::default() };
    let facts =
        |called| Facts { at: wednesday(), origin: &origin, caller: &caller, called, state: &Idle };
    assert_eq!(plans.decide(&facts("0312340002")).release.status, 433);
    let accepted = plans.decide(&facts("0312340003"));
    assert!(matches!(accepted.steps.first(), Some(Step::Ring { .. })));
    assert_eq!(accepted.caller, None);
}

#[test]
fn the_caller_is_shown_in_national_form_and_a_colleague_by_extension() {
    let plans = plans(&sample());
    let inbound = from_trunk(&plans, "+81312340002", &Idle);
    assert_eq!(inbound.caller.as_deref(), Some("0455550001"));
    assert_eq!(inbound.direction, Direction::Inbound);
    let internal = from_device(&plans, "A", "802", &Idle);
    assert_eq!(internal.caller.as_deref(), Some("801"));
    assert_eq!(internal.direction, Direction::Internal);
    assert!(!internal.uses_channel);
}

#[test]
fn an_outside_prefix_is_asked_for_and_taken_off() {
    let text =
        free_sample().replace("area_code = \"03\"", "area_code = \"03\"\noutside_prefix = \"0\"");
    let plans = plans(&text);
    let number = |called| match from_device(&plans, "A", called, &Idle).steps.first() {
        Some(Step::Trunk(leg)) => leg.number.to_string(),
        _ => String::from("refused"),
    };
    assert_eq!(number("00455550001"), "0455550001");
    assert_eq!(number("055550001"), "0355550001");
    assert_eq!(number("0455550001"), "refused");
    assert_eq!(number("+81455550001"), "0455550001");
    assert_eq!(from_device(&plans, "A", "999", &Idle).release.status, 404);
}

#[test]
fn kinds_of_device_reach_their_classes_and_classes_their_trunks() {
    let text = free_sample()
        .replace(
            "default_trunk = \"carrier\"",
            "default_trunk = \"carrier\"\nallow = { app = [\"fixed\"] }\n\
             route = { mobile = [\"second\", \"carrier\"], navi = \"second\" }",
        )
        .replace("[class]\n", "[trunk.second]\naddress = \"192.0.2.9\"\nnumbers = []\n[class]\n");
    let plans = plans(&text);
    let mobile = from_device(&plans, "C", "09012345678", &Idle);
    assert_eq!(&*mobile.release.cause, "not-allowed:mobile");
    let mobile = from_device(&plans, "A", "09012345678", &Idle);
    let Some(Step::Trunk(leg)) = mobile.steps.first() else { panic!("{mobile:?}") };
    let names: Vec<_> = leg.trunks.iter().map(|(_, name)| name.to_string()).collect();
    assert_eq!(names, ["second", "carrier"]);
}

#[test]
fn a_class_ends_with_its_last_day() {
    let plans = plans(&sample());
    let origin = Origin::Device { tenant: Arc::from("acme"), device: Arc::from("A") };
    let caller = Caller::default();
    let decide = |at: &str| {
        let at = at.parse().expect("a date");
        let facts = Facts { at, origin: &origin, caller: &caller, called: "104", state: &Idle };
        plans.decide(&facts)
    };
    assert!(matches!(decide("2026-03-31T23:59:59+09:00").steps.as_slice(), [Step::Trunk(_)]));
    assert_eq!(&*decide("2026-04-01T00:00:00+09:00").release.cause, "no-class");
}

#[test]
fn a_trunk_of_the_server_brings_every_office_and_one_of_a_tenant_only_its_own() {
    let office = |id: &str, did: &str| {
        let text = format!(
            "schema = 1\n[tenant]\nid = \"{id}\"\ntimezone = \"Asia/Tokyo\"\n\
             [device.A]\next = \"801\"\nkind = \"desk\"\nsecret = \"env:A\"\n\
             [number.main]\ndid = \"{did}\"\nrole = \"contract\"\nring = {{ devices = [\"A\"] }}\n\
             [class]\nfixed = {{ prefix = [\"03\"], digits = 10 }}\n\
             [outbound]\ndefault_trunk = \"shared\"\n\
             [trunk.own]\naddress = \"192.0.2.{}\"\n",
            id.len()
        );
        TenantSource { name: id.to_owned(), files: vec![(format!("{id}.toml"), text)] }
    };
    let trunks = "[trunk.shared]\naddress = \"198.51.100.7:5060\"\nprofile = \"e164\"\n";
    let trunks = [(String::from("trunks.toml"), trunks.to_owned())];
    let tenants = [office("one", "0312340001"), office("three", "0312340003")];
    let loaded = Plans::load(&tenants, &trunks, &Capabilities::this_version(), wednesday());
    assert_eq!(loaded.report.to_string(), "");
    let plans = loaded.plans;
    let decide = |origin: Origin, called: &str| {
        let caller = Caller::default();
        let facts =
            Facts { at: wednesday(), origin: &origin, caller: &caller, called, state: &Idle };
        plans.decide(&facts)
    };
    let shared = || Origin::Trunk { tenant: None, trunk: Arc::from("shared") };
    let own = || Origin::Trunk { tenant: Some(Arc::from("one")), trunk: Arc::from("own") };
    let phone = || Origin::Device { tenant: Arc::from("one"), device: Arc::from("A") };
    assert_eq!(&*decide(shared(), "0312340003").tenant, "three");
    assert_eq!(&*decide(own(), "0312340001").tenant, "one");
    assert_eq!(decide(own(), "0312340003").release.status, 404);
    let neighbour = decide(phone(), "0312340003");
    assert_eq!((&*neighbour.tenant, neighbour.caller.as_deref()), ("three", Some("0312340001")));
    let out = decide(phone(), "0355550001");
    let Some(Step::Trunk(leg)) = out.steps.first() else { panic!("{out:?}") };
    assert_eq!(&*leg.number, "+81355550001");
    assert_eq!(leg.shown_caller.as_deref(), Some("+81312340001"));
}

#[test]
fn a_device_is_found_by_its_user_and_by_its_extension_in_the_tenants_own_domain() {
    let text = sample().replace("id = \"acme\",", "id = \"acme\", domains = [\"acme.example\"],");
    let plans = plans(&text);
    let device = |user, domain| plans.device_by_user(user, domain).map(|d| d.device.to_string());
    assert_eq!(device("acme-803", "192.0.2.1").as_deref(), Some("C"));
    assert_eq!(device("803", "ACME.example").as_deref(), Some("C"));
    assert_eq!(device("803", "other.example"), None);
    assert_eq!(plans.language("acme"), "ja");
    assert_ne!(plans.generation("acme"), 0);
    assert_eq!(plans.generation("nobody"), 0);
}

#[test]
fn a_phone_that_asks_for_privacy_is_hidden_outside_unless_it_dials_186() {
    let plans = plans(&free_sample());
    let origin = Origin::Device { tenant: Arc::from("acme"), device: Arc::from("A") };
    let caller = Caller { anonymous: true, ..Caller::default() };
    for (called, hidden) in [("0455550001", true), ("1860455550001", false)] {
        let facts =
            Facts { at: wednesday(), origin: &origin, caller: &caller, called, state: &Idle };
        let decision = plans.decide(&facts);
        let Some(Step::Trunk(leg)) = decision.steps.first() else { panic!("{decision:?}") };
        assert_eq!(leg.anonymous, hidden, "{called}");
    }
}

#[test]
fn signalling_is_cautious_unless_the_plan_says_otherwise() {
    let text = free_sample();
    let plain = plans(&text);
    let trunk = plain.trunk(Some("acme"), "carrier").unwrap().signalling;
    assert_eq!(trunk, TrunkSignalling::default());
    assert!(trunk.trusted && !trunk.transfer);
    let text = text.replace(
        "profile = \"jp-ngn\"",
        "profile = \"jp-ngn\"\ntrusted = false\nidentity = \"preferred\"\ntransfer = true\n\
         diversion = \"history-info\"\nsession_expires = \"300s\"",
    );
    let text = text.replacen(
        "ext = \"801\"",
        "ext = \"801\"\nredirect = true\nmwi = \"unsolicited\"\nsrtp = \"offer\"",
        1,
    );
    let set = plans(&text);
    let expected = TrunkSignalling {
        trusted: false,
        identity: IdentityHeader::Preferred,
        diversion: DiversionHeader::HistoryInfo,
        transfer: true,
        session_expires: Some(Duration::from_secs(300)),
        ..TrunkSignalling::default()
    };
    assert_eq!(set.trunk(Some("acme"), "carrier").unwrap().signalling, expected);
    let device = set.device("acme", "A").unwrap().signalling;
    assert_eq!(
        device,
        DeviceSignalling { redirect: true, unsolicited_mwi: true, srtp: SrtpPolicy::Offer }
    );
    assert_eq!(set.device("acme", "B").unwrap().signalling, DeviceSignalling::default());
}

#[test]
fn who_calls_a_number_that_it_answers_itself_rings_the_others() {
    let plans = plans(&sample());
    let rings = |device, called| match from_device(&plans, device, called, &Idle).steps.first() {
        Some(Step::Ring { targets, .. }) => {
            targets.iter().map(|target| target.device.to_string()).collect::<String>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(rings("C", "0312340002"), "AB");
    assert_eq!(rings("F", "0312340002"), "ABC");
}
