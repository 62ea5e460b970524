//! The loaded modules as the control loop sees them.

use std::collections::VecDeque;
use std::sync::Arc;

use koukan_base::Time;
use koukan_switch::{ModuleOrder, ModuleRequest};
use mio::Waker;

use crate::api::ModuleInfo;
use crate::config::Config;

/// A module cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModulesError {}

/// The loaded modules.
#[derive(Debug)]
pub struct Modules {
    answers: VecDeque<ModuleRequest>,
}

impl Modules {
    /// Loads what `[module.NAME]` names.
    ///
    /// # Errors
    /// A module cannot be loaded; the error names its file and the cause.
    pub fn load(_config: &Config, _waker: Arc<Waker>) -> Result<Self, ModulesError> {
        Ok(Self { answers: VecDeque::new() })
    }

    /// Does what the switch orders.
    pub fn handle(&mut self, order: ModuleOrder) {
        if let ModuleOrder::Start { instance, module, .. } = order {
            let result = Err(Arc::from(format!("no loaded module fills the role {module}")));
            self.answers.push_back(ModuleRequest::Ended { instance, result });
        }
    }

    /// The next request of a module.
    pub fn poll_request(&mut self, _now: Time) -> Option<ModuleRequest> {
        self.answers.pop_front()
    }

    /// Every loaded module.
    #[must_use]
    pub fn list(&self) -> Vec<ModuleInfo> {
        Vec::new()
    }
}
