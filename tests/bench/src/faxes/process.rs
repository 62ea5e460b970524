//! A fax process as the server has one: orders with sockets beside them, reports back.

use std::fs;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use koukan_fax::protocol::{Frames, Order, Report, frame};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::proc;

/// The process has as long to come up.
const UP: Duration = Duration::from_secs(10);

/// It runs until this is dropped.
pub(super) struct FaxProcess {
    child: Child,
    stream: UnixStream,
    frames: Frames,
    directory: PathBuf,
}

impl FaxProcess {
    /// One on a directory and a core of its own.
    pub(super) fn start(name: &str, core: u32) -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let program = own.with_file_name("koukan-faxworker");
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let (stream, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .arg(&directory)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        proc::pin_process(child.id(), core)?;
        let mut process = Self { child, stream, frames: Frames::default(), directory };
        process.stream.set_read_timeout(Some(UP))?;
        while process.next()?.is_none() {
            process.fill()?;
        }
        process.stream.set_nonblocking(true)?;
        Ok(process)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Puts a file into its directory.
    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::write(self.directory.join(name), bytes)
    }

    /// Orders something, with the socket that it names.
    pub(super) fn order(&mut self, order: &Order, socket: UdpSocket) -> io::Result<()> {
        let bytes = frame(order).map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [socket.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        loop {
            let slices = [IoSlice::new(&bytes)];
            match sendmsg(&self.stream, &slices, &mut control, SendFlags::NOSIGNAL) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                Ok(_) => return Err(io::Error::other("an order was cut")),
                Err(rustix::io::Errno::AGAIN) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next thing that it tells.
    pub(super) fn poll(&mut self) -> io::Result<Option<Report>> {
        match self.fill() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        self.next()
    }

    fn next(&mut self) -> io::Result<Option<Report>> {
        self.frames.poll().map_err(io::Error::other)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes)? {
            0 => Err(io::Error::other("the fax process has ended")),
            count => {
                self.frames.push(bytes.get(..count).unwrap_or_default());
                Ok(())
            }
        }
    }
}

impl Drop for FaxProcess {
    fn drop(&mut self) {
        // One that is gone already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
