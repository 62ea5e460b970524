//! One child process that speaks T.30: started with a socket as its standard input, given orders
//! with descriptors beside them (SCM_RIGHTS), read, reaped.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use koukan_fax::protocol::{FrameError, Frames, Order, Report, frame};
use mio::net::UnixStream;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// Descriptors beside one order.
const DESCRIPTORS: usize = 2;

/// An order on its way: bytes that are left, and the descriptors that go with the first of them.
type Waiting = (Vec<u8>, Vec<OwnedFd>);

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) stream: UnixStream,
    frames: Frames,
    out: VecDeque<Waiting>,
}

impl Process {
    /// Starts the program on its directory.
    pub(super) fn start(program: &Path, directory: &Path) -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new(program)
            .arg(directory)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // Ctrl-C is for the server, which ends its faxes in order.
            .process_group(0)
            .env_clear()
            .spawn()?;
        let stream = UnixStream::from_std(ours);
        Ok(Self { child, stream, frames: Frames::default(), out: VecDeque::new() })
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends an order, or what of it the socket takes.
    pub(super) fn order(&mut self, order: &Order, sockets: Vec<OwnedFd>) -> io::Result<()> {
        let bytes = frame(order).map_err(io::Error::other)?;
        self.out.push_back((bytes, sockets));
        self.flush()
    }

    /// Whether orders wait for the socket.
    pub(super) fn waits(&self) -> bool {
        !self.out.is_empty()
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some((bytes, sockets)) = self.out.front_mut() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let descriptors: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
            if !descriptors.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(&descriptors));
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match sendmsg(&self.stream, &[IoSlice::new(bytes)], &mut control, flags) {
                Ok(count) if count == bytes.len() => drop(self.out.pop_front()),
                Ok(count) => {
                    bytes.drain(..count);
                    sockets.clear();
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes what it says; false when it is gone.
    pub(super) fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => self.frames.push(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Its next report.
    pub(super) fn poll(&mut self) -> Result<Option<Report>, FrameError> {
        self.frames.poll()
    }

    /// Ends it at once, if it has not ended, and says how it ended.
    pub(super) fn end(mut self) -> String {
        // One that is gone already cannot be killed.
        let _ = self.child.kill();
        match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }
}
