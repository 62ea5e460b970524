//! What an offer and an answer agree on (RFC 3264, sections 6 and 7).

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use super::{AudioFormat, Crypto, Direction, LocalAudio, Media, Security, Session, events};

/// Why there is no agreement: answered 488 as offer, the end of the call as answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No audio stream over RTP that is not refused.
    #[error("no audio stream over RTP")]
    NoAudio,
    /// No T.38 stream over UDPTL that is not refused.
    #[error("no T.38 stream over UDPTL")]
    NoImage,
    /// The stream has no address.
    #[error("no connection address for the audio stream")]
    NoAddress,
    /// The address is that of many: nobody is called there, and a flood is not ours to make.
    #[error("the connection address is that of a group or of a whole network")]
    GroupAddress,
    /// The address is of the other family than ours.
    #[error("the peer's address is of another family than ours")]
    AddressFamily,
    /// One side demands SRTP, and there are no keys that both can use.
    #[error("no keys of SRTP that both can use")]
    NoKeys,
    /// No format in common.
    #[error("no codec in common")]
    NoCodec,
}

/// What both sides agreed on, seen from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Where the peer wants RTP.
    pub remote: SocketAddr,
    /// Where the peer wants RTCP.
    pub remote_rtcp: SocketAddr,
    /// The format to send, with the peer's payload type.
    pub format: AudioFormat,
    /// Every common format with the peer's payload types, the chosen one first.
    pub common: Vec<AudioFormat>,
    /// The peer's payload type of `telephone-event`, when both have it: what we send.
    pub telephone_event: Option<u8>,
    /// The payload type that the peer sends them with: what we offered, or its own number again in
    /// our answer.
    pub telephone_event_receive: Option<u8>,
    /// Their clock rate, in Hz.
    pub telephone_event_rate: u32,
    /// The packet time that the peer wants, else ours, in ms.
    pub ptime_ms: u8,
    /// Which way media may flow, seen from us.
    pub direction: Direction,
    /// The peer's line of keys that goes with one of ours: SRTP is spoken.
    pub crypto: Option<Crypto>,
    /// SRTP was demanded (`RTP/SAVP`), by either side.
    pub secure: bool,
}

/// What `local` and the peer's description (its answer to our offer, or its offer) agree on. The
/// first format that both have is chosen: in our order when `prefer_ours`, else in the peer's.
///
/// # Errors
/// Why there is no agreement.
pub fn agreed(local: &LocalAudio, peer: &Session, prefer_ours: bool) -> Result<Agreed, Refusal> {
    let (_, media) = peer.audio().ok_or(Refusal::NoAudio)?;
    let address = address(media)?;
    if address.is_ipv4() != local.ip().is_ipv4() {
        return Err(Refusal::AddressFamily);
    }
    let mut common: Vec<AudioFormat> = Vec::new();
    for format in media.audio_formats() {
        let known = local.formats.iter().any(|ours| ours.is_same(&format));
        if known && !common.contains(&format) {
            common.push(format);
        }
    }
    if prefer_ours {
        let rank = |format: &AudioFormat| local.formats.iter().position(|our| our.is_same(format));
        common.sort_by_key(rank);
    }
    let format = common.first().cloned().ok_or(Refusal::NoCodec)?;
    let ours = |theirs: &&Crypto| local.crypto.iter().any(|own| theirs.answers(own));
    let crypto = media.crypto.iter().find(ours).cloned();
    let secure = local.secure || media.security() == Security::Required;
    if secure && crypto.is_none() {
        return Err(Refusal::NoKeys);
    }
    let rtcp = media.rtcp_port.unwrap_or(media.port.saturating_add(1));
    let event = local.telephone_event.and_then(|_| events::of_codec(media, &format));
    let rate = event.map_or(8000, |(_, rate)| rate);
    let ours = events::offered(local, &local.formats);
    let receive = ours.iter().find(|(_, known)| *known == rate).map(|(number, _)| *number);
    let longest = media.maxptime_ms.unwrap_or(60).min(60);
    Ok(Agreed {
        remote: SocketAddr::new(address, media.port),
        remote_rtcp: SocketAddr::new(address, rtcp),
        telephone_event: event.map(|(number, _)| number),
        telephone_event_receive: event.and(receive),
        telephone_event_rate: rate,
        ptime_ms: media.ptime_ms.unwrap_or(local.ptime_ms).min(longest).max(10),
        direction: local.direction.and(peer_direction(media).reversed()),
        format,
        common,
        crypto,
        secure,
    })
}

/// Where the peer wants its stream: one host's address, or the zeros of hold.
pub(super) fn address(media: &Media) -> Result<IpAddr, Refusal> {
    match media.connection.ok_or(Refusal::NoAddress)? {
        IpAddr::V4(group) if group.is_multicast() || group.is_broadcast() => {
            Err(Refusal::GroupAddress)
        }
        IpAddr::V6(group) if group.is_multicast() => Err(Refusal::GroupAddress),
        one => Ok(one),
    }
}

/// The peer's direction; an address of zeros is the old way to say that nothing may come
/// (RFC 2543, B.5).
fn peer_direction(media: &Media) -> Direction {
    if media.connection.is_some_and(|address| address.is_unspecified()) {
        media.direction.and(Direction::SendOnly)
    } else {
        media.direction
    }
}
