//! What waits for a shard: messages that the door has routed to it, and what other shards say.
//! Bounded; what belongs to calls that are up goes first, as it does in the sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use koukan_sip::{Flow, Message, Method};
use koukan_switch::{Banned, TrunkNews};
use mio::Waker;

use crate::limits;

/// Something for a shard.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A datagram, or the readable beginning of a stream that cannot be followed.
    Bytes {
        /// Where it came from.
        flow: Flow,
        /// The bytes.
        bytes: Box<[u8]>,
    },
    /// A whole message out of a stream.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        message: Box<Message>,
    },
    /// Nothing can be sent on this flow any more.
    FlowFailed {
        /// Which.
        flow: Flow,
    },
    /// How the server's trunks are, elsewhere.
    Trunks(Vec<TrunkNews>),
    /// Sources that another shard has banned.
    Banned(Vec<Banned>),
}

/// Which end of the queue something is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It belongs to what is up already.
    Known,
    /// It begins something; a CANCEL does not overtake its INVITE.
    New,
}

impl Kind {
    /// The kind of a message.
    pub(crate) fn of(message: &Message) -> Self {
        match message.method() {
            Some(Method::Invite | Method::Cancel | Method::Register | Method::Subscribe)
            | Some(Method::Options | Method::Publish | Method::Other) => Self::New,
            _ => Self::Known,
        }
    }
}

/// One kind's queue, both its ends.
#[derive(Debug)]
struct Queue(Sender<Inbound>, Receiver<Inbound>);

impl Queue {
    fn new() -> Self {
        let (into, out) = bounded(limits::SHARD_INBOX);
        Self(into, out)
    }

    fn push(&self, inbound: Inbound) -> Result<(), Inbound> {
        self.0.try_send(inbound).map_err(TrySendError::into_inner)
    }

    fn pop(&self) -> Option<Inbound> {
        self.1.try_recv().ok()
    }

    fn is_empty(&self) -> bool {
        self.1.is_empty()
    }
}

/// The inbox of a shard. Any thread puts something in, the shard's own takes it out.
#[derive(Debug)]
pub(crate) struct Inbox {
    known: Queue,
    new: Queue,
    /// The shard was woken and has not looked yet.
    told: AtomicBool,
    waker: Arc<Waker>,
}

impl Inbox {
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        Self { known: Queue::new(), new: Queue::new(), told: AtomicBool::new(false), waker }
    }

    /// Puts something in; given back when there is no room. The shard hears of it by
    /// [`Self::tell`].
    pub(crate) fn push(&self, kind: Kind, inbound: Inbound) -> Result<(), Inbound> {
        match kind {
            Kind::Known => self.known.push(inbound),
            Kind::New => self.new.push(inbound),
        }
    }

    /// Wakes the shard, once for all that was put in meanwhile.
    pub(crate) fn tell(&self) {
        if !self.is_empty() && !self.told.swap(true, Ordering::AcqRel) {
            // A waker fails only when its poll is gone, and the shard with it.
            let _ = self.waker.wake();
        }
    }

    /// From now on the shard is woken again; called before anything is taken out.
    pub(crate) fn listen(&self) {
        self.told.swap(false, Ordering::AcqRel);
    }

    /// The next thing, the most urgent first.
    pub(crate) fn pop(&self) -> Option<Inbound> {
        self.known.pop().or_else(|| self.new.pop())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.new.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use koukan_sip::{ListenerId, Transport};
    use mio::{Events, Poll, Token};

    use super::*;

    fn flow(connection: u64) -> Flow {
        let remote = "127.0.0.1:5060".parse().unwrap();
        Flow { transport: Transport::Udp, listener: ListenerId(0), remote, connection }
    }

    #[test]
    fn what_belongs_to_calls_that_are_up_goes_first_and_a_full_inbox_gives_back() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let inbox = Inbox::new(waker);
        let push = |kind, connection| {
            inbox.push(kind, Inbound::FlowFailed { flow: flow(connection) }).is_ok()
        };
        assert!(push(Kind::New, 1) && push(Kind::Known, 2) && push(Kind::New, 3));
        (0..3).for_each(|_| inbox.tell());
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(std::time::Duration::ZERO)).unwrap();
        assert_eq!(events.iter().count(), 1, "woken once");
        inbox.listen();
        let taken = std::iter::from_fn(|| inbox.pop()).map(|inbound| match inbound {
            Inbound::FlowFailed { flow } => flow.connection,
            other => panic!("{other:?}"),
        });
        assert_eq!(taken.collect::<Vec<u64>>(), [2, 1, 3]);
        assert!((0..limits::SHARD_INBOX).all(|_| push(Kind::New, 0)));
        assert!(!push(Kind::New, 0) && push(Kind::Known, 0), "each kind has its own room");
    }
}
