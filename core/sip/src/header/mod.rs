//! Typed views of header values (RFC 3261, sections 20 and 25), made on demand and borrowing the
//! message's bytes. A view that cannot be made is `None`; whoever asked knows what that means.

mod cseq;
mod diversion;
mod event;
mod history_info;
mod identity;
mod list;
mod name_addr;
mod option_tag;
mod params;
pub(crate) mod quoted;
mod rack;
mod reason;
mod refer;
mod replaces;
mod session_expires;
mod uri;
mod via;

pub use cseq::CSeq;
pub use diversion::Diversion;
pub use event::{EventType, SubscriptionState, SubscriptionStatus};
pub use history_info::{HistoryInfo, HistoryTarget};
pub use identity::{Party, Privacy, RemotePartyId};
pub use list::split_list;
pub use name_addr::NameAddr;
pub use option_tag::has_option_tag;
pub(crate) use option_tag::{SUPPORTED, is_supported};
pub use params::Params;
pub use rack::RAck;
pub use reason::Reason;
pub use refer::{ReferTo, ReferredBy, refer_sub};
pub use replaces::Replaces;
pub use session_expires::{Refresher, SessionExpires};
pub use uri::Uri;
pub use via::Via;

/// Digits and nothing else, as a number of 32 bits.
pub(crate) fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
