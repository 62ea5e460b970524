//! Caps against fraud in the running server: told by mail at four fifths and when they are reached;
//! what is new is refused, what is up goes on.

use std::fs;
use std::time::Duration;

use koukan_e2e::baresip::Baresip;
use koukan_e2e::office::{carrier, phone, phone_spec};
use koukan_e2e::server::Server;
use koukan_e2e::smtp::MailSink;
use koukan_e2e::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(10);

fn talks(a: &mut Baresip, far: &mut Baresip) {
    a.dial("0455550001").expect("the control link stands");
    far.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("{}", a.log()));
    far.answer().expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("the call is up");
    a.hang_up().expect("the control link stands");
    a.wait("CALL_CLOSED", LIMIT).expect("A is cleared");
    far.wait("CALL_CLOSED", LIMIT).expect("the other side is cleared");
}

#[test]
fn a_cap_on_money_is_told_by_mail_and_refuses_the_next_call() {
    let mut server = Server::start("limits").expect("the server starts");
    let sink = MailSink::start(server.smtp_port).expect("the port is free");
    // No clock is set: what is older than two days is not asked for at a start.
    let tenant = server.directory.join("conf/tenants/acme");
    // A call of a desk phone costs 8 yen.
    let caps =
        "schema = 1\n[limits]\noutside_yen_per_day = \"10\"\nalert = [\"boss@example.jp\"]\n";
    fs::write(tenant.join("limits.toml"), caps).expect("it is written");
    let file = tenant.join("office.toml");
    let text = fs::read_to_string(&file).expect("the sample");
    let text = text.replace("language = \"ja\"", "language = \"en\"");
    fs::write(&file, text).expect("it is written");
    server.ctl(&["reload", "acme"]).expect("it is in order");
    let mut far = carrier(&server, "0455550001", 1000.0).expect("the carrier starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let waits = |count: usize| {
        let found = wait_for(LIMIT, || Some(sink.mails()).filter(|mails| mails.len() >= count));
        let mails = found.unwrap_or_else(|| panic!("{count} mails: {:?}", sink.mails()));
        assert_eq!(mails.len(), count, "{mails:?}");
        mails
    };
    talks(&mut a, &mut far);
    let mails = waits(1);
    for part in ["To: boss@example.jp", "is at 80% of its cap"] {
        assert!(mails[0].contains(part), "no {part} in {}", mails[0]);
    }
    talks(&mut a, &mut far);
    let mails = waits(2);
    assert!(mails[1].contains("has reached its cap"), "{}", mails[1]);
    a.dial("0455550001").expect("the control link stands");
    let reason = a.wait("CALL_CLOSED", Duration::from_secs(30)).expect("it is refused");
    assert!(reason.contains("403"), "{reason}");
    assert!(server.log_tail().contains("the cap spend of acme is reached"));

    // What was spent and told outlives the process.
    std::thread::sleep(Duration::from_secs(1));
    server.kill().expect("it runs");
    server.run().expect("it starts again");
    let mut a = phone(&server, "a-again", &phone_spec(&server, 'A')).expect("A registers");
    a.dial("0455550001").expect("the control link stands");
    let reason = a.wait("CALL_CLOSED", Duration::from_secs(30)).expect("it is refused");
    assert!(reason.contains("403"), "{reason}");
    assert_eq!(sink.mails().len(), 2, "nobody is told twice");
    // Another day.
    server.ctl(&["clock", "2040-01-04T10:00:00+09:00"]).expect("the test clock can be set");
    talks(&mut a, &mut far);
    waits(3);
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
