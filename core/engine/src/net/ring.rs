//! The loop on io_uring: each RTP socket has one receive that stands (multishot) and takes buffers
//! from a ring that all share; what is sent waits for the next turn and goes in one call, which is
//! the one that waits. RTCP, of which little comes, and the waker stay with the loop on readiness,
//! whose own descriptor is watched here.
//!
//! A receive that stands holds its socket: before a stream goes elsewhere or ends, it is taken back
//! and that is waited for. All memory is there from the beginning.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use mio::net::UdpSocket;
use socket2::SockAddr;

use super::Arrival;
use super::address;
use super::poll::PollLoop;
use super::region::Region;
use crate::stream::Stream;

/// Entries of the queue towards the kernel, and of the one back: every buffer and every receive
/// that ends at once.
const SUBMISSIONS: u32 = 1_024;
const COMPLETIONS: u32 = 8_192;

/// Packets that are sent in one call at most.
const SENDS: usize = 128;

/// Bytes of the longest packet that is queued; a longer one is sent at once.
const SEND: usize = 2_048;

/// How long it may take until a receive is taken back: it does not depend on anybody else.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a completion is of, in the top byte of its number.
const RECEIVE: u64 = 1;
const WATCH: u64 = 2;
const SENT: u64 = 3;
const CANCEL: u64 = 4;

/// The receive of one slot.
#[derive(Clone, Copy, Debug, Default)]
struct Receive {
    fd: RawFd,
    /// Counts the streams of the slot, so that what is left of one is not the next one's.
    generation: u32,
    /// The kernel has it.
    stands: bool,
    /// It shall stand.
    wanted: bool,
}

/// A packet on its way.
struct Outgoing {
    bytes: [u8; SEND],
    target: SockAddr,
}

/// What the kernel gives for a loop, or does not.
pub(super) struct Parts {
    ring: IoUring,
    region: Region,
}

impl Parts {
    /// A ring that this thread alone uses, with its buffers.
    ///
    /// # Errors
    /// The kernel has no io_uring, is too old for what is used of it, or refuses it.
    pub(super) fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let region = Region::new(&ring.submitter())?;
        Ok(Self { ring, region })
    }
}

/// The loop.
pub(crate) struct RingLoop {
    ring: IoUring,
    poll: PollLoop,
    receives: Box<[Receive]>,
    region: Region,
    /// What every receive is asked with: room for an address.
    header: Box<libc::msghdr>,
    outgoing: Box<[Outgoing]>,
    queued: usize,
    /// Of what was queued: what the kernel has tried, and what it would not send.
    tried: u64,
    refused: u64,
}

impl RingLoop {
    /// A loop around that of a worker, with what the kernel gave for it; on the worker's thread.
    pub(super) fn new(parts: Parts, poll: PollLoop, slots: usize) -> Self {
        let Parts { ring, region } = parts;
        // SAFETY: a msghdr of zeros is an empty one.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_namelen = address::MOST;
        let nowhere = SockAddr::from(SocketAddr::from(([0, 0, 0, 0], 0)));
        let outgoing = (0..SENDS).map(|_| Outgoing { bytes: [0; SEND], target: nowhere.clone() });
        let mut own = Self {
            ring,
            poll,
            receives: vec![Receive::default(); slots].into(),
            region,
            header,
            outgoing: outgoing.collect(),
            queued: 0,
            tried: 0,
            refused: 0,
        };
        own.watch();
        own
    }

    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let timeout = Timespec::from(timeout);
        let arguments = SubmitArgs::new().timespec(&timeout);
        let outcome = self.ring.submitter().submit_with_args(1, &arguments).map(drop);
        self.sent();
        outcome.or_else(passes)
    }

    /// Gives the kernel what is queued.
    fn submit(&mut self) -> io::Result<()> {
        let outcome = self.ring.submitter().submit().map(drop);
        self.sent();
        outcome.or_else(passes)
    }

    /// What was queued has been tried, unless the kernel left some of it.
    fn sent(&mut self) {
        if self.ring.submission().is_empty() {
            let queued = std::mem::replace(&mut self.queued, 0);
            self.tried = self.tried.saturating_add(u64::try_from(queued).unwrap_or(0));
        }
    }

    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Option<Arrival> {
        loop {
            if let Some(arrival) = self.poll.next() {
                return Some(arrival);
            }
            let entry = self.ring.completion().next()?;
            match entry.user_data() >> 56 {
                WATCH => {
                    if !cqueue::more(entry.flags()) {
                        self.watch();
                    }
                    // What it says comes out above; when it is broken, the next wait says so.
                    let _ = self.poll.wait(Duration::ZERO);
                }
                SENT => self.refused = self.refused.saturating_add(1),
                RECEIVE => {
                    if let Some(arrival) = self.received(&entry, buffer) {
                        return Some(arrival);
                    }
                }
                _ => {}
            }
        }
    }

    /// A datagram, or the end of a receive.
    fn received(&mut self, entry: &cqueue::Entry, buffer: &mut [u8]) -> Option<Arrival> {
        let (slot, generation) = place_of(entry.user_data());
        let index = usize::try_from(slot).ok()?;
        let known = self.receives.get(index).copied();
        let is_ours = known.is_some_and(|receive| receive.generation == generation);
        let mut arrival = None;
        if let Some(number) = cqueue::buffer_select(entry.flags()) {
            if let (true, Ok(length)) = (is_ours, usize::try_from(entry.result())) {
                let taken = taken(self.region.bytes(number, length), &self.header, buffer);
                arrival = taken.map(|(from, length)| Arrival::Datagram { slot, from, length });
            }
            self.region.give_back(number);
        }
        if is_ours
            && !cqueue::more(entry.flags())
            && let Some(receive) = self.receives.get_mut(index)
        {
            receive.stands = false;
            // No buffer was left, or it was taken back; what else ends it may do so again.
            match (receive.wanted, -entry.result()) {
                (true, ..=0 | libc::ENOBUFS | libc::ECANCELED) => self.stand(slot),
                (true, _) => arrival = Some(Arrival::Failed(slot)),
                (false, _) => {}
            }
        }
        arrival
    }

    pub(super) fn open(&mut self, slot: u32, stream: &mut Stream) -> io::Result<()> {
        self.poll.open_rtcp(slot, stream)?;
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        if let Some(receive) = self.receives.get_mut(index) {
            receive.generation = receive.generation.wrapping_add(1) & GENERATIONS;
            (receive.fd, receive.wanted, receive.stands) = (stream.rtp.as_raw_fd(), true, false);
        }
        self.stand(slot);
        Ok(())
    }

    /// Puts a slot's receive up.
    fn stand(&mut self, slot: u32) {
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        let Some(receive) = self.receives.get_mut(index) else { return };
        receive.stands = true;
        let number = number_of(slot, receive.generation);
        let header: *const libc::msghdr = &raw const *self.header;
        let entry = opcode::RecvMsgMulti::new(Fd(receive.fd), header, Region::GROUP).build();
        self.push(&entry.user_data(number));
    }

    pub(super) fn stop(&mut self, slot: u32) {
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        let Some(receive) = self.receives.get_mut(index) else { return };
        receive.wanted = false;
        if !receive.stands {
            return;
        }
        let number = number_of(slot, receive.generation);
        // It must have been put up before it can be taken back.
        let _ = self.submit();
        let which = CancelBuilder::user_data(number).all();
        // One that is not there any more has ended by itself.
        let _ = self.ring.submitter().register_sync_cancel(Some(PATIENCE.into()), which);
    }

    pub(super) fn close(&mut self, slot: u32, stream: &mut Stream) {
        self.stop(slot);
        // What is queued names its socket by a number that another may have soon.
        let _ = self.submit();
        self.poll.close_rtcp(stream);
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        if let Some(receive) = self.receives.get_mut(index) {
            receive.generation = receive.generation.wrapping_add(1) & GENERATIONS;
            receive.stands = false;
        }
    }

    pub(super) fn rest(&mut self, slot: u32) {
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        let Some(receive) = self.receives.get_mut(index) else { return };
        receive.wanted = false;
        if receive.stands {
            let number = number_of(slot, receive.generation);
            self.push(&opcode::AsyncCancel::new(number).build().user_data(CANCEL << 56));
        }
    }

    pub(super) fn hear_again(&mut self, slot: u32, stream: &mut Stream) {
        self.poll.tell_again(Arrival::Rtcp(slot), stream);
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        let Some(receive) = self.receives.get_mut(index) else { return };
        receive.wanted = true;
        // One that is being taken back is put up anew at its end.
        if !receive.stands {
            self.stand(slot);
        }
    }

    pub(super) fn tell_again(&self, arrival: Arrival, stream: &mut Stream) {
        self.poll.tell_again(arrival, stream);
    }

    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        packet: &[u8],
        target: SocketAddr,
    ) -> Option<bool> {
        if self.queued == SENDS {
            // Whatever the kernel leaves of it keeps its place.
            let _ = self.submit();
        }
        let (Some(place), Ok(length)) =
            (self.outgoing.get_mut(self.queued), u32::try_from(packet.len()))
        else {
            return Some(socket.send_to(packet, target).is_ok());
        };
        let Some(bytes) = place.bytes.get_mut(..packet.len()) else {
            return Some(socket.send_to(packet, target).is_ok());
        };
        bytes.copy_from_slice(packet);
        place.target = SockAddr::from(target);
        self.queued += 1;
        let fd = Fd(socket.as_raw_fd());
        // It is tried once, when it is submitted: what has no room then is lost, as without a ring.
        let entry = opcode::Send::new(fd, place.bytes.as_ptr(), length)
            .flags(libc::MSG_DONTWAIT)
            .dest_addr(place.target.as_ptr().cast())
            .dest_addr_len(place.target.len())
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(SENT << 56);
        self.push(&entry);
        None
    }

    pub(super) fn outcome(&mut self) -> (u64, u64) {
        let refused = self.refused.min(self.tried);
        let sent = std::mem::replace(&mut self.tried, 0).saturating_sub(refused);
        self.refused -= refused;
        (sent, refused)
    }

    /// Watches the loop on readiness.
    fn watch(&mut self) {
        let fd = Fd(self.poll.poll().as_raw_fd());
        let events = u32::try_from(libc::POLLIN).unwrap_or(1);
        let entry = opcode::PollAdd::new(fd, events).multi(true).build().user_data(WATCH << 56);
        self.push(&entry);
    }

    fn push(&mut self, entry: &squeue::Entry) {
        for _ in 0..2 {
            // SAFETY: what an entry points to lives as long as the ring: the header is boxed, a
            // packet and its address stay as they are until the queue is empty.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return;
            }
            // A broken ring shows in the next wait.
            let _ = self.submit();
        }
    }
}

impl Drop for RingLoop {
    fn drop(&mut self) {
        // The kernel must write no more to the buffers, which are freed behind the ring.
        let _ = self.submit();
        let all = CancelBuilder::any().all();
        let _ = self.ring.submitter().register_sync_cancel(Some(PATIENCE.into()), all);
    }
}

/// The bits of a generation, behind kind and slot.
const GENERATIONS: u32 = 0xFF_FFFF;

/// The number of a receive: what it is, 24 bits of the stream's count, the slot.
fn number_of(slot: u32, generation: u32) -> u64 {
    RECEIVE << 56 | u64::from(generation & GENERATIONS) << 32 | u64::from(slot)
}

/// Slot and count of a number.
fn place_of(number: u64) -> (u32, u32) {
    let [_, g0, g1, g2, s0, s1, s2, s3] = number.to_be_bytes();
    (u32::from_be_bytes([s0, s1, s2, s3]), u32::from_be_bytes([0, g0, g1, g2]))
}

/// Copies a datagram to the beginning of `buffer`; its sender and length. What was longer than any
/// packet counts as empty, as nothing that anybody takes.
fn taken(bytes: &[u8], header: &libc::msghdr, buffer: &mut [u8]) -> Option<(SocketAddr, usize)> {
    let message = RecvMsgOut::parse(bytes, header).ok()?;
    let from = address::read(message.name_data())?;
    if message.is_payload_truncated() {
        return Some((from, 0));
    }
    let payload = message.payload_data();
    buffer.get_mut(..payload.len())?.copy_from_slice(payload);
    Some((from, payload.len()))
}

/// What is no fault of a wait: its time is over, a signal came, or more has come than it can hold
/// at once.
fn passes(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
        _ => Err(error),
    }
}
