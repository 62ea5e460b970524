//! TLS of SIP connections (RFC 3261, section 26.2.1; RFC 5922): the certificates that we show, by
//! the server name that the peer asks for, and whose certificates we take.
//!
//! TLS 1.2 and 1.3 with forward secrecy only: phones that know nothing but TLS 1.0 or 1.1, CBC or
//! RSA key exchange cannot connect. What the peer is called is not held against its certificate:
//! phones have none with their address in it; that a configured authority signed it is.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};

/// What TLS is made of, read and checked.
#[derive(Clone, Debug)]
pub struct TlsMaterial {
    /// Shown to whoever asks for no name that we know.
    pub certificate: Arc<CertifiedKey>,
    /// Shown to whoever asks for these names, lower case; `*.example.jp` stands for one label.
    pub names: Vec<(String, Arc<CertifiedKey>)>,
    /// Whose certificates of clients are taken; none are asked for without it.
    pub client_ca: Option<RootCertStore>,
    /// Whether a client without a certificate is refused.
    pub require_client_certificate: bool,
    /// Whose certificates of phones that we connect to are taken; without it we connect to none.
    pub peer_ca: Option<RootCertStore>,
}

/// TLS ready for connections; a clone shares everything.
#[derive(Clone, Debug)]
pub struct Tls {
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Option<Arc<ClientConfig>>,
}

/// The algorithms: those of ring.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Tls {
    /// TLS with this material.
    ///
    /// # Errors
    /// The authorities of clients cannot be used.
    pub fn new(material: TlsMaterial) -> Result<Self, String> {
        let provider = provider();
        let names = Names {
            default: Arc::clone(&material.certificate),
            exact: material.names.into_iter().collect(),
        };
        let names = Arc::new(names);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match material.client_ca {
            None => builder.with_no_client_auth(),
            Some(anchors) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(
                    Arc::new(anchors),
                    Arc::clone(&provider),
                );
                let verifier = if material.require_client_certificate {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                let verifier = verifier.build().map_err(|error| error.to_string())?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let server = Arc::new(builder.with_cert_resolver(Arc::clone(&names) as _));
        let client = match material.peer_ca {
            None => None,
            Some(anchors) => Some(client(provider, anchors, names)?),
        };
        Ok(Self { server, client })
    }
}

fn client(
    provider: Arc<CryptoProvider>,
    anchors: RootCertStore,
    names: Arc<Names>,
) -> Result<Arc<ClientConfig>, String> {
    let verifier = SignedBy { anchors, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(names);
    Ok(Arc::new(config))
}

/// The own certificates by server name (RFC 6066, section 3).
#[derive(Debug)]
struct Names {
    default: Arc<CertifiedKey>,
    exact: HashMap<String, Arc<CertifiedKey>>,
}

impl Names {
    fn find(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let known = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wild = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
            self.exact.get(&name).or_else(|| self.exact.get(&wild?))
        });
        Arc::clone(known.unwrap_or(&self.default))
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.find(hello.server_name()))
    }
}

impl ResolvesClientCert for Names {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.default))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Takes a certificate that one of the anchors signed, whatever name it has.
#[derive(Debug)]
struct SignedBy {
    anchors: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for SignedBy {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.anchors,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
