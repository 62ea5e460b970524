//! A whole server in this process, spoken to through its real sockets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod office;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use koukan::config;
use koukan::server::{Server, StartError};
use koukan_sip::{Header, Transport};
use office::{Office, Phone, ask, json, sip_address, until, wait_empty};
use rustls::pki_types::CertificateDer;

#[test]
fn options_are_answered_and_nothing_is_left() {
    let office = Office::new("options");
    let server = office.start();
    let mut phone = Phone::new(sip_address(&server, Transport::Udp), "acme-801");
    let answer = phone.request("OPTIONS", "koukan", "", "");
    assert_eq!(answer.status(), Some(200));
    let status = json(server.socket(), "/v1/status");
    assert_eq!(status["pid"], std::process::id());
    assert_eq!(status["listeners"].as_array().unwrap().len(), 2);
    drop(phone);
}

#[test]
fn a_phone_registers_with_digest_and_is_listed_and_leaves() {
    let office = Office::new("register");
    let server = office.start();
    let mut phone = Phone::new(sip_address(&server, Transport::Udp), "acme-801");
    let answer = phone.request("REGISTER", "acme-801", "Expires: 60\r\n", "");
    assert_eq!(answer.status(), Some(200), "{:?}", answer.reason_phrase());
    let listed = json(server.socket(), "/v1/registrations");
    assert_eq!(listed[0]["user"], "acme-801");
    assert_eq!(listed[0]["device"], "A");
    let answer = phone.request("REGISTER", "acme-801", "Expires: 0\r\n", "");
    assert_eq!(answer.status(), Some(200));
    assert_eq!(json(server.socket(), "/v1/registrations").as_array().unwrap().len(), 0);
}

#[test]
fn a_wrong_password_is_refused() {
    let office = Office::new("wrong");
    let secret = office.conf().join("tenants/acme/secrets/A");
    fs::write(&secret, "another").unwrap();
    let server = office.start();
    let mut phone = Phone::new(sip_address(&server, Transport::Udp), "acme-801");
    let answer = phone.request("REGISTER", "acme-801", "Expires: 60\r\n", "");
    assert_eq!(answer.status(), Some(403));
}

#[test]
fn the_api_names_what_it_does_not_know() {
    let office = Office::new("api");
    let server = office.start();
    let socket = server.socket();
    let mode = fs::metadata(socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(json(socket, "/v1/calls").as_array().unwrap().len(), 0);
    assert_eq!(ask(socket, "DELETE", "/v1/calls/0000000000000001", "").0, 404);
    assert_eq!(ask(socket, "DELETE", "/v1/calls/x", "").0, 400);
    assert_eq!(ask(socket, "GET", "/v1/why/0000000000000001", "").0, 404);
    assert_eq!(ask(socket, "GET", "/v1/nonsense", "").0, 404);
    assert_eq!(ask(socket, "POST", "/v1/clock", "{\"dat\": 1}").0, 422);
    let large = format!("{{\"date\": \"{}\"}}", "x".repeat(100_000));
    assert_eq!(ask(socket, "POST", "/v1/clock", &large).0, 413);
    let (status, metrics) = ask(socket, "GET", "/metrics", "");
    assert_eq!(status, 200);
    assert!(metrics.contains("koukan_sip_messages_received_total{transport=\"udp\"}"));
}

#[test]
fn the_test_clock_moves_only_when_it_may() {
    let office = Office::new("clock");
    let server = office.start();
    let body = "{\"date\": \"2026-07-01T12:30:00+09:00\"}";
    let (status, answer) = ask(server.socket(), "POST", "/v1/clock", body);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("2026-07-01T03:30"), "{answer}");
    assert_eq!(ask(server.socket(), "POST", "/v1/clock", "{}").0, 200);
    assert_eq!(json(server.socket(), "/v1/clock")["moved"], false);
    server.stop();
    office.configure("[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n");
    let server = office.start();
    assert_eq!(ask(server.socket(), "POST", "/v1/clock", body).0, 403);
}

#[test]
fn a_broken_plan_is_not_taken_and_a_good_one_is() {
    let office = Office::new("reload");
    let server = office.start();
    let broken = office.conf().join("tenants/acme/zz.toml");
    fs::write(&broken, "[extension.x\n").unwrap();
    let (status, answer) = ask(server.socket(), "POST", "/v1/reload", "");
    assert_eq!(status, 422, "{answer}");
    assert!(answer.contains("zz.toml:1:"), "{answer}");
    let mut phone = Phone::new(sip_address(&server, Transport::Udp), "acme-802");
    assert_eq!(phone.request("REGISTER", "acme-802", "Expires: 60\r\n", "").status(), Some(200));
    fs::write(&broken, "[extension.x]\ndial = \"650\"\ndo = \"echo\"\n").unwrap();
    let (status, answer) = ask(server.socket(), "POST", "/v1/reload", "");
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\"devices\":2"), "{answer}");
}

#[test]
fn a_listener_behind_a_nat_shows_its_outside_in_contact_and_description() {
    let office = Office::new("outside");
    office.configure(
        "[sip]\nlisten = [\n\
         { at = \"udp:127.0.0.1:0\", advertise = \"203.0.113.7:15060\" },\n\
         \"udp:127.0.0.1:0\",\n]\n[media]\nworkers = 1\n",
    );
    let server = office.start();
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio 40000 RTP/AVP 0\r\n";
    let outside = ["<sip:koukan@203.0.113.7:15060>", "c=IN IP4 203.0.113.7\r\n"];
    let inside = format!("<sip:koukan@{}>", server.listeners()[1].address);
    let expected = [outside, [inside.as_str(), "c=IN IP4 127.0.0.1\r\n"]];
    for (listener, [contact, connection]) in server.listeners().iter().zip(expected) {
        let mut phone = Phone::new(listener.address, "acme-801");
        let answer = phone.request("INVITE", "600", "Content-Type: application/sdp\r\n", offer);
        assert_eq!(answer.status(), Some(200), "{:?}", answer.reason_phrase());
        let call = String::from_utf8(answer.header(Header::CallId).unwrap().to_vec()).unwrap();
        phone.acknowledge(&answer, "600", &call, phone.cseq());
        assert_eq!(answer.header(Header::Contact), Some(contact.as_bytes()));
        let body = String::from_utf8(answer.body().to_vec()).unwrap();
        assert!(body.contains(connection), "{body}");
    }
}

#[test]
fn a_bad_certificate_is_refused_by_a_reload_and_the_old_one_kept() {
    let office = Office::new("certificate");
    let write = |name: &str, text: &str| {
        let path = office.conf().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let issue = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["pbx.test".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), certificate.der().clone(), key.serialize_pem())
    };
    let (pem, first, key) = issue();
    write("sip.crt", &pem);
    write("sip.key", &key);
    office.configure(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tls:127.0.0.1:0\"]\n\
         [sip.tls]\ncertificate = \"conf/sip.crt\"\nkey = \"conf/sip.key\"\n\
         [media]\nworkers = 1\n",
    );
    let server = office.start();
    let address = sip_address(&server, Transport::Tls);
    assert_eq!(shown_certificate(address, &first).unwrap(), first);
    // A certificate without its key is half a renewal.
    let (pem, second, key) = issue();
    write("sip.crt", &pem);
    let (status, answer) = ask(server.socket(), "POST", "/v1/reload", "");
    assert_eq!(status, 422, "{answer}");
    assert!(answer.contains("koukan.toml:5:7") && answer.contains("does not belong"), "{answer}");
    assert_eq!(shown_certificate(address, &first).unwrap(), first);
    write("sip.key", &key);
    assert_eq!(ask(server.socket(), "POST", "/v1/reload", "").0, 200);
    assert_eq!(shown_certificate(address, &second).unwrap(), second);
    assert!(shown_certificate(address, &first).is_err());
}

/// The certificate that a client is shown that trusts nothing but `trusted`.
fn shown_certificate(
    server: std::net::SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<CertificateDer<'static>> {
    let mut anchors = rustls::RootCertStore::empty();
    anchors.add(trusted.clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(koukan::transport::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(anchors)
        .with_no_client_auth();
    let name = "pbx.test".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut stream = std::net::TcpStream::connect(server)?;
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(session.peer_certificates().unwrap()[0].clone().into_owned())
}

#[test]
fn a_call_to_a_phone_that_is_not_there_ends_with_its_reasons() {
    let office = Office::new("absent");
    let server = office.start();
    let mut phone = Phone::new(sip_address(&server, Transport::Udp), "acme-801");
    phone.request("REGISTER", "acme-801", "Expires: 60\r\n", "");
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio 40000 RTP/AVP 0\r\n";
    let answer = phone.request("INVITE", "802", "Content-Type: application/sdp\r\n", offer);
    assert!(answer.status().unwrap() >= 400, "{:?}", answer.status());
    let call = String::from_utf8(answer.header(Header::CallId).unwrap().to_vec()).unwrap();
    phone.acknowledge(&answer, "802", &call, phone.cseq());
    wait_empty(server.socket());
    let (_, metrics) = ask(server.socket(), "GET", "/metrics", "");
    assert!(metrics.contains("koukan_calls_total 1\n"), "{metrics}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let office = Office::new("second");
    let server = office.start();
    let error = Server::start(config::load(&office.conf()).unwrap()).unwrap_err();
    assert!(matches!(error, StartError::Data(_)), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    server.stop();
    office.start().stop();
}

#[test]
fn an_orderly_end_gives_back_socket_and_ports() {
    let office = Office::new("end");
    let server = office.start();
    let (socket, address) = (server.socket().to_owned(), sip_address(&server, Transport::Udp));
    server.stop();
    assert!(!socket.exists());
    until("the port", || std::net::UdpSocket::bind(address).ok());
}
