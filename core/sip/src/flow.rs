//! Where a message came from and where an answer goes: transport, listener, remote address and, for
//! streams, the connection (RFC 5626 calls the same thing a flow).

use std::fmt;
use std::net::SocketAddr;

/// A SIP transport (RFC 3261, section 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams; requests are retransmitted.
    Udp,
    /// A byte stream.
    Tcp,
    /// A byte stream inside TLS.
    Tls,
}

impl Transport {
    /// Whether the transport itself retransmits, so that transactions need not.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// The name in a Via header (`UDP`).
    #[must_use]
    pub const fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The name in a `transport` URI parameter (`udp`).
    #[must_use]
    pub const fn param_name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// One of the server's listening sockets, numbered in the order of the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u16);

/// A way to one peer. For datagrams `connection` is 0; for a stream it is the driver's number of
/// the connection, and 0 asks the driver to open one from that listener's address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// The listener whose address we show to this peer.
    pub listener: ListenerId,
    /// The peer's address as the socket saw it.
    pub remote: SocketAddr,
    /// The stream connection, never used twice in a process's life; 0 for datagrams.
    pub connection: u64,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.param_name(), self.remote)
    }
}
