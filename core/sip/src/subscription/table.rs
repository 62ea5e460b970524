//! One subscription as the notifier keeps it.

use std::collections::BTreeSet;

use koukan_base::Time;

use super::record::SubscriptionRecord;
use super::subscribe::Target;

/// Why a subscription ends (RFC 6665, 4.2.2), as Subscription-State says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its time is over, or the subscriber ended it.
    Timeout,
    /// The resource is gone.
    NoResource,
    /// Subscribe again at once: this server stops.
    Deactivated,
    /// Not permitted any more.
    Rejected,
}

impl Ending {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NoResource => "noresource",
            Self::Deactivated => "deactivated",
            Self::Rejected => "rejected",
        }
    }
}

/// What the next NOTIFY has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// These members of a list.
    Members(BTreeSet<u16>),
}

impl News {
    pub(super) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// A member has changed.
    pub(super) fn add(&mut self, member: u16) {
        match self {
            Self::All => {}
            Self::None => *self = Self::Members(BTreeSet::from([member])),
            Self::Members(members) => {
                members.insert(member);
            }
        }
    }
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Identity, target and life, as they are stored.
    pub(super) record: Box<SubscriptionRecord>,
    /// NOTIFYs sent: the next CSeq is one more, the next version is this.
    pub(super) sent: u32,
    pub(super) news: News,
    /// A NOTIFY waits for its response.
    pub(super) outstanding: bool,
    /// Nothing is sent before this: a Retry-After, or a list's changes being gathered.
    pub(super) not_before: Option<Time>,
    pub(super) ending: Option<Ending>,
    /// The last NOTIFY says that it is over and waits for its response.
    pub(super) last: bool,
}

impl Subscription {
    pub(super) const fn is_list(&self) -> bool {
        matches!(self.record.target, Target::List { .. })
    }

    /// When something is due. One that is ending goes as soon as it may, or when the state that it
    /// waits for has not come in time.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        if self.last {
            return None;
        }
        if self.ending.is_some() {
            let at = self.not_before.unwrap_or(self.record.expires);
            return (!self.outstanding).then_some(at);
        }
        let waits = !self.outstanding && !self.news.is_none();
        Some(
            self.not_before
                .filter(|_| waits)
                .map_or(self.record.expires, |at| at.min(self.record.expires)),
        )
    }
}
