//! What version 1.5 of the border added, through the built library: a second party for the caller,
//! a module's own counters, and sounds that become prompts.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the other tests of modules use the rest")]
mod house;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use house::{CALL, Host, NOW, Room, built};
use koukan_codecs::{WavEncoding, wav, wav_head};
use koukan_switch::{AppEvent, Bridge, ModuleRequest, OpStatus, Operation};

const AUDIO: &str = "grants = [\"call\", \"audio\"]";

fn loaded(grants: &str) -> (Room, Host) {
    let module = built(&["-p", "koukan-sdk", "--example", "services"], "examples/libservices.so");
    let room = Room::new();
    let host = room.load(&[("services", &module, &format!("{grants}\noptions = {{}}"))]).unwrap();
    (room, host)
}

/// A second of a tone, as the JSON of its bytes.
#[expect(clippy::cast_possible_truncation, reason = "a tone of a test")]
fn tone() -> String {
    let turn = |at: i32| std::f64::consts::TAU * 1_000.0 * f64::from(at) / 8_000.0;
    let data: Vec<u8> =
        (0..8_000).flat_map(|at| ((turn(at).sin() * 300.0) as i16).to_le_bytes()).collect();
    let head = wav_head(WavEncoding::Linear16, 1, 8_000, data.len() as u64);
    format!("{:?}", [head.as_slice(), &data].concat())
}

/// The words of an application that waits for another thread.
fn words(host: &mut Host) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let began = Instant::now();
        let request = host.request();
        assert!(began.elapsed() < Duration::from_millis(100), "the control loop was held up");
        match request {
            Some(ModuleRequest::Ended { result, .. }) => {
                return result.map_err(|why| why.to_string());
            }
            Some(other) => panic!("{other:?}"),
            None => std::thread::yield_now(),
        }
        assert!(Instant::now() < until, "it does not end");
    }
}

fn object(room: &Room, name: &str) -> PathBuf {
    room.config(&[]).objects.join("services/acme").join(format!("{name}.wav"))
}

#[test]
fn a_second_party_is_ordered_of_the_switch_and_its_outcome_comes_back() {
    let (_room, mut host) = loaded(CALL);
    for (status, text, said) in [
        (OpStatus::Ok, "talked party 1200", "Talked { length: 1.2s, by: Party }"),
        (OpStatus::Ok, "refused emergency", "Refused(\"emergency\")"),
        (OpStatus::HangUp, "", "the call has ended"),
    ] {
        let instance = host.start("services", "talks", "{}");
        let (op, operation) = host.operation();
        let (number, keys) = ("802".into(), "*".into());
        assert_eq!(operation, Operation::Bridge(Bridge { number, ring_ms: 0, max_ms: 0, keys }));
        host.done(instance, op, status, text);
        host.done(instance, op, status, "a second result is nobody's");
        assert_eq!(host.ended(), Err(said.to_owned()));
    }
}

#[test]
fn what_a_build_counts_is_shown_with_it_and_goes_with_it() {
    let (_room, mut host) = loaded(CALL);
    assert_eq!(host.modules.list(NOW.time)[0].metrics, []);
    for _ in 0..3 {
        let instance = host.start("services", "talks", "{}");
        host.operation();
        host.event(instance, AppEvent::HangUp);
        host.destroy(instance);
    }
    while host.request().is_some() {}
    let info = host.modules.list(NOW.time);
    let metrics: Vec<_> =
        info[0].metrics.iter().map(|one| (&*one.name, one.counts, one.value)).collect();
    assert_eq!(metrics, [("talks", true, 3), ("lowest", false, -3)], "a wrong name is none");
    host.modules.unload(NOW, "services").unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while host.modules.list(NOW.time)[0].state != "closed" {
        assert!(Instant::now() < until, "it does not close");
        host.modules.handle_housekeeping(NOW);
        std::thread::yield_now();
    }
    assert_eq!(host.modules.list(NOW.time)[0].metrics, []);
}

#[test]
fn a_sound_becomes_an_object_as_loud_as_every_prompt() {
    let (room, mut host) = loaded(AUDIO);
    let began = Instant::now();
    host.start("services", "makes", &tone());
    assert!(began.elapsed() < Duration::from_millis(200), "the control loop was held up");
    assert_eq!(words(&mut host), Err("made 1000 ms".to_owned()));
    let samples = wav::read(&std::fs::read(object(&room, "made")).unwrap()).unwrap();
    let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!(samples.len() == 8_000 && loudest > 2_000, "{loudest} of 300 before");
}

#[test]
fn hostile_bytes_are_refused_in_words_and_the_object_stays_as_it_was() {
    let (room, mut host) = loaded(AUDIO);
    host.start("services", "makes", &tone());
    words(&mut host).unwrap_err();
    let before = std::fs::read(object(&room, "made")).unwrap();
    for bytes in [vec![], vec![0xff; 50_000], b"RIFF\xff\xff\xff\xffWAVEfmt \x10".to_vec()] {
        host.start("services", "makes", &format!("{bytes:?}"));
        let refused = words(&mut host).unwrap_err();
        assert!(refused.starts_with("the call could not make a prompt: the sound "), "{refused}");
    }
    assert_eq!(std::fs::read(object(&room, "made")).unwrap(), before);
}

#[test]
fn without_its_grant_no_sound_is_made() {
    let (_room, mut host) = loaded(CALL);
    host.start("services", "makes", "[]");
    assert_eq!(host.ended(), Err("the host does not make a prompt".to_owned()));
}

#[test]
fn a_sound_that_is_given_up_and_one_whose_caller_hangs_up_have_one_result_each() {
    let (_room, mut host) = loaded(AUDIO);
    let instance = host.start("services", "gives_up", &tone());
    let (op, operation) = host.operation();
    assert_eq!(operation, Operation::Answer);
    host.done(instance, op, OpStatus::Ok, "");
    assert_eq!(words(&mut host), Ok(()));
    let gone = host.start("services", "makes", &tone());
    host.event(gone, AppEvent::HangUp);
    host.destroy(gone);
    // What the thread says later is nobody's.
    let until = Instant::now() + Duration::from_millis(800);
    while Instant::now() < until {
        match host.request() {
            None => std::thread::yield_now(),
            Some(ModuleRequest::Ended { result, .. }) => assert!(result.is_err(), "{result:?}"),
            Some(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(host.modules.list(NOW.time)[0].instances, 1, "the task alone");
}
