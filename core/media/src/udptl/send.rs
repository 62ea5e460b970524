//! The sending side of a stream. What repairs earlier losses is left away as far as the other
//! side's largest datagram demands; the packet itself never is.

use std::collections::VecDeque;

use super::packet::{put_length, put_string, string_bytes};

/// How losses are to be repaired, as `T38FaxUdpEC` has agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Not at all.
    None,
    /// By copies of so many packets before (`t38UDPRedundancy`).
    Redundancy {
        /// 1 to 7.
        depth: u8,
    },
    /// By so many parities, each of `span` packets (`t38UDPFEC`).
    Fec {
        /// Packets a parity, 1 to 8.
        span: u8,
        /// Parities a datagram, 1 to 8.
        entries: u8,
    },
}

const MOST_COPIES: usize = 7;
const MOST_PARITIES: usize = 8;

/// The sender.
#[derive(Clone, Debug)]
pub struct Sender {
    next: u16,
    correction: Correction,
    max_datagram: usize,
    /// The packets before, the newest first.
    before: VecDeque<Vec<u8>>,
    parity: Vec<u8>,
}

impl Sender {
    /// A stream that begins with number 0; `max_datagram` is the other side's largest, in bytes.
    #[must_use]
    pub fn new(correction: Correction, max_datagram: usize) -> Self {
        let before = VecDeque::new();
        Self { next: 0, correction, max_datagram, before, parity: Vec::new() }
    }

    /// Writes the datagram of an IFP packet into `out`. A repeat is the same datagram sent again.
    pub fn write(&mut self, ifp: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.next.to_be_bytes());
        put_string(out, ifp);
        match self.correction {
            Correction::None => out.extend_from_slice(&[0, 0]),
            Correction::Redundancy { depth } => self.copies(usize::from(depth), out),
            Correction::Fec { span, entries } => {
                self.parities(usize::from(span), usize::from(entries), out);
            }
        }
        self.next = self.next.wrapping_add(1);
        self.remember(ifp);
    }

    fn copies(&self, depth: usize, out: &mut Vec<u8>) {
        // The octet of the kind and the one of the count.
        let mut bytes = out.len() + 2;
        let fitting = self.before.iter().take(depth.min(MOST_COPIES)).take_while(|copy| {
            bytes += string_bytes(copy.len());
            bytes <= self.max_datagram
        });
        let count = fitting.count();
        out.push(0);
        put_length(out, count);
        self.before.iter().take(count).for_each(|copy| put_string(out, copy));
    }

    fn parities(&mut self, span: usize, entries: usize, out: &mut Vec<u8>) {
        let span = span.clamp(1, MOST_PARITIES);
        // Until so many packets have been sent there are fewer parities.
        let mut entries = entries.min(MOST_PARITIES).min(self.before.len() / span);
        loop {
            let start = out.len();
            out.extend_from_slice(&[0x80, 1, u8::try_from(span).unwrap_or(1)]);
            put_length(out, entries);
            for entry in 0..entries {
                self.parity.clear();
                for back in 1..=span {
                    // Number `sequence + entry - entries * back`, counted from the newest before.
                    let index = entries * back - entry - 1;
                    let ifp = self.before.get(index).map(Vec::as_slice).unwrap_or_default();
                    if self.parity.len() < ifp.len() {
                        self.parity.resize(ifp.len(), 0);
                    }
                    self.parity.iter_mut().zip(ifp).for_each(|(sum, byte)| *sum ^= byte);
                }
                put_string(out, &self.parity);
            }
            if out.len() <= self.max_datagram || entries == 0 {
                return;
            }
            out.truncate(start);
            entries -= 1;
        }
    }

    fn remember(&mut self, ifp: &[u8]) {
        let most = match self.correction {
            Correction::None => return,
            Correction::Redundancy { .. } => MOST_COPIES,
            Correction::Fec { .. } => MOST_PARITIES * MOST_PARITIES,
        };
        let mut slot = if self.before.len() < most {
            Vec::new()
        } else {
            self.before.pop_back().unwrap_or_default()
        };
        slot.clear();
        slot.extend_from_slice(ifp);
        self.before.push_front(slot);
    }
}
