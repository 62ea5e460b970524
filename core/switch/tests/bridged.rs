//! An application has its caller talk to somebody else and goes on with it behind that: what came
//! of it is told once, whatever ends it, and the tables stay true at every step.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::{AppEvent, Bridge, CallCause, OpStatus, Operation};
use office::modules::Script;
use office::{Does, Office, SERVER, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn to(number: &str) -> Bridge {
    Bridge { number: number.into(), ring_ms: 10_000, max_ms: 0, keys: "*".into() }
}

const WAITS: Operation = Operation::Sleep { ms: 5_000 };

/// A calls the application, which answers and dials this.
fn dialled(bridge: Bridge, does: Does) -> Office {
    dialled_in(Office::open(), bridge, does)
}

fn dialled_in(mut office: Office, bridge: Bridge, does: Does) -> Office {
    let script = vec![Operation::Answer, Operation::Bridge(bridge), WAITS, WAITS, WAITS];
    office.modules.script = Some(Script::Runs(script));
    office.phone('B').does = does.clone();
    office.phone(TRUNK).does = does;
    office.call('A', "601");
    run(&mut office, secs(2));
    office
}

/// Runs, and holds the tables against each other on the way.
fn run(office: &mut Office, time: Duration) {
    let steps = time.as_millis() / 100;
    for _ in 0..steps {
        office.run(Duration::from_millis(100));
        assert_eq!(office.switch.audit(), Ok(()));
    }
}

/// The results of the operations, in order.
fn results(office: &Office) -> Vec<(OpStatus, String)> {
    let result = |event: &AppEvent| match event {
        AppEvent::OpDone { status, text, .. } => Some((*status, text.to_string())),
        _ => None,
    };
    office.modules.heard.iter().filter_map(result).collect()
}

/// What the second operation, the bridge, has come to.
fn outcome(office: &Office) -> (OpStatus, String) {
    results(office)[1].clone()
}

fn stage(office: &Office) -> String {
    office.switch.calls()[0].stage.clone()
}

/// The bridge's result says this, and the application has its caller back.
fn is_back(office: &mut Office, words: &str) {
    run(office, secs(1));
    let (status, text) = outcome(office);
    assert!(status == OpStatus::Ok && text.starts_with(words), "{status:?} {text}");
    assert_eq!(stage(office), "module announcements");
    assert!(!office.phone('A').heard("bye "), "the caller is still there");
    assert_eq!(office.switch.tables().channels, 0, "the channels are free again");
}

#[test]
fn a_second_party_that_hangs_up_gives_the_caller_back() {
    let mut office = dialled(to("802"), Does::Answers(200));
    assert_eq!((stage(&office), office.switch.bridges().len()), ("bridged".to_owned(), 1));
    assert_eq!(results(&office).len(), 1, "no result while they talk");
    run(&mut office, secs(3));
    office.hang_up('B');
    is_back(&mut office, "talked party ");
    let (_, text) = outcome(&office);
    let ms: u64 = text.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((3_000..6_000).contains(&ms), "{text}");
    run(&mut office, secs(15));
    assert!(office.phone('A').heard("bye "), "the application is done, and the call with it");
    let cdr = only(office.finish());
    assert_eq!((ending(&cdr), cdr.legs.len()), ((CallCause::Plan, 200), 2));
}

#[test]
fn a_key_of_the_caller_and_a_time_bring_it_back_and_end_the_other_leg() {
    for (bridge, words) in
        [(to("802"), "talked key-* "), (Bridge { max_ms: 2_000, ..to("802") }, "talked time ")]
    {
        let mut office = dialled(bridge.clone(), Does::Answers(200));
        if bridge.max_ms == 0 {
            let (now, media) = (office.now, office.phone('A').media);
            office.media.press(now, media, b'5');
            run(&mut office, secs(1));
            assert_eq!(stage(&office), "bridged", "another key is the other party's");
            let now = office.now;
            office.media.press(now, media, b'*');
        } else {
            run(&mut office, secs(1));
        }
        is_back(&mut office, words);
        assert!(office.phone('B').heard("bye "), "{:?}", office.phone('B').log);
        office.hang_up('A');
        assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
    }
}

#[test]
fn who_is_busy_declines_does_not_answer_or_is_not_there_is_told_in_a_word() {
    for (number, does, words) in [
        ("802", Does::Refuses(486), "busy 486"),
        ("802", Does::Refuses(603), "declined 603"),
        ("802", Does::Rings, "no-answer 408"),
        ("09012345678", Does::Refuses(486), "busy 486"),
        ("119", Does::Rings, "refused blocked:emergency"),
    ] {
        let mut office = dialled(to(number), does);
        if words.starts_with("no-answer") {
            assert_eq!(stage(&office), "ringing");
            run(&mut office, secs(10));
        }
        let (status, text) = outcome(&office);
        assert!(status == OpStatus::Ok && text.starts_with(words), "{words}: {status:?} {text}");
        office.hang_up('A');
        assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200), "{words}");
    }
}

#[test]
fn a_key_before_an_answer_ends_the_ringing() {
    let mut office = dialled(to("802"), Does::Rings);
    let (now, media) = (office.now, office.phone('A').media);
    office.media.press(now, media, b'*');
    is_back(&mut office, "key-*");
    assert!(office.phone('B').heard("cancelled "), "{:?}", office.phone('B').log);
    office.hang_up('A');
    office.finish();
}

#[test]
fn a_caller_who_hangs_up_ends_both_legs_and_the_application_hears_it_once() {
    for does in [Does::Rings, Does::Answers(200)] {
        let mut office = dialled(to("802"), does);
        office.hang_up('A');
        run(&mut office, secs(1));
        assert_eq!(outcome(&office), (OpStatus::HangUp, String::new()));
        assert_eq!(office.modules.heard.last(), Some(&AppEvent::HangUp));
        assert_eq!((results(&office).len(), office.modules.live()), (2, 0));
        assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
    }
}

#[test]
fn a_cancel_brings_the_caller_back_and_has_its_one_result() {
    for does in [Does::Rings, Does::Answers(200)] {
        let mut office = dialled(to("802"), does);
        let now = office.now;
        office.modules.cancel(now);
        run(&mut office, secs(1));
        assert_eq!(outcome(&office), (OpStatus::Cancelled, String::new()));
        assert_eq!(stage(&office), "module announcements");
        run(&mut office, secs(16));
        assert_eq!(results(&office).len(), 5);
        office.finish();
    }
}

#[test]
fn beside_the_talk_the_application_may_wait_and_nothing_else() {
    let mut office = dialled(to("802"), Does::Answers(200));
    let now = office.now;
    office.modules.flood(now, &Operation::Sleep { ms: 500 });
    office
        .modules
        .flood(now, &Operation::Play { prompts: vec![("ja".into(), "lunch".into())], times: 1 });
    office.modules.flood(now, &Operation::Bridge(to("803")));
    run(&mut office, secs(1));
    let heard = results(&office);
    let refused = (OpStatus::Failed, "the caller talks to somebody".to_owned());
    assert_eq!(heard[1..3], [refused.clone(), refused]);
    assert_eq!(heard[3], (OpStatus::Ok, String::new()), "the wait");
    assert_eq!(stage(&office), "bridged");
    office.hang_up('A');
    office.finish();
}

#[test]
fn a_caller_who_is_sent_on_goes_on_without_its_application() {
    let mut office = dialled(to("802"), Does::Answers(200));
    office.phone('C').does = Does::Answers(200);
    let now = office.now;
    office.phone('B').refer(now, &format!("<sip:803@{SERVER}>"), &[]);
    run(&mut office, secs(2));
    assert_eq!(outcome(&office), (OpStatus::HangUp, String::new()));
    assert_eq!(office.modules.live(), 0);
    assert_eq!(stage(&office), "bridged", "A talks to C");
    office.hang_up('A');
    office.finish();
}

#[test]
fn an_application_that_ends_meanwhile_takes_the_second_party_with_it() {
    let mut office = dialled(to("802"), Does::Answers(200));
    let now = office.now;
    office.modules.fail(now, "its build was replaced");
    run(&mut office, secs(1));
    assert!(office.phone('B').heard("bye "), "{:?}", office.phone('B').log);
    assert!(office.phone('A').heard("bye "));
    office.finish();
}

#[test]
fn a_call_to_outside_takes_a_channel_for_as_long_as_it_lasts() {
    let mut office = dialled(to("09012345678"), Does::Answers(200));
    assert_eq!(stage(&office), "bridged", "{:?}", office.explained);
    assert!(office.switch.tables().channels > 0);
    office.hang_up(TRUNK);
    is_back(&mut office, "talked party ");
    office.hang_up('A');
    office.finish();
}

#[test]
fn an_operator_and_a_stop_end_it_in_the_middle() {
    for does in [Does::Rings, Does::Answers(200)] {
        let mut office = dialled(to("802"), does);
        assert!(office.kill());
        run(&mut office, secs(1));
        assert_eq!(outcome(&office), (OpStatus::HangUp, String::new()));
        assert_eq!(only(office.finish()).cause, Some(CallCause::Killed));
    }
}
