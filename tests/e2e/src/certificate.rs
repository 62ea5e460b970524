//! An authority of the test's own and a certificate of the server that it signed.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::server::write_secret;

/// Writes `authority.pem`, `certificate.pem` and `key.pem` into `directory`. The certificate is for
/// `address`; it stands there as a name too, for clients that compare no addresses.
///
/// # Errors
/// A file cannot be written.
pub fn write(directory: &Path, address: IpAddr) -> io::Result<()> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority.distinguished_name.push(DnType::CommonName, "end-to-end authority");
    let authority_key = KeyPair::generate().map_err(io::Error::other)?;
    let root = authority.self_signed(&authority_key).map_err(io::Error::other)?;
    let issuer = Issuer::new(authority, authority_key);

    let mut server = CertificateParams::default();
    let name = address.to_string().try_into().map_err(io::Error::other)?;
    server.subject_alt_names = vec![SanType::IpAddress(address), SanType::DnsName(name)];
    server.distinguished_name = rcgen::DistinguishedName::new();
    server.distinguished_name.push(DnType::CommonName, address.to_string());
    let server_key = KeyPair::generate().map_err(io::Error::other)?;
    let signed = server.signed_by(&server_key, &issuer).map_err(io::Error::other)?;

    fs::write(directory.join("authority.pem"), root.pem())?;
    fs::write(directory.join("certificate.pem"), signed.pem())?;
    write_secret(&directory.join("key.pem"), &server_key.serialize_pem())
}
