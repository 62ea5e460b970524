//! What the switch wants done. The driver drains these after every input, in order.

use jiff::Timestamp;
use koukan_base::{CallId, Time, WorkerId};
use koukan_media::Command;
use koukan_sip::Flow;

use crate::{FaxOrder, ModuleOrder, Record};

/// The two clocks of one input: monotonic for timers, dated for schedules and CDRs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time.
    pub time: Time,
    /// Date and time (the test clock when it is set).
    pub date: Timestamp,
}

/// A mail of the switch's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Whose office it is about.
    pub tenant: String,
    /// The same one is sent once: lower-case letters, digits and dashes.
    pub id: String,
    /// Its receivers.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its words.
    pub text: String,
}

/// One thing for the driver to do.
#[derive(Debug)]
pub enum Action {
    /// Append to the journal before any `Send` that follows in the same drain leaves.
    Record(Record),
    /// Send a SIP message.
    Send {
        /// Where to.
        flow: Flow,
        /// The whole message.
        bytes: Vec<u8>,
    },
    /// Order something from a media worker.
    Media {
        /// The worker that owns the stream.
        worker: WorkerId,
        /// The order.
        command: Command,
    },
    /// Order something from the module host.
    Module(ModuleOrder),
    /// Order something of whoever speaks T.30.
    Fax(FaxOrder),
    /// Send a mail.
    Mail(Mail),
    /// Something that an operator should know, for the log.
    Notice {
        /// Something is wrong; else it is well (again).
        grave: bool,
        /// The sentence.
        text: String,
    },
    /// A line of a call's explain log.
    Explain {
        /// The call.
        call: CallId,
        /// The sentence.
        text: String,
    },
}
