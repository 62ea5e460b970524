//! `a=crypto` (RFC 4568, section 9.1): tag, suite and key of one way.

use thiserror::Error;

use super::{MOST_KEY_AND_SALT, MasterKey, Suite};

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Its number, which the answer repeats.
    pub tag: u32,
    /// Suite and key of who wrote it.
    pub key: MasterKey,
}

/// Why an attribute cannot be used: the peer's fault, or what we do not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// It is not written as section 9.1 says.
    #[error("a=crypto is malformed")]
    Malformed,
    /// A suite that we do not have.
    #[error("a=crypto names a suite that is not spoken here")]
    UnknownSuite,
    /// The key is not as long as the suite's.
    #[error("the key of a=crypto has the wrong length")]
    KeyLength,
    /// Several keys, an MKI, or a session parameter that changes what goes over the wire.
    #[error("a=crypto asks for something that is not done here")]
    Unsupported,
}

impl Crypto {
    /// Reads the attribute's value, what stands behind `crypto:`.
    ///
    /// # Errors
    /// Why it cannot be used; the next attribute may do.
    pub fn parse(value: &[u8]) -> Result<Self, CryptoError> {
        let mut words =
            value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let tag = words.next().and_then(number).ok_or(CryptoError::Malformed)?;
        let name = words.next().ok_or(CryptoError::Malformed)?;
        let suite = Suite::ALL.into_iter().find(|suite| suite.name().as_bytes() == name);
        let suite = suite.ok_or(CryptoError::UnknownSuite)?;
        let key = words.next().ok_or(CryptoError::Malformed)?;
        let key = key_of(suite, key)?;
        for parameter in words {
            // WSH is a hint about the replay window; the rest changes what is sent.
            if !parameter.starts_with(b"WSH=") {
                return Err(CryptoError::Unsupported);
            }
        }
        Ok(Self { tag, key })
    }

    /// Appends the attribute's value.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.key.suite().name().as_bytes());
        out.extend_from_slice(b" inline:");
        for group in self.key.key_and_salt().chunks(3) {
            out.extend_from_slice(&base64(group));
        }
    }
}

/// Up to nine digits without a leading zero.
fn number(word: &[u8]) -> Option<u32> {
    let digits = word.iter().all(u8::is_ascii_digit) && (1..=9).contains(&word.len());
    if !digits || (word.len() > 1 && word.first() == Some(&b'0')) {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// `inline:KEY|LIFETIME`; a lifetime is taken note of by nobody, since a call ends before it does.
fn key_of(suite: Suite, word: &[u8]) -> Result<MasterKey, CryptoError> {
    let method = word.get(..7).ok_or(CryptoError::Malformed)?;
    if !method.eq_ignore_ascii_case(b"inline:") {
        return Err(CryptoError::Malformed);
    }
    let info = word.get(7..).unwrap_or_default();
    if info.contains(&b';') {
        return Err(CryptoError::Unsupported);
    }
    let mut parts = info.split(|byte| *byte == b'|');
    let text = parts.next().unwrap_or_default();
    let mut bytes = [0; MOST_KEY_AND_SALT];
    let length = decode(text, &mut bytes).ok_or(CryptoError::Malformed)?;
    for part in parts {
        let lifetime = part.strip_prefix(b"2^").unwrap_or(part);
        if lifetime.is_empty() || !lifetime.iter().all(u8::is_ascii_digit) {
            return Err(CryptoError::Unsupported);
        }
    }
    MasterKey::new(suite, bytes.get(..length).unwrap_or_default()).ok_or(CryptoError::KeyLength)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Up to three bytes as four characters.
fn base64(group: &[u8]) -> [u8; 4] {
    let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
    let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    let mut out = [b'='; 4];
    for (place, shift) in out.iter_mut().zip([18, 12, 6, 0]).take(group.len() + 1) {
        let index = usize::try_from(bits >> shift & 63).unwrap_or(0);
        *place = ALPHABET.get(index).copied().unwrap_or(b'=');
    }
    out
}

/// Base64 into `out`; how many bytes. Padding may be missing, as some phones write it.
fn decode(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let end = text.iter().rposition(|byte| *byte != b'=')? + 1;
    if text.len() - end > 2 {
        return None;
    }
    let (mut bits, mut count, mut length) = (0u32, 0, 0);
    for byte in text.get(..end)? {
        let value = ALPHABET.iter().position(|known| known == byte)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            *out.get_mut(length)? = u8::try_from(bits >> count & 0xFF).ok()?;
            length += 1;
        }
    }
    // What is left over are the padding's zero bits.
    (count < 6 && bits & ((1 << count) - 1) == 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_rfc_4568_are_read_and_written_again() {
        // Section 9.1 and 5.
        let text =
            b"1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20";
        let crypto = Crypto::parse(text).unwrap();
        assert_eq!((crypto.tag, crypto.key.suite()), (1, Suite::AesCm128HmacSha1_80));
        let mut out = Vec::new();
        crypto.write(&mut out);
        assert_eq!(out, text[..text.len() - 5]);
        let short =
            b"2  AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32";
        assert_eq!(Crypto::parse(short), Err(CryptoError::Unsupported), "an MKI");
        assert_eq!(
            Crypto::parse(b"1 F8_128_HMAC_SHA1_80 inline:AA"),
            Err(CryptoError::UnknownSuite)
        );
    }

    #[test]
    fn what_would_change_the_wire_is_refused_and_a_hint_is_not() {
        let key = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
        let with =
            |rest: &str| Crypto::parse(format!("3 AES_CM_128_HMAC_SHA1_80 {key}{rest}").as_bytes());
        assert!(with(" WSH=128").is_ok() && with("").is_ok() && with("|4294967296").is_ok());
        for rest in
            [" UNENCRYPTED_SRTP", " KDR=1", ";inline:AA", "|x", "|", " UNAUTHENTICATED_SRTP"]
        {
            assert_eq!(with(rest), Err(CryptoError::Unsupported), "{rest}");
        }
        for text in [
            "",
            "1",
            "1 AES_CM_128_HMAC_SHA1_80",
            "x AES_CM_128_HMAC_SHA1_80 inline:AA",
            "1 AES_CM_128_HMAC_SHA1_80 outline:AA",
            "1 AES_CM_128_HMAC_SHA1_80 inline:A*A=",
            "01 AES_CM_128_HMAC_SHA1_80 inline:AA==",
        ] {
            assert_eq!(Crypto::parse(text.as_bytes()), Err(CryptoError::Malformed), "{text}");
        }
        let short = Crypto::parse(b"1 AEAD_AES_256_GCM inline:PS1uQCVeeCFCanVmcjkpPywj");
        assert_eq!(short, Err(CryptoError::KeyLength));
    }

    proptest! {
        #[test]
        fn every_key_survives(tag in 1u32..1_000_000_000, bytes: [u8; 46], which in 0usize..4) {
            let suite = Suite::ALL[which];
            let length = suite.key_bytes() + suite.salt_bytes();
            let crypto = Crypto { tag, key: MasterKey::new(suite, &bytes[..length]).unwrap() };
            let mut out = Vec::new();
            crypto.write(&mut out);
            prop_assert_eq!(Crypto::parse(&out), Ok(crypto));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = Crypto::parse(text.as_bytes());
        }
    }
}
