//! Rows S-01 to S-12: numbers, IDs, ringing, channels. Each test names its row.

mod office;

use std::time::Duration;

use koukan_dialplan::{Capabilities, Sources, Start, State as _, Step, TenantSource};
use office::world::{World, call_in, call_out, changed, plans};
use office::{load, sample, wednesday};

fn rung(step: Option<&Step>) -> Vec<String> {
    match step {
        Some(Step::Ring { targets, .. }) => targets.iter().map(|t| t.device.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

fn errors(text: &str) -> Vec<String> {
    let report = load(text, &Capabilities::all()).report;
    report.errors().map(|error| format!("{}; {}", error.message, error.hint)).collect()
}

#[test]
fn s_01_every_number_is_called_in_on_and_called_out_with() {
    let plans = plans(&sample());
    let world = World::default();
    for did in ["0312340001", "0312340002", "0312340003"] {
        assert!(!rung(call_in(&plans, wednesday(), did, &world).steps.first()).is_empty());
    }
    // Each device calls out with each number that it may show.
    let choose = changed(&[(
        "[tariff]\n",
        "[feature_codes]\ndefaults = true\nvoicemail = \"*98\"\n[tariff]\n",
    )]);
    let plans = office::world::plans(&choose);
    for (digit, did) in [("1", "0312340001"), ("2", "0312340002")] {
        let decision = call_out(&plans, "A", &format!("*67{digit}0455550001"), &world);
        let Some(Step::Trunk(leg)) = decision.steps.first() else { panic!("{decision:?}") };
        assert_eq!(leg.shown_caller.as_deref(), Some(did));
        assert_eq!(&*leg.number, "0455550001");
    }
    let refused = call_out(&plans, "A", "*6730455550001", &world);
    assert_eq!(&*refused.release.cause, "caller-number");
    let without_choice = call_out(&plans, "B", "*6710455550001", &world);
    assert_eq!(&*without_choice.release.cause, "caller-number");
}

#[test]
fn s_02_each_number_rings_exactly_its_devices() {
    let plans = plans(&sample());
    let ring = |did| rung(call_in(&plans, wednesday(), did, &World::default()).steps.first());
    assert_eq!(ring("0312340001"), ["A", "B", "C", "D", "E"]);
    assert_eq!(ring("0312340002"), ["A", "B", "C"]);
    assert_eq!(ring("0312340003"), ["D", "E"]);
}

#[test]
fn s_03_additional_numbers_are_two_at_most_and_never_more_than_additional_ids() {
    let third = "[number.more]\ndid = \"0312340009\"\nrole = \"additional\"\n\
                 ring = { devices = [\"A\"] }\n[number.free]";
    let found = errors(&changed(&[("[number.free]", third)]));
    let sentence =
        "number.more is one additional number too many; at most 2 additional numbers (S-03)";
    assert_eq!(found, [sentence]);
    let one_id = "schema = 1\ntenant = { id = \"x\", timezone = \"Asia/Tokyo\" }\n\
        [device.A]\next = \"801\"\nkind = \"desk\"\nsecret = \"env:A\"\n\
        [device.B]\next = \"802\"\nkind = \"desk\"\nsecret = \"env:A\"\n\
        [number.a]\ndid = \"0312340001\"\nrole = \"contract\"\nring = { devices = [\"A\"] }\n\
        [number.b]\ndid = \"0312340002\"\nrole = \"additional\"\nring = { devices = [\"A\"] }\n\
        [number.c]\ndid = \"0312340003\"\nrole = \"additional\"\nring = { devices = [\"A\"] }\n\
        [trunk.t]\naddress = \"192.0.2.1\"\n[outbound]\ndefault_trunk = \"t\"\n";
    let found = errors(one_id);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found.iter().all(|error| error.starts_with("number.c has no additional ID")));
}

#[test]
fn s_04_a_fourth_shared_number_of_the_old_plan_needs_a_human_whose_reason_is_written_down() {
    let plan = include_str!("../plans/standard.toml").replace(
        "additional = 2              # S-03\nper_id = \"additional\"",
        "additional = 3\nper_id = \"all\"",
    );
    let plan = plan.replace("override = false", "override = true");
    let numbers: String = (2..=5)
        .map(|n| {
            format!(
                "[number.n{n}]\ndid = \"031234000{n}\"\nrole = \"additional\"\n\
                 ring = {{ devices = [\"A\"] }}\n"
            )
        })
        .collect();
    let devices: String = "ABCDE"
        .chars()
        .zip(1..)
        .map(|(d, n)| {
            format!("[device.{d}]\next = \"80{n}\"\nkind = \"desk\"\nsecret = \"env:A\"\n")
        })
        .collect();
    let office = |more: &str| {
        let text = format!(
            "schema = 1\n[tenant]\nid = \"x\"\ntimezone = \"Asia/Tokyo\"\nplan = \"old\"\n{more}\
             {devices}[number.n1]\ndid = \"0312340001\"\nrole = \"contract\"\n\
             ring = {{ devices = [\"A\"] }}\n{numbers}[trunk.t]\naddress = \"192.0.2.1\"\n\
             [outbound]\ndefault_trunk = \"t\"\n"
        );
        let files = vec![(String::from("x.toml"), text)];
        let sources = Sources {
            tenants: vec![TenantSource { name: String::from("x"), files }],
            plans: vec![(String::from("conf/plans/old.toml"), plan.clone())],
            ..Sources::default()
        };
        koukan_dialplan::Plans::load_all(&sources, &Capabilities::all(), wednesday()).report
    };
    let refused = office("");
    let messages: Vec<_> = refused.errors().map(|error| error.message.as_str()).collect();
    assert_eq!(messages, ["number.n5 is one additional number too many"], "{refused}");
    let allowed = office("more_numbers = \"T. Sato, 2026-06-01\"\n");
    assert!(allowed.is_ok(), "{allowed}");
    let warning = allowed.warnings().next().expect("it is written down");
    assert!(warning.hint.ends_with("allowed by hand: T. Sato, 2026-06-01"), "{warning}");
}

#[test]
fn s_05_one_id_is_one_device_at_a_time_and_classes_are_app_phone_and_ata() {
    let plans = plans(&sample());
    assert!(plans.devices().all(|device| device.max_contacts == 1));
    let found = errors(&changed(&[(
        "kind = \"app\"\nsecret = \"file:secrets/C\"",
        "kind = \"pager\"\nsecret = \"file:secrets/C\"",
    )]));
    assert!(found.iter().any(|error| error.contains("cannot be \"pager\"")), "{found:?}");
}

#[test]
fn s_06_a_direct_number_of_the_old_plan_rings_its_own_device_only() {
    let plan = include_str!("../plans/standard.toml")
        .replace("direct_per_id = false", "direct_per_id = true");
    let office = |rings: &str| {
        let text = format!(
            "schema = 1\n[tenant]\nid = \"x\"\ntimezone = \"Asia/Tokyo\"\nplan = \"old\"\n\
             [device.A]\next = \"801\"\nkind = \"desk\"\nsecret = \"env:A\"\n\
             [device.B]\next = \"802\"\nkind = \"app\"\nsecret = \"env:A\"\n\
             [number.a]\ndid = \"05012340001\"\nrole = \"direct\"\nring = {{ devices = [\"A\"] }}\n\
             [number.b]\ndid = \"05012340002\"\nrole = \"direct\"\nring = {{ devices = [{rings}] }}\n\
             [trunk.t]\naddress = \"192.0.2.1\"\n[outbound]\ndefault_trunk = \"t\"\n"
        );
        let files = vec![(String::from("x.toml"), text)];
        let sources = Sources {
            tenants: vec![TenantSource { name: String::from("x"), files }],
            plans: vec![(String::from("conf/plans/old.toml"), plan.clone())],
            ..Sources::default()
        };
        koukan_dialplan::Plans::load_all(&sources, &Capabilities::all(), wednesday())
    };
    let good = office("\"B\"");
    assert!(good.report.is_ok(), "{}", good.report);
    let decision =
        good.plans.simulate("0455550001", "05012340002", None, wednesday(), &World::default());
    assert_eq!(rung(decision.expect("a call").decision.steps.first()), ["B"]);
    let bad = office("\"A\", \"B\"").report;
    assert!(bad.errors().any(|error| error.hint.contains("(S-06)")), "{bad}");
}

#[test]
fn s_07_calls_with_outside_are_as_many_as_ids_and_one_more_gets_the_busy_treatment() {
    let plans = plans(&sample());
    let with = |tenant| World { tenant, ..World::default() };
    assert!(call_in(&plans, wednesday(), "0312340003", &with(5)).uses_channel);
    let full = call_in(&plans, wednesday(), "0312340003", &with(6));
    // Number 3 has voicemail: the caller goes there at once.
    assert!(matches!(full.steps.as_slice(), [Step::Voicemail { .. }]));
    assert!(!full.uses_channel);
    let out = call_out(&plans, "A", "0455550001", &with(6));
    assert_eq!((out.release.status, &*out.release.cause), (486, "channels:tenant"));
}

#[test]
fn s_08_all_channels_full_plays_the_fixed_prompt_and_rings_nobody() {
    let plans = plans(&sample());
    let world = World { tenant: 6, ..World::default() };
    let full = call_in(&plans, wednesday(), "0312340002", &world);
    let [Step::Announce { name, answered, .. }] = full.steps.as_slice() else { panic!("{full:?}") };
    assert_eq!((&**name, *answered, full.release.status), ("lines-busy", false, 486));
}

#[test]
fn s_09_busy_announcement_and_voicemail_are_refused_together_with_the_plans_sentence() {
    let text = changed(&[(
        "busy_announcement = true",
        "busy_announcement = true\noptions = [\"voicemail\"]\n\
         voicemail = { box = \"main\", after = \"5s\" }",
    )]);
    let found = errors(&text);
    let sentence = "number.number2 has both busy_announcement and voicemail; \
                    with all channels full the caller goes to voicemail; choose one (S-09)";
    assert_eq!(found, [sentence]);
}

#[test]
fn s_09_the_scope_of_the_exclusion_is_data_of_the_plan() {
    let plan =
        include_str!("../plans/standard.toml").replace("scope = \"number\"", "scope = \"office\"");
    let files = vec![(
        String::from("acme.toml"),
        changed(&[("id = \"acme\"", "id = \"acme\", plan = \"strict\"")]),
    )];
    let sources = Sources {
        tenants: vec![TenantSource { name: String::from("acme"), files }],
        plans: vec![(String::from("strict.toml"), plan)],
        ..Sources::default()
    };
    let report =
        koukan_dialplan::Plans::load_all(&sources, &Capabilities::all(), wednesday()).report;
    let messages: Vec<_> = report.errors().map(|error| error.message.as_str()).collect();
    let both = [
        "number.number1 has voicemail, number.number2 has busy_announcement",
        "number.number3 has voicemail, number.number2 has busy_announcement",
    ];
    assert_eq!(messages, both);
}

#[test]
fn s_10_the_phones_are_told_which_number_was_called() {
    let plans = plans(&sample());
    let decision = call_in(&plans, wednesday(), "0312340002", &World::default());
    let Some(Step::Ring { called_name, .. }) = decision.steps.first() else { panic!() };
    assert_eq!(called_name.as_deref(), Some("営業"));
}

#[test]
fn s_12_tiers_ring_in_order_at_once_or_only_for_the_unreachable() {
    let starts = |step: &str| {
        let plans = plans(&changed(&[("step = \"0s\"", &format!("step = \"{step}\""))]));
        let decision = call_in(&plans, wednesday(), "0312340001", &World::default());
        match decision.steps.first() {
            Some(Step::Ring { targets, .. }) => targets.iter().map(|t| t.start).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let now = Start::After(Duration::ZERO);
    let later = Start::After(Duration::from_secs(10));
    assert_eq!(starts("0s"), [now; 5]);
    assert_eq!(starts("10s"), [now, now, later, later, now]);
    assert_eq!(starts("never"), [now, now, Start::WhenUnreachable, Start::WhenUnreachable, now]);
}

#[test]
fn a_device_that_takes_one_call_at_a_time_is_not_rung_while_it_is_in_one() {
    let plans = plans(&changed(&[(
        "kind = \"app\"\nsecret = \"file:secrets/D\"",
        "kind = \"app\"\nbusy = \"one\"\nsecret = \"file:secrets/D\"",
    )]));
    let world = World { in_call: vec!["D", "E"], ..World::default() };
    assert!(world.in_call("acme", "D"));
    // E waits calls, D does not.
    let ring = call_in(&plans, wednesday(), "0312340003", &world);
    assert_eq!(rung(ring.steps.first()), ["E"]);
    let colleague = call_out(&plans, "A", "804", &world);
    assert_eq!((colleague.release.status, &*colleague.release.cause), (486, "busy"));
}
