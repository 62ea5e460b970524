//! Recordings that are encrypted where they lie: AES-256-GCM in chunks (the STREAM construction of
//! Hoang, Reyhanitabar, Rogaway and Vizár), each file under a key of its own, which is
//! HMAC-SHA-256 of the server's key over the file's salt.
//!
//! ```text
//! magic (8) | key's id (8) | salt (32) | format (1) | channels (1) | chunk | chunk | ... | last
//! ```
//! A chunk is 8,192 bytes of sound and their tag of 16, the last one shorter. The head is
//! authenticated with each of them, and its number and whether it is the last stand in the nonce:
//! chunks cannot be changed, exchanged, left out or added. A file that a kill cut off ends behind a
//! whole chunk, and says so when it is opened. The sound of a file becomes a WAV file with
//! `koukan_codecs::wav_head`.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

use crate::RecordFormat;

/// Bytes of the head.
pub const HEAD: usize = 50;
/// Bytes of sound in a chunk: whole samples of any format.
pub const CHUNK: usize = 8_192;
/// Bytes of a chunk's tag.
pub const TAG: usize = 16;

const MAGIC: [u8; 8] = *b"KKSEAL\x01\n";
const FORMATS: [(u8, RecordFormat); 4] = [
    (1, RecordFormat::Linear8k),
    (2, RecordFormat::Linear16k),
    (3, RecordFormat::Alaw),
    (4, RecordFormat::Ulaw),
];

/// The server's key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; 32]);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SealKey").field(&self.id()).finish()
    }
}

impl SealKey {
    /// A key of 64 hexadecimal digits; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut key = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(key))
    }

    /// By which its files are told from those of others.
    #[must_use]
    pub fn id(&self) -> [u8; 8] {
        self.derive(&[b"koukan key id"]).first_chunk().copied().unwrap_or_default()
    }

    fn derive(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut padded = [0; 64];
        if let Some(start) = padded.first_chunk_mut::<32>() {
            *start = self.0;
        }
        let mut mac = Hmac::<Sha256>::new(&padded.into());
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    fn cipher(&self, salt: &[u8]) -> Aes256Gcm {
        Aes256Gcm::new(&self.derive(&[b"koukan recording", salt]).into())
    }
}

/// Writes a sealed file, piece by piece.
pub struct Sealer {
    cipher: Box<Aes256Gcm>,
    head: [u8; HEAD],
    number: u64,
    /// Sound that is no chunk yet, or may be the last one.
    pending: Vec<u8>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Sealer {
    /// Begins a file. `salt` is random, and of this file alone.
    #[must_use]
    pub fn new(key: &SealKey, salt: &[u8; 32], format: RecordFormat, channels: u8) -> Self {
        let code = FORMATS.iter().find(|(_, known)| *known == format).map_or(0, |(code, _)| *code);
        let parts = [MAGIC.as_slice(), &key.id(), salt, &[code, channels]].concat();
        let head = parts.first_chunk().copied().unwrap_or([0; HEAD]);
        Self { cipher: Box::new(key.cipher(salt)), head, number: 0, pending: Vec::new() }
    }

    /// What the file begins with.
    #[must_use]
    pub const fn head(&self) -> &[u8; HEAD] {
        &self.head
    }

    /// Takes sound, and puts behind `out` what is to be written.
    ///
    /// # Errors
    /// More sound than any file has.
    pub fn push(&mut self, sound: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        self.pending.extend_from_slice(sound);
        // The last chunk is never empty but in an empty file: a full one waits for its successor.
        while self.pending.len() > CHUNK {
            let chunk: Vec<u8> = self.pending.drain(..CHUNK).collect();
            self.seal(chunk, false, out)?;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), SealError> {
        let chunk = std::mem::take(&mut self.pending);
        self.seal(chunk, true, out)
    }

    fn seal(&mut self, mut chunk: Vec<u8>, last: bool, out: &mut Vec<u8>) -> Result<(), SealError> {
        let nonce = nonce(self.number, last);
        self.number = self.number.checked_add(1).ok_or(SealError::TooLong)?;
        let sealed = self.cipher.encrypt_inout_detached(
            &nonce.into(),
            &self.head,
            chunk.as_mut_slice().into(),
        );
        let tag = sealed.map_err(|_| SealError::TooLong)?;
        out.extend_from_slice(&chunk);
        out.extend_from_slice(&tag);
        Ok(())
    }
}

/// A sealed file, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How its sound is coded.
    pub format: RecordFormat,
    /// In how many channels.
    pub channels: u8,
    /// The sound.
    pub sound: Vec<u8>,
    /// Whether its end is there, or a kill cut it off.
    pub is_whole: bool,
}

/// A file cannot be opened, or not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// It is no sealed recording.
    #[error("is no sealed recording")]
    Foreign,
    /// It was sealed under a key that is not at hand: configuration.
    #[error("was sealed under a key that is not configured")]
    UnknownKey,
    /// It is not what was written: somebody, or the disk, has changed it.
    #[error("is damaged")]
    Damaged,
    /// More sound than any file has.
    #[error("is too long")]
    TooLong,
}

/// Whether a file begins as a sealed one.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Opens a sealed file under one of the keys.
///
/// # Errors
/// It is none, its key is not there, or it is not as it was written.
pub fn open(keys: &[SealKey], bytes: &[u8]) -> Result<Opened, SealError> {
    let Some((head, mut rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Err(SealError::Foreign);
    };
    let Some((magic, id, salt, &[format, channels])) = parts(head) else {
        return Err(SealError::Foreign);
    };
    if magic != MAGIC {
        return Err(SealError::Foreign);
    }
    let key = keys.iter().find(|key| key.id() == id).ok_or(SealError::UnknownKey)?;
    let format = FORMATS.iter().find(|(code, _)| *code == format).map(|(_, format)| *format);
    let format = format.ok_or(SealError::Damaged)?;
    let cipher = key.cipher(salt);
    let mut sound = Vec::with_capacity(rest.len());
    let mut number = 0;
    let mut is_whole = false;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at_checked(CHUNK + TAG).unwrap_or((rest, &[]));
        let unseal = |last| unseal(&cipher, head, (number, last), chunk);
        let opened = if behind.is_empty() {
            let end = unseal(true);
            is_whole = end.is_ok();
            // A file that was cut off ends with a chunk that was to have a successor.
            end.or_else(|error| if chunk.len() == CHUNK + TAG { unseal(false) } else { Err(error) })
        } else {
            unseal(false)
        };
        sound.extend_from_slice(&opened?);
        number = number.checked_add(1).ok_or(SealError::TooLong)?;
        rest = behind;
    }
    Ok(Opened { format, channels, sound, is_whole })
}

/// Bytes of sound in a sealed file of so many bytes.
#[must_use]
pub fn sound_len(bytes: u64) -> u64 {
    let (head, chunk, tag) = (HEAD as u64, (CHUNK + TAG) as u64, TAG as u64);
    let body = bytes.saturating_sub(head);
    let rest = (body % chunk).saturating_sub(tag);
    (body / chunk).saturating_mul(CHUNK as u64).saturating_add(rest)
}

/// The length that a file of so many bytes has without what a kill left of its last chunk.
#[must_use]
pub const fn whole_len(bytes: u64) -> u64 {
    let (head, chunk) = (HEAD as u64, (CHUNK + TAG) as u64);
    let body = bytes.saturating_sub(head);
    if bytes < head { 0 } else { head + body / chunk * chunk }
}

type Parts<'h> = ([u8; 8], [u8; 8], &'h [u8; 32], &'h [u8; 2]);

fn parts(head: &[u8; HEAD]) -> Option<Parts<'_>> {
    let (magic, rest) = head.split_first_chunk::<8>()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let (salt, rest) = rest.split_first_chunk::<32>()?;
    Some((*magic, *id, salt, rest.first_chunk::<2>()?))
}

fn unseal(
    cipher: &Aes256Gcm,
    head: &[u8; HEAD],
    (number, last): (u64, bool),
    chunk: &[u8],
) -> Result<Vec<u8>, SealError> {
    let at = chunk.len().checked_sub(TAG).ok_or(SealError::Damaged)?;
    let (text, tag) = chunk.split_at_checked(at).ok_or(SealError::Damaged)?;
    let tag: &[u8; TAG] = tag.first_chunk().ok_or(SealError::Damaged)?;
    let mut text = text.to_vec();
    let nonce = nonce(number, last);
    cipher
        .decrypt_inout_detached(&nonce.into(), head, text.as_mut_slice().into(), &(*tag).into())
        .map_err(|_| SealError::Damaged)?;
    Ok(text)
}

fn nonce(number: u64, last: bool) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [a, b, c, d, e, f, g, h, 0, 0, 0, u8::from(last)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: u8) -> SealKey {
        SealKey([number; 32])
    }

    fn sealed(sound: &[u8], pieces: usize) -> Vec<u8> {
        let mut sealer = Sealer::new(&key(1), &[7; 32], RecordFormat::Ulaw, 2);
        let mut file = sealer.head().to_vec();
        for piece in sound.chunks(pieces.max(1)) {
            sealer.push(piece, &mut file).unwrap();
        }
        sealer.finish(&mut file).unwrap();
        file
    }

    fn sound(len: usize) -> Vec<u8> {
        (0..len).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
    }

    const LENGTHS: [usize; 8] =
        [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 4_000];

    #[test]
    fn what_was_sealed_is_opened_whatever_the_pieces_were() {
        for len in LENGTHS {
            for pieces in [17, 4_000, CHUNK, 100_000] {
                let file = sealed(&sound(len), pieces);
                let opened = open(&[key(2), key(1)], &file).unwrap();
                let wanted = Opened {
                    format: RecordFormat::Ulaw,
                    channels: 2,
                    sound: sound(len),
                    is_whole: true,
                };
                assert_eq!(opened, wanted, "{len} bytes in pieces of {pieces}");
                assert_eq!(sound_len(file.len() as u64), len as u64);
            }
        }
    }

    #[test]
    fn no_bit_of_a_file_can_be_changed() {
        let file = sealed(&sound(CHUNK + 300), 1_000);
        for at in (0..file.len()).step_by(97).chain([file.len() - 1]) {
            let mut changed = file.clone();
            changed[at] ^= 0x10;
            assert!(open(&[key(1)], &changed).is_err(), "byte {at}");
        }
        let (head, body) = file.split_at(HEAD);
        let (first, last) = body.split_at(CHUNK + TAG);
        for wrong in [
            [head, last, first].concat(),
            [head, last].concat(),
            [head, first, first, last].concat(),
            [head, body, last].concat(),
        ] {
            assert_eq!(open(&[key(1)], &wrong), Err(SealError::Damaged));
        }
        assert_eq!(open(&[key(2)], &file), Err(SealError::UnknownKey));
        assert_eq!(open(&[key(1)], b"RIFF"), Err(SealError::Foreign));
        let other = sealed(&sound(20), 20);
        assert_ne!(file[16..48], [0; 32], "the salt is in the head");
        assert!(!other.windows(8).any(|window| sound(20).starts_with(window)), "it is hidden");
    }

    #[test]
    fn a_file_that_was_cut_off_is_opened_as_far_as_its_chunks_go() {
        let whole = sound(3 * CHUNK + 100);
        let file = sealed(&whole, 4_000);
        for cut in (0..file.len()).step_by(509) {
            let kept = usize::try_from(whole_len(cut as u64)).unwrap();
            if kept < HEAD {
                continue;
            }
            let opened = open(&[key(1)], &file[..kept]).unwrap();
            assert!(!opened.is_whole);
            assert_eq!(opened.sound, whole[..opened.sound.len()]);
            assert_eq!(opened.sound.len(), (kept - HEAD) / (CHUNK + TAG) * CHUNK);
        }
    }

    #[test]
    fn a_key_is_64_digits_and_is_shown_by_its_id_alone() {
        let text = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        let key = SealKey::parse(text).unwrap();
        assert_eq!(key.0[..4], [0, 0x11, 0x22, 0x33]);
        assert!(!format!("{key:?}").contains("34"), "{key:?}");
        for wrong in ["", "00", &text[1..], &text.replace('0', "g"), &format!("{text}0")] {
            assert_eq!(SealKey::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_opened_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = open(&[key(1)], &bytes);
            let file = [MAGIC.as_slice(), &key(1).id(), &bytes].concat();
            prop_assert!(open(&[key(1)], &file).map_or(true, |opened| opened.sound.is_empty()));
        }
    }
}
