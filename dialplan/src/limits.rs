//! The bounds of the dialplan: what a text may ask of the checker, and the rows of the service
//! that a plan file may tighten.

use koukan_base::Limit;

/// Bytes of one file.
pub const FILE_BYTES: Limit = Limit {
    name: "plan_file_bytes",
    default: 1 << 20,
    min: 1 << 12,
    max: 1 << 26,
    why: "a check must end in milliseconds whatever it is given",
};

/// Files of one tenant's directory.
pub const FILES: Limit = Limit {
    name: "plan_files",
    default: 256,
    min: 1,
    max: 4096,
    why: "a check must end in milliseconds whatever it is given",
};

/// Findings reported of one tenant.
pub const FINDINGS: Limit = Limit {
    name: "plan_findings",
    default: 200,
    min: 1,
    max: 10_000,
    why: "nobody reads more, and a hostile file must not fill a terminal or the memory",
};

/// How often a decision may pass from one object to the next (forward to an own number, groups).
pub const HOPS: Limit = Limit {
    name: "plan_hops",
    default: 8,
    min: 1,
    max: 32,
    why: "objects may name each other in a circle; a decision must end",
};

/// Characters of a dialled number.
pub const DIALLED_CHARS: Limit = Limit {
    name: "dialled_chars",
    default: 32,
    min: 16,
    max: 64,
    why: "E.164 has 15 digits; prefixes, 184 and international access come before them",
};

/// Devices of one tenant.
pub const DEVICES: Limit = Limit {
    name: "plan_devices",
    default: 10_000,
    min: 1,
    max: 100_000,
    why: "a ring step names its devices one by one",
};

/// Live settings of one office.
pub const SETTINGS: Limit = Limit {
    name: "office_settings",
    default: 4_096,
    min: 16,
    max: 1_000_000,
    why: "days and half hours can be set without end, and every one is kept",
};
