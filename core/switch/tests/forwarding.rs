//! Numbers and devices that are forwarded (S-55, S-57, S-58, S-60, S-64): who rings, what the
//! outside is shown, which channels are taken, and that nothing goes in a circle.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use koukan_sip::Header;
use koukan_switch::CallCause;
use office::{Does, Office, TRUNK, ending, only};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const NUMBER3: &str = "ring = { devices = [\"D\", \"E\"], strategy = \"all\", timeout = \"30s\" }\n\
                       mode = \"ring\"";

fn forwards(to: &str) -> String {
    format!(
        "ring = {{ devices = [\"D\", \"E\"], strategy = \"all\" }}\noptions = [\"forwarding\"]\n\
         mode = \"forward\"\nforward_to = \"{to}\""
    )
}

/// Number 3 is forwarded to outside; the trunk tells diversions in this header.
fn forwarded(diversion: &str) -> Office {
    Office::planned(|plan| {
        let trunk = format!("profile = \"jp-ngn\"\ndiversion = \"{diversion}\"");
        plan.replace(NUMBER3, &forwards("09012345678")).replace("profile = \"jp-ngn\"", &trunk)
    })
}

/// Device D has its calls go elsewhere.
fn device(keys: &str) -> Office {
    let place = "[device.D]\n";
    Office::changed(place, &format!("{place}forward = {{ {keys} }}\n"))
}

fn text(office: &mut Office, name: char, header: Header) -> String {
    let invite = office.phone(name).invite.clone().unwrap();
    String::from_utf8_lossy(invite.header(header).unwrap_or_default()).into_owned()
}

fn nobody_rang(office: &mut Office) {
    for name in 'A'..='F' {
        assert!(!office.phone(name).heard("invite"), "{name}");
    }
}

#[test]
fn a_forwarded_number_calls_its_target_as_itself_and_rings_nobody() {
    for (header, wanted) in [
        ("none", ""),
        ("diversion", "<sip:0312340003@192.0.2.1:5060>;reason=unconditional"),
        ("history-info", "<sip:0312340003@192.0.2.1:5060>;index=1"),
    ] {
        let mut office = forwarded(header);
        // The carrier is both the caller and the target here.
        office.phone(TRUNK).does = Does::Answers(500);
        office.call(TRUNK, "0312340003");
        office.run(secs(1));
        assert_eq!(office.switch.tables().channels, 1);
        office.run(secs(1));
        nobody_rang(&mut office);
        let invite = office.phone(TRUNK).invite.clone().unwrap();
        assert_eq!(invite.request_user().unwrap(), b"09012345678");
        assert_eq!(invite.from_user().unwrap(), b"0312340003", "S-58: the own number is shown");
        let told = match header {
            "diversion" => text(&mut office, TRUNK, Header::Diversion),
            _ => text(&mut office, TRUNK, Header::HistoryInfo),
        };
        assert_eq!(told, wanted);
        assert!(office.phone(TRUNK).heard("answered"), "{:?}", office.explained);
        assert_eq!(office.phone(TRUNK).up.len(), 2);
        office.hang_up(TRUNK);
        let cdr = only(office.finish());
        assert_eq!(cdr.number.as_deref(), Some("number3"));
        let parties: Vec<&str> = cdr.legs.iter().map(|leg| leg.party.as_str()).collect();
        assert_eq!(parties, ["trunk carrier", "trunk carrier"]);
    }
}

#[test]
fn a_number_is_forwarded_with_every_phone_off_and_takes_one_channel_of_the_office() {
    let one = |plan: &str| {
        plan.replace("channels = \"per-id\"", "channels = 1")
            .replace(NUMBER3, &forwards("09012345678"))
    };
    let mut office = Office::planned(one);
    for name in 'A'..='F' {
        office.register(name, &[("Expires", "0")]);
    }
    office.run(secs(1));
    office.phone(TRUNK).does = Does::Answers(500);
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    assert!(office.phone(TRUNK).heard("answered"), "{:?}", office.explained);
    // The office's one channel is taken: a second caller finds it busy, nobody is called.
    office.phone(TRUNK).log.clear();
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert!(office.phone(TRUNK).heard("failed 486"), "{:?}", office.phone(TRUNK).log);
    office.hang_up(TRUNK);
    office.run(secs(1));
    office.phone(TRUNK).log.clear();
    office.call(TRUNK, "0312340003");
    office.run(secs(2));
    assert!(office.phone(TRUNK).heard("answered"), "a hang-up frees the channel at once");
    office.hang_up(TRUNK);
    office.finish();
}

#[test]
fn a_target_that_is_busy_is_told_to_the_caller_and_no_phone_rings_after_all() {
    let mut office = forwarded("none");
    office.phone(TRUNK).does = Does::Refuses(486);
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    nobody_rang(&mut office);
    assert_eq!(ending(&only(office.finish())), (CallCause::NotAnswered, 486));
}

#[test]
fn numbers_forwarded_in_a_circle_are_released_and_call_nobody() {
    let mut office = Office::planned(|plan| {
        let two = "ring = { devices = [\"A\", \"B\", \"C\"], strategy = \"all\" }\nmode = \"ring\"";
        assert!(plan.contains(two));
        plan.replace(NUMBER3, &forwards("0312340002"))
            .replace(two, &forwards("0312340003"))
            .replace("busy_announcement = true", "")
    });
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    nobody_rang(&mut office);
    assert!(office.phone(TRUNK).invite.is_none());
    assert_eq!(only(office.finish()).status, 482);
}

#[test]
fn a_call_that_was_passed_on_too_often_is_not_forwarded_again() {
    let mut office = forwarded("diversion");
    let passed = (0..10).map(|at| ("Diversion", format!("<sip:03000000{at}0@x>").into_bytes()));
    office.phone(TRUNK).headers = passed.collect();
    office.call(TRUNK, "0312340003");
    office.run(secs(1));
    assert!(office.phone(TRUNK).invite.is_none(), "{:?}", office.explained);
    assert_eq!(only(office.finish()).status, 482);
}

#[test]
fn a_device_sends_its_calls_elsewhere_for_the_reason_that_happened() {
    // Its keys, what D does, who takes the call, whether D rings before, the reason that B hears.
    for (keys, does, rings, reason) in [
        ("always = \"802\"", Does::Rings, false, "unconditional"),
        ("busy = \"802\"", Does::Refuses(486), true, "user-busy"),
        ("no_answer = \"802\", after = \"5s\"", Does::Rings, true, "no-answer"),
        ("unreachable = \"802\"", Does::Refuses(480), true, "unavailable"),
    ] {
        let mut office = device(keys);
        office.phone('D').does = does;
        office.phone('B').does = Does::Answers(500);
        office.call('A', "804");
        office.run(secs(7));
        assert_eq!(office.phone('D').heard("invite"), rings, "{keys}");
        let told = text(&mut office, 'B', Header::Diversion);
        assert_eq!(told, format!("<sip:804@192.0.2.1:5060>;reason={reason}"), "{keys}");
        let from = office.phone('B').invite.clone().unwrap().from_user().unwrap();
        assert_eq!(from, b"acme-801", "the colleague is shown, not the forwarding phone");
        assert!(office.phone('A').heard("answered"), "{keys}: {:?}", office.explained);
        office.hang_up('A');
        assert_eq!(ending(&only(office.finish())), (CallCause::CallerHungUp, 200));
    }
}

#[test]
fn a_reason_that_did_not_happen_sends_nobody_on() {
    for (keys, does, status) in [
        ("busy = \"802\"", Does::Refuses(480), 480),
        ("unreachable = \"802\"", Does::Refuses(486), 486),
        ("no_answer = \"802\"", Does::Refuses(603), 603),
    ] {
        let mut office = device(keys);
        office.phone('D').does = does;
        office.call('A', "804");
        office.run(secs(2));
        assert!(!office.phone('B').heard("invite"), "{keys}");
        assert_eq!(only(office.finish()).status, status, "{keys}");
    }
}

#[test]
fn a_phone_that_is_off_sends_its_calls_on_at_once_inside_and_outside() {
    let mut office = device("unreachable = \"0455550001\"");
    office.register('D', &[("Expires", "0")]);
    office.phone(TRUNK).does = Does::Answers(500);
    office.run(secs(1));
    office.call('A', "804");
    office.run(secs(2));
    let invite = office.phone(TRUNK).invite.clone().unwrap();
    assert_eq!(invite.request_user().unwrap(), b"0455550001");
    assert_eq!(invite.from_user().unwrap(), b"0312340003", "the forwarding phone's number pays");
    assert_eq!(office.switch.tables().channels, 1);
    office.hang_up('A');
    office.finish();
}

#[test]
fn the_gate_holds_for_what_a_device_forwards_to() {
    let text = "device.D.forward.busy";
    let mut office = Office::planned(|plan| {
        plan.replace("[device.D]\n", "[device.D]\nforward = { busy = \"09012345678\" }\n").replace(
            "default_trunk = \"carrier\"",
            "default_trunk = \"carrier\"\nallow = { forward = [\"fixed\"] }",
        )
    });
    office.phone('D').does = Does::Refuses(486);
    office.call('A', "804");
    office.run(secs(1));
    assert!(office.phone(TRUNK).invite.is_none(), "{text}");
    assert_eq!(only(office.finish()).status, 486);
}

#[test]
fn devices_that_forward_to_each_other_end_it() {
    for keys in ["always", "busy"] {
        let mut office = Office::planned(|plan| {
            let to = |ext: &str| format!("forward = {{ {keys} = \"{ext}\" }}\n");
            plan.replace("[device.D]\n", &format!("[device.D]\n{}", to("802")))
                .replace("[device.B]\n", &format!("[device.B]\n{}", to("804")))
        });
        office.phone('D').does = Does::Refuses(486);
        office.phone('B').does = Does::Refuses(486);
        office.call('A', "804");
        office.run(secs(5));
        let status = only(office.finish()).status;
        assert_eq!(status, if keys == "always" { 482 } else { 486 });
    }
}
