//! Writing our descriptions. The `o=` line keeps its session id and counts its version up only when
//! the content changes (RFC 3264, section 8).

use std::net::IpAddr;

use super::image::{AgreedImage, LocalImage, agreed_image, image_lines};
use super::{Agreed, AudioFormat, LocalAudio, Refusal, Security, Session, agreed, events};

/// Our description of one dialog over its life.
#[derive(Clone, Debug)]
pub struct LocalSession {
    id: u64,
    version: u64,
    /// The last description, and where in it the lines behind `o=` begin.
    last: Vec<u8>,
    content: usize,
    /// The media lines of the dialog when there are others than our one stream: they keep their
    /// places for ever (RFC 3264, section 8).
    lines: Option<Box<[Line]>>,
}

/// A media line's place.
#[derive(Clone, Debug)]
enum Line {
    /// Our stream.
    Ours,
    /// A stream that stays refused: its `m=` line.
    Refused(Box<[u8]>),
}

impl LocalSession {
    /// A session with this id (any number that does not repeat).
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self { id: id >> 1, version: 0, last: Vec::new(), content: 0, lines: None }
    }

    /// An offer of one audio stream, in its place among the lines that earlier descriptions had.
    pub fn offer(&mut self, local: &LocalAudio) -> Vec<u8> {
        let mut content = Vec::new();
        session_lines(&mut content, local.ip());
        let events = events::offered(local, &local.formats);
        let lines = self.lines.take();
        for line in lines.as_deref().unwrap_or(&[Line::Ours]) {
            match line {
                Line::Ours => {
                    let protocol = if local.secure { "RTP/SAVP" } else { "RTP/AVP" };
                    let formats = &local.formats;
                    audio_lines(&mut content, protocol, local, formats, &events);
                }
                Line::Refused(line) => content.extend_from_slice(line),
            }
        }
        self.lines = lines;
        self.finish(local.ip(), &content)
    }

    /// The answer to an offer: the first stream that we can take, every other refused by port 0.
    /// All common formats are listed, the chosen one first.
    ///
    /// # Errors
    /// Why the offer cannot be answered.
    pub fn answer(
        &mut self,
        offer: &Session,
        local: &LocalAudio,
        prefer_ours: bool,
    ) -> Result<(Vec<u8>, Agreed), Refusal> {
        let mut agreed = agreed(local, offer, prefer_ours)?;
        agreed.telephone_event_receive = agreed.telephone_event;
        let (taken, _) = offer.audio().ok_or(Refusal::NoAudio)?;
        let mut content = Vec::new();
        session_lines(&mut content, local.ip());
        let mut lines = Vec::new();
        for (index, media) in offer.media.iter().enumerate() {
            if index == taken {
                let mut answer = LocalAudio {
                    direction: agreed.direction,
                    ptime_ms: agreed.ptime_ms,
                    ..local.clone()
                };
                answer.crypto.retain(|own| agreed.crypto.as_ref().is_some_and(|c| own.answers(c)));
                let events = events::answered(local, media, &agreed.common);
                // RFC 3264, 6: the answer's protocol is the offer's.
                let secure = media.security() == Security::Required;
                let feedback = secure && media.protocol.to_ascii_uppercase().ends_with(b"F");
                let protocol = match (secure, feedback) {
                    (false, _) => "RTP/AVP",
                    (true, false) => "RTP/SAVP",
                    (true, true) => "RTP/SAVPF",
                };
                audio_lines(&mut content, protocol, &answer, &agreed.common, &events);
                lines.push(Line::Ours);
            } else {
                let line = refused_line(media);
                content.extend_from_slice(&line);
                lines.push(Line::Refused(line.into()));
            }
        }
        self.lines = (lines.len() > 1).then(|| lines.into());
        Ok((self.finish(local.ip(), &content), agreed))
    }

    /// An offer of T.38 in the place of our stream.
    pub fn offer_image(&mut self, local: &LocalImage) -> Vec<u8> {
        let address = local.address.ip();
        let mut content = Vec::new();
        session_lines(&mut content, address);
        let lines = self.lines.take();
        for line in lines.as_deref().unwrap_or(&[Line::Ours]) {
            match line {
                Line::Ours => image_lines(&mut content, local, None),
                Line::Refused(line) => content.extend_from_slice(line),
            }
        }
        self.lines = lines;
        self.finish(address, &content)
    }

    /// The answer to an offer that has T.38: that is taken, every other stream refused by port 0.
    ///
    /// # Errors
    /// Why the offer cannot be answered.
    pub fn answer_image(
        &mut self,
        offer: &Session,
        local: &LocalImage,
    ) -> Result<(Vec<u8>, AgreedImage), Refusal> {
        let agreed = agreed_image(local, offer)?;
        let (taken, _) = offer.image().ok_or(Refusal::NoImage)?;
        let address = local.address.ip();
        let (mut content, mut lines) = (Vec::new(), Vec::new());
        session_lines(&mut content, address);
        for (index, media) in offer.media.iter().enumerate() {
            if index == taken {
                image_lines(&mut content, local, Some(media));
                lines.push(Line::Ours);
            } else {
                let line = refused_line(media);
                content.extend_from_slice(&line);
                lines.push(Line::Refused(line.into()));
            }
        }
        self.lines = (lines.len() > 1).then(|| lines.into());
        Ok((self.finish(address, &content), agreed))
    }

    /// The last description once more, to the byte: what refreshes a session without changing it
    /// (RFC 3264, 8; RFC 4028, 7.4). `None` before the first.
    #[must_use]
    pub fn repeat(&self) -> Option<Vec<u8>> {
        Some(self.last.clone()).filter(|last| !last.is_empty())
    }

    fn finish(&mut self, address: IpAddr, content: &[u8]) -> Vec<u8> {
        if self.last.get(self.content..) != Some(content) {
            self.version = self.version.saturating_add(1);
            let (id, version, family) = (self.id, self.version, family(address));
            let head = format!("v=0\r\no=koukan {id} {version} IN {family} {address}\r\n");
            self.content = head.len();
            self.last = [head.as_bytes(), content].concat();
        }
        self.last.clone()
    }
}

const fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    }
}

fn session_lines(content: &mut Vec<u8>, address: IpAddr) {
    let family = family(address);
    let lines = format!("s=koukan\r\nc=IN {family} {address}\r\nt=0 0\r\n");
    content.extend_from_slice(lines.as_bytes());
}

fn audio_lines(
    content: &mut Vec<u8>,
    protocol: &str,
    local: &LocalAudio,
    formats: &[AudioFormat],
    events: &[(u8, u32)],
) {
    let mut text = format!("m=audio {} {protocol}", local.address.port());
    let types = formats.iter().map(|format| format.payload_type);
    let types = types.chain(events.iter().map(|(number, _)| *number));
    types.for_each(|number| text.push_str(&format!(" {number}")));
    text.push_str("\r\n");
    for format in formats {
        let AudioFormat { payload_type, name, clock_rate, channels } = format;
        let channels = if *channels > 1 { format!("/{channels}") } else { String::new() };
        text.push_str(&format!("a=rtpmap:{payload_type} {name}/{clock_rate}{channels}\r\n"));
    }
    for (number, rate) in events {
        text.push_str(&format!("a=rtpmap:{number} telephone-event/{rate}\r\n"));
        text.push_str(&format!("a=fmtp:{number} 0-15\r\n"));
    }
    for crypto in &local.crypto {
        text.push_str(&format!("a=crypto:{}\r\n", crypto.value()));
    }
    text.push_str(&format!("a=ptime:{}\r\n", local.ptime_ms));
    text.push_str(&format!("a={}\r\n", local.direction.attribute()));
    content.extend_from_slice(text.as_bytes());
}

/// RFC 3264, section 6: a refused stream keeps its place with port 0 and one of its formats.
fn refused_line(media: &super::Media) -> Vec<u8> {
    let format = media.formats.first().map_or(b"0".as_slice(), Vec::as_slice);
    [b"m=", media.kind.as_slice(), b" 0 ", &media.protocol, b" ", format, b"\r\n"].concat()
}
