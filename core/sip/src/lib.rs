//! SIP, pure: messages, transactions, dialogs, digest, registrar rules, SDP offer/answer.
#![forbid(unsafe_code)]

mod flow;
mod ua;

pub use flow::{Flow, ListenerId, Transport};
pub use ua::{
    Body, ClientTx, Counts, Credentials, DialogId, Event, FailureCause, Header, InviteRequest, Listener, Method,
    Message, Request, Response, ServerTx, UaAction, UaConfig, UserAgent,
};
