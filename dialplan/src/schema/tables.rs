//! Every table and key of the language.

use super::{Feature, Field, Type};

const fn key(name: &'static str, kind: Type) -> Field {
    Field { name, kind, required: false, feature: None }
}

const fn must(name: &'static str, kind: Type) -> Field {
    Field { name, kind, required: true, feature: None }
}

const fn later(name: &'static str, kind: Type, feature: Feature) -> Field {
    Field { name, kind, required: false, feature: Some(feature) }
}

const DEVICE: Type = Type::Name("device");
const NUMBER: Type = Type::Name("number");
const KIND: Type = Type::Word(&["desk", "ata", "app"]);
const LEG: Type = Type::Word(&["out", "forward", "fax-out", "tollfree-in"]);
const CALLER: Type = Type::Word(&["fixed", "mobile", "ip050", "payphone", "unknown"]);

/// The whole of a tenant's directory.
pub(crate) const ROOT: &[Field] = &[
    key("schema", Type::Count(1, 1)),
    must("tenant", Type::Table(TENANT)),
    key("device", Type::Map(&Type::Table(DEVICE_KEYS))),
    key("number", Type::Map(&Type::Table(NUMBER_KEYS))),
    key("schedule", Type::Map(&Type::Table(SCHEDULE))),
    key("announcement", Type::Map(&Type::Table(ANNOUNCEMENT))),
    later("voicemail_box", Type::Map(&Type::Table(VOICEMAIL_BOX)), Feature::Voicemail),
    later("fax_box", Type::Map(&Type::Table(FAX_BOX)), Feature::Fax),
    key("extension", Type::Map(&Type::Table(EXTENSION))),
    later("room", Type::Map(&Type::Table(ROOM)), Feature::Conference),
    later("park", Type::Table(PARK), Feature::Park),
    later("group", Type::Map(&Type::Table(GROUP)), Feature::Group),
    later("menu", Type::Map(&Type::Table(MENU)), Feature::Menu),
    later("queue", Type::Map(&Type::Table(QUEUE)), Feature::Queue),
    later("feature_codes", Type::Map(&Type::Digits), Feature::FeatureCodes),
    later("limits", Type::Table(LIMITS), Feature::Limits),
    key("trunk", Type::Map(&Type::Table(TRUNK))),
    key("class", Type::Map(&Type::OneOrMany(&Type::Table(CLASS)))),
    key("outbound", Type::Table(OUTBOUND)),
    later("tariff", Type::Table(TARIFF), Feature::Rating),
    key("expect", Type::List(&Type::Table(EXPECT))),
    later("module", Type::Map(&Type::Free), Feature::ModuleAction),
];

const TENANT: &[Field] = &[
    must("id", Type::Text),
    key("domains", Type::List(&Type::Text)),
    key("timezone", Type::Text),
    key("language", Type::Word(&["ja", "en"])),
    key("verified", Type::Flag),
    key("channels", Type::Either(&Type::Count(1, 10_000), &Type::Word(&["per-id"]))),
    key("plan", Type::Text),
];

const DEVICE_KEYS: &[Field] = &[
    must("ext", Type::Digits),
    key("user", Type::Text),
    must("kind", KIND),
    key("model", Type::Text),
    key("mac", Type::Text),
    must("secret", Type::Secret),
    key("caller_id", NUMBER),
    key("allow_caller_id", Type::List(&NUMBER)),
    key("options", Type::List(&Type::Word(&["free10", "phonebook", "cloudfax", "fax500"]))),
    later("keys", Type::List(&Type::Free), Feature::Provisioning),
    key("fax_machine", Type::Flag),
    key("contacts", Type::Count(1, 10)),
    key("busy", Type::Word(&["one", "waiting"])),
    key("area_code", Type::Digits),
    key("privacy", Type::Word(&["none", "id"])),
];

const NUMBER_KEYS: &[Field] = &[
    must("did", Type::Digits),
    must("role", Type::Word(&["contract", "additional", "direct", "tollfree"])),
    key("name", Type::Text),
    key("ring", Type::Table(RING)),
    key("mode", Type::Word(&["ring", "schedule", "forward"])),
    key("schedule", Type::Name("schedule")),
    later("forward_to", Type::Digits, Feature::Forwarding),
    later("voicemail", Type::Table(VOICEMAIL), Feature::Voicemail),
    key("busy_announcement", Type::Flag),
    key(
        "options",
        Type::List(&Type::Word(&[
            "voicemail",
            "off_hours",
            "fax",
            "forwarding",
            "recording",
            "notification",
        ])),
    ),
    later("record", Type::Table(RECORD), Feature::Recording),
    later("fax", Type::Table(FAX), Feature::Fax),
    key("no_answer", Type::Action),
    key("channels", Type::Count(1, 9)),
    key("forwards_max", Type::Count(1, 100)),
    key("blocked", Type::List(&Type::Digits)),
    later("target", NUMBER, Feature::TollFree),
];

const RING: &[Field] = &[
    must("devices", Type::List(&DEVICE)),
    key("strategy", Type::Word(&["all", "sequence", "priority"])),
    key("tiers", Type::List(&Type::List(&KIND))),
    key("step", Type::Either(&Type::Word(&["never"]), &Type::Duration)),
    key("timeout", Type::Duration),
];

const VOICEMAIL: &[Field] =
    &[must("box", Type::Name("voicemail_box")), key("after", Type::Duration)];

const RECORD: &[Field] =
    &[must("enabled", Type::Flag), key("notice", Type::Word(&["arrival", "answer", "off"]))];

const FAX: &[Field] = &[
    must("box", Type::Name("fax_box")),
    key("device", DEVICE),
    key("detect", Type::Word(&["auto", "only", "off"])),
    key("listen", Type::Duration),
    key("after", Type::Duration),
    key("answer_early", Type::Flag),
    key("deliver_to", DEVICE),
];

const SCHEDULE: &[Field] = &[
    must("default", Type::Action),
    key("weekday", Type::List(&Type::Table(CELL))),
    key("saturday", Type::List(&Type::Table(CELL))),
    key("sunday", Type::List(&Type::Table(CELL))),
    key("holiday", Type::List(&Type::Table(CELL))),
    key("holidays", Type::List(&Type::Text)),
];

const CELL: &[Field] =
    &[must("from", Type::Cell), must("to", Type::Cell), must("do", Type::Action)];

const ANNOUNCEMENT: &[Field] =
    &[key("template", Type::Count(1, 3)), key("file", Type::Text), key("prompt", Type::Text)];

const VOICEMAIL_BOX: &[Field] = &[
    key("max_message", Type::Duration),
    key("max_messages", Type::Count(1, 10_000)),
    key("keep", Type::Duration),
    key("notify", Type::List(&Type::Text)),
    key("pin", Type::Secret),
];

const FAX_BOX: &[Field] = &[
    key("notify", Type::List(&Type::Text)),
    key("keep", Type::Count(1, 100_000)),
    key("receive_max_pages", Type::Count(1, 10_000)),
    key(
        "send",
        Type::Table(&[
            key("max_pages", Type::Count(1, 10_000)),
            key("max_bytes", Type::Size),
            key("retries", Type::Count(0, 20)),
            key("formats", Type::List(&Type::Word(&["pdf", "jpg", "png", "tiff", "text"]))),
        ]),
    ),
];

const EXTENSION: &[Field] =
    &[must("dial", Type::Either(&Type::Digits, &Type::Table(RANGE))), must("do", Type::Action)];

const RANGE: &[Field] = &[must("first", Type::Digits), must("count", Type::Count(1, 10_000))];

const ROOM: &[Field] = &[
    key("pin", Type::Secret),
    key("moderator_pin", Type::Secret),
    key("max_members", Type::Count(2, 2_000)),
    key("record", Type::Flag),
    key("announce", Type::Flag),
];

const PARK: &[Field] = &[
    must("slots", Type::Table(RANGE)),
    key("return_after", Type::Duration),
    key("return_to", Type::Either(&Type::Word(&["parker"]), &Type::Action)),
    key("hold_music", Type::Text),
];

const GROUP: &[Field] = &[
    key("dial", Type::Digits),
    must("members", Type::List(&DEVICE)),
    key("strategy", Type::Word(&["all", "sequence", "priority"])),
    key("tiers", Type::List(&Type::List(&KIND))),
    key("step", Type::Either(&Type::Word(&["never"]), &Type::Duration)),
    key("timeout", Type::Duration),
    key("no_answer", Type::Action),
    key("pickup", Type::Flag),
];

const MENU: &[Field] = &[
    must("prompt", Type::Name("announcement")),
    key("language", Type::Word(&["ja", "en"])),
    must("digits", Type::Map(&Type::Action)),
    key("direct_extensions", Type::List(&Type::Digits)),
    key("timeout", Type::Duration),
    key("retries", Type::Count(0, 10)),
    key("invalid", Type::Action),
    key("on_timeout", Type::Action),
];

const QUEUE: &[Field] = &[
    must("agents", Type::List(&DEVICE)),
    key("strategy", Type::Word(&["longest_idle", "round_robin", "all"])),
    key("wrap_up", Type::Duration),
    key("announce_position", Type::Flag),
    key("max_wait", Type::Duration),
    key("max_callers", Type::Count(1, 1_000)),
    key("overflow", Type::Action),
];

const LIMITS: &[Field] = &[
    key("outside_yen_per_day", Type::Money),
    key("outside_minutes_per_day", Type::Count(1, 1_000_000)),
    key("outside_concurrent", Type::Count(1, 10_000)),
    key("forwards_per_number", Type::Count(1, 100)),
    key("night", Type::List(&Type::Cell)),
    key("alert", Type::List(&Type::Text)),
];

/// Also the keys of a trunk of the whole server.
pub(crate) const TRUNK: &[Field] = &[
    must("address", Type::Text),
    key("profile", Type::Word(&["jp-ngn", "home-gateway", "ngn-uni", "interconnect", "plain"])),
    later(
        "register",
        Type::Table(&[must("user", Type::Text), must("secret", Type::Secret)]),
        Feature::TrunkRegistration,
    ),
    key("numbers", Type::List(&NUMBER)),
    key("channels", Type::Count(1, 100_000)),
    key("calls_per_second", Type::Count(1, 10_000)),
];

const CLASS: &[Field] = &[
    key("exact", Type::List(&Type::Digits)),
    key("prefix", Type::List(&Type::Digits)),
    key("digits", Type::Count(1, 32)),
    key("valid_from", Type::Text),
    key("valid_until", Type::Text),
];

const OUTBOUND: &[Field] = &[
    key("block", Type::List(&Type::Name("class"))),
    key("allow", Type::Map(&Type::List(&Type::Name("class")))),
    key("route", Type::Map(&Type::OneOrMany(&Type::Name("trunk")))),
    key("default_trunk", Type::OneOrMany(&Type::Name("trunk"))),
    key("outside_prefix", Type::Digits),
    key("area_code", Type::Digits),
];

const TARIFF: &[Field] = &[
    key("currency", Type::Text),
    key("close_day", Type::Count(1, 31)),
    key(
        "rate",
        Type::List(&Type::Table(&[
            must("leg", LEG),
            key("device", Type::List(&KIND)),
            key("class", Type::List(&Type::Name("class"))),
            key("caller", Type::List(&CALLER)),
            must("price", Type::Money),
            must("per", Type::Either(&Type::Word(&["call"]), &Type::Duration)),
        ])),
    ),
    key(
        "option",
        Type::Map(&Type::Table(&[
            key("free", Type::Duration),
            key("free_pages", Type::Count(0, 1_000_000)),
            key("per", Type::Word(&["call", "month"])),
            key("leg", Type::List(&LEG)),
            key("device", Type::List(&KIND)),
            key("from", Type::List(&KIND)),
            key("except", Type::List(&Type::Name("class"))),
            key("monthly", Type::Money),
        ])),
    ),
];

const EXPECT: &[Field] = &[
    key("name", Type::Text),
    key("at", Type::Text),
    key("from", Type::Digits),
    key("from_device", DEVICE),
    must("to", Type::Digits),
    key("rings", Type::List(&DEVICE)),
    key("announces", Type::Name("announcement")),
    key("then", Type::Text),
    key("forwards", Type::Digits),
    key("shown_caller", Type::Digits),
    key("refused", Type::Text),
    later("talk", Type::Duration, Feature::Rating),
    later("charge", Type::Money, Feature::Rating),
];
