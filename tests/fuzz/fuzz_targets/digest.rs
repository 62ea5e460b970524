//! Any bytes as an Authorization value and as a challenge (RFC 7616): neither panics, and nobody is
//! let in who does not know the password.
#![no_main]

use koukan_base::{Rng, Time};
use koukan_sip::Credentials;
use koukan_sip::digest::{DigestServer, Ha1, Verdict, answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rng = Rng::from_number(1);
    let source = std::net::IpAddr::from([192, 0, 2, 11]);
    let mut server = DigestServer::new("koukan", &mut rng);
    let nonce = server.challenge(Time::ZERO, source, &mut rng, false);
    let lookup = |name: &[u8]| Some(Ha1::new(name, b"koukan", b"a password nobody guesses"));
    let verdict = server.verify(Time::ZERO, source, b"INVITE", bytes, lookup);
    assert!(!matches!(verdict, Verdict::Accepted { .. }), "let in without the password");

    // With our own nonce in front, so that the fields behind it are reached.
    for challenge in nonce {
        let mut value = challenge;
        value.extend_from_slice(b", username=\"a\", ");
        value.extend_from_slice(bytes);
        let verdict = server.verify(Time::ZERO, source, b"INVITE", &value, lookup);
        assert!(!matches!(verdict, Verdict::Accepted { .. }), "let in without the password");
    }
    let credentials = Credentials { username: "a".to_owned(), password: "b".to_owned() };
    let _ = answer(bytes, &credentials, b"INVITE", b"sip:koukan", b"cnonce");
});
