//! A disk that is full, and a clock that jumps, under a running office.

use std::fs;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use koukan_e2e::caller::Caller;
use koukan_e2e::office::{phone, phone_spec, user};
use koukan_e2e::server::{PASSWORD, Server};
use koukan_e2e::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(10);

/// A file system of its own at the server's data, gone with the test.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(server: &mut Server) -> Self {
        server.kill().expect("it ran");
        let data = server.directory.join("data");
        fs::remove_dir_all(&data).expect("it is removed");
        fs::create_dir_all(&data).expect("a directory");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m,mode=0755", "koukan-small"])
            .arg(&data)
            .status();
        assert!(mount.is_ok_and(|status| status.success()), "root mounts a file system");
        let small = Self(data);
        server.run().expect("it starts again");
        small
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // The server may still have files there; nothing of it is needed.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn on_a_full_disk_calls_go_on_registrations_are_refused_and_nothing_is_lost_behind_it() {
    let mut server = Server::start("full").expect("the server starts");
    let small = Small::mount(&mut server);
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let ballast = small.0.join("ballast");
    let fills = || {
        let fill = Command::new("dd")
            .args(["if=/dev/zero", "bs=4096"])
            .arg(format!("of={}", ballast.display()))
            .args(["oflag=append", "conv=notrunc"])
            .output();
        fill.is_ok().then_some(())
    };
    fills().expect("dd runs");
    a.dial("600").expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("a call is taken on a full disk");
    let sip = server.sip;
    let register = |expires| {
        let mut phone = Caller::new(sip, &user('B'), PASSWORD, 0).expect("a phone");
        phone.register("sip:acme-802@127.0.0.1:40001", expires).expect("an answer")
    };
    let refused = wait_for(LIMIT, || {
        let _ = fills();
        (register(300) == 500).then_some(())
    });
    refused.expect("what cannot be kept is not promised");
    let waiting = server.metric("koukan_journal_waiting").expect("it is measured");
    assert!(waiting > 0.0, "{waiting}");
    a.hang_up().expect("the control link stands");
    a.wait("CALL_CLOSED", LIMIT).expect("it ends");
    assert!(server.is_up());
    fs::remove_file(&ballast).expect("there is room again");
    let taken = wait_for(LIMIT, || (register(300) == 200).then_some(()));
    taken.expect("phones are registered again");
    let written = || server.metric("koukan_journal_waiting").ok().filter(|count| *count < 0.5);
    wait_for(LIMIT, written).expect("what waited is written");
    assert!(server.metric("koukan_journal_lost_total").expect("it is measured") < 0.5);
    let recorded = || {
        let cdrs = server.ctl(&["cdrs"]).ok()?;
        cdrs.as_array()?.iter().any(|cdr| cdr["cause"] == "caller_hung_up").then_some(())
    };
    wait_for(LIMIT, recorded).expect("the call of the full disk has its record");
    let tail = server.log_tail();
    assert!(tail.contains("is the disk full?") && tail.contains("takes records again"), "{tail}");
    server.kill().expect("it ran");
}

#[test]
fn a_clock_that_jumps_ends_no_call_and_no_registration_and_no_record_is_longer_than_its_call() {
    let server = Server::start("clock").expect("the server starts");
    server.ctl(&["clock", "2026-07-01T10:00:00+09:00"]).expect("the test clock can be set");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    a.dial("600").expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("the echo answers");
    for date in ["2026-07-02T10:00:00+09:00", "2026-06-30T10:00:00+09:00"] {
        server.ctl(&["clock", date]).expect("the test clock can be set");
        std::thread::sleep(Duration::from_secs(2));
        let calls = server.ctl(&["calls"]).expect("an answer");
        assert_eq!(calls.as_array().map(Vec::len), Some(1), "{date}: the call goes on");
        let phones = server.ctl(&["registrations"]).expect("an answer");
        assert_eq!(phones.as_array().map(Vec::len), Some(1), "{date}: the phone is there");
    }
    a.hang_up().expect("the control link stands");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
    let text = server.ctl(&["cdrs"]).expect("an answer");
    println!("{text}");
    assert_eq!(text[0]["cause"], "caller_hung_up");
    let date = |key: &str| text[0][key].as_str().unwrap_or_default().to_owned();
    let dates = ["answered", "ended"].map(|key| date(key).parse::<Timestamp>().expect("a date"));
    let jumped: Timestamp = "2026-06-30T10:00:00+09:00".parse().expect("a date");
    let [before, after] = dates.map(|date| date.duration_since(jumped).as_secs());
    assert!((-10..=0).contains(&before) && (0..=10).contains(&after), "{text}");
}
