//! An adapter of the office with a machine on its analogue port: it registers as the device, calls,
//! and is called.

use std::io;
use std::time::Duration;

use koukan_sip::Credentials;

use super::call::header;
use super::dial::proof;
use super::wire::Hub;
use super::{Outcome, Sending, Taking};
use crate::office::user;
use crate::server::{PASSWORD, Server};

/// A registered adapter.
#[derive(Debug)]
pub struct Adapter {
    hub: Hub,
    credentials: Credentials,
}

impl Adapter {
    /// Registers as a device of the sample office.
    ///
    /// # Errors
    /// It is not let in.
    pub fn register(server: &Server, device: char) -> io::Result<Self> {
        let hub = Hub::open(0)?;
        let credentials = Credentials { username: user(device), password: PASSWORD.to_owned() };
        let (own, name) = (hub.address()?, &credentials.username);
        let call_id = format!("register-{}-{}@adapter", own.port(), std::process::id());
        let wire = hub.wire(&call_id);
        let uri = format!("sip:{}", server.sip);
        let request = |number: u32, more: &str| {
            format!(
                "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKr{number}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{name}@{host}>;tag=a{port}\r\n\
                 To: <sip:{name}@{host}>\r\nCall-ID: {call_id}\r\nCSeq: {number} REGISTER\r\n\
                 Contact: <sip:{name}@{own}>\r\nExpires: 600\r\n{more}Content-Length: 0\r\n\r\n",
                host = server.sip,
                port = own.port(),
            )
        };
        wire.send(&request(1, ""), server.sip)?;
        let limit = Duration::from_secs(10);
        let challenge = wire.wait(limit)?;
        let more = proof(&challenge, &credentials, "REGISTER", &uri)?;
        wire.send(&request(2, &more), server.sip)?;
        loop {
            let text = wire.wait(limit)?;
            let ours = header(&text, "CSeq").is_some_and(|cseq| cseq == "2 REGISTER");
            if ours && text.starts_with("SIP/2.0 200") {
                return Ok(Self { hub, credentials });
            }
            if ours && !text.starts_with("SIP/2.0 1") {
                return Err(io::Error::other(text));
            }
        }
    }

    /// Calls and sends a document; returns when the call is over.
    ///
    /// # Errors
    /// The call is not answered, or the machine does not start.
    pub fn send(&self, server: &Server, sending: &Sending<'_>) -> io::Result<Outcome> {
        let sending = Sending { from: &self.credentials.username, ..sending.clone() };
        super::sends(&self.hub, server, &sending, Some(&self.credentials))
    }

    /// Takes the next call as a fax; returns when the call is over.
    ///
    /// # Errors
    /// Nobody calls in time, or the machine does not start.
    pub fn take(
        &self,
        server: &Server,
        taking: &Taking<'_>,
        limit: Duration,
    ) -> io::Result<Outcome> {
        super::takes(&self.hub, server, (None, limit), taking)
    }
}
