//! Rows S-43 and S-90 to S-98: what finished legs cost. Each test names its row.

mod office;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use koukan_dialplan::{
    Account, Ask, Asker, Caller, Capabilities, ChargedLeg, Facts, Far, FinishedLeg, Idle, Money,
    Origin, Plans, RateError, Step,
};
use office::world::{World, at, call_in, changed, plans};
use office::{load, sample, wednesday};
use proptest::prelude::*;

fn leg(kind: ChargedLeg, device: Option<&str>, to: &str, seconds: u64) -> FinishedLeg {
    FinishedLeg {
        leg: kind,
        device: device.map(Arc::from),
        far: Far::Number(Arc::from(to)),
        answered: wednesday(),
        talk: Duration::from_secs(seconds),
        pages: 0,
        by_app: false,
    }
}

fn price(plans: &Plans, leg: &FinishedLeg) -> String {
    plans.rate("acme", leg, &Account::default()).expect("a rate").amount.to_string()
}

fn out(plans: &Plans, device: &str, to: &str, seconds: u64) -> String {
    price(plans, &leg(ChargedLeg::Out, Some(device), to, seconds))
}

const FIXED: &str = "0455550001";
const MOBILE: &str = "09012345678";
const IP050: &str = "05012345678";

#[test]
fn s_90_the_app_pays_20_for_each_30_seconds_wherever_it_calls() {
    let plans = plans(&sample());
    // D has no option.
    for to in [FIXED, MOBILE, IP050] {
        for (seconds, yen) in [(0, "20"), (1, "20"), (30, "20"), (31, "40"), (60, "40"), (61, "60")]
        {
            assert_eq!(out(&plans, "D", to, seconds), yen, "{to} {seconds} s");
        }
    }
}

#[test]
fn s_91_desk_phone_and_ata_pay_8_for_3_minutes_fixed_and_17_5_a_minute_mobile() {
    let plans = plans(&sample());
    for device in ["A", "E"] {
        assert_eq!(out(&plans, device, FIXED, 180), "8");
        assert_eq!(out(&plans, device, FIXED, 181), "16");
        assert_eq!(out(&plans, device, MOBILE, 60), "17.5");
        assert_eq!(out(&plans, device, MOBILE, 61), "35");
        assert_eq!(out(&plans, device, IP050, 121), "52.5");
    }
    // A fax machine on an ATA calls like the ATA it is.
    assert_eq!(out(&plans, "F", FIXED, 181), "16");
}

#[test]
fn s_92_the_first_ten_minutes_of_every_call_are_free_with_the_option() {
    let plans = plans(&sample());
    for (seconds, yen) in [(1, "0"), (600, "0"), (601, "20"), (630, "20"), (631, "40"), (660, "40")]
    {
        assert_eq!(out(&plans, "C", FIXED, seconds), yen, "{seconds} s");
    }
}

#[test]
fn s_93_the_option_is_of_the_id_whatever_number_is_shown_and_not_for_phones() {
    let plans = plans(&changed(&[("caller_id = \"number2\"", "caller_id = \"number1\"")]));
    assert_eq!(out(&plans, "C", FIXED, 600), "0");
    let text = changed(&[("ext = \"805\"", "options = [\"free10\"]\next = \"805\"")]);
    let report = load(&text, &Capabilities::all()).report;
    assert!(report.errors().any(|error| error.hint.contains("(S-93)")), "{report}");
}

#[test]
fn s_94_navi_dial_and_directory_are_never_free() {
    let plans = plans(&sample());
    assert_eq!(out(&plans, "C", "0570123456", 31), "40");
    let mut call = leg(ChargedLeg::Out, Some("C"), "104", 20);
    call.answered = at("2026-03-31T12:00:00");
    assert_eq!(price(&plans, &call), "265");
    // The service has ended: there is no such class any more.
    call.answered = at("2026-04-01T12:00:00");
    let ended = plans.rate("acme", &call, &Account::default());
    assert!(matches!(ended, Err(RateError::NoRate { .. })), "{ended:?}");
}

#[test]
fn s_95_an_option_that_was_lost_is_charged_from_the_start_of_the_call() {
    let text = changed(&[("free10 = { free", "free10 = { suspect_calls_per_day = 30, free")]);
    let plans = plans(&text);
    let lost = Account { withdrawn: vec![Arc::from("free10")], ..Account::default() };
    let call = leg(ChargedLeg::Out, Some("C"), FIXED, 601);
    assert_eq!(plans.rate("acme", &call, &lost).expect("a rate").amount.to_string(), "420");
    assert_eq!(plans.suspect_calls("acme", "C"), [(Arc::from("free10"), 30)]);
    assert_eq!(plans.suspect_calls("acme", "A"), []);
}

#[test]
fn s_96_incoming_and_internal_calls_are_free() {
    let plans = plans(&sample());
    let caller = Caller { number: Some(Arc::from(FIXED)), ..Caller::default() };
    let phone = Origin::Device { tenant: Arc::from("acme"), device: Arc::from("A") };
    let trunk = Origin::Trunk { tenant: Some(Arc::from("acme")), trunk: Arc::from("carrier") };
    for (origin, called) in [(&phone, "803"), (&phone, "0312340003"), (&trunk, "0312340002")] {
        let facts = Facts { at: wednesday(), origin, caller: &caller, called, state: &Idle };
        let decision = plans.decide(&facts);
        let legs = plans.charged_legs(&decision, &facts, Duration::from_secs(600));
        assert_eq!(legs, [], "{called}");
    }
}

#[test]
fn s_97_the_called_office_pays_for_toll_free_by_the_callers_class() {
    let plans = plans(&sample());
    let inbound = |far: Far, seconds| {
        let far = FinishedLeg { far, ..leg(ChargedLeg::TollfreeIn, None, "", seconds) };
        price(&plans, &far)
    };
    let number = |number: &str| Far::Number(Arc::from(number));
    assert_eq!(inbound(number(FIXED), 60), "7");
    assert_eq!(inbound(number(FIXED), 61), "14");
    assert_eq!(inbound(number("+81455550001"), 61), "14");
    assert_eq!(inbound(number(MOBILE), 61), "40");
    assert_eq!(inbound(number("07012345678"), 60), "20");
    assert_eq!(inbound(Far::Payphone, 61), "60");
    assert_eq!(inbound(Far::Anonymous, 60), "20");
    assert_eq!(inbound(number(IP050), 60), "7");
}

#[test]
fn s_97_a_caller_of_a_class_without_a_rate_of_its_own_costs_what_an_unknown_one_does() {
    let plans = plans(&sample());
    // From abroad, from a toll-free number, from a number of no class at all.
    for caller in ["+14155550001", "0120123456", "0570123456", "19"] {
        let far = Far::Number(Arc::from(caller));
        let call = FinishedLeg { far, ..leg(ChargedLeg::TollfreeIn, None, "", 61) };
        assert_eq!(price(&plans, &call), "40", "{caller}");
    }
}

#[test]
fn s_97_a_toll_free_call_that_is_forwarded_costs_both_legs() {
    let plans = plans(&sample());
    let caller = Caller { number: Some(Arc::from(MOBILE)), ..Caller::default() };
    let origin = Origin::Trunk { tenant: Some(Arc::from("acme")), trunk: Arc::from("carrier") };
    let evening = at("2026-07-01T18:30:00");
    let called = "0120000001";
    let facts = Facts { at: evening, origin: &origin, caller: &caller, called, state: &Idle };
    let decision = plans.decide(&facts);
    assert_eq!(decision.toll_free.as_deref(), Some("free"));
    let legs = plans.charged_legs(&decision, &facts, Duration::from_secs(61));
    let prices: Vec<_> = legs.iter().map(|(_, leg)| price(&plans, leg)).collect();
    assert_eq!(prices, ["40", "35"]);
}

#[test]
fn s_98_toll_free_needs_several_ids_is_not_shown_and_is_billed_later() {
    let text = changed(&[(
        "{ leg = \"tollfree-in\", caller = [\"payphone\"], price = \"30\", per = \"60s\" }",
        "{ leg = \"tollfree-in\", caller = [\"payphone\"], price = \"30\", per = \"60s\", \
         billed_after = 2 }",
    )]);
    let plans = plans(&text);
    let far = Far::Payphone;
    let call = FinishedLeg { far, ..leg(ChargedLeg::TollfreeIn, None, "", 60) };
    let charge = plans.rate("acme", &call, &Account::default()).expect("a rate");
    assert_eq!(
        (charge.month.to_string(), charge.billed.to_string()),
        ("2026-07".into(), "2026-09".into())
    );
    // Its notification bought, it is shown, and priced as the ID that calls.
    let shown = changed(&[
        ("caller_id = \"number3\"\n[device.E]", "caller_id = \"free\"\n[device.E]"),
        ("target = \"number1\"", "target = \"number1\"\noptions = [\"number_notification\"]"),
    ]);
    let plans = office::world::plans(&shown);
    let decision = office::world::call_out(&plans, "D", FIXED, &World::default());
    assert_eq!(decision.outcome().shown_caller.as_deref(), Some("0120000001"));
    assert_eq!(out(&plans, "D", FIXED, 31), "40");
    let refused = shown.replace("\noptions = [\"number_notification\"]", "");
    let report = load(&refused, &Capabilities::all()).report;
    let found: Vec<_> = report.errors().map(|error| error.message.as_str()).collect();
    assert_eq!(found, ["toll-free number.free cannot be shown"]);
    // An office with one ID, and with two.
    let office = |devices: &str| {
        let text = format!(
            "schema = 1\ntenant = {{ id = \"x\", timezone = \"Asia/Tokyo\" }}\n{devices}\
             [number.main]\ndid = \"0312340001\"\nrole = \"contract\"\n\
             ring = {{ devices = [\"A\"] }}\n\
             [number.free]\ndid = \"0120000001\"\nrole = \"tollfree\"\ntarget = \"main\"\n\
             [trunk.t]\naddress = \"192.0.2.1\"\n[outbound]\ndefault_trunk = \"t\"\n"
        );
        let report = load(&text, &Capabilities::all()).report;
        report.errors().map(|error| error.hint.clone()).collect::<Vec<_>>()
    };
    let one = "[device.A]\next = \"801\"\nkind = \"desk\"\nsecret = \"env:A\"\n";
    let two = format!("{one}{}", one.replace('A', "B").replace("801", "802"));
    assert_eq!(office(one), ["toll-free needs several IDs (S-98)"]);
    assert_eq!(office(&two), [""; 0]);
}

#[test]
fn s_64_the_forwarded_leg_is_priced_for_itself_and_never_free() {
    let plans = plans(&sample());
    let forward = |to, seconds| price(&plans, &leg(ChargedLeg::Forward, None, to, seconds));
    assert_eq!(forward(FIXED, 180), "8");
    assert_eq!(forward(FIXED, 181), "16");
    assert_eq!(forward(MOBILE, 600), "175");
    assert_eq!(forward(IP050, 61), "35");
}

#[test]
fn s_43_pages_of_the_apps_faxes_are_free_to_the_500th_and_then_only_their_share_is_paid() {
    let plans = plans(&sample());
    let fax = |pages, used, by_app| {
        let call = FinishedLeg { pages, by_app, ..leg(ChargedLeg::FaxOut, Some("C"), FIXED, 100) };
        let account = Account { fax_pages: used, ..Account::default() };
        plans.rate("acme", &call, &account).expect("a rate").amount.to_string()
    };
    // 100 s are four units of 30 s.
    assert_eq!(fax(1, 498, true), "0", "page 499");
    assert_eq!(fax(1, 499, true), "0", "page 500");
    assert_eq!(fax(1, 500, true), "80", "page 501");
    // Pages 499 to 502: two of four pages, 50 s, two units.
    assert_eq!(fax(4, 498, true), "40");
    // What a browser sends is charged.
    assert_eq!(fax(1, 0, false), "80");
    let other =
        FinishedLeg { pages: 1, by_app: true, ..leg(ChargedLeg::FaxOut, Some("D"), FIXED, 100) };
    assert_eq!(price(&plans, &other), "80", "D has not bought the option");
}

#[test]
fn a_transfer_is_charged_to_the_id_that_asked_for_it() {
    let plans = plans(&sample());
    let origin = Origin::Trunk { tenant: Some(Arc::from("acme")), trunk: Arc::from("carrier") };
    let caller = Caller { number: Some(Arc::from("0333330000")), ..Caller::default() };
    let facts =
        Facts { at: wednesday(), origin: &origin, caller: &caller, called: MOBILE, state: &Idle };
    let ask = Ask {
        asker: Asker::Transfer,
        tenant: Arc::from("acme"),
        device: Some(Arc::from("A")),
        number: None,
        holds_channel: true,
    };
    let decision = plans.ask(&facts, &ask);
    let Some(Step::Trunk(call)) = decision.steps.first() else { panic!("{decision:?}") };
    let far = Far::Class(Arc::clone(&call.class));
    let charged = FinishedLeg { far, ..leg(ChargedLeg::Out, Some("A"), "", 61) };
    assert_eq!(price(&plans, &charged), "35");
    assert_eq!(call.shown_caller.as_deref(), Some("0312340001"));
}

#[test]
fn a_call_that_crosses_the_closing_day_belongs_to_the_month_it_was_answered_in() {
    let plans = plans(&sample());
    let month = |when: &str| {
        let call =
            FinishedLeg { answered: at(when), ..leg(ChargedLeg::Out, Some("A"), FIXED, 600) };
        plans.rate("acme", &call, &Account::default()).expect("a rate").month.to_string()
    };
    assert_eq!(month("2026-07-25T23:59:59"), "2026-07");
    assert_eq!(month("2026-07-26T00:00:00"), "2026-08");
    assert_eq!(month("2026-12-31T23:59:59"), "2027-01");
}

#[test]
fn a_missing_rate_an_overlapping_one_and_an_ended_one_are_errors() {
    let messages = |from: &str, to: &str| {
        let report = load(&changed(&[(from, to)]), &Capabilities::all()).report;
        report.errors().map(|error| error.message.clone()).collect::<Vec<_>>()
    };
    let fax = "{ leg = \"fax-out\", class = [\"fixed\", \"mobile\", \"ip050\"]";
    let again = "{ leg = \"out\", device = [\"ata\"], class = [\"mobile\"], price = \"1\", \
                 per = \"1m\" },\n  { leg = \"fax-out\", class = [\"fixed\", \"mobile\", \"ip050\"]";
    assert_eq!(messages(fax, again), ["two rates for out by ata, class mobile"]);
    let navi = "class = [\"navi\"], price = \"20\"";
    let ended = "class = [\"navi\"], valid_until = \"2026-06-30\", price = \"20\"";
    assert_eq!(messages(navi, ended), ["no rate for calls from desk, ata to class navi"]);
}

/// Golden lines of a month, as they stand in a CDR and on the invoice.
#[test]
fn the_lines_of_a_month() {
    let plans = plans(&sample());
    let mut legs = vec![
        leg(ChargedLeg::Out, Some("A"), FIXED, 181),
        leg(ChargedLeg::Out, Some("A"), MOBILE, 61),
        leg(ChargedLeg::Out, Some("C"), FIXED, 660),
        leg(ChargedLeg::Out, Some("C"), FIXED, 300),
        leg(ChargedLeg::Out, Some("C"), "0570123456", 45),
        leg(ChargedLeg::Out, Some("E"), "0120123456", 600),
        leg(ChargedLeg::Forward, None, MOBILE, 125),
        leg(ChargedLeg::TollfreeIn, None, MOBILE, 61),
        FinishedLeg { far: Far::Payphone, ..leg(ChargedLeg::TollfreeIn, None, "", 61) },
        FinishedLeg { pages: 4, by_app: true, ..leg(ChargedLeg::FaxOut, Some("C"), FIXED, 100) },
    ];
    legs.sort_by_key(|leg| leg.leg.as_str());
    let mut text = String::new();
    let mut sum = Money::default();
    for leg in &legs {
        let account = Account { fax_pages: 498, ..Account::default() };
        let charge = plans.rate("acme", leg, &account).expect("a rate");
        sum = sum.plus(charge.amount);
        let device = leg.device.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{} {device} {}", charge.month, charge.text);
    }
    let _ = writeln!(text, "sum {sum}");
    insta::assert_snapshot!(text);
}

proptest! {
    #[test]
    fn nobody_pays_for_more_than_was_talked_and_longer_is_never_cheaper(
        device in prop::sample::select(vec!["A", "C", "D", "E"]),
        to in prop::sample::select(vec![FIXED, MOBILE, IP050, "0570123456"]),
        millis in 0_u64..8_000_000,
    ) {
        let plans = PLANS.with(Clone::clone);
        let rated = |millis| {
            let talk = Duration::from_millis(millis);
            let call = FinishedLeg { talk, ..leg(ChargedLeg::Out, Some(device), to, 0) };
            plans.rate("acme", &call, &Account::default()).expect("a rate").amount
        };
        prop_assert!(rated(millis) <= rated(millis + 1_000));
        // A unit is begun for every 30 s at most: 20 yen each is the dearest rate.
        let most = Money::parse("20").expect("money").times((millis / 30_000) + 1);
        prop_assert!(rated(millis) <= most);
    }
}

thread_local! {
    static PLANS: Arc<Plans> = Arc::new(plans(&sample()));
}

#[test]
fn the_busy_prompt_of_a_full_office_costs_nobody() {
    let plans = plans(&sample());
    let world = World { tenant: 6, ..World::default() };
    let decision = call_in(&plans, wednesday(), "0312340002", &world);
    assert!(!decision.uses_channel && decision.toll_free.is_none());
}
