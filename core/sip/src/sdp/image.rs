//! T.38 over UDPTL in session descriptions (ITU-T T.38, annex D; RFC 3362): the attributes in every
//! spelling that machines use, offers and answers of the one image stream that takes the place of
//! the audio.
//!
//! Left out: T.38 over TCP and RTP, which nobody speaks on telephone lines.

use std::net::SocketAddr;

use super::answer::address;
use super::{Media, Refusal, Session};

/// How losses are repaired, as `T38FaxUdpEC` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorCorrection {
    /// `t38UDPRedundancy`; also when nothing is said.
    #[default]
    Redundancy,
    /// `t38UDPFEC`.
    Fec,
    /// `t38UDPNoEC`, or an empty value.
    None,
}

/// What a media section says of T.38.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageAttributes {
    /// `T38FaxVersion`.
    pub version: u8,
    /// `T38MaxBitRate`, in bit/s.
    pub max_bit_rate: Option<u32>,
    /// `T38FaxRateManagement:localTCF`.
    pub local_tcf: bool,
    /// `T38FaxMaxDatagram`, in bytes.
    pub max_datagram: Option<u16>,
    /// `T38FaxUdpEC`.
    pub correction: ErrorCorrection,
}

impl ImageAttributes {
    /// Takes an attribute when it is one of T.38; names come in any case.
    pub(super) fn take(&mut self, name: &str, value: &str) {
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        match name.as_str() {
            "t38faxversion" => self.version = value.parse().unwrap_or(0),
            "t38maxbitrate" => self.max_bit_rate = value.parse().ok(),
            "t38faxratemanagement" => self.local_tcf = value.eq_ignore_ascii_case("localTCF"),
            "t38faxmaxdatagram" | "t38maxdatagram" => self.max_datagram = value.parse().ok(),
            "t38faxudpec" | "t38udpec" => {
                self.correction = match value.to_ascii_lowercase().as_str() {
                    "t38udpredundancy" => ErrorCorrection::Redundancy,
                    "t38udpfec" => ErrorCorrection::Fec,
                    _ => ErrorCorrection::None,
                };
            }
            _ => {}
        }
    }
}

/// Our side of the image stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalImage {
    /// Where we receive UDPTL.
    pub address: SocketAddr,
    /// The largest datagram that we take, in bytes.
    pub max_datagram: u16,
}

/// The fastest image that is offered, in bit/s: V.17.
const MAX_BIT_RATE: u32 = 14_400;
/// The smallest datagram that is believed, in bytes: who says less means the packet within.
const LEAST_DATAGRAM: u16 = 160;
/// What is taken of a peer that says nothing.
const USUAL_DATAGRAM: u16 = 400;

/// What both sides agreed on, seen from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgreedImage {
    /// Where the peer wants UDPTL.
    pub remote: SocketAddr,
    /// Its largest datagram, in bytes.
    pub max_datagram: u16,
    /// How what we send is repaired.
    pub correction: ErrorCorrection,
    /// Each side judges the training by itself.
    pub local_tcf: bool,
    /// bit/s.
    pub max_bit_rate: u32,
}

/// What our side and the peer's description agree on.
///
/// # Errors
/// Why there is no agreement.
pub fn agreed_image(local: &LocalImage, peer: &Session) -> Result<AgreedImage, Refusal> {
    let (_, media) = peer.image().ok_or(Refusal::NoImage)?;
    let address = address(media)?;
    if address.is_ipv4() != local.address.is_ipv4() {
        return Err(Refusal::AddressFamily);
    }
    let said = media.image;
    Ok(AgreedImage {
        remote: SocketAddr::new(address, media.port),
        max_datagram: said.max_datagram.unwrap_or(USUAL_DATAGRAM).max(LEAST_DATAGRAM),
        correction: said.correction,
        local_tcf: said.local_tcf,
        max_bit_rate: said.max_bit_rate.unwrap_or(MAX_BIT_RATE).clamp(2_400, MAX_BIT_RATE),
    })
}

impl Session {
    /// The first image stream over UDPTL that is not refused.
    #[must_use]
    pub fn image(&self) -> Option<(usize, &Media)> {
        self.media.iter().enumerate().find(|(_, media)| media.is_image() && media.port != 0)
    }
}

impl Media {
    /// Whether it is T.38 over UDPTL.
    #[must_use]
    pub fn is_image(&self) -> bool {
        self.kind.eq_ignore_ascii_case(b"image")
            && self.protocol.eq_ignore_ascii_case(b"udptl")
            && self.formats.iter().any(|format| format.eq_ignore_ascii_case(b"t38"))
    }
}

/// The lines of our image stream; in an answer with what the offer has settled.
pub(super) fn image_lines(content: &mut Vec<u8>, local: &LocalImage, offer: Option<&Media>) {
    let said = offer.map(|media| media.image).unwrap_or_default();
    let rate = said.max_bit_rate.unwrap_or(MAX_BIT_RATE).clamp(2_400, MAX_BIT_RATE);
    let management = if said.local_tcf { "localTCF" } else { "transferredTCF" };
    let correction = match said.correction {
        ErrorCorrection::Fec => "t38UDPFEC",
        ErrorCorrection::Redundancy | ErrorCorrection::None => "t38UDPRedundancy",
    };
    let protocol = offer.map_or(b"udptl".as_slice(), |media| &media.protocol);
    let protocol = String::from_utf8_lossy(protocol).into_owned();
    let text = format!(
        "m=image {} {protocol} t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:{rate}\r\n\
         a=T38FaxRateManagement:{management}\r\na=T38FaxMaxDatagram:{}\r\n\
         a=T38FaxUdpEC:{correction}\r\n",
        local.address.port(),
        local.max_datagram,
    );
    content.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::LocalSession;
    use super::*;

    const LOCAL: LocalImage = LocalImage {
        address: SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
            20_000,
        ),
        max_datagram: 400,
    };

    fn offer(lines: &str) -> Session {
        let head = "v=0\r\no=a 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
        Session::parse(format!("{head}{lines}").as_bytes()).unwrap()
    }

    #[test]
    fn attributes_are_read_in_every_spelling() {
        let usual = "m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:9600\r\n\
                     a=T38FaxFillBitRemoval:0\r\na=T38FaxTranscodingMMR\r\n\
                     a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:2000\r\n\
                     a=T38FaxMaxDatagram:238\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n";
        let odd = "m=image 4000 UDPTL T38\r\na=t38faxversion:0\r\na=t38maxbitrate: 9600\r\n\
                   a=t38faxratemanagement:TransferredTCF\r\na=T38MaxDatagram:238\r\n\
                   a=T38UdpEC:T38UDPREDUNDANCY\r\n";
        for text in [usual, odd] {
            let agreed = agreed_image(&LOCAL, &offer(text)).unwrap();
            let remote = "192.0.2.9:4000".parse().unwrap();
            let (correction, local_tcf) = (ErrorCorrection::Redundancy, false);
            let (max_datagram, max_bit_rate) = (238, 9_600);
            let wanted = AgreedImage { remote, max_datagram, correction, local_tcf, max_bit_rate };
            assert_eq!(agreed, wanted, "{text}");
        }
        let bare = agreed_image(&LOCAL, &offer("m=image 4000 udptl t38\r\n")).unwrap();
        assert_eq!((bare.max_datagram, bare.max_bit_rate), (400, 14_400));
        assert_eq!(bare.correction, ErrorCorrection::Redundancy);
        let words = "m=image 4000 udptl t38\r\na=T38FaxUdpEC:\r\na=T38FaxMaxDatagram:72\r\n\
                     a=T38MaxBitRate:33600\r\na=T38FaxRateManagement:localTCF\r\n";
        let empty = agreed_image(&LOCAL, &offer(words)).unwrap();
        assert_eq!((empty.correction, empty.local_tcf), (ErrorCorrection::None, true));
        assert_eq!((empty.max_datagram, empty.max_bit_rate), (160, 14_400));
    }

    #[test]
    fn an_offer_of_the_image_takes_the_place_of_the_audio() {
        let mut session = LocalSession::new(8);
        let first = session.offer_image(&LOCAL);
        let text = String::from_utf8(first.clone()).unwrap();
        assert!(text.contains("m=image 20000 udptl t38\r\n"), "{text}");
        assert!(text.contains("a=T38FaxUdpEC:t38UDPRedundancy\r\n") && !text.contains("audio"));
        assert_eq!(session.repeat(), Some(first));
        let own = Session::parse(text.as_bytes()).unwrap();
        assert_eq!(agreed_image(&LOCAL, &own).unwrap().max_datagram, 400);
    }

    #[test]
    fn an_answer_keeps_every_line_in_its_place_and_refuses_all_but_the_image() {
        let both = offer(
            "m=audio 4000 RTP/AVP 0\r\nm=image 4002 udptl t38\r\na=T38FaxUdpEC:t38UDPFEC\r\n\
             a=T38MaxBitRate:9600\r\n",
        );
        let mut session = LocalSession::new(8);
        let (bytes, agreed) = session.answer_image(&both, &LOCAL).unwrap();
        assert_eq!((agreed.correction, agreed.remote.port()), (ErrorCorrection::Fec, 4_002));
        let answer = Session::parse(&bytes).unwrap();
        let ports: Vec<u16> = answer.media.iter().map(|media| media.port).collect();
        assert_eq!(ports, [0, 20_000]);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("t38UDPFEC") && text.contains("T38MaxBitRate:9600"), "{text}");
        let none = offer("m=audio 4000 RTP/AVP 0\r\nm=image 0 udptl t38\r\n");
        assert_eq!(session.answer_image(&none, &LOCAL).unwrap_err(), Refusal::NoImage);
        let tcp = offer("m=image 4000 tcp t38\r\n");
        assert_eq!(session.answer_image(&tcp, &LOCAL).unwrap_err(), Refusal::NoImage);
    }
}
