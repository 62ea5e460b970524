//! Certificates and keys from PEM files (RFC 7468): read, held against each other, and their dates.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError as Reason, Error, RootCertStore};

use crate::limits;

/// Why a certificate or key cannot be used: configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file is missing or unreadable.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// Everybody on this machine may read the key.
    #[error(
        "the key {} may be read by everybody (mode {mode:04o}): chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no PEM, or holds none of what it should.
    #[error("{} holds no {what} in PEM form", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// The certificate or the key is of a kind that is not supported, or damaged.
    #[error("{} cannot be used: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the TLS library says.
        why: String,
    },
    /// The key belongs to another certificate.
    #[error("the key {} does not belong to the certificate {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

impl CertificateError {
    /// Whether the key is at fault, and not the certificate.
    #[must_use]
    pub fn is_about_key(&self, key: &Path) -> bool {
        match self {
            Self::Unreadable { path, .. }
            | Self::Exposed { path, .. }
            | Self::Missing { path, .. }
            | Self::Unusable { path, .. } => path == key,
            Self::Mismatch { .. } => true,
        }
    }
}

/// The certificates of a PEM file, in its order; at least one.
///
/// # Errors
/// The file cannot be read, or holds none.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| CertificateError::Missing { path: path.to_owned(), what: "certificate" })
}

/// The trust anchors of a PEM file.
///
/// # Errors
/// The file cannot be read, or holds none that can be used.
pub fn read_anchors(path: &Path) -> Result<RootCertStore, CertificateError> {
    let mut anchors = RootCertStore::empty();
    for certificate in read_chain(path)? {
        anchors.add(certificate).map_err(|error| unusable(path, &error))?;
    }
    Ok(anchors)
}

/// A certificate chain, the own one first, with its key.
///
/// # Errors
/// One of the files cannot be read or used, or they do not belong together.
pub fn read_pair(
    provider: &CryptoProvider,
    certificate: &Path,
    key: &Path,
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let chain = read_chain(certificate)?;
    let pem = read_key(key)?;
    let der = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| CertificateError::Missing { path: key.to_owned(), what: "private key" })?;
    let signer =
        provider.key_provider.load_private_key(der).map_err(|error| unusable(key, &error))?;
    if let Some(own) = chain.first() {
        ParsedCertificate::try_from(own).map_err(|error| unusable(certificate, &error))?;
    }
    let pair = CertifiedKey::new(chain, signer);
    match pair.keys_match() {
        // A key whose public half is not known cannot be held against the certificate.
        Ok(()) | Err(Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Arc::new(pair))
        }
        Err(_) => Err(CertificateError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        }),
    }
}

fn unusable(path: &Path, error: &Error) -> CertificateError {
    CertificateError::Unusable { path: path.to_owned(), why: error.to_string() }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |error| CertificateError::Unreadable { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limits::FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// A group may read a key: that is how certificate tools share it with services.
fn read_key(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |error| CertificateError::Unreadable { path: path.to_owned(), error };
    let mode = path.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(CertificateError::Exposed { path: path.to_owned(), mode });
    }
    read(path)
}

/// How a certificate's dates stand to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Valid, and for longer than two weeks.
    Good,
    /// Valid, but ending within two weeks.
    Ends(Timestamp),
    /// It ended.
    Ended(Timestamp),
    /// It has not begun.
    NotYet(Timestamp),
}

/// A renewal that is due is said so long before the end.
const NOTICE: Duration = Duration::from_secs(14 * 86_400);

/// The dates of a chain's own certificate against `now`.
#[must_use]
pub fn validity(provider: &CryptoProvider, pair: &CertifiedKey, now: Timestamp) -> Validity {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let date = |time: UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    };
    let at = |seconds| dates_at(provider, pair, UnixTime::since_unix_epoch(seconds));
    match at(Duration::from_secs(seconds)) {
        Some(Dates::Ended(end)) => Validity::Ended(date(end)),
        Some(Dates::NotYet(begin)) => Validity::NotYet(date(begin)),
        None => match at(Duration::from_secs(seconds).saturating_add(NOTICE)) {
            Some(Dates::Ended(end)) => Validity::Ends(date(end)),
            Some(Dates::NotYet(_)) | None => Validity::Good,
        },
    }
}

enum Dates {
    Ended(UnixTime),
    NotYet(UnixTime),
}

/// The TLS library looks at a certificate's dates before it looks for its issuer, so that asking it
/// to verify without any trust anchor tells what is wrong with them.
fn dates_at(provider: &CryptoProvider, pair: &CertifiedKey, time: UnixTime) -> Option<Dates> {
    let certificate = ParsedCertificate::try_from(pair.end_entity_cert().ok()?).ok()?;
    let outcome = verify_server_cert_signed_by_trust_anchor(
        &certificate,
        &RootCertStore::empty(),
        &[],
        time,
        provider.signature_verification_algorithms.all,
    );
    match outcome {
        Err(Error::InvalidCertificate(Reason::ExpiredContext { not_after, .. })) => {
            Some(Dates::Ended(not_after))
        }
        Err(Error::InvalidCertificate(Reason::NotValidYetContext { not_before, .. })) => {
            Some(Dates::NotYet(not_before))
        }
        _ => None,
    }
}
