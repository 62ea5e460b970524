//! The dialplan, pure: TOML schema with exact errors, schedules, decisions, simulation.
#![forbid(unsafe_code)]

mod decision;
mod plans;

pub use plans::{DeviceInfo, Plans, TrunkInfo};
pub use decision::{
    Caller, Decision, Direction, Facts, Idle, Origin, PromptRef, Reason, Release, RingTarget, Start,
    State, Step, TrunkCall,
};
