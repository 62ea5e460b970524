//! What the running server can execute. A plan that asks for more is refused where it asks.

use std::fmt;

/// Something that a plan can ask for and a server may not do yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Mailboxes.
    Voicemail,
    /// Fax boxes and detection.
    Fax,
    /// Forwarding to outside.
    Forwarding,
    /// Recording.
    Recording,
    /// Park slots.
    Park,
    /// Conference rooms.
    Conference,
    /// Menus.
    Menu,
    /// Queues.
    Queue,
    /// Groups.
    Group,
    /// Feature codes.
    FeatureCodes,
    /// Spend and night limits.
    Limits,
    /// Tariffs and charges.
    Rating,
    /// Registration at a carrier.
    TrunkRegistration,
    /// A loaded module's application as an action.
    ModuleAction,
    /// Keys of phones.
    Provisioning,
    /// Toll-free numbers.
    TollFree,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Voicemail => "voicemail",
            Self::Fax => "fax",
            Self::Forwarding => "forwarding",
            Self::Recording => "recording",
            Self::Park => "parking",
            Self::Conference => "conference",
            Self::Menu => "menus",
            Self::Queue => "queues",
            Self::Group => "groups",
            Self::FeatureCodes => "feature codes",
            Self::Limits => "spending limits",
            Self::Rating => "rating",
            Self::TrunkRegistration => "registration at a carrier",
            Self::ModuleAction => "a module's application as an action",
            Self::Provisioning => "provisioning of phones",
            Self::TollFree => "toll-free numbers",
        })
    }
}

/// A set of features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    features: Vec<Feature>,
    everything: bool,
}

impl Capabilities {
    /// The whole language, for checking plans of other versions.
    #[must_use]
    pub const fn all() -> Self {
        Self { features: Vec::new(), everything: true }
    }

    /// What this version executes besides registration, ringing, internal and outside calls,
    /// announcements and echo, which every version does.
    #[must_use]
    pub fn this_version() -> Self {
        Self { features: vec![Feature::TollFree], everything: false }
    }

    /// Whether a feature is in the set.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.everything || self.features.contains(&feature)
    }
}
