//! Calls to outside: the trunks of a step one after the other, as long as the fault is the trunk's.

use koukan_dialplan::{IdentityHeader, TrunkCall};
use koukan_sip::{Method, Request};

use crate::action::Now;
use crate::call::channels::Channel;
use crate::call::diverted::for_trunk;
use crate::call::{Call, Stage, TrunkAttempt};
use crate::charge::Paying;
use crate::config::TrunkKey;
use crate::leg::identity::{escape, name_addr};
use crate::leg::{Leg, LegState, Party};
use crate::limits;
use crate::switch::{Fate, Switch};

impl Switch {
    /// Begins a trunk step; false when no trunk can be tried.
    pub(crate) fn start_trunk(&mut self, now: Now, call: &mut Call, attempt: TrunkCall) -> bool {
        if self.is_too_broad(call) {
            return false;
        }
        let left = attempt.trunks.iter().cloned().collect();
        call.stage = Stage::Trunk(TrunkAttempt { call: attempt, left, until: now.time });
        self.try_trunk(now, call)
    }

    /// Calls the next trunk that has an address.
    fn try_trunk(&mut self, now: Now, call: &mut Call) -> bool {
        loop {
            let Stage::Trunk(attempt) = &mut call.stage else { return false };
            let Some(key) = attempt.left.pop_front() else { return false };
            attempt.until = now.time + limits::seconds(limits::TRUNK_S);
            let number = attempt.call.number.clone();
            let paying = Paying::outside(&attempt.call);
            let Some(route) = self.directory.trunks.get(&key).cloned() else {
                self.explain(call.id, format!("trunk {} has no address", key.1));
                continue;
            };
            let Some(flow) = self.flow_to(route.address) else {
                self.explain(call.id, format!("no listener reaches {}", route.address));
                continue;
            };
            let channel = Channel::Trunk(key.clone());
            let party = Party::Trunk(key);
            let mut leg = Leg::new(party, flow, LegState::Opening, self.next_number(), now.date);
            leg.identity = self.called_identity(&leg.party, &number);
            leg.paying = Some(paying);
            let index = u16::try_from(call.legs.len()).unwrap_or(u16::MAX);
            call.legs.push(leg);
            if self.open_stream(call, index) {
                self.channels.take(&channel);
                call.channels.push(channel);
                return true;
            }
            if let Some(leg) = call.leg_mut(index) {
                leg.state = LegState::Ended;
                leg.ended = Some(now.date);
                leg.status = 488;
            }
        }
    }

    /// The datagram flow to an address.
    fn flow_to(&self, address: std::net::SocketAddr) -> Option<koukan_sip::Flow> {
        let listener = self.config.listeners.iter().find(|listener| {
            listener.transport == koukan_sip::Transport::Udp
                && listener.advertised.is_ipv4() == address.is_ipv4()
        })?;
        Some(koukan_sip::Flow {
            transport: listener.transport,
            listener: listener.id,
            remote: address,
            connection: 0,
        })
    }

    /// The INVITE to a carrier: the number that may be shown, asserted and, when asked, hidden.
    pub(crate) fn trunk_request(&self, call: &Call, leg: &Leg, key: &TrunkKey) -> Option<Request> {
        let Stage::Trunk(attempt) = &call.stage else { return None };
        let route = self.directory.trunks.get(key)?;
        let host = self.own_host(leg);
        let number = &attempt.call.number;
        let shown = attempt.call.shown_caller.as_deref();
        let trunk = self.directory.plans.trunk(key.0.as_deref(), &key.1);
        let signalling = trunk.map(|trunk| trunk.signalling).unwrap_or_default();
        let mut headers = for_trunk(call, signalling.diversion, number, shown, &host);
        let hidden = attempt.call.anonymous;
        if let Some(interval) = signalling.session_expires {
            headers.push(("Session-Expires", interval.as_secs().to_string().into_bytes()));
        }
        headers.extend(shown.and_then(|own| identity(signalling.identity, own, hidden, &host)));
        let from = match shown {
            Some(shown) if !hidden => name_addr("", shown, &host),
            _ => {
                headers.push(("Privacy", b"id".to_vec()));
                b"\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_vec()
            }
        };
        // One trunk after the other: each may use all of it.
        let breadth = call.max_breadth.map(|most| most.to_string().into_bytes());
        headers.extend(breadth.map(|most| ("Max-Breadth", most)));
        let target = format!("sip:{}@{}", escape(number), route.address);
        Some(Request {
            method: Method::Invite,
            flow: leg.flow,
            to: format!("<{target}>").into_bytes(),
            request_uri: target.into_bytes(),
            from,
            route: Vec::new(),
            max_forwards: call.max_forwards,
            headers,
            body: None,
            credentials: route.credentials.clone(),
        })
    }

    /// The trunk that is being tried has taken too long.
    pub(crate) fn trunk_timeout(&mut self, now: Now, call: &mut Call) -> Fate {
        let late = call.rung().next().map(|(index, _)| index);
        self.explain(call.id, "the trunk gives no final answer");
        if let Some(index) = late {
            self.end_leg(now, call, index, 408, None);
        }
        self.next_trunk(now, call, 408)
    }

    /// A trunk's leg has failed: the next trunk when the fault is the trunk's, else the caller is
    /// told what the network said.
    pub(crate) fn next_trunk(&mut self, now: Now, call: &mut Call, status: u16) -> Fate {
        let trunks_fault = matches!(status, 401 | 403 | 407 | 408 | 500..=599);
        if let Some(at) = call.channels.iter().rposition(|held| matches!(held, Channel::Trunk(_))) {
            let channel = call.channels.remove(at);
            self.channels.give_back(&channel);
        }
        if trunks_fault && self.try_trunk(now, call) {
            call.failures.clear();
            return Fate::Keep;
        }
        if trunks_fault {
            call.failures.clear();
            call.release.status = 503;
            if let Some(fate) = self.step_failed(now, call) {
                return fate;
            }
        }
        self.next_step(now, call)
    }
}

/// The header that tells a trunk which of our numbers calls, also when it shall hide it.
fn identity(
    kind: IdentityHeader,
    number: &str,
    hidden: bool,
    host: &str,
) -> Option<(&'static str, Vec<u8>)> {
    let address = name_addr("", number, host);
    match kind {
        IdentityHeader::Asserted => Some(("P-Asserted-Identity", address)),
        IdentityHeader::Preferred => Some(("P-Preferred-Identity", address)),
        IdentityHeader::RemoteParty => {
            let privacy: &[u8] = if hidden { b"full" } else { b"off" };
            let tail = b";party=calling;screen=yes;privacy=";
            Some(("Remote-Party-ID", [address.as_slice(), tail, privacy].concat()))
        }
        IdentityHeader::From => None,
    }
}
