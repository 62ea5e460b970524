//! Calls to outside: the trunks of a step one after the other, as long as the fault is the trunk's.

use std::time::Duration;

use koukan_dialplan::{IdentityHeader, TrunkCall};
use koukan_sip::{FailureCause, Message, Method, Request};

use crate::action::Now;
use crate::call::channels::Channel;
use crate::call::diverted::for_trunk;
use crate::call::{Call, Stage, TrunkAttempt};
use crate::charge::Paying;
use crate::config::TrunkKey;
use crate::leg::identity::{escape, name_addr};
use crate::leg::{Leg, LegState, Party};
use crate::limits;
use crate::neighbours::is_way;
use crate::switch::{Fate, Switch};
use crate::trunk::{parameter, retry_after};

impl Switch {
    /// Begins a trunk step; false when no trunk can be tried.
    pub(crate) fn start_trunk(&mut self, now: Now, call: &mut Call, attempt: TrunkCall) -> bool {
        if self.is_too_broad(call) {
            return false;
        }
        let left = attempt.trunks.iter().cloned().collect();
        call.stage = Stage::Trunk(TrunkAttempt {
            call: attempt,
            left,
            trunk: None,
            tried: Vec::new(),
            until: now.time,
            first: false,
        });
        self.try_trunk(now, call)
    }

    /// Calls another host of the trunk that is being tried, else the next trunk that takes calls.
    fn try_trunk(&mut self, now: Now, call: &mut Call) -> bool {
        loop {
            let Stage::Trunk(attempt) = &mut call.stage else { return false };
            let same = attempt.trunk.take();
            let Some(key) = same.or_else(|| {
                attempt.tried.clear();
                attempt.left.pop_front()
            }) else {
                return false;
            };
            let number = attempt.call.number.clone();
            let paying = Paying::outside(&attempt.call);
            let most = self.trunks.most(&key);
            if self.channels_of_trunk(&key) >= most {
                self.explain(call.id, format!("trunk {}: all {most} channels in use", key.1));
                continue;
            }
            let (host, transport) = match self.trunks.begin(&key, &mut self.rng, &attempt.tried) {
                Ok(found) => found,
                Err(why) => {
                    self.explain(call.id, format!("trunk {}: {why}", key.1));
                    continue;
                }
            };
            attempt.tried.push(host);
            attempt.trunk = Some(key.clone());
            let others = !attempt.left.is_empty() || self.trunks.has_other(&key, &attempt.tried);
            attempt.first = others;
            let patience = if others { SHOWS_LIFE } else { limits::seconds(limits::TRUNK_S) };
            attempt.until = now.time + patience;
            let Some(flow) = self.flow_to(host, transport) else {
                self.explain(call.id, format!("no listener reaches {host}"));
                continue;
            };
            let channel = Channel::Trunk(key.clone());
            // Nobody pays for a call to a neighbour.
            let paying = (!is_way(&key)).then_some(paying);
            let party = Party::Trunk(key);
            let mut leg = Leg::new(party, flow, LegState::Opening, self.next_number(), now.date);
            leg.identity = self.called_identity(&leg.party, &number);
            leg.paying = paying;
            leg.speaks_fax = call.sending.is_some();
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

    /// The INVITE to a carrier: the number that may be shown, asserted and, when asked, hidden.
    pub(crate) fn trunk_request(&self, call: &Call, leg: &Leg, key: &TrunkKey) -> Option<Request> {
        let Stage::Trunk(attempt) = &call.stage else { return None };
        let route = self.directory.trunks.get(key)?;
        let trunk = self.directory.plans.trunk(key.0.as_deref(), &key.1);
        let account = trunk.and_then(|trunk| trunk.account.as_ref());
        let signalling = trunk.map(|trunk| trunk.signalling).unwrap_or_default();
        let domain = self.trunks.domain(key, leg.flow.remote);
        let host = match account {
            // Whoever registered is known by its address there.
            Some(account) if account.domain.is_some() => domain.clone(),
            _ => self.own_host(leg),
        };
        let number = &attempt.call.number;
        let shown = attempt.call.shown_caller.as_deref();
        let mut headers = for_trunk(call, signalling.diversion, number, shown, &host);
        let asked = attempt.call.anonymous;
        // What is dialled needs not be asked for.
        let hidden = asked && !signalling.dialled_privacy;
        if let Some(interval) = signalling.session_expires {
            headers.push(("Session-Expires", interval.as_secs().to_string().into_bytes()));
        }
        headers.extend(shown.and_then(|own| identity(signalling.identity, own, hidden, &host)));
        let by_account = account.filter(|_| signalling.identity == IdentityHeader::Account);
        let from = match (by_account, shown) {
            (Some(account), _) if !hidden => name_addr("", &account.user, &host),
            (None, Some(shown)) if !hidden => name_addr("", shown, &host),
            _ => {
                headers.push(("Privacy", b"id".to_vec()));
                b"\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_vec()
            }
        };
        // One trunk after the other: each may use all of it.
        let breadth = call.max_breadth.map(|most| most.to_string().into_bytes());
        headers.extend(breadth.map(|most| ("Max-Breadth", most)));
        let prefix = attempt.call.privacy_prefix.as_deref().filter(|_| signalling.dialled_privacy);
        let dialled = escape(&[prefix.unwrap_or_default(), number].concat());
        let phone = if signalling.user_phone { ";user=phone" } else { "" };
        let transport = parameter(leg.flow.transport);
        let target = format!("sip:{dialled}@{domain}{transport}{phone}");
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
        let late = call.rung().next().map(|(index, leg)| (index, leg.state));
        let Stage::Trunk(attempt) = &mut call.stage else { return Fate::Keep };
        if attempt.first
            && let Some((_, LegState::Calling { tx, .. })) = late
            && self.ua.is_proceeding(tx)
        {
            attempt.first = false;
            attempt.until = now.time + limits::seconds(limits::TRUNK_S);
            return Fate::Keep;
        }
        // A trunk that has the callee's phone ring is not to blame when nobody answers it.
        let rang = matches!(late, Some((_, LegState::Calling { rang: true, .. })));
        let (status, words) = match (attempt.first, rang) {
            (true, false) => (408, "no answer at all"),
            (false, false) => (408, "no final answer"),
            (_, true) => (480, "nobody who answers"),
        };
        if let Some((index, _)) = late {
            let party = call.leg(index).map(|leg| leg.party.name()).unwrap_or_default();
            self.explain(call.id, format!("{party} gives {words}"));
            if rang {
                call.failures.push(status);
            } else {
                self.note_trunk_answer(call, index, status, FailureCause::Timeout, None);
            }
            self.end_leg(now, call, index, status, None);
        }
        self.next_trunk(now, call, status)
    }

    /// Takes down what an answer says of a trunk's host.
    pub(crate) fn note_trunk_answer(
        &mut self,
        call: &Call,
        index: u16,
        status: u16,
        cause: FailureCause,
        message: Option<&Message>,
    ) {
        let Some(leg) = call.leg(index) else { return };
        let Party::Trunk(key) = &leg.party else { return };
        let silent = cause != FailureCause::Response || status == 503;
        if !silent {
            self.trunks.call_answered(key, leg.flow.remote);
        }
        if silent || is_trunks_fault(status) {
            let pause = message.and_then(retry_after);
            self.trunks.call_failed(key, leg.flow.remote, silent, pause);
        }
    }

    /// A trunk's leg has failed: another host when that one was silent or takes nothing (RFC 3263,
    /// 4.3), the next trunk when the fault is the trunk's, else the caller is told what the network
    /// said.
    pub(crate) fn next_trunk(&mut self, now: Now, call: &mut Call, status: u16) -> Fate {
        if let Some(at) = call.channels.iter().rposition(|held| matches!(held, Channel::Trunk(_))) {
            let channel = call.channels.remove(at);
            self.channels.give_back(&channel);
        }
        if let Stage::Trunk(attempt) = &mut call.stage
            && !matches!(status, 408 | 430 | 503)
        {
            attempt.trunk = None;
        }
        let trunks_fault = is_trunks_fault(status);
        if trunks_fault && self.try_trunk(now, call) {
            call.failures.clear();
            return Fate::Keep;
        }
        if trunks_fault {
            // That nobody takes the codecs is the caller's to know.
            if status != 488 {
                call.failures.clear();
                call.release.status = 503;
            }
            if let Some(fate) = self.step_failed(now, call) {
                return fate;
            }
        }
        self.next_step(now, call)
    }
}

/// Whether a trunk that answers so may be followed by another one: it does not know or want us, is
/// silent or broken, or takes none of the codecs. Whoever is busy, unknown or unwilling is so by
/// every way.
const fn is_trunks_fault(status: u16) -> bool {
    matches!(status, 401 | 403 | 407 | 408 | 430 | 488 | 500..=599)
}

/// A host that says nothing for so long, not even 100, is left for another one.
const SHOWS_LIFE: Duration = Duration::from_secs(4);

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
        IdentityHeader::From | IdentityHeader::Account => None,
    }
}
