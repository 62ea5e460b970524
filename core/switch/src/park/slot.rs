//! A slot's lamp (RFC 4235): one confirmed dialog with who waits in it, none when it is free. Its
//! dialog has no Call-ID and no tags: a phone takes the call by dialling the slot.

use std::sync::Arc;

use koukan_sip::subscription::{
    DialogDirection, DialogInfo, DialogState, Package, Participant, State,
};

use crate::action::Now;
use crate::park::SlotKey;
use crate::switch::Switch;

/// Between a tenant's id and a slot's digits; neither these nor a SIP user has it.
const BETWEEN: char = '/';

/// What a slot is called at the notifier.
pub(crate) fn resource(tenant: &str, slot: &str) -> Arc<str> {
    format!("{tenant}{BETWEEN}{slot}").into()
}

impl Switch {
    /// The slot of an office that these digits are.
    pub(crate) fn slot_of(&self, tenant: &str, digits: &str) -> Option<Arc<str>> {
        let park = self.directory.plans.park(tenant)?;
        park.has(digits).then(|| resource(tenant, digits))
    }

    /// Tells who watches a slot what has become of it.
    pub(crate) fn turn_slots(&mut self, now: Now) {
        for (tenant, slot) in self.lots.take_changed() {
            let resource = resource(&tenant, &slot);
            if self.notifier.is_watched(Package::Dialog, &resource) {
                let dialogs = self.slot_dialogs(&(tenant, slot));
                self.notifier.set_state(now.time, &resource, State::Dialogs(dialogs));
            }
        }
    }

    /// The state of a slot by its name at the notifier; `None` when it is none.
    pub(crate) fn slot_state(&self, resource: &str) -> Option<State> {
        let (tenant, slot) = resource.split_once(BETWEEN)?;
        Some(State::Dialogs(self.slot_dialogs(&(tenant.into(), slot.into()))))
    }

    fn slot_dialogs(&self, (tenant, slot): &SlotKey) -> Vec<DialogInfo> {
        let call = self.lots.get(tenant, slot).and_then(|id| self.calls.get(&id));
        let waits = call.and_then(|call| Some((call, call.leg(0)?)));
        let Some((call, leg)) = waits else { return Vec::new() };
        let host = self.own_host(leg);
        let own = format!("sip:{slot}@{host}").into_bytes();
        vec![DialogInfo {
            id: format!("{}-{slot}", call.id).into_bytes(),
            call_id: None,
            local_tag: None,
            remote_tag: None,
            direction: DialogDirection::Recipient,
            state: DialogState::Confirmed,
            remote: self.participant(Some(leg), &call.called, 0, &host),
            local: Participant { identity: own.clone(), target: own, ..Participant::default() },
        }]
    }
}
