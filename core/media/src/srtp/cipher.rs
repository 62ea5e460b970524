//! Key derivation (RFC 3711, section 4.3) and the two kinds of ciphers on their session keys.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::aead::{AeadInOut, inout::InOutBuf};
use aes_gcm::{Aes128Gcm, Aes256Gcm};

use super::tag::Authenticator;
use super::{MasterKey, SrtpError, Suite};

/// Bytes of a block of AES.
const BLOCK: usize = 16;

/// Blocks of key stream made in one go: all that a packet of 20 ms needs, since with each go the
/// processor's wide form of the key is made anew.
const BATCH: usize = 16;
const BATCH_COUNT: u128 = 16;

/// Labels of the derivation (section 4.3.2): of RTP; RTCP's are three more.
const LABEL_CIPHER: u8 = 0;
const LABEL_AUTH: u8 = 1;
const LABEL_SALT: u8 = 2;
const RTCP: u8 = 3;

/// What is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Rtp,
    Rtcp,
}

/// The keys of one protocol of a session.
pub(super) enum Cipher {
    Counter(Box<Counter>),
    Gcm128(Box<Aes128Gcm>, [u8; 12]),
    Gcm256(Box<Aes256Gcm>, [u8; 12]),
}

/// AES in counter mode with HMAC-SHA1.
pub(super) struct Counter {
    aes: Aes128Enc,
    salt: [u8; 14],
    authenticator: Authenticator,
}

/// A packet's number and where it came from, of which the initial values are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nonce {
    pub(super) ssrc: u32,
    /// Rollover counter and sequence number, or the index of SRTCP.
    pub(super) index: u64,
}

impl Cipher {
    /// Derives a session's keys for one protocol.
    pub(super) fn derive(master: &MasterKey, protocol: Protocol) -> Self {
        let base = if protocol == Protocol::Rtp { 0 } else { RTCP };
        let mut salt14 = [0; 14];
        let mut salt12 = [0; 12];
        match master.suite() {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                let (mut key, mut auth) = ([0; 16], [0; 20]);
                expand(master, base + LABEL_CIPHER, &mut key);
                expand(master, base + LABEL_AUTH, &mut auth);
                expand(master, base + LABEL_SALT, &mut salt14);
                Self::counter(key, salt14, &auth)
            }
            Suite::AeadAes128Gcm => {
                let mut key = [0; 16];
                expand(master, base + LABEL_CIPHER, &mut key);
                expand(master, base + LABEL_SALT, &mut salt12);
                Self::Gcm128(Box::new(Aes128Gcm::new(&key.into())), salt12)
            }
            Suite::AeadAes256Gcm => {
                let mut key = [0; 32];
                expand(master, base + LABEL_CIPHER, &mut key);
                expand(master, base + LABEL_SALT, &mut salt12);
                Self::Gcm256(Box::new(Aes256Gcm::new(&key.into())), salt12)
            }
        }
    }

    /// Counter mode on session keys.
    pub(super) fn counter(key: [u8; 16], salt: [u8; 14], auth: &[u8; 20]) -> Self {
        let (aes, authenticator) = (Aes128Enc::new(&key.into()), Authenticator::new(auth));
        Self::Counter(Box::new(Counter { aes, salt, authenticator }))
    }

    /// Encrypts in place and writes the tag, of which `tag` takes its length.
    pub(super) fn seal(
        &self,
        nonce: Nonce,
        protocol: Protocol,
        sealing: Sealing<'_>,
    ) -> Result<(), SrtpError> {
        match self {
            Self::Counter(counter) => {
                let Sealing { packet, head, trailer, tag } = sealing;
                counter.apply(nonce, packet.get_mut(head..).ok_or(SrtpError::TooShort)?);
                let made = counter.authenticator.tag(packet, trailer);
                tag.copy_from_slice(made.get(..tag.len()).ok_or(SrtpError::NoRoom)?);
                Ok(())
            }
            Self::Gcm128(gcm, salt) => {
                seal_gcm(gcm.as_ref(), &iv(salt, nonce, protocol), protocol, sealing)
            }
            Self::Gcm256(gcm, salt) => {
                seal_gcm(gcm.as_ref(), &iv(salt, nonce, protocol), protocol, sealing)
            }
        }
    }

    /// The reverse; nothing is changed when the tag is wrong.
    pub(super) fn open(
        &self,
        nonce: Nonce,
        protocol: Protocol,
        opening: Opening<'_>,
    ) -> Result<(), SrtpError> {
        match self {
            Self::Counter(counter) => {
                let Opening { packet, head, trailer, tag } = opening;
                // The key stream does not depend on the packet: made first, it is made beside the
                // hash, which leaves most of the processor idle.
                let iv = counter.iv(nonce);
                let first = packet.len().saturating_sub(head).min(BLOCK * BATCH);
                let keys = key_blocks(&counter.aes, iv, first);
                if !counter.authenticator.agrees(packet, trailer, tag) {
                    return Err(SrtpError::Authentication);
                }
                let text = packet.get_mut(head..).ok_or(SrtpError::TooShort)?;
                let (text, rest) = text.split_at_mut_checked(first).ok_or(SrtpError::TooShort)?;
                xor(text, &keys);
                key_stream(&counter.aes, iv.wrapping_add(BATCH_COUNT), rest);
                Ok(())
            }
            Self::Gcm128(gcm, salt) => {
                open_gcm(gcm.as_ref(), &iv(salt, nonce, protocol), protocol, opening)
            }
            Self::Gcm256(gcm, salt) => {
                open_gcm(gcm.as_ref(), &iv(salt, nonce, protocol), protocol, opening)
            }
        }
    }
}

/// A packet to protect, whose first `head` bytes stay in the clear. `trailer` is what is
/// authenticated behind the text: the rollover counter (in AEAD part of the initial value), or
/// SRTCP's index.
pub(super) struct Sealing<'a> {
    pub(super) packet: &'a mut [u8],
    pub(super) head: usize,
    pub(super) trailer: [u8; 4],
    pub(super) tag: &'a mut [u8],
}

/// A packet to unprotect.
pub(super) struct Opening<'a> {
    pub(super) packet: &'a mut [u8],
    pub(super) head: usize,
    pub(super) trailer: [u8; 4],
    pub(super) tag: &'a [u8],
}

impl Counter {
    /// The key stream over `text` (section 4.1.1).
    fn apply(&self, nonce: Nonce, text: &mut [u8]) {
        key_stream(&self.aes, self.iv(nonce), text);
    }

    /// The first block of a packet's key stream.
    fn iv(&self, nonce: Nonce) -> u128 {
        let mut iv = [0u8; BLOCK];
        if let Some(start) = iv.first_chunk_mut::<14>() {
            *start = self.salt;
        }
        let shifted = (u128::from(nonce.ssrc) << 64) ^ (u128::from(nonce.index) << 16);
        u128::from_be_bytes(iv) ^ shifted
    }
}

/// A block of key stream.
type Block = Array<u8, aes::cipher::consts::U16>;

/// XORs AES in counter mode from `iv` on over `text`.
fn key_stream<C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>>(
    cipher: &C,
    iv: u128,
    text: &mut [u8],
) {
    let mut counter = iv;
    for part in text.chunks_mut(BLOCK * BATCH) {
        xor(part, &key_blocks(cipher, counter, part.len()));
        counter = counter.wrapping_add(BATCH_COUNT);
    }
}

/// AES in counter mode from `iv` on for so many bytes, at most a batch.
#[inline]
fn key_blocks<C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>>(
    cipher: &C,
    iv: u128,
    bytes: usize,
) -> [Block; BATCH] {
    let mut blocks = [Block::default(); BATCH];
    let used = blocks.get_mut(..bytes.div_ceil(BLOCK)).unwrap_or_default();
    let mut counter = iv;
    for block in used.iter_mut() {
        *block = counter.to_be_bytes().into();
        counter = counter.wrapping_add(1);
    }
    cipher.encrypt_blocks(used);
    blocks
}

/// At most a batch of bytes, with their key stream.
#[inline]
fn xor(text: &mut [u8], keys: &[Block; BATCH]) {
    let (whole, rest) = text.as_chunks_mut::<BLOCK>();
    let mut keys = keys.iter();
    for (bytes, key) in whole.iter_mut().zip(&mut keys) {
        let key = u128::from_ne_bytes((*key).into());
        *bytes = (u128::from_ne_bytes(*bytes) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(keys.flatten()) {
        *byte ^= key;
    }
}

/// A derived key (section 4.3.1) with a derivation rate of zero.
fn expand(master: &MasterKey, label: u8, out: &mut [u8]) {
    let (key, salt) = master.key_and_salt().split_at(master.suite().key_bytes());
    let mut x = [0u8; BLOCK];
    if let Some(start) = x.get_mut(..salt.len()) {
        start.copy_from_slice(salt);
    }
    let iv = u128::from_be_bytes(x) ^ (u128::from(label) << 64);
    out.fill(0);
    match (key.first_chunk::<32>(), key.first_chunk::<16>()) {
        (Some(key), _) => key_stream(&Aes256Enc::new(&(*key).into()), iv, out),
        (None, Some(key)) => key_stream(&Aes128Enc::new(&(*key).into()), iv, out),
        (None, None) => {}
    }
}

/// The initial value of AEAD (RFC 7714, sections 8.1 and 9.1).
fn iv(salt: &[u8; 12], nonce: Nonce, protocol: Protocol) -> [u8; 12] {
    let [s0, s1, s2, s3] = nonce.ssrc.to_be_bytes();
    let [_, _, i0, i1, i2, i3, i4, i5] = nonce.index.to_be_bytes();
    let index = match protocol {
        Protocol::Rtp => [i0, i1, i2, i3, i4, i5],
        Protocol::Rtcp => [0, 0, i2, i3, i4, i5],
    };
    let [i0, i1, i2, i3, i4, i5] = index;
    let mut iv = [0, 0, s0, s1, s2, s3, i0, i1, i2, i3, i4, i5];
    for (byte, salt) in iv.iter_mut().zip(salt) {
        *byte ^= salt;
    }
    iv
}

/// Bytes of the longest head that is authenticated together with an index.
const MOST_HEAD: usize = 508;

/// What AEAD authenticates and does not encrypt behind SRTCP's header: its index (RFC 7714, section
/// 17), put into one piece with it.
fn joined<'b>(
    head: &[u8],
    trailer: [u8; 4],
    buffer: &'b mut [u8; MOST_HEAD + 4],
) -> Result<&'b [u8], SrtpError> {
    let whole = buffer.get_mut(..head.len() + trailer.len()).ok_or(SrtpError::TooShort)?;
    for (to, from) in whole.iter_mut().zip(head.iter().chain(&trailer)) {
        *to = *from;
    }
    Ok(whole)
}

fn seal_gcm<A>(
    gcm: &A,
    iv: &[u8; 12],
    protocol: Protocol,
    sealing: Sealing<'_>,
) -> Result<(), SrtpError>
where
    A: AeadInOut<NonceSize = aes::cipher::consts::U12, TagSize = aes::cipher::consts::U16>,
{
    let Sealing { packet, head, trailer, tag } = sealing;
    let (head, text) = packet.split_at_mut_checked(head).ok_or(SrtpError::TooShort)?;
    let mut buffer;
    let data = match protocol {
        Protocol::Rtp => &*head,
        Protocol::Rtcp => {
            buffer = [0; MOST_HEAD + 4];
            joined(head, trailer, &mut buffer)?
        }
    };
    let made = gcm
        .encrypt_inout_detached(&(*iv).into(), data, InOutBuf::from(text))
        .map_err(|_| SrtpError::NoRoom)?;
    tag.copy_from_slice(made.get(..tag.len()).ok_or(SrtpError::NoRoom)?);
    Ok(())
}

fn open_gcm<A>(
    gcm: &A,
    iv: &[u8; 12],
    protocol: Protocol,
    opening: Opening<'_>,
) -> Result<(), SrtpError>
where
    A: AeadInOut<NonceSize = aes::cipher::consts::U12, TagSize = aes::cipher::consts::U16>,
{
    let Opening { packet, head, trailer, tag } = opening;
    let (head, text) = packet.split_at_mut_checked(head).ok_or(SrtpError::TooShort)?;
    let mut buffer;
    let data = match protocol {
        Protocol::Rtp => &*head,
        Protocol::Rtcp => {
            buffer = [0; MOST_HEAD + 4];
            joined(head, trailer, &mut buffer)?
        }
    };
    let tag: &[u8; 16] = tag.first_chunk().ok_or(SrtpError::TooShort)?;
    gcm.decrypt_inout_detached(&(*iv).into(), data, InOutBuf::from(text), &(*tag).into())
        .map_err(|_| SrtpError::Authentication)
}

#[cfg(test)]
pub(super) fn derived(master: &MasterKey, label: u8, out: &mut [u8]) {
    expand(master, label, out);
}

#[cfg(test)]
pub(super) fn counter_stream(key: [u8; 16], iv: u128, out: &mut [u8]) {
    key_stream(&Aes128Enc::new(&key.into()), iv, out);
}
