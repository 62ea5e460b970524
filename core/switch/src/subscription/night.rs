//! The night key's lamp (S-23): who watches the code of the night key sees whether the number that
//! the key is for is closed, as one confirmed dialog (RFC 4235); open is none.

use std::sync::Arc;

use koukan_dialplan::{Change, DeviceInfo, Settings};
use koukan_sip::subscription::{
    DialogDirection, DialogInfo, DialogState, Package, Participant, State,
};

use crate::action::Now;
use crate::switch::Switch;

/// Between a tenant's id and a number's name; no SIP user and no slot has it.
const BETWEEN: &str = "/night/";

impl Switch {
    /// What a night key is called at the notifier, when these digits are the key's code.
    pub(crate) fn night_of(&self, device: &DeviceInfo, digits: &str) -> Option<Arc<str>> {
        let (tenant, plans) = (&device.tenant, &self.directory.plans);
        let live = self.settings.get(tenant).map(Settings::live);
        let number = plans.night_number(tenant, &device.device, digits, live)?;
        Some(format!("{tenant}{BETWEEN}{number}").into())
    }

    /// A setting was changed: the night key's lamp follows.
    pub(crate) fn note_night(&mut self, tenant: &str, change: &Change) {
        if let Change::Closed { number, .. } = change {
            self.night_keys.insert(format!("{tenant}{BETWEEN}{number}").into());
        }
    }

    /// Tells who watches a night key what it is now.
    pub(crate) fn turn_night_keys(&mut self, now: Now) {
        for resource in std::mem::take(&mut self.night_keys) {
            if !self.notifier.is_watched(Package::Dialog, &resource) {
                continue;
            }
            if let Some(state) = self.night_state(&resource) {
                self.notifier.set_state(now.time, &resource, state);
            }
        }
    }

    /// The state of a night key by its name at the notifier; `None` when it is none.
    pub(crate) fn night_state(&self, resource: &str) -> Option<State> {
        let (tenant, number) = resource.split_once(BETWEEN)?;
        let live = self.settings.get(tenant).map(Settings::live);
        let closed = live.is_some_and(|live| live.is_closed(number));
        let host = self.config.listeners.first().map(|known| known.advertised.to_string());
        let own = format!("sip:{number}@{}", host.unwrap_or_default()).into_bytes();
        let participant =
            || Participant { identity: own.clone(), target: own.clone(), ..Participant::default() };
        let dialog = DialogInfo {
            id: format!("night-{number}").into_bytes(),
            call_id: None,
            local_tag: None,
            remote_tag: None,
            direction: DialogDirection::Recipient,
            state: DialogState::Confirmed,
            remote: participant(),
            local: participant(),
        };
        Some(State::Dialogs(if closed { vec![dialog] } else { Vec::new() }))
    }
}
