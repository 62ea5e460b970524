//! Phones behind NATs that the test makes of network namespaces: two-way audio between two of them,
//! calls after the NAT would have forgotten the phone, and after the server was killed.

use std::net::SocketAddr;
use std::time::Duration;

use koukan_e2e::audio::Sound;
use koukan_e2e::baresip::{Baresip, PhoneSpec, TONE_DBFS};
use koukan_e2e::nat::{FORGETS_S, Network};
use koukan_e2e::office::{phone, phone_spec};
use koukan_e2e::server::Server;
use koukan_e2e::wait::wait_for;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(8);

/// A server with a listener on the side of each NAT, and what `[sip]` says beside it.
fn server(network: &Network, name: &str, sip: &str) -> Server {
    let addresses = [network.server_address(1), network.server_address(2)];
    Server::start_also(name, &addresses, sip).expect("the server starts")
}

/// The phone of a device behind a NAT.
fn behind(network: &Network, number: u8, server: &Server, spec: PhoneSpec) -> Baresip {
    let address = SocketAddr::from((network.server_address(number), server.sip.port()));
    let spec = PhoneSpec { server: address, place: Some(network.place(number)), ..spec };
    phone(server, &format!("phone{number}"), &spec).expect("the phone registers")
}

fn registration(server: &Server, user: &str) -> Value {
    let all = server.ctl(&["registrations"]).expect("the control socket answers");
    let all = all.as_array().cloned().unwrap_or_default();
    all.into_iter().find(|known| known["user"] == user).unwrap_or_default()
}

fn assert_hears(heard: &Sound, expected: f64) {
    let middle = heard.part(1.0, heard.seconds() - 0.3);
    assert!(middle.seconds() > 1.5, "only {:.1} s were heard", heard.seconds());
    let level = middle.tone_dbfs(expected);
    println!("{expected} Hz heard at {level:.2} dBFS, sent at {TONE_DBFS}");
    assert!((level - TONE_DBFS).abs() <= 1.0, "{expected} Hz at {level:.2} dBFS");
}

#[test]
fn two_phones_behind_two_nats_hear_each_other() {
    Network::run("two_phones_behind_two_nats_hear_each_other", |network| {
        let server = server(network, "nats", "");
        let spec = |device, tone| PhoneSpec { tone, ..phone_spec(&server, device) };
        let mut a = behind(network, 1, &server, spec('A', 440.0));
        let mut b = behind(network, 2, &server, spec('B', 880.0));
        for (number, user) in [(1, "acme-801"), (2, "acme-802")] {
            let known = registration(&server, user);
            assert_eq!(known["behind_nat"], true, "{known}");
            let outside = format!("udp:{}:", network.outside(number));
            assert!(known["flow"].as_str().unwrap_or_default().starts_with(&outside), "{known}");
            assert!(known["contact"].as_str().unwrap_or_default().contains("192.168.77.2"));
        }
        a.dial("802").expect("the control link stands");
        b.wait("CALL_INCOMING", LIMIT).unwrap_or_else(|| panic!("B does not ring:\n{}", a.log()));
        b.answer().expect("the control link stands");
        a.wait("CALL_ESTABLISHED", LIMIT).unwrap_or_else(|| panic!("no answer:\n{}", a.log()));
        std::thread::sleep(Duration::from_secs(4));
        b.hang_up().expect("the control link stands");
        a.wait("CALL_CLOSED", LIMIT).unwrap_or_else(|| panic!("A is not cleared:\n{}", a.log()));
        assert_hears(&a.heard().expect("A's recording"), 880.0);
        assert_hears(&b.heard().expect("B's recording"), 440.0);
    });
}

/// Longer than the NATs remember.
fn silence() {
    std::thread::sleep(Duration::from_secs(u64::from(FORGETS_S) * 2));
}

/// Whether A's call lets B ring.
fn rings(a: &mut Baresip, b: &mut Baresip) -> bool {
    a.dial("802").expect("the control link stands");
    let rang = b.wait("CALL_INCOMING", Duration::from_secs(5)).is_some();
    a.hang_up().expect("the control link stands");
    a.wait("CALL_CLOSED", LIMIT).expect("A is cleared");
    rang
}

#[test]
fn a_phone_rings_long_after_its_nat_would_have_forgotten_it_and_after_a_kill() {
    let test = "a_phone_rings_long_after_its_nat_would_have_forgotten_it_and_after_a_kill";
    Network::run(test, |network| {
        let mut server = server(network, "kept", "keepalive = { interval = \"5s\" }\n");
        let mut a = behind(network, 1, &server, phone_spec(&server, 'A'));
        let mut b = behind(network, 2, &server, phone_spec(&server, 'B'));
        silence();
        assert_eq!(registration(&server, "acme-802")["health"], "reachable");
        assert!(rings(&mut a, &mut b), "B does not ring:\n{}", server.log_tail());
        server.kill().expect("it runs");
        server.run().expect("it starts again");
        assert!(rings(&mut a, &mut b), "B does not ring after a kill:\n{}", server.log_tail());
        silence();
        assert!(rings(&mut a, &mut b), "B is not kept alive after a kill");
        // What shows that the NAT forgets: without keep-alives nothing reaches the phone.
        drop(b);
        drop(server);
        let server = self::server(network, "forgotten", "keepalive = { to = \"none\" }\n");
        let mut a = behind(network, 1, &server, phone_spec(&server, 'A'));
        let mut b = behind(network, 2, &server, phone_spec(&server, 'B'));
        silence();
        assert!(!rings(&mut a, &mut b), "the NAT has forgotten nothing");
    });
}

#[test]
fn a_phone_on_tcp_behind_a_nat_rings_again_when_it_is_back_after_a_kill() {
    let test = "a_phone_on_tcp_behind_a_nat_rings_again_when_it_is_back_after_a_kill";
    Network::run(test, |network| {
        let mut server = server(network, "stream", "");
        let mut a = behind(network, 1, &server, phone_spec(&server, 'A'));
        let spec = PhoneSpec { transport: "tcp", expires: 10, ..phone_spec(&server, 'B') };
        let mut b = behind(network, 2, &server, spec);
        silence();
        assert!(rings(&mut a, &mut b), "B does not ring:\n{}", server.log_tail());
        server.kill().expect("it runs");
        server.run().expect("it starts again");
        let back = wait_for(Duration::from_secs(20), || {
            let known = registration(&server, "acme-802");
            let health = known["health"].as_str()?;
            (health != "lost").then_some(())
        });
        back.unwrap_or_else(|| panic!("B has not come back:\n{}", server.log_tail()));
        assert!(rings(&mut a, &mut b), "B does not ring after a kill:\n{}", server.log_tail());
    });
}
