//! The loaded modules as the control loop sees them: orders of the switch go in, requests of the
//! applications come out. All of it happens on the control thread.
//!
//! An application that fails or panics ends alone. It hears of every operation exactly once, and is
//! destroyed exactly once; a request that it makes waits in a queue until the loop comes for it, so
//! that neither side is ever called from inside the other. A module's task is an application of no
//! call: its waits are counted here, since the switch knows nothing of it.
//!
//! A module may have several builds in the process. New calls go to the active one; a build that is
//! replaced or unloaded drains: it keeps the calls that it has until they end or its time is over,
//! then the reaper takes it out of the process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};
use koukan_abi::{Status, TASK, status};
use koukan_base::{CallId, OpId, Time};
use koukan_store::Outbox;
use koukan_switch::{
    AppEvent, InstanceId, ModuleOrder, ModuleRequest, Note, Now, OpStatus, Operation,
};
use mio::Waker;

use crate::api::ModuleInfo;
use crate::config::Config;
use crate::limits;
use crate::module::border::AppInstance;
use crate::module::build::{Build, State};
use crate::module::call::EventParts;
use crate::module::desk::Desk;
use crate::module::reaper::{Reaper, Report};
use crate::module::shelf::Shelf;
use crate::module::sink::Sinks;
use crate::module::source::cache::Cache;
use crate::module::source::{Answered, Exchange};
use crate::module::watch::Presence;
use crate::module::{LoadedModule, Loader, ModuleError};

mod lookups;
mod own;

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
    loader: Arc<Loader>,
    /// Tasks with their builds, and when and which of their waits end.
    tasks: BTreeMap<u64, usize>,
    waits: BTreeMap<(Time, u64), (InstanceId, OpId)>,
    /// Builds whose task has not been started yet, by the thread that it lives on.
    fresh: VecDeque<usize>,
    /// Before `builds`: instances are destroyed before their build ends. With the number of the
    /// build that each is of.
    running: HashMap<u64, (usize, AppInstance)>,
    builds: BTreeMap<usize, Build>,
    /// Builds that are neither active nor closed: only then is there anything to look after.
    leaving: usize,
    presence: Arc<Presence>,
    reaper: Reaper,
    /// What sources say, and what holds of it.
    answers: Receiver<Answered>,
    known: Cache,
}

/// What a change of the modules did, in numbers of builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The build that new calls go to; none after an unloading.
    pub build: Option<usize>,
    /// The build that drains.
    pub drains: Option<usize>,
    /// The calls that it has.
    pub calls: usize,
}

/// A change of the modules that makes no sense as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeRefused {
    /// It is in service.
    #[error("the module {0} is loaded: replace it to load its file again")]
    Loaded(String),
    /// It is not in service.
    #[error("the module {0} is not loaded")]
    NotLoaded(String),
    /// Another module has its role.
    #[error("the role {role} of the module {name} is filled by {by}: unload that first")]
    Role {
        /// The module to be loaded.
        name: String,
        /// Its role.
        role: String,
        /// The module that has it.
        by: String,
    },
}

impl Modules {
    /// Loads what `[module.NAME]` names; `waker` wakes the loop that polls the requests, `outbox`
    /// holds the records that modules carry out.
    ///
    /// # Errors
    /// A module cannot be loaded; the error names its file and the cause.
    pub fn load(
        config: &Config,
        waker: Arc<Waker>,
        shelf: Arc<Shelf>,
        outbox: Option<Outbox>,
    ) -> Result<Self, ModulesError> {
        let desk = Arc::new(Desk::new(Arc::clone(&waker)));
        let (data, books) = (config.data.clone(), Arc::clone(&desk));
        let sinks = outbox.map(|outbox| Sinks::new(outbox, config.base.clone()));
        let (told, answers) = unbounded();
        let (base, waking) = (config.base.clone(), Arc::clone(&waker));
        let exchange = Exchange { base, answers: told, waker: waking };
        let loader = Arc::new(Loader::new(data, books, Arc::clone(&shelf), (sinks, exchange)));
        let presence = Arc::new(Presence::new());
        let reaper = Reaper::start(waker, Arc::clone(&presence));
        let mut modules = Self {
            desk,
            shelf,
            loader,
            tasks: BTreeMap::new(),
            waits: BTreeMap::new(),
            fresh: VecDeque::new(),
            running: HashMap::new(),
            builds: BTreeMap::new(),
            leaving: 0,
            presence,
            reaper,
            answers,
            known: Cache::default(),
        };
        for module in &config.modules {
            let loaded = modules.loader.load(module).map_err(|cause| {
                let (name, path) = (module.name.clone(), module.path.clone());
                ModulesError { name, path, cause }
            })?;
            modules.admit(Time::ZERO, loaded);
        }
        Ok(modules)
    }

    /// What makes builds, on any thread.
    #[must_use]
    pub fn loader(&self) -> Arc<Loader> {
        Arc::clone(&self.loader)
    }

    fn admit(&mut self, now: Time, mut loaded: LoadedModule) -> usize {
        loaded.begin_workers();
        let build = Build::new(loaded, now);
        let number = build.number;
        self.presence.name(number, &build.name);
        if !build.begun {
            self.fresh.push_back(number);
        }
        self.builds.insert(number, build);
        number
    }

    /// Puts a build in service. `is_new` says that none of the module may be, else one must be: it
    /// drains from now on.
    ///
    /// # Errors
    /// As they stand, the modules have no place for it; the build is gone.
    pub fn install(
        &mut self,
        now: Now,
        loaded: LoadedModule,
        is_new: bool,
    ) -> Result<Changed, ChangeRefused> {
        let (name, role) = (loaded.name().to_owned(), loaded.config.role.clone());
        let mut others = self.builds.values().filter(|build| build.active().is_some());
        let before = others.clone().find(|build| build.name == name).map(|build| build.number);
        let holder = others
            .find(|build| build.name != name && build.role.is_some() && build.role == role)
            .map(|holder| holder.name.clone());
        let refused = match (before, holder, role) {
            (Some(_), ..) if is_new => Some(ChangeRefused::Loaded(name)),
            (None, ..) if !is_new => Some(ChangeRefused::NotLoaded(name)),
            (_, Some(by), Some(role)) => Some(ChangeRefused::Role { name, role, by }),
            _ => None,
        };
        if let Some(refused) = refused {
            self.reaper.end(loaded);
            return Err(refused);
        }
        let calls = before.map_or(0, |before| self.retire(now, before));
        let build = Some(self.admit(now.time, loaded));
        Ok(Changed { build, drains: before, calls })
    }

    /// Takes a module out of service; the calls that it has go on until its time is over.
    ///
    /// # Errors
    /// It is not loaded.
    pub fn unload(&mut self, now: Now, name: &str) -> Result<Changed, ChangeRefused> {
        let mut active = self.builds.values().filter(|build| build.active().is_some());
        let Some(build) = active.find(|build| build.name == name) else {
            return Err(ChangeRefused::NotLoaded(name.to_owned()));
        };
        let number = build.number;
        let calls = self.retire(now, number);
        Ok(Changed { build: None, drains: Some(number), calls })
    }

    /// A build drains: its task ends, its applications hear of it. How many those are.
    fn retire(&mut self, now: Now, number: usize) -> usize {
        self.desk.own();
        self.fresh.retain(|fresh| *fresh != number);
        let tasks = self.tasks.iter().filter(|(_, build)| **build == number);
        for task in tasks.map(|(task, _)| *task).collect::<Vec<u64>>() {
            self.tasks.remove(&task);
            self.waits.retain(|_, wait| wait.0.0 != task);
            self.destroy(now, InstanceId(task));
        }
        let Some(build) = self.builds.get_mut(&number) else { return 0 };
        build.drain(now.time);
        self.known.forget(number);
        self.leaving = self.leaving.saturating_add(1);
        let calls = build.applications;
        let own = self.running.iter().filter(|(_, (build, _))| *build == number);
        for instance in own.map(|(instance, _)| *instance).collect::<Vec<u64>>() {
            self.deliver(now, InstanceId(instance), &AppEvent::Drain.into());
        }
        self.tend(now);
        calls
    }

    /// Looks after the builds that are on their way out.
    fn tend(&mut self, now: Now) {
        if self.leaving == 0 {
            return;
        }
        let over = |build: &&Build| build.until().is_some_and(|until| until <= now.time);
        let over = self.builds.values().filter(over).map(|build| build.number);
        for number in over.collect::<Vec<usize>>() {
            let left = self.running.iter().filter(|(_, (build, _))| *build == number);
            let left: Vec<u64> = left.map(|(instance, _)| *instance).collect();
            for instance in left {
                let why = "its build was replaced, and the time to end has passed";
                self.end_with(InstanceId(instance), Err(why.into()));
            }
        }
        let idle = self.builds.values_mut().filter_map(|build| build.take_idle(now.time));
        for build in idle {
            self.reaper.end(build);
        }
        while let Some((number, report)) = self.reaper.poll_report() {
            self.take_report(number, report);
        }
    }

    fn take_report(&mut self, number: usize, report: Report) {
        let Some(build) = self.builds.get_mut(&number) else { return };
        let was_gone = build.is_gone();
        build.state = match report {
            Report::Held(held) => State::Stuck(held),
            Report::Ended(ending) => State::Closed(ending),
        };
        if !was_gone && build.is_gone() {
            self.leaving = self.leaving.saturating_sub(1);
            self.presence.forget(number);
        }
        let closed = self.builds.values().filter(|build| build.is_gone());
        let too_many = closed.clone().count().saturating_sub(limits::MODULE_BUILDS_TOLD);
        let oldest: Vec<usize> = closed.map(|build| build.number).take(too_many).collect();
        for number in oldest {
            self.builds.remove(&number);
        }
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
            ModuleOrder::Ask { lookup, question } => self.ask(now, lookup, question),
        }
    }

    /// The next request of an application; those that were woken go on first.
    pub fn poll_request(&mut self, now: Now) -> Option<ModuleRequest> {
        self.desk.own();
        self.start_tasks(now);
        self.tend(now);
        self.finish_own(now);
        for number in self.desk.take_woken() {
            self.deliver(now, InstanceId(number), &EventParts::wake());
        }
        self.end_waits(now);
        if let Ok(answered) = self.answers.try_recv() {
            return Some(self.take_answer(now, answered));
        }
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
        !self.fresh.is_empty() || !self.answers.is_empty() || self.desk.has_requests()
    }

    /// When `poll_request` is to be called next for what it does by itself.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let wait = self.waits.keys().next().map(|(at, _)| *at);
        let drained = self.builds.values().filter(|_| self.leaving > 0).filter_map(Build::until);
        wait.into_iter().chain(drained).min()
    }

    /// Looks after builds whose wakers keep them, from time to time.
    pub fn handle_housekeeping(&mut self, now: Now) {
        self.desk.own();
        self.tend(now);
        self.name_lost_sources();
    }

    /// The build that a role or a name of the dialplan means.
    fn active(&self, module: &str) -> Option<&LoadedModule> {
        let mut active = self.builds.values().filter_map(Build::active);
        let by_role = active.clone().find(|loaded| loaded.fills(module));
        by_role.or_else(|| active.find(|loaded| loaded.name() == module))
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

    /// Starts the tasks of builds that are new, on the thread that they live on.
    fn start_tasks(&mut self, now: Now) {
        while let Some(number) = self.fresh.pop_front() {
            let Some(build) = self.builds.get_mut(&number) else { continue };
            build.begun = true;
            let Some(task) = build.active().and_then(|loaded| loaded.task) else { continue };
            build.applications = build.applications.saturating_add(1);
            let name = FIRST_TASK.saturating_add(u64::try_from(number).unwrap_or(0));
            let instance = InstanceId(name);
            self.desk.begin(instance, number, CallId::from_u64(0), "".into());
            self.tasks.insert(name, number);
            let started = self.timed(number, "task", || task.start(now, name, "", (TASK, "{}")));
            match started {
                Ok(running) => {
                    self.running.insert(name, (number, running));
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
            ModuleRequest::Messages { .. } | ModuleRequest::Answered { .. } => {
                return Some(request);
            }
        };
        if !self.tasks.contains_key(&instance.0) {
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
            ModuleRequest::Messages { .. } | ModuleRequest::Answered { .. } => {}
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

    /// Every build that is in the process, and the last ones that are not any more.
    #[must_use]
    pub fn list(&self, now: Time) -> Vec<ModuleInfo> {
        self.builds.values().map(|build| build.info(now)).collect()
    }

    /// Whether a loaded module fills a role of the dialplan.
    #[must_use]
    pub fn fills_role(&self, role: &str) -> bool {
        self.builds.values().filter_map(Build::active).any(|loaded| loaded.fills(role))
    }

    fn start(
        &mut self,
        now: Now,
        (instance, call, tenant): (InstanceId, CallId, Arc<str>),
        module: &str,
        what: (&str, &str),
    ) {
        let Some(loaded) = self.active(module) else {
            let why = format!("no loaded module fills the role {module}");
            return self.ended(instance, Err(why.into()));
        };
        let Some(app) = loaded.app else {
            let why = format!("the module {} has no applications", loaded.name());
            return self.ended(instance, Err(why.into()));
        };
        let number = loaded.number;
        self.desk.begin(instance, number, call, Arc::clone(&tenant));
        if let Some(build) = self.builds.get_mut(&number) {
            build.applications = build.applications.saturating_add(1);
            build.cost.starts = build.cost.starts.saturating_add(1);
        }
        match self.timed(number, "start", || app.start(now, instance.0, &tenant, what)) {
            Ok(running) => {
                self.running.insert(instance.0, (number, running));
            }
            Err(status) => {
                self.count_failure(number, status);
                self.conclude(instance, status);
            }
        }
    }

    fn count_failure(&mut self, number: usize, status: Status) {
        if let Some(build) = self.builds.get_mut(&number).filter(|_| status < status::OK) {
            build.cost.failures = build.cost.failures.saturating_add(1);
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
        let Some((number, mut running)) = self.running.remove(&instance.0) else { return };
        let status = self.timed(number, "event", || running.event(now, parts));
        if let Some(build) = self.builds.get_mut(&number) {
            build.cost.count_event(now.time);
        }
        self.count_failure(number, status);
        self.running.insert(instance.0, (number, running));
        if status != status::PENDING {
            self.conclude(instance, status);
        }
    }

    /// Runs a call into a build and notes what it took.
    fn timed<T>(&mut self, number: usize, what: &'static str, call: impl FnOnce() -> T) -> T {
        match self.builds.get_mut(&number) {
            Some(build) => build.cost.timed(&self.presence, (number, &build.name), what, call),
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
        if let Some((number, mut running)) = self.running.remove(&instance.0) {
            let mut results = self.overdue(instance).into_iter();
            // An application that is done on hearing one hears no more of them.
            results.all(|result| running.event(now, &result) == status::PENDING);
            self.desk.close(instance);
            self.timed(number, "destroy", || drop(running));
        }
        self.forget(instance);
    }

    /// An application has returned, failed or panicked.
    fn conclude(&mut self, instance: InstanceId, status: Status) {
        self.desk.close(instance);
        if let Some((number, running)) = self.running.remove(&instance.0) {
            self.timed(number, "destroy", || drop(running));
        }
        let reason = self.forget(instance);
        let result = match status {
            status::OK => Ok(()),
            status => Err(reason.unwrap_or_else(|| status::words(status).to_owned()).into()),
        };
        self.ended(instance, result);
    }

    /// An application is ended whether it is done or not.
    fn end_with(&mut self, instance: InstanceId, result: Result<(), Arc<str>>) {
        self.desk.close(instance);
        if let Some((number, running)) = self.running.remove(&instance.0) {
            self.timed(number, "destroy", || drop(running));
        }
        self.forget(instance);
        self.ended(instance, result);
    }

    /// Closes an instance's books; the reason that it stated.
    fn forget(&mut self, instance: InstanceId) -> Option<String> {
        let (number, reason) = self.desk.end(instance)?;
        if let Some(build) = self.builds.get_mut(&number) {
            build.applications = build.applications.saturating_sub(1);
        }
        reason
    }

    fn ended(&self, instance: InstanceId, result: Result<(), Arc<str>>) {
        self.desk.request(ModuleRequest::Ended { instance, result });
    }
}
