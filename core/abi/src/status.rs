//! Statuses: what functions of the border answer and operations end with.

/// One of the constants here, or a newer host's, about which only the sign tells.
pub type Status = i32;

/// The application goes on.
pub const PENDING: Status = 1;
/// As asked; the application is done.
pub const OK: Status = 0;
/// It went wrong on the answering side.
pub const FAILED: Status = -1;
/// The module cancelled the operation.
pub const CANCELLED: Status = -2;
/// The call ended first.
pub const HANGUP: Status = -3;
/// Nothing came in time.
pub const TIMEOUT: Status = -4;
/// The thing, call or application named does not exist.
pub const NOT_FOUND: Status = -5;
/// The host does not do this.
pub const UNSUPPORTED: Status = -6;
/// Called on a wrong thread.
pub const THREAD: Status = -7;
/// An argument makes no sense, or a text is no UTF-8.
pub const ARGUMENT: Status = -8;
/// Too much at once.
pub const LIMIT: Status = -9;
/// The module's code panicked; the border caught it.
pub const PANIC: Status = -10;

/// The words for a status.
#[must_use]
pub const fn words(status: Status) -> &'static str {
    match status {
        PENDING => "pending",
        OK => "done",
        FAILED => "failed",
        CANCELLED => "cancelled",
        HANGUP => "the call has ended",
        TIMEOUT => "nothing came in time",
        NOT_FOUND => "not found",
        UNSUPPORTED => "not supported",
        THREAD => "called on a wrong thread",
        ARGUMENT => "an argument makes no sense",
        LIMIT => "too much at once",
        PANIC => "panicked",
        _ => "an unknown status",
    }
}
