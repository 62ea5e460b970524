//! Questions about callers, and what modules answer (`kk.source/1`).

use koukan_switch::{CallerQuestion, LookupId, ModuleRequest, Now};

use super::Modules;
use crate::module::build::Build;
use crate::module::source::Answered;
use crate::module::source::cache::Key;

impl Modules {
    /// Asks a module about a caller; what holds of its answers needs no question.
    pub(super) fn ask(&mut self, now: Now, lookup: LookupId, question: Box<CallerQuestion>) {
        let answer = match self.active(&question.module) {
            None => Err("it is not loaded".into()),
            Some(loaded) => match loaded.answerer() {
                None => Err("it answers no lookups".into()),
                Some(source) => {
                    match self.known.get(now.time, &Key::new(loaded.number, &question)) {
                        Some(known) => Ok(known),
                        None => match source.ask(lookup, question) {
                            Ok(()) => return,
                            Err(why) => Err(why.into()),
                        },
                    }
                }
            },
        };
        self.desk.request(ModuleRequest::Answered { lookup, answer });
    }

    /// An answer has come: it is kept as long as it holds, and the switch's.
    pub(super) fn take_answer(&mut self, now: Now, answered: Answered) -> ModuleRequest {
        let Answered { lookup, key, build, answer, keep } = answered;
        if let Some(build) = self.builds.get_mut(&build) {
            let failed = u64::from(answer.is_err());
            build.cost.failures = build.cost.failures.saturating_add(failed);
            if let (Ok(found), true) = (&answer, build.active().is_some()) {
                self.known.put(now.time, key, found.clone(), keep);
            }
        }
        ModuleRequest::Answered { lookup, answer }
    }

    /// Names the sources and taps that do not come back.
    pub(super) fn name_the_lost(&self) {
        for loaded in self.builds.values().filter_map(Build::active) {
            if let Some(tap) = loaded.taper() {
                tap.name_the_lost(loaded.name());
            }
            if let Some(source) = loaded.answerer() {
                source.name_the_lost(loaded.name());
            }
        }
    }
}
