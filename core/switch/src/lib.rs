//! The brain, pure: calls, legs and what joins them. SIP messages, media events, module requests
//! and timers go in; [`Action`]s come out. No socket, clock or thread.
#![forbid(unsafe_code)]

mod action;
mod answered;
mod call;
mod calling;
mod cdr;
mod channels;
mod config;
mod connected;
mod diverted;
mod dtmf;
mod habits;
mod identity;
mod in_dialog;
mod keepalive;
mod lamps;
mod leg;
pub mod limits;
mod media;
mod memory;
mod module;
mod record;
mod redirect;
mod refresh;
mod registration;
mod replaces;
mod request;
mod ring;
mod run;
mod steps;
mod subscriptions;
mod switch;
mod throttle;
mod transfer;
mod trunk;
mod view;
mod watch;

pub use action::{Action, Now};
pub use config::{Directory, ListenerMedia, SwitchConfig, TrunkKey, TrunkRoute};
pub use koukan_sip::subscription::{MessageCount, MessageSummary};
pub use module::{AppEvent, InstanceId, ModuleOrder, ModuleRequest, OpStatus, Operation};
pub use record::{CallCause, Cdr, CdrLeg, Contact, Record};
pub use switch::Switch;
pub use view::{CallView, LegView, RegistrationView, Tables};
pub use watch::Watch;
