//! What the control calls show of a switch.

use std::sync::Arc;

use jiff::Timestamp;
use koukan_base::CallId;
use koukan_sip::subscription::MessageCount;
use serde::Serialize;

use crate::call::{Call, Stage};
use crate::leg::{Leg, LegState};
use crate::switch::Switch;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallView {
    /// Its id.
    pub call: String,
    /// Its tenant.
    pub tenant: String,
    /// `inbound`, `outbound`, `internal`.
    pub direction: String,
    /// Who calls.
    pub caller: String,
    /// What was called.
    pub called: String,
    /// `opening`, `ringing`, `trunk`, `module NAME`, `echo`, `menu NAME`, `paging`,
    /// `conference ROOM`, `queue NAME`, `parked SLOT`, `bridged`.
    pub stage: String,
    /// When it came.
    pub started: Timestamp,
    /// When it was answered.
    pub answered: Option<Timestamp>,
    /// Its legs, the caller's first.
    pub legs: Vec<LegView>,
}

/// One leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegView {
    /// `device A`, `trunk carrier`.
    pub party: String,
    /// `opening`, `incoming`, `calling`, `ringing`, `up`, `ended`.
    pub state: String,
    /// Where the peer's signalling is.
    pub flow: String,
    /// The codec, when one is agreed.
    pub codec: Option<String>,
}

/// One registered contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistrationView {
    /// SIP user.
    pub user: String,
    /// Tenant.
    pub tenant: String,
    /// Device.
    pub device: String,
    /// The contact.
    pub contact: String,
    /// The way back to it.
    pub flow: String,
    /// Seconds until it expires.
    pub expires_s: u64,
    /// The phone.
    pub user_agent: String,
    /// Which phone it is (`+sip.instance`).
    pub instance: Option<String>,
    /// Which of its flows (RFC 5626).
    pub reg_id: Option<u32>,
    /// The contact is another address than the phone speaks from.
    pub behind_nat: bool,
    /// `untested`, `reachable`, `unreachable` (it does not answer), `lost` (its connection ended).
    pub health: String,
    /// How long its last answer took.
    pub round_trip_ms: Option<u64>,
}

/// Sizes of every table that must be empty when nothing is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tables {
    /// Calls.
    pub calls: usize,
    /// Media streams.
    pub streams: usize,
    /// Module instances.
    pub instances: usize,
    /// Faxes.
    pub faxes: usize,
    /// Dialogs.
    pub dialogs: usize,
    /// Client transactions.
    pub client_transactions: usize,
    /// Server transactions.
    pub server_transactions: usize,
    /// Conference rooms that somebody is in.
    pub rooms: usize,
    /// Callers in queues.
    pub queued: usize,
    /// Calls in park slots.
    pub parked: usize,
    /// Channels held.
    pub channels: usize,
    /// Calls with legs to outside.
    pub outside: usize,
    /// Calls that wait for what a module knows of their callers.
    pub lookups: usize,
}

/// A box of an office and what lies in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoxView {
    /// Its tenant.
    pub tenant: String,
    /// Its name in the plan.
    #[serde(rename = "box")]
    pub name: String,
    /// Messages that nobody has heard.
    pub new: u32,
    /// Messages that were heard and are kept.
    pub old: u32,
}

impl Switch {
    /// The voicemail boxes that have had a message.
    #[must_use]
    pub fn boxes(&self) -> Vec<BoxView> {
        let view = |((tenant, name), count): (&(Arc<str>, Arc<str>), &MessageCount)| BoxView {
            tenant: tenant.to_string(),
            name: name.to_string(),
            new: count.new,
            old: count.old,
        };
        let mut views: Vec<BoxView> = self.mailboxes.iter().map(view).collect();
        views.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
        views
    }

    /// The SIP Call-IDs of a call that is up, or was a moment ago.
    #[must_use]
    pub fn sip_call_ids(&self, id: CallId) -> Option<Vec<String>> {
        let closing = || self.closing.get(&id).map(|(call, _)| call);
        let call = self.calls.get(&id).or_else(closing)?;
        let ids = call.legs.iter().map(|leg| leg.sip_call_id.clone());
        Some(ids.filter(|id| !id.is_empty()).collect())
    }

    /// Sizes of every table.
    #[must_use]
    pub fn tables(&self) -> Tables {
        let ua = self.ua.counts();
        Tables {
            calls: self.calls.len().saturating_add(self.closing.len()),
            streams: self.by_stream.len(),
            instances: self.by_instance.len(),
            faxes: self.by_fax.len(),
            dialogs: ua.dialogs.max(self.by_dialog.len()),
            client_transactions: ua.client_transactions.max(self.by_client.len()),
            server_transactions: ua.server_transactions.max(self.by_server.len()),
            rooms: self.rooms.len(),
            queued: self.queues.len(),
            parked: self.lots.len(),
            channels: usize::from(!self.channels.is_empty()),
            outside: self.usages.running(),
            lookups: self.lookups.len(),
        }
    }

    /// Every call.
    #[must_use]
    pub fn calls(&self) -> Vec<CallView> {
        let mut views: Vec<CallView> = self.calls.values().map(|call| call_view(call)).collect();
        views.sort_by(|a, b| a.call.cmp(&b.call));
        views
    }
}

fn call_view(call: &Call) -> CallView {
    CallView {
        call: call.id.to_string(),
        tenant: call.tenant.to_string(),
        direction: call.direction.as_str().to_owned(),
        caller: call.caller.clone(),
        called: call.called.clone(),
        stage: match &call.stage {
            Stage::Opening { .. } => "opening".to_owned(),
            Stage::Ringing(_) => "ringing".to_owned(),
            Stage::Trunk(_) => "trunk".to_owned(),
            Stage::Module(run) => format!("module {}", run.module),
            Stage::Echo => "echo".to_owned(),
            Stage::Fax(run) => format!("fax {}", run.mailbox),
            Stage::Menu(run) => format!("menu {}", run.name),
            Stage::Paging(_) => "paging".to_owned(),
            Stage::Conference(attendance) => format!("conference {}", attendance.key.1),
            Stage::Queue(waiting) => format!("queue {}", waiting.name),
            Stage::Parked(parked) => format!("parked {}", parked.slot),
            Stage::Bridged { .. } => "bridged".to_owned(),
        },
        started: call.started,
        answered: call.answered,
        legs: call.legs.iter().map(leg_view).collect(),
    }
}

fn leg_view(leg: &Leg) -> LegView {
    LegView {
        party: leg.party.name(),
        state: match leg.state {
            LegState::Opening => "opening",
            LegState::Incoming { .. } => "incoming",
            LegState::Calling { rang: false, .. } => "calling",
            LegState::Calling { rang: true, .. } => "ringing",
            LegState::Up { .. } => "up",
            LegState::Ended => "ended",
        }
        .to_owned(),
        flow: leg.flow.to_string(),
        codec: leg.agreed.as_ref().map(|agreed| agreed.format.name.clone()),
    }
}
