//! The switch of one shard: its tables, and who handles what comes in.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use koukan_base::{CallId, OpId, Rng, ShardId, StreamId, Time};
use koukan_dialplan::{Live, Settings, State, TrunkState, Usage};
use koukan_media as media;
use koukan_sip::digest::DigestServer;
use koukan_sip::registrar::Registrar;
use koukan_sip::subscription::{
    MessageCount, MessageSummary, Notifier, NotifierConfig, SubscriptionId,
};
use koukan_sip::{
    ClientTx, DialogId, Event, Flow, Message, Response, ServerTx, UaAction, UaConfig, UserAgent,
};

use crate::action::{Action, Now};
use crate::call::channels::Channels;
use crate::call::lookup::Lookups;
use crate::call::{Call, Stage};
use crate::charge::{Alerts, Usages};
use crate::conference::Rooms;
use crate::config::{Directory, SwitchConfig};
use crate::draining::Draining;
use crate::fax::FaxId;
use crate::leg::{LegState, LegStream};
use crate::limits;
use crate::module::recording::Taping;
use crate::module::{InstanceId, ModuleOrder, ModuleRequest};
use crate::park::Lots;
use crate::queue::Queues;
use crate::record::CallCause;
use crate::record::tape::Running;
use crate::registration::guard::Guard;
use crate::registration::keepalive::Asked;
use crate::registration::throttle::Throttle;
use crate::subscription::lamps::Lamps;
use crate::trunk::Trunks;

/// What is answered in earnest.
const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, PRACK, REFER, NOTIFY, SUBSCRIBE";

/// Which leg of which call.
pub(crate) type LegKey = (CallId, u16);

/// Calls, registrations and the user agent of one shard.
#[derive(Debug)]
pub struct Switch {
    pub(crate) config: SwitchConfig,
    pub(crate) directory: Arc<Directory>,
    pub(crate) ua: UserAgent,
    pub(crate) digest: DigestServer,
    pub(crate) registrar: Registrar,
    /// Phones that are asked whether they are there.
    pub(crate) asked: HashMap<ClientTx, Asked>,
    pub(crate) rng: Rng,
    pub(crate) channels: Channels,
    pub(crate) calls: HashMap<CallId, Box<Call>>,
    /// Calls that wait for what a module knows of their callers.
    pub(crate) lookups: Lookups,
    /// Calls that are over and wait for their streams' last counts.
    pub(crate) closing: HashMap<CallId, (Box<Call>, CallCause)>,
    /// Set by an orderly stop: nothing new is taken.
    pub(crate) stopping: bool,
    pub(crate) draining: Draining,
    pub(crate) by_server: HashMap<ServerTx, LegKey>,
    pub(crate) by_client: HashMap<ClientTx, LegKey>,
    pub(crate) by_dialog: HashMap<DialogId, LegKey>,
    pub(crate) by_stream: HashMap<StreamId, LegKey>,
    pub(crate) by_instance: HashMap<InstanceId, CallId>,
    pub(crate) by_fax: HashMap<FaxId, CallId>,
    /// Our offers of T.38 that wait for their answers.
    pub(crate) fax_asks: HashMap<ClientTx, CallId>,
    /// Calls that are being recorded, by their media operations.
    pub(crate) tapes: HashMap<OpId, Running>,
    pub(crate) recordings_failed: u64,
    /// Recordings of applications, by their media operations.
    pub(crate) tapings: HashMap<OpId, Taping>,
    pub(crate) notifier: Notifier,
    pub(crate) by_notify: HashMap<ClientTx, SubscriptionId>,
    /// The journal's key of each subscription.
    pub(crate) watches: HashMap<SubscriptionId, String>,
    pub(crate) lamps: Lamps,
    pub(crate) lots: Lots,
    pub(crate) rooms: Rooms,
    pub(crate) queues: Queues,
    /// Night keys whose lamps have to be looked at.
    pub(crate) night_keys: BTreeSet<Arc<str>>,
    pub(crate) throttle: Throttle<ServerTx>,
    pub(crate) guard: Guard,
    pub(crate) trunks: Trunks,
    /// What waits in the mailbox of each device, by its SIP user.
    pub(crate) messages: HashMap<Arc<str>, MessageSummary>,
    /// What the offices have flipped, by their ids.
    pub(crate) settings: HashMap<Arc<str>, Settings>,
    /// What waits in each voicemail box, by tenant and box.
    pub(crate) mailboxes: HashMap<(Arc<str>, Arc<str>), MessageCount>,
    /// What the offices have used of the outside.
    pub(crate) usages: Usages,
    /// What the offices were told of their caps.
    pub(crate) alerts: Alerts,
    /// The request that is being handled, and is of no call yet.
    pub(crate) in_hand: Option<ServerTx>,
    /// The latest moment that was handed in.
    pub(crate) latest: Option<Now>,
    pub(crate) deadlines: BTreeSet<(Time, CallId)>,
    pub(crate) counter: u64,
    pub(crate) actions: VecDeque<Action>,
}

impl Switch {
    /// A switch without calls and registrations.
    #[must_use]
    pub fn new(config: SwitchConfig, directory: Arc<Directory>, mut rng: Rng) -> Self {
        let ua = UaConfig {
            listeners: config.listeners.clone(),
            server_name: config.server_name.clone(),
            allow: ALLOW,
            ..UaConfig::default()
        };
        let mut switch = Self {
            ua: UserAgent::new(ua, rng.split()),
            digest: DigestServer::new(&config.realm, &mut rng),
            registrar: Registrar::new(config.registrar),
            asked: HashMap::new(),
            counter: config.first_number,
            guard: Guard::new(config.trusted.clone()),
            config,
            directory,
            rng,
            channels: Channels::default(),
            calls: HashMap::new(),
            lookups: Lookups::default(),
            closing: HashMap::new(),
            stopping: false,
            draining: Draining::default(),
            by_server: HashMap::new(),
            by_client: HashMap::new(),
            by_dialog: HashMap::new(),
            by_stream: HashMap::new(),
            by_instance: HashMap::new(),
            by_fax: HashMap::new(),
            fax_asks: HashMap::new(),
            tapes: HashMap::new(),
            recordings_failed: 0,
            tapings: HashMap::new(),
            notifier: Notifier::new(NotifierConfig::default()),
            by_notify: HashMap::new(),
            watches: HashMap::new(),
            lamps: Lamps::default(),
            lots: Lots::default(),
            rooms: Rooms::default(),
            queues: Queues::default(),
            night_keys: BTreeSet::new(),
            throttle: Throttle::default(),
            trunks: Trunks::default(),
            messages: HashMap::new(),
            settings: HashMap::new(),
            mailboxes: HashMap::new(),
            usages: Usages::default(),
            alerts: Alerts::default(),
            in_hand: None,
            latest: None,
            deadlines: BTreeSet::new(),
            actions: VecDeque::new(),
        };
        switch.fit_trunks(Time::ZERO);
        switch
    }

    /// Which shard it is.
    #[must_use]
    pub const fn shard(&self) -> ShardId {
        self.config.shard
    }

    /// There are other shards: what this one says of itself on the wire bears its mark.
    pub const fn set_among_others(&mut self) {
        self.ua.set_mark(self.config.shard);
        self.guard.tells = true;
    }

    /// Replaces plans and secrets; running calls go on by the plans that decided them. A device
    /// that the plans no longer have loses its bindings and subscriptions, and none of its calls.
    pub fn set_directory(&mut self, now: Now, directory: Arc<Directory>) {
        let old = std::mem::replace(&mut self.directory, directory);
        self.fit_settings(&old.plans);
        self.trunks.see(now.time);
        self.fit_trunks(now.time);
        self.dismiss_unknown(now);
        self.drain(now);
    }

    /// The plans and secrets in force.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// One datagram.
    pub fn handle_bytes(&mut self, now: Now, flow: Flow, bytes: &[u8]) {
        self.ua.handle_bytes(now.time, flow, bytes);
        self.drain(now);
    }

    /// One message out of a stream.
    pub fn handle_message(&mut self, now: Now, flow: Flow, message: Message) {
        self.ua.handle_message(now.time, flow, message);
        self.drain(now);
    }

    /// The driver could not send on, or has lost, this flow.
    pub fn handle_flow_failed(&mut self, now: Now, flow: Flow) {
        self.registrar.flow_failed(now.time, flow);
        self.ua.handle_flow_failed(now.time, flow);
        self.drain(now);
    }

    /// A report of a media worker.
    pub fn handle_media(&mut self, now: Now, event: media::Event) {
        self.media_event(now, event);
        self.drain(now);
    }

    /// A request of the module host.
    pub fn handle_module(&mut self, now: Now, request: ModuleRequest) {
        self.module_request(now, request);
        self.drain(now);
    }

    /// Everything that is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.trunks.see(now.time);
        self.handle_trunks(now);
        self.ua.handle_timeout(now.time);
        self.drain(now);
        self.lookups_due(now);
        self.drain(now);
        self.expire_registrations(now);
        while let Some((tx, status)) = self.throttle.pop_due(now.time) {
            self.ua.respond(now.time, tx, Response::new(status));
        }
        self.drain(now);
        while let Some(&(time, id)) = self.deadlines.first() {
            if time > now.time {
                break;
            }
            self.deadlines.pop_first();
            self.give_up_closing(now, id);
            self.with_call(now, id, |switch, call| {
                call.deadline = None;
                switch.call_timeout(now, call)
            });
            self.drain(now);
        }
    }

    /// When `handle_timeout` is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let calls = self.deadlines.first().map(|(time, _)| *time);
        let own = [self.ua.poll_timeout(), self.registrar.poll_timeout(), calls];
        let others = [self.notifier.poll_timeout(), self.throttle.poll_timeout()];
        let others =
            others.into_iter().chain([self.trunks.poll_timeout(), self.lookups.poll_timeout()]);
        own.into_iter().chain(others).flatten().min()
    }

    /// The next thing to do; drain after every input, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Ends a call on an operator's word; false when there is none with this id.
    pub fn kill(&mut self, now: Now, id: CallId) -> bool {
        let known = self.calls.contains_key(&id);
        self.with_call(now, id, |_, _| Fate::End(CallCause::Killed, 503));
        self.drain(now);
        known
    }

    /// Ends every call, for an orderly stop; from now on new ones get 503.
    pub fn stop(&mut self, now: Now) {
        self.stopping = true;
        self.stop_lookups(now);
        let mut ids: Vec<CallId> = self.calls.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.with_call(now, id, |_, _| Fate::End(CallCause::ServerStopped, 503));
        }
        self.leave_trunks(now.time);
        self.drain(now);
    }

    /// Runs a handler on a call that is taken out of the table meanwhile, and does what it decides.
    pub(crate) fn with_call(
        &mut self,
        now: Now,
        id: CallId,
        handler: impl FnOnce(&mut Self, &mut Call) -> Fate,
    ) {
        self.follow_date(now);
        let Some(mut call) = self.calls.remove(&id) else { return };
        self.trunks.see(now.time);
        self.latest = Some(now);
        match catch_unwind(AssertUnwindSafe(|| handler(self, &mut call))) {
            Ok(Fate::Keep) => self.keep(call),
            Ok(Fate::End(cause, status)) => self.end(now, call, cause, status),
            Err(fault) => self.end_by_fault(now, call, fault),
        }
    }

    pub(crate) fn keep(&mut self, mut call: Box<Call>) {
        let next = Some(self.call_deadline(&call));
        if call.deadline != next {
            if let Some(old) = call.deadline {
                self.deadlines.remove(&(old, call.id));
            }
            if let Some(new) = next {
                self.deadlines.insert((new, call.id));
            }
            call.deadline = next;
        }
        self.note_charges(&mut call);
        self.look_at_caps(&call, false);
        self.lamps.note(&mut call);
        if let Stage::Parked(parked) = &call.stage {
            self.lots.note(&parked.tenant, &parked.slot);
        }
        self.calls.insert(call.id, call);
    }

    /// Ends a call: every leg gets its message, every stream, channel and instance is given back.
    pub(crate) fn end(&mut self, now: Now, mut call: Box<Call>, cause: CallCause, status: u16) {
        if let Some(old) = call.deadline.take() {
            self.deadlines.remove(&(old, call.id));
        }
        self.explain(call.id, format!("ended: {cause:?}, {status}"));
        self.lamps.forget(&call);
        self.leave_slot(&call);
        self.leave_room(&call);
        self.leave_queue(&call);
        self.no_guest(&mut call, status);
        self.destroy_module(&mut call);
        self.stop_fax(&mut call, status);
        for index in 0..call.legs.len() {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            self.end_leg(now, &mut call, index, status, None);
        }
        call.steps.clear();
        self.note_charges(&mut call);
        self.explain_free(&call);
        self.look_at_caps(&call, true);
        for channel in std::mem::take(&mut call.channels) {
            self.channels.give_back(&channel);
        }
        if call.legs.iter().all(|leg| leg.stream.id().is_none()) {
            self.close_record(now, &call, cause);
        } else {
            let until = now.time + limits::seconds(limits::STREAM_S);
            call.deadline = Some(until);
            self.deadlines.insert((until, call.id));
            self.closing.insert(call.id, (call, cause));
        }
    }

    /// Takes a call that is over out of the table of those that wait for their counts.
    pub(crate) fn close(&mut self, now: Now, id: CallId) {
        let Some((call, cause)) = self.closing.remove(&id) else { return };
        if let Some(deadline) = call.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.close_record(now, &call, cause);
    }

    /// A worker that tells no counts has stopped: the record is closed without them.
    fn give_up_closing(&mut self, now: Now, id: CallId) {
        self.give_up_recording(id);
        let Some((call, _)) = self.closing.get(&id) else { return };
        for stream in call.legs.iter().filter_map(|leg| leg.stream.id()) {
            self.by_stream.remove(&stream);
        }
        self.explain(id, "the media worker does not answer");
        self.close(now, id);
    }

    /// Ends one leg: refuses, cancels or hangs up, and closes its stream.
    pub(crate) fn end_leg(
        &mut self,
        now: Now,
        call: &mut Call,
        index: u16,
        status: u16,
        reason: Option<&str>,
    ) {
        let Some(leg) = call.leg_mut(index) else { return };
        let state = std::mem::replace(&mut leg.state, LegState::Ended);
        for dialog in std::mem::take(&mut leg.early) {
            self.by_dialog.remove(&dialog);
        }
        match state {
            LegState::Incoming { tx, dialog } => {
                leg.status = status;
                self.by_server.remove(&tx);
                self.by_dialog.remove(&dialog);
                self.ua.respond(now.time, tx, Response::new(status));
            }
            LegState::Calling { tx, .. } => {
                leg.status = 487;
                self.by_client.remove(&tx);
                self.ua.cancel(now.time, tx, reason);
            }
            LegState::Up { dialog } => {
                self.by_dialog.remove(&dialog);
                self.ua.bye(now.time, dialog, reason);
            }
            LegState::Opening | LegState::Ended => {}
        }
        if leg.ended.is_none() {
            leg.ended = Some(now.date);
        }
        self.close_stream(call, index);
    }

    /// Orders the end of a leg's stream, once.
    pub(crate) fn close_stream(&mut self, call: &mut Call, index: u16) {
        let worker = call.worker;
        let Some(leg) = call.leg_mut(index) else { return };
        if let Some(stream) = leg.stream.live() {
            leg.stream = LegStream::Closing(stream);
            let command = media::Command::Close { stream };
            self.actions.push_back(Action::Media { worker, command });
        }
    }

    pub(crate) fn explain(&mut self, call: CallId, text: impl Into<String>) {
        self.actions.push_back(Action::Explain { call, text: text.into() });
    }

    pub(crate) fn next_number(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        self.counter
    }

    pub(crate) fn next_op(&mut self) -> OpId {
        OpId(self.next_number())
    }

    /// Moves what the user agent wants into our own actions, and its events into calls.
    pub(crate) fn drain(&mut self, now: Now) {
        self.drain_agent(now);
        while self.settle_rooms(now) || self.settle_queues(now) {
            self.drain_agent(now);
        }
        self.turn_lamps(now);
        self.drain_agent(now);
    }

    fn drain_agent(&mut self, now: Now) {
        while let Some(action) = self.ua.poll_action() {
            match action {
                UaAction::Send { flow, bytes } => {
                    self.actions.push_back(Action::Send { flow, bytes })
                }
                UaAction::Event(event) => self.sip_event(now, event),
            }
        }
    }

    fn sip_event(&mut self, now: Now, event: Event) {
        self.trunks.see(now.time);
        match event {
            Event::Request { tx, flow, message } => {
                self.holding(tx, |switch| switch.outside_request(now, tx, flow, &message));
            }
            Event::Invite { tx, dialog, flow, message } => {
                self.holding(tx, |switch| switch.incoming_call(now, tx, dialog, flow, &message));
            }
            Event::Cancelled { tx, dialog, .. } => self.caller_gave_up(now, tx, dialog),
            Event::Acked { dialog, message } => self.acked(now, dialog, &message),
            Event::AckMissing { dialog } => self.ack_missing(now, dialog),
            Event::InDialog { tx, dialog, message } => {
                self.holding(tx, |switch| switch.in_dialog(now, tx, dialog, &message));
            }
            Event::Bye { dialog, .. } => self.hung_up(now, dialog),
            Event::Progress { tx, dialog, status, message, .. } => {
                self.progress(now, tx, dialog, status, &message);
            }
            Event::Pracked { tx, dialog, message, .. } => self.pracked(now, tx, dialog, &message),
            Event::PrackMissing { invite, dialog } => self.caller_gave_up(now, invite, dialog),
            Event::RefreshDue { dialog } => self.refresh(now, dialog),
            Event::SessionExpired { dialog } => self.session_expired(now, dialog),
            Event::TryAgain { dialog, method } => self.try_again(now, dialog, method),
            Event::Answered { tx, dialog, message } => self.answered(now, tx, dialog, &message),
            Event::Failed { tx, status, cause, message } => {
                if !self.t38_refused(now, tx, status) {
                    self.leg_failed(now, tx, status, cause, message.as_ref());
                }
            }
            Event::Response { tx, dialog, status, cause, message } => {
                if !self.question_ended(now, tx, cause)
                    && !self.trunk_answered(now, tx, status, cause, message.as_ref())
                    && !self.notified(now, tx, status, message.as_ref())
                {
                    self.probed(now, tx, dialog, status);
                }
            }
        }
    }

    pub(crate) fn order(&mut self, order: ModuleOrder) {
        self.actions.push_back(Action::Module(order));
    }

    /// The driver falls behind, or has caught up: until then new calls are refused with 503.
    pub const fn set_overloaded(&mut self, overloaded: bool) {
        self.ua.set_overloaded(overloaded);
    }

    /// New calls that were refused so.
    #[must_use]
    pub const fn shed(&self) -> u64 {
        self.ua.shed()
    }

    /// What the user agent dropped.
    #[must_use]
    pub const fn dropped(&self) -> koukan_sip::Dropped {
        self.ua.dropped()
    }
}

/// What a handler decides about its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Keep,
    /// It is over, with this status for a caller that was not answered.
    End(CallCause, u16),
}

impl State for Switch {
    fn reachable(&self, tenant: &str, device: &str) -> bool {
        let device = self.directory.plans.device(tenant, device);
        device.is_some_and(|device| self.registrar.is_reachable(&device.user))
    }

    fn tenant_channels(&self, tenant: &str) -> u32 {
        self.channels.tenant(tenant)
    }

    fn number_channels(&self, tenant: &str, number: &str) -> u32 {
        self.channels.number(tenant, number)
    }

    fn in_call(&self, tenant: &str, device: &str) -> bool {
        let calls = self.lamps.of(&(tenant.into(), device.into()));
        let legs = calls.iter().filter_map(|id| self.calls.get(id)).flat_map(|call| &call.legs);
        legs.into_iter().any(|leg| !leg.is_over() && leg.party.is_device(tenant, device))
    }

    fn trunk_channels(&self, tenant: Option<&str>, trunk: &str) -> u32 {
        self.channels_of_trunk(&(tenant.map(Arc::from), trunk.into()))
    }

    fn trunk_state(&self, tenant: Option<&str>, trunk: &str) -> TrunkState {
        self.trunks.state(&(tenant.map(Arc::from), trunk.into()))
    }

    fn usage(&self, tenant: &str, at: Timestamp) -> Usage {
        self.usages.of(tenant, self.directory.plans.local_date(tenant, at), at)
    }

    fn forwards(&self, tenant: &str, number: &str) -> u32 {
        self.usages.forwards(tenant, number)
    }

    fn live(&self, tenant: &str) -> Option<&Live> {
        self.settings.get(tenant).map(Settings::live)
    }
}
