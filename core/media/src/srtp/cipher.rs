//! Key derivation (RFC 3711, section 4.3) and the two kinds of ciphers on their session keys.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use aes_gcm::aead::{AeadInOut, inout::InOutBuf};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::{MasterKey, SrtpError, Suite};

/// Bytes of a block of AES.
const BLOCK: usize = 16;

/// Blocks of key stream made in one go: what the processor has pipelines for.
const BATCH: usize = 8;

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
    aes: Aes128,
    salt: [u8; 14],
    hmac: Hmac<Sha1>,
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
        let mut padded = [0; 64];
        if let Some(start) = padded.first_chunk_mut::<20>() {
            *start = *auth;
        }
        let hmac = Hmac::<Sha1>::new(&padded.into());
        Self::Counter(Box::new(Counter { aes: Aes128::new(&key.into()), salt, hmac }))
    }

    /// Encrypts `text` behind `head` in place and gives the tag, of which `tag` takes its length.
    pub(super) fn seal(
        &self,
        nonce: Nonce,
        protocol: Protocol,
        packet: Sealing<'_>,
    ) -> Result<(), SrtpError> {
        let Sealing { head, text, trailer, tag } = packet;
        match self {
            Self::Counter(counter) => {
                counter.apply(nonce, text);
                let mac = counter.mac(head, text, trailer).finalize().into_bytes();
                tag.copy_from_slice(mac.get(..tag.len()).ok_or(SrtpError::NoRoom)?);
            }
            Self::Gcm128(gcm, salt) => {
                seal_gcm(gcm.as_ref(), &iv(salt, nonce, protocol), head, trailer, text, tag)?;
            }
            Self::Gcm256(gcm, salt) => {
                seal_gcm(gcm.as_ref(), &iv(salt, nonce, protocol), head, trailer, text, tag)?;
            }
        }
        Ok(())
    }

    /// The reverse; nothing is changed when the tag is wrong.
    pub(super) fn open(
        &self,
        nonce: Nonce,
        protocol: Protocol,
        packet: Opening<'_>,
    ) -> Result<(), SrtpError> {
        let Opening { head, text, trailer, tag } = packet;
        match self {
            Self::Counter(counter) => {
                let mac = counter.mac(head, text, trailer);
                mac.verify_truncated_left(tag).map_err(|_| SrtpError::Authentication)?;
                counter.apply(nonce, text);
            }
            Self::Gcm128(gcm, salt) => {
                open_gcm(gcm.as_ref(), &iv(salt, nonce, protocol), head, trailer, text, tag)?;
            }
            Self::Gcm256(gcm, salt) => {
                open_gcm(gcm.as_ref(), &iv(salt, nonce, protocol), head, trailer, text, tag)?;
            }
        }
        Ok(())
    }
}

/// The parts of a packet to protect. `trailer` is authenticated and stands behind the text: the
/// rollover counter, or SRTCP's index.
pub(super) struct Sealing<'a> {
    pub(super) head: &'a [u8],
    pub(super) text: &'a mut [u8],
    pub(super) trailer: &'a [u8],
    pub(super) tag: &'a mut [u8],
}

/// The parts of a packet to unprotect.
pub(super) struct Opening<'a> {
    pub(super) head: &'a [u8],
    pub(super) text: &'a mut [u8],
    pub(super) trailer: &'a [u8],
    pub(super) tag: &'a [u8],
}

impl Counter {
    /// The key stream over `text` (section 4.1.1).
    fn apply(&self, nonce: Nonce, text: &mut [u8]) {
        let mut iv = [0u8; BLOCK];
        if let Some(start) = iv.first_chunk_mut::<14>() {
            *start = self.salt;
        }
        let shifted = (u128::from(nonce.ssrc) << 64) ^ (u128::from(nonce.index) << 16);
        let iv = u128::from_be_bytes(iv) ^ shifted;
        key_stream(&self.aes, iv, text);
    }

    fn mac(&self, head: &[u8], text: &[u8], trailer: &[u8]) -> Hmac<Sha1> {
        let mut mac = self.hmac.clone();
        mac.update(head);
        mac.update(text);
        mac.update(trailer);
        mac
    }
}

/// XORs AES in counter mode from `iv` on over `text`.
fn key_stream<C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>>(
    cipher: &C,
    iv: u128,
    text: &mut [u8],
) {
    let mut counter = iv;
    for part in text.chunks_mut(BLOCK * BATCH) {
        let mut blocks = [Array::default(); BATCH];
        let used = blocks.get_mut(..part.len().div_ceil(BLOCK)).unwrap_or_default();
        for block in used.iter_mut() {
            *block = counter.to_be_bytes().into();
            counter = counter.wrapping_add(1);
        }
        cipher.encrypt_blocks(used);
        for (bytes, block) in part.chunks_mut(BLOCK).zip(used.iter()) {
            for (byte, key) in bytes.iter_mut().zip(block.iter()) {
                *byte ^= key;
            }
        }
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
        (Some(key), _) => key_stream(&Aes256::new(&(*key).into()), iv, out),
        (None, Some(key)) => key_stream(&Aes128::new(&(*key).into()), iv, out),
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

/// Associated data that lies in two places, in one: a header and an index.
const MOST_HEAD: usize = 512;

/// `head` and `trailer` in one piece; `None` when the header is longer than any that is sent.
fn joined<'b>(head: &[u8], trailer: &[u8], buffer: &'b mut [u8; MOST_HEAD]) -> Option<&'b [u8]> {
    let whole = buffer.get_mut(..head.len() + trailer.len())?;
    let (start, end) = whole.split_at_mut_checked(head.len())?;
    start.copy_from_slice(head);
    end.copy_from_slice(trailer);
    Some(whole)
}

fn seal_gcm<A>(
    gcm: &A,
    iv: &[u8; 12],
    head: &[u8],
    trailer: &[u8],
    text: &mut [u8],
    tag: &mut [u8],
) -> Result<(), SrtpError>
where
    A: AeadInOut<NonceSize = aes::cipher::consts::U12, TagSize = aes::cipher::consts::U16>,
{
    let mut buffer = [0; MOST_HEAD];
    let data = if trailer.is_empty() { Some(head) } else { joined(head, trailer, &mut buffer) };
    let data = data.ok_or(SrtpError::TooShort)?;
    let made = gcm
        .encrypt_inout_detached(&(*iv).into(), data, InOutBuf::from(text))
        .map_err(|_| SrtpError::NoRoom)?;
    tag.copy_from_slice(made.get(..tag.len()).ok_or(SrtpError::NoRoom)?);
    Ok(())
}

fn open_gcm<A>(
    gcm: &A,
    iv: &[u8; 12],
    head: &[u8],
    trailer: &[u8],
    text: &mut [u8],
    tag: &[u8],
) -> Result<(), SrtpError>
where
    A: AeadInOut<NonceSize = aes::cipher::consts::U12, TagSize = aes::cipher::consts::U16>,
{
    let mut buffer = [0; MOST_HEAD];
    let data = if trailer.is_empty() { Some(head) } else { joined(head, trailer, &mut buffer) };
    let data = data.ok_or(SrtpError::TooShort)?;
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
    key_stream(&Aes128::new(&key.into()), iv, out);
}
