//! The load: phones that each send a packet every 20 ms, spread over them, and listen. One thread
//! plays them all. What they say and what is made of what they hear is a [`Voice`]'s.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use koukan_media::{HEADER_BYTES, RtpHeader};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::proc;

/// Room for a payload.
pub(crate) const PAYLOAD: usize = 320;

/// What a phone says.
pub(crate) struct Said {
    pub(crate) payload_type: u8,
    /// RTP time units since the packet before.
    pub(crate) units: u32,
    /// Bytes of the payload.
    pub(crate) length: usize,
}

/// What phones say and hear. Times are since the load began.
pub(crate) trait Voice: Send + 'static {
    /// Writes the payload of a phone's packet; its turn is counted in packets.
    fn say(&mut self, phone: usize, turn: u64, at: Duration, payload: &mut [u8; PAYLOAD]) -> Said;

    /// A phone has received a packet.
    fn hear(&mut self, phone: usize, packet: &[u8], at: Duration);
}

/// A thread that plays every phone.
pub(crate) struct Load<V> {
    stop: Arc<AtomicBool>,
    measuring: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    /// When its clock began, and the number of its thread.
    begun: Instant,
    number: u32,
    thread: JoinHandle<io::Result<(V, Vec<Duration>)>>,
}

/// Sockets of phones on free ports, with their addresses.
pub(crate) fn sockets(count: usize) -> io::Result<Vec<(UdpSocket, SocketAddr)>> {
    let bind = |_| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    (0..count).map(bind).collect()
}

impl<V: Voice> Load<V> {
    /// Starts sending from each socket to its target.
    pub(crate) fn start(pairs: Vec<(UdpSocket, SocketAddr)>, core: u32, voice: V) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let measuring = Arc::new(AtomicBool::new(false));
        let received = Arc::new(AtomicU64::new(0));
        let player = Player {
            pairs,
            voice,
            stop: stop.clone(),
            measuring: measuring.clone(),
            received: received.clone(),
            late: Vec::new(),
        };
        let begun = Instant::now();
        let (told, number) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // Whoever measures may be gone; then nobody asks.
            let _ = told.send(proc::thread_id());
            player.run(core, begun)
        });
        let number = number.recv().ok().and_then(Result::ok).unwrap_or(0);
        Self { stop, measuring, received, begun, number, thread }
    }

    /// When its clock began.
    pub(crate) const fn begun(&self) -> Instant {
        self.begun
    }

    /// The number of its thread.
    pub(crate) const fn thread(&self) -> u32 {
        self.number
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// From now on, or no longer, packets are heard by the voice and the load's own lateness is
    /// kept.
    pub(crate) fn measure(&self, on: bool) {
        self.measuring.store(on, Ordering::Relaxed);
    }

    /// Ends it: the voice, and how late each millisecond's packets were sent while it measured.
    pub(crate) fn stop(self) -> io::Result<(V, Vec<Duration>)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the load has panicked"))?
    }
}

/// The value below which so many thousandths of the sorted lie, in ms.
pub(crate) fn quantile(sorted: &[Duration], thousandths: usize) -> f64 {
    let at = (sorted.len() * thousandths / 1000).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |value| value.as_secs_f64() * 1e3)
}

struct Player<V> {
    pairs: Vec<(UdpSocket, SocketAddr)>,
    voice: V,
    stop: Arc<AtomicBool>,
    measuring: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    late: Vec<Duration>,
}

impl<V: Voice> Player<V> {
    fn run(mut self, core: u32, start: Instant) -> io::Result<(V, Vec<Duration>)> {
        proc::pin(proc::thread_id()?, core)?;
        // What it measures is not its own waiting.
        if koukan_engine::take_real_time().is_err() {
            // An older system knows no such wish.
            let _ = koukan_engine::take_short_turns();
        }
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(1024);
        for (index, (socket, _)) in self.pairs.iter_mut().enumerate() {
            poll.registry().register(socket, Token(index), Interest::READABLE)?;
        }
        let mut buffer = [0; 2048];
        // What was due before it ran is not made up for.
        let mut slot = u64::try_from(start.elapsed().as_millis()).unwrap_or(0);
        while !self.stop.load(Ordering::Relaxed) {
            // One slot a millisecond; every twentieth of the sockets has its turn in each.
            let measuring = self.measuring.load(Ordering::Relaxed);
            while Duration::from_millis(slot) <= start.elapsed() {
                self.send_slot(slot, start);
                if measuring {
                    self.late.push(start.elapsed().saturating_sub(Duration::from_millis(slot)));
                }
                slot += 1;
            }
            let next = Duration::from_millis(slot).saturating_sub(start.elapsed());
            poll.poll(&mut events, Some(next))?;
            let mut count = 0;
            for event in &events {
                let Token(phone) = event.token();
                let Some((socket, _)) = self.pairs.get(phone) else { continue };
                while let Ok((length, _)) = socket.recv_from(&mut buffer) {
                    count += 1;
                    if measuring {
                        let packet = buffer.get(..length).unwrap_or_default();
                        self.voice.hear(phone, packet, start.elapsed());
                    }
                }
            }
            self.received.fetch_add(count, Ordering::Relaxed);
        }
        Ok((self.voice, self.late))
    }

    fn send_slot(&mut self, slot: u64, start: Instant) {
        let phase = usize::try_from(slot % 20).unwrap_or(0);
        let turn = slot / 20;
        let mut packet = [0; HEADER_BYTES + PAYLOAD];
        let mut payload = [0x55; PAYLOAD];
        for (phone, (socket, target)) in self.pairs.iter().enumerate().skip(phase).step_by(20) {
            let said = self.voice.say(phone, turn, start.elapsed(), &mut payload);
            let end = HEADER_BYTES + said.length.min(PAYLOAD);
            #[expect(clippy::cast_possible_truncation, reason = "RTP numbers wrap")]
            let header = RtpHeader {
                marker: false,
                payload_type: said.payload_type,
                sequence: turn as u16,
                timestamp: (turn as u32).wrapping_mul(said.units),
                ssrc: u32::try_from(phone).unwrap_or(0).wrapping_add(1),
                payload_start: HEADER_BYTES,
                payload_end: end,
            };
            let (head, body) = packet.split_at_mut(HEADER_BYTES);
            head.copy_from_slice(&header.bytes());
            body.copy_from_slice(&payload);
            // A full buffer is a lost packet, as on any network.
            let _ = socket.send_to(packet.get(..end).unwrap_or_default(), *target);
        }
    }
}

/// G.711 that carries the time at which it was sent, for whoever passes it on as it is.
#[derive(Default)]
pub(crate) struct Stamped {
    /// How long each packet took, sorted by nobody.
    pub(crate) delays: Vec<Duration>,
}

impl Voice for Stamped {
    fn say(&mut self, _: usize, _: u64, at: Duration, payload: &mut [u8; PAYLOAD]) -> Said {
        let stamp = u64::try_from(at.as_nanos()).unwrap_or(0).to_be_bytes();
        if let Some(place) = payload.first_chunk_mut() {
            *place = stamp;
        }
        Said { payload_type: 0, units: 160, length: 160 }
    }

    fn hear(&mut self, _: usize, packet: &[u8], at: Duration) {
        let stamp = packet.get(HEADER_BYTES..).and_then(<[u8]>::first_chunk::<8>);
        if let Some(stamp) = stamp.filter(|_| packet.len() == HEADER_BYTES + 160) {
            let sent = Duration::from_nanos(u64::from_be_bytes(*stamp));
            self.delays.push(at.saturating_sub(sent));
        }
    }
}
