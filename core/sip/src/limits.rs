//! The bounds of this crate. A message beyond one of them is refused before anything is allocated
//! for it.

use koukan_base::Limit;

/// Bytes of one whole message.
pub const MESSAGE_BYTES: Limit = Limit {
    name: "sip_message_bytes",
    default: 65_535,
    min: 4_096,
    max: 65_535,
    why: "a datagram holds no more, and no phone sends more over a stream",
};

/// Bytes of the start line and all headers.
pub const HEADER_BYTES: Limit = Limit {
    name: "sip_header_bytes",
    default: 32_768,
    min: 2_048,
    max: 65_535,
    why: "torture messages are long, calls are not: 32 kB is ten times the largest seen",
};

/// Header lines of one message.
pub const HEADERS: Limit = Limit {
    name: "sip_headers",
    default: 128,
    min: 32,
    max: 512,
    why: "thousands of headers in one datagram would buy a stranger our time",
};

/// Via values of one request.
pub const VIAS: Limit = Limit {
    name: "sip_vias",
    default: 71,
    min: 10,
    max: 256,
    why: "Max-Forwards of 70 permits no more hops, and an answer says all of them back",
};

/// Transactions that one shard keeps at once.
pub const TRANSACTIONS: Limit = Limit {
    name: "sip_transactions",
    default: 100_000,
    min: 100,
    max: 10_000_000,
    why: "memory; beyond it requests get 503 with Retry-After",
};

/// Dialogs that one shard keeps at once.
pub const DIALOGS: Limit = Limit {
    name: "sip_dialogs",
    default: 100_000,
    min: 100,
    max: 10_000_000,
    why: "memory; beyond it new calls get 503 with Retry-After",
};

/// Subscriptions that one notifier keeps at once.
pub const SUBSCRIPTIONS: Limit = Limit {
    name: "sip_subscriptions",
    default: 20_000,
    min: 10,
    max: 1_000_000,
    why: "memory, and a NOTIFY each at a change; beyond it SUBSCRIBE gets 503 with Retry-After",
};

/// Subscriptions of one user.
pub const SUBSCRIPTIONS_PER_USER: Limit = Limit {
    name: "sip_subscriptions_per_user",
    default: 200,
    min: 4,
    max: 10_000,
    why: "a phone has some hundred lamps at most; more is a phone that subscribes in a loop",
};

/// Members of one list of resources.
pub const LIST_MEMBERS: Limit = Limit {
    name: "sip_list_members",
    default: 256,
    min: 8,
    max: 4_096,
    why: "the first NOTIFY names them all in one message",
};
