//! SRTP and SRTCP (RFC 3711) with the suites of RFC 4568 and RFC 7714, in place: a packet is
//! protected and unprotected in the buffer that it lies in, without an allocation.
//!
//! Left out: key derivation rates, MKI, the null cipher and F8, which no telephone asks for.

mod attribute;
mod cipher;
mod context;
mod tag;
mod window;

pub use attribute::{Crypto, CryptoError};
pub use context::{SrtpReceiver, SrtpSender};

use thiserror::Error;

/// How packets are encrypted and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568), which every secure phone speaks.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`: four bytes of tag.
    AesCm128HmacSha1_32,
    /// `AEAD_AES_128_GCM` (RFC 7714).
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM` (RFC 7714).
    AeadAes256Gcm,
}

impl Suite {
    /// All of them, the strongest first.
    pub const ALL: [Self; 4] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
    ];

    /// Its name in `a=crypto`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of the master key.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes that an RTP packet grows by.
    #[must_use]
    pub const fn rtp_growth(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Bytes that an RTCP packet grows by: its index and the tag, which is never the short one.
    #[must_use]
    pub const fn rtcp_growth(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 20,
        }
    }
}

/// Bytes of the longest master key and salt together.
pub const MOST_KEY_AND_SALT: usize = 46;

/// A master key and salt. Its text does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    bytes: [u8; MOST_KEY_AND_SALT],
}

impl MasterKey {
    /// A key from key and salt, one behind the other; `None` when they are not as long as the
    /// suite's.
    #[must_use]
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        if key_and_salt.len() != suite.key_bytes() + suite.salt_bytes() {
            return None;
        }
        let mut bytes = [0; MOST_KEY_AND_SALT];
        bytes.get_mut(..key_and_salt.len())?.copy_from_slice(key_and_salt);
        Some(Self { suite, bytes })
    }

    /// The suite that it is for.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt, one behind the other.
    #[must_use]
    pub fn key_and_salt(&self) -> &[u8] {
        let length = self.suite.key_bytes() + self.suite.salt_bytes();
        self.bytes.get(..length).unwrap_or_default()
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.suite.name())
    }
}

/// Why a packet was not passed: the sender's fault, but for the last two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SrtpError {
    /// Shorter than its header, tag and index.
    #[error("no SRTP packet: too short")]
    TooShort,
    /// The tag is not what the key makes of the packet.
    #[error("the packet's tag is wrong")]
    Authentication,
    /// It came before, or is so old that nobody knows.
    #[error("the packet came before")]
    Replayed,
    /// The buffer has no room for the tag: ours.
    #[error("no room for the tag")]
    NoRoom,
    /// The key has been used for as many packets as it may: a new one is due.
    #[error("the master key is used up")]
    KeyExhausted,
}

#[cfg(test)]
mod tests;
