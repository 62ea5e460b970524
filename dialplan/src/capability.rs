//! What a running server can execute. The language is wider than any one version of the server:
//! what is understood and decided but not executed is refused at its place, never ignored.

/// A part of the language that a server may or may not execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Voicemail boxes and the calls into them.
    Voicemail,
    /// Fax boxes, and numbers and actions that lead every call into one.
    Fax,
    /// Telling fax machines from people on a number that serves both.
    FaxDetection,
    /// Answering before anybody is heard, to listen for fax machines.
    FaxEarly,
    /// Fax machines on adapters as the ones that take a number's faxes.
    FaxMachines,
    /// Sending from a fax box.
    FaxSending,
    /// Forwarding of a number, and of a device.
    Forwarding,
    /// Recording of a number's calls.
    Recording,
    /// Park slots.
    Park,
    /// Conference rooms.
    Conferences,
    /// Recording of what is said in a room.
    RoomRecording,
    /// Calls that phones answer by themselves.
    Paging,
    /// Supervisors who listen to calls.
    Supervision,
    /// Ring groups.
    Groups,
    /// Menus.
    Menus,
    /// Queues.
    Queues,
    /// Taking a colleague's ringing call by a code.
    Pickup,
    /// Caps against fraud.
    FraudLimits,
    /// Tariffs and charges.
    Rating,
    /// Registration of the server at a trunk, and calls a second.
    TrunkRegistration,
    /// Modules' own applications as actions.
    ModuleActions,
    /// What an office sets for a module as a whole.
    ModuleOptions,
    /// Configuration files for phones: line keys and lamps.
    Provisioning,
    /// Another caller number for one call.
    CallerNumberChoice,
    /// One call at a time on a device.
    BusyDevices,
    /// Plan files with limits of their own.
    PlanFiles,
    /// Settings that are flipped while the server runs: the night key.
    LiveSettings,
    /// The way on from a step that failed.
    OnError,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 28] = [
        Self::Voicemail,
        Self::Fax,
        Self::FaxDetection,
        Self::FaxEarly,
        Self::FaxMachines,
        Self::FaxSending,
        Self::Forwarding,
        Self::Recording,
        Self::Park,
        Self::Conferences,
        Self::RoomRecording,
        Self::Paging,
        Self::Supervision,
        Self::Groups,
        Self::Menus,
        Self::Queues,
        Self::Pickup,
        Self::FraudLimits,
        Self::Rating,
        Self::TrunkRegistration,
        Self::ModuleActions,
        Self::ModuleOptions,
        Self::Provisioning,
        Self::CallerNumberChoice,
        Self::BusyDevices,
        Self::PlanFiles,
        Self::LiveSettings,
        Self::OnError,
    ];

    /// Its name in a sentence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Voicemail => "voicemail",
            Self::Fax => "fax",
            Self::FaxDetection => "fax and voice on one number",
            Self::FaxEarly => "early answers of numbers with fax",
            Self::FaxMachines => "fax machines of a number",
            Self::FaxSending => "sending of faxes",
            Self::Forwarding => "forwarding",
            Self::Recording => "recording",
            Self::Park => "park",
            Self::Conferences => "conferencing",
            Self::RoomRecording => "recording of a conference room",
            Self::Paging => "paging and intercom",
            Self::Supervision => "supervision of calls",
            Self::Groups => "ring groups",
            Self::Menus => "menus",
            Self::Queues => "queues",
            Self::Pickup => "pickup by a code",
            Self::FraudLimits => "caps against fraud",
            Self::Rating => "rating",
            Self::TrunkRegistration => "registration and pacing of a trunk",
            Self::ModuleActions => "modules' own applications",
            Self::ModuleOptions => "an office's options of modules",
            Self::Provisioning => "phone provisioning",
            Self::CallerNumberChoice => "another caller number for one call",
            Self::BusyDevices => "one call at a time on a device",
            Self::PlanFiles => "plan files",
            Self::LiveSettings => "settings that are flipped while the server runs",
            Self::OnError => "the way on from a step that failed",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of features; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u32);

impl Capabilities {
    /// The whole language, for tools and tests of the language itself.
    #[must_use]
    pub fn all() -> Self {
        Self(Feature::ALL.iter().fold(0, |bits, feature| bits | feature.bit()))
    }

    /// What this version of the server executes besides registration, ringing, schedules,
    /// announcements, extensions, internal calls and outside calls through trunks; plan files the
    /// checker alone executes.
    #[must_use]
    pub const fn this_version() -> Self {
        Self(0)
            .with(Feature::PlanFiles)
            .with(Feature::LiveSettings)
            .with(Feature::Forwarding)
            .with(Feature::Groups)
            .with(Feature::BusyDevices)
            .with(Feature::Park)
            .with(Feature::Conferences)
            .with(Feature::RoomRecording)
            .with(Feature::Paging)
            .with(Feature::Queues)
            .with(Feature::Supervision)
            .with(Feature::Pickup)
            .with(Feature::Menus)
            .with(Feature::OnError)
            .with(Feature::ModuleActions)
            .with(Feature::Voicemail)
            .with(Feature::Recording)
            .with(Feature::Rating)
            .with(Feature::CallerNumberChoice)
            .with(Feature::Fax)
            .with(Feature::TrunkRegistration)
            .with(Feature::FaxDetection)
            .with(Feature::FraudLimits)
            .with(Feature::FaxSending)
            .with(Feature::FaxEarly)
            .with(Feature::FaxMachines)
    }

    /// The same with one feature more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | feature.bit())
    }

    /// Whether the feature is executed.
    #[must_use]
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }
}

/// The keys that need a feature: kind of table (empty: the top of the file), key, feature.
/// Actions carry theirs themselves; `mode = "forward"` is refused where it is read.
pub(crate) const KEYS: &[(&str, &str, Feature)] = &[
    ("", "voicemail_box", Feature::Voicemail),
    ("", "fax_box", Feature::Fax),
    ("", "park", Feature::Park),
    ("", "room", Feature::Conferences),
    ("room", "record", Feature::RoomRecording),
    ("", "group", Feature::Groups),
    ("", "menu", Feature::Menus),
    ("", "queue", Feature::Queues),
    ("", "limits", Feature::FraudLimits),
    ("", "tariff", Feature::Rating),
    ("", "module", Feature::ModuleOptions),
    ("plan", "limits", Feature::FraudLimits),
    ("tenant", "plan", Feature::PlanFiles),
    ("feature_codes", "park", Feature::Park),
    ("feature_codes", "three_way", Feature::Conferences),
    ("feature_codes", "pickup", Feature::Pickup),
    ("feature_codes", "intercom", Feature::Paging),
    ("feature_codes", "monitor", Feature::Supervision),
    ("feature_codes", "whisper", Feature::Supervision),
    ("feature_codes", "barge", Feature::Supervision),
    ("device", "supervises", Feature::Supervision),
    ("feature_codes", "night", Feature::LiveSettings),
    ("feature_codes", "forward_on", Feature::Forwarding),
    ("feature_codes", "forward_off", Feature::Forwarding),
    ("feature_codes", "divert_always", Feature::Forwarding),
    ("feature_codes", "divert_busy", Feature::Forwarding),
    ("feature_codes", "divert_no_answer", Feature::Forwarding),
    ("feature_codes", "divert_unreachable", Feature::Forwarding),
    ("feature_codes", "dnd", Feature::LiveSettings),
    ("feature_codes", "agent", Feature::Queues),
    ("feature_codes", "record", Feature::Recording),
    ("feature_codes", "show_number", Feature::CallerNumberChoice),
    ("feature_codes", "voicemail", Feature::Voicemail),
    ("device", "keys", Feature::Provisioning),
    ("device", "allow_caller_id", Feature::CallerNumberChoice),
    ("device", "busy", Feature::BusyDevices),
    ("device", "forward", Feature::Forwarding),
    ("number", "voicemail", Feature::Voicemail),
    ("number", "fax", Feature::Fax),
    ("number.fax", "device", Feature::FaxMachines),
    ("number.fax", "deliver_to", Feature::FaxMachines),
    ("number.fax", "listen", Feature::FaxDetection),
    ("number.fax", "answer_early", Feature::FaxEarly),
    ("fax_box", "send", Feature::FaxSending),
    ("number", "forward_to", Feature::Forwarding),
    ("number", "forwards_max", Feature::FraudLimits),
    ("number", "closed", Feature::LiveSettings),
    ("action", "on_error", Feature::OnError),
    ("number", "record", Feature::Recording),
    ("trunk", "register", Feature::TrunkRegistration),
    ("trunk", "calls_per_second", Feature::TrunkRegistration),
    ("expect", "talk", Feature::Rating),
    ("expect", "charge", Feature::Rating),
];

/// What a key needs.
pub(crate) fn of_key(shape: &str, key: &str) -> Option<Feature> {
    let found = KEYS.iter().find(|(table, name, _)| *table == shape && *name == key);
    found.map(|(_, _, feature)| *feature)
}
