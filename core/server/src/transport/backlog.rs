//! Datagrams that wait because more come than are served: out of the socket, whose buffer is short,
//! and by what they are about. What belongs to calls that are up goes first, new calls next, and
//! registrations and questions when there is time: a district that registers after a power cut
//! keeps nobody from calling.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::limits;

/// What waits, each kind in its order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: [VecDeque<(SocketAddr, Box<[u8]>)>; KINDS],
    bytes: usize,
}

const KINDS: usize = 3;
/// The kinds that calls are made of.
const OF_CALLS: usize = 2;

/// What each costs beside its bytes.
const OVERHEAD: usize = 64;

impl Backlog {
    /// Takes one in; there is room when [`Self::is_full`] says so.
    pub(super) fn push(&mut self, remote: SocketAddr, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len() + OVERHEAD);
        if let Some(waiting) = self.waiting.get_mut(kind(bytes)) {
            waiting.push_back((remote, bytes.into()));
        }
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<(SocketAddr, Box<[u8]>)> {
        let (remote, bytes) = self.waiting.iter_mut().find_map(VecDeque::pop_front)?;
        self.bytes = self.bytes.saturating_sub(bytes.len() + OVERHEAD);
        if self.is_empty() {
            // A burst's room is not kept.
            *self = Self::default();
        }
        Some((remote, bytes))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// Whether it takes no more: what comes then stays in the socket, or is lost there.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes >= limits::UDP_BACKLOG_BYTES
    }

    /// Whether anything of calls waits.
    pub(super) fn has_calls(&self) -> bool {
        self.waiting.iter().take(OF_CALLS).any(|waiting| !waiting.is_empty())
    }
}

/// Which kind a datagram is of, by its first word. A CANCEL never overtakes its INVITE, so the two
/// are of one kind.
fn kind(bytes: &[u8]) -> usize {
    let word = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
    match word {
        b"SIP/2.0" | b"ACK" | b"BYE" | b"PRACK" | b"UPDATE" | b"INFO" | b"NOTIFY" | b"REFER" => 0,
        b"INVITE" | b"CANCEL" => 1,
        // Registrations, questions, and what nobody knows.
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5060);

    #[test]
    fn what_belongs_to_calls_goes_first_and_each_kind_in_its_order() {
        let mut backlog = Backlog::default();
        let said = [
            "REGISTER 1",
            "INVITE 2",
            "SUBSCRIBE 3",
            "CANCEL 4",
            "BYE 5",
            "SIP/2.0 6",
            "ACK 7",
            "INVITE 8",
            "OPTIONS 9",
        ];
        said.iter().for_each(|text| backlog.push(PHONE, text.as_bytes()));
        let mut order = String::new();
        while let Some((_, bytes)) = backlog.pop() {
            assert_eq!(backlog.has_calls(), order.len() < 5, "{order}");
            order.push(char::from(bytes[bytes.len() - 1]));
        }
        assert_eq!(order, "567248139");
        assert_eq!(backlog.bytes, 0);
    }

    #[test]
    fn it_is_bounded() {
        let mut backlog = Backlog::default();
        let mut count = 0_usize;
        while !backlog.is_full() {
            backlog.push(PHONE, &[b'x'; 1_000]);
            count += 1;
        }
        assert!(count * 1_000 <= limits::UDP_BACKLOG_BYTES, "{count}");
        while backlog.pop().is_some() {
            count -= 1;
        }
        assert_eq!((count, backlog.is_full()), (0, false));
    }
}
