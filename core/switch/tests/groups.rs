//! Ring groups (S-02, S-12): who of a group rings and when, busy phones, nobody there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::fmt::Write as _;
use std::time::Duration;

use koukan_switch::CallCause;
use office::{Does, Office, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn with_group(keys: &str) -> Office {
    Office::planned(|plan| {
        plan.replace(
            "[extension.echo]",
            &format!("[group.sales]\ndial = \"650\"\n{keys}\n\n[extension.echo]"),
        )
    })
}

fn rung(office: &Office) -> String {
    ('A'..='F').filter(|name| office.phones[name].heard("invite")).collect()
}

#[test]
fn a_group_rings_exactly_its_members_at_once_or_in_turn() {
    for (keys, at_once, later) in [
        ("members = [\"B\", \"C\", \"E\"]", "BCE", "BCE"),
        ("members = [\"B\", \"C\", \"E\"]\nstrategy = \"sequence\"\nstep = \"5s\"", "B", "BC"),
        (
            "members = [\"B\", \"C\", \"D\"]\nstrategy = \"priority\"\n\
             tiers = [[\"app\"], [\"B\"]]\nstep = \"5s\"",
            "CD",
            "BCD",
        ),
    ] {
        let mut office = with_group(keys);
        office.call('A', "650");
        office.run(secs(1));
        assert_eq!(rung(&office), at_once, "{keys}");
        office.run(secs(5));
        assert_eq!(rung(&office), later, "{keys}");
        let b = office.phone('B').ringing.unwrap();
        office.answer('B', b);
        office.run(secs(1));
        assert!(office.phone('A').heard("answered"));
        assert!(
            office.phone('C').log.iter().any(|line| line.starts_with("cancelled SIP;cause=200"))
        );
        office.hang_up('A');
        office.finish();
    }
}

#[test]
fn the_next_tier_rings_only_when_the_first_cannot_be_reached() {
    let keys = "members = [\"B\", \"C\"]\nstrategy = \"priority\"\ntiers = [[\"desk\"], [\"app\"]]\n\
                step = \"never\"";
    for (does, wanted) in [(Does::Rings, "B"), (Does::Nothing, "BC"), (Does::Refuses(480), "BC")] {
        let mut office = with_group(keys);
        office.phone('B').does = does;
        office.call('A', "650");
        office.run(secs(5));
        assert_eq!(rung(&office), wanted);
        office.give_up('A');
        office.finish();
    }
}

#[test]
fn a_group_that_nobody_answers_goes_on_as_its_plan_says() {
    let keys = "members = [\"B\", \"C\"]\ntimeout = \"5s\"\nno_answer = { group = \"others\" }\n\
                [group.others]\nmembers = [\"D\"]";
    let mut office = with_group(keys);
    office.call('A', "650");
    office.run(secs(4));
    assert_eq!(rung(&office), "BC");
    office.run(secs(2));
    assert_eq!(rung(&office), "BCD");
    assert!(office.phone('B').log.iter().any(|line| line.starts_with("cancelled")));
    office.give_up('A');
    office.finish();
}

#[test]
fn a_number_may_ring_a_group() {
    let mut office = Office::planned(|plan| {
        plan.replace(
            "saturday = [{ from = \"10:00\"",
            "saturday = [{ from = \"15:00\", to = \"16:00\", do = { group = \"sales\" } }, { from = \"10:00\"",
        )
        .replace("[extension.echo]", "[group.sales]\nmembers = [\"C\"]\n[extension.echo]")
        .replace("do = \"ring\" },\n  { from = \"12:00\"", "do = { group = \"sales\" } },\n  { from = \"12:00\"")
    });
    office.phone('C').does = Does::Answers(500);
    office.call(TRUNK, "0312340001");
    office.run(secs(2));
    assert_eq!(rung(&office), "C", "{:?}", office.explained);
    office.hang_up(TRUNK);
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn of_a_hundred_members_those_that_are_there_ring_at_once() {
    let mut devices = String::new();
    let mut members = String::from("members = [\"B\", \"E\"");
    for number in 0..98 {
        let _ = write!(
            devices,
            "[device.X{number}]\next = \"{}\"\nkind = \"app\"\nsecret = \"file:secrets/A\"\n",
            5_000 + number
        );
        let _ = write!(members, ", \"X{number}\"");
    }
    members.push(']');
    let mut office = Office::planned(|plan| {
        plan.replace(
            "[extension.echo]",
            &format!("{devices}[group.all]\ndial = \"650\"\n{members}\n[extension.echo]"),
        )
    });
    office.call('A', "650");
    office.run(Duration::from_millis(100));
    assert_eq!(rung(&office), "BE");
    office.give_up('A');
    office.finish();
}

#[test]
fn a_phone_that_takes_one_call_at_a_time_is_left_alone_in_one() {
    for (busy, second) in [("one", "C"), ("waiting", "BC")] {
        let mut office = Office::planned(|plan| {
            plan.replace("[device.B]\n", &format!("[device.B]\nbusy = \"{busy}\"\n")).replace(
                "[extension.echo]",
                "[group.sales]\ndial = \"650\"\nmembers = [\"B\", \"C\"]\n[extension.echo]",
            )
        });
        office.phone('B').does = Does::Answers(500);
        office.call('A', "802");
        office.run(secs(2));
        office.phone('B').does = Does::Rings;
        office.phone('B').log.clear();
        office.call('D', "650");
        office.run(secs(1));
        assert_eq!(rung(&office), second);
        office.give_up('D');
        office.run(secs(1));
        office.phone('D').log.clear();
        office.call('D', "802");
        office.run(secs(1));
        assert_eq!(office.phone('D').heard("failed 486"), busy == "one");
        office.give_up('D');
        office.hang_up('A');
        office.finish();
    }
}
