//! What `kk.call/1` has grown by in minor version 5: a second party for the caller, with which it
//! talks while the application waits.

use crate::{Call1Minor1, CallNumber, Host, OpNumber, Status, Str};

/// `kk_bridge`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bridge {
    /// Bytes of the struct.
    pub size: usize,
    /// What to dial.
    pub number: Str,
    /// The longest that it may ring; 0 is as long as the plan says.
    pub ring_ms: u32,
    /// The longest that both may talk; 0 is for ever.
    pub max_ms: u32,
    /// Any of these keys of the caller brings it back.
    pub keys: Str,
}

/// `kk_call_1` since minor version 5.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Call1Minor5 {
    /// What the versions before had; its `size` is that of the whole.
    pub minor1: Call1Minor1,
    /// Since 1.5: dials a number as `dial` does, through the same rules, and lets both talk; the
    /// application stays and goes on with its caller when the talk is over. What plays, is
    /// collected or recorded ends as cancelled. The event is KK_OK, and its text begins with what
    /// came of it: "talked HOW MS" (HOW is "party": that one hung up, "time", or "key-" and the
    /// key), "busy STATUS", "declined STATUS", "no-answer STATUS", "unreachable STATUS", "failed
    /// STATUS", "refused CAUSE" (by the plan), or "key-" and the key of a caller who did not wait
    /// for an answer. Words may be added behind them. KK_E_HANGUP also when the caller goes on
    /// without the application: it was sent on, parked or taken into a room.
    pub bridge: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        bridge: *const Bridge,
        op: *mut OpNumber,
    ) -> Status,
}
