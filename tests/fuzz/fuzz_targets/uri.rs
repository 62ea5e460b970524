//! Any bytes as a SIP, SIPS or tel URI (RFC 3261, section 19.1; RFC 3966).
#![no_main]

use koukan_sip::header::Uri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(uri) = Uri::parse(bytes) {
        let _ = (uri.is_secure(), uri.address());
        let unescaped = uri.user_unescaped();
        assert!(unescaped.is_none_or(|user| user.len() <= bytes.len()), "unescaping only shortens");
        if let Some(address) = uri.socket_address() {
            assert_eq!(Some(address.ip()), uri.address());
        }
    }
});
