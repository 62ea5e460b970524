//! The dialplan, pure: TOML text becomes checked plans, facts become decisions.
//!
//! Files are handed in as text; time, registrations and channels are handed in as facts. What a
//! decision says is executed by the switch and printed by `sim` from the same value.
#![forbid(unsafe_code)]

mod decide;
mod decision;
mod expect;
mod plan;
mod plans;
mod schema;
mod text;

pub use decision::{
    Caller, Decision, Facts, Origin, PromptRef, Reason, Release, RingTarget, Start, State, Step,
    TrunkCall,
};
pub use expect::{Quiet, moment};
pub use plan::class::ClassRule;
pub use plan::holiday::{Holidays, japanese_holiday, last_gazetted_year};
pub use plan::schedule::{DayClass, Schedule};
pub use plan::{Device, DeviceKind, Expect, Mode, Number, Outbound, Plan, Ring, Strategy, Trunk};
pub use plans::{DeviceInfo, Plans, TenantSource, TrunkInfo};
pub use schema::{Action, Capabilities, Feature, scalar};
pub use text::{
    Diagnostic, Entry, Kind, Place, Report, SourceFile, Sources, Table, Value, nearest, parse,
};
