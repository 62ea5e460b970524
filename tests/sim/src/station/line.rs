//! Who a station is and how it is reached.

use std::net::SocketAddr;

use koukan_sip::{Flow, ListenerId, Transport};

use crate::offices;

/// What kind of station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A phone that registers as this SIP user.
    Phone { user: String },
    /// The carrier of an office.
    Carrier,
}

/// Its place in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) role: Role,
    pub(crate) office: usize,
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
    /// The connection that stands, when it speaks over one.
    pub(crate) connection: u64,
}

impl Line {
    pub(crate) const fn is_phone(&self) -> bool {
        matches!(self.role, Role::Phone { .. })
    }

    /// The way to the exchange.
    pub(crate) fn flow(&self) -> Flow {
        Flow {
            transport: self.transport,
            listener: ListenerId(0),
            remote: offices::address(),
            connection: self.connection,
        }
    }

    /// The way to the station as the exchange knows it.
    pub(crate) fn flow_of_exchange(&self) -> Flow {
        let listener = if self.transport == Transport::Udp { 0 } else { 1 };
        Flow {
            transport: self.transport,
            listener: ListenerId(listener),
            remote: self.address,
            connection: self.connection,
        }
    }

    /// The URI that it is called at.
    pub(crate) fn contact(&self) -> String {
        let user = match &self.role {
            Role::Phone { user } => user,
            Role::Carrier => "carrier",
        };
        let parameter = match self.transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.param_name()),
        };
        format!("<sip:{user}@{}{parameter}>", self.address)
    }
}
