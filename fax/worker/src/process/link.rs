//! The socket to the server: orders with descriptors beside them in, reports out.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;

use koukan_fax::protocol::{FrameError, Frames, Order, Report, frame};
use mio::net::UnixStream;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// Descriptors of one message; an order has two at most, and orders are sent one by one.
const DESCRIPTORS: usize = 8;

/// Bytes of reports that wait for a server that does not read; more means that it has stopped.
const WAITING: usize = 8 * 1024 * 1024;

/// The socket.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: UnixStream,
    frames: Frames,
    descriptors: VecDeque<OwnedFd>,
    out: Vec<u8>,
}

impl Link {
    /// The one that the process was started with.
    pub(super) fn from_input() -> io::Result<Self> {
        let stream = StdStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: UnixStream::from_std(stream),
            frames: Frames::default(),
            descriptors: VecDeque::new(),
            out: Vec::new(),
        })
    }

    /// Takes what came; false when the server is gone.
    pub(super) fn fill(&mut self) -> bool {
        loop {
            let mut bytes = [0; 16 * 1024];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let count = match recvmsg(&self.stream, &mut parts, &mut control, flags) {
                Ok(came) => came.bytes,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return error == rustix::io::Errno::AGAIN,
            };
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    self.descriptors.extend(descriptors);
                }
            }
            if count == 0 {
                return false;
            }
            self.frames.push(bytes.get(..count).unwrap_or_default());
        }
    }

    /// The next order.
    pub(super) fn poll(&mut self) -> Result<Option<Order>, FrameError> {
        self.frames.poll()
    }

    /// The descriptor that the order at hand names next.
    pub(super) fn take(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    /// Puts a report behind those that wait.
    pub(super) fn say(&mut self, report: &Report) {
        // A report has a bounded size; one that had none would tell nobody anything.
        if let Ok(bytes) = frame(report) {
            self.out.extend_from_slice(&bytes);
        }
    }

    /// Whether reports wait.
    pub(super) fn waits(&self) -> bool {
        !self.out.is_empty()
    }

    /// Sends what waits; false when the server is gone.
    pub(super) fn flush(&mut self) -> bool {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(0) => return false,
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let full = error.kind() == io::ErrorKind::WouldBlock;
                    return full && self.out.len() < WAITING;
                }
            }
        }
        true
    }
}
