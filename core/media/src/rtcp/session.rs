//! When to report and what reports mean (RFC 3550, sections 6.2, 6.3 and 6.4): the sender's half of
//! a session with one peer.

use std::time::Duration;

use koukan_base::{Rng, Time};

use super::{Compound, Packet, ReportBlock, RtcpError, SenderInfo, write};
use crate::ReceiveStats;

/// The least interval (section 6.2).
const LEAST: Duration = Duration::from_secs(5);

/// Share of a session's bandwidth that is RTCP's, and members of a session.
const SHARE: u64 = 20;
const MEMBERS: u64 = 2;

/// What a random interval is divided by (section 6.3.1: e - 3/2, in thousandths).
const COMPENSATION: u64 = 1_218;

/// Headers of UDP and IPv4, which count (section 6.2).
const HEADERS: u64 = 28;

/// What we have sent on the RTP side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Our SSRC.
    pub ssrc: u32,
    /// Packets so far.
    pub packets: u64,
    /// Payload bytes so far.
    pub octets: u64,
    /// The RTP timestamp that stands for `now`.
    pub timestamp: u32,
}

/// What a peer's packet told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What the peer receives of us, if it reported it.
    pub block: Option<ReportBlock>,
    /// The way there and back, measured by that report.
    pub round_trip: Option<Duration>,
    /// The peer leaves.
    pub bye: bool,
}

/// The session of one stream.
#[derive(Debug)]
pub struct RtcpSession {
    rng: Rng,
    cname: Box<[u8]>,
    /// Bytes a second of RTP, of which the interval is made.
    bandwidth: u64,
    /// Mean size of a compound packet, with headers.
    mean_size: u64,
    next: Time,
    /// Packets that we had sent at the report before.
    packets_before: u64,
    /// Middle of the peer's last time, and when it came.
    peer_report: Option<(u32, Time)>,
    round_trip: Option<Duration>,
}

impl RtcpSession {
    /// A session that begins `now`; `bandwidth` in bytes a second. The first report comes after
    /// half an interval.
    #[must_use]
    pub fn new(now: Time, mut rng: Rng, cname: &[u8], bandwidth: u32) -> Self {
        let (bandwidth, mean_size) = (u64::from(bandwidth.max(1)), 100 + HEADERS);
        let first = interval(&mut rng, bandwidth, mean_size) / 2;
        let cname = cname.get(..255).unwrap_or(cname).into();
        Self {
            rng,
            cname,
            bandwidth,
            mean_size,
            next: now + first,
            packets_before: 0,
            peer_report: None,
            round_trip: None,
        }
    }

    /// Begins anew: the first report comes after half an interval from `now`.
    pub fn restart(&mut self, now: Time) {
        self.next = now + interval(&mut self.rng, self.bandwidth, self.mean_size) / 2;
    }

    /// When the next report is due.
    #[must_use]
    pub const fn poll_timeout(&self) -> Time {
        self.next
    }

    /// The last measured way there and back.
    #[must_use]
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Writes the report that is due, or the last one; how many bytes, 0 when none is due.
    pub fn report(
        &mut self,
        now: Time,
        sent: Sent,
        reception: &mut ReceiveStats,
        bye: bool,
        buffer: &mut [u8],
    ) -> usize {
        if now < self.next && !bye {
            return 0;
        }
        self.next = now + interval(&mut self.rng, self.bandwidth, self.mean_size);
        // Who sent nothing since the report before is a receiver (section 6.4).
        let sends = sent.packets > self.packets_before;
        self.packets_before = sent.packets;
        let info = sends.then(|| SenderInfo {
            ntp: ntp(now),
            rtp: sent.timestamp,
            packets: low(sent.packets),
            octets: low(sent.octets),
        });
        let block = reception.report().map(|block| ReportBlock {
            last_report: self.peer_report.map_or(0, |(middle, _)| middle),
            delay: self.peer_report.map_or(0, |(_, came)| units(now.since(came))),
            ..block
        });
        let blocks = block.as_slice();
        let written = write(buffer, sent.ssrc, info, blocks, &self.cname, bye).unwrap_or(0);
        self.note_size(written);
        written
    }

    /// Reads a datagram of the peer.
    ///
    /// # Errors
    /// It is no RTCP.
    pub fn handle(
        &mut self,
        now: Time,
        own_ssrc: u32,
        datagram: &[u8],
    ) -> Result<Heard, RtcpError> {
        let compound = Compound::parse(datagram)?;
        self.note_size(datagram.len());
        let mut heard = Heard::default();
        for packet in compound.packets() {
            let reports = match packet {
                Packet::SenderReport { info, reports, .. } => {
                    self.peer_report = Some((low(info.ntp >> 16), now));
                    reports
                }
                Packet::ReceiverReport { reports, .. } => reports,
                Packet::Bye { .. } => {
                    heard.bye = true;
                    continue;
                }
                Packet::Description { .. } | Packet::Other { .. } => continue,
            };
            if let Some(block) = reports.iter().find(|block| block.ssrc == own_ssrc) {
                heard.block = Some(block);
                heard.round_trip = round_trip(now, &block);
                self.round_trip = heard.round_trip.or(self.round_trip);
            }
        }
        Ok(heard)
    }

    /// Section 6.3.3: a sixteenth of the new size.
    fn note_size(&mut self, bytes: usize) {
        let size = u64::try_from(bytes).unwrap_or(u64::MAX).min(1_500) + HEADERS;
        self.mean_size = (self.mean_size * 15 + size) / 16;
    }
}

/// A random interval (section 6.3.1).
fn interval(rng: &mut Rng, bandwidth: u64, mean_size: u64) -> Duration {
    let fair = Duration::from_micros(mean_size * MEMBERS * SHARE * 1_000_000 / bandwidth);
    let whole = fair.max(LEAST);
    // Half to one and a half of it.
    let random = 500 + u64::from(rng.next_u32()) * 1_000 / u64::from(u32::MAX);
    let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(micros.saturating_mul(random) / COMPENSATION)
}

/// Our clock as NTP writes it; section 4 leaves its beginning open when there is no wall clock.
fn ntp(now: Time) -> u64 {
    let nanos = now.as_nanos();
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    (seconds << 32) | ((rest << 32) / 1_000_000_000)
}

/// A duration in 1/65536 seconds.
fn units(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros() * 65_536 / 1_000_000).unwrap_or(u32::MAX)
}

/// Section 6.4.1: now, less when we reported, less how long the peer kept it.
fn round_trip(now: Time, block: &ReportBlock) -> Option<Duration> {
    if block.last_report == 0 {
        return None;
    }
    let turned = low(ntp(now) >> 16).wrapping_sub(block.last_report).wrapping_sub(block.delay);
    // Below zero or beyond a quarter of an hour somebody's clock is wrong.
    if turned > 60_000_000 {
        return None;
    }
    Some(Duration::from_micros(u64::from(turned) * 1_000_000 / 65_536))
}

/// The low 32 bits.
fn low(number: u64) -> u32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}
