//! What a module knows of callers (`[lookup]`): a name for the phones, a refusal; and a module that
//! is slow, fails or never answers, which costs a call its stated time and nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::{CallCause, Found};
use office::{Does, Office, TRUNK, ending, only};

const NUMBER2: &str = "0312340002";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The office that asks about its callers, and waits 300 ms.
fn asking() -> Office {
    Office::planned(|plan| format!("{plan}\n[lookup]\nmodule = \"callers\"\nwithin_ms = 300\n"))
}

fn found(name: Option<&str>, refuse: Option<&str>) -> Option<Found> {
    Some(Found { name: name.map(Into::into), refuse: refuse.map(Into::into) })
}

/// From when to when the caller waited, by the first phone that rings.
fn rings_after(office: &mut Office) -> Duration {
    let begin = office.now;
    while !office.phone('A').heard("invite") {
        office.run(ms(1));
        assert!(office.now.since(begin) < ms(5_000), "nothing rings: {:?}", office.explained);
    }
    office.now.since(begin)
}

#[test]
fn a_known_caller_has_its_name_on_every_phone() {
    let mut office = asking();
    office.all(Does::Rings);
    office.modules.answer = Some((ms(40), Ok(found(Some("Tanaka \"Shoten\""), None))));
    office.call(TRUNK, NUMBER2);
    office.run(ms(1_000));
    for phone in ['A', 'B', 'C'] {
        let invite = office.phone(phone).invite.clone().unwrap();
        let name = String::from_utf8(invite.from().unwrap().display.to_vec()).unwrap();
        assert!(name.starts_with("\"Tanaka \\\"Shoten\\\""), "{phone}: {name}");
    }
    let asked = office.modules.asked.clone();
    let [question] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((&*question.module, &*question.tenant), ("callers", "acme"));
    assert_eq!((&*question.number, &*question.national), ("+81455550001", "0455550001"));
    assert_eq!(&*question.called, "+81312340002");
    assert!(office.explained("callers knows the caller: Tanaka \"Shoten\" (40 ms)"));
    office.give_up_first(TRUNK);
    office.finish();
}

#[test]
fn a_caller_that_is_refused_rings_nowhere_and_takes_no_channel() {
    let mut office = asking();
    office.all(Does::Answers(100));
    office.modules.answer = Some((ms(40), Ok(found(Some("Spam"), Some("complaints")))));
    office.call(TRUNK, NUMBER2);
    office.run(ms(2_000));
    assert!(!office.phone('A').heard("invite"));
    assert!(office.explained("callers refuses 0455550001: complaints"), "{:?}", office.explained);
    let cdrs = office.finish();
    assert_eq!(ending(&cdrs[0]), (CallCause::Plan, 603));
}

#[test]
fn without_an_answer_a_call_goes_on_at_its_time_and_not_later() {
    let mut office = asking();
    office.all(Does::Rings);
    office.call(TRUNK, NUMBER2);
    let waited = rings_after(&mut office);
    assert!((ms(300)..ms(330)).contains(&waited), "{waited:?}");
    assert!(office.explained("callers has not answered in 300 ms; the call goes on"));
    office.give_up_first(TRUNK);
    office.finish();
}

#[test]
fn an_answer_that_comes_too_late_is_of_no_use() {
    let mut office = asking();
    office.all(Does::Rings);
    office.modules.answer = Some((ms(301), Ok(found(None, Some("late")))));
    office.call(TRUNK, NUMBER2);
    let waited = rings_after(&mut office);
    assert!((ms(300)..ms(330)).contains(&waited), "{waited:?}");
    office.run(ms(2_000));
    assert_eq!(office.switch.calls().len(), 1, "it rings");
    office.give_up_first(TRUNK);
    office.finish();
}

#[test]
fn a_module_that_fails_or_does_not_know_lets_the_call_go_on_at_once() {
    for answer in [Err("the disk is gone".into()), Ok(None), Ok(found(None, None))] {
        let mut office = asking();
        office.all(Does::Rings);
        office.modules.answer = Some((ms(5), answer));
        office.call(TRUNK, NUMBER2);
        let waited = rings_after(&mut office);
        assert!(waited < ms(40), "{waited:?}");
        office.give_up_first(TRUNK);
        office.finish();
    }
}

#[test]
fn a_caller_who_gives_up_while_it_is_looked_up_is_gone() {
    let mut office = asking();
    office.call(TRUNK, NUMBER2);
    office.run(ms(50));
    assert_eq!(office.switch.tables().lookups, 1);
    assert_eq!(office.switch.calls().len(), 0);
    office.give_up(TRUNK);
    office.run(ms(1_000));
    assert_eq!(office.switch.tables().lookups, 0);
    assert!(!office.phone('A').heard("invite"));
    assert!(office.phone(TRUNK).heard("failed 487"), "the caller hears the end of it");
    let cdr = only(office.finish());
    assert_eq!(ending(&cdr), (CallCause::CallerGaveUp, 487));
    assert_eq!((cdr.tenant.as_str(), cdr.direction.as_str()), ("acme", "inbound"));
    assert_eq!((cdr.caller.as_str(), cdr.called.as_str()), ("0455550001", NUMBER2));
    assert_eq!((cdr.number.as_deref(), cdr.legs.len()), (Some("number2"), 1));
}

#[test]
fn an_orderly_stop_refuses_those_who_wait() {
    let mut office = asking();
    office.call(TRUNK, NUMBER2);
    office.run(ms(50));
    office.stop();
    office.run(ms(1_000));
    assert!(office.phone(TRUNK).heard("failed 503"));
    assert_eq!(office.switch.tables().lookups, 0);
    assert_eq!(ending(&only(office.finals())), (CallCause::ServerStopped, 503));
}

#[test]
fn nobody_is_asked_about_colleagues_hidden_callers_and_those_whom_the_plan_refuses() {
    let mut office = asking();
    office.all(Does::Rings);
    office.call('A', "802");
    office.run(ms(500));
    office.give_up('A');
    office.run(ms(500));
    office.phone(TRUNK).from = Some(b"<sip:anonymous@anonymous.invalid>;tag=1".to_vec());
    office.call(TRUNK, NUMBER2);
    office.run(ms(500));
    office.give_up(TRUNK);
    office.run(ms(500));
    assert_eq!(office.modules.asked, []);
    let blocked = "did = \"0312340002\"\nblocked = [\"0455550001\"]";
    let mut office = Office::planned(|plan| {
        let plan = plan.replace("did = \"0312340002\"", blocked);
        format!("{plan}\n[lookup]\nmodule = \"callers\"\n")
    });
    office.call(TRUNK, NUMBER2);
    office.run(ms(500));
    assert_eq!(office.modules.asked, []);
    let cdrs = office.finish();
    assert_eq!(ending(&cdrs[0]), (CallCause::Plan, 603));
}
