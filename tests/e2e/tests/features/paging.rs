//! Paging and intercom with phones that answer by themselves when they are asked to.

use std::thread::sleep;
use std::time::Duration;

use koukan_e2e::baresip::TONE_DBFS;
use koukan_e2e::client::{Client as _, PhoneSpec};
use koukan_e2e::office::phone_spec;
use koukan_e2e::pjsua::Pjsua;
use koukan_e2e::server::Server;

use super::{LIMIT, heard_last, office, ring, wait};

fn desk_phone(server: &Server, name: char, tone: f64) -> Pjsua {
    let spec = PhoneSpec { tone, ..phone_spec(server, name) };
    let directory = server.directory.join(format!("pjsua-{name}"));
    let mut phone = Pjsua::start(&directory, &spec).expect("PJSUA2 starts");
    assert!(phone.registered(Duration::from_secs(20)), "it registers");
    phone
}

#[test]
fn a_page_is_heard_by_the_group_alone_and_the_intercom_by_both() {
    let server = office("paging", &[]);
    let mut a = ring(&server, 'A', 440.0);
    let mut b = desk_phone(&server, 'B', 880.0);
    let mut c = desk_phone(&server, 'C', 1300.0);
    a.dial("690").expect("the control link stands");
    wait(&mut a, "CALL_ESTABLISHED");
    assert!(b.connects(LIMIT) && c.connects(LIMIT), "the phones answer by themselves");
    sleep(Duration::from_secs(1));
    let told = b.listen(Duration::from_secs(2)).expect("what it hears is recorded");
    let (caller, other) = (told.tone_dbfs(440.0), told.tone_dbfs(1300.0));
    println!("a paged phone hears the caller at {caller:.1}, its colleague at {other:.1} dBFS");
    assert!((caller - TONE_DBFS).abs() < 2.0 && other < -45.0);
    a.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    assert!(b.clears(LIMIT) && c.clears(LIMIT));
    let back = heard_last(&a, 2.0);
    assert!(back.tone_dbfs(880.0) < -45.0 && back.tone_dbfs(1300.0) < -45.0, "one way only");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");

    a.dial("*80802").expect("the control link stands");
    wait(&mut a, "CALL_ESTABLISHED");
    assert!(b.connects(LIMIT));
    sleep(Duration::from_secs(1));
    let told = b.listen(Duration::from_secs(2)).expect("what it hears is recorded");
    assert!((told.tone_dbfs(440.0) - TONE_DBFS).abs() < 2.0);
    a.hang_up().expect("the control link stands");
    wait(&mut a, "CALL_CLOSED");
    assert!(b.clears(LIMIT));
    let back = heard_last(&a, 2.0).tone_dbfs(880.0);
    assert!((back - TONE_DBFS).abs() < 2.0, "the colleague is heard at {back:.1} dBFS");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");
}
