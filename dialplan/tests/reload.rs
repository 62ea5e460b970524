//! One office read again among others: it alone changes, and with an error in it nothing does.

mod office;

use koukan_dialplan::{Capabilities, Loaded, Plans, Sources, TenantSource};
use office::wednesday;
use office::world::{World, changed};

fn office(id: &str, changes: &[(&str, &str)]) -> TenantSource {
    let digit = id.len() % 10;
    let text = changed(changes)
        .replace("id = \"acme\"", &format!("id = \"{id}\""))
        .replace("031234", &format!("03{digit}234"))
        .replace("0120000001", &format!("012000000{digit}"));
    TenantSource { name: id.to_owned(), files: vec![(format!("{id}.toml"), text)] }
}

fn sources(tenants: Vec<TenantSource>) -> Sources {
    Sources { tenants, ..Sources::default() }
}

fn start() -> Plans {
    let tenants = vec![office("a", &[]), office("bb", &[]), office("ccc", &[])];
    let Loaded { plans, report, .. } =
        Plans::load_all(&sources(tenants), &Capabilities::all(), wednesday());
    assert!(report.is_ok(), "{report}");
    plans
}

fn rings(plans: &Plans, did: &str) -> String {
    let sim = plans.simulate("0455550001", did, None, wednesday(), &World::default());
    sim.map_or_else(|error| error.to_string(), |sim| sim.decision.outcome().to_string())
}

const FEWER: (&str, &str) = ("ring = { devices = [\"D\", \"E\"]", "ring = { devices = [\"D\"]");

#[test]
fn one_office_changes_and_the_others_stand() {
    let plans = start();
    let again = sources(vec![office("bb", &[FEWER])]);
    let Loaded { plans: next, report, refused } =
        plans.reload(&again, &Capabilities::all(), wednesday());
    assert!(report.is_ok() && refused.is_empty(), "{report}");
    assert_eq!(rings(&next, "0322340003"), "rings D, then voicemail:main");
    assert_eq!(rings(&next, "0312340003"), "rings D, E, then voicemail:main");
    assert_eq!(rings(&plans, "0322340003"), "rings D, E, then voicemail:main");
    assert_ne!(plans.generation("bb"), next.generation("bb"));
    assert_eq!(plans.generation("a"), next.generation("a"));
    let ids = |plans: &Plans| plans.tenants().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&next), ["a", "bb", "ccc"]);
}

#[test]
fn with_an_error_the_old_plan_stays_in_force() {
    let plans = start();
    let wrong: [(&str, &str); 4] = [
        ("kind = \"desk\"", "kind = \"dekt\""),
        ("[number.number2]", "[number.number2"),
        ("did = \"0312340002\"", "did = \"0332340002\""),
        (
            "tenant = {",
            "expect = [{ from = \"0455550001\", to = \"0322340003\", rings = [\"A\"] }]\ntenant = {",
        ),
    ];
    for change in wrong {
        let again = sources(vec![office("bb", &[FEWER, change])]);
        let loaded = plans.reload(&again, &Capabilities::all(), wednesday());
        assert!(!loaded.report.is_ok(), "{}", change.1);
        assert_eq!(loaded.refused.iter().map(|name| &**name).collect::<Vec<_>>(), ["bb"]);
        assert_eq!(rings(&loaded.plans, "0322340003"), "rings D, E, then voicemail:main");
        assert_eq!(loaded.plans.generation("bb"), plans.generation("bb"));
    }
    // The DID of a neighbour is named as taken.
    let again = sources(vec![office("bb", &[("did = \"0312340002\"", "did = \"0332340002\"")])]);
    let report = plans.reload(&again, &Capabilities::all(), wednesday()).report;
    let hints: Vec<_> = report.errors().map(|error| error.hint.as_str()).collect();
    assert_eq!(hints, ["already taken at tenant ccc"]);
}

#[test]
fn a_new_office_joins_and_one_that_fails_does_not() {
    let plans = start();
    let joined = sources(vec![office("dddd", &[])]);
    let loaded = plans.reload(&joined, &Capabilities::all(), wednesday());
    assert_eq!(rings(&loaded.plans, "0342340003"), "rings D, E, then voicemail:main");
    let failing =
        "expect = [{ from = \"0455550001\", to = \"0342340003\", rings = [\"A\"] }]\ntenant = {";
    let failed = sources(vec![office("dddd", &[("tenant = {", failing)])]);
    let loaded = plans.reload(&failed, &Capabilities::all(), wednesday());
    assert_eq!(loaded.plans.tenants().count(), 3);
    assert_eq!(rings(&loaded.plans, "0342340003"), "refused unknown-number");
}

#[test]
fn a_number_moves_from_one_office_to_another_in_two_steps() {
    let plans = start();
    let number = "[number.number2]\ndid = \"0312340002\"";
    let gone = sources(vec![office("ccc", &[(number, "[number.number2]\ndid = \"0312340009\"")])]);
    let without = plans.reload(&gone, &Capabilities::all(), wednesday()).plans;
    let taken = sources(vec![office("bb", &[(number, "[number.number2]\ndid = \"0332340002\"")])]);
    let with = without.reload(&taken, &Capabilities::all(), wednesday());
    assert!(with.report.is_ok(), "{}", with.report);
    assert_eq!(rings(&with.plans, "0332340002"), "rings A, B, C, then hangup");
    assert_eq!(rings(&with.plans, "0332340009"), "rings A, B, C, then hangup");
    assert_eq!(rings(&with.plans, "0322340002"), "refused unknown-number");
}

#[test]
fn only_offices_whose_texts_or_shared_files_are_others_may_come_to_something_else() {
    let plans = start();
    let again = sources(vec![office("bb", &[FEWER])]);
    let next = plans.reload(&again, &Capabilities::all(), wednesday()).plans;
    let changed: Vec<String> = plans.changed(&next).iter().map(ToString::to_string).collect();
    assert_eq!(changed, ["bb"]);
    assert_eq!(plans.diff_of(&next, &plans.changed(&next)[0], wednesday()).len(), 1);
    assert_eq!(plans.changed(&plans.without("ccc")).len(), 1);
    let tenants = ["a", "bb", "ccc"].map(|id| office(id, &[])).to_vec();
    let text = include_str!("../plans/standard.toml").replace("keep = 200", "keep = 250");
    let shared =
        Sources { plans: vec![(String::from("plans/standard.toml"), text)], ..sources(tenants) };
    let other = Plans::load_all(&shared, &Capabilities::all(), wednesday()).plans;
    assert_eq!(plans.changed(&other).len(), 3, "what they share is another");
    assert_eq!(plans.directory_of("bb"), Some("bb"));
    assert_eq!(plans.id_in("bb").map(|id| &**id), Some("bb"));
    assert_eq!(plans.devices_of("bb").count(), 6);
}

#[test]
fn offices_read_in_any_order_are_the_same_plans_with_the_same_findings() {
    let mut tenants: Vec<TenantSource> =
        ["a", "bb", "ccc", "dddd"].map(|id| office(id, &[])).to_vec();
    // Two offices claim one number: the first by its name has it, whoever is read first.
    tenants.push(office("eeeee", &[("did = \"0312340002\"", "did = \"0322340002\"")]));
    let sources = sources(tenants);
    let now = wednesday();
    let in_turn = Plans::load_all(&sources, &Capabilities::all(), now);
    let backwards = |count: usize, job: &(dyn Fn(usize) + Sync)| {
        std::thread::scope(|scope| {
            (0..count).rev().for_each(|at| drop(scope.spawn(move || job(at))))
        });
    };
    let apart = Plans::load_on(&sources, &Capabilities::all(), now, &backwards);
    assert_eq!(in_turn.report.to_string(), apart.report.to_string());
    assert_eq!(in_turn.refused, apart.refused);
    assert_eq!(in_turn.refused.len(), 1, "{}", in_turn.report);
    assert_eq!(in_turn.plans.changed(&apart.plans), []);
}
