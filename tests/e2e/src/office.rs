//! The sample office's phones and its carrier, as baresip processes.

use std::io;
use std::time::Duration;

use crate::baresip::{Baresip, PhoneSpec};
use crate::server::{PASSWORD, Server};

/// The SIP user of a device of the sample office (`A` is `acme-801`).
#[must_use]
pub fn user(device: char) -> String {
    let index = u32::from(device).saturating_sub(u32::from('A'));
    format!("acme-{}", 801 + index)
}

/// How a device's phone is set up when a test wants nothing special.
#[must_use]
pub fn phone_spec(server: &Server, device: char) -> PhoneSpec {
    PhoneSpec {
        user: user(device),
        password: PASSWORD.to_owned(),
        server: server.sip,
        transport: "udp",
        tone: 440.0,
        codecs: &["PCMU", "PCMA"],
        registers: true,
        expires: 300,
        session: None,
        late_offer: false,
        trusted: server.authority(),
        sip_port: None,
        place: None,
    }
}

/// Starts a phone and waits until it has registered.
///
/// # Errors
/// It did not start or register; the message carries its SIP log.
pub fn phone(server: &Server, name: &str, spec: &PhoneSpec) -> io::Result<Baresip> {
    let mut phone = Baresip::start(&server.directory.join(name), spec)?;
    if spec.registers && !phone.registered(Duration::from_secs(10)) {
        return Err(io::Error::other(format!("{name} did not register:\n{}", phone.log())));
    }
    Ok(phone)
}

/// A phone that plays the carrier: it calls from the trunk's address without registering.
///
/// # Errors
/// It did not start.
pub fn carrier(server: &Server, caller: &str, tone: f64) -> io::Result<Baresip> {
    let spec = PhoneSpec {
        user: caller.to_owned(),
        registers: false,
        tone,
        sip_port: Some(server.trunk_port),
        ..phone_spec(server, 'A')
    };
    phone(server, "carrier", &spec)
}
