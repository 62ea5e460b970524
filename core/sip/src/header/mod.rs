//! Typed views of header values (RFC 3261, sections 20 and 25), made on demand and borrowing the
//! message's bytes. A view that cannot be made is `None`; whoever asked knows what that means.

mod cseq;
mod list;
mod name_addr;
mod params;
mod uri;
mod via;

pub use cseq::CSeq;
pub use list::split_list;
pub use name_addr::NameAddr;
pub use params::Params;
pub use uri::Uri;
pub use via::Via;
