//! What every client of the matrix can do, whoever wrote it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::audio::Sound;
use crate::nat::Place;

/// Level of the tone that a client speaks, in dBFS.
pub const TONE_DBFS: f64 = -15.0;

/// How a client is set up.
#[derive(Clone, Debug)]
pub struct PhoneSpec {
    /// SIP user (`acme-801`).
    pub user: String,
    /// Its password.
    pub password: String,
    /// The server; the client binds the loopback address of the same family.
    pub server: SocketAddr,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'static str,
    /// The authority whose certificates it takes when the transport is `tls` (PEM).
    pub trusted: PathBuf,
    /// The frequency that it speaks, in Hz.
    pub tone: f64,
    /// Codec preference (`PCMU`, `PCMA`).
    pub codecs: &'static [&'static str],
    /// Whether it registers; one that does not only calls, or plays a carrier.
    pub registers: bool,
    /// How long it wants to be registered, in seconds.
    pub expires: u32,
    /// The session expiry that it asks for, in seconds (RFC 4028); its own habit when `None`.
    pub session: Option<u32>,
    /// Whether its INVITEs carry no offer (RFC 3261, 13.2.1), if it can do so.
    pub late_offer: bool,
    /// Its SIP port; any free one when `None`.
    pub sip_port: Option<u16>,
    /// Where it stands; beside the server when `None`.
    pub place: Option<Place>,
}

impl PhoneSpec {
    /// The address that the client binds.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.place.as_ref().map_or(self.server.ip(), |place| place.address)
    }

    /// `;transport=…` of the server's URI; nothing for UDP.
    #[must_use]
    pub fn transport_parameter(&self) -> String {
        if self.transport == "udp" {
            String::new()
        } else {
            format!(";transport={}", self.transport)
        }
    }
}

/// A running SIP client.
pub trait Client: Send {
    /// Whether it has registered within `limit`.
    fn registered(&mut self, limit: Duration) -> bool;

    /// How many of its REGISTER requests were accepted so far.
    fn registrations(&mut self) -> usize;

    /// Dials a number or user at the server.
    ///
    /// # Errors
    /// The control link broke.
    fn dial(&mut self, number: &str) -> io::Result<()>;

    /// Whether it rings (again) within `limit`.
    fn rings(&mut self, limit: Duration) -> bool;

    /// Answers the call that rings.
    ///
    /// # Errors
    /// The control link broke.
    fn answer(&mut self) -> io::Result<()>;

    /// Whether a call of it is (again) connected within `limit`.
    fn connects(&mut self, limit: Duration) -> bool;

    /// Puts the call on hold, or takes it back.
    ///
    /// # Errors
    /// The control link broke.
    fn hold(&mut self, on: bool) -> io::Result<()>;

    /// Hangs up, or declines what rings.
    ///
    /// # Errors
    /// The control link broke.
    fn hang_up(&mut self) -> io::Result<()>;

    /// Whether a call of it has (again) ended within `limit`.
    fn clears(&mut self, limit: Duration) -> bool;

    /// What it hears in the coming `length`.
    ///
    /// # Errors
    /// The recording cannot be read.
    fn listen(&mut self, length: Duration) -> io::Result<Sound>;

    /// From now on sends what it hears in place of its tone (`true`), or its tone again: the ear
    /// of a client whose recorder does not outlive a hold. `false` comes back from a client that
    /// needs no such thing.
    ///
    /// # Errors
    /// The control link broke.
    fn send_back(&mut self, on: bool) -> io::Result<bool> {
        let _ = on;
        Ok(false)
    }

    /// Its own log of SIP messages, with plain line ends.
    fn trace(&mut self) -> String;
}
