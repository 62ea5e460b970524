//! Requests that open something: a call, a registration, a question.

use std::net::SocketAddr;
use std::sync::Arc;

use koukan_base::{CallId, WorkerId};
use koukan_dialplan::{Caller, Charged, Decision, Direction, Facts, Origin, Release, TrunkInfo};
use koukan_media::Codec;
use koukan_sip::header::Via;
use koukan_sip::sdp::Session;
use koukan_sip::{DialogId, Flow, Header, Message, Method, Response, ServerTx};

use crate::action::Now;
use crate::call::channels::Channel;
use crate::call::diverted::Diverted;
use crate::call::{Call, Stage};
use crate::charge::Paying;
use crate::leg::identity::{Identity, caller_of, kept, preferred_of, wants_privacy};
use crate::leg::{Leg, LegState, Party};
use crate::limits;
use crate::neighbours::is_way;
use crate::record::tape::Tape;
use crate::registration::{Challenge, text};
use crate::switch::{Fate, Switch};

impl Switch {
    pub(crate) fn outside_request(
        &mut self,
        now: Now,
        tx: ServerTx,
        flow: Flow,
        message: &Message,
    ) {
        match message.method() {
            Some(Method::Register) => self.register(now, tx, flow, message),
            Some(Method::Options) if self.is_draining() => {
                self.refuse_by_draining(now, tx, false);
            }
            Some(Method::Options) => {
                let headers = vec![("Accept", b"application/sdp".to_vec())];
                self.ua.respond(now.time, tx, Response { headers, ..Response::new(200) });
            }
            Some(Method::Subscribe) => self.subscribe(now, tx, flow, message),
            Some(Method::Publish) => {
                self.ua.respond(now.time, tx, Response::new(489));
            }
            Some(Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Notify) => {
                self.ua.respond(now.time, tx, Response::new(481));
            }
            // A REFER outside a call would have us call whom a stranger names (RFC 3515, 5.2).
            Some(Method::Refer) => self.ua.respond(now.time, tx, Response::new(403)),
            _ => self.ua.respond(now.time, tx, Response::new(405)),
        }
    }

    pub(crate) fn incoming_call(
        &mut self,
        now: Now,
        tx: ServerTx,
        dialog: DialogId,
        flow: Flow,
        message: &Message,
    ) {
        let trunk = match self.is_phone_beside_trunk(flow.remote, message) {
            true => None,
            false => self.trunk_of(flow, message),
        };
        let asking = match trunk {
            Some(trunk) if self.is_in_maintenance(&trunk) => {
                let headers = vec![("Retry-After", b"60".to_vec())];
                return self.ua.respond(now.time, tx, Response { headers, ..Response::new(503) });
            }
            Some(trunk) => match self.asked_by_trunk(&trunk, message) {
                Some(asking) => Some(asking),
                None => return self.ua.respond(now.time, tx, Response::new(482)),
            },
            None => self.authenticate(now, (tx, flow), message, Challenge::Proxy).map(|device| {
                self.asked_by_device(&device.tenant, &device.device, &device.extension, message)
            }),
        };
        let Some(asking) = asking else { return };
        if self.stopping
            || self.calls.len().saturating_add(self.lookups.len()) >= self.config.max_calls
        {
            let headers = vec![("Retry-After", b"10".to_vec())];
            self.ua.respond(now.time, tx, Response { headers, ..Response::new(503) });
            return;
        }
        let offer = match message.sdp().map(Session::parse) {
            None => None,
            Some(Ok(session))
                if (has_our_codec(&self.config.codecs, &session) || is_image_alone(&session))
                    && !self.cannot_secure(&asking.party, &session) =>
            {
                Some(session)
            }
            Some(Ok(_) | Err(_)) => {
                self.ua.respond(now.time, tx, Response::new(488));
                return;
            }
        };
        let state = LegState::Incoming { tx, dialog };
        let party = asking.party.clone();
        let mut leg = Leg::new(party, flow, state, self.next_number(), now.date);
        leg.offer = offer;
        leg.sip_call_id = text(message.call_id());
        leg.learn_methods(message);
        leg.takes_reliable = message.supports(b"100rel");
        if message.header(Header::Replaces).is_some() {
            leg.identity = Identity { number: asking.caller.number, display: asking.display };
            self.incoming_replacement(now, (tx, dialog), leg, message);
            return;
        }
        self.considered_call(now, (tx, dialog), leg, asking);
    }

    /// A call as the plan decides it; `said` is what has become of a question about its caller.
    pub(super) fn decided_call(
        &mut self,
        now: Now,
        (tx, dialog): (ServerTx, DialogId),
        mut leg: Leg,
        asking: Asking,
        said: Option<String>,
    ) {
        let mut decision = self.directory.plans.decide(&Facts {
            at: now.date,
            origin: &asking.origin,
            caller: &asking.caller,
            called: &asking.called,
            state: self,
        });
        if leg.offer.as_ref().is_some_and(is_image_alone) && !self.takes_image(&mut decision) {
            return self.ua.respond(now.time, tx, Response::new(488));
        }
        let lines = decision.lines();
        self.note_refusal(now, &decision);
        leg.identity = asking.identity(&decision);
        let free = Charged::toll_free(&decision, &asking.origin, &asking.caller);
        leg.paying = free.map(|charged| Paying::new(charged, decision.toll_free.clone()));
        if let Some(joining) = self.joining(&decision, &asking.party) {
            return self.join_call(now, (tx, dialog), leg, joining);
        }
        if self.is_draining() {
            return self.refuse_by_draining(now, tx, true);
        }
        let diverted = decision.diverted.clone();
        let (caller, called) = (asking.shown.clone(), asking.called.clone());
        let mut call = self.opened_call(now, &asking.party, (caller, called), decision);
        (call.max_forwards, call.max_breadth) = asking.hops;
        call.diverted.clone_from(&asking.diverted);
        call.legs.push(leg);
        self.by_server.insert(tx, (call.id, 0));
        self.by_dialog.insert(dialog, (call.id, 0));
        let party = call.legs.first().map(|leg| leg.party.name()).unwrap_or_default();
        let intro = format!("call from {} ({party}) to {}", call.caller, call.called);
        self.explain(call.id, intro);
        for line in said.into_iter().chain(lines) {
            self.explain(call.id, line);
        }
        if !self.divert_by_plan(&mut call, &diverted) {
            call.steps.clear();
            call.release = loop_release();
        }
        self.write_record(now, &call);
        let id = call.id;
        self.calls.insert(id, Box::new(call));
        self.with_call(now, id, |switch, call| switch.begin(now, call));
    }

    /// A call without steps and prompt ends at once; any other needs the caller's stream first.
    fn begin(&mut self, now: Now, call: &mut Call) -> Fate {
        if call.steps.is_empty() && call.release.prompt.is_none() {
            return self.release(now, call);
        }
        self.notice_on_arrival(call);
        if self.open_stream(call, 0) { Fate::Keep } else { self.no_media(call) }
    }

    /// The media worker that a call begins on: all of them in turn.
    fn worker_of(&self, id: CallId) -> WorkerId {
        let worker = id.as_u64() % u64::from(self.config.workers.max(1));
        WorkerId(u16::try_from(worker).unwrap_or(0))
    }

    /// A call that a party asks for, with what it was decided to do; its legs are to come.
    pub(crate) fn opened_call(
        &mut self,
        now: Now,
        party: &Party,
        (caller, called): (String, Arc<str>),
        decision: Decision,
    ) -> Call {
        let id = CallId::new(self.config.shard, self.next_number());
        let mut channels = Vec::new();
        if decision.uses_channel {
            channels.push(Channel::Tenant(decision.tenant.clone()));
            if let Some(number) = &decision.number {
                channels.push(Channel::Number(decision.tenant.clone(), number.clone()));
            }
        }
        let trunk = if let Party::Trunk(key) = party { Some(key.clone()) } else { None };
        channels.extend(trunk.map(Channel::Trunk));
        let direction = decision.direction;
        channels.iter().for_each(|channel| self.channels.take(channel));
        let comes_in = direction != Direction::Outbound && decision.number.is_some();
        let did = comes_in.then(|| called.clone());
        Call {
            id,
            worker: self.worker_of(id),
            refusals: 0,
            generation: self.directory.plans.generation(&decision.tenant),
            plans: self.directory.plans.clone(),
            tenant: decision.tenant,
            direction,
            caller,
            called: called.to_string(),
            did,
            number: decision.number,
            rings: false,
            unanswered_until: now.time + limits::seconds(limits::UNANSWERED_S),
            max_forwards: MAX_FORWARDS,
            max_breadth: None,
            steps: decision.steps.into(),
            release: decision.release,
            // Nearly every call has two, and a leg is large.
            legs: Vec::with_capacity(2),
            stage: Stage::Opening { until: now.time + limits::seconds(limits::STREAM_S) },
            channels,
            started: now.date,
            answered: None,
            next_interim: now.time + self.config.interim_cdr,
            failures: Vec::new(),
            rang_out: None,
            menus: 0,
            queues: 0,
            on_error: None,
            indexed: 0,
            followed: false,
            returning: None,
            ring_back: None,
            diverted: None,
            auto_answer: false,
            guest: None,
            sending: None,
            carriage: None,
            held: None,
            supervision: None,
            fax: decision.fax,
            tape: decision.record.map(Tape::new),
            transfer: None,
            deadline: None,
        }
    }

    /// `None` for a call that goes in a circle.
    fn asked_by_trunk(&self, trunk: &TrunkInfo, message: &Message) -> Option<Asking> {
        let neighbour = is_way(&(trunk.tenant.clone(), trunk.name.clone()));
        if !neighbour && self.came_from_us(message) {
            return None;
        }
        let diverted = match trunk.signalling.trusted {
            true => Diverted::of(message)?,
            false => Diverted::default(),
        };
        let identity = caller_of(message, trunk.signalling.trusted);
        let number = identity.number.clone();
        Some(Asking {
            origin: Origin::Trunk { tenant: trunk.tenant.clone(), trunk: trunk.name.clone() },
            party: Party::Trunk((trunk.tenant.clone(), trunk.name.clone())),
            shown: number.as_deref().unwrap_or("anonymous").to_owned(),
            display: identity.display,
            diverted: (!diverted.is_empty()).then(|| diverted.into()),
            caller: Caller { anonymous: number.is_none(), number, ..Caller::default() },
            called: self.called_by_trunk(trunk, message),
            hops: hops(message),
        })
    }

    /// Whether one of the hops that a request took is one of our own addresses (RFC 3261, 16.3,
    /// step 4, as far as a back-to-back user agent has Vias): a trunk gave us back our own call.
    fn came_from_us(&self, message: &Message) -> bool {
        message.list(Header::Via).filter_map(Via::parse).any(|via| {
            let host = std::str::from_utf8(via.host).ok().and_then(|host| host.parse().ok());
            let hop = host.map(|host| SocketAddr::new(host, via.port.unwrap_or(5060)));
            self.config.listeners.iter().any(|listener| Some(listener.advertised) == hop)
        })
    }

    fn asked_by_device(
        &self,
        tenant: &Arc<str>,
        device: &Arc<str>,
        extension: &Arc<str>,
        message: &Message,
    ) -> Asking {
        let called = dialled(message.request_user());
        // A phone that calls back who called it dials the SIP user.
        let plans = &self.directory.plans;
        let named = plans.device_by_user(&called, "").filter(|known| known.tenant == *tenant);
        Asking {
            origin: Origin::Device { tenant: tenant.clone(), device: device.clone() },
            party: Party::Device { tenant: tenant.clone(), device: device.clone() },
            shown: extension.to_string(),
            diverted: None,
            display: kept(message.from().map(|from| from.display).unwrap_or_default()),
            caller: Caller {
                number: Some(extension.clone()),
                anonymous: wants_privacy(message),
                preferred: preferred_of(message),
                refused: None,
            },
            called: named.map_or(called, |known| known.extension.clone()),
            hops: hops(message),
        }
    }
}

/// Of a request that does not say (RFC 3261, 16.6, step 3).
const MAX_FORWARDS: u8 = 70;

/// Who asks for a call, and for what.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) origin: Origin,
    pub(super) party: Party,
    pub(super) caller: Caller,
    /// The caller as records show it.
    pub(super) shown: String,
    /// Its display name, as it came or as somebody knows it.
    pub(super) display: Box<[u8]>,
    /// Who passed the call on before it came here.
    diverted: Option<Box<Diverted>>,
    pub(super) called: Arc<str>,
    /// How far it may be passed on, and to how many at once.
    hops: (u8, Option<u32>),
}

/// How far a request may be passed on from here, and to how many at once.
fn hops(message: &Message) -> (u8, Option<u32>) {
    let forwards = message.max_forwards().unwrap_or(MAX_FORWARDS).saturating_sub(1);
    (forwards, max_breadth(message))
}

impl Asking {
    /// Whom the called phones are shown.
    pub(super) fn identity(&self, decision: &Decision) -> Identity {
        let number = decision.caller.clone();
        // A neighbour office sees the number that the plan shows it, without a name of ours.
        let own = match self.party {
            Party::Device { .. } => number.is_some() && number == self.caller.number,
            Party::Trunk(_) | Party::FaxBox { .. } => true,
        };
        let display = if own { self.display.clone() } else { Box::default() };
        Identity { number, display }
    }
}

/// To how many targets at once the request may be passed on (RFC 5393, 5), when it says so.
fn max_breadth(message: &Message) -> Option<u32> {
    let value = message.header_named("Max-Breadth")?;
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

/// Whether an offer has audio that we can take: without it nobody need be rung.
fn has_our_codec(ours: &[Codec], offer: &Session) -> bool {
    let names = || ours.iter().map(|codec| codec.encoding_name());
    offer.audio().is_some_and(|(_, audio)| {
        audio.audio_formats().any(|format| names().any(|name| name == format.name))
    })
}

/// Whether an offer has T.38 and nothing to talk by: a machine that knows that it calls one.
fn is_image_alone(offer: &Session) -> bool {
    offer.image().is_some() && offer.audio().is_none()
}

/// The end of a call that goes in a circle.
fn loop_release() -> Release {
    Release { status: 482, prompt: None, cause: "loop".into() }
}

/// What was dialled, without the separators that people and phones put in.
pub(crate) fn dialled(user: Option<Vec<u8>>) -> Arc<str> {
    let user = user.unwrap_or_default();
    let user = user.split(|&byte| byte == b';').next().unwrap_or_default();
    let text = String::from_utf8_lossy(user);
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '+');
    let kept = |c: &char| !number || !matches!(c, '-' | '.' | '(' | ')' | ' ');
    let mut kept: String = text.chars().filter(kept).collect();
    kept.truncate(kept.char_indices().nth(128).map_or(kept.len(), |(at, _)| at));
    kept.into()
}
