//! The four transaction machines (RFC 3261, section 17, as corrected by RFC 6026). Each is a small
//! value that knows its state and its timers and nothing else; the user agent owns the messages.

mod invite_client;
mod invite_server;
mod non_invite_client;
mod non_invite_server;

pub(crate) use invite_client::InviteClient;
pub(crate) use invite_server::InviteServer;
pub(crate) use non_invite_client::NonInviteClient;
pub(crate) use non_invite_server::NonInviteServer;

/// What a client machine makes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Give it to the user.
    Pass,
    /// Give it to the user and acknowledge it (INVITE, 300–699).
    PassAndAck,
    /// A retransmission: acknowledge it again, the user has it.
    Ack,
    /// A retransmission, or too late: drop it.
    Drop,
}

/// What a machine wants at a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Nothing was due.
    Nothing,
    /// Say 100 (INVITE server): nobody has answered yet.
    Trying,
    /// Send the last message again.
    Retransmit,
    /// Nobody answered (client) or acknowledged (server); the machine has terminated.
    TimedOut,
    /// The machine's life is over in order.
    Terminated,
}
