//! Streams whose sound another process has: their sockets are kept here, bound and unread, until
//! their end is ordered.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use koukan_base::StreamId;
use koukan_media::{StreamConfig, StreamStats};

use crate::stream::Stream;

/// A stream as it stands when another process takes it.
#[derive(Debug)]
pub struct Lent {
    /// Its socket of RTP, non-blocking; RTCP stays here, bound and silent.
    pub socket: OwnedFd,
    /// What was agreed.
    pub config: StreamConfig,
    /// Where its packets go: where the peer's come from, once that is known.
    pub remote: SocketAddr,
    /// Our SSRC.
    pub ssrc: u32,
    /// The sequence number of the next packet.
    pub sequence: u16,
    /// Its timestamp.
    pub timestamp: u32,
}

/// The streams that are lent.
#[derive(Debug, Default)]
pub(crate) struct Lendings {
    streams: HashMap<StreamId, Box<Stream>>,
}

impl Lendings {
    pub(crate) fn add(&mut self, stream: Box<Stream>) {
        self.streams.insert(stream.id, stream);
    }

    pub(crate) fn has(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// A second descriptor of a stream's socket.
    pub(crate) fn lend(&self, stream: StreamId) -> Option<io::Result<Lent>> {
        let stream = self.streams.get(&stream)?;
        let config = stream.config.clone()?;
        let (sequence, timestamp) = stream.sender.next_numbers();
        let lent = stream.rtp.as_fd().try_clone_to_owned().map(|socket| Lent {
            socket,
            remote: stream.latch.target(config.remote),
            ssrc: stream.sender.ssrc(),
            sequence,
            timestamp,
            config,
        });
        Some(lent)
    }

    /// Takes one back, after so long.
    pub(crate) fn take_back(&mut self, stream: StreamId, away: Duration) -> Option<Box<Stream>> {
        let mut stream = self.streams.remove(&stream)?;
        stream.sender.skip(away);
        // Nothing is listened for until it is ordered anew.
        stream.ear = None;
        Some(stream)
    }

    /// Ends one; what passed through it before it was lent.
    pub(crate) fn close(&mut self, stream: StreamId) -> Option<StreamStats> {
        self.streams.remove(&stream).map(|stream| stream.stats(None))
    }
}
