//! Which transport a request takes by its size (RFC 3261, 18.1.1): one that would not fit the path
//! in a datagram goes by a stream where the peer is known to take one, and by datagrams all the
//! same where it refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use koukan_base::Time;

use super::types::Listener;
use crate::registrar::LongWay;
use crate::{Flow, ListenerId, Transport};

/// The longest request that goes by a datagram where a stream leads to the peer: 200 bytes below
/// the path's MTU, which is taken to be Ethernet's (RFC 3261, 18.1.1).
pub(super) const DATAGRAM_BYTES: usize = 1_300;

/// A peer that refused a stream is not asked for one again so soon.
const REFUSED: Duration = Duration::from_secs(600);

/// Peers that are remembered.
const PEERS: usize = 16_384;

/// What is known of peers that are spoken to by datagrams.
#[derive(Debug, Default)]
pub(super) struct LongRequests {
    peers: BTreeMap<(ListenerId, SocketAddr), Peer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Takes(LongWay),
    Refused { until: Time },
}

impl LongRequests {
    /// Where what is too long for a datagram on `flow` goes; a refusal of late is not forgotten.
    pub(super) fn know(&mut self, now: Time, flow: Flow, way: LongWay) {
        let peer = (flow.listener, flow.remote);
        let refused = |peer: &Peer| matches!(peer, Peer::Refused { until } if *until > now);
        if self.peers.get(&peer).is_some_and(refused) {
            return;
        }
        match way {
            LongWay::None => drop(self.peers.remove(&peer)),
            LongWay::Stands(_) | LongWay::Opens(_) => self.insert(peer, Peer::Takes(way)),
        }
    }

    /// The stream for `flow` failed: datagrams from now on, for a while.
    pub(super) fn refused(&mut self, now: Time, flow: Flow) {
        self.insert((flow.listener, flow.remote), Peer::Refused { until: now + REFUSED });
    }

    fn insert(&mut self, peer: (ListenerId, SocketAddr), known: Peer) {
        if self.peers.len() >= PEERS && !self.peers.contains_key(&peer) {
            // Whoever it is, his next long request goes by datagrams, as every one did before.
            self.peers.pop_first();
        }
        self.peers.insert(peer, known);
    }

    /// The stream that a request of `length` bytes takes instead of `flow`.
    pub(super) fn stream(&self, length: usize, flow: Flow, listeners: &[Listener]) -> Option<Flow> {
        if flow.transport != Transport::Udp || length <= DATAGRAM_BYTES {
            return None;
        }
        match self.peers.get(&(flow.listener, flow.remote))? {
            Peer::Refused { .. } | Peer::Takes(LongWay::None) => None,
            Peer::Takes(LongWay::Stands(stream)) => Some(*stream),
            Peer::Takes(LongWay::Opens(remote)) => {
                let listener = listeners.iter().find(|known| {
                    let family = known.advertised.is_ipv4() == remote.is_ipv4();
                    known.transport == Transport::Tcp && family
                })?;
                let (listener, remote) = (listener.id, *remote);
                Some(Flow { transport: Transport::Tcp, listener, remote, connection: 0 })
            }
        }
    }
}
