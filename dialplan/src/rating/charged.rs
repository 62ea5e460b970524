//! What a leg of a call is charged as, known when it begins: the switch keeps it with the leg, a
//! simulation makes finished legs of it at once, so that both come to the same price.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Far, FinishedLeg};
use crate::decide::OutsideLeg;
use crate::decision::{Caller, Decision, Origin, Step};
use crate::model::tariff::ChargedLeg;

/// What a leg is charged as, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    /// The tenant that pays.
    pub payer: Arc<str>,
    /// What kind of leg.
    pub leg: ChargedLeg,
    /// The device whose ID is charged; none for forwarded and toll-free legs.
    pub device: Option<Arc<str>>,
    /// The other side.
    pub far: Far,
}

impl Charged {
    /// A leg to outside.
    #[must_use]
    pub fn outside(leg: &OutsideLeg) -> Self {
        let kind = ChargedLeg::asked(leg.asker, leg.device.is_some());
        let device = leg.device.clone().filter(|_| kind != ChargedLeg::Forward);
        let far = Far::Class(Arc::clone(&leg.class));
        Self { payer: Arc::clone(&leg.payer), leg: kind, device, far }
    }

    /// The caller of a toll-free number, when the decision is about one (S-97). A device of this
    /// server that calls it costs nobody anything.
    #[must_use]
    pub fn toll_free(decision: &Decision, origin: &Origin, caller: &Caller) -> Option<Self> {
        match origin {
            Origin::Device { .. } => return None,
            Origin::Trunk { .. } => decision.toll_free.as_ref()?,
        };
        let number = caller.number.clone().filter(|_| !caller.anonymous);
        let far = number.map_or(Far::Anonymous, Far::Number);
        let payer = Arc::clone(&decision.tenant);
        Some(Self { payer, leg: ChargedLeg::TollfreeIn, device: None, far })
    }

    /// The leg when it is over, or as it stands while it lasts.
    #[must_use]
    pub fn finished(&self, answered: Timestamp, talk: Duration) -> FinishedLeg {
        FinishedLeg {
            leg: self.leg,
            device: self.device.clone(),
            far: self.far.clone(),
            answered,
            talk,
            pages: 0,
            by_app: false,
        }
    }
}

/// The legs of a decision that would be charged after so much talk, with who pays for each.
pub(crate) fn legs_of(
    decision: &Decision,
    origin: &Origin,
    caller: &Caller,
    at: Timestamp,
    talk: Duration,
) -> Vec<(Arc<str>, FinishedLeg)> {
    let outside = match decision.steps.first().map(Step::unguarded) {
        Some(Step::Trunk(call) | Step::Forward(call)) => Some(Charged::outside(call)),
        _ => None,
    };
    let legs = Charged::toll_free(decision, origin, caller).into_iter().chain(outside);
    legs.map(|charged| (Arc::clone(&charged.payer), charged.finished(at, talk))).collect()
}
