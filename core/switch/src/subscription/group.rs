//! A group's lamp (RFC 4235) on a phone that knows no lists (RFC 4662): one document of the dialogs
//! of its members, those that ring first. Phones that know lists get the members one by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use koukan_dialplan::DeviceInfo;
use koukan_sip::Message;
use koukan_sip::subscription::{DialogInfo, DialogState, Package, State};

use super::lamps::DeviceKey;
use crate::action::Now;
use crate::switch::Switch;

/// Between a tenant's id and a group's name; no SIP user, slot or night key has it.
const BETWEEN: &str = "/group/";
/// So many dialogs of a group are shown; a lamp needs one, and a datagram takes no hundred.
const SHOWN: usize = 6;

impl Switch {
    /// What a group is called at the notifier, when these digits or this name are one and the
    /// phone wants one lamp of it.
    pub(crate) fn group_of(
        &self,
        device: &DeviceInfo,
        digits: &str,
        message: &Message,
    ) -> Option<Arc<str>> {
        let dialogs = message.event().is_some_and(|event| event.package == b"dialog");
        if message.supports(b"eventlist") || !dialogs {
            return None;
        }
        let name = self.directory.plans.group_named(&device.tenant, digits)?;
        Some(resource(&device.tenant, name))
    }

    /// Tells who watches a group of these devices what has become of it.
    pub(crate) fn turn_groups(&mut self, now: Now, changed: &[DeviceKey]) {
        let plans = self.directory.plans.clone();
        let groups: BTreeSet<(&Arc<str>, &Arc<str>)> = changed
            .iter()
            .flat_map(|(tenant, device)| {
                plans.groups_of(tenant, device).map(move |group| (tenant, group))
            })
            .collect();
        for (tenant, group) in groups {
            let resource = resource(tenant, group);
            if self.notifier.is_watched(Package::Dialog, &resource)
                && let Some(state) = self.group_state(&resource)
            {
                self.notifier.set_state(now.time, &resource, state);
            }
        }
    }

    /// The state of a group by its name at the notifier; `None` when it is none.
    pub(crate) fn group_state(&self, resource: &str) -> Option<State> {
        let (tenant, group) = resource.split_once(BETWEEN)?;
        let devices = self.directory.plans.group_devices(tenant, group).unwrap_or_default();
        let keys = devices.into_iter().map(|info| (info.tenant.clone(), info.device.clone()));
        let mut dialogs: Vec<DialogInfo> = keys.flat_map(|key| self.dialogs_of(&key)).collect();
        dialogs.sort_by_key(|dialog| match dialog.state {
            DialogState::Early => 0,
            DialogState::Trying => 1,
            _ => 2,
        });
        dialogs.truncate(SHOWN);
        Some(State::Dialogs(dialogs))
    }
}

fn resource(tenant: &str, group: &str) -> Arc<str> {
    format!("{tenant}{BETWEEN}{group}").into()
}
