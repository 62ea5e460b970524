//! Calls that are recorded because their number has the option (S-70 to S-75): both directions,
//! from the answer on, nobody else's and never a forwarded one; the notice; a disk that refuses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use jiff::Timestamp;
use koukan_media::Command;
use koukan_switch::{CallCause, CallRecording, Note, RECORDINGS, Record};
use office::{Did, Does, Office, TRUNK, ending};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const NUMBER3: &str = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }\n\
                       mode = \"ring\"";

/// Number 3 with the option, its notice and what else is changed.
fn recorded(notice: &str, mode: &str) -> Office {
    let number = format!(
        "ring = {{ devices = [\"D\", \"E\"], strategy = \"all\" }}\n\
         options = [\"recording\", \"forwarding\"]\n\
         record = {{ enabled = true, notice = \"{notice}\" }}\n{mode}"
    );
    Office::planned(|plan| plan.replace(NUMBER3, &number))
}

fn off() -> Office {
    recorded("off", "mode = \"ring\"")
}

/// The entries of the index as they were written, one after the other.
fn entries(office: &Office) -> Vec<(Note, Option<CallRecording>)> {
    let note = |did: &Did| match did {
        Did::Record(Record::Note(note)) if note.module == RECORDINGS => {
            let entry = note.value.as_deref().map(|value| serde_json::from_str(value).unwrap());
            Some((note.clone(), entry))
        }
        _ => None,
    };
    office.did.iter().filter_map(note).collect()
}

#[test]
fn a_call_in_is_recorded_from_the_answer_on_and_listed_for_the_next_morning() {
    let mut office = off();
    office.all(Does::Answers(2_000));
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert!(office.media.recorded.is_empty(), "it rings");
    office.run(secs(9));
    let paths = office.media.recorded.clone();
    let [path] = paths.as_slice() else { panic!("{paths:?}") };
    assert!(path.starts_with("/recordings/acme/") && path.ends_with("-0.wav"), "{path}");
    office.hang_up(TRUNK);
    office.run(secs(1));
    let entries = entries(&office);
    let [(first, begun), (_, Some(whole))] = entries.as_slice() else { panic!("{entries:?}") };
    let begun = begun.as_ref().unwrap();
    assert_eq!((&*first.tenant, begun.length_ms), ("acme", None));
    assert!(path.contains(&first.key));
    let length = whole.length_ms.unwrap();
    assert!((7_000..8_500).contains(&length), "{length}");
    assert_eq!((&*whole.number, &*whole.direction), ("number3", "inbound"));
    assert_eq!((&*whole.caller, &*whole.called), ("0455550001", "0312340003"));
    let date = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(whole.visible, date("2026-07-02T03:00:00+09:00"));
    assert_eq!(whole.expires, whole.started + jiff::SignedDuration::from_hours(30 * 24));
    office.finish();
}

#[test]
fn a_call_out_that_shows_the_number_is_recorded_and_other_numbers_are_not() {
    let mut office = off();
    office.all(Does::AnswersAtOnce);
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    office.call('D', "0455550001");
    office.run(secs(3));
    assert_eq!(office.media.recorded.len(), 1, "D shows number 3");
    office.hang_up('D');
    office.run(secs(1));
    assert_eq!(entries(&office).last().unwrap().1.as_ref().unwrap().direction, "outbound");
    office.call('C', "0455550001");
    office.run(secs(3));
    office.hang_up('C');
    office.run(secs(1));
    office.call(TRUNK, "0312340002");
    office.run(secs(3));
    office.hang_up(TRUNK);
    office.run(secs(1));
    assert_eq!(office.media.recorded.len(), 1, "C shows number 2");
    office.finish();
}

#[test]
fn a_forwarded_call_is_not_recorded() {
    let mut office = recorded("arrival", "mode = \"forward\"\nforward_to = \"09012345678\"");
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    office.call(TRUNK, "0312340003");
    office.run(secs(5));
    assert!(office.media.recorded.is_empty() && office.modules.started.is_empty());
    assert!(entries(&office).is_empty());
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn the_notice_on_arrival_is_heard_before_anything_rings() {
    let mut office = recorded("arrival", "mode = \"ring\"");
    office.all(Does::Rings);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert_eq!(office.media.played, ["ja/recording-notice"]);
    assert!(!office.phone('D').heard("invite"));
    office.run(secs(5));
    assert!(office.phone('D').heard("invite"));
    let last = office.media.played.last().unwrap();
    assert!(last.contains("Ringback"), "who is in early media hears that it rings: {last}");
    office.give_up_first(TRUNK);
    office.finish();
}

#[test]
fn the_notice_at_the_answer_is_heard_by_the_caller_once() {
    let mut office = recorded("answer", "mode = \"ring\"");
    office.all(Does::Answers(1_000));
    office.call(TRUNK, "0312340003");
    office.run(secs(5));
    assert_eq!(office.media.played, ["ja/recording-notice"]);
    assert_eq!(office.media.recorded.len(), 1);
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_disk_that_refuses_is_said_loudly_and_the_call_goes_on() {
    let mut office = off();
    office.media.full = true;
    office.all(Does::Answers(1_000));
    office.call(TRUNK, "0312340003");
    office.run(secs(5));
    assert!(office.explained("ALARM: the disk takes no recording; the call goes on"));
    assert_eq!(office.switch.recordings_failed(), 1);
    assert_eq!(entries(&office).last().unwrap().1, None, "nothing is listed");
    assert_eq!(office.switch.calls().len(), 1);
    office.hang_up(TRUNK);
    let cdrs = office.finish();
    assert_eq!(ending(&cdrs[0]), (CallCause::CallerHungUp, 200));
}

#[test]
fn who_leaves_two_others_to_talk_does_not_end_their_recording() {
    let mut office = off();
    office.all(Does::AnswersAtOnce);
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    office.call('D', "0455550001");
    office.run(secs(3));
    let now = office.now;
    office.phone('D').refer(now, &format!("<sip:802@{}>", office::SERVER), &[]);
    office.run(secs(5));
    assert!(office.phone('D').heard("bye "), "{:?}", office.explained);
    assert_eq!(office.media.recorded.len(), 2, "{:?}", office.explained);
    office.hang_up('B');
    office.run(secs(1));
    let lengths: Vec<_> =
        entries(&office).into_iter().filter_map(|(_, entry)| entry?.length_ms).collect();
    assert_eq!(lengths.len(), 2);
    assert_eq!(office.media.recorded.len(), 2, "nothing of a call that is over");
    office.finish();
}

/// Number 3 is recorded when a party asks for it by *1.
fn on_demand(notice: &str) -> Office {
    let number = format!(
        "ring = {{ devices = [\"D\", \"E\"], strategy = \"all\" }}\noptions = [\"recording\"]\n\
         record = {{ enabled = false, on_demand = true, notice = \"{notice}\" }}\nmode = \"ring\""
    );
    let codes = "\n[feature_codes]\nrecord = \"*1\"\n";
    Office::planned(|plan| plan.replace(NUMBER3, &number) + codes)
}

/// D dials the code beside its call, hears how it stands and hangs up.
fn dials_the_code(office: &mut Office) -> Vec<String> {
    let before = office.modules.started.len();
    office.call('D', "*1");
    office.run(secs(2));
    office.modules.started[before..].to_vec()
}

fn beeps(started: &[String]) -> usize {
    started.iter().map(|arguments| arguments.matches("beep").count()).sum()
}

#[test]
fn a_party_has_its_call_recorded_stops_it_for_a_while_and_goes_on() {
    let mut office = on_demand("answer");
    office.phone('D').does = Does::Answers(1_000);
    office.call(TRUNK, "0312340003");
    office.run(secs(5));
    assert_eq!(office.media.recorded.len(), 0, "nobody has asked for it");
    assert_eq!(office.media.played.len(), 0, "and nobody is told");
    assert_eq!(beeps(&dials_the_code(&mut office)), 1);
    assert_eq!(office.media.recorded.len(), 1, "{:?}", office.explained);
    assert!(office.media.played.contains(&"ja/recording-notice".to_owned()));
    office.run(secs(5));
    assert_eq!(beeps(&dials_the_code(&mut office)), 2);
    office.run(secs(10));
    assert_eq!(office.media.recorded.len(), 1, "nothing is recorded meanwhile");
    assert_eq!(beeps(&dials_the_code(&mut office)), 1);
    assert_eq!(office.media.recorded.len(), 2);
    office.run(secs(3));
    office.hang_up(TRUNK);
    office.run(secs(1));
    let lengths: Vec<_> =
        entries(&office).into_iter().filter_map(|(_, entry)| entry?.length_ms).collect();
    let [first, second] = lengths.as_slice() else { panic!("{lengths:?}") };
    assert!((5_000..8_500).contains(first), "{first}");
    assert!((3_000..6_500).contains(second), "{second}");
    let told = office.media.played.iter().filter(|played| played.contains("notice")).count();
    assert_eq!(told, 1, "who was told is not told again");
    office.finish();
}

#[test]
fn what_is_recorded_by_itself_can_be_stopped_for_a_while_too() {
    let number = "ring = { devices = [\"D\", \"E\"], strategy = \"all\" }\noptions = [\"recording\"]\n\
                  record = { enabled = true, notice = \"off\" }\nmode = \"ring\"";
    let codes = "\n[feature_codes]\nrecord = \"*1\"\n";
    let mut office = Office::planned(|plan| plan.replace(NUMBER3, number) + codes);
    office.phone('D').does = Does::Answers(1_000);
    office.call(TRUNK, "0312340003");
    office.run(secs(5));
    assert_eq!(office.media.recorded.len(), 1);
    assert_eq!(beeps(&dials_the_code(&mut office)), 2);
    assert_eq!(beeps(&dials_the_code(&mut office)), 1);
    assert_eq!(office.media.recorded.len(), 2, "{:?}", office.explained);
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_call_of_a_number_without_the_option_cannot_be_recorded() {
    let mut office = on_demand("off");
    office.phone('A').does = Does::AnswersAtOnce;
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    office.call('B', "801");
    office.run(secs(2));
    let before = office.modules.started.len();
    office.call('B', "*1");
    office.run(secs(3));
    assert!(office.modules.started[before..].iter().any(|said| said.contains("refused")));
    assert_eq!(office.media.recorded.len(), 0);
    office.hang_up('B');
    office.run(secs(2));
    office.call('F', "*1");
    office.run(secs(3));
    assert_eq!(office.media.recorded.len(), 0, "F is in no call");
    office.run(secs(3));
    office.finish();
}

const ALLOWED: &str = "default_trunk = \"carrier\"\nallow = { redirect = [\"mobile\"] }";

#[test]
fn a_call_that_a_phone_sends_on_outside_is_not_recorded() {
    let number =
        NUMBER3.replace("mode", "options = [\"recording\"]\nrecord = { enabled = true }\nmode");
    let mut office = Office::planned(|plan| {
        plan.replace(NUMBER3, &number)
            .replace("ext = \"804\"", "ext = \"804\"\nredirect = true")
            .replace("default_trunk = \"carrier\"", ALLOWED)
    });
    office.phone('D').does = Does::Redirects("09012345678");
    office.phone('E').does = Does::Refuses(486);
    office.phone(TRUNK).does = Does::AnswersAtOnce;
    office.call(TRUNK, "0312340003");
    office.run(secs(5));
    assert!(office.explained("goes on outside: is not recorded"), "{:?}", office.explained);
    assert_eq!(office.media.recorded.len(), 0);
    office.hang_up(TRUNK);
    office.finish();
}

/// Orders that end a recording.
fn stops(office: &Office) -> usize {
    let of = |order: &&Command| matches!(order, Command::StopRecord { .. });
    office.media.orders.iter().filter(of).count()
}

#[test]
fn a_caller_who_is_transferred_outside_is_not_recorded_any_more() {
    let mut office = off();
    office.all(Does::Answers(1_000));
    office.phone(TRUNK).does = Does::Answers(1_000);
    office.call(TRUNK, "0312340003");
    office.run(secs(5));
    assert_eq!(office.media.recorded.len(), 1);
    let now = office.now;
    office.phone('D').refer(now, &format!("<sip:09012345678@{}>", office::SERVER), &[]);
    office.run(secs(20));
    assert!(office.phone('D').heard("bye "), "{:?}", office.explained);
    assert!(office.explained("goes on outside: its recording ends"), "{:?}", office.explained);
    assert_eq!((office.media.recorded.len(), stops(&office)), (1, 1));
    let length = entries(&office).last().unwrap().1.as_ref().unwrap().length_ms.unwrap();
    assert!(length < 8_000, "{length} ms");
    office.hang_up(TRUNK);
    office.finish();
}

/// D talks to the trunk's caller, then in a second call to `number`, and puts the one through.
fn put_through(office: &mut Office, number: &str) {
    office.all(Does::Answers(500));
    office.phone(TRUNK).does = Does::Answers(500);
    office.call(TRUNK, "0312340003");
    office.run(secs(3));
    let media = office.phone('D').media;
    office.phone('D').media = (media.ip(), media.port() + 10).into();
    office.call('D', number);
    office.run(secs(3));
    let replaces = office.phone('D').replaced();
    let escaped = replaces.replace(';', "%3B").replace('=', "%3D").replace('@', "%40");
    let now = office.now;
    let target = format!("<sip:x@{}?Replaces={escaped}>", office::SERVER);
    office.phone('D').refer(now, &target, &[]);
    office.run(secs(20));
    assert!(office.phone('D').up.is_empty(), "{:?}", office.explained);
    assert_eq!(office.switch.calls().len(), 1);
}

#[test]
fn a_caller_who_is_put_through_to_somebody_outside_is_not_recorded_any_more() {
    for mut office in [off(), off().spread()] {
        put_through(&mut office, "0455550002");
        // Both calls of D were recorded until then.
        assert_eq!(office.media.recorded.len(), 2, "{:?}", office.explained);
        let now = office.now();
        for (note, entry) in entries(&office).into_iter().rev().take(2) {
            let entry = entry.unwrap();
            let length = entry.length_ms.unwrap_or_else(|| panic!("{} runs", note.key));
            assert!(length < 8_000, "{length} ms at {now:?}");
        }
        office.hang_up(TRUNK);
        office.run(secs(1));
        assert_eq!(office.media.recorded.len(), 2);
        office.finish();
    }
}

#[test]
fn a_recorded_caller_who_is_put_through_to_a_colleague_is_recorded_on_and_may_have_it_stopped() {
    let codes = "\n[feature_codes]\nrecord = \"*1\"\n";
    let number = NUMBER3.replace(
        "mode",
        "options = [\"recording\"]\nrecord = { enabled = true, notice = \"off\" }\nmode",
    );
    let plan = || Office::planned(|plan| plan.replace(NUMBER3, &number) + codes);
    for mut office in [plan(), plan().spread()] {
        put_through(&mut office, "802");
        assert_eq!((office.media.recorded.len(), stops(&office)), (1, 0), "it goes on");
        office.call('B', "*1");
        office.run(secs(2));
        assert_eq!(stops(&office), 1, "{:?}", office.explained);
        let length = entries(&office).last().unwrap().1.as_ref().unwrap().length_ms.unwrap();
        assert!(length > 20_000, "{length} ms");
        office.hang_up(TRUNK);
        office.finish();
    }
}

#[test]
fn a_neighbour_does_not_stop_what_an_office_records() {
    let number = NUMBER3.replace(
        "mode",
        "options = [\"recording\"]\nrecord = { enabled = true, notice = \"off\" }\nmode",
    );
    let codes = "\n[feature_codes]\nrecord = \"*1\"\n";
    let mut office = Office::with_neighbour_planned(|plan| plan.replace(NUMBER3, &number) + codes);
    office.register('F', &[("Expires", "0")]);
    office.run(secs(1));
    office.phone('F').user = "beta-806".to_owned();
    office.register('F', &[]);
    office.run(secs(1));
    office.phone('D').does = Does::Answers(500);
    office.call('F', "0312340003");
    office.run(secs(3));
    assert_eq!(office.media.recorded.len(), 1, "{:?}", office.explained);
    office.call('F', "*1");
    office.run(secs(3));
    assert!(office.explained("the call that the phone is in cannot be recorded"));
    assert_eq!(stops(&office), 0, "{:?}", office.explained);
    // Whose call it is may.
    office.call('D', "*1");
    office.run(secs(3));
    assert_eq!(stops(&office), 1, "{:?}", office.explained);
    office.hang_up('D');
    office.run(secs(5));
    office.finish();
}
