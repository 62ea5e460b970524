//! The switch and what it is wired to. Every input goes through `guarded`: a panic of ours ends the
//! call whose event it was, never the loop.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use koukan_base::{COMMON_SHARD, CallId, Time};
use koukan_dialplan::{Aside, ChangeError, Network};
use koukan_sip::Flow;
use koukan_store::OutboxCounts;
use koukan_switch::{
    Action, Banned, Directory, FaxOrder, Now, Record, ResolvedHosts, RoomError, Switch, TrunkNews,
    TrunkView,
};

use super::hosted::Apps;
use super::inbox::Inbound;
use super::memory::Load;
use super::outbox::{Deed, Line, Outbox};
use super::request::{InRoom, MaintenanceOrder, SetDone, SetOrder};
use super::{ECHOES, EVENTS_A_TURN};
use crate::api;
use crate::explain::ExplainLog;
use crate::fax::{FaxWord, Faxes};
use crate::journal::SharedJournal;
use crate::log::Throttle;
use crate::media::Media;
use crate::metrics::Snapshot;
use crate::module::LoadedModule;
use crate::modules::{ChangeRefused, Changed};
use crate::recordings::Sweeper;
use crate::trace::{Trace, Traced};
use crate::transport::Input;

/// What a core is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) switch: Switch,
    pub(crate) media: Media,
    pub(crate) modules: Apps,
    pub(crate) journal: SharedJournal,
    pub(crate) explain: ExplainLog,
    /// Where no other thread has it.
    pub(crate) sweeper: Option<Sweeper>,
    pub(crate) faxes: Faxes,
    /// Networks that nothing is taken from.
    pub(crate) blocked: Vec<Network>,
    pub(crate) trace: Trace,
}

/// The switch with its media workers, modules and journal.
#[derive(Debug)]
pub(crate) struct Core {
    parts: Parts,
    outbox: Outbox,
    /// A full batch was taken: more waits, and no waker will say so.
    more: bool,
    panics: u64,
    /// Messages of blocked networks.
    blocked: u64,
    faults: Throttle,
    /// When recordings that are too old are looked for.
    next_sweep: Time,
}

/// How often that is done.
const SWEEP: Duration = Duration::from_secs(60);

impl Core {
    pub(crate) fn new(mut parts: Parts) -> Self {
        parts.media.set_tenants(parts.switch.directory().plans.tenants().count());
        Self {
            parts,
            outbox: Outbox::default(),
            more: false,
            panics: 0,
            blocked: 0,
            faults: Throttle::new(),
            next_sweep: Time::ZERO,
        }
    }

    pub(crate) const fn switch(&self) -> &Switch {
        &self.parts.switch
    }

    /// Something from the network.
    pub(crate) fn handle_input(&mut self, now: Now, input: Input<'_>) {
        let (Input::Bytes { flow, .. } | Input::Message { flow, .. } | Input::FlowFailed { flow }) =
            &input;
        if self.parts.blocked.iter().any(|network| network.holds(flow.remote.ip())) {
            self.blocked = self.blocked.saturating_add(1);
            return;
        }
        match input {
            Input::Bytes { flow, bytes } => {
                self.parts.trace.note(now.date, false, &flow, bytes);
                self.guarded(now, "datagram", |switch| switch.handle_bytes(now, flow, bytes));
            }
            Input::Message { flow, message } => {
                self.parts.trace.note(now.date, false, &flow, message.bytes());
                self.guarded(now, "message", |switch| switch.handle_message(now, flow, message));
            }
            Input::FlowFailed { flow } => {
                self.guarded(now, "flow", |switch| switch.handle_flow_failed(now, flow));
            }
        }
    }

    /// Something that waited in the shard's inbox.
    pub(crate) fn handle_inbound(&mut self, now: Now, inbound: Inbound) {
        match inbound {
            Inbound::Bytes { flow, bytes } => {
                self.handle_input(now, Input::Bytes { flow, bytes: &bytes });
            }
            Inbound::Message { flow, message } => {
                self.handle_input(now, Input::Message { flow, message: *message });
            }
            Inbound::FlowFailed { flow } => self.handle_input(now, Input::FlowFailed { flow }),
            Inbound::Trunks(news) => {
                self.guarded(now, "news of trunks", |switch| switch.hear_trunks(now, &news));
            }
            Inbound::Banned(bans) => {
                self.guarded(now, "bans", |switch| switch.hear_bans(now, &bans));
            }
        }
    }

    /// What the other shards are to hear.
    pub(crate) fn news(&mut self) -> (Vec<TrunkNews>, Vec<Banned>) {
        (self.parts.switch.trunk_news(), self.parts.switch.ban_news())
    }

    /// Somebody has not heard what was said of the trunks.
    pub(crate) fn say_again(&mut self) {
        self.parts.switch.repeat_trunk_news();
    }

    /// Whether new calls are refused since the server is to end; documents are not sent meanwhile.
    pub(crate) fn set_draining(&mut self, on: bool) {
        self.parts.switch.set_draining(on);
        self.parts.faxes.hold(on);
    }

    /// Whether new calls are refused, because more comes than is served.
    pub(crate) fn set_overloaded(&mut self, overloaded: bool) {
        self.parts.switch.set_overloaded(overloaded);
    }

    /// A bounded batch of what media workers and modules report.
    pub(crate) fn handle_events(&mut self, now: Now) {
        self.more = true;
        self.parts.media.listen();
        for _ in 0..EVENTS_A_TURN {
            let Some(event) = self.parts.media.try_recv() else {
                self.more = false;
                break;
            };
            self.guarded(now, "media event", |switch| switch.handle_media(now, event));
        }
        while let Some(word) = self.parts.faxes.try_recv() {
            self.guarded(now, "fax", |switch| match word {
                FaxWord::Report(report) => switch.handle_fax(now, report),
                FaxWord::Call(call) => switch.send_fax(now, &call),
            });
        }
        for _ in 0..EVENTS_A_TURN {
            let Some(request) = self.parts.modules.poll_request(now) else { return };
            self.guarded(now, "module request", |switch| switch.handle_module(now, request));
        }
        self.more = true;
    }

    /// What is due in the switch.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        if self.parts.switch.poll_timeout().is_some_and(|at| at <= now.time) {
            self.guarded(now, "timer", |switch| switch.handle_timeout(now));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let parts = &self.parts;
        [parts.switch.poll_timeout(), parts.modules.poll_timeout()].into_iter().flatten().min()
    }

    /// Whether events wait that no waker will tell of.
    pub(crate) fn has_work(&self) -> bool {
        self.more
            || self.parts.media.has_events()
            || self.parts.modules.has_requests()
            || self.parts.faxes.has_reports()
    }

    pub(crate) fn has_actions(&self) -> bool {
        !self.outbox.is_empty() || self.parts.modules.has_notes()
    }

    /// Gives the switch one input and takes what it wants done. The streams that it wants are open
    /// and told to it when this returns, so that one write of the journal and one waking of the
    /// workers serve the whole of an INVITE.
    fn guarded<T>(
        &mut self,
        now: Now,
        what: &'static str,
        input: impl FnOnce(&mut Switch) -> T,
    ) -> Option<T> {
        let outcome = self.attempt(now, what, input);
        for _ in 0..ECHOES {
            let opens = self.outbox.opens();
            if opens.is_empty() {
                break;
            }
            for (worker, command) in opens {
                self.parts.media.queue(worker, command);
            }
            while let Some(event) = self.parts.media.try_opened() {
                self.attempt(now, "media event", |switch| switch.handle_media(now, event));
            }
        }
        outcome
    }

    fn attempt<T>(
        &mut self,
        now: Now,
        what: &'static str,
        input: impl FnOnce(&mut Switch) -> T,
    ) -> Option<T> {
        self.outbox.begin();
        let switch = &mut self.parts.switch;
        // The switch hangs up the call that it was working on, and puts right what is left of one
        // that is lost; the panic hook has logged the place.
        let outcome = catch_unwind(AssertUnwindSafe(|| input(switch)));
        if outcome.is_err() {
            let again = catch_unwind(AssertUnwindSafe(|| switch.recover(now)));
            self.panics = self.panics.saturating_add(u64::from(again.is_err()));
        }
        let mut ended = Vec::new();
        while let Some(action) = self.parts.switch.poll_action() {
            if let Action::Record(Record::Note(note)) = &action {
                self.parts.modules.absorb(note);
            }
            if let Action::Record(Record::Call(cdr)) = &action {
                self.parts.trace.note_call(cdr);
                ended.extend(CallId::parse(&cdr.call).filter(|_| cdr.ended.is_some()));
            }
            match self.outbox.take(action) {
                Some(Line::Explain { call, text }) => {
                    tracing::info!(%call, "{text}");
                    self.parts.explain.add(now.date, call, &text);
                }
                Some(Line::Notice { grave: true, text }) => tracing::warn!("{text}"),
                Some(Line::Notice { grave: false, text }) => tracing::info!("{text}"),
                None => {}
            }
        }
        for call in ended {
            self.parts.explain.end(call);
        }
        if outcome.is_err() {
            let switch = &self.parts.switch;
            self.parts.explain.end_lost(|call| switch.knows(call));
            self.panics = self.panics.saturating_add(1);
            if let Some(before) = self.faults.pass(now.time) {
                tracing::error!(what, before, "a fault of ours ended the handling of an input");
            }
        }
        outcome.ok()
    }

    /// Appends what must be remembered, before anything leaves; whether it is safe.
    pub(crate) fn commit(&mut self) -> bool {
        let mut records = self.outbox.records();
        records.extend(self.parts.modules.take_notes().into_iter().map(Record::Note));
        let safe = records.is_empty() || self.parts.journal.lock().append(records);
        if !safe {
            self.outbox.break_promises();
        }
        safe
    }

    /// Flips a setting; it is in the journal before the answer leaves.
    pub(crate) fn set(&mut self, now: Now, order: &SetOrder) -> Result<SetDone, ChangeError> {
        let SetOrder { tenant, change, by } = order;
        let outcome = self.guarded(now, "setting", |switch| switch.set(now, tenant, change, by));
        let written = outcome.unwrap_or_else(|| Ok(Vec::new()))?;
        Ok(SetDone { written, safe: self.commit() })
    }

    /// Does what the switch wants done; `send` sends a message.
    pub(crate) fn execute(&mut self, now: Now, send: &mut dyn FnMut(Flow, Vec<u8>)) {
        for (worker, command) in self.outbox.opens() {
            self.parts.media.queue(worker, command);
        }
        for deed in self.outbox.deeds() {
            match deed {
                Deed::Send { flow, bytes, .. } => {
                    self.parts.trace.note(now.date, true, &flow, &bytes);
                    send(flow, bytes);
                }
                Deed::Media { worker, command } => self.parts.media.queue(worker, command),
                Deed::Module(order) => self.parts.modules.handle(now, order),
                Deed::Fax(order) => {
                    let streams = match &order {
                        FaxOrder::Receive(reception) => vec![reception.stream],
                        FaxOrder::Send { stream, .. } => vec![*stream],
                        FaxOrder::Carry(carried) => carried.sides.map(|(side, _)| side).into(),
                        FaxOrder::Switch { .. }
                        | FaxOrder::Stop { .. }
                        | FaxOrder::NotSent { .. } => Vec::new(),
                    };
                    let media = &self.parts.media;
                    let lent = streams.iter().filter_map(|stream| media.lend(*stream)).collect();
                    self.parts.faxes.order(order, lent);
                }
                Deed::Mail(mail) => self.parts.modules.send_mail(mail),
            }
        }
        self.parts.media.flush();
    }

    pub(crate) fn order_in_room(&mut self, now: Now, order: &InRoom) -> Result<(), RoomError> {
        let InRoom { tenant, room, order } = order;
        let order = |switch: &mut Switch| switch.order_in_room(now, tenant, room, order);
        self.guarded(now, "room", order).unwrap_or(Ok(()))
    }

    pub(crate) fn kill(&mut self, now: Now, call: CallId) -> bool {
        self.guarded(now, "kill", |switch| switch.kill(now, call)).unwrap_or(false)
    }

    /// What the names of trunks stand for now.
    pub(crate) fn set_trunk_hosts(&mut self, now: Now, resolved: &[ResolvedHosts]) {
        self.guarded(now, "hosts of trunks", |switch| switch.set_trunk_hosts(now, resolved));
    }

    /// Takes a trunk out or in; `None` when there is none. It is in the journal before the answer
    /// leaves, or the answer says that it is not.
    pub(crate) fn set_maintenance(&mut self, now: Now, order: &MaintenanceOrder) -> Option<bool> {
        let MaintenanceOrder { trunk, by, on } = order;
        let set = |switch: &mut Switch| switch.set_maintenance(now, trunk, by, *on);
        let known = self.guarded(now, "maintenance", set).unwrap_or(false);
        let safe = self.commit();
        known.then_some(safe)
    }

    /// Lifts a ban; false when there is none.
    pub(crate) fn lift_ban(&mut self, now: Now, address: IpAddr) -> bool {
        self.guarded(now, "ban", |switch| switch.lift_ban(now, address)).unwrap_or(false)
    }

    pub(crate) fn stop(&mut self, now: Now) {
        self.guarded(now, "stop", |switch| switch.stop(now));
    }

    /// Whether nothing is under way and nothing waits for the disk.
    pub(crate) fn is_idle(&self) -> bool {
        self.parts.switch.tables().calls == 0
            && self.parts.switch.tables().client_transactions == 0
            && !self.has_actions()
    }

    /// The date was set.
    pub(crate) fn clock_moved(&mut self) {
        self.next_sweep = Time::ZERO;
        if let Some(modules) = self.parts.modules.here() {
            modules.clock_moved();
        }
    }

    /// Puts new plans in force; the live settings that have no place in them.
    pub(crate) fn install(
        &mut self,
        now: Now,
        directory: Arc<Directory>,
    ) -> Vec<(Arc<str>, Aside)> {
        self.parts.media.set_tenants(directory.plans.tenants().count());
        self.guarded(now, "new plans", |switch| {
            switch.set_directory(now, directory);
            switch.refresh_messages(now);
        });
        self.parts.switch.settings_aside()
    }

    /// What is tried again from time to time.
    pub(crate) fn handle_housekeeping(&mut self, now: Now) {
        self.parts.journal.lock().handle_housekeeping();
        self.parts.modules.handle_housekeeping(now);
        if self.next_sweep <= now.time {
            self.next_sweep = now.time + SWEEP;
            if let Some(sweeper) = &mut self.parts.sweeper {
                sweeper.order(now.date);
            }
        }
    }

    /// Tables that were large and are not any more become small.
    pub(crate) fn shrink(&mut self) {
        self.parts.switch.shrink();
        self.parts.explain.shrink();
    }

    /// Everything that calls and requests hold in memory, counted.
    pub(crate) fn load(&self) -> Load {
        let tables = self.parts.switch.tables();
        Load {
            calls: tables.calls.saturating_add(tables.dialogs),
            transactions: tables.client_transactions.saturating_add(tables.server_transactions),
        }
    }

    /// What was said on the wire; of a call alone when one is named. `None`: nothing is kept, or
    /// of no such call.
    pub(crate) fn trace(&self, call: Option<CallId>) -> Option<(Vec<Traced>, Vec<String>)> {
        let trace = &self.parts.trace;
        let running = |call| self.parts.switch.sip_call_ids(call);
        let ids = match call {
            Some(call) => running(call).or_else(|| trace.call_ids(call))?,
            None => Vec::new(),
        };
        trace.is_on().then(|| (trace.messages(), ids))
    }

    pub(crate) fn why(&self, call: CallId) -> Option<api::Why> {
        self.parts.explain.why(call)
    }

    pub(crate) fn modules(&mut self, now: Now) -> Vec<api::ModuleInfo> {
        let modules = self.parts.modules.here();
        modules.map(|modules| modules.list(now.time)).unwrap_or_default()
    }

    /// Puts a build of a module in service.
    pub(crate) fn install_module(
        &mut self,
        now: Now,
        build: LoadedModule,
        is_new: bool,
    ) -> Result<Changed, ChangeRefused> {
        match self.parts.modules.here() {
            Some(modules) => modules.install(now, build, is_new),
            None => Err(ChangeRefused::NotLoaded(build.name().to_owned())),
        }
    }

    /// Takes a module out of service.
    pub(crate) fn unload_module(&mut self, now: Now, name: &str) -> Result<Changed, ChangeRefused> {
        match self.parts.modules.here() {
            Some(modules) => modules.unload(now, name),
            None => Err(ChangeRefused::NotLoaded(name.to_owned())),
        }
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.parts.journal.lock().waiting()
    }

    pub(crate) fn outbox(&self) -> OutboxCounts {
        self.parts.journal.lock().outbox().counts()
    }

    /// The last writes of an orderly end.
    pub(crate) fn close(&mut self) {
        let _ = self.commit();
        self.parts.journal.close();
    }

    pub(crate) fn measure(&self, now: Now, snapshot: &mut Snapshot) {
        let tables = self.parts.switch.tables();
        snapshot.calls = tables.calls;
        snapshot.calls_total = self.parts.explain.seen();
        snapshot.streams = tables.streams;
        snapshot.instances = tables.instances;
        snapshot.dialogs = tables.dialogs;
        snapshot.client_transactions = tables.client_transactions;
        snapshot.server_transactions = tables.server_transactions;
        snapshot.legs = self.parts.switch.calls().iter().map(|call| call.legs.len()).sum();
        let registrations = self.parts.switch.registrations(now);
        let away =
            |health: &str| registrations.iter().filter(|known| known.health == health).count();
        (snapshot.unreachable, snapshot.lost) = (away("unreachable"), away("lost"));
        snapshot.registrations = registrations.len();
        let dropped = self.parts.switch.dropped();
        snapshot.sip_drops = vec![
            ("unreadable", dropped.unreadable),
            ("stray_response", dropped.stray_responses),
            ("stray_ack", dropped.stray_acks),
        ];
        let trunks = self.parts.switch.trunks(now);
        // A trunk of the server is counted where it is at home.
        let is_common = self.parts.switch.shard() == COMMON_SHARD;
        let own = |trunk: &&TrunkView| trunk.tenant.is_some() || is_common;
        let count = |state: &&'static str| {
            trunks.iter().filter(own).filter(|trunk| trunk.state == **state).count()
        };
        snapshot.trunks = TrunkView::STATES.iter().map(|state| (*state, count(&state))).collect();
        snapshot.trunk_calls = trunks.iter().map(|trunk| trunk.begun).sum();
        snapshot.trunk_failures = trunks.iter().map(|trunk| trunk.failed).sum();
        (snapshot.bans, snapshot.banned_drops) = self.parts.switch.ban_counts();
        snapshot.banned = self.parts.switch.bans(now).len();
        snapshot.blocked = self.blocked;
        snapshot.shed = self.parts.switch.shed();
        snapshot.draining = self.parts.switch.is_draining();
        snapshot.drained_calls = self.parts.switch.refused_by_draining();
        let counts = self.parts.switch.cap_counts();
        snapshot.caps = counts.iter().map(|(cap, count)| (cap.as_str(), *count)).collect();
        snapshot.media = self.parts.media.measure();
        snapshot.panics = self.panics;
        snapshot.trace_lost = self.parts.trace.lost();
        snapshot.explain_lost = self.parts.explain.lost();
        self.parts.journal.lock().measure(snapshot);
    }
}
