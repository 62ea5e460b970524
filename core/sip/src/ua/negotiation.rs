//! Whose offer waits for an answer in a dialog (RFC 3264, section 4; RFC 6337, section 2): what
//! decides whether a new offer is taken, or refused with 491 or 500 (RFC 3261, 14.2; RFC 3311,
//! 5.2).

use crate::message::Method;

/// The state of a dialog's one offer/answer exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Negotiation {
    /// No offer is open.
    #[default]
    Settled,
    /// Ours waits for the peer's answer.
    Ours,
    /// The peer's waits for our answer.
    Theirs,
}

impl Negotiation {
    /// After a description of ours left: an answer when the peer's offer is open, else an offer.
    pub(super) const fn said(self) -> Self {
        match self {
            Self::Theirs => Self::Settled,
            Self::Settled | Self::Ours => Self::Ours,
        }
    }

    /// After a description of the peer came: an answer when our offer is open, else an offer.
    pub(super) const fn heard(self) -> Self {
        match self {
            Self::Ours => Self::Settled,
            Self::Settled | Self::Theirs => Self::Theirs,
        }
    }

    /// Why a request of the peer cannot be taken now: its status.
    pub(super) const fn refusal(self, method: Method, has_offer: bool) -> Option<u16> {
        let offers = match method {
            // Without a description it asks for an offer of ours.
            Method::Invite => true,
            Method::Update => has_offer,
            _ => false,
        };
        match self {
            Self::Ours if offers => Some(491),
            Self::Theirs if offers => Some(500),
            // RFC 3262, 5: an answer is due, a second offer is none.
            Self::Theirs if has_offer && matches!(method, Method::Prack) => Some(500),
            Self::Settled | Self::Ours | Self::Theirs => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_closes_what_an_offer_opened() {
        use Negotiation::{Ours, Settled, Theirs};
        assert_eq!((Settled.said(), Ours.heard()), (Ours, Settled));
        assert_eq!((Settled.heard(), Theirs.said()), (Theirs, Settled));
    }

    #[test]
    fn an_update_without_offer_passes_and_one_with_offer_waits_its_turn() {
        use Negotiation::{Ours, Settled, Theirs};
        assert_eq!(Settled.refusal(Method::Update, true), None);
        assert_eq!(Ours.refusal(Method::Update, true), Some(491));
        assert_eq!(Theirs.refusal(Method::Update, true), Some(500));
        assert_eq!(Ours.refusal(Method::Update, false), None);
        assert_eq!(Ours.refusal(Method::Invite, false), Some(491));
        assert_eq!(Ours.refusal(Method::Prack, true), None);
        assert_eq!(Theirs.refusal(Method::Prack, true), Some(500));
        assert_eq!(Ours.refusal(Method::Info, true), None);
    }
}
