//! The bounds of the server itself.

use koukan_base::Limit;

/// Datagrams taken from one socket before the others get their turn.
pub const UDP_BATCH: usize = 64;

/// Datagrams taken out of one socket in a turn when more come than are served.
pub const UDP_DRAIN: usize = 4_096;

/// Bytes of datagrams that wait for their turn, a listener: what a second or two of work is.
pub const UDP_BACKLOG_BYTES: usize = 32 << 20;

/// Bytes taken from one connection before the others get their turn.
pub const TCP_BATCH: usize = 256 * 1024;

/// Events of media and modules taken before the sockets get their turn.
pub const EVENT_BATCH: usize = 1024;

/// Messages of each kind that wait for a shard; beyond it the door refuses.
pub const SHARD_INBOX: usize = 8_192;

/// Messages that a shard takes in a turn, and orders that the door does.
pub const SHARD_BATCH: usize = 256;

/// Orders of the shards that wait for the door.
pub const DOOR_QUEUE: usize = 16_384;

/// Milliseconds for which more calls than a turn serves may wait in the sockets.
pub const OVERLOAD_MS: Limit = Limit {
    name: "overload_ms",
    default: 100,
    min: 50,
    max: 60_000,
    why: "a caller waits twice as long as this, for the challenge and for the answer: beyond it new \
          calls get a 503",
};

/// TCP connections at once.
pub const TCP_CONNECTIONS: Limit = Limit {
    name: "sip_tcp_connections",
    default: 10_000,
    min: 16,
    max: 1_000_000,
    why: "each holds a descriptor and a buffer; beyond it new connections are closed at once",
};

/// TCP connections of one address at once.
pub const TCP_CONNECTIONS_PER_ADDRESS: Limit = Limit {
    name: "sip_tcp_connections_per_address",
    default: 512,
    min: 1,
    max: 1_000_000,
    why: "one stranger must not take the connections of every phone; an office shares one address",
};

/// Seconds that a message may take from its first byte to its last.
pub const TCP_MESSAGE_SECONDS: Limit = Limit {
    name: "sip_tcp_message_seconds",
    default: 10,
    min: 1,
    max: 300,
    why: "a peer that dribbles bytes holds a buffer for ever",
};

/// Seconds that a connection may be silent.
pub const TCP_IDLE_SECONDS: Limit = Limit {
    name: "sip_tcp_idle_seconds",
    default: 4_000,
    min: 30,
    max: 86_400,
    why: "longer than the longest registration; what is silent beyond it is gone",
};

/// Bytes that wait for one slow peer.
pub const TCP_WRITE_BYTES: Limit = Limit {
    name: "sip_tcp_write_bytes",
    default: 262_144,
    min: 65_536,
    max: 16_777_216,
    why: "a peer that does not read must not hold our memory; beyond it the connection is closed",
};

/// Seconds that a TLS handshake may take.
pub const TLS_HANDSHAKE_SECONDS: Limit = Limit {
    name: "sip_tls_handshake_seconds",
    default: 10,
    min: 1,
    max: 120,
    why: "an unfinished handshake holds memory and a descriptor; a slow phone needs two seconds",
};

/// TLS handshakes that may be unfinished at once.
pub const TLS_HANDSHAKES: Limit = Limit {
    name: "sip_tls_handshakes",
    default: 1_000,
    min: 8,
    max: 100_000,
    why: "strangers open connections and say nothing; beyond it the oldest unfinished is closed",
};

/// Bytes of explain lines on disk, those of the latest calls.
pub const EXPLAIN_BYTES: Limit = Limit {
    name: "explain_bytes",
    default: 268_435_456,
    min: 1_048_576,
    max: 1_099_511_627_776,
    why: "disk; about 200,000 calls fit into the default, `koukan why` finds them",
};

/// Explain lines kept of one call.
pub const EXPLAIN_LINES: Limit = Limit {
    name: "explain_lines",
    default: 200,
    min: 10,
    max: 10_000,
    why: "a call that loops through menus must not fill the memory",
};

/// Bytes of one explain line; what is longer is cut.
pub const EXPLAIN_LINE: usize = 2_048;

/// Ended calls whose explain lines wait for a slow disk.
pub const EXPLAIN_QUEUE: usize = 4_096;

/// Bytes of one configuration file.
pub const FILE_BYTES: u64 = 1_048_576;

/// Files of one configuration.
pub const FILES: usize = 100_000;

/// Bytes of one secret file.
pub const SECRET_BYTES: u64 = 4_096;

/// Bytes of one HTTP request body.
pub const HTTP_BODY_BYTES: usize = 65_536;

/// Bytes of a document that is handed in to be sent as a fax; the box has a bound of its own.
pub const FAX_BODY_BYTES: usize = koukan_fax::limits::FILE_BYTES;

/// Requests of the HTTP API that wait for the control loop.
pub const CONTROL_QUEUE: usize = 64;

/// Lines of the log that wait for a slow terminal or pipe.
pub const LOG_QUEUE: usize = 4_096;

/// Operations that one application of a module may have under way.
pub const MODULE_OPERATIONS: usize = 64;

/// Prompts that one operation of a module may play.
pub const MODULE_PROMPTS: usize = 64;

/// Bytes of one text that a module hands over: a name, a reason, a line of the log.
pub const MODULE_TEXT_BYTES: usize = 4_096;

/// Bytes of the key of a module's record.
pub const MODULE_KEY_BYTES: usize = 200;

/// Bytes of a module's record: each is written whole, and the journal is read at every start.
pub const MODULE_VALUE_BYTES: usize = 8_192;

/// Records of one module for one tenant; they are kept in memory.
pub const MODULE_RECORDS: usize = 50_000;

/// Bytes of the name of an object or a mail.
pub const MODULE_NAME_BYTES: usize = 64;

/// Bytes of recordings in one ZIP file: it is made in memory.
pub const ZIP_BYTES: u64 = 256 * 1024 * 1024;

/// Receivers of one mail.
pub const MAIL_RECEIVERS: usize = 16;

/// Jobs of modules that wait for a thread.
pub const MODULE_JOBS: usize = 256;

/// Applications that may wait for being woken.
pub const MODULE_WAKES: usize = 1_000_000;

/// Bytes of an office's own announcement.
pub const SOUND_FILE_BYTES: u64 = 20_000_000;

/// Seconds of an office's own announcement.
pub const SOUND_SECONDS: u32 = 300;

/// Records that a sink is given at once.
pub const SINK_BATCH: u32 = 256;

/// Questions about callers that wait for one module; more calls than these go on without.
pub const QUESTIONS: usize = 256;

/// Bytes of an answer to one.
pub const ANSWER_BYTES: usize = 4_096;

/// Characters of a name or a reason in it.
pub const ANSWER_WORD: usize = 80;

/// Answers that are kept for the next call.
pub const ANSWERS_KEPT: usize = 10_000;

/// Builds of modules that are told of after their end.
pub const MODULE_BUILDS_TOLD: usize = 16;

/// Bytes of a module's file; a shared object with all its debug information is below it.
pub const MODULE_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// Generations of the plans that are kept before the one in force.
pub const GENERATIONS: usize = 4;

/// Changed outcomes that a reload tells, and offices whose outcomes are compared for them.
pub const CHANGES_TOLD: usize = 200;
/// See [`CHANGES_TOLD`].
pub const OFFICES_COMPARED: usize = 50;

/// Bytes of the last SIP messages that are kept for `koukan ctl trace`.
pub const TRACE_BYTES: Limit = Limit {
    name: "trace_bytes",
    default: 4 << 20,
    min: 0,
    max: 256 << 20,
    why: "taken from the system at the start; 0 keeps none, an office's day needs about 4 MB",
};

/// Connections to the API at once, on the socket and on the port each.
pub const HTTP_CONNECTIONS: usize = 64;

/// Seconds that a draining server may go on with what is up.
pub const DRAIN_SECONDS: u64 = 7 * 86_400;

/// Directories below one another that a backup goes into; a link that leads back ends there.
pub const BACKUP_DEPTH: usize = 24;

/// Bytes of a backup's list of files.
pub const MANIFEST_BYTES: u64 = 1 << 30;

/// Characters of who asks for a change of a setting.
pub const SETTER_CHARS: usize = 64;
