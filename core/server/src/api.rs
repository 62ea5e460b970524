//! What the HTTP API answers, as plain data; the command line reads the same JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /v1/status`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The server's version.
    pub version: &'static str,
    /// Its process.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Date and time as schedules and CDRs see it.
    pub date: Timestamp,
    /// Whether the test clock has moved the date.
    pub clock_moved: bool,
    /// Where it listens for SIP.
    pub listeners: Vec<String>,
    /// Contacts bound.
    pub registrations: usize,
    /// TCP connections.
    pub connections: usize,
    /// What is under way; all zero when nothing is.
    pub tables: koukan_switch::Tables,
    /// Records that wait for the journal; not zero only when the disk refuses to take them.
    pub unwritten: usize,
    /// Records that a module has not carried out yet.
    pub records_waiting: u64,
    /// Records that went before one had, because too many waited: billing has lost them.
    pub records_lost: u64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
}

/// `GET` and `POST /v1/drain`.
#[derive(Clone, Debug, Serialize)]
pub struct Drain {
    /// Whether no new calls are taken.
    pub draining: bool,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When what is still up is ended.
    pub deadline: Option<Timestamp>,
    /// Who has said so.
    pub by: Option<String>,
    /// Calls that were refused meanwhile.
    pub refused: u64,
    /// What is still up.
    pub calls: Vec<koukan_switch::CallView>,
    /// How many of them are faxes.
    pub faxes: usize,
    /// Calls that wait for what a module knows of their callers.
    pub lookups: usize,
    /// Records that wait for the journal.
    pub unwritten: usize,
}

/// `GET /v1/why/{call}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The call.
    pub call: String,
    /// Its explain lines, oldest first.
    pub lines: Vec<WhyLine>,
}

/// One explain line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyLine {
    /// When.
    pub at: Timestamp,
    /// What was decided, and why.
    pub text: String,
}

/// `GET` and `POST /v1/clock`.
#[derive(Clone, Debug, Serialize)]
pub struct ClockState {
    /// Date and time as schedules and CDRs see it.
    pub date: Timestamp,
    /// Whether it was moved.
    pub moved: bool,
}

/// One module of `GET /v1/modules`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModuleInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The role that it fills.
    pub role: Option<String>,
    /// Which of its builds: a number that no other build of the process has.
    pub build: usize,
    /// `active`, `draining`, `closing`, `closed`, or what it is stuck at.
    pub state: String,
    /// Applications under way.
    pub instances: usize,
    /// Applications that it was started with.
    pub starts: u64,
    /// Events that it was given.
    pub events: u64,
    /// Events a second of late.
    pub events_per_s: u64,
    /// Those that ended in an error or a panic.
    pub failures: u64,
    /// Records that it has carried out; none when it is no sink.
    pub records: Option<u64>,
    /// Questions about callers that it was asked; none when it is no source.
    pub questions: Option<u64>,
    /// How many of them it answered after their time.
    pub late: Option<u64>,
    /// Its slowest call, in microseconds: so long it held up every other call.
    pub slowest_us: u64,
    /// Calls that took longer than 20 ms; the log names them.
    pub too_long: u64,
    /// Seconds since it was loaded.
    pub age_s: u64,
    /// What it counts itself.
    pub metrics: Vec<ModuleMetric>,
}

/// One of a build's own counters and gauges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModuleMetric {
    /// Its name.
    pub name: String,
    /// What it says, in a line.
    pub help: String,
    /// It only grows.
    pub counts: bool,
    /// How it stands.
    pub value: i64,
}

/// What a change of the loaded modules did.
#[derive(Clone, Debug, Serialize)]
pub struct ModuleChanged {
    /// The module.
    pub module: String,
    /// The build that new calls go to; none after an unloading.
    pub build: Option<usize>,
    /// The version of that.
    pub version: Option<String>,
    /// The build that drains now.
    pub drains: Option<usize>,
    /// The calls that go on with it.
    pub calls: usize,
}

/// `POST /v1/check` and `POST /v1/reload`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// How many errors stand against taking the plans.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// Every finding, with its place and the line.
    pub findings: Vec<String>,
    /// Tenants read.
    pub tenants: usize,
    /// Devices that may register.
    pub devices: usize,
    /// What calls come to otherwise now, in the offices that changed.
    pub changes: Vec<String>,
    /// Live settings that have no place in the plans any more, and are kept aside.
    pub aside: Vec<String>,
}

/// What went wrong, for whoever asked.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// In a sentence.
    pub error: String,
}

/// `GET /v1/tenants/{tenant}/settings`: what is in force in an office.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// The tenant's id.
    pub tenant: String,
    /// Every setting that can be flipped, and each half hour and day that was.
    pub settings: Vec<SettingInfo>,
    /// What is kept but not in force, since the plan of today has no place for it.
    pub aside: Vec<SettingAside>,
}

/// One setting.
#[derive(Clone, Debug, Serialize)]
pub struct SettingInfo {
    /// `number.number1.mode`
    pub key: String,
    /// What is in force.
    pub value: String,
    /// Where the files say so: `office.toml:41`; of a setting that no file has, nothing.
    pub place: Option<String>,
    /// What the files say, when somebody has set something else.
    pub default: Option<String>,
    /// Who has set it.
    pub by: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
}

/// A setting that is kept aside.
#[derive(Clone, Debug, Serialize)]
pub struct SettingAside {
    /// `number.number1.mode`
    pub key: String,
    /// What it was set to.
    pub value: String,
    /// Who has set it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why it is not in force.
    pub why: String,
}

/// A change of a setting, as `PUT` and `DELETE /v1/tenants/{tenant}/settings/{key}` answer it and
/// as the history lists it.
#[derive(Clone, Debug, Serialize)]
pub struct SettingChange {
    /// `number.number1.mode`
    pub key: String,
    /// The new value; none: again what the files say.
    pub value: Option<String>,
    /// Who has set it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// One generation of `GET /v1/generations`, the one in force first.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationInfo {
    /// Its number since the start of the server.
    pub number: u64,
    /// What brought it: `start`, `reload`, `reload acme`.
    pub what: String,
    /// Since when it is or was in force.
    pub since: Timestamp,
    /// How many tenants it has.
    pub tenants: usize,
}
