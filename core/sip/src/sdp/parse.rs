//! Reading a session description (RFC 8866, section 5). What has no meaning here is passed over; a
//! line that would lead media astray is an error.

use std::net::IpAddr;

use thiserror::Error;

use super::{AudioFormat, Crypto, Direction, ImageAttributes, Security};

/// Why a body is no usable session description: the peer's fault, answered 488 or 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SdpError {
    /// It does not begin with `v=0`.
    #[error("no v=0 line")]
    Version,
    /// A line is not `letter=value`.
    #[error("line {line} is no SDP line")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// An `m=` line that cannot be read.
    #[error("line {line}: the media line cannot be read")]
    Media {
        /// Counted from 1.
        line: usize,
    },
    /// A `c=` line that cannot be read, or a host name in it.
    #[error("line {line}: the connection address cannot be read")]
    Connection {
        /// Counted from 1.
        line: usize,
    },
    /// More media lines than anyone sends.
    #[error("more than {limit} media lines")]
    TooManyMedia {
        /// The bound.
        limit: usize,
    },
    /// No media line at all.
    #[error("no media line")]
    NoMedia,
}

/// A session description as far as it matters for media.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// The value of `o=`: as long as it stays the same nothing has changed (RFC 3264, 8).
    pub origin: Vec<u8>,
    /// Every media line, in order.
    pub media: Vec<Media>,
}

/// One `m=` section with the session's defaults applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `image` …
    pub kind: Vec<u8>,
    /// 0 is a stream that is refused or over.
    pub port: u16,
    /// `RTP/AVP` …
    pub protocol: Vec<u8>,
    /// The formats as written.
    pub formats: Vec<Vec<u8>>,
    /// Where the peer receives.
    pub connection: Option<IpAddr>,
    /// The port of RTCP (RFC 3605), when it is not the next one.
    pub rtcp_port: Option<u16>,
    /// `a=rtpmap` by payload type.
    pub rtpmaps: Vec<AudioFormat>,
    /// `a=ptime`, in ms.
    pub ptime_ms: Option<u8>,
    /// `a=maxptime`, in ms.
    pub maxptime_ms: Option<u8>,
    /// `a=crypto` (RFC 4568), in the peer's order.
    pub crypto: Vec<Crypto>,
    /// What it says of T.38.
    pub image: ImageAttributes,
    /// The direction attribute of the section, else of the session.
    pub direction: Direction,
}

const MAX_MEDIA: usize = 16;
const MAX_FORMATS: usize = 64;
const MAX_WORD: usize = 64;
const MAX_CRYPTO: usize = 8;

impl Session {
    /// Reads a body; lines may end with CR LF or LF.
    ///
    /// # Errors
    /// What is wrong, with the line.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        let mut session = Self::default();
        let (mut connection, mut direction) = (None, Direction::default());
        let mut lines = body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end).enumerate();
        if lines.next().is_none_or(|(_, first)| first != b"v=0") {
            return Err(SdpError::Version);
        }
        for (index, text) in lines {
            let line = index.saturating_add(1);
            let (letter, value) = match text {
                [] => continue,
                [letter, b'=', value @ ..] => (*letter, value),
                _ => return Err(SdpError::Line { line }),
            };
            match (letter, session.media.last_mut()) {
                (b'm', _) => {
                    if session.media.len() >= MAX_MEDIA {
                        return Err(SdpError::TooManyMedia { limit: MAX_MEDIA });
                    }
                    let mut media = media_line(value).ok_or(SdpError::Media { line })?;
                    (media.connection, media.direction) = (connection, direction);
                    session.media.push(media);
                }
                (b'o', None) => session.origin = value.to_vec(),
                (b'c', None) => connection = Some(address(value, line)?),
                (b'c', Some(media)) => media.connection = Some(address(value, line)?),
                (b'a', None) => direction = direction_of(value).unwrap_or(direction),
                (b'a', Some(media)) => attribute(media, value),
                _ => {}
            }
        }
        if session.media.is_empty() { Err(SdpError::NoMedia) } else { Ok(session) }
    }

    /// The first audio stream that is not refused.
    #[must_use]
    pub fn audio(&self) -> Option<(usize, &Media)> {
        self.media.iter().enumerate().find(|(_, media)| media.is_audio() && media.port != 0)
    }
}

impl Media {
    /// Whether it is audio over RTP or SRTP. `a=crypto` beside RTP/AVP is a phone's wish, not a
    /// demand; SAVP is a demand.
    #[must_use]
    pub fn is_audio(&self) -> bool {
        let known: [&[u8]; 4] = [b"RTP/AVP", b"RTP/AVPF", b"RTP/SAVP", b"RTP/SAVPF"];
        self.kind.eq_ignore_ascii_case(b"audio")
            && known.iter().any(|known| self.protocol.eq_ignore_ascii_case(known))
    }

    /// Whether the stream is encrypted: not at all, if we like, or without a choice.
    #[must_use]
    pub fn security(&self) -> Security {
        let words = self.protocol.split(|&byte| byte == b'/');
        let secure = words
            .into_iter()
            .any(|word| word.eq_ignore_ascii_case(b"SAVP") || word.eq_ignore_ascii_case(b"SAVPF"));
        match (secure, self.crypto.is_empty()) {
            (true, _) => Security::Required,
            (false, false) => Security::Offered,
            (false, true) => Security::None,
        }
    }

    /// The audio formats in the peer's order; payload types out of range, or dynamic ones without
    /// a name, are passed over.
    pub fn audio_formats(&self) -> impl Iterator<Item = AudioFormat> {
        self.formats.iter().filter_map(|format| {
            let number = std::str::from_utf8(format).ok()?.parse::<u8>().ok()?;
            let mapped = self.rtpmaps.iter().find(|map| map.payload_type == number).cloned();
            mapped.or_else(|| static_format(number)).filter(|_| number < 128)
        })
    }

    /// The payload type of `telephone-event` at this clock rate.
    #[must_use]
    pub fn telephone_event(&self, clock_rate: u32) -> Option<u8> {
        self.audio_formats()
            .find(|format| format.name == "TELEPHONE-EVENT" && format.clock_rate == clock_rate)
            .map(|format| format.payload_type)
    }
}

fn media_line(value: &[u8]) -> Option<Media> {
    // A refused stream's line is said back in the answer: what is no token would break that.
    if value.iter().any(u8::is_ascii_control) {
        return None;
    }
    let mut words = value.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let kind = words.next()?.to_vec();
    let port = words.next()?.split(|&byte| byte == b'/').next()?;
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    let protocol = words.next()?.to_vec();
    let formats: Vec<Vec<u8>> = words.take(MAX_FORMATS).map(<[u8]>::to_vec).collect();
    // A refused line is kept for the dialog's life, so its words have a bound.
    let named = [&kind, &protocol].into_iter().chain(formats.first());
    let short = named.into_iter().all(|word| word.len() <= MAX_WORD);
    (short && !formats.is_empty()).then_some(Media {
        kind,
        port,
        protocol,
        formats,
        connection: None,
        rtcp_port: None,
        rtpmaps: Vec::new(),
        ptime_ms: None,
        maxptime_ms: None,
        crypto: Vec::new(),
        image: ImageAttributes::default(),
        direction: Direction::default(),
    })
}

/// `IN IP4 192.0.2.1`, perhaps with a TTL behind a slash.
fn address(value: &[u8], line: usize) -> Result<IpAddr, SdpError> {
    let text = std::str::from_utf8(value).ok();
    let mut words = text.into_iter().flat_map(str::split_ascii_whitespace);
    let (net, family, address) = (words.next(), words.next(), words.next());
    let address = address.and_then(|text| text.split('/').next()?.parse::<IpAddr>().ok());
    match (net, family, address) {
        (Some("IN"), Some("IP4"), Some(address)) if address.is_ipv4() => Ok(address),
        (Some("IN"), Some("IP6"), Some(address)) if address.is_ipv6() => Ok(address),
        _ => Err(SdpError::Connection { line }),
    }
}

fn attribute(media: &mut Media, value: &[u8]) {
    if let Some(direction) = direction_of(value) {
        media.direction = direction;
        return;
    }
    let Ok(text) = std::str::from_utf8(value) else { return };
    let Some((name, rest)) = text.split_once(':') else { return };
    match name {
        "rtpmap" if media.rtpmaps.len() < MAX_FORMATS => media.rtpmaps.extend(rtpmap(rest)),
        "ptime" => media.ptime_ms = rest.trim().parse().ok().filter(|ms| (10..=120).contains(ms)),
        "maxptime" => media.maxptime_ms = rest.trim().parse().ok().filter(|ms| *ms >= 10),
        "crypto" if media.crypto.len() < MAX_CRYPTO => media.crypto.extend(Crypto::parse(rest)),
        "rtcp" => {
            let port = rest.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
            media.rtcp_port = port.filter(|port| *port != 0);
        }
        _ if media.is_image() => media.image.take(name, rest),
        _ => {}
    }
}

fn direction_of(value: &[u8]) -> Option<Direction> {
    match value {
        b"sendrecv" => Some(Direction::SendRecv),
        b"sendonly" => Some(Direction::SendOnly),
        b"recvonly" => Some(Direction::RecvOnly),
        b"inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

/// `0 PCMU/8000/1`.
fn rtpmap(text: &str) -> Option<AudioFormat> {
    let (number, encoding) = text.trim().split_once(' ')?;
    let mut parts = encoding.trim().split('/');
    Some(AudioFormat {
        payload_type: number.parse().ok().filter(|number| *number < 128)?,
        name: parts.next().filter(|name| !name.is_empty())?.to_ascii_uppercase(),
        clock_rate: parts.next()?.parse().ok().filter(|rate| *rate > 0)?,
        channels: parts.next().map_or(Some(1), |text| text.parse().ok())?,
    })
}

/// RFC 3551, table 4, as far as telephones use it.
fn static_format(payload_type: u8) -> Option<AudioFormat> {
    let (name, clock_rate) = match payload_type {
        0 => ("PCMU", 8000),
        3 => ("GSM", 8000),
        4 => ("G723", 8000),
        8 => ("PCMA", 8000),
        9 => ("G722", 8000),
        13 => ("CN", 8000),
        15 => ("G728", 8000),
        18 => ("G729", 8000),
        _ => return None,
    };
    Some(AudioFormat { payload_type, name: name.to_owned(), clock_rate, channels: 1 })
}
