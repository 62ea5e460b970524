//! Voicemail on a fake host: what is left, what is refused, what is played, and what is kept.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::time::Duration;

use koukan_sdk::fake::{Run, TENANT, World};
use koukan_sdk::{Operation, Prompt, status};
use serde_json::{Value, json};
use voicemail::{leave, menu, retention};

/// 2026-07-01T12:05:00+09:00.
const NOON: i64 = 1_782_875_100_000;
const DAY: i64 = 86_400_000;

fn plan() -> Value {
    json!({
        "mailbox": "main", "language": "en", "max_message_ms": 30_000, "max_messages": 15,
        "keep_ms": 7 * DAY, "notify": ["office@example.co.jp"], "caller": "0455550001",
        "called": "0312340001", "utc_offset_s": 32_400,
    })
}

fn boxes(pin: Option<&str>) -> Value {
    json!({
        "language": "en", "mailboxes": [{ "name": "main", "pin": pin }], "utc_offset_s": 32_400,
    })
}

/// The names of what is being played, with the operation's number.
fn played(run: &mut Run) -> (u64, Vec<String>) {
    loop {
        match run.next_operation() {
            Some((op, Operation::Play { prompts, .. })) => {
                return (op, prompts.into_iter().map(|prompt| prompt.name).collect());
            }
            // Between keys it waits for the next one.
            Some((_, Operation::Sleep { .. })) => {}
            other => panic!("no play but {other:?}"),
        }
    }
}

/// Plays what is next to its end.
fn hear(run: &mut Run) -> Vec<String> {
    let (op, names) = played(run);
    run.done(op, status::OK, "");
    names
}

fn answered(run: &mut Run) {
    let (op, operation) = run.next_operation().unwrap();
    assert_eq!(operation, Operation::Answer);
    run.done(op, status::OK, "");
}

/// A message of so many seconds whose caller hangs up.
fn leave_message(world: &World, plan: &Value, seconds: u64) -> Run {
    let mut run = Run::start_in(world, leave, plan);
    answered(&mut run);
    assert_eq!(hear(&mut run), ["vm/greeting", "beep"]);
    run.hang_up_recording(Duration::from_secs(seconds));
    run
}

fn states(world: &World) -> Vec<String> {
    let records = world.records(TENANT);
    let messages = records.iter().filter(|(key, _)| key.starts_with("m/"));
    messages
        .map(|(_, value)| {
            serde_json::from_str::<Value>(value).unwrap()["state"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn a_message_is_kept_shown_and_mailed() {
    let world = World::at(NOON);
    let run = leave_message(&world, &plan(), 12);
    assert!(matches!(run.outcome(), Some(Ok(()))), "{:?}", run.outcome());
    assert_eq!(world.lamp(TENANT, "main"), Some((1, 0)));
    assert_eq!((states(&world), world.objects(TENANT)), (vec!["new".into()], vec!["m-1".into()]));
    let (tenant, mail) = world.mails().remove(0);
    assert_eq!((&*tenant, &*mail.to[0]), (TENANT, "office@example.co.jp"));
    assert_eq!(mail.subject, "Voice message from 0455550001 (12 s)");
    assert!(mail.text.contains("On 7/1 at 12:05"), "{}", mail.text);
    assert_eq!(mail.attachment.unwrap(), ("m-1".into(), "message-0701-1205.wav".into()));
}

#[test]
fn the_plan_says_how_long_a_message_is_and_a_key_ends_it() {
    let world = World::at(NOON);
    let mut run = Run::start_in(&world, leave, &plan());
    answered(&mut run);
    hear(&mut run);
    let (op, operation) = run.next_operation().unwrap();
    let Operation::Record { object, max_ms, keys, .. } = operation else { panic!("no recording") };
    assert_eq!((&*object, max_ms, &*keys), ("m-1", 30_000, "#"));
    assert_eq!(states(&world), ["recording"], "it is known before it begins");
    world.make_object(TENANT, "m-1", 480_058);
    run.done(op, status::OK, "30000");
    assert_eq!(hear(&mut run), ["vm/taken"]);
    run.advance(Duration::from_secs(1));
    assert!(matches!(run.outcome(), Some(Ok(()))));
    assert_eq!(world.lamp(TENANT, "main"), Some((1, 0)));
}

#[test]
fn the_sixteenth_message_is_refused_and_nothing_older_is_lost() {
    let world = World::at(NOON);
    for _ in 0..15 {
        leave_message(&world, &plan(), 3);
    }
    let mut run = Run::start_in(&world, leave, &plan());
    answered(&mut run);
    assert_eq!(hear(&mut run), ["vm/full"]);
    run.advance(Duration::from_secs(1));
    assert!(matches!(run.outcome(), Some(Ok(()))));
    assert_eq!((states(&world).len(), world.objects(TENANT).len()), (15, 15));
    assert_eq!(world.lamp(TENANT, "main"), Some((15, 0)));
}

#[test]
fn who_hangs_up_at_the_greeting_or_the_beep_leaves_nothing() {
    let world = World::at(NOON);
    let mut run = Run::start_in(&world, leave, &plan());
    answered(&mut run);
    played(&mut run);
    run.hang_up();
    assert!(matches!(run.outcome(), Some(Ok(()))));
    leave_message(&world, &plan(), 0);
    assert!(states(&world).is_empty() && world.objects(TENANT).is_empty());
    assert!(world.mails().is_empty());
}

#[test]
fn a_disk_that_refuses_leaves_no_half_message() {
    let world = World::at(NOON);
    let mut run = Run::start_in(&world, leave, &plan());
    answered(&mut run);
    hear(&mut run);
    let (op, _) = run.next_operation().unwrap();
    run.done(op, status::FAILED, "the disk is full");
    let error = run.outcome().unwrap().as_ref().unwrap_err().to_string();
    assert!(error.contains("the disk is full"), "{error}");
    assert!(states(&world).is_empty());
    let full = World::at(NOON);
    full.set_full(true);
    let mut run = Run::start_in(&full, leave, &plan());
    answered(&mut run);
    hear(&mut run);
    assert!(run.outcome().unwrap().is_err(), "it is not recorded when it cannot be kept");
}

#[test]
fn after_seven_days_a_message_is_deleted_and_the_lamp_goes_out() {
    let world = World::at(NOON);
    leave_message(&world, &plan(), 5);
    let mut task = Run::background(&world, retention);
    world.set_date(NOON + 7 * DAY - 1);
    task.advance(Duration::from_secs(60));
    assert_eq!(world.lamp(TENANT, "main"), Some((1, 0)));
    world.set_date(NOON + 7 * DAY);
    task.advance(Duration::from_secs(60));
    assert_eq!(world.lamp(TENANT, "main"), Some((0, 0)));
    assert!(states(&world).is_empty() && world.objects(TENANT).is_empty());
    assert!(task.outcome().is_none(), "it goes on");
}

#[test]
fn a_message_that_a_kill_cut_short_is_a_message_at_the_next_start() {
    let world = World::at(NOON);
    for bytes in [Some(58 + 16 * 3_000), Some(58 + 16 * 200), None] {
        let mut run = Run::start_in(&world, leave, &plan());
        answered(&mut run);
        hear(&mut run);
        let Some((_, Operation::Record { object, .. })) = run.next_operation() else { panic!() };
        if let Some(bytes) = bytes {
            world.make_object(TENANT, &object, bytes);
        }
    }
    assert_eq!(states(&world), ["recording", "recording", "recording"]);
    Run::background(&world, retention);
    assert_eq!((states(&world), world.objects(TENANT)), (vec!["new".into()], vec!["m-1".into()]));
    assert_eq!(world.lamp(TENANT, "main"), Some((1, 0)), "the lamp is lit at the start");
    let length = serde_json::from_str::<Value>(&world.records(TENANT)[1].1).unwrap();
    assert_eq!(length["length_ms"], 3_000);
}

#[test]
fn a_message_is_played_with_its_caller_and_time_and_deleted() {
    let world = World::at(NOON);
    leave_message(&world, &plan(), 5);
    world.set_date(NOON + 2 * DAY);
    let mut run = Run::start_in(&world, menu, &boxes(None));
    answered(&mut run);
    assert_eq!(hear(&mut run), ["vm/new", "say/n-1", "vm/old", "say/n-0"]);
    let head = hear(&mut run);
    let expected = "vm/message say/n-1 say/month-7 say/day-1 say/n-12 say/oh say/n-5 say/pm \
                    vm/from say/d-0 say/d-4 say/d-5";
    assert!(head.join(" ").starts_with(expected), "{head:?}");
    let (op, names) = played(&mut run);
    assert_eq!(names, ["m-1"]);
    run.done(op, status::OK, "");
    assert_eq!(world.lamp(TENANT, "main"), Some((0, 1)), "it was heard");
    assert_eq!(played(&mut run).1, ["vm/menu"]);
    run.digit(b'7');
    assert_eq!(world.lamp(TENANT, "main"), Some((0, 0)));
    assert!(world.objects(TENANT).is_empty());
    assert_eq!(hear(&mut run), ["vm/deleted"]);
    assert_eq!(hear(&mut run), ["vm/no-more"]);
    assert_eq!(hear(&mut run), ["vm/goodbye"]);
}

#[test]
fn keys_go_on_back_and_again_and_interrupt_what_is_said() {
    let world = World::at(NOON);
    for _ in 0..3 {
        leave_message(&world, &plan(), 5);
        world.set_date(world.date_ms() + 1_000);
    }
    let mut run = Run::start_in(&world, menu, &boxes(None));
    answered(&mut run);
    hear(&mut run);
    let number = |run: &mut Run| played(run).1[1].clone();
    assert_eq!(number(&mut run), "say/n-1");
    run.digit(b'6');
    assert_eq!(number(&mut run), "say/n-2");
    run.digit(b'6');
    assert_eq!(number(&mut run), "say/n-3");
    run.digit(b'6');
    assert_eq!(played(&mut run).1, ["vm/no-more"]);
    run.digit(b'4');
    assert_eq!(number(&mut run), "say/n-2");
    run.digit(b'5');
    assert_eq!(number(&mut run), "say/n-2");
    run.digit(b'9');
    assert_eq!(world.lamp(TENANT, "main"), Some((2, 1)), "kept, and no longer new");
    assert_eq!(hear(&mut run), ["vm/saved"]);
    assert_eq!(number(&mut run), "say/n-3");
    run.digit(b'*');
    assert_eq!(hear(&mut run), ["vm/goodbye"]);
    run.advance(Duration::from_secs(1));
    assert!(matches!(run.outcome(), Some(Ok(()))));
}

#[test]
fn calling_back_goes_through_the_plan_and_a_refusal_is_said() {
    let world = World::at(NOON);
    leave_message(&world, &plan(), 5);
    let mut run = Run::start_in(&world, menu, &boxes(None));
    answered(&mut run);
    hear(&mut run);
    played(&mut run);
    run.digit(b'8');
    let (op, operation) = run.next_operation().unwrap();
    let (number, keys) = ("0455550001".to_owned(), "*".to_owned());
    assert_eq!(operation, Operation::Bridge { number, ring_ms: 0, max_ms: 0, keys });
    run.done(op, status::OK, "refused blocked:outside");
    assert_eq!(hear(&mut run), ["vm/cannot-call"]);
    for outcome in ["busy 486", "no-answer 408"] {
        played(&mut run);
        run.digit(b'8');
        let (op, _) = run.next_operation().unwrap();
        run.done(op, status::OK, outcome);
        assert_eq!(hear(&mut run), ["vm/cannot-call"], "{outcome}");
    }
}

#[test]
fn behind_a_call_back_the_menu_goes_on() {
    let world = World::at(NOON);
    leave_message(&world, &plan(), 5);
    let mut run = Run::start_in(&world, menu, &boxes(None));
    answered(&mut run);
    hear(&mut run);
    for outcome in ["talked party 5000", "talked key-* 5000", "key-*"] {
        played(&mut run);
        run.digit(b'8');
        let (op, _) = run.next_operation().unwrap();
        run.done(op, status::OK, outcome);
        assert_eq!(played(&mut run).1, ["vm/menu"], "{outcome}");
        run.digit(b'5');
    }
    played(&mut run);
    run.digit(b'7');
    assert_eq!(hear(&mut run), ["vm/deleted"], "its message is at hand still");
}

#[test]
fn a_server_that_cannot_bring_the_caller_back_lets_it_go() {
    let world = World::at(NOON);
    leave_message(&world, &plan(), 5);
    let mut run = Run::start_in(&world, menu, &boxes(None));
    answered(&mut run);
    hear(&mut run);
    played(&mut run);
    run.digit(b'8');
    let (op, _) = run.next_operation().unwrap();
    run.done(op, status::UNSUPPORTED, "");
    let (op, operation) = run.next_operation().unwrap();
    assert_eq!(operation, Operation::Dial { number: "0455550001".into() });
    run.done(op, status::OK, "");
    assert!(matches!(run.outcome(), Some(Ok(()))));
}

#[test]
fn a_caller_without_a_number_is_said_so_and_cannot_be_called_back() {
    let world = World::at(NOON);
    let mut anonymous = plan();
    anonymous["caller"] = "anonymous".into();
    leave_message(&world, &anonymous, 5);
    let mut run = Run::start_in(&world, menu, &boxes(None));
    answered(&mut run);
    hear(&mut run);
    assert_eq!(played(&mut run).1.last().unwrap(), "vm/unknown");
    run.digit(b'8');
    assert_eq!(played(&mut run).1, ["vm/cannot-call"]);
}

#[test]
fn a_wrong_pin_is_counted_over_calls_and_locks_the_box() {
    let world = World::at(NOON);
    leave_message(&world, &plan(), 5);
    let press = |run: &mut Run, digits: &[u8]| digits.iter().for_each(|digit| run.digit(*digit));
    for (call, tries) in [(1, 3), (2, 2)] {
        let mut run = Run::start_in(&world, menu, &boxes(Some("2468")));
        answered(&mut run);
        for _ in 0..tries {
            assert_eq!(played(&mut run).1.last().unwrap(), "vm/pin", "call {call}");
            press(&mut run, b"1111#");
        }
        let last = if call == 1 { "vm/pin-wrong" } else { "vm/pin-locked" };
        assert_eq!(hear(&mut run), [last]);
        run.advance(Duration::from_secs(1));
        assert!(matches!(run.outcome(), Some(Ok(()))));
    }
    assert_eq!(world.counted("pin_failures"), Some(5));
    assert_eq!(world.counted("messages_left"), Some(1));
    let mut run = Run::start_in(&world, menu, &boxes(Some("2468")));
    answered(&mut run);
    assert_eq!(played(&mut run).1, ["vm/pin-locked"], "the right one does not help either");
    world.set_date(NOON + 16 * 60_000);
    let mut run = Run::start_in(&world, menu, &boxes(Some("2468")));
    answered(&mut run);
    played(&mut run);
    press(&mut run, b"2468#");
    assert_eq!(hear(&mut run)[0], "vm/new");
}

#[test]
fn a_phone_without_a_box_or_messages_is_told_so() {
    let none = json!({ "language": "ja", "mailboxes": [], "utc_offset_s": 0 });
    let mut run = Run::start_in(&World::default(), menu, &none);
    answered(&mut run);
    assert_eq!(hear(&mut run), ["vm/no-box"]);
    let mut run = Run::start_in(&World::default(), menu, &boxes(None));
    answered(&mut run);
    assert_eq!(hear(&mut run), ["vm/none"]);
    assert_eq!(hear(&mut run), ["vm/goodbye"]);
}

#[test]
fn a_message_whose_file_is_gone_does_not_end_the_call() {
    let world = World::at(NOON);
    leave_message(&world, &plan(), 5);
    let mut run = Run::start_in(&world, menu, &boxes(None));
    answered(&mut run);
    hear(&mut run);
    hear(&mut run);
    let (op, _) = played(&mut run);
    run.done(op, status::NOT_FOUND, "");
    assert_eq!(played(&mut run).1, ["vm/menu"]);
    assert_eq!(world.lamp(TENANT, "main"), Some((1, 0)), "nobody heard it");
    run.digit(b'7');
    assert!(states(&world).is_empty(), "it can be deleted");
}

#[test]
fn every_prompt_of_the_module_has_its_file_in_both_languages() {
    let prompts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/prompts");
    let source = [
        include_str!("../src/leave.rs"),
        include_str!("../src/menu.rs"),
        include_str!("../src/pin.rs"),
        include_str!("../src/words.rs"),
    ]
    .concat();
    let quoted = source.split('"').filter(|text| text.starts_with("vm/"));
    let mut count = 0;
    for name in quoted {
        for language in ["ja", "en"] {
            let prompt = Prompt::new(language, name);
            assert!(prompts.join(format!("{prompt}.wav")).is_file(), "{prompt} is missing");
            count += 1;
        }
    }
    assert!(count > 20);
}
