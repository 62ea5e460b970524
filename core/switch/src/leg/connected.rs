//! Connected identity (RFC 3325 in responses and in UPDATE, RFC 4916 in purpose): phones are shown
//! who really answered, after a ring list, a pickup or a transfer. Carriers are told nothing of
//! who sits where in an office.

use koukan_sip::{ExtraHeaders, Message, Method};

use crate::action::Now;
use crate::call::Call;
use crate::leg::identity::{Identity, address, connected_of};
use crate::leg::{LegState, Party};
use crate::switch::Switch;

impl Switch {
    /// The headers that tell the peer of `viewer` who is at the other end.
    pub(crate) fn connected(&self, call: &Call, viewer: u16, of: u16) -> ExtraHeaders {
        let (Some(viewer), Some(party)) = (call.leg(viewer), call.leg(of)) else {
            return Vec::new();
        };
        if !matches!(viewer.party, Party::Device { .. }) {
            return Vec::new();
        }
        let host = self.own_host(viewer);
        match self.user_of(party) {
            Some(user) => {
                let value = address(&party.identity.display, &user, &host);
                vec![("P-Asserted-Identity", value)]
            }
            None => Vec::new(),
        }
    }

    /// Who a leg that we called turned out to be: a device is itself, whatever it says; a trunk is
    /// believed when the plan trusts it.
    pub(crate) fn learn_connected(&self, call: &mut Call, index: u16, message: &Message) {
        let Some(leg) = call.leg_mut(index) else { return };
        let Party::Trunk((tenant, name)) = &leg.party else { return };
        let trunk = self.directory.plans.trunk(tenant.as_deref(), name);
        let trusted = trunk.is_some_and(|trunk| trunk.signalling.trusted);
        if let Some(identity) = trusted.then(|| connected_of(message)).flatten() {
            leg.identity = identity;
        }
    }

    /// Tells a party that is up who it talks to now: by UPDATE, which leaves its media alone; one
    /// that takes none by a re-INVITE with its last description unchanged, when nothing else is
    /// being agreed on, and otherwise at the next refresh of its session.
    pub(crate) fn tell_connected(&mut self, now: Now, call: &mut Call, viewer: u16, of: u16) {
        let Some(leg) = call.leg(viewer) else { return };
        let (LegState::Up { dialog }, update) = (leg.state, leg.takes_update) else { return };
        let headers = self.connected(call, viewer, of);
        if headers.is_empty() {
            return;
        }
        if update {
            self.ua.request_in_dialog(now.time, dialog, Method::Update, headers, None);
        } else if leg.offered.is_none() && leg.agreed.is_some() && self.ua.may_offer(dialog) {
            self.repeat_offer(now, call, viewer, headers);
        }
    }

    /// Who a leg is called as, before it answers.
    pub(crate) fn called_identity(&self, party: &Party, number: &str) -> Identity {
        let extension = match party {
            Party::Device { tenant, device } => self.directory.plans.device(tenant, device),
            Party::Trunk(_) | Party::FaxBox { .. } => None,
        };
        Identity::of_number(extension.map_or_else(|| number.into(), |info| info.extension.clone()))
    }
}
