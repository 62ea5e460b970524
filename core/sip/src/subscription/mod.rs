//! Subscriptions (RFC 6665) as a notifier serves them: who watches what, for how long, and the
//! NOTIFYs that follow a change.
//!
//! [`Notifier`] is a core of its own beside the user agent: SUBSCRIBEs go in, NOTIFYs come out as
//! plain requests for [`crate::UserAgent::request_as`]. It knows the packages `message-summary`
//! (RFC 3842), `dialog` (RFC 4235) and `reg` (RFC 3680), each also over a list of resources
//! (RFC 4662). A subscription within the dialog of a call (RFC 6665, 4.5.2 advises against it) is
//! not served.

mod dialog_info;
mod message_summary;
mod notifier;
mod record;
mod refer;
mod reg_info;
mod resource_list;
mod state;
mod subscribe;
mod table;
#[cfg(test)]
mod tests;
mod users;
mod watch;
mod xml;

pub use dialog_info::{DialogDirection, DialogInfo, DialogState, Participant};
pub use message_summary::{MessageCount, MessageSummary, unsolicited};
pub use notifier::{Notifier, NotifierAction, NotifierConfig};
pub use record::SubscriptionRecord;
pub use refer::{ReferReport, Referral, ReferralEvent, sipfrag, sipfrag_status};
pub use reg_info::{ContactEvent, ContactInfo, RegInfo, RegState};
pub use resource_list::Member;
pub use state::{Package, State};
pub use subscribe::{Subscribe, SubscribeError, Target};

/// One subscription of one notifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(u64);

impl SubscriptionId {
    /// The number, for storage; it does not repeat in the life of a notifier.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}
