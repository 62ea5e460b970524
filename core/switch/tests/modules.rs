//! Applications on calls: announcements, failures, hang-ups, digits; exactly one result an
//! operation.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::{AppEvent, CallCause, OpStatus, Operation};
use office::modules::Script;
use office::{Office, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn play(name: &str, times: u32) -> Operation {
    Operation::Play { prompts: vec![("ja".into(), name.into())], times }
}

/// The status of every operation's result.
fn results(office: &Office) -> Vec<OpStatus> {
    let status = |event: &AppEvent| match event {
        AppEvent::OpDone { status, .. } => Some(*status),
        _ => None,
    };
    office.modules.heard.iter().filter_map(status).collect()
}

/// A call to 601, whose application does this.
fn with(script: Script) -> Office {
    let mut office = Office::open();
    office.modules.script = Some(script);
    office.call('A', "601");
    office.run(secs(1));
    office
}

#[test]
fn at_lunch_the_caller_hears_the_lunch_announcement_and_is_hung_up() {
    let mut office = Office::at("2026-07-01T12:30:00+09:00");
    office.call(TRUNK, "0312340001");
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("answered"), "{:?}", office.phone(TRUNK).log);
    assert!(office.phones.values().all(|phone| !phone.heard("invite")));
    assert!(office.modules.started[0].contains("\"lunch\""), "{:?}", office.modules.started);
    office.run(secs(3));
    assert!(office.phone(TRUNK).heard("bye "));
    assert_eq!(office.media.played, ["ja/lunch"]);
    assert_eq!(ending(&only(office.finish())), (CallCause::Plan, 200));
}

#[test]
fn a_caller_who_hangs_up_ends_the_application_with_a_result_for_what_runs() {
    let mut office = with(Script::Runs(vec![Operation::Answer, play("closed", 0)]));
    office.hang_up('A');
    office.run(secs(1));
    assert_eq!(results(&office), [OpStatus::Ok, OpStatus::HangUp]);
    assert_eq!(office.modules.heard.last(), Some(&AppEvent::HangUp));
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_caller_who_gives_up_during_early_media_is_487() {
    let mut office = with(Script::Runs(vec![Operation::EarlyMedia, play("closed", 0)]));
    office.give_up('A');
    office.run(secs(1));
    assert!(office.phone('A').heard("failed 487"));
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerGaveUp, 487));
}

#[test]
fn an_application_that_fails_lets_the_plan_go_on() {
    let mut office = with(Script::Fails("boom"));
    assert!(office.explained("module announcements failed: boom"));
    let log = office.phone('A').log.clone();
    assert!(log.iter().any(|line| line.starts_with("failed 4")), "{log:?}");
    assert_eq!(only(office.finish()).cause, Some(CallCause::Plan));
}

#[test]
fn a_refusals_announcement_that_fails_still_refuses_with_its_status() {
    let mut office = Office::open();
    office.modules.script = Some(Script::Fails("boom"));
    office.call(TRUNK, "0399999999");
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("failed 404"));
    assert_eq!(only(office.finish()).status, 404);
}

#[test]
fn an_application_hangs_up_an_answered_and_an_unanswered_call() {
    for (answers, status) in [(true, 200), (false, 403)] {
        let mut script = vec![Operation::Sleep { ms: 500 }, Operation::HangUp { status: 403 }];
        if answers {
            script.insert(0, Operation::Answer);
        }
        let mut office = with(Script::Runs(script));
        let wanted = if answers { "bye " } else { "failed 403" };
        assert!(office.phone('A').heard(wanted), "{:?}", office.phone('A').log);
        assert_eq!(ending(&only(office.finish())), (CallCause::Plan, status));
    }
}

#[test]
fn digits_are_collected_to_their_number_to_the_hash_and_to_the_silence() {
    let collect = Operation::CollectDigits { min: 2, max: 4, timeout_ms: 3_000 };
    let cases = [
        ("1234", "1234", OpStatus::Ok),
        ("12#", "12", OpStatus::Ok),
        ("1", "1", OpStatus::TimedOut),
    ];
    for (pressed, text, status) in cases {
        let mut office = with(Script::Runs(vec![Operation::Answer, collect.clone()]));
        let media = office.phone('A').media;
        for digit in pressed.bytes() {
            let now = office.now;
            office.media.press(now, media, digit);
            office.run(Duration::from_millis(200));
        }
        office.run(secs(4));
        let found = office.modules.heard.iter().any(|event| {
            matches!(event,
            AppEvent::OpDone { status: s, text: t, .. } if *s == status && **t == *text)
        });
        assert!(found, "{:?}", office.modules.heard);
        office.finish();
    }
}

#[test]
fn a_key_that_nothing_waits_for_is_an_event() {
    let mut office = with(Script::Runs(vec![Operation::Answer, Operation::Sleep { ms: 2_000 }]));
    let (now, media) = (office.now, office.phone('A').media);
    office.media.press(now, media, b'5');
    office.run(secs(1));
    assert!(office.modules.heard.contains(&AppEvent::Digit(b'5')));
    office.finish();
}

#[test]
fn a_prompt_that_is_missing_is_not_found_and_a_cancelled_one_cancelled() {
    let office = with(Script::Runs(vec![Operation::Answer, play("missing", 1)]));
    assert_eq!(results(&office), [OpStatus::Ok, OpStatus::NotFound]);
    office.finish();
    let mut office = with(Script::Runs(vec![Operation::Answer, play("closed", 0)]));
    let now = office.now;
    office.modules.cancel(now);
    office.run(secs(1));
    assert_eq!(results(&office), [OpStatus::Ok, OpStatus::Cancelled]);
    office.finish();
}

#[test]
fn an_application_that_hangs_holds_a_caller_who_is_there_and_no_other() {
    // Answered, and the caller vanishes: noticed by its RTP.
    let mut office = with(Script::Runs(vec![Operation::Answer, play("closed", 0)]));
    office.vanish('A');
    office.run(secs(12));
    assert_eq!(ending(&only(office.finish())), (CallCause::MediaLost, 200));
    // Not answered: the bound of unanswered calls ends it.
    let mut office = with(Script::Hangs);
    office.vanish('A');
    office.run(secs(890));
    assert_eq!(office.switch.calls().len(), 1);
    office.run(secs(12));
    assert_eq!(ending(&only(office.finish())), (CallCause::NotAnswered, 480));
}

#[test]
fn an_application_in_a_loop_gets_so_many_operations_and_no_more() {
    let mut office = with(Script::Hangs);
    for _ in 0..100 {
        let now = office.now;
        office.modules.flood(now, &Operation::Sleep { ms: 5_000 });
    }
    office.run(secs(1));
    assert_eq!(results(&office), [OpStatus::Failed; 68]);
    office.give_up('A');
    office.run(secs(1));
    assert_eq!(results(&office).iter().filter(|status| **status == OpStatus::HangUp).count(), 32);
    office.finish();
}

#[test]
fn an_operator_ends_a_call_in_an_application() {
    let mut office = with(Script::Runs(vec![Operation::Answer, play("closed", 0)]));
    assert!(office.kill());
    assert_eq!(ending(&only(office.finish())), (CallCause::Killed, 200));
}

#[test]
fn a_module_that_fails_leaves_the_call_to_the_way_that_the_plan_names() {
    // What fails, and who rings then: nobody when all went well.
    for (script, rings) in [(Some(Script::Fails("rain")), "B"), (None, "")] {
        let mut office = Office::changed(
            "do = { announce = \"closed\" }   # hear what callers hear at night",
            "do = { announce = \"closed\", on_error = { group = \"desk\" } }\n\
             [group.desk]\nmembers = [\"B\"]",
        );
        office.modules.script = script;
        office.call('A', "601");
        office.run(Duration::from_secs(2));
        assert_eq!(office.phone('B').heard("invite"), rings == "B", "{:?}", office.explained);
        office.run(Duration::from_secs(3));
        office.give_up('A');
        office.hang_up('A');
        office.finish();
    }
}

#[test]
fn a_forward_that_no_trunk_takes_goes_the_way_on_and_a_busy_target_does_not() {
    for (status, rings) in [(503, true), (486, false)] {
        let mut office = Office::changed(
            "do = { announce = \"closed\" }   # hear what callers hear at night",
            "do = { forward = \"0455550001\", on_error = { group = \"desk\" } }\n\
             [group.desk]\nmembers = [\"B\"]",
        );
        office.phone(office::TRUNK).does = office::Does::Refuses(status);
        office.call('A', "601");
        office.run(Duration::from_secs(2));
        assert_eq!(office.phone('B').heard("invite"), rings, "{status}: {:?}", office.explained);
        office.give_up('A');
        office.finish();
    }
}
