//! SIP, pure: messages, transactions, dialogs, digest, registrar rules, SDP offer and answer.
//!
//! Everything here takes time and bytes and returns bytes and events; there is no socket, clock or
//! thread. [`UserAgent`] is the core that a shard's switch talks to.
#![forbid(unsafe_code)]

pub mod digest;
mod flow;
pub mod header;
pub mod limits;
mod message;
pub mod registrar;
pub mod sdp;
pub mod stun;
pub mod subscription;
mod timer;
mod transaction;
mod ua;
mod write;

pub use flow::{Flow, ListenerId, Transport};
pub use message::{
    Framed, Framer, Header, HeaderLine, Message, Method, Scan, ScanError, Scanner, Span, StartLine,
};
pub use ua::{
    Body, ClientTx, Counts, Credentials, DialogId, Dropped, Event, ExtraHeaders, FailureCause,
    Identity, Listener, Request, Response, ServerTx, SessionConfig, UaAction, UaConfig, UserAgent,
    refuse_unserved, shard_of_branch, shard_of_tag,
};
pub use write::reason_phrase;
