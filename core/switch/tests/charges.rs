//! Calls are rated when they are over (S-14, S-90 to S-98): the record carries what each leg cost,
//! the same as the simulation says, while the call lasts and when it has ended.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use koukan_dialplan::{Account, Caller, Facts, Idle, Money, Origin};
use koukan_switch::{Cdr, CdrCharge, CdrPrice};
use office::{Does, Office, SERVER, TRUNK, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A call that is answered after half a second and talked on for so long.
fn talked(office: &mut Office, caller: char, called: &str, seconds: u64) -> Cdr {
    for name in ('A'..='F').chain([TRUNK]) {
        office.phone(name).does = Does::Answers(500);
    }
    let before = office.finals().len();
    office.call(caller, called);
    office.run(Duration::from_millis(600));
    office.run(secs(seconds) - Duration::from_millis(40));
    office.hang_up(caller);
    office.run(secs(70));
    let finals = office.finals();
    assert_eq!(finals.len(), before + 1);
    finals[before].clone()
}

fn charges(cdr: &Cdr) -> Vec<(&CdrCharge, &CdrPrice)> {
    let charges = cdr.legs.iter().filter_map(|leg| leg.charge.as_ref());
    charges.map(|charge| (charge, charge.price.as_ref().unwrap())).collect()
}

/// What `koukan sim --talk` says.
fn simulated(office: &Office, caller: char, called: &str, at: Timestamp, talk: Duration) -> String {
    let plans = &office.switch.directory().plans;
    let (origin, number) = match caller {
        TRUNK => (plans.bringing_trunk(called).unwrap(), Some(Arc::from("0455550001"))),
        _ => {
            let device = Arc::from(caller.to_string());
            (Origin::Device { tenant: "acme".into(), device }, None)
        }
    };
    let caller = Caller { number, anonymous: false, ..Caller::default() };
    let facts = Facts { at, origin: &origin, caller: &caller, called, state: &Idle };
    let decision = plans.decide(&facts);
    let legs = plans.charged_legs(&decision, &facts, talk);
    let price = |(payer, leg)| plans.rate(payer, leg, &Account::default()).unwrap().amount;
    let legs = legs.iter().map(|(payer, leg)| price((payer, leg)));
    legs.fold(Money::default(), Money::plus).to_string()
}

#[test]
fn a_call_costs_what_the_simulation_says() {
    for (caller, called, seconds, wanted) in [
        ('D', "0455550001", 30, "20"),
        ('D', "0455550001", 31, "40"),
        ('D', "09012345678", 61, "60"),
        ('C', "0455550001", 600, "0"),
        ('C', "0455550001", 601, "20"),
        ('C', "0570123456", 31, "40"),
        ('A', "0455550001", 180, "8"),
        ('A', "0455550001", 181, "16"),
        ('A', "09012345678", 61, "35"),
        ('E', "09012345678", 60, "17.5"),
        ('A', "0120123456", 500, "0"),
        ('A', "803", 500, "0"),
        ('A', "0312340003", 500, "0"),
        (TRUNK, "0312340002", 500, "0"),
        (TRUNK, "0120000001", 61, "14"),
    ] {
        let mut office = Office::open();
        let cdr = talked(&mut office, caller, called, seconds);
        let case = format!("{caller} to {called} for {seconds} s: {cdr:#?}");
        assert_eq!(cdr.price.as_deref(), Some(wanted), "{case}");
        let said = simulated(&office, caller, called, cdr.started, secs(seconds));
        assert_eq!(said, wanted, "{case}");
        let legs = charges(&cdr);
        let sum = legs.iter().map(|(_, price)| Money::parse(&price.amount).unwrap());
        assert_eq!(sum.fold(Money::default(), Money::plus).to_string(), wanted);
        assert!(office.explained("charge: "), "{case}");
        office.finish();
    }
}

#[test]
fn a_charge_says_who_pays_in_which_month_and_how_it_came_about() {
    let mut office = Office::open();
    let cdr = talked(&mut office, 'A', "09012345678", 61);
    let charge = CdrCharge {
        payer: "acme".to_owned(),
        leg: "out".to_owned(),
        device: Some("A".to_owned()),
        price: Some(CdrPrice {
            class: "mobile".to_owned(),
            amount: "35".to_owned(),
            month: "2026-07".to_owned(),
            billed: "2026-07".to_owned(),
            text: "out mobile 1:01: 2 x 17.5 for each 60 s = 35".to_owned(),
        }),
    };
    assert_eq!(cdr.legs[1].charge, Some(charge));
    assert!(office.explained("charge: 35 (out mobile 1:01: 2 x 17.5 for each 60 s = 35) to acme"));
    // The records before it knew what it came to until then.
    let answered: Vec<_> = office.cdrs().into_iter().filter(|cdr| cdr.answered.is_some()).collect();
    let prices: Vec<_> = answered.iter().map(|cdr| cdr.price.as_deref().unwrap()).collect();
    assert_eq!(prices, ["17.5", "17.5", "35"], "answered, after a minute, over");
}

#[test]
fn a_call_that_nobody_answers_costs_nothing_and_has_no_price() {
    let mut office = Office::open();
    office.phone(TRUNK).does = Does::Refuses(486);
    office.call('A', "0455550001");
    office.run(secs(5));
    let cdr = only(office.finish());
    assert_eq!((cdr.price.clone(), charges(&cdr)), (None, vec![]));
}

#[test]
fn a_leg_that_crosses_the_closing_day_belongs_to_the_month_in_which_it_was_answered() {
    let mut office = Office::at("2026-07-25T23:59:00+09:00");
    let cdr = talked(&mut office, 'D', "0455550001", 300);
    assert_eq!((charges(&cdr)[0].1.month.as_str(), cdr.price.as_deref()), ("2026-07", Some("200")));
    let cdr = talked(&mut office, 'D', "0455550001", 10);
    assert_eq!(charges(&cdr)[0].1.month, "2026-08");
}

#[test]
fn a_leg_that_a_transfer_makes_is_charged_to_the_device_that_asked_for_it() {
    let mut office = Office::open();
    for name in ['C', 'D', TRUNK] {
        office.phone(name).does = Does::Answers(500);
    }
    office.call('A', "804");
    office.run(secs(2));
    let now = office.now;
    office.phone('A').refer(now, &format!("<sip:09012345678@{SERVER}>"), &[]);
    office.run(secs(40));
    office.hang_up('D');
    let cdr = only(office.finish());
    let paid: Vec<_> =
        charges(&cdr).iter().map(|(c, p)| (c.device.clone(), p.text.clone())).collect();
    let text = "out mobile 0:39: 1 x 17.5 for each 60 s = 17.5".to_owned();
    assert_eq!(paid, [(Some("A".to_owned()), text)], "{cdr:#?}");
}

#[test]
fn a_forwarded_call_pays_for_its_leg_and_a_toll_free_one_for_both() {
    let forwards = |plan: &str| {
        plan.replace("option.free10 =", "option.unused =").replace("options = [\"free10\"] ", "")
    };
    let mut office = Office::planned(|plan| {
        let place = "[number.number3]\n";
        assert!(plan.contains(place));
        let mode =
            plan.find(place).and_then(|at| plan[at..].find("mode = \"ring\"").map(|m| at + m));
        let (head, tail) = plan.split_at(mode.unwrap());
        let tail = tail.replacen(
            "mode = \"ring\"",
            "mode = \"forward\"\nforward_to = \"09012345678\"\noptions = [\"forwarding\"]",
            1,
        );
        forwards(&format!("{head}{tail}")).replace("target = \"number1\"", "target = \"number3\"")
    });
    for (called, wanted) in [
        ("0312340003", vec![("forward", "35")]),
        ("0120000001", vec![("tollfree-in", "14"), ("forward", "35")]),
    ] {
        let cdr = talked(&mut office, TRUNK, called, 61);
        let paid: Vec<_> = charges(&cdr)
            .iter()
            .map(|(charge, price)| (charge.leg.as_str(), price.amount.as_str()))
            .collect();
        assert_eq!(paid, wanted, "{cdr:#?}");
        assert!(charges(&cdr).iter().all(|(charge, _)| charge.device.is_none()));
    }
}

#[test]
fn a_way_out_that_an_answer_made_needless_does_not_count_as_a_leg_to_outside() {
    let mut office = Office::planned(|plan| {
        let place = "[number.number3]\n";
        let way = "no_answer = { forward = \"09012345678\" }\n";
        plan.replace(place, &format!("{place}{way}"))
    });
    office.phone('D').does = Does::Answers(2_000);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let legs = |office: &Office| {
        let at = "2026-07-01T10:00:10+09:00".parse().unwrap();
        koukan_dialplan::State::usage(&office.switch, "acme", at).outside_legs
    };
    assert_eq!(legs(&office), 1, "it may yet be made");
    office.run(secs(3));
    assert_eq!(legs(&office), 0, "{:?}", office.explained);
    office.hang_up(TRUNK);
    office.finish();
}
