//! The module host with real shared objects: the announcements module, a module in C, and one whose
//! applications panic.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod house;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use house::{CALL, Host, NOW, Room, announcements, faulty};
use koukan::module::preflight::{PreflightError, preflight, schema};
use koukan_base::{OpId, Rng, Time};
use koukan_switch::{AppEvent, InstanceId, ModuleRequest, Note, Now, OBJECT, OpStatus, Operation};
use mio::Events;

const CLOSED: &str =
    r#"{"answered":false,"times":2,"prompts":[{"language":"ja","name":"closed"}]}"#;

#[test]
fn announcements_are_played_by_the_loaded_module() {
    let room = Room::new();
    let mut host = room.load(&[("announcements", &announcements(), CALL)]).unwrap();
    assert!(host.modules.fills_role("announcements") && !host.modules.fills_role("voicemail"));
    let listed = host.modules.list(NOW.time);
    assert_eq!((&*listed[0].name, &*listed[0].state), ("announcements", "active"));
    assert_eq!(listed[0].version, env!("CARGO_PKG_VERSION"));

    let instance = host.start("announcements", "announcements", CLOSED);
    assert!(host.modules.has_requests());
    assert_eq!(host.modules.list(NOW.time)[0].instances, 1);
    let (op, operation) = host.operation();
    assert_eq!(operation, Operation::EarlyMedia);
    assert_eq!(host.request(), None);
    host.done(instance, op, OpStatus::Ok, "");
    let (op, operation) = host.operation();
    assert_eq!(
        operation,
        Operation::Play { prompts: vec![("ja".into(), "closed".into())], times: 2 }
    );
    host.done(instance, op, OpStatus::Ok, "");
    let (op, operation) = host.operation();
    assert_eq!(operation, Operation::Sleep { ms: 200 });
    host.done(instance, op, OpStatus::Ok, "");
    assert_eq!(host.ended(), Ok(()));
    host.assert_empty();
}

#[test]
fn a_missing_prompt_and_wrong_arguments_end_the_application_with_their_names() {
    let room = Room::new();
    let mut host = room.load(&[("announcements", &announcements(), CALL)]).unwrap();
    let instance = host.start("announcements", "announcements", CLOSED);
    let (op, _) = host.operation();
    host.done(instance, op, OpStatus::Ok, "");
    let (op, _) = host.operation();
    host.done(instance, op, OpStatus::NotFound, "");
    assert_eq!(host.ended(), Err("prompt ja/closed was not found".to_owned()));
    host.start("announcements", "announcements", "{\"answerd\":true}");
    let why = host.ended().unwrap_err();
    assert!(why.contains("unknown field `answerd`"), "{why}");
    host.start("announcements", "another", "{}");
    assert_eq!(host.ended(), Err("not found".to_owned()));
    host.start("voicemail", "voicemail", "{}");
    assert_eq!(host.ended(), Err("no loaded module fills the role voicemail".to_owned()));
    host.assert_empty();
}

#[test]
fn a_hang_up_while_it_plays_ends_the_application_and_leaves_nothing() {
    let room = Room::new();
    let mut host = room.load(&[("announcements", &announcements(), CALL)]).unwrap();
    let instance = host.start("announcements", "announcements", CLOSED);
    let (op, _) = host.operation();
    host.done(instance, op, OpStatus::Ok, "");
    let (op, _) = host.operation();
    host.done(instance, op, OpStatus::HangUp, "");
    assert_eq!(host.ended(), Err("the call has ended".to_owned()));
    // The switch does not know yet, and orders what it would have ordered.
    host.event(instance, AppEvent::HangUp);
    host.destroy(instance);
    host.assert_empty();
}

#[test]
fn a_result_is_delivered_once() {
    let room = Room::new();
    let mut host = room.load(&[("probe", &room.probe(&[]), CALL)]).unwrap();
    let instance = host.start("probe", "answers", "{}");
    let (op, operation) = host.operation();
    assert_eq!(operation, Operation::Answer);
    for text in ["first", "second"] {
        host.done(instance, op, OpStatus::Failed, text);
    }
    host.done(instance, OpId(99), OpStatus::Ok, "never started");
    host.event(instance, AppEvent::Digit(b'1'));
    let words = host.ended().unwrap_err();
    assert_eq!(words, "done 1 last -1 text first hang-ups 0 wakes 0");
    host.assert_empty();
}

#[test]
fn a_hang_up_settles_what_is_owed_before_it_is_told() {
    let room = Room::new();
    let mut host = room.load(&[("probe", &room.probe(&[]), CALL)]).unwrap();
    let instance = host.start("probe", "waits", "{}");
    let (sleep, operation) = host.operation();
    assert_eq!(operation, Operation::Sleep { ms: 1_000 });
    let (digits, operation) = host.operation();
    assert_eq!(operation, Operation::CollectDigits { min: 1, max: 4, timeout_ms: 1_000 });
    assert_ne!(sleep, digits);
    host.done(instance, digits, OpStatus::TimedOut, "12");
    host.event(instance, AppEvent::HangUp);
    // What comes too late is not delivered a second time.
    host.done(instance, sleep, OpStatus::HangUp, "");
    host.event(instance, AppEvent::Digit(b'1'));
    assert_eq!(host.ended(), Err("done 2 last -3 text  hang-ups 1 wakes 0".to_owned()));
    host.destroy(instance);
    host.assert_empty();
}

#[test]
fn every_instance_is_destroyed_exactly_once() {
    let room = Room::new();
    let mut host = room.load(&[("probe", &room.probe(&[]), CALL)]).unwrap();
    // One is destroyed by the switch, twice; one returns; one fails.
    let destroyed = host.start("probe", "waits", "{}");
    let returns = host.start("probe", "answers", "{}");
    let fails = host.start("probe", "answers", "{}");
    for _ in 0..4 {
        host.operation();
    }
    assert_eq!(host.modules.list(NOW.time)[0].instances, 3);
    host.destroy(destroyed);
    host.destroy(destroyed);
    host.event(returns, AppEvent::Digit(b'#'));
    assert_eq!(host.ended(), Ok(()));
    host.destroy(returns);
    host.event(fails, AppEvent::Digit(b'1'));
    assert!(host.ended().is_err());
    assert_eq!(host.words("probe", "counts"), "started 3 destroyed 3");
    host.assert_empty();
}

#[test]
fn an_array_of_prompts_and_its_cancelling_cross_the_border() {
    let room = Room::new();
    let mut host = room.load(&[("probe", &room.probe(&[]), CALL)]).unwrap();
    let instance = host.start("probe", "plays", "{}");
    let (op, operation) = host.operation();
    let prompts = vec![("ja".into(), "closed".into()), ("".into(), "own".into())];
    assert_eq!(operation, Operation::Play { prompts, times: 3 });
    assert_eq!(host.request(), Some(ModuleRequest::Cancel { instance, op }));
    host.done(instance, op, OpStatus::Cancelled, "");
    host.event(instance, AppEvent::Digit(b'1'));
    assert_eq!(host.ended(), Err("done 1 last -2 text  hang-ups 0 wakes 0".to_owned()));
    host.assert_empty();
}

#[test]
fn wrong_calls_of_a_module_are_refused_one_by_one() {
    let room = Room::new();
    let mut host = room.load(&[("probe", &room.probe(&[]), CALL)]).unwrap();
    // Unknown call, no place, no UTF-8, too small, no array, min above max, no such status, no op.
    assert_eq!(host.words("probe", "wrong"), "-5 -8 -8 -8 -8 -8 -8 -5");
    assert_eq!(host.words("probe", "thread"), "thread -7");
    host.assert_empty();
    assert_eq!(host.start("probe", "many", "{}"), InstanceId(3));
    for _ in 0..64 {
        host.operation();
    }
    assert_eq!(host.ended(), Err("64 then -9".to_owned()));
    host.assert_empty();
}

#[test]
fn many_wakes_from_another_thread_wake_the_loop_and_are_one_event() {
    let room = Room::new();
    let mut host = room.load(&[("probe", &room.probe(&[]), CALL)]).unwrap();
    let instance = host.start("probe", "woken", "{}");
    let mut events = Events::with_capacity(8);
    host.poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
    assert!(!events.is_empty(), "the loop sleeps on");
    assert_eq!(host.request(), None);
    host.event(instance, AppEvent::Digit(b'1'));
    assert_eq!(host.ended(), Err("done 0 last 0 text  hang-ups 0 wakes 1".to_owned()));
    host.assert_empty();
}

#[test]
fn an_extension_that_is_not_granted_is_not_there() {
    let room = Room::new();
    let file = room.probe(&[]);
    let mut host = room.load(&[("probe", &file, "")]).unwrap();
    host.start("probe", "ungranted", "{}");
    assert_eq!(host.ended(), Ok(()));
    host.assert_empty();
}

#[test]
fn a_required_extension_that_is_missing_or_not_granted_refuses_the_module_by_name() {
    let room = Room::new();
    let file = room.probe(&["-DPROBE_REQUIRED=\"kk.teleport/1\""]);
    let words = room.refusal(&file, CALL);
    assert!(words.contains("kk.teleport/1") && words.contains("probe.so"), "{words}");
    let file = room.probe(&["-DPROBE_REQUIRED=KK_ID_CALL_1"]);
    let words = room.refusal(&file, "");
    assert!(words.contains("needs kk.call/1: add \"call\" to its `grants`"), "{words}");
    assert!(room.load(&[("probe", &file, CALL)]).is_ok());
    let file = room.probe(&["-DPROBE_INIT=KK_E_UNSUPPORTED"]);
    let words = room.refusal(&file, CALL);
    assert!(words.ends_with("refused to start: not supported"), "{words}");
    assert_eq!(room.copies(), 0);
}

#[test]
fn a_file_that_does_not_fit_is_refused_before_it_is_loaded() {
    let room = Room::new();
    let refused = |faults: &[&str]| preflight(&fs::read(room.probe(faults)).unwrap());
    assert_eq!(refused(&[]), Ok(()));
    assert_eq!(refused(&["-DPROBE_MAJOR=2"]), Err(PreflightError::Major { found: 2 }));
    assert_eq!(refused(&["-DPROBE_MINOR=9"]), Err(PreflightError::Minor { found: 9 }));
    assert_eq!(refused(&["-DPROBE_MAGIC={1}"]), Err(PreflightError::Magic));
    assert_eq!(refused(&["-DPROBE_SIZE=64"]), Err(PreflightError::Size { found: 64 }));
    assert_eq!(refused(&["-DPROBE_NO_ENTRY"]), Err(PreflightError::NoEntry));
    // A constructor would betray that a refused file was run.
    let words = room.refusal(&room.probe(&["-DPROBE_MAJOR=2"]), CALL);
    assert!(words.contains("probe.so was built for version 2 of the module border"), "{words}");
}

#[test]
fn what_is_no_elf_file_of_this_machine_is_named() {
    let room = Room::new();
    let file = room.directory.join("wrong.so");
    let refusal = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        room.refusal(&file, CALL)
    };
    let words = refusal(b"this is no shared object");
    assert!(words.contains("wrong.so") && words.contains("is no ELF shared object"), "{words}");
    assert!(refusal(b"").contains("is no ELF shared object"));
    let good = fs::read(room.probe(&[])).unwrap();
    let patched = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        preflight(&bytes).unwrap_err().to_string()
    };
    assert!(patched(4, 1).contains("another kind of machine"));
    assert!(patched(18, 2).contains("another processor: its machine is 2"));
    assert!(patched(16, 2).contains("no shared object"));
    fs::remove_file(&file).unwrap();
    let words = room.refusal(&file, CALL);
    assert!(words.contains("wrong.so cannot be read: No such file"), "{words}");
}

#[test]
fn no_truncation_and_no_flip_of_a_module_makes_the_preflight_panic() {
    let room = Room::new();
    let good = fs::read(room.probe(&["-s"])).unwrap();
    let sections = usize::try_from(u64::from_le_bytes(good[0x28..0x30].try_into().unwrap()));
    let sections = sections.unwrap();
    for length in 0..good.len() {
        let outcome = preflight(&good[..length]);
        let _ = schema(&good[..length]);
        // What follows the sections' table is not needed to find the symbol.
        assert!(outcome.is_err() || length > sections, "{length} bytes");
    }
    let mut bytes = good;
    for at in 0..bytes.len() {
        let byte = bytes[at];
        for flipped in [!byte, byte ^ 1, byte ^ 0x80, 0xff] {
            bytes[at] = flipped;
            let _ = (preflight(&bytes), schema(&bytes));
        }
        bytes[at] = byte;
    }
    assert_eq!(preflight(&bytes), Ok(()));
}

#[test]
fn offsets_that_lead_anywhere_are_damage_and_never_a_panic() {
    let room = Room::new();
    let good = fs::read(room.probe(&["-s"])).unwrap();
    let mut rng = Rng::from_seed([7; 32]);
    let sections = usize::try_from(u64::from_le_bytes(good[0x28..0x30].try_into().unwrap()));
    let sections = sections.unwrap();
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + rng.next_u64() % 3 {
            // The header, the segments, or the sections: where the offsets stand.
            let (start, size) = if rng.next_u64() & 1 == 0 {
                (0x10, 0x300)
            } else {
                (sections, bytes.len() - sections)
            };
            let at = start + usize::try_from(rng.next_u64()).unwrap() % (size - 8);
            let value = match rng.next_u64() % 4 {
                0 => u64::MAX - rng.next_u64() % 64,
                1 => u64::from(u32::MAX) << (rng.next_u64() % 32),
                2 => rng.next_u64() % 0x10_000,
                _ => rng.next_u64(),
            };
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        accepted += u32::from(preflight(&bytes).is_ok());
    }
    assert!(accepted < 20_000, "every mutation was accepted");
}

#[test]
fn the_copy_is_private_and_gone_at_the_end_and_a_killed_server_leaves_none() {
    let room = Room::new();
    let file = room.probe(&[]);
    let left_behind = room.directory.join("data/modules");
    fs::create_dir_all(&left_behind).unwrap();
    fs::write(left_behind.join("old-1-0.so"), "left behind").unwrap();
    let host = room.load(&[("probe", &file, CALL), ("second", &file, CALL)]).unwrap();
    assert_eq!(room.copies(), 2);
    assert!(!left_behind.join("old-1-0.so").exists());
    let mode = fs::metadata(&left_behind).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    // The file itself may be overwritten under the running server.
    fs::write(&file, "something else").unwrap();
    let mut host = host;
    let instance = host.start("second", "answers", "{}");
    host.operation();
    host.destroy(instance);
    host.assert_empty();
    drop(host);
    assert_eq!(room.copies(), 0);
}

#[test]
fn a_panic_ends_only_its_own_application_wherever_it_happens() {
    let room = Room::new();
    let mut host = room.load(&[("faulty", &faulty(), CALL)]).unwrap();
    let good = host.start("faulty", "good", "{}");
    let (answer, _) = host.operation();

    let why = host.words("faulty", "at_once");
    assert!(why.contains("faulty.rs:") && why.ends_with("at once"), "{why}");
    let why = host.words("faulty", "payload");
    assert!(why.contains("faulty.rs:"), "{why}");

    let later = host.start("faulty", "later", "{}");
    let (op, _) = host.operation();
    host.done(later, op, OpStatus::Ok, "");
    let why = host.ended().unwrap_err();
    assert!(why.ends_with("later"), "{why}");

    // A destructor that panics while the future returns, and while the host destroys it.
    let returning = host.start("faulty", "destructor", "{}");
    let (op, _) = host.operation();
    host.done(returning, op, OpStatus::Ok, "");
    let why = host.ended().unwrap_err();
    assert!(why.ends_with("a destructor"), "{why}");
    let destroyed = host.start("faulty", "destructor", "{}");
    host.operation();
    host.destroy(destroyed);
    let held = host.start("faulty", "held", "{}");
    host.destroy(held);
    assert_eq!(host.request(), None);

    host.done(good, answer, OpStatus::Ok, "");
    let (digits, operation) = host.operation();
    assert_eq!(operation, Operation::CollectDigits { min: 1, max: 2, timeout_ms: 3_000 });
    host.done(good, digits, OpStatus::Ok, "42");
    let (hang_up, operation) = host.operation();
    assert_eq!(operation, Operation::HangUp { status: 486 });
    host.done(good, hang_up, OpStatus::Ok, "");
    assert_eq!(host.ended(), Ok(()));
    host.assert_empty();
    let module = &host.modules.list(NOW.time)[0];
    assert_eq!((module.starts, module.failures), (7, 4), "each fault is counted once");
    assert!(module.events >= 5 && module.slowest_us > 0, "{module:?}");
}

#[test]
fn a_waker_on_a_thread_of_the_module_wakes_its_application() {
    let room = Room::new();
    let mut host = room.load(&[("faulty", &faulty(), CALL)]).unwrap();
    host.start("faulty", "woken", "{}");
    let mut events = Events::with_capacity(8);
    let until = Instant::now() + Duration::from_secs(10);
    let request = loop {
        assert!(Instant::now() < until, "nobody woke it");
        host.poll.poll(&mut events, Some(Duration::from_millis(100))).unwrap();
        if let Some(request) = host.request() {
            break request;
        }
    };
    let ModuleRequest::Start { instance, operation, .. } = request else { panic!("{request:?}") };
    assert_eq!(operation, Operation::Answer);
    host.destroy(instance);
    host.assert_empty();
}

#[test]
fn a_module_starts_twice_in_one_process() {
    let room = Room::new();
    let file = faulty();
    for _ in 0..2 {
        let mut host = room.load(&[("faulty", &file, CALL)]).unwrap();
        let instance = host.start("faulty", "good", "{}");
        let (op, _) = host.operation();
        host.done(instance, op, OpStatus::Failed, "busy");
        let why = host.ended().unwrap_err();
        assert_eq!(why, "the call could not answer: busy");
        host.assert_empty();
    }
}

const KEEPS: &str = "grants = [\"call\", \"store\"]";

/// What the journal is given, as `key=value`; the notes that a next start finds.
fn fresh(host: &mut Host) -> Vec<String> {
    let notes = host.modules.take_notes().into_iter();
    notes.map(|note| format!("{}={}", note.key, note.value.unwrap_or_default())).collect()
}

#[test]
fn a_module_in_c_keeps_records_and_tells_of_messages() {
    let room = Room::new();
    let mut host = room.load(&[("probe", &room.probe(&[]), KEEPS)]).unwrap();
    while host.request().is_some() {}
    fresh(&mut host);
    host.start("probe", "keeps", "{}");
    let told = host.request();
    let messages =
        ModuleRequest::Messages { tenant: "acme".into(), mailbox: "main".into(), new: 2, old: 1 };
    assert_eq!(told, Some(messages));
    let text = host.ended().unwrap_err();
    assert_eq!(text, "m/1 0 0 7 -9 0 -5 -5 -8 -8 own 0");
    assert!(host.modules.has_notes());
    assert_eq!(fresh(&mut host), ["m/1={\"a\":1}"]);
    assert!(!host.modules.has_notes());
}

#[test]
fn what_a_module_kept_is_there_after_a_restart_and_is_nobody_elses() {
    let room = Room::new();
    let note = |module: &str| Note {
        module: module.to_owned(),
        tenant: "acme".to_owned(),
        key: "m/0".to_owned(),
        value: Some("\"old\"".to_owned()),
    };
    let probe = room.probe(&[]);
    for (module, first) in [("probe", "m/0"), ("other", "m/1")] {
        let mut host = room.load_with(&[("probe", &probe, KEEPS)], vec![note(module)]).unwrap();
        while host.request().is_some() {}
        host.start("probe", "keeps", "{}");
        host.request();
        let text = host.ended().unwrap_err();
        assert!(text.starts_with(&format!("{first} 0 0 7 -9 0 ")), "{module}: {text}");
        assert_eq!(host.modules.list(NOW.time)[0].instances, 1, "its task");
    }
}

#[test]
fn a_task_runs_without_a_call_by_the_clock_and_by_its_being_set() {
    let room = Room::new();
    let mut host = room.load(&[("probe", &room.probe(&[]), KEEPS)]).unwrap();
    assert!(host.modules.has_requests(), "it is started by the thread that polls");
    assert_eq!(host.request(), None, "nothing of a task is the switch's");
    assert_eq!(fresh(&mut host), ["answer=refused"]);
    let due = host.modules.poll_timeout().unwrap();
    assert_eq!(due, Time::from_millis(11_000));
    let at = |ms, date: i64| Now {
        time: Time::from_millis(ms),
        date: jiff::Timestamp::from_second(date).unwrap(),
    };
    host.modules.poll_request(at(10_999, 1));
    assert!(!host.modules.has_notes());
    host.modules.poll_request(at(11_000, 2));
    assert_eq!(fresh(&mut host), ["waits=1 at 2000"]);
    host.modules.clock_moved();
    host.modules.poll_request(at(11_001, 9));
    assert_eq!(fresh(&mut host), ["waits=2 at 9000"]);
    host.modules.poll_request(at(21_002, 10));
    assert_eq!(fresh(&mut host), ["waits=3 at 10000"]);
    assert_eq!(host.modules.poll_timeout(), None, "it is done");
    assert_eq!(host.modules.list(NOW.time)[0].instances, 0);
}

#[test]
fn the_store_is_refused_to_who_is_not_granted_it() {
    let room = Room::new();
    let probe = room.probe(&["-DPROBE_REQUIRED=KK_ID_STORE_1"]);
    let refusal = room.refusal(&probe, CALL);
    assert!(refusal.ends_with("needs kk.store/1: add \"store\" to its `grants`"), "{refusal}");
}

#[test]
fn an_object_is_played_as_the_file_that_it_is_and_no_name_leads_out() {
    let room = Room::new();
    let mut host = room.load(&[("probe", &room.probe(&[]), CALL)]).unwrap();
    host.start("probe", "objects", "{}");
    let (_, operation) = host.operation();
    let Operation::Play { prompts, .. } = operation else { panic!("{operation:?}") };
    let file = room.directory.join("data/objects/probe/acme/m-1.wav");
    assert_eq!(&*prompts[0].0, OBJECT);
    assert_eq!(Path::new(&*prompts[0].1), file);
}
