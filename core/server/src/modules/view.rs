//! What others see of the modules: the list for operators, the roles that are filled, and who takes
//! down calls.

use std::sync::Arc;

use koukan_base::Time;
use koukan_dialplan::Plans;
use koukan_engine::Taps;

use super::Modules;
use crate::api::ModuleInfo;
use crate::module::build::Build;
use crate::module::tap::RECORDING;

impl Modules {
    /// Who takes down the calls that are recorded: the module whose role is "recording".
    #[must_use]
    pub fn taps(&self) -> Arc<dyn Taps> {
        Arc::clone(&self.reels) as Arc<dyn Taps>
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

    /// What an operator should know of the recordings that plans order, when no module makes them.
    #[must_use]
    pub fn missing_recorder(&self, plans: &Plans) -> Option<String> {
        let mut active = self.builds.values().filter_map(Build::active);
        let records = active.any(|loaded| loaded.fills(RECORDING) && loaded.taper().is_some());
        if records { None } else { nobody_records(plans) }
    }
}

/// What is wrong when a plan records and no module has the role.
pub(crate) fn nobody_records(plans: &Plans) -> Option<String> {
    let (tenant, what) = plans.recorded().next()?;
    Some(format!(
        "tenant {tenant}: {what} is to be recorded, and no module with `grants = [\"taps\"]` has \
         role = \"{RECORDING}\": no call is recorded (modules/README.md)"
    ))
}
