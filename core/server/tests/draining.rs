//! The end of a server that drains: empty, or at its deadline (N-08).

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "no call is left to its own end here")]
mod office;

use std::time::{Duration, Instant};

use koukan_sip::Transport;
use office::{Office, Phone, ask, json, sip_address, until};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\n";
const SDP: &str = "Content-Type: application/sdp\r\n";

#[test]
fn a_server_without_calls_ends_at_once_when_it_drains() {
    let office = Office::new("drain-empty");
    let server = office.start();
    let (status, _) = ask(server.socket(), "POST", "/v1/drain", "{\"within_s\":60,\"by\":\"me\"}");
    assert_eq!(status, 200);
    let outcome = server.wait(Duration::from_secs(5)).expect("it ends by itself");
    outcome.unwrap();
}

#[test]
fn a_call_goes_on_until_the_deadline_and_new_ones_are_told_to_come_again() {
    let office = Office::new("drain-call");
    let server = office.start();
    let address = sip_address(&server, Transport::Udp);
    let mut phone = Phone::new(address, "acme-801");
    let answer = phone.request("INVITE", "600", SDP, OFFER);
    assert_eq!(answer.status(), Some(200));
    let call = format!("INVITE-{}", phone.socket.local_addr().unwrap().port());
    phone.acknowledge(&answer, "600", &call, phone.cseq());
    let begun = Instant::now();
    let body = "{\"within_s\":3,\"by\":\"me\"}";
    let (status, report) = ask(server.socket(), "POST", "/v1/drain", body);
    assert_eq!(status, 200, "{report}");
    let report = json(server.socket(), "/v1/drain");
    assert_eq!((&report["draining"], &report["by"]), (&true.into(), &"me".into()));
    assert_eq!(report["calls"][0]["stage"], "echo");
    assert!(report["deadline"].is_string());

    let mut other = Phone::new(address, "acme-802");
    let registered = other.request("REGISTER", "acme-802", "Expires: 60\r\n", "");
    assert_eq!(registered.status(), Some(200), "phones are registered as ever");
    let refused = other.request("INVITE", "600", SDP, OFFER);
    assert_eq!(refused.status(), Some(503));
    assert_eq!(refused.header_named("Retry-After"), Some(b"60".as_slice()));
    let (_, metrics) = ask(server.socket(), "GET", "/metrics", "");
    assert!(metrics.contains("koukan_draining 1\n"), "{metrics}");
    assert!(metrics.contains("koukan_calls_refused_draining_total 1\n"), "{metrics}");

    assert!(server.wait(Duration::from_secs(1)).is_none(), "the call is up");
    let bye = phone.receive();
    assert_eq!(bye.method(), Some(koukan_sip::Method::Bye), "{bye:?}");
    let after = begun.elapsed().as_secs_f64();
    assert!((2.9..4.5).contains(&after), "{after}");
    server.wait(Duration::from_secs(5)).expect("it ends by itself").unwrap();
}

#[test]
fn a_draining_that_is_called_off_takes_calls_again() {
    let office = Office::new("drain-off");
    let server = office.start();
    let mut phone = Phone::new(sip_address(&server, Transport::Udp), "acme-801");
    assert_eq!(ask(server.socket(), "DELETE", "/v1/drain", "").0, 404);
    let answer = phone.request("INVITE", "600", SDP, OFFER);
    assert_eq!(answer.status(), Some(200));
    let call = format!("INVITE-{}", phone.socket.local_addr().unwrap().port());
    phone.acknowledge(&answer, "600", &call, phone.cseq());
    let order = |body: &str| ask(server.socket(), "POST", "/v1/drain", body).0;
    assert_eq!(order("{\"within_s\":100,\"by\":\"\"}"), 400);
    assert_eq!(order("{\"within_s\":99999999,\"by\":\"me\"}"), 400);
    assert_eq!(order("{\"within_s\":100,\"by\":\"me\"}"), 200);
    assert_eq!(ask(server.socket(), "DELETE", "/v1/drain", "").0, 204);
    assert_eq!(json(server.socket(), "/v1/drain")["draining"], false);
    let mut other = Phone::new(sip_address(&server, Transport::Udp), "acme-802");
    assert_eq!(other.request("INVITE", "600", SDP, OFFER).status(), Some(200));
    for call in json(server.socket(), "/v1/calls").as_array().unwrap() {
        let path = format!("/v1/calls/{}", call["call"].as_str().unwrap());
        assert_eq!(ask(server.socket(), "DELETE", &path, "").0, 204);
    }
    until("no call", || {
        json(server.socket(), "/v1/calls").as_array().filter(|calls| calls.is_empty()).map(|_| ())
    });
}
