//! The brain, pure: calls, legs and what joins them. SIP messages, media events, module requests
//! and timers go in; [`Action`]s come out. No socket, clock or thread.
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate self as koukan_switch;

mod action;
mod audit;
mod call;
mod charge;
mod clock_jump;
mod conference;
mod config;
mod draining;
mod fax;
mod leg;
pub mod limits;
mod memory;
mod module;
mod neighbours;
mod park;
mod queue;
mod record;
mod recover;
mod registration;
mod route;
mod settings;
mod subscription;
mod switch;
mod transfer;
mod trunk;
mod view;

pub use action::{Action, Mail, Now};
pub use charge::{CAPS_OWNER, CapCount, CdrCharge, CdrPrice, PastCharge};
pub use conference::{MemberView, RoomError, RoomOrder, RoomView};
pub use config::{Directory, ListenerMedia, RoomPins, SwitchConfig, TrunkKey, TrunkRoute};
pub use fax::{
    Carried, Destination, FaxCall, FaxId, FaxNews, FaxOffice, FaxOrder, FaxReport, NotSent,
    Reception,
};
pub use koukan_dialplan::CallerQuestion;
pub use koukan_sip::subscription::{MessageCount, MessageSummary};
pub use memory::Room;
pub use module::{
    AppEvent, Found, InstanceId, LookupId, ModuleOrder, ModuleRequest, OBJECT, OpStatus, Operation,
};
pub use neighbours::{NEIGHBOURS_LISTENER, neighbours_listener, neighbours_media};
pub use queue::{AgentView, CallerView, QueueView};
pub use record::tape::{CallRecording, RECORDINGS};
pub use record::{CallCause, Cdr, CdrLeg, Contact, Note, Record, SettingRecord};
pub use registration::guard::{BanView, Banned};
pub use route::Router;
pub use subscription::watch::Watch;
pub use switch::Switch;
pub use trunk::{
    MAINTENANCE_OWNER, ResolvedHosts, Standing, TrunkHost, TrunkHostView, TrunkNews, TrunkView,
};
pub use view::{BoxView, CallView, LegView, RegistrationView, Tables};
