//! Documents on their way out (S-34 to S-37): drawn in a process of their own before anything is
//! dialled, kept in the store until all pages were confirmed or no attempt is left, tried again by
//! the rules of [`koukan_fax::queue`], from the first page that was not confirmed. A server that
//! was killed goes on with them at its next start.
//!
//! - [`Sent`] is what is known of one, `Entry` what the store keeps beside it;
//! - [`Tray`] takes them, lists them and cancels them, for the API;
//! - `queue` is what of them is under way, on the thread of the faxes;
//! - `drawing` is the process that makes pages of a stranger's document.

mod drawer;
mod drawing;
mod queue;
mod sent;
mod tray;

pub(super) use drawer::Drawer;
pub(super) use queue::Queue;
pub(super) use sent::Entry;
pub use sent::{Sent, SentView, State};
pub use tray::{Drawing, SendError, SendOrder, Tray};
