//! What of a subscription survives a restart, as plain data (RFC 6665, 4.2.2: CSeq and version go
//! on, never back).

use koukan_base::Time;

use super::state::Package;
use super::subscribe::Target;
use crate::Flow;

/// A subscription to be stored and, after a restart, handed to [`super::Notifier::restore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// The package.
    pub package: Package,
    /// The `id` parameter of its Event header.
    pub event_id: Option<Vec<u8>>,
    /// Who subscribed.
    pub user: Box<str>,
    /// Whom it is about; of a list the members at the last refresh.
    pub target: Target,
    /// The dialog's Call-ID.
    pub call_id: Vec<u8>,
    /// Our tag.
    pub local_tag: Vec<u8>,
    /// The subscriber's tag.
    pub remote_tag: Vec<u8>,
    /// Our side's name-addr without a tag.
    pub local: Vec<u8>,
    /// The subscriber's name-addr with its tag.
    pub remote: Vec<u8>,
    /// The subscriber's Contact.
    pub remote_target: Vec<u8>,
    /// The route set, topmost first.
    pub routes: Vec<Vec<u8>>,
    /// The way to the subscriber.
    pub flow: Flow,
    /// The last CSeq of the subscriber.
    pub remote_cseq: u32,
    /// No NOTIFY so far had a CSeq, or a version, above this: the next ones begin here.
    pub reserved: u32,
    /// When it ends.
    pub expires: Time,
}
