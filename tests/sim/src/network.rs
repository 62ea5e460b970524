//! The network: datagrams that are late, lost, doubled or overtaken (RFC 3261, section 18, is
//! written for such), and connections that keep their order until they break.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use koukan_base::Time;
use koukan_sip::{Flow, Transport};

use crate::agenda::Agenda;
use crate::dice::Dice;

/// How bad it is at the moment, each in thousandths of the datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weather {
    pub(crate) lost: u32,
    pub(crate) doubled: u32,
    /// So late that others overtake it.
    pub(crate) late: u32,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { lost: 5, doubled: 5, late: 20 };
    pub(crate) const STORM: Self = Self { lost: 100, doubled: 30, late: 150 };
}

/// What arrives.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// A message; `flow` is the way as the exchange knows it.
    Message { flow: Flow, to_exchange: bool, bytes: Vec<u8> },
    /// The exchange learns that a connection is gone.
    Broken { flow: Flow },
}

/// Everything between the exchange and its peers.
#[derive(Debug)]
pub(crate) struct Network {
    wire: Agenda<Parcel>,
    dice: Dice,
    pub(crate) weather: Weather,
    /// Hosts that nothing reaches.
    cut: BTreeSet<IpAddr>,
    /// When the last message of a connection arrives, each way.
    last: BTreeMap<(Flow, bool), Time>,
    /// The connection that stands to each peer that speaks over one.
    connections: BTreeMap<SocketAddr, u64>,
    count: u64,
    /// Messages that were sent, and those that the network lost.
    pub(crate) sent: u64,
    pub(crate) lost: u64,
}

impl Network {
    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            wire: Agenda::default(),
            dice,
            weather: Weather::FAIR,
            cut: BTreeSet::new(),
            last: BTreeMap::new(),
            connections: BTreeMap::new(),
            count: 0,
            sent: 0,
            lost: 0,
        }
    }

    /// A connection from this peer; the earlier one is forgotten.
    pub(crate) fn connect(&mut self, peer: SocketAddr) -> u64 {
        self.count = self.count.saturating_add(1);
        self.connections.insert(peer, self.count);
        self.count
    }

    /// The host is reachable no more. Its connections break; the exchange notices that later.
    pub(crate) fn cut(&mut self, now: Time, flow: Flow) {
        self.cut.insert(flow.remote.ip());
        if flow.transport.is_reliable() && self.connections.remove(&flow.remote).is_some() {
            self.last.retain(|(known, _), _| *known != flow);
            let noticed = now + self.dice.ms(10, 40_000);
            self.wire.add(noticed, Parcel::Broken { flow });
        }
    }

    pub(crate) fn join(&mut self, host: IpAddr) {
        self.cut.remove(&host);
    }

    /// Whether a flow's connection stands; datagrams need none.
    fn stands(&self, flow: Flow) -> bool {
        flow.transport == Transport::Udp
            || self.connections.get(&flow.remote) == Some(&flow.connection)
    }

    pub(crate) fn send(&mut self, now: Time, flow: Flow, to_exchange: bool, bytes: Vec<u8>) {
        self.sent = self.sent.saturating_add(1);
        if !self.stands(flow) {
            // The driver of the exchange finds no such connection; a phone has noticed before.
            if !to_exchange {
                self.wire.add(now + Duration::from_millis(1), Parcel::Broken { flow });
            }
            self.lost = self.lost.saturating_add(1);
            return;
        }
        if self.cut.contains(&flow.remote.ip()) {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        if flow.transport.is_reliable() {
            let last = self.last.get(&(flow, to_exchange)).copied().unwrap_or(now);
            let at = last.max(now) + self.dice.ms(1, 15);
            self.last.insert((flow, to_exchange), at);
            self.wire.add(at, Parcel::Message { flow, to_exchange, bytes });
            return;
        }
        if self.dice.chance(self.weather.lost) {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let copies = if self.dice.chance(self.weather.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let late = self.dice.chance(self.weather.late);
            let way = if late { self.dice.ms(40, 900) } else { self.dice.ms(1, 12) };
            let bytes = bytes.clone();
            self.wire.add(now + way, Parcel::Message { flow, to_exchange, bytes });
        }
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.wire.next()
    }

    /// What arrives now; messages to a host that was cut off on their way do not.
    pub(crate) fn due(&mut self, now: Time) -> Option<Parcel> {
        loop {
            let parcel = self.wire.due(now)?;
            match &parcel {
                Parcel::Broken { .. } => return Some(parcel),
                Parcel::Message { flow, .. } => {
                    if !self.cut.contains(&flow.remote.ip()) && self.stands(*flow) {
                        return Some(parcel);
                    }
                    self.lost = self.lost.saturating_add(1);
                }
            }
        }
    }
}
