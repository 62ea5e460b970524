//! A running engine with sockets that play the phones.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use koukan_base::{StreamId, WorkerId};
use koukan_engine::{Engine, EngineConfig, Io, OpusSettings};
use koukan_media::{
    Codec, CodecParams, Command, Direction, Event, RtpHeader, Source, StreamConfig, TelephoneEvent,
};

pub(crate) const WORKER: WorkerId = WorkerId(0);
pub(crate) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The loop that is tested: the files whose names begin so run all tests once more on io_uring.
const IO: Io = match env!("CARGO_CRATE_NAME").as_bytes() {
    [b'r', b'i', b'n', b'g', ..] => Io::Uring,
    _ => Io::Mio,
};

/// An engine of one worker on a range that other tests do not use at the same time.
pub(crate) fn engine(prompts: PathBuf) -> Engine {
    engine_of(1, prompts)
}

/// The same of so many workers.
pub(crate) fn engine_of(workers: u16, prompts: PathBuf) -> Engine {
    let base = 30_000 + u16::try_from(std::process::id() % 100).unwrap() * 200;
    Engine::start(EngineConfig {
        workers,
        ports: base..=base + 1_999,
        prompts,
        pin: false,
        real_time: false,
        io: IO,
        max_streams: 256,
        opus: OpusSettings { complexity: 0, ..OpusSettings::default() },
        seed: [7; 32],
        seal: None,
        notify: Arc::new(|| {}),
    })
    .unwrap()
}

/// The first event that fits, within two seconds.
pub(crate) fn wait<T>(engine: &mut Engine, mut fits: impl FnMut(Event) -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(2);
    loop {
        while let Some(event) = engine.try_recv() {
            if let Some(found) = fits(event) {
                return found;
            }
        }
        assert!(Instant::now() < end, "the event does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A phone's socket with the stream that it talks to.
pub(crate) struct Phone {
    pub(crate) socket: UdpSocket,
    pub(crate) stream: StreamId,
    pub(crate) engine: SocketAddr,
    pub(crate) codec: Codec,
    sequence: u16,
    ssrc: u32,
}

impl Phone {
    pub(crate) fn new(engine: &mut Engine, number: u64, codec: Codec) -> Self {
        let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let stream = StreamId(number);
        engine.send(WORKER, Command::Open { stream, local: LOCAL, tenant: "office".into() });
        let address = wait(engine, |event| match event {
            Event::Opened { stream: opened, rtp } if opened == stream => Some(rtp),
            _ => None,
        });
        let config = Self::config(socket.local_addr().unwrap(), codec);
        engine.send(WORKER, Command::Configure { stream, config });
        let ssrc = u32::try_from(number).unwrap() + 1000;
        Self { socket, stream, engine: address, codec, sequence: 0, ssrc }
    }

    pub(crate) fn config(remote: SocketAddr, codec: Codec) -> StreamConfig {
        StreamConfig {
            remote,
            remote_rtcp: None,
            codec: CodecParams {
                codec,
                payload_type: codec.offered_payload_type(),
                receive_type: codec.offered_payload_type(),
                ptime_ms: 20,
            },
            telephone_event: Some(TelephoneEvent {
                payload_type: 101,
                receive_type: 101,
                clock_rate: 8_000,
            }),
            digit_tones: true,
            direction: Direction::SendRecv,
            srtp: None,
            silent_after: None,
        }
    }

    pub(crate) fn packet(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let header = RtpHeader {
            marker: false,
            payload_type,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * (self.codec.clock_rate() / 50),
            ssrc: self.ssrc,
            payload_start: 12,
            payload_end: 12,
        };
        [header.bytes().as_slice(), payload].concat()
    }

    /// A packet of the phone's codec, 20 ms later than the one before.
    pub(crate) fn say(&mut self, payload: &[u8]) {
        let packet = self.packet(self.codec.offered_payload_type(), payload);
        self.socket.send_to(&packet, self.engine).unwrap();
    }

    pub(crate) fn speak(&mut self, byte: u8) {
        let packet = self.packet(self.codec.offered_payload_type(), &[byte; 160]);
        self.socket.send_to(&packet, self.engine).unwrap();
    }

    pub(crate) fn hear(&self) -> Option<(RtpHeader, Vec<u8>)> {
        let mut buffer = [0; 2048];
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        assert_eq!(from, self.engine, "media comes from the port that was announced");
        let header = RtpHeader::parse(&buffer[..length]).unwrap();
        Some((header, buffer[header.payload_start..header.payload_end].to_vec()))
    }
}

pub(crate) fn bridge(engine: &mut Engine, a: StreamId, b: StreamId) {
    engine.send(WORKER, Command::Feed { stream: a, source: Source::Stream(b) });
    engine.send(WORKER, Command::Feed { stream: b, source: Source::Stream(a) });
    std::thread::sleep(Duration::from_millis(20));
}
