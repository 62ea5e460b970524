//! What was said on the wire: the last SIP messages of a shard in a ring of fixed size, read by
//! call (`koukan ctl trace`) as text, as a ladder or as pcapng, and a copy of each message to a
//! collector (HEP3) when one is configured. Switched off, it costs a branch a message.

mod call_ids;
mod hep;
mod ladder;
mod pcapng;
mod ring;

use std::net::SocketAddr;

use jiff::Timestamp;
use koukan_base::CallId;
use koukan_sip::{Flow, ListenerId, Transport};
use koukan_switch::Cdr;
use serde::Serialize;

use call_ids::CallIds;
pub use hep::{Collector, HepConfig};
pub(crate) use ladder::ladder;
pub(crate) use pcapng::pcapng;
use ring::Ring;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// When it came or left.
    pub at: Timestamp,
    /// We sent it.
    pub sent: bool,
    /// How.
    pub transport: Transport,
    /// What our side shows of itself.
    pub local: SocketAddr,
    /// The other side.
    pub remote: SocketAddr,
    /// The message, or its beginning.
    pub bytes: Vec<u8>,
    /// How long it was, when it was too long to be kept whole.
    pub length: usize,
}

/// A message as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TracedView {
    at: Timestamp,
    /// `in` or `out`.
    way: &'static str,
    transport: &'static str,
    local: String,
    remote: String,
    message: String,
}

impl Traced {
    pub(crate) fn view(&self) -> TracedView {
        TracedView {
            at: self.at,
            way: if self.sent { "out" } else { "in" },
            transport: self.transport.param_name(),
            local: self.local.to_string(),
            remote: self.remote.to_string(),
            message: String::from_utf8_lossy(&self.bytes).into_owned(),
        }
    }

    /// The first line.
    fn first_line(&self) -> String {
        let line = self.bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next();
        let text = String::from_utf8_lossy(line.unwrap_or_default());
        text.chars().filter(|sign| !sign.is_control()).collect()
    }

    /// The value of a header in its long or short form, as it stands.
    pub(crate) fn header(&self, long: &str, short: &str) -> Option<&[u8]> {
        let mut lines = self.bytes.split(|byte| *byte == b'\n').skip(1);
        let head = lines.by_ref().take_while(|line| !line.is_empty() && *line != b"\r");
        for line in head {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let name = name.trim_ascii();
            if name.eq_ignore_ascii_case(long.as_bytes())
                || name.eq_ignore_ascii_case(short.as_bytes())
            {
                return value.get(1..).map(<[u8]>::trim_ascii);
            }
        }
        None
    }

    /// Whether it is of one of these Call-IDs.
    pub(crate) fn is_of(&self, call_ids: &[String]) -> bool {
        let own = self.header("Call-ID", "i");
        own.is_some_and(|own| call_ids.iter().any(|id| id.as_bytes() == own))
    }
}

/// What is known of a message beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    at: Timestamp,
    sent: bool,
    flow: Flow,
    /// Its length, of which no more than [`MESSAGE_BYTES`] are kept.
    whole: usize,
}

/// Of one message no more is kept: no call needs it, and one stranger's must not drive out many.
const MESSAGE_BYTES: usize = 16 * 1024;

/// A message takes this much of the ring at least when its head is counted.
const LEAST: usize = 512;

/// The ring and the way to the collector, on the control thread.
#[derive(Debug)]
pub(crate) struct Trace {
    ring: Option<Ring<Head>>,
    collector: Option<Collector>,
    /// What each listener shows of itself.
    listeners: Vec<SocketAddr>,
    /// Only where there is a ring.
    calls: Option<CallIds>,
}

impl Trace {
    /// A ring of so many bytes; 0 keeps none.
    pub(crate) fn new(
        bytes: usize,
        collector: Option<Collector>,
        listeners: Vec<SocketAddr>,
    ) -> Self {
        let ring = (bytes > 0).then(|| ring(bytes));
        let calls = (bytes > 0).then(CallIds::new);
        Self { ring, collector, listeners, calls }
    }

    /// A message came or goes.
    pub(crate) fn note(&mut self, at: Timestamp, sent: bool, flow: &Flow, bytes: &[u8]) {
        if self.ring.is_none() && self.collector.is_none() {
            return;
        }
        // A line end that keeps a NAT open, a STUN message: no SIP.
        if bytes.len() < SHORTEST {
            return;
        }
        if let Some(ring) = &mut self.ring {
            let kept = bytes.get(..MESSAGE_BYTES).unwrap_or(bytes);
            ring.push(Head { at, sent, flow: *flow, whole: bytes.len() }, kept);
        }
        if let Some(collector) = &mut self.collector {
            let local = local_of(&self.listeners, flow);
            collector.send(at, sent, flow, local, bytes);
        }
    }

    /// What the record of a call says of its dialogs: they are found by that when it is over.
    pub(crate) fn note_call(&mut self, cdr: &Cdr) {
        if let Some(calls) = &mut self.calls {
            calls.note(cdr);
        }
    }

    /// Whether messages are kept.
    pub(crate) const fn is_on(&self) -> bool {
        self.ring.is_some()
    }

    /// The SIP Call-IDs of a call that is known.
    pub(crate) fn call_ids(&self, call: CallId) -> Option<Vec<String>> {
        self.calls.as_ref()?.of(call)
    }

    /// Every message that is kept, the oldest first.
    pub(crate) fn messages(&self) -> Vec<Traced> {
        let Some(ring) = &self.ring else { return Vec::new() };
        let traced = |(head, bytes): (&Head, &[u8])| Traced {
            at: head.at,
            sent: head.sent,
            transport: head.flow.transport,
            local: local_of(&self.listeners, &head.flow),
            remote: head.flow.remote,
            bytes: bytes.to_vec(),
            length: head.whole,
        };
        ring.iter().map(traced).collect()
    }

    /// Messages that did not get to the collector.
    pub(crate) fn lost(&self) -> u64 {
        self.collector.as_ref().map_or(0, Collector::lost)
    }
}

/// A ring of so many bytes for messages.
fn ring(bytes: usize) -> Ring<Head> {
    let local = SocketAddr::from(([0, 0, 0, 0], 0));
    let (transport, listener) = (Transport::Udp, ListenerId(0));
    let flow = Flow { transport, listener, remote: local, connection: 0 };
    let blank = Head { at: Timestamp::UNIX_EPOCH, sent: false, flow, whole: 0 };
    Ring::new(bytes, bytes / LEAST + 1, blank)
}

/// "ACK s:a SIP/2.0" is longer.
const SHORTEST: usize = 12;

fn local_of(listeners: &[SocketAddr], flow: &Flow) -> SocketAddr {
    let any = || SocketAddr::from(([0, 0, 0, 0], 0));
    listeners.get(usize::from(flow.listener.0)).copied().unwrap_or_else(any)
}

#[cfg(test)]
mod tests;
