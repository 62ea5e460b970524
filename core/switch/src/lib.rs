//! The brain, pure: calls, legs and what joins them. SIP messages, media events, module requests
//! and timers go in; [`Action`]s come out.
#![forbid(unsafe_code)]

mod action;
mod module;
mod record;

pub use action::{Action, Now};
pub use module::{AppEvent, InstanceId, ModuleOrder, ModuleRequest, OpStatus, Operation};
pub use record::{CallCause, Cdr, CdrLeg, Contact, Record};
