//! A caller that is answered as a fax machine (S-17, S-30), and a machine that is called to take a
//! fax (S-34): the leg speaks G.711 and nothing else, its stream leaves the media worker, and
//! whoever speaks T.30 has it until the fax is over. The switch knows nothing of T.30: it hears
//! sentences and the end.

mod carry;
mod detect;
mod receive;
mod send;
mod t38;

use std::sync::Arc;

use koukan_base::{CallId, ShardId, StreamId, Time};
use koukan_dialplan::FaxBox;
use koukan_sip::ClientTx;
use koukan_sip::sdp::{AgreedImage, LocalSession};

pub(crate) use carry::Carriage;
pub use carry::Carried;
pub(crate) use send::Sending;
pub use send::{Destination, FaxCall, FaxOffice, NotSent};

/// Tells one fax from the others of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FaxId(pub u64);

impl FaxId {
    /// The name of a fax that is to be sent, given by whoever wants it sent: numbers of its own,
    /// none of which the switch gives to a fax that comes in.
    #[must_use]
    pub const fn outgoing(number: u64) -> Self {
        Self(number | 1 << 63)
    }

    /// The same, with the mark of the shard that makes its calls; the number's low 48 bits count.
    #[must_use]
    pub const fn outgoing_of(shard: ShardId, number: u64) -> Self {
        Self::outgoing(CallId::new(shard, number).as_u64())
    }

    /// The shard whose mark it bears.
    #[must_use]
    pub const fn shard(self) -> ShardId {
        CallId::from_u64(self.0 & !(1 << 63)).shard()
    }
}

/// What the switch wants of whoever speaks T.30.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaxOrder {
    /// Take a lent stream and receive on it. Answered by [`FaxNews::Over`], exactly once, unless it
    /// is stopped first.
    Receive(Box<Reception>),
    /// A machine has answered a [`FaxCall`]: take the lent stream and send on it. Answered as
    /// `Receive` is.
    Send {
        /// Which.
        fax: FaxId,
        /// The call.
        call: CallId,
        /// The stream that is lent.
        stream: StreamId,
    },
    /// A [`FaxCall`] has come to nothing.
    NotSent {
        /// Which.
        fax: FaxId,
        /// The call, when one was made.
        call: Option<CallId>,
        /// Why.
        why: NotSent,
    },
    /// Go on over T.38, on the same socket.
    Switch {
        /// Which.
        fax: FaxId,
        /// What was agreed.
        image: AgreedImage,
    },
    /// Carry a fax between two lent streams; a second order for the same one changes how. Answered
    /// as `Receive` is.
    Carry(Box<Carried>),
    /// The call is over: what came is kept, and nothing more is reported.
    Stop {
        /// Which.
        fax: FaxId,
    },
}

/// A fax to be received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reception {
    /// Its name in orders and reports.
    pub fax: FaxId,
    /// The call.
    pub call: CallId,
    /// The stream that is lent.
    pub stream: StreamId,
    /// The tenant's id.
    pub tenant: Arc<str>,
    /// The box, by its name in the plan.
    pub mailbox: Arc<str>,
    /// The box's rules.
    pub spec: Arc<FaxBox>,
    /// The caller's number or user.
    pub caller: String,
    /// What was called.
    pub called: String,
    /// The digits of the number that was called, when one was: what our machine calls itself.
    pub did: Option<Arc<str>>,
    /// The number that was called, by its name in the plan, and the machine of the office that what
    /// is stored is sent on to.
    pub deliver_to: Option<(Arc<str>, Arc<str>)>,
    /// The office's language.
    pub language: Arc<str>,
    /// Seconds that the office's clocks are ahead of UTC.
    pub utc_offset_s: i32,
}

/// What is reported of a fax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxReport {
    /// Which.
    pub fax: FaxId,
    /// What.
    pub news: FaxNews,
}

/// What happens in a fax, in words for the call's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaxNews {
    /// It goes on.
    Told(String),
    /// It is over: the call is hung up.
    Over(String),
}

/// Which way a fax goes.
#[derive(Debug)]
pub(crate) enum Duty {
    /// It comes, by these rules of its box.
    Receive(Arc<FaxBox>),
    /// It goes.
    Send,
}

/// A fax under way on a call.
#[derive(Debug)]
pub(crate) struct FaxRun {
    pub(crate) fax: FaxId,
    pub(crate) mailbox: Arc<str>,
    pub(crate) duty: Duty,
    /// T.38 is asked for and accepted.
    pub(crate) t38: bool,
    /// Whoever speaks T.30 has the stream.
    pub(crate) lent: bool,
    /// T.38, once that is agreed on.
    pub(crate) image: Option<AgreedImage>,
    /// When we ask for it.
    pub(crate) ask_at: Option<Time>,
    /// Our offer of it that waits for its answer, and our description before it.
    pub(crate) asked: Option<(ClientTx, Box<LocalSession>)>,
}
