//! One SIP socket of a carrier or an adapter, and as many calls over it as there are: what comes is
//! given to the call that its Call-ID names, and new calls to whoever waits for their number.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use super::call::header;

/// How often the reading thread looks whether it is to end.
const LOOKS: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    calls: Mutex<HashMap<String, Sender<String>>>,
    fresh: Mutex<VecDeque<String>>,
    came: Condvar,
    ends: AtomicBool,
}

impl Shared {
    fn read(&self) {
        let mut buffer = [0; 8_192];
        while !self.ends.load(Ordering::Relaxed) {
            let Ok((count, _)) = self.socket.recv_from(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            let Some(call_id) = header(&text, "Call-ID") else { continue };
            // An INVITE with a tag in To is of a call that is known, or is over.
            let inside = header(&text, "To").is_some_and(|to| to.contains(";tag="));
            let fresh = text.starts_with("INVITE ") && !inside;
            let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            match calls.get(&call_id) {
                // A repetition of the first INVITE was answered already.
                Some(_) if fresh => {}
                Some(call) => drop(call.send(text)),
                None if fresh => {
                    let mut waiting = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
                    if !waiting
                        .iter()
                        .any(|known| header(known, "Call-ID") == Some(call_id.clone()))
                    {
                        waiting.push_back(text);
                        self.came.notify_all();
                    }
                }
                None => {}
            }
        }
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct Hub {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    /// At this port of the loopback, or any (0).
    pub(super) fn open(port: u16) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(LOOKS))?;
        let shared = Arc::new(Shared {
            socket,
            calls: Mutex::default(),
            fresh: Mutex::default(),
            came: Condvar::new(),
            ends: AtomicBool::new(false),
        });
        let reader = Arc::clone(&shared);
        let thread = Some(spawn(move || reader.read()));
        Ok(Self { shared, thread })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.shared.socket.local_addr()
    }

    /// What belongs to one call.
    pub(super) fn wire(&self, call_id: &str) -> Wire {
        let (to, inbox) = channel();
        let mut calls = self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.insert(call_id.to_owned(), to);
        Wire { shared: Arc::clone(&self.shared), call_id: call_id.to_owned(), inbox }
    }

    /// The next new call within this time, to this number when one is given.
    pub(super) fn next(&self, number: Option<&str>, limit: Duration) -> io::Result<String> {
        let wanted = |invite: &String| {
            number.is_none_or(|number| invite.starts_with(&format!("INVITE sip:{number}@")))
        };
        let until = Instant::now() + limit;
        let mut waiting = self.shared.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(at) = waiting.iter().position(wanted)
                && let Some(invite) = waiting.remove(at)
            {
                return Ok(invite);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            let woken = self.shared.came.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends outside of any call.
    pub(super) fn send(&self, text: &str, to: SocketAddr) -> io::Result<()> {
        self.shared.socket.send_to(text.as_bytes(), to).map(|_| ())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One call's part of it.
#[derive(Debug)]
pub(super) struct Wire {
    shared: Arc<Shared>,
    call_id: String,
    inbox: Receiver<String>,
}

impl Wire {
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.shared.socket.local_addr()
    }

    pub(super) fn send(&self, text: &str, to: SocketAddr) -> io::Result<()> {
        self.shared.socket.send_to(text.as_bytes(), to).map(|_| ())
    }

    /// The next message within this time.
    pub(super) fn wait(&self, limit: Duration) -> io::Result<String> {
        self.inbox.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => io::Error::from(io::ErrorKind::TimedOut),
            RecvTimeoutError::Disconnected => io::Error::other("the socket is closed"),
        })
    }

    /// A message that has come.
    pub(super) fn poll(&self) -> io::Result<Option<String>> {
        match self.inbox.try_recv() {
            Ok(text) => Ok(Some(text)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(io::Error::other("the socket is closed")),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let mut calls = self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.remove(&self.call_id);
    }
}
