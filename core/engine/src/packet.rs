//! A datagram of a stream's peer: is it RTP, is it this stream's, and what does it carry.

use koukan_base::Time;
use koukan_media::{Codec, Event, RtpHeader, Verdict};
use std::net::SocketAddr;

use crate::control::Events;
use crate::stream::Stream;
use crate::watch::sounds;

/// Bytes of the longest payload that is taken: an Ethernet frame's.
const MOST_PAYLOAD: usize = 1_500;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketKind {
    /// Sound.
    Audio(Codec),
    /// Comfort noise (RFC 3389).
    Noise,
    /// A telephone-event (RFC 4733).
    Event {
        /// In Hz.
        clock_rate: u32,
    },
}

/// An accepted packet.
pub(crate) struct Packet {
    pub(crate) header: RtpHeader,
    pub(crate) kind: PacketKind,
}

/// Reads a datagram and decides whether it is this stream's.
pub(crate) fn accept(
    now: Time,
    stream: &mut Stream,
    from: SocketAddr,
    datagram: &mut [u8],
    events: &Events,
) -> Option<Packet> {
    let config = stream.config.as_ref()?;
    let length = match &mut stream.secure {
        Some(secure) => secure.receiver.unprotect_rtp(datagram).ok()?,
        None => datagram.len(),
    };
    let header = RtpHeader::parse(datagram.get(..length)?)?;
    let event = config.telephone_event.filter(|event| event.receive_type == header.payload_type);
    let kind = match (event, header.payload_type) {
        (Some(event), _) => PacketKind::Event { clock_rate: event.clock_rate },
        (None, number) if number == config.codec.receive_type => {
            PacketKind::Audio(config.codec.codec)
        }
        (None, 13) => PacketKind::Noise,
        (None, number) => PacketKind::Audio(Codec::of_static(number)?),
    };
    let length = header.payload_end.saturating_sub(header.payload_start);
    if length == 0 || length > MOST_PAYLOAD {
        return None;
    }
    match stream.latch.judge(now, from, header.ssrc, config.remote) {
        Verdict::Foreign => return None,
        Verdict::Latched => events.push(Event::Heard { stream: stream.id, from }),
        Verdict::Accept => {}
    }
    stream.heard = now;
    stream.silent = false;
    if let PacketKind::Audio(codec) = kind
        && !stream.watch.sounded
    {
        let payload = datagram.get(header.payload_start..header.payload_end).unwrap_or_default();
        stream.watch.sounded = sounds(codec, payload);
    }
    let clock_rate = config.codec.codec.clock_rate();
    stream.reception.note(now, header.ssrc, header.sequence, header.timestamp, clock_rate);
    Some(Packet { header, kind })
}
