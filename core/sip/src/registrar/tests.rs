//! The rules of RFC 3261, section 10.3, on a virtual clock.

use super::*;
use crate::{ListenerId, Transport};

fn flow(port: u16) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: ListenerId(0),
        remote: ([192, 0, 2, 1], port).into(),
        connection: 0,
    }
}

fn request(cseq: u32, contacts: &[(&str, Option<u32>)]) -> RegisterRequest {
    RegisterRequest {
        contacts: contacts
            .iter()
            .map(|(uri, expires)| ContactEntry {
                uri: uri.as_bytes().to_vec(),
                expires: *expires,
                q: 1000,
            })
            .collect(),
        call_id: b"one".to_vec(),
        cseq,
        ..RegisterRequest::default()
    }
}

fn uris(registrar: &Registrar, user: &str) -> Vec<String> {
    let uri = |binding: &&Binding| String::from_utf8(binding.uri.clone()).unwrap();
    registrar.bindings(user).iter().map(uri).collect()
}

const NOW: Time = Time::from_millis(1_000_000);

#[test]
fn a_contact_is_bound_refreshed_and_expires() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let bind = request(1, &[("sip:a@192.0.2.1", Some(120))]);
    registrar.register(NOW, "u", &bind, flow(1), 1).unwrap();
    let refresh = request(2, &[("sip:a@192.0.2.1:5060", Some(120))]);
    let later = NOW + Duration::from_secs(100);
    registrar.register(later, "u", &refresh, flow(2), 1).unwrap();
    assert_eq!(registrar.bindings("u")[0].flow, flow(2));
    assert_eq!(registrar.handle_timeout(later + Duration::from_secs(119)), []);
    let gone = registrar.handle_timeout(later + Duration::from_secs(120));
    assert_eq!(gone.len(), 1);
    assert!(!registrar.is_bound("u"));
    assert_eq!(registrar.poll_timeout(), None);
}

#[test]
fn star_removes_everything_and_only_with_expires_zero() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let two = request(1, &[("sip:a@192.0.2.1", None), ("sip:a@192.0.2.2", None)]);
    registrar.register(NOW, "u", &two, flow(1), 5).unwrap();
    let mut star = RegisterRequest { star: true, expires: Some(60), ..request(2, &[]) };
    assert_eq!(registrar.register(NOW, "u", &star, flow(1), 5), Err(RegisterError::Malformed));
    star.expires = Some(0);
    assert_eq!(registrar.register(NOW, "u", &star, flow(1), 5).unwrap().len(), 2);
    assert!(!registrar.is_bound("u"));
    // At boot, with nothing bound, it is no error.
    assert_eq!(registrar.register(NOW, "u", &star, flow(1), 5), Ok(vec![]));
}

#[test]
fn too_brief_is_refused_and_too_long_is_cut() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let brief = request(1, &[("sip:a@192.0.2.1", Some(59))]);
    let error = registrar.register(NOW, "u", &brief, flow(1), 1).unwrap_err();
    assert_eq!((error, error.status()), (RegisterError::TooBrief { min: 60 }, 423));
    let long = request(1, &[("sip:a@192.0.2.1", Some(u32::MAX))]);
    registrar.register(NOW, "u", &long, flow(1), 1).unwrap();
    assert_eq!(registrar.bindings("u")[0].expires, NOW + Duration::from_secs(3600));
}

#[test]
fn an_older_request_changes_nothing_at_all() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let first = request(5, &[("sip:a@192.0.2.1", None)]);
    registrar.register(NOW, "u", &first, flow(1), 5).unwrap();
    let old = request(5, &[("sip:b@192.0.2.1", None), ("sip:a@192.0.2.1", None)]);
    assert_eq!(registrar.register(NOW, "u", &old, flow(2), 5), Err(RegisterError::OutOfOrder));
    assert_eq!(uris(&registrar, "u"), ["sip:a@192.0.2.1"]);
    assert_eq!(registrar.bindings("u")[0].flow, flow(1));
}

#[test]
fn a_device_beyond_the_limit_takes_the_place_of_the_oldest() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    for (index, uri) in ["sip:a@192.0.2.1", "sip:a@192.0.2.2"].into_iter().enumerate() {
        let mut bind = request(1, &[(uri, None)]);
        bind.call_id = vec![u8::try_from(index).unwrap()];
        registrar.register(NOW, "u", &bind, flow(1), 1).unwrap();
    }
    assert_eq!(uris(&registrar, "u"), ["sip:a@192.0.2.2"]);
}

#[test]
fn expires_zero_removes_one_contact_and_the_list_is_only_asked_for_without_contacts() {
    let mut registrar = Registrar::new(RegistrarConfig::default());
    let two = request(1, &[("sip:a@192.0.2.1", None), ("sip:b@192.0.2.2", None)]);
    registrar.register(NOW, "u", &two, flow(1), 5).unwrap();
    let remove = request(2, &[("sip:a@192.0.2.1", Some(0))]);
    registrar.register(NOW, "u", &remove, flow(1), 5).unwrap();
    assert_eq!(registrar.register(NOW, "u", &request(3, &[]), flow(1), 5), Ok(vec![]));
    assert_eq!(uris(&registrar, "u"), ["sip:b@192.0.2.2"]);
}
