//! The dialplan, pure: TOML schema with exact errors, schedules, decisions, simulation.
//!
//! Texts are handed in as (path, text) pairs ([`Plans::load`]) and become checked [`Plans`] with a
//! [`Report`]; [`Plans::decide`] answers a call with steps and the reason of each.
#![forbid(unsafe_code)]

mod capability;
mod check;
mod country;
mod decide;
mod decision;
mod diagnostic;
mod diff;
mod format;
mod holiday;
pub mod limits;
mod live;
mod load;
mod masked;
mod model;
mod outcome;
mod places;
mod plans;
mod pool;
mod rating;
mod read;
mod shards;
mod simulate;
mod source;
mod state;
mod timeline;

pub use capability::{Capabilities, Feature};
pub use decide::{Ask, Asker, CallerQuestion, OutsideLeg, Resumed, RoomSecrets, TrunkCall};
pub use decision::{
    Alert, Caller, Decision, Direction, Diversion, DiversionCause, Facts, FaxRule, Notice, Origin,
    PromptRef, Reason, Recording, Release, RingTarget, Start, Step, Way,
};
pub use diagnostic::{Diagnostic, Report, Severity};
pub use diff::Difference;
pub use format::{FormatError, format};
pub use holiday::{Holiday, is_provisional, japan as japanese_holiday};
pub use live::{
    Aside, CellValue, Change, ChangeError, Effective, Entry, EntryError, Live, Setting, Settings,
};
pub use load::Each;
pub use masked::masked_line;
pub use model::boxes::{FaxBox, FaxDelays, FaxFormat, VoicemailBox};
pub use model::caps::{Cap, CapLevel};
pub use model::device::DeviceKind;
pub use model::module::{Field as ModuleField, Kind as ModuleFieldKind, options as module_options};
pub use model::number::Mode;
pub use model::outside::{Account as TrunkAccount, Network, TrunkHostName};
pub use model::schedule::DayClass;
pub use model::sender::{FaxSender, FaxSenderError};
pub use model::services::{FeatureCode, Menu, Park, Queue, QueueStrategy, ReturnTo, Room};
pub use model::signalling::{
    CodecSet, DeviceSignalling, DiversionHeader, IdentityHeader, SrtpPolicy, TrunkSignalling,
};
pub use model::tariff::ChargedLeg;
pub use outcome::Outcome;
pub use places::KeyPlaces;
pub use plans::{DeviceInfo, Loaded, NEIGHBOURS, NEIGHBOURS_AT, Plans, TrunkInfo};
pub use rating::{Account, BillingMonth, Charge, Charged, Far, FinishedLeg, RateError};
pub use read::{Money, json_schema};
pub use simulate::{SimulateError, Simulation};
pub use source::{ModuleSource, Sources, TenantSource};
pub use state::{Idle, State, TrunkState, Usage};
pub use timeline::{NumberInfo, Timeline, TimelineDay};
