//! Any datagram as a STUN binding request (RFC 8489): what is answered is answered shortly,
//! with the request's transaction.
#![no_main]

use koukan_sip::stun;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let source = std::net::SocketAddr::from(([192, 0, 2, 1], 4000));
    if let Ok(Some(answer)) = stun::respond(bytes, source) {
        assert!(stun::is_stun(bytes) && stun::is_stun(&answer));
        assert_eq!(answer[4..20], bytes[4..20]);
        assert!(answer.len() <= bytes.len() + 64, "an answer is no amplifier");
    }
});
