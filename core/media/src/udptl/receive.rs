//! The receiving side of a stream: every IFP packet once and in order, lost ones rebuilt from
//! copies or parities that came.

use super::packet::{Entries, Packet, Recovery};
use super::{UdptlError, WINDOW, ifp_bytes};

/// Packets back that a parity may reach.
const HISTORY: u16 = 128;

/// What came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdptlCounts {
    /// Datagrams of the stream.
    pub received: u64,
    /// Packets whose own datagram did not come in time and that were rebuilt.
    pub recovered: u64,
    /// Packets that nothing could rebuild.
    pub lost: u64,
    /// Datagrams that say nothing new: repeats, and those that came late.
    pub repeated: u64,
    /// Datagrams that are none of the stream's.
    pub refused: u64,
}

/// A packet that came or was rebuilt.
#[derive(Clone, Debug, Default)]
struct Slot {
    number: u16,
    known: bool,
    ifp: Vec<u8>,
}

/// The receiver.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The number that comes next; none before the first datagram.
    expected: Option<u16>,
    /// A number far from the expected one, which the next datagram may confirm.
    suspected: Option<u16>,
    slots: Vec<Slot>,
    rebuilt: Vec<u8>,
    counts: UdptlCounts,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            expected: None,
            suspected: None,
            slots: vec![Slot::default(); usize::from(HISTORY)],
            rebuilt: Vec::new(),
            counts: UdptlCounts::default(),
        }
    }
}

impl Receiver {
    /// Takes a datagram and gives out, in order, the number and IFP packet of whatever is new.
    ///
    /// # Errors
    /// Why the datagram is none of the stream's; the stream stands as before.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        mut deliver: impl FnMut(u16, &[u8]),
    ) -> Result<(), UdptlError> {
        let packet = match Packet::parse(datagram).and_then(|packet| self.place(packet)) {
            Ok(packet) => packet,
            Err(error) => {
                self.counts.refused += 1;
                return Err(error);
            }
        };
        self.counts.received += 1;
        let number = packet.sequence;
        let expected = self.expected.unwrap_or(number);
        let ahead = number.wrapping_sub(expected);
        if ahead > u16::MAX / 2 {
            self.counts.repeated += 1;
            return Ok(());
        }
        self.store(number, packet.primary);
        if ahead > 0 {
            match packet.recovery {
                Recovery::Redundancy(copies) => self.copies(number, ahead, copies),
                Recovery::Fec { span, entries } => self.parities(number, ahead, span, entries),
            }
        }
        let missing = ahead.min(HISTORY - 1);
        self.counts.lost += u64::from(ahead - missing);
        for back in (1..=missing).rev() {
            let earlier = number.wrapping_sub(back);
            match self.known(earlier) {
                Some(ifp) => {
                    deliver(earlier, ifp);
                    self.counts.recovered += 1;
                }
                None => self.counts.lost += 1,
            }
        }
        deliver(number, packet.primary);
        self.expected = Some(number.wrapping_add(1));
        Ok(())
    }

    /// What came.
    #[must_use]
    pub const fn counts(&self) -> UdptlCounts {
        self.counts
    }

    /// The packet, when its number belongs to the stream.
    fn place<'d>(&mut self, packet: Packet<'d>) -> Result<Packet<'d>, UdptlError> {
        let number = packet.sequence;
        let Some(expected) = self.expected else { return Ok(packet) };
        let (ahead, behind) = (number.wrapping_sub(expected), expected.wrapping_sub(number));
        if ahead.min(behind) <= WINDOW {
            self.suspected = None;
            return Ok(packet);
        }
        if self.suspected == Some(number.wrapping_sub(1)) {
            // The other side has begun to count anew: what was missing is not waited for.
            self.suspected = None;
            self.expected = Some(number);
            self.slots.iter_mut().for_each(|slot| slot.known = false);
            return Ok(packet);
        }
        self.suspected = Some(number);
        Err(UdptlError::Jump { number, expected })
    }

    fn slot(&mut self, number: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(number % HISTORY))
    }

    fn known(&self, number: u16) -> Option<&[u8]> {
        let slot = self.slots.get(usize::from(number % HISTORY))?;
        (slot.known && slot.number == number).then_some(slot.ifp.as_slice())
    }

    fn store(&mut self, number: u16, ifp: &[u8]) {
        if let Some(slot) = self.slot(number) {
            (slot.number, slot.known) = (number, true);
            slot.ifp.clear();
            slot.ifp.extend_from_slice(ifp);
        }
    }

    fn copies(&mut self, number: u16, ahead: u16, copies: Entries<'_>) {
        for (back, copy) in (1..=ahead.min(HISTORY - 1)).zip(copies.iter()) {
            if ifp_bytes(copy) == Some(copy.len()) {
                self.store(number.wrapping_sub(back), copy);
            }
        }
    }

    /// Rebuilds what is the only unknown packet of a parity.
    fn parities(&mut self, number: u16, ahead: u16, span: u8, parities: Entries<'_>) {
        let count = u16::try_from(parities.len()).unwrap_or(u16::MAX);
        let reach = count.saturating_mul(u16::from(span));
        if reach == 0 || reach >= HISTORY {
            return;
        }
        for (entry, parity) in (0..count).zip(parities.iter()) {
            let covered = (1..=u16::from(span))
                .map(|back| number.wrapping_add(entry).wrapping_sub(count * back));
            let mut unknown = covered.clone().filter(|number| self.known(*number).is_none());
            let (Some(wanted), None) = (unknown.next(), unknown.next()) else { continue };
            // Only what is still to be given out.
            if number.wrapping_sub(wanted) > ahead {
                continue;
            }
            let mut rebuilt = std::mem::take(&mut self.rebuilt);
            rebuilt.clear();
            rebuilt.extend_from_slice(parity);
            for other in covered.filter(|other| *other != wanted) {
                let ifp = self.known(other).unwrap_or_default();
                rebuilt.iter_mut().zip(ifp).for_each(|(sum, byte)| *sum ^= byte);
            }
            let padding = |padding: &[u8]| padding.iter().all(|byte| *byte == 0);
            if let Some(length) = ifp_bytes(&rebuilt)
                && let Some((ifp, rest)) = rebuilt.split_at_checked(length)
                && padding(rest)
            {
                self.store(wanted, ifp);
            }
            self.rebuilt = rebuilt;
        }
    }
}
