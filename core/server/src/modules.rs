//! The loaded modules as the control loop sees them: orders of the switch go in, requests of the
//! applications come out. All of it happens on the control thread.
//!
//! An application that fails or panics ends alone. It hears of every operation exactly once, and is
//! destroyed exactly once; a request that it makes waits in a queue until the loop comes for it, so
//! that neither side is ever called from inside the other. A module's task is an application of no
//! call: its waits are counted here, since the switch knows nothing of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use std::time::Duration;

use koukan_abi::{Status, TASK, status};
use koukan_base::{CallId, OpId, Time};
use koukan_switch::{
    AppEvent, InstanceId, ModuleOrder, ModuleRequest, Note, Now, OpStatus, Operation,
};
use mio::Waker;

use crate::api::ModuleInfo;
use crate::config::Config;
use crate::module::ModuleError;
use crate::module::border::AppInstance;
use crate::module::call::EventParts;
use crate::module::copy::Copies;
use crate::module::desk::Desk;
use crate::module::host::LoadedModule;
use crate::module::shelf::Shelf;
use crate::module::watch::Cost;

/// Where the numbers of tasks begin; the switch mints none up here.
const FIRST_TASK: u64 = 1 << 63;

/// A module cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("module.{name}: {} {cause}", path.display())]
pub struct ModulesError {
    /// The module's name in the configuration.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Why not.
    pub cause: ModuleError,
}

/// The loaded modules.
#[derive(Debug)]
pub struct Modules {
    desk: Arc<Desk>,
    shelf: Arc<Shelf>,
    /// Tasks, and when and which of their waits end.
    tasks: BTreeSet<u64>,
    waits: BTreeMap<(Time, u64), (InstanceId, OpId)>,
    /// Whether the tasks have been started, by the thread that they live on.
    begun: bool,
    /// Before `modules`: instances are destroyed before their module ends.
    /// With the number of the module that each is of.
    running: HashMap<u64, (usize, AppInstance)>,
    costs: Vec<Cost>,
    modules: Vec<LoadedModule>,
}

impl Modules {
    /// Loads what `[module.NAME]` names; `waker` wakes the loop that polls the requests.
    ///
    /// # Errors
    /// A module cannot be loaded; the error names its file and the cause.
    pub fn load(
        config: &Config,
        waker: Arc<Waker>,
        shelf: Arc<Shelf>,
    ) -> Result<Self, ModulesError> {
        let desk = Arc::new(Desk::new(waker));
        let mut modules = Vec::new();
        let mut copies = None;
        for (index, module) in config.modules.iter().enumerate() {
            let refuse = |cause: ModuleError| {
                let (name, path) = (module.name.clone(), module.path.clone());
                ModulesError { name, path, cause }
            };
            if copies.is_none() {
                let opened = Copies::open(&config.data);
                copies = Some(opened.map_err(ModuleError::Copy).map_err(refuse)?);
            }
            let Some(copies) = &copies else { break };
            let loaded = LoadedModule::load(module, index, copies, &desk, &shelf);
            modules.push(loaded.map_err(refuse)?);
        }
        Ok(Self {
            desk,
            shelf,
            tasks: BTreeSet::new(),
            waits: BTreeMap::new(),
            begun: false,
            running: HashMap::new(),
            costs: vec![Cost::default(); modules.len()],
            modules,
        })
    }

    /// Does what the switch orders.
    pub fn handle(&mut self, now: Now, order: ModuleOrder) {
        self.desk.own();
        match order {
            ModuleOrder::Start { instance, call, tenant, module, application, arguments } => {
                self.start(now, (instance, call, tenant), &module, (&application, &arguments));
            }
            ModuleOrder::Event { instance, event } => self.event(now, instance, event),
            ModuleOrder::Destroy { instance } => self.destroy(now, instance),
        }
    }

    /// The next request of an application; those that were woken go on first.
    pub fn poll_request(&mut self, now: Now) -> Option<ModuleRequest> {
        self.desk.own();
        self.start_tasks(now);
        for number in self.desk.take_woken() {
            self.deliver(now, InstanceId(number), &EventParts::wake());
        }
        self.end_waits(now);
        while let Some(request) = self.desk.poll_request() {
            match self.own_request(now, request) {
                Some(request) => return Some(request),
                None => self.end_waits(now),
            }
        }
        None
    }

    /// Whether requests wait that no waker will tell of.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        !self.begun || self.desk.has_requests()
    }

    /// When `poll_request` is to be called next for what it does by itself.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.waits.keys().next().map(|(at, _)| *at)
    }

    /// The date was set: what a task waits for may be due.
    pub fn clock_moved(&mut self) {
        let waits = std::mem::take(&mut self.waits);
        self.waits = waits.into_iter().map(|((_, n), wait)| ((Time::ZERO, n), wait)).collect();
    }

    /// Whether what modules wrote waits for the journal.
    #[must_use]
    pub fn has_notes(&self) -> bool {
        self.shelf.has_fresh()
    }

    /// What modules wrote since the last time.
    pub fn take_notes(&mut self) -> Vec<Note> {
        self.shelf.settle_mails();
        self.shelf.take_fresh()
    }

    /// Takes in what the switch has written down.
    pub(crate) fn absorb(&self, note: &Note) {
        self.shelf.absorb(note);
    }

    /// Starts every task once, on the thread that calls this first.
    fn start_tasks(&mut self, now: Now) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let tasks: Vec<_> = self.modules.iter().map(|module| module.task).enumerate().collect();
        for (index, task) in tasks {
            let Some(task) = task else { continue };
            let number = FIRST_TASK.saturating_add(u64::try_from(index).unwrap_or(0));
            let instance = InstanceId(number);
            self.desk.begin(instance, index, CallId::from_u64(0), "".into());
            self.tasks.insert(number);
            let started = self.timed(index, "task", || task.start(now, number, "", (TASK, "{}")));
            match started {
                Ok(running) => {
                    self.running.insert(number, (index, running));
                }
                Err(status) => self.conclude(instance, status),
            }
        }
    }

    /// Does what a task asks for; any other request is the switch's.
    fn own_request(&mut self, now: Now, request: ModuleRequest) -> Option<ModuleRequest> {
        let instance = match &request {
            ModuleRequest::Start { instance, .. }
            | ModuleRequest::Cancel { instance, .. }
            | ModuleRequest::Ended { instance, .. } => *instance,
            ModuleRequest::Messages { .. } => return Some(request),
        };
        if !self.tasks.contains(&instance.0) {
            return Some(request);
        }
        match request {
            ModuleRequest::Start { op, operation: Operation::Sleep { ms }, .. } => {
                let until = now.time + Duration::from_millis(u64::from(ms));
                // Two waits of a moment are told apart by instance and operation.
                let order = instance.0.rotate_left(32) ^ op.0;
                self.waits.insert((until, order), (instance, op));
            }
            ModuleRequest::Start { op, .. } => {
                self.settle(now, instance, op, OpStatus::Unsupported);
            }
            ModuleRequest::Cancel { op, .. } => {
                self.waits.retain(|_, wait| *wait != (instance, op));
                self.settle(now, instance, op, OpStatus::Cancelled);
            }
            ModuleRequest::Ended { result, .. } => {
                self.tasks.remove(&instance.0);
                self.waits.retain(|_, wait| wait.0 != instance);
                if let Err(why) = result {
                    tracing::error!(why = &*why, "a module's task has failed");
                }
            }
            ModuleRequest::Messages { .. } => {}
        }
        None
    }

    /// Ends the waits of tasks that are over.
    fn end_waits(&mut self, now: Now) {
        while let Some(entry) = self.waits.first_entry().filter(|e| e.key().0 <= now.time) {
            let (instance, op) = entry.remove();
            self.settle(now, instance, op, OpStatus::Ok);
        }
    }

    fn settle(&mut self, now: Now, instance: InstanceId, op: OpId, status: OpStatus) {
        self.event(now, instance, AppEvent::OpDone { op, status, text: "".into() });
    }

    /// Every loaded module.
    #[must_use]
    pub fn list(&self) -> Vec<ModuleInfo> {
        let info = |(index, module): (usize, &LoadedModule)| ModuleInfo {
            name: module.name.clone(),
            version: module.version.clone(),
            role: module.role.clone(),
            state: "active".to_owned(),
            instances: self.desk.instances(index),
            starts: self.cost(index).starts,
            events: self.cost(index).events,
            failures: self.cost(index).failures,
            slowest_us: u64::try_from(self.cost(index).slowest.as_micros()).unwrap_or(u64::MAX),
            too_long: self.cost(index).too_long,
        };
        self.modules.iter().enumerate().map(info).collect()
    }

    fn cost(&self, index: usize) -> Cost {
        self.costs.get(index).copied().unwrap_or_default()
    }

    /// Whether a loaded module fills a role of the dialplan.
    #[must_use]
    pub fn fills_role(&self, role: &str) -> bool {
        self.modules.iter().any(|module| module.fills(role))
    }

    fn start(
        &mut self,
        now: Now,
        (instance, call, tenant): (InstanceId, CallId, Arc<str>),
        module: &str,
        what: (&str, &str),
    ) {
        let mut modules = self.modules.iter().enumerate();
        let by_role = modules.clone().find(|(_, loaded)| loaded.fills(module));
        let found = by_role.or_else(|| modules.find(|(_, loaded)| loaded.name == module));
        let Some((index, loaded)) = found else {
            let why = format!("no loaded module fills the role {module}");
            return self.ended(instance, Err(why.into()));
        };
        let Some(app) = loaded.app else {
            let why = format!("the module {} has no applications", loaded.name);
            return self.ended(instance, Err(why.into()));
        };
        self.desk.begin(instance, index, call, Arc::clone(&tenant));
        if let Some(cost) = self.costs.get_mut(index) {
            cost.starts = cost.starts.saturating_add(1);
        }
        match self.timed(index, "start", || app.start(now, instance.0, &tenant, what)) {
            Ok(running) => {
                self.running.insert(instance.0, (index, running));
            }
            Err(status) => {
                if let Some(cost) = self.costs.get_mut(index) {
                    let failed = u64::from(status < status::OK);
                    cost.failures = cost.failures.saturating_add(failed);
                }
                self.conclude(instance, status);
            }
        }
    }

    fn event(&mut self, now: Now, instance: InstanceId, event: AppEvent) {
        match &event {
            AppEvent::OpDone { op, .. } => {
                if !self.desk.settle(instance, *op) {
                    return;
                }
            }
            AppEvent::HangUp => {
                for result in self.overdue(instance) {
                    self.deliver(now, instance, &result);
                }
            }
            AppEvent::Digit(_) | AppEvent::Drain => {}
        }
        self.deliver(now, instance, &event.into());
    }

    /// Gives an instance an event, and ends it when it is done. One that has ended meanwhile is
    /// passed over.
    fn deliver(&mut self, now: Now, instance: InstanceId, parts: &EventParts) {
        // Taken out meanwhile, so that its cost can be noted beside it.
        let Some((index, mut running)) = self.running.remove(&instance.0) else { return };
        let status = self.timed(index, "event", || running.event(now, parts));
        if let Some(cost) = self.costs.get_mut(index) {
            cost.events = cost.events.saturating_add(1);
            let failed = u64::from(status < status::OK);
            cost.failures = cost.failures.saturating_add(failed);
        }
        self.running.insert(instance.0, (index, running));
        if status != status::PENDING {
            self.conclude(instance, status);
        }
    }

    /// Runs a call into a module and notes what it took.
    fn timed<T>(&mut self, index: usize, what: &str, call: impl FnOnce() -> T) -> T {
        let name = self.modules.get(index).map_or("", |module| module.name.as_str());
        match self.costs.get_mut(index) {
            Some(cost) => cost.timed(name, what, call),
            None => call(),
        }
    }

    /// The results that the switch can no longer give, because the call is over.
    fn overdue(&self, instance: InstanceId) -> Vec<EventParts> {
        let hang_up = |op| AppEvent::OpDone { op, status: OpStatus::HangUp, text: "".into() };
        self.desk.settle_all(instance).into_iter().map(|op| hang_up(op).into()).collect()
    }

    /// The switch has forgotten the instance: it hears its results, and nothing of it is reported.
    fn destroy(&mut self, now: Now, instance: InstanceId) {
        if let Some((_, mut running)) = self.running.remove(&instance.0) {
            let mut results = self.overdue(instance).into_iter();
            // An application that is done on hearing one hears no more of them.
            results.all(|result| running.event(now, &result) == status::PENDING);
            self.desk.close(instance);
            drop(running);
        }
        self.desk.end(instance);
    }

    /// An application has returned, failed or panicked.
    fn conclude(&mut self, instance: InstanceId, status: Status) {
        self.desk.close(instance);
        drop(self.running.remove(&instance.0));
        let reason = self.desk.end(instance);
        let result = match status {
            status::OK => Ok(()),
            status => Err(reason.unwrap_or_else(|| status::words(status).to_owned()).into()),
        };
        self.ended(instance, result);
    }

    fn ended(&self, instance: InstanceId, result: Result<(), Arc<str>>) {
        self.desk.request(ModuleRequest::Ended { instance, result });
    }
}
