//! The loaded modules as the control loop sees them: orders of the switch go in, requests of the
//! applications come out. All of it happens on the control thread.
//!
//! An application that fails or panics ends alone. It hears of every operation exactly once, and is
//! destroyed exactly once; a request that it makes waits in a queue until the loop comes for it, so
//! that neither side is ever called from inside the other.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use koukan_abi::{Status, status};
use koukan_base::{CallId, Time};
use koukan_switch::{AppEvent, InstanceId, ModuleOrder, ModuleRequest, OpStatus};
use mio::Waker;

use crate::api::ModuleInfo;
use crate::config::Config;
use crate::module::ModuleError;
use crate::module::border::AppInstance;
use crate::module::call::EventParts;
use crate::module::copy::Copies;
use crate::module::desk::Desk;
use crate::module::host::LoadedModule;

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
    /// Before `modules`: instances are destroyed before their module ends.
    running: HashMap<u64, AppInstance>,
    modules: Vec<LoadedModule>,
}

impl Modules {
    /// Loads what `[module.NAME]` names; `waker` wakes the loop that polls the requests.
    ///
    /// # Errors
    /// A module cannot be loaded; the error names its file and the cause.
    pub fn load(config: &Config, waker: Arc<Waker>) -> Result<Self, ModulesError> {
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
            modules.push(LoadedModule::load(module, index, copies, &desk).map_err(refuse)?);
        }
        Ok(Self { desk, running: HashMap::new(), modules })
    }

    /// Does what the switch orders.
    pub fn handle(&mut self, now: Time, order: ModuleOrder) {
        self.desk.own();
        match order {
            ModuleOrder::Start { instance, call, module, application, arguments } => {
                self.start(now, (instance, call), &module, &application, &arguments);
            }
            ModuleOrder::Event { instance, event } => self.event(now, instance, event),
            ModuleOrder::Destroy { instance } => self.destroy(now, instance),
        }
    }

    /// The next request of an application; those that were woken go on first.
    pub fn poll_request(&mut self, now: Time) -> Option<ModuleRequest> {
        self.desk.own();
        for number in self.desk.take_woken() {
            self.deliver(now, InstanceId(number), &EventParts::wake());
        }
        self.desk.poll_request()
    }

    /// Whether requests wait that no waker will tell of.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.desk.has_requests()
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
        };
        self.modules.iter().enumerate().map(info).collect()
    }

    /// Whether a loaded module fills a role of the dialplan.
    #[must_use]
    pub fn fills_role(&self, role: &str) -> bool {
        self.modules.iter().any(|module| module.fills(role))
    }

    fn start(
        &mut self,
        now: Time,
        (instance, call): (InstanceId, CallId),
        module: &str,
        application: &str,
        arguments: &str,
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
        self.desk.begin(instance, index, call);
        match app.start(now, instance.0, application, arguments) {
            Ok(running) => {
                self.running.insert(instance.0, running);
            }
            Err(status) => self.conclude(instance, status),
        }
    }

    fn event(&mut self, now: Time, instance: InstanceId, event: AppEvent) {
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
    fn deliver(&mut self, now: Time, instance: InstanceId, parts: &EventParts) {
        let Some(running) = self.running.get_mut(&instance.0) else { return };
        let status = running.event(now, parts);
        if status != status::PENDING {
            self.conclude(instance, status);
        }
    }

    /// The results that the switch can no longer give, because the call is over.
    fn overdue(&self, instance: InstanceId) -> Vec<EventParts> {
        let hang_up = |op| AppEvent::OpDone { op, status: OpStatus::HangUp, text: "".into() };
        self.desk.settle_all(instance).into_iter().map(|op| hang_up(op).into()).collect()
    }

    /// The switch has forgotten the instance: it hears its results, and nothing of it is reported.
    fn destroy(&mut self, now: Time, instance: InstanceId) {
        if let Some(mut running) = self.running.remove(&instance.0) {
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
