//! `kill -9` at any moment loses no registration and no call record.

use std::time::Duration;

use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::server::Server;

const LIMIT: Duration = Duration::from_secs(8);

#[test]
fn after_a_kill_phones_are_reachable_and_every_call_has_its_record() {
    let mut server = Server::start("restart").expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    for finished in [true, false] {
        a.dial("802").expect("the control link stands");
        b.wait("CALL_INCOMING", LIMIT).expect("B rings");
        b.answer().expect("the control link stands");
        a.wait("CALL_ESTABLISHED", LIMIT).expect("A is connected");
        if finished {
            a.hang_up().expect("the control link stands");
            b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");
        }
    }
    std::thread::sleep(Duration::from_millis(200));
    server.kill().expect("it ran");
    drop(a);
    server.run().expect("it starts again");
    let mut a = phone(&server, "a2", &phone_spec(&server, 'A')).expect("A registers again");
    a.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings although it did not register again");
    a.hang_up().expect("the control link stands");
    server.wait_empty(Duration::from_secs(40)).expect("nothing is left");

    let records = server.ctl(&["cdrs"]).expect("the records can be read");
    let records = records.as_array().expect("a list").clone();
    println!("{}", serde_json::to_string_pretty(&records).expect("JSON prints"));
    let causes: Vec<&str> =
        records.iter().map(|record| record["cause"].as_str().unwrap_or("open")).collect();
    assert_eq!(records.len(), 3, "{causes:?}");
    for cause in ["caller_hung_up", "server_stopped", "caller_gave_up"] {
        assert!(causes.contains(&cause), "no {cause} in {causes:?}");
    }
    assert!(records.iter().all(|record| !record["ended"].is_null()), "a record is still open");
}
