//! A tenant's plan, checked: typed objects with their names resolved.

mod build;
mod check;
pub(crate) mod class;
pub(crate) mod holiday;
mod merge;
pub(crate) mod schedule;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::decision::PromptRef;
use crate::schema::{Action, Capabilities};
use crate::text::{Place, Report, SourceFile, Sources, Value, parse};
use class::ClassRule;
use schedule::Schedule;

/// The kind of a device; prices and ring priority depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A desk phone.
    Desk,
    /// An analogue adapter.
    Ata,
    /// An app.
    App,
}

impl DeviceKind {
    /// The word in a plan.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Desk => "desk",
            Self::Ata => "ata",
            Self::App => "app",
        }
    }
}

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name in the plan.
    pub name: Arc<str>,
    /// Its extension.
    pub extension: Arc<str>,
    /// The SIP user it registers as.
    pub user: Arc<str>,
    /// Its kind.
    pub kind: DeviceKind,
    /// Where its secret stands.
    pub secret: Arc<str>,
    /// The number that it shows when it calls out.
    pub caller_id: Option<Arc<str>>,
    /// Never rung for voice.
    pub fax_machine: bool,
    /// How many phones may be registered on it at once.
    pub contacts: u32,
    /// For local dialling, when it is not the tenant's.
    pub area_code: Option<Arc<str>>,
    /// Hides its number unless 186 is dialled.
    pub private: bool,
}

/// How a number's devices ring.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The devices' names, in order.
    pub devices: Vec<Arc<str>>,
    /// In which way.
    pub strategy: Strategy,
    /// The delay between tiers or between devices of a sequence; `None` is `never`.
    pub step: Option<Duration>,
    /// How long at most.
    pub timeout: Duration,
}

/// The order in which devices ring.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// All at once.
    All,
    /// One after the other.
    Sequence,
    /// By tiers of device kinds.
    Priority(Vec<Vec<DeviceKind>>),
}

/// What decides about a call to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Always ring.
    Ring,
    /// By the schedule.
    Schedule,
    /// Always forward.
    Forward,
}

/// A number (DID).
#[derive(Clone, Debug)]
pub struct Number {
    /// Its name in the plan.
    pub name: Arc<str>,
    /// Its digits.
    pub did: Arc<str>,
    /// Its name on phones.
    pub shown_name: Option<Arc<str>>,
    /// How it rings.
    pub ring: Option<Ring>,
    /// What decides.
    pub mode: Mode,
    /// Its schedule's name.
    pub schedule: Option<Arc<str>>,
    /// Where it forwards to.
    pub forward_to: Option<Arc<str>>,
    /// Mailbox and the time before it answers.
    pub voicemail: Option<(Arc<str>, Duration)>,
    /// Play the busy prompt when all channels are taken.
    pub busy_announcement: bool,
    /// Fax box, and whether every call is a fax.
    pub fax: Option<(Arc<str>, bool)>,
    /// What is done when nobody answers.
    pub no_answer: Option<Action>,
    /// Calls at once.
    pub channels: Option<u32>,
    /// Callers that are refused.
    pub blocked: Vec<Arc<str>>,
    /// The number that a toll-free one stands for.
    pub target: Option<Arc<str>>,
}

/// A trunk.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name in the plan.
    pub name: Arc<str>,
    /// Address and port, or a host name.
    pub address: Arc<str>,
    /// Its profile.
    pub profile: Arc<str>,
    /// Calls at once.
    pub channels: u32,
    /// Digest user and where the secret stands.
    pub register: Option<(Arc<str>, Arc<str>)>,
    /// The numbers that come in by it; empty is every number of the tenant.
    pub numbers: Vec<Arc<str>>,
}

/// Rules for calls to outside.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    /// Classes that nobody may call.
    pub block: Vec<Arc<str>>,
    /// Classes that a kind of device may call, when it is named at all.
    pub allow: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// Trunks by class.
    pub route: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// Trunks of every other class.
    pub default_trunk: Vec<Arc<str>>,
    /// What must be dialled for an outside line.
    pub outside_prefix: Option<Arc<str>>,
    /// The area code for local dialling.
    pub area_code: Option<Arc<str>>,
}

/// An expectation of the admin, kept as it was written.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The table.
    pub value: Value,
}

/// One tenant's plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tenant's id.
    pub tenant: Arc<str>,
    /// Counts the loads of this tenant.
    pub generation: u64,
    /// SIP domains of the tenant's own.
    pub domains: Vec<Arc<str>>,
    /// Its time zone.
    pub timezone: TimeZone,
    /// The language of its prompts.
    pub language: Arc<str>,
    /// Calls with outside at once.
    pub channels: u32,
    /// Devices.
    pub devices: Vec<Device>,
    /// Numbers.
    pub numbers: Vec<Number>,
    /// Schedules by name.
    pub schedules: HashMap<Arc<str>, Schedule>,
    /// Prompts by announcement name.
    pub announcements: HashMap<Arc<str>, PromptRef>,
    /// What short numbers do.
    pub extensions: HashMap<Arc<str>, Action>,
    /// Classes of outside numbers.
    pub classes: Vec<ClassRule>,
    /// Rules for calls to outside.
    pub outbound: Outbound,
    /// Trunks.
    pub trunks: Vec<Trunk>,
    /// Expectations.
    pub expects: Vec<Expect>,
}

impl Plan {
    /// Reads, checks and builds the plan of one directory's files. The report tells everything that
    /// was found; the plan is there when it can be used.
    #[must_use]
    pub fn load(
        files: Vec<SourceFile>,
        capabilities: &Capabilities,
    ) -> (Option<Self>, Sources, Report) {
        let sources = Sources(files);
        let mut report = Report::default();
        let documents =
            (0..sources.0.len()).map(|file| parse(&sources, file, &mut report.errors)).collect();
        let whole = merge::merge(&sources, documents, &mut report.errors);
        check::check(&sources, &whole, capabilities, &mut report);
        let plan = if report.is_clean() { build::build(&whole) } else { None };
        report.sort();
        (plan, sources, report)
    }

    /// The device with this name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| *device.name == *name)
    }

    /// The number with this name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<&Number> {
        self.numbers.iter().find(|number| *number.name == *name)
    }

    /// The number with these digits.
    #[must_use]
    pub fn number_by_did(&self, did: &str) -> Option<&Number> {
        self.numbers.iter().find(|number| *number.did == *did)
    }

    /// A moment as the tenant's local date and time.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> jiff::civil::DateTime {
        self.timezone.to_datetime(at)
    }

    /// A prompt of the server in the tenant's language.
    #[must_use]
    pub fn prompt(&self, name: &str) -> PromptRef {
        PromptRef { language: self.language.clone(), name: name.into() }
    }
}

/// Where an expectation stands.
impl Expect {
    /// Its place.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.value.place
    }
}
