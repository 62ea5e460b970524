//! What phones' lamps show: the dialogs of each device, as the `dialog` package tells them (RFC
//! 4235), with what a pickup by Replaces needs.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use koukan_base::CallId;
use koukan_sip::subscription::{DialogDirection, DialogInfo, DialogState, Participant};

use crate::call::{Call, Stage};
use crate::leg::identity::{address, escape};
use crate::leg::{Leg, LegState, Party};
use crate::switch::Switch;

/// A device by its tenant and its name.
pub(crate) type DeviceKey = (Arc<str>, Arc<str>);

/// Which calls each device takes part in, and whose lamps have to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Lamps {
    calls: HashMap<DeviceKey, Vec<CallId>>,
    changed: BTreeSet<DeviceKey>,
}

impl Lamps {
    /// A call has changed: its legs from `indexed` on are new.
    pub(crate) fn note(&mut self, call: &mut Call) {
        for (at, leg) in call.legs.iter().enumerate() {
            let Party::Device { tenant, device } = &leg.party else { continue };
            let key = (tenant.clone(), device.clone());
            if at >= call.indexed {
                let calls = self.calls.entry(key.clone()).or_default();
                if !calls.contains(&call.id) {
                    calls.push(call.id);
                }
            }
            self.changed.insert(key);
        }
        call.indexed = call.legs.len();
    }

    /// A call is over.
    pub(crate) fn forget(&mut self, call: &Call) {
        for leg in &call.legs {
            let Party::Device { tenant, device } = &leg.party else { continue };
            let key = (tenant.clone(), device.clone());
            if let Some(calls) = self.calls.get_mut(&key) {
                calls.retain(|known| *known != call.id);
                if calls.is_empty() {
                    self.calls.remove(&key);
                }
            }
            self.changed.insert(key);
        }
    }

    /// A leg of a call is forgotten.
    pub(crate) fn forget_leg(&mut self, call: &mut Call, gone: &Party) {
        call.indexed = call.indexed.min(call.legs.len());
        let Party::Device { tenant, device } = gone else { return };
        if call.legs.iter().any(|leg| leg.party == *gone) {
            return;
        }
        let key = (tenant.clone(), device.clone());
        if let Some(calls) = self.calls.get_mut(&key) {
            calls.retain(|known| *known != call.id);
            if calls.is_empty() {
                self.calls.remove(&key);
            }
        }
        self.changed.insert(key);
    }

    /// Calls that are lost are nobody's.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(CallId) -> bool) {
        let changed = &mut self.changed;
        self.calls.retain(|key, calls| {
            let before = calls.len();
            calls.retain(|call| is_kept(*call));
            if calls.len() != before {
                changed.insert(key.clone());
            }
            !calls.is_empty()
        });
    }

    /// The devices whose calls have changed since their lamps were looked at.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &DeviceKey> {
        self.changed.iter()
    }

    pub(crate) fn of(&self, key: &DeviceKey) -> &[CallId] {
        self.calls.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn take_changed(&mut self) -> BTreeSet<DeviceKey> {
        std::mem::take(&mut self.changed)
    }
}

impl Switch {
    /// The dialogs of a device, in the order of their calls.
    pub(crate) fn dialogs_of(&self, key: &DeviceKey) -> Vec<DialogInfo> {
        let mut dialogs = Vec::new();
        for id in self.lamps.of(key) {
            let Some(call) = self.calls.get(id) else { continue };
            for (index, leg) in (0u16..).zip(&call.legs) {
                let own = matches!(&leg.party, Party::Device { tenant, device }
                    if *tenant == key.0 && *device == key.1);
                if own {
                    dialogs.extend(self.dialog_info(call, index, leg));
                }
            }
        }
        dialogs
    }

    fn dialog_info(&self, call: &Call, index: u16, leg: &Leg) -> Option<DialogInfo> {
        let (state, dialog) = match leg.state {
            LegState::Opening | LegState::Ended => return None,
            LegState::Incoming { dialog, .. } if call.rings => (DialogState::Early, Some(dialog)),
            LegState::Incoming { dialog, .. } => (DialogState::Trying, Some(dialog)),
            LegState::Calling { rang, .. } => {
                let state = if rang { DialogState::Early } else { DialogState::Trying };
                (state, leg.early.last().copied())
            }
            LegState::Up { dialog } => (DialogState::Confirmed, Some(dialog)),
        };
        let direction = if leg.contact.is_some() {
            DialogDirection::Recipient
        } else {
            DialogDirection::Initiator
        };
        let other = match call.stage {
            Stage::Bridged { leg } if index == 0 => call.leg(leg),
            _ if index == 0 => None,
            _ => call.leg(0),
        };
        let host = self.own_host(leg);
        let identity = dialog.and_then(|dialog| self.ua.identity(dialog));
        let user = self.user_of(leg).unwrap_or_default();
        let local = format!("sip:{}@{host}", escape(&user)).into_bytes();
        Some(DialogInfo {
            id: format!("{}-{}", call.id, leg.number).into_bytes(),
            call_id: identity.map(|(call_id, ..)| call_id.to_vec()),
            // Seen from the phone that is watched: its own tag is the peer's of our dialog.
            local_tag: identity.map(|(_, _, theirs)| theirs.to_vec()),
            remote_tag: identity.map(|(_, ours, _)| ours.to_vec()),
            direction,
            state,
            remote: self.participant(other, &call.called, index, &host),
            local: Participant { identity: local.clone(), target: local, ..Participant::default() },
        })
    }

    /// The other party, as far as this office may know it; of a call that nobody has answered,
    /// what was dialled.
    pub(crate) fn participant(
        &self,
        other: Option<&Leg>,
        called: &str,
        index: u16,
        host: &str,
    ) -> Participant {
        let (user, display) = match other {
            Some(leg) => (self.user_of(leg), leg.identity.display.to_vec()),
            None if index == 0 => (Some(called.into()), Vec::new()),
            None => (None, Vec::new()),
        };
        let Some(user) = user else {
            let hidden = b"sip:anonymous@anonymous.invalid".to_vec();
            return Participant { identity: hidden, ..Participant::default() };
        };
        let uri = address(&[], &user, host);
        let uri = uri.strip_prefix(b"<").and_then(|uri| uri.strip_suffix(b">"));
        let uri = uri.unwrap_or_default().to_vec();
        let bare = display.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\""));
        let display = bare.unwrap_or(&display).to_vec();
        Participant { display, identity: uri.clone(), target: uri }
    }
}
