//! The network as one of several shards has it: what the door brings, datagrams sent at once by the
//! sockets themselves, and the way to the door for what goes over connections.

use std::sync::Arc;

use crossbeam_channel::Sender;
use koukan_base::{ShardId, Time};
use koukan_sip::{Flow, Transport};
use koukan_switch::NEIGHBOURS_LISTENER;
use mio::Waker;

use super::door::Order;
use super::inbox::{Inbound, Inbox, Kind};
use crate::limits;
use crate::transport::{Counters, Datagrams, DropCause, Input, ListenAddress, Sink};

/// A shard's end of it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) own: ShardId,
    /// Of every shard, this one's among them.
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) datagrams: Datagrams,
    pub(crate) door: Sender<Order>,
    pub(crate) door_waker: Arc<Waker>,
    pub(crate) listeners: Vec<ListenAddress>,
    pub(crate) counters: Counters,
    /// The last turn has left something in the inbox.
    pub(crate) behind: bool,
    /// Orders wait that the door was not woken for.
    pub(crate) ordered: bool,
}

impl Link {
    fn inbox(&self) -> Option<&Inbox> {
        self.inboxes.get(usize::from(self.own.0))
    }

    /// Takes a bounded batch of what came.
    pub(crate) fn receive(&mut self, take: &mut dyn FnMut(Inbound)) {
        let Some(inbox) = self.inbox() else { return };
        inbox.listen();
        for _ in 0..limits::SHARD_BATCH {
            let Some(inbound) = inbox.pop() else { break };
            take(inbound);
        }
        self.behind = !inbox.is_empty();
    }

    /// Sends one message; a flow that can send no more is told to the sink.
    pub(crate) fn send(&mut self, flow: Flow, bytes: Vec<u8>, sink: &mut Sink<'_>) {
        match flow.transport {
            // The door knows whose it is.
            Transport::Udp if flow.listener == NEIGHBOURS_LISTENER => {
                // What finds no room is sent again, as any datagram that is lost.
                let _ = self.door.try_send(Order::Send(flow, bytes));
                self.ordered = true;
            }
            Transport::Udp => self.datagrams.send(flow, &bytes, &mut self.counters, sink),
            Transport::Tcp | Transport::Tls => {
                if self.door.try_send(Order::Send(flow, bytes)).is_err() {
                    self.counters.dropped(DropCause::TcpSlowReader);
                    sink(Input::FlowFailed { flow });
                }
                self.ordered = true;
            }
        }
    }

    /// Says something to every other shard; whether all had room for it.
    pub(crate) fn tell_others(&self, say: impl Fn() -> Inbound) -> bool {
        let mut all = true;
        for (number, inbox) in self.inboxes.iter().enumerate() {
            if number != usize::from(self.own.0) {
                all &= inbox.push(Kind::Known, say()).is_ok();
                inbox.tell();
            }
        }
        all
    }

    /// Wakes the door when it has something to send.
    pub(crate) fn flush(&mut self) {
        if std::mem::take(&mut self.ordered) {
            // A waker fails only when its poll is gone, and the server with it.
            let _ = self.door_waker.wake();
        }
    }
}

/// What a shard's loop has of the network.
#[derive(Debug)]
pub(crate) enum Wires {
    /// There is one shard: the sockets are its own.
    Own(Box<crate::transport::Transports>),
    /// One of several.
    Door(Box<Link>),
}

impl Wires {
    pub(crate) fn has_unfinished(&self) -> bool {
        match self {
            Self::Own(transports) => transports.has_unfinished(),
            Self::Door(link) => link.behind,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self {
            Self::Own(transports) => transports.poll_timeout(),
            Self::Door(_) => None,
        }
    }

    /// Whether anything of calls waits, or may.
    pub(crate) fn keeps_calls_waiting(&self) -> bool {
        match self {
            Self::Own(transports) => transports.keeps_calls_waiting(),
            Self::Door(link) => link.behind,
        }
    }

    pub(crate) fn send(&mut self, now: Time, flow: Flow, bytes: Vec<u8>, sink: &mut Sink<'_>) {
        match self {
            Self::Own(transports) => transports.send(now, flow, bytes, sink),
            Self::Door(link) => link.send(flow, bytes, sink),
        }
    }

    pub(crate) fn listeners(&self) -> Vec<ListenAddress> {
        match self {
            Self::Own(transports) => transports.listeners().map(|(_, bound)| bound).collect(),
            Self::Door(link) => link.listeners.clone(),
        }
    }

    /// Connections that stand; of several shards the door has them all.
    pub(crate) fn connections(&self) -> usize {
        match self {
            Self::Own(transports) => transports.connections(),
            Self::Door(_) => 0,
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        match self {
            Self::Own(transports) => transports.counters(),
            Self::Door(link) => &link.counters,
        }
    }
}
