//! Voicemail as the switch sees it (S-45, S-47, S-49, S-50): when the application gets the call,
//! what it is told, its recordings, its call backs and the lamps of its boxes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_switch::{AppEvent, CallCause, ModuleRequest, OBJECT, OpStatus, Operation};
use office::modules::Script;
use office::{Does, Office, SERVER, TRUNK, ending, only};
use serde_json::Value;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const NUMBER3: &str = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }\n\
                       mode = \"ring\"";
const BOX: &str = "[voicemail_box.main]\nmax_message = \"20s\"\nnotify = [\"a@example.jp\"]\n\
                   [extension.messages]\ndial = \"*97\"\ndo = \"voicemail_menu\"\n";

/// Number 3 with a box, and what else is changed.
fn planned(mode: &str) -> Office {
    let number = format!(
        "ring = {{ devices = [\"D\", \"E\"], strategy = \"all\" }}\noptions = [\"voicemail\", \
         \"forwarding\"]\nvoicemail = {{ box = \"main\", after = \"15s\" }}\n{mode}"
    );
    Office::planned(|plan| {
        let plan = plan.replace(NUMBER3, &number);
        format!("{plan}\n{BOX}")
    })
}

/// What the application does as far as the switch sees.
const TAKES: [Operation; 2] = [Operation::Answer, Operation::Sleep { ms: 60_000 }];

fn with_box() -> Office {
    planned("mode = \"ring\"")
}

fn arguments(office: &Office) -> Value {
    serde_json::from_str(office.modules.started.last().unwrap()).unwrap()
}

#[test]
fn a_number_that_nobody_answers_gets_its_box_after_its_time_and_not_earlier() {
    let mut office = with_box();
    office.all(Does::Rings);
    office.modules.script = Some(Script::Runs(TAKES.to_vec()));
    office.call(TRUNK, "0312340003");
    office.run(secs(14));
    assert!(office.modules.started.is_empty());
    office.run(secs(2));
    let told = arguments(&office);
    assert_eq!((&told["mailbox"], &told["max_message_ms"]), (&"main".into(), &20_000.into()));
    assert_eq!((&told["max_messages"], &told["keep_ms"]), (&15.into(), &604_800_000.into()));
    assert_eq!((&told["caller"], &told["called"]), (&"0455550001".into(), &"0312340003".into()));
    assert_eq!(
        (&told["notify"][0], &told["utc_offset_s"]),
        (&"a@example.jp".into(), &32_400.into())
    );
    for device in ['D', 'E'] {
        assert!(office.phone(device).heard("cancelled "), "{:?}", office.phone(device).log);
    }
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_number_that_is_busy_or_out_of_reach_gets_its_box_at_once() {
    let mut busy = with_box();
    for device in ['D', 'E'] {
        busy.phone(device).does = Does::Refuses(486);
    }
    busy.modules.script = Some(Script::Runs(TAKES.to_vec()));
    busy.call(TRUNK, "0312340003");
    busy.run(secs(2));
    assert_eq!(busy.modules.started.len(), 1);
    busy.hang_up(TRUNK);
    assert_eq!(only(busy.finish()).status, 200, "the caller was answered by the box");
}

#[test]
fn a_forwarded_number_has_no_voicemail_however_long_nobody_answers() {
    let mut office = planned("mode = \"forward\"\nforward_to = \"09012345678\"");
    office.phone(TRUNK).does = Does::Rings;
    office.call(TRUNK, "0312340003");
    office.run(secs(60));
    assert!(office.modules.started.is_empty(), "{:?}", office.modules.started);
    office.give_up_first(TRUNK);
    office.finish();
}

#[test]
fn a_message_whose_caller_hangs_up_is_told_whole_and_then_the_application_ends() {
    let mut office = with_box();
    office.all(Does::Rings);
    let record = Operation::Record {
        path: "/objects/m-1.wav".into(),
        max_ms: 120_000,
        silence_ms: 0,
        keys: "#".into(),
    };
    office.modules.script = Some(Script::Runs(vec![Operation::Answer, record]));
    office.call(TRUNK, "0312340003");
    office.run(secs(20));
    assert_eq!(office.media.recorded, ["/objects/m-1.wav"]);
    office.hang_up(TRUNK);
    office.run(Duration::from_millis(50));
    assert_eq!(office.modules.live(), 1, "the file is not whole yet");
    office.run(secs(1));
    let [.., AppEvent::OpDone { status, text, .. }, AppEvent::HangUp] = &office.modules.heard[..]
    else {
        panic!("{:?}", office.modules.heard)
    };
    let ms: u64 = text.parse().unwrap();
    assert_eq!(*status, OpStatus::HangUp);
    assert!((4_000..5_500).contains(&ms), "{ms}");
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_recording_ends_at_its_length_and_a_second_one_beside_it_is_refused() {
    let mut office = with_box();
    let record = |path: &str| Operation::Record {
        path: path.into(),
        max_ms: 3_000,
        silence_ms: 0,
        keys: "".into(),
    };
    office.modules.script = Some(Script::Runs(vec![
        Operation::Answer,
        record("/a.wav"),
        Operation::Sleep { ms: 60_000 },
        Operation::Sleep { ms: 60_000 },
    ]));
    office.call('A', "601");
    office.run(secs(1));
    let now = office.now;
    office.modules.flood(now, &record("/b.wav"));
    office.run(secs(5));
    let results: Vec<_> = office
        .modules
        .heard
        .iter()
        .filter_map(|event| match event {
            AppEvent::OpDone { status, text, .. } => Some((*status, text.to_string())),
            _ => None,
        })
        .collect();
    let refused = "the caller cannot be recorded now".to_owned();
    assert_eq!(results[1], (OpStatus::Failed, refused));
    assert_eq!(results[2], (OpStatus::Ok, "3000".to_owned()));
    assert_eq!(office.media.recorded, ["/a.wav"]);
    office.hang_up('A');
    office.finish();
}

#[test]
fn a_recording_of_the_module_is_played_by_its_path_and_no_other_path_is() {
    let mut office = with_box();
    let play = |language: &str| Operation::Play {
        prompts: vec![(language.into(), "/objects/voicemail/acme/m-1.wav".into())],
        times: 1,
    };
    let runs = vec![Operation::Answer, play(OBJECT), play("")];
    office.modules.script = Some(Script::Runs(runs));
    office.call('A', "601");
    office.run(secs(5));
    // A path that a module or a plan names leads nowhere.
    assert_eq!(office.media.played, ["//objects/voicemail/acme/m-1.wav", "/"]);
    office.finish();
}

#[test]
fn the_menu_is_told_the_boxes_of_the_phone_and_its_call_back_rings() {
    let mut office = with_box();
    office.all(Does::Rings);
    let dial = Operation::Dial { number: "802".into() };
    office.modules.script = Some(Script::Runs(vec![Operation::Answer, dial]));
    office.phone('B').does = Does::AnswersAtOnce;
    office.call('D', "*97");
    office.run(secs(3));
    assert_eq!(
        arguments(&office)["mailboxes"],
        serde_json::json!([{ "name": "main", "pin": null }])
    );
    assert!(office.phone('B').heard("answered") || office.phone('B').heard("invite"));
    assert!(office.explained("goes on to 802"));
    assert_eq!(office.modules.live(), 0, "the application is over");
    office.hang_up('D');
    office.finish();
}

#[test]
fn a_call_back_that_the_plan_refuses_leaves_the_caller_in_the_menu() {
    let mut office = with_box();
    let dial = Operation::Dial { number: "119".into() };
    office.modules.script =
        Some(Script::Runs(vec![Operation::Answer, dial, Operation::Sleep { ms: 1 }]));
    office.call('D', "*97");
    office.run(secs(3));
    let failed = |event: &AppEvent| matches!(event, AppEvent::OpDone { status: OpStatus::Failed, text, .. } if text.contains("emergency"));
    assert!(office.modules.heard.iter().any(failed), "{:?}", office.modules.heard);
    let last = office.modules.heard.last().unwrap();
    assert!(matches!(last, AppEvent::OpDone { status: OpStatus::Ok, .. }), "{last:?}");
    assert_eq!(office.sent("INVITE"), 0, "nothing went outside");
    office.finish();
}

#[test]
fn the_phones_of_a_box_show_its_messages_and_nobody_elses() {
    let mut office = with_box();
    let now = office.now;
    for (name, user) in [('D', "acme-804"), ('A', "acme-801")] {
        office.phone(name).subscribe(now, user, "message-summary", 600);
    }
    office.run(secs(1));
    let messages = |new, old| ModuleRequest::Messages {
        tenant: "acme".into(),
        mailbox: "main".into(),
        new,
        old,
    };
    office.module_asks(messages(2, 1));
    office.run(secs(1));
    let body = |office: &mut Office, name| {
        String::from_utf8_lossy(office.phone(name).notifies.last().unwrap().body()).into_owned()
    };
    let lit = "Messages-Waiting: yes\r\nVoice-Message: 2/1 (0/0)\r\n";
    assert_eq!(body(&mut office, 'D'), lit);
    assert!(body(&mut office, 'A').contains("Messages-Waiting: no"));
    office.module_asks(messages(0, 3));
    office.run(secs(6));
    assert!(body(&mut office, 'D').starts_with("Messages-Waiting: no"));
}

/// The trunk's caller talks to D, who sends it on.
fn sent_on(more: &str, target: &str) -> Office {
    let mut office = Office::planned(|plan| format!("{plan}\n{BOX}{more}"));
    office.modules.script = Some(Script::Runs(TAKES.to_vec()));
    office.phone('D').does = Does::Answers(200);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    let now = office.now;
    office.phone('D').refer(now, &format!("<sip:{target}@{SERVER}>"), &[]);
    office.run(secs(1));
    assert_eq!(office.phone('D').told().last(), Some(&200), "{:?}", office.explained);
    assert!(office.phone('D').up.is_empty(), "who sent it on has left");
    office
}

#[test]
fn a_caller_is_transferred_into_a_box() {
    let extension = "[extension.box]\ndial = \"690\"\ndo = { voicemail = \"main\" }\n";
    let mut office = sent_on(extension, "690");
    let told = arguments(&office);
    assert_eq!((&told["mailbox"], &told["caller"]), (&"main".into(), &"0455550001".into()));
    office.hang_up(TRUNK);
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}

#[test]
fn a_parked_call_that_nobody_takes_may_end_in_a_box() {
    let park = "[park]\nslots = { first = \"8101\", count = 3 }\n\
                return_after = \"20s\"\nreturn_to = { voicemail = \"main\" }\n";
    let mut office = sent_on(park, "8101");
    assert_eq!((office.switch.tables().parked, office.modules.started.len()), (1, 0));
    office.run(secs(21));
    let told = arguments(&office);
    assert_eq!((&told["mailbox"], &told["caller"]), (&"main".into(), &"0455550001".into()));
    assert_eq!(office.switch.tables().parked, 0, "the slot is free");
    office.hang_up(TRUNK);
    assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
}
