//! A party that was sent on and that nobody takes (RFC 5589, section 5, leaves it to the
//! transferor, who may have hung up long before): the phone that sent it on rings again and shows
//! for whom the party was meant. Whoever is not taken there either is released.

use std::sync::Arc;
use std::time::Duration;

use koukan_dialplan::{RingTarget, Start, Step};

use crate::action::Now;
use crate::call::{Call, Stage};
use crate::leg::{LegState, Party};
use crate::switch::{Fate, Switch};

/// How long the phone rings that a party comes back to.
const RINGS: Duration = Duration::from_secs(30);

/// Whom a party comes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RingBack {
    tenant: Arc<str>,
    device: Arc<str>,
    /// For whom the party was meant, by what was dialled.
    meant: Arc<str>,
}

impl RingBack {
    /// A phone of an office rings again; carriers and fax boxes do not.
    pub(crate) fn to(referrer: &Party, meant: &str) -> Option<Box<Self>> {
        let Party::Device { tenant, device } = referrer else { return None };
        let (tenant, device) = (tenant.clone(), device.clone());
        Some(Box::new(Self { tenant, device, meant: meant.into() }))
    }
}

impl Call {
    /// Whether nobody has taken the first party of this call so far.
    pub(crate) const fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::Opening { .. } | Stage::Ringing(_) | Stage::Trunk(_))
    }
}

impl Switch {
    /// Nobody took the party that was sent on: it comes back to who sent it. `None` when it was
    /// not sent on, or is not answered itself.
    pub(crate) fn ring_back(&mut self, now: Now, call: &mut Call) -> Option<Fate> {
        let back = call.ring_back.take()?;
        if !matches!(call.leg(0)?.state, LegState::Up { .. }) {
            return None;
        }
        let info = self.directory.plans.device(&back.tenant, &back.device)?;
        let target = RingTarget {
            device: info.device.clone(),
            user: info.user.clone(),
            start: Start::After(Duration::ZERO),
        };
        self.explain(call.id, format!("comes back to device {}", back.device));
        let called_name = Some(self.meant_for(&back));
        call.failures.clear();
        call.did = None;
        call.steps.clear();
        call.steps.push_back(Step::Ring { targets: vec![target], timeout: RINGS, called_name });
        Some(self.next_step(now, call))
    }

    /// How a party that comes back is shown on the phone.
    fn meant_for(&self, back: &RingBack) -> Arc<str> {
        match self.directory.plans.language(&back.tenant) {
            "ja" => format!("転送戻り {}", back.meant).into(),
            _ => format!("Back from {}", back.meant).into(),
        }
    }
}
