//! Caps against fraud on the virtual clock: what is new is refused, what is up goes on, everybody
//! is told once, and no way leads around them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_dialplan::Cap;
use koukan_switch::{CallCause, CapCount, Note, PastCharge, Record};
use office::{Did, Does, Office, TRUNK, ending};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The sample with caps; its carrier answers after half a second.
fn capped(caps: &str) -> Office {
    let alert = "alert = [\"boss@example.jp\"]";
    let mut office = Office::planned(|plan| {
        plan.replace("[class]", &format!("[limits]\n{caps}\n{alert}\n[class]"))
    });
    office.phone(TRUNK).does = Does::Answers(500);
    office
}

/// A phone calls outside and talks for so long; how it ended.
fn talks(office: &mut Office, name: char, seconds: u64) -> (CallCause, u16) {
    office.call(name, "0455550001");
    office.run(secs(seconds));
    office.hang_up(name);
    office.run(secs(10));
    ending(office.finals().last().unwrap())
}

fn mails(office: &Office) -> Vec<&str> {
    office.mails.iter().map(|mail| mail.id.as_str()).collect()
}

fn count(office: &Office, cap: Cap) -> CapCount {
    let counts = office.switch.cap_counts();
    counts.into_iter().find(|(known, _)| *known == cap).unwrap().1
}

/// What the store hands to the next process.
fn past(office: &Office) -> impl Iterator<Item = PastCharge> {
    office.finals().into_iter().flat_map(|cdr| cdr.legs).filter_map(|leg| {
        let (charge, answered, ended) = (leg.charge?, leg.answered?, leg.ended?);
        Some(PastCharge { charge, answered, ended })
    })
}

fn notes(office: &Office) -> Vec<Note> {
    let note = |did: &Did| match did {
        Did::Record(Record::Note(note)) => Some(note.clone()),
        _ => None,
    };
    office.did.iter().filter_map(note).collect()
}

#[test]
fn money_is_told_at_four_fifths_and_at_the_cap_which_refuses_the_next_call_alone() {
    // A call of a desk phone costs 8 yen for each three minutes.
    let mut office = capped("outside_yen_per_day = \"20\"");
    talks(&mut office, 'A', 5);
    assert_eq!(mails(&office), Vec::<&str>::new());
    talks(&mut office, 'B', 5);
    assert_eq!(mails(&office), ["cap-spend-80-20260701"]);
    assert_eq!(office.mails[0].to, ["boss@example.jp"]);
    assert!(office.mails[0].text.contains("16 yen"), "{}", office.mails[0].text);
    office.call('A', "0455550001");
    office.run(secs(70));
    assert_eq!(mails(&office).len(), 2, "the call that is up counts");
    assert_eq!(mails(&office)[1], "cap-spend-100-20260701");
    office.call('B', "0455550001");
    office.run(secs(30));
    assert_eq!(ending(office.finals().last().unwrap()), (CallCause::Plan, 403));
    assert!(office.explained("cap:spend"));
    assert_eq!(office.phone('A').up.len(), 1, "it goes on");
    office.hang_up('A');
    office.run(secs(10));
    assert_eq!(talks(&mut office, 'D', 20).1, 403);
    assert_eq!(mails(&office).len(), 2, "nobody is told twice");
    assert_eq!(count(&office, Cap::Spend), CapCount { reached: 1, refused: 2 });
    assert!(office.notices.iter().any(|text| text.contains("cap spend of acme is reached")));
    // Colleagues are called all the same.
    office.phone('D').does = Does::Answers(100);
    office.call('A', "804");
    office.run(secs(2));
    assert_eq!(office.phone('A').up.len(), 1);
    office.hang_up('A');
    // Another process knows what was told, and what was spent.
    let mut other = capped("outside_yen_per_day = \"20\"");
    other.switch.restore_alerts(&notes(&office));
    other.switch.restore_charges(past(&office));
    assert_eq!(talks(&mut other, 'A', 20).1, 403);
    assert_eq!(mails(&other), Vec::<&str>::new());
}

#[test]
fn minutes_count_without_a_tariff_and_over_a_restart() {
    let capped = || {
        let alert = "[limits]\noutside_minutes_per_day = 3\nalert = [\"boss@example.jp\"]\n[class]";
        let mut office = Office::planned(|plan| {
            let (plan, _) = plan.split_once("\n[tariff]\n").unwrap();
            plan.replace("options = [\"free10\"]", "").replace("[class]", alert)
        });
        office.phone(TRUNK).does = Does::Answers(500);
        office
    };
    let mut office = capped();
    assert_eq!(talks(&mut office, 'A', 150).1, 200);
    assert_eq!(mails(&office), Vec::<&str>::new());
    let leg = &office.finals()[0].legs[1];
    assert_eq!(leg.charge.as_ref().unwrap().price, None);
    let mut other = capped();
    other.switch.restore_alerts(&notes(&office));
    other.switch.restore_charges(past(&office));
    assert_eq!(talks(&mut other, 'A', 60).1, 200);
    assert_eq!(mails(&other), ["cap-minutes-100-20260701"]);
    assert_eq!(talks(&mut other, 'B', 60).1, 403);
}

#[test]
fn each_cap_on_numbers_refuses_beyond_it_and_is_free_again() {
    let mut office = capped("outside_concurrent = 2");
    office.phone(TRUNK).does = Does::Rings;
    for name in ['A', 'B', 'D'] {
        office.call(name, "0455550001");
        office.run(secs(3));
    }
    assert_eq!(mails(&office), ["cap-concurrent-100-20260701"]);
    office.run(secs(20));
    assert!(office.explained("cap:concurrent"));
    assert_eq!(count(&office, Cap::Concurrent).refused, 1);
    office.give_up('A');
    office.run(secs(2));
    office.phone(TRUNK).does = Does::Answers(500);
    assert_eq!(talks(&mut office, 'E', 3).1, 200);
}

#[test]
fn callers_who_pump_a_toll_free_number_are_refused_before_anything_rings() {
    let mut office = capped("tollfree_concurrent = 1\ntollfree_yen_per_day = \"20\"");
    office.phone('A').does = Does::Answers(500);
    office.call(TRUNK, "0120000001");
    office.run(secs(3));
    assert_eq!(office.phone('A').up.len(), 1);
    office.call(TRUNK, "0120000001");
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("failed 486"), "{:?}", office.phone(TRUNK).log);
    assert!(office.explained("cap:tollfree-concurrent"));
    // 7 yen a minute of a caller with a fixed line: the third makes 21, and is seen when
    // the call is looked at again.
    office.run(secs(190));
    assert!(mails(&office).contains(&"cap-tollfree-spend-100-20260701"), "{:?}", mails(&office));
    assert_eq!(office.phone('A').up.len(), 1, "who is up goes on");
    office.hang_up('A');
    office.run(secs(40));
    office.call(TRUNK, "0120000001");
    office.run(secs(1));
    assert_eq!(ending(office.finals().last().unwrap()).1, 486);
    assert!(office.explained("cap:tollfree-spend"));
    // The number behind it is nobody's expense.
    office.call(TRUNK, "0312340001");
    office.run(secs(2));
    assert_eq!(office.phone('A').up.len(), 1);
}

/// Legs that we have to outside at this moment.
fn outside(office: &Office) -> usize {
    let legs = |call: &koukan_switch::CallView| {
        let up =
            |leg: &&koukan_switch::LegView| leg.party.starts_with("trunk") && leg.state != "ended";
        let all = call.legs.iter().filter(up).count();
        // The caller of an inbound call made its leg itself.
        all.saturating_sub(usize::from(call.direction == "inbound"))
    };
    office.switch.calls().iter().map(legs).sum()
}

#[test]
fn whatever_is_done_there_are_never_more_legs_outside_than_the_cap_allows() {
    const MOST: usize = 3;
    let mut most_seen = 0;
    let mut refused = 0;
    for seed in 0..25_u64 {
        let mut office = Office::seeded_and_planned(seed, |plan| {
            let number3 = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }\n\
                           mode = \"ring\"";
            assert!(plan.contains(number3));
            let forwarded = "ring = { devices = [\"D\", \"E\"], strategy = \"all\" }\n\
                             options = [\"forwarding\"]\nmode = \"forward\"\n\
                             forward_to = \"09012345678\"";
            plan.replace(number3, forwarded)
                .replace("[class]", &format!("[limits]\noutside_concurrent = {MOST}\n[class]"))
                .replace("[device.F]\n", "[device.F]\nforward = { always = \"0455550007\" }\n")
        })
        .registered();
        office.all(Does::Answers(300));
        for _ in 0..60 {
            let name = char::from(b'A' + u8::try_from(office.dice(6)).unwrap());
            let now = office.now;
            match office.dice(8) {
                0 | 1 => office.call(name, "0455550001"),
                2 => office.call(TRUNK, "0312340003"),
                3 => office.call(name, "806"),
                4 => office.call(name, "804"),
                5 if !office.phone(name).up.is_empty() => {
                    office.phone(name).refer(now, "<sip:0455550009@192.0.2.1>", &[]);
                }
                6 => office.hang_up(name),
                _ => {}
            }
            office.phone(TRUNK).does = match office.dice(3) {
                0 => Does::Refuses(486),
                1 => Does::Rings,
                _ => Does::Answers(400),
            };
            let pause = u64::from(office.dice(1_500));
            for _ in 0..10 {
                office.run(Duration::from_millis(pause / 10));
                let now = outside(&office);
                most_seen = most_seen.max(now);
                assert!(now <= MOST, "seed {seed}: {now} legs: {:#?}", office.switch.calls());
            }
        }
        refused += count(&office, Cap::Concurrent).refused;
    }
    assert_eq!(most_seen, MOST, "the cap is reached");
    assert!(refused > 20, "and refuses: {refused}");
}
