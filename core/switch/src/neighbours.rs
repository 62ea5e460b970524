//! The way between the shards of one server, for calls from an office to another that is at home
//! elsewhere. To both it is a trunk, whose messages the driver brings from one shard to the other
//! without a socket: only they bear its listener, so that nobody from outside can be a neighbour.

use std::net::{IpAddr, Ipv4Addr};

use koukan_dialplan::{NEIGHBOURS, NEIGHBOURS_AT};
use koukan_sip::{Flow, Listener, ListenerId, Transport};

use crate::config::{ListenerMedia, TrunkKey};

/// The listener of messages between shards; no socket has this number.
pub const NEIGHBOURS_LISTENER: ListenerId = ListenerId(u16::MAX);

/// That listener, as the switch of one among several shards is configured with it.
#[must_use]
pub const fn neighbours_listener() -> Listener {
    Listener { id: NEIGHBOURS_LISTENER, transport: Transport::Udp, advertised: NEIGHBOURS_AT }
}

/// Where the media of such calls is: it never leaves this machine.
#[must_use]
pub const fn neighbours_media() -> ListenerMedia {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    ListenerMedia { listener: NEIGHBOURS_LISTENER, bound: here, shown: here }
}

/// The flow of every such message.
pub(crate) const fn way() -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: NEIGHBOURS_LISTENER,
        remote: NEIGHBOURS_AT,
        connection: 0,
    }
}

/// Whether a trunk is that way.
pub(crate) fn is_way((tenant, name): &TrunkKey) -> bool {
    tenant.is_none() && **name == *NEIGHBOURS
}
