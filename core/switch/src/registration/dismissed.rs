//! Devices that a reload has taken out of the plans, or that left them while the server was down:
//! nobody is called at their contacts any more, and they watch nothing. Their calls go on to their
//! own end.

use std::collections::BTreeSet;

use koukan_sip::subscription::Package;

use super::record;
use crate::action::{Action, Now};
use crate::switch::Switch;

impl Switch {
    /// Takes bindings, subscriptions and waiting messages from every user that the plans no longer
    /// have. A start calls it behind what it has restored: a record of the store may be of a device
    /// that has left.
    pub fn dismiss_unknown(&mut self, now: Now) {
        let plans = self.directory.plans.clone();
        let unknown = |user: &str| plans.device_by_user(user, "").is_none();
        let bound = self.registrar.users().map(|(user, _)| user);
        let gone: BTreeSet<String> =
            bound.chain(self.notifier.users()).filter(|u| unknown(u)).map(str::to_owned).collect();
        for user in gone {
            let changes = self.registrar.remove(now.time, &user);
            for change in changes {
                let record = record(now, &user, change);
                self.actions.push_back(Action::Record(record));
            }
            self.notifier.reject_user(now.time, &user);
            for package in [Package::Dialog, Package::Reg, Package::MessageSummary] {
                self.notifier.remove_resource(now.time, package, &user);
            }
        }
        self.messages.retain(|user, _| !unknown(user));
    }
}
