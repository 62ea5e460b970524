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
mod holiday;
pub mod limits;
mod load;
mod model;
mod outcome;
mod plans;
mod rating;
mod read;
mod simulate;
mod source;

pub use capability::{Capabilities, Feature};
pub use decision::{
    Caller, Decision, Direction, Facts, Idle, Origin, PromptRef, Reason, Release, RingTarget,
    Start, State, Step, TrunkCall,
};
pub use diagnostic::{Diagnostic, Report, Severity};
pub use holiday::{Holiday, japan as japanese_holiday};
pub use model::device::DeviceKind;
pub use model::signalling::{DeviceSignalling, DiversionHeader, IdentityHeader, TrunkSignalling};
pub use outcome::Outcome;
pub use plans::{DeviceInfo, Loaded, Plans, TrunkInfo};
pub use read::Money;
pub use simulate::{SimulateError, Simulation};
pub use source::TenantSource;
