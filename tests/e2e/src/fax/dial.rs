//! The first INVITE of a machine: as the carrier it is believed by its address, as an adapter it
//! answers a challenge.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use koukan_sip::{Credentials, digest};

use super::call::{header, image_on};
use super::wire::{Hub, Wire};
use crate::server::Server;

/// Who calls, and how.
pub(super) struct Dial<'a> {
    /// The user in From.
    pub(super) from: &'a str,
    pub(super) number: &'a str,
    /// T.38 alone is offered.
    pub(super) by_t38: bool,
    /// Beside the audio T.38 is offered, as by V.152.
    pub(super) both: bool,
    /// What a challenge is answered with.
    pub(super) credentials: Option<&'a Credentials>,
}

/// The INVITE.
pub(super) struct Invitation {
    own: SocketAddr,
    user: String,
    port: u16,
    pub(super) from: String,
    to: String,
    pub(super) call_id: String,
    target: String,
    body: String,
}

impl Invitation {
    pub(super) fn new(hub: &Hub, server: &Server, dial: &Dial<'_>, port: u16) -> io::Result<Self> {
        let Dial { from: user, number, by_t38, both, .. } = dial;
        let audio = format!(
            "v=0\r\no=machine 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
             a=ptime:20\r\na=sendrecv\r\n"
        );
        let body = match (by_t38, both) {
            (true, _) => image_on(port),
            (false, true) => {
                format!("{audio}m=image {port} udptl t38\r\na=T38FaxVersion:0\r\n")
            }
            (false, false) => audio,
        };
        Ok(Self {
            own: hub.address()?,
            user: (*user).to_owned(),
            port,
            from: format!("<sip:{user}@{}>;tag=fax{port}", server.sip),
            to: format!("<sip:{number}@{}>", server.sip),
            call_id: format!("fax-{port}-{}@machine", std::process::id()),
            target: format!("sip:{number}@{}", server.sip),
            body,
        })
    }

    /// The 200 that comes of it, and the number of the INVITE that it answers.
    pub(super) fn answered(
        &self,
        sip: &Wire,
        server: &Server,
        credentials: Option<&Credentials>,
    ) -> io::Result<(String, u32)> {
        sip.send(&self.invite(1, ""), server.sip)?;
        let mut number = 1;
        loop {
            let text = sip.wait(Duration::from_secs(20))?;
            let challenged = text.starts_with("SIP/2.0 401") || text.starts_with("SIP/2.0 407");
            match credentials.filter(|_| challenged && number == 1) {
                Some(credentials) => {
                    sip.send(&self.ack(&text), server.sip)?;
                    let proof = proof(&text, credentials, "INVITE", &self.target)?;
                    number = 2;
                    sip.send(&self.invite(number, &proof), server.sip)?;
                }
                None if text.starts_with("SIP/2.0 2") => return Ok((text, number)),
                None if text.starts_with("SIP/2.0 1") => {}
                None => return Err(io::Error::other(text)),
            }
        }
    }

    fn invite(&self, number: u32, more: &str) -> String {
        let Self { own, user, port, from, to, call_id, target, body } = self;
        format!(
            "INVITE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKi{port}x{number}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {number} INVITE\r\nContact: <sip:{user}@{own}>\r\n{more}\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// The ACK of a challenge to the first INVITE.
    fn ack(&self, challenge: &str) -> String {
        let Self { own, port, from, to, call_id, target, .. } = self;
        let to = header(challenge, "To").unwrap_or_else(|| to.clone());
        format!(
            "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKi{port}x1\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
        )
    }
}

/// The header that answers a challenge.
pub(super) fn proof(
    challenge: &str,
    credentials: &Credentials,
    method: &str,
    uri: &str,
) -> io::Result<String> {
    let (name, of) = match header(challenge, "WWW-Authenticate") {
        Some(of) => ("Authorization", of),
        None => {
            let of = header(challenge, "Proxy-Authenticate");
            ("Proxy-Authorization", of.ok_or_else(|| io::Error::other("no challenge"))?)
        }
    };
    let (method, uri) = (method.as_bytes(), uri.as_bytes());
    let value = digest::answer(of.as_bytes(), credentials, method, uri, b"machine");
    let value = value.ok_or_else(|| io::Error::other("the challenge cannot be answered"))?;
    Ok(format!("{name}: {}\r\n", String::from_utf8_lossy(&value)))
}
