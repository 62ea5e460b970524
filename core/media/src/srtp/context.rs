//! The two directions of a session: what a sender keeps, and what a receiver keeps of each source.

use super::cipher::{Cipher, Nonce, Opening, Protocol, Sealing};
use super::window::RtpWindow;
use super::{MasterKey, SrtpError, Suite};
use crate::rtp::RtpHeader;

/// Packets of RTP for one key: the index has 48 bits.
const MOST_RTP: u64 = 1 << 48;

/// Packets of RTCP for one key: the index has 31 bits.
const MOST_RTCP: u32 = 1 << 31;

/// The bit of SRTCP that says that the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// Header of RTCP that stays in the clear, with the sender's SSRC.
const RTCP_HEAD: usize = 8;

/// Sources that a receiver keeps apart: a phone has one, after a transfer another, and strangers
/// cannot make any, because a source is remembered once its packet is authentic.
const SOURCES: usize = 4;

/// Keys of both protocols.
struct Keys {
    suite: Suite,
    rtp: Cipher,
    rtcp: Cipher,
}

impl Keys {
    fn new(master: &MasterKey) -> Self {
        Self {
            suite: master.suite(),
            rtp: Cipher::derive(master, Protocol::Rtp),
            rtcp: Cipher::derive(master, Protocol::Rtcp),
        }
    }
}

/// Protects what one stream sends.
pub struct SrtpSender {
    keys: Keys,
    ssrc: u32,
    highest: Option<u64>,
    rtcp_index: u32,
}

impl std::fmt::Debug for SrtpSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SrtpSender({})", self.keys.suite.name())
    }
}

impl SrtpSender {
    /// A sender with a fresh key; its rollover counter begins at zero.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        Self { keys: Keys::new(master), ssrc: 0, highest: None, rtcp_index: 0 }
    }

    /// Its suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.keys.suite
    }

    /// Protects the RTP packet in the first `length` bytes of `buffer`; its new length.
    ///
    /// # Errors
    /// It is no RTP packet, the buffer has no room for the tag, or the key is used up.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let tag_bytes = self.keys.suite.rtp_growth();
        let packet = buffer.get_mut(..length + tag_bytes).ok_or(SrtpError::NoRoom)?;
        let (packet, tag) = packet.split_at_mut_checked(length).ok_or(SrtpError::NoRoom)?;
        let (head_bytes, sequence, ssrc) = rtp_head(packet)?;
        if self.ssrc != ssrc {
            (self.ssrc, self.highest) = (ssrc, None);
        }
        let index = self.index(sequence)?;
        let sealing = Sealing { packet, head: head_bytes, trailer: rollover(index), tag };
        self.keys.rtp.seal(Nonce { ssrc, index }, Protocol::Rtp, sealing)?;
        self.highest = Some(self.highest.map_or(index, |highest| highest.max(index)));
        Ok(length + tag_bytes)
    }

    /// The index of a sequence number of ours, which may be a little behind.
    fn index(&self, sequence: u16) -> Result<u64, SrtpError> {
        let Some(highest) = self.highest else { return Ok(u64::from(sequence)) };
        let [.., high, low] = highest.to_be_bytes();
        let ahead = sequence.wrapping_sub(u16::from_be_bytes([high, low])).cast_signed();
        let index = highest.checked_add_signed(i64::from(ahead)).unwrap_or(u64::from(sequence));
        if index < MOST_RTP { Ok(index) } else { Err(SrtpError::KeyExhausted) }
    }

    /// Protects the compound RTCP packet in the first `length` bytes of `buffer`; its new length.
    ///
    /// # Errors
    /// As for [`SrtpSender::protect_rtp`].
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let growth = self.keys.suite.rtcp_growth();
        let whole = buffer.get_mut(..length + growth).ok_or(SrtpError::NoRoom)?;
        let (packet, end) = whole.split_at_mut_checked(length).ok_or(SrtpError::NoRoom)?;
        let ssrc = rtcp_ssrc(packet)?;
        if self.rtcp_index >= MOST_RTCP {
            return Err(SrtpError::KeyExhausted);
        }
        let index = (self.rtcp_index | ENCRYPTED).to_be_bytes();
        let nonce = Nonce { ssrc, index: u64::from(self.rtcp_index) };
        // Counter mode: index, then tag. AEAD: tag, then index.
        let aead = is_aead(self.keys.suite);
        let split = if aead { growth - 4 } else { 4 };
        let (first, second) = end.split_at_mut_checked(split).ok_or(SrtpError::NoRoom)?;
        let (tag, place) = if aead { (first, second) } else { (second, first) };
        place.copy_from_slice(&index);
        let sealing = Sealing { packet, head: RTCP_HEAD, trailer: index, tag };
        self.keys.rtcp.seal(nonce, Protocol::Rtcp, sealing)?;
        self.rtcp_index += 1;
        Ok(length + growth)
    }
}

/// What a receiver knows of a source under one key.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    rtp: RtpWindow,
    rtcp: RtpWindow,
}

/// A key with its sources, the one heard last in front.
struct Keyed {
    keys: Keys,
    sources: [Option<Source>; SOURCES],
}

/// Unprotects what one stream receives.
pub struct SrtpReceiver {
    current: Keyed,
    /// The key before, until the new one is in use.
    previous: Option<Keyed>,
}

impl std::fmt::Debug for SrtpReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SrtpReceiver({})", self.current.keys.suite.name())
    }
}

impl SrtpReceiver {
    /// A receiver; its sources begin at a rollover counter of zero.
    #[must_use]
    pub fn new(master: &MasterKey) -> Self {
        Self { current: Keyed::new(master), previous: None }
    }

    /// The suite of the newest key.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.current.keys.suite
    }

    /// This receiver in place of an older one: the peer has announced another key. Packets under
    /// the old one are taken until one comes under the new one.
    #[must_use]
    pub fn after(self, older: Self) -> Self {
        Self { previous: Some(older.current), ..self }
    }

    /// Unprotects the RTP packet that `packet` is; its new length.
    ///
    /// # Errors
    /// It is none, it came before, or its tag is wrong; then it is as it was.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        self.with_keys(|keyed| keyed.unprotect_rtp(packet))
    }

    /// Unprotects the RTCP packet that `packet` is; its new length.
    ///
    /// # Errors
    /// As for [`SrtpReceiver::unprotect_rtp`].
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        self.with_keys(|keyed| keyed.unprotect_rtcp(packet))
    }

    fn with_keys(
        &mut self,
        mut turn: impl FnMut(&mut Keyed) -> Result<usize, SrtpError>,
    ) -> Result<usize, SrtpError> {
        match (turn(&mut self.current), &mut self.previous) {
            (Ok(length), _) => {
                self.previous = None;
                Ok(length)
            }
            (Err(_), Some(previous)) => turn(previous),
            (Err(error), None) => Err(error),
        }
    }
}

impl Keyed {
    fn new(master: &MasterKey) -> Self {
        Self { keys: Keys::new(master), sources: [None; SOURCES] }
    }

    fn source(&self, ssrc: u32) -> Source {
        let known = self.sources.iter().flatten().find(|source| source.ssrc == ssrc);
        known.copied().unwrap_or(Source { ssrc, rtp: RtpWindow::new(), rtcp: RtpWindow::new() })
    }

    /// Remembers a source whose packet was authentic, in front of the others.
    fn keep(&mut self, source: Source) {
        if let Some(Some(first)) = self.sources.first_mut()
            && first.ssrc == source.ssrc
        {
            *first = source;
            return;
        }
        let is_same = |place: &Option<Source>| place.is_none_or(|old| old.ssrc == source.ssrc);
        let at = self.sources.iter().position(is_same).unwrap_or(SOURCES - 1);
        if let Some(places) = self.sources.get_mut(..=at) {
            places.rotate_right(1);
        }
        if let Some(first) = self.sources.first_mut() {
            *first = Some(source);
        }
    }

    fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (head_bytes, sequence, ssrc) = rtp_head(packet)?;
        let length = packet.len().checked_sub(self.keys.suite.rtp_growth());
        let length = length.filter(|length| *length >= head_bytes).ok_or(SrtpError::TooShort)?;
        let mut source = self.source(ssrc);
        let index = source.rtp.estimate(sequence);
        if !source.rtp.is_fresh(index) {
            return Err(SrtpError::Replayed);
        }
        let (packet, tag) = packet.split_at_mut_checked(length).ok_or(SrtpError::TooShort)?;
        let opening = Opening { packet, head: head_bytes, trailer: rollover(index), tag };
        self.keys.rtp.open(Nonce { ssrc, index }, Protocol::Rtp, opening)?;
        source.rtp.note(index);
        self.keep(source);
        Ok(length)
    }

    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        let growth = self.keys.suite.rtcp_growth();
        let length = packet.len().checked_sub(growth).filter(|length| *length >= RTCP_HEAD);
        let length = length.ok_or(SrtpError::TooShort)?;
        let (packet, end) = packet.split_at_mut_checked(length).ok_or(SrtpError::TooShort)?;
        let aead = is_aead(self.keys.suite);
        let split = if aead { growth - 4 } else { 4 };
        let (first, second) = end.split_at_checked(split).ok_or(SrtpError::TooShort)?;
        let (tag, trailer) = if aead { (first, second) } else { (second, first) };
        let trailer = *trailer.first_chunk().ok_or(SrtpError::TooShort)?;
        let word = u32::from_be_bytes(trailer);
        if word & ENCRYPTED == 0 {
            // Nobody agreed on unencrypted SRTCP.
            return Err(SrtpError::Authentication);
        }
        let index = u64::from(word & !ENCRYPTED);
        let mut source = self.source(ssrc);
        if !source.rtcp.is_fresh(index) {
            return Err(SrtpError::Replayed);
        }
        let opening = Opening { packet, head: RTCP_HEAD, trailer, tag };
        self.keys.rtcp.open(Nonce { ssrc, index }, Protocol::Rtcp, opening)?;
        source.rtcp.note(index);
        self.keep(source);
        Ok(length)
    }
}

/// Where the payload begins, the sequence number and the SSRC.
fn rtp_head(packet: &[u8]) -> Result<(usize, u16, u32), SrtpError> {
    let &[_, _, s0, s1, _, _, _, _, c0, c1, c2, c3] =
        packet.first_chunk().ok_or(SrtpError::TooShort)?;
    let head = RtpHeader::head_bytes(packet).ok_or(SrtpError::TooShort)?;
    Ok((head, u16::from_be_bytes([s0, s1]), u32::from_be_bytes([c0, c1, c2, c3])))
}

fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let &[_, _, _, _, c0, c1, c2, c3] = packet.first_chunk().ok_or(SrtpError::TooShort)?;
    Ok(u32::from_be_bytes([c0, c1, c2, c3]))
}

const fn rollover(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

const fn is_aead(suite: Suite) -> bool {
    match suite {
        Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => false,
        Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => true,
    }
}
