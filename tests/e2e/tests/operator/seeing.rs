//! What an operator sees of a call: its messages as a ladder, as a capture that tshark reads, at a
//! collector, and its record for other programs.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::server::{Server, binary};

const LIMIT: Duration = Duration::from_secs(10);

/// What `koukan ctl ARGUMENTS` prints.
fn printed(server: &Server, arguments: &[&str]) -> String {
    let socket = server.directory.join("data/koukan.sock");
    let output = Command::new(binary("koukan").expect("it is built"))
        .arg("ctl")
        .arg("--socket")
        .arg(socket)
        .args(arguments)
        .output()
        .expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {words}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_call_is_seen_as_a_ladder_a_capture_at_a_collector_and_as_a_line_for_billing() {
    let collector = UdpSocket::bind("127.0.0.1:0").expect("a port");
    collector.set_read_timeout(Some(LIMIT)).expect("a socket");
    let address = collector.local_addr().expect("its address");
    let lines = format!("[trace]\nhep = \"udp:{address}\"\nhep_id = 77\n");
    let server = Server::start_also("seeing", &[], &lines).expect("the server starts");
    let mut a = phone(&server, "a", &phone_spec(&server, 'A')).expect("A registers");
    let mut b = phone(&server, "b", &phone_spec(&server, 'B')).expect("B registers");
    a.dial("802").expect("the control link stands");
    b.wait("CALL_INCOMING", LIMIT).expect("B rings");
    let calls = server.ctl(&["calls"]).expect("an answer");
    let call = calls[0]["call"].as_str().expect("a call").to_owned();
    let early = printed(&server, &["trace", &call, "--ladder"]);
    assert!(early.contains("INVITE 802") && !early.contains("BYE"), "{early}");
    b.answer().expect("the control link stands");
    a.wait("CALL_ESTABLISHED", LIMIT).expect("A is connected");
    std::thread::sleep(Duration::from_secs(1));
    a.hang_up().expect("the control link stands");
    b.wait("CALL_CLOSED", LIMIT).expect("B is cleared");
    server.wait_empty(Duration::from_secs(45)).expect("nothing is left");

    // The call is over: its record says what belonged to it.
    let ladder = printed(&server, &["trace", &call, "--ladder"]);
    println!("{ladder}");
    for words in ["INVITE 802", "INVITE acme-802", "407", "180", "200 OK (INVITE)", "BYE"] {
        assert!(ladder.contains(words), "no {words} in\n{ladder}");
    }
    assert!(!ladder.contains("REGISTER"), "of this call alone:\n{ladder}");
    let text = printed(&server, &["trace", &call]);
    assert!(text.contains("udp ") && text.contains("    Call-ID: "), "{text}");
    assert!(printed(&server, &["trace", "--ladder"]).contains("REGISTER"));

    let file = server.directory.join("call.pcapng");
    printed(&server, &["trace", &call, "--pcapng", &file.to_string_lossy()]);
    let port = server.sip.port();
    let output = Command::new("tshark")
        .arg("-r")
        .arg(&file)
        .args(["-d", &format!("udp.port=={port},sip"), "-Y", "sip", "-T", "fields"])
        .args(["-e", "sip.Request-Line", "-e", "sip.Status-Line", "-e", "udp.checksum.status"])
        .args(["-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"])
        .output()
        .expect("tshark is installed");
    let packets = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{packets}{}", String::from_utf8_lossy(&output.stderr));
    let messages = ladder.lines().count() - 1;
    assert_eq!(packets.lines().count(), messages, "a packet a message of the ladder");
    for words in ["INVITE sip:802@", "SIP/2.0 200 OK", "BYE sip:"] {
        assert!(packets.contains(words), "no {words} in\n{packets}");
    }
    let good = packets.lines().filter(|line| line.ends_with("\t1")).count();
    assert_eq!(good, messages, "every checksum is right");

    let mut packet = [0; 8_192];
    let mut copies = String::new();
    collector.set_read_timeout(Some(Duration::from_millis(300))).expect("a socket");
    while let Ok(length) = collector.recv(&mut packet) {
        assert!(packet.starts_with(b"HEP3"));
        assert!(packet[..length].windows(10).any(|chunk| chunk == b"\0\0\0\x0c\0\x0a\0\0\0\x4d"));
        copies.push_str(&String::from_utf8_lossy(&packet[..length]));
    }
    assert!(copies.contains("INVITE sip:802@") && copies.contains("REGISTER sip:"));

    let csv = printed(&server, &["cdrs", "--format", "csv", "--tenant", "acme"]);
    println!("{csv}");
    let mut lines = csv.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let row: Vec<&str> = lines.next().expect("a call").split(',').collect();
    let field = |name: &str| row[head.iter().position(|column| *column == name).expect("a column")];
    assert_eq!((field("call"), field("cause")), (call.as_str(), "caller_hung_up"));
    assert_eq!((field("answered_by"), field("status")), ("device B", "200"));
    assert!((1..=3).contains(&field("talk_s").parse::<u32>().expect("seconds")));
    let lines = printed(&server, &["cdrs", "--format", "jsonl"]);
    let record: serde_json::Value = serde_json::from_str(lines.trim()).expect("one JSON object");
    assert_eq!(record["call"], call.as_str());
    let none = printed(&server, &["cdrs", "--format", "jsonl", "--until", "2020-01-01T00:00:00Z"]);
    assert_eq!(none, "");
    assert_eq!(printed(&server, &["boxes"]), "no box has had a message\n");
    assert_eq!(printed(&server, &["faxes"]), "no fax was received or sent\n");
    let unknown = server.ctl(&["trace", "0000000000000001"]).expect_err("no such call");
    assert!(unknown.to_string().contains("no message of call"), "{unknown}");
    fs::remove_file(file).expect("it is there");
}
