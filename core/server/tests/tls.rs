//! TLS of the transports over real loopback sockets: who is let in, which certificate is shown, and
//! peers that are slow, silent or hostile on purpose.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod rig;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use koukan::transport::certificate::{self, read_anchors, read_pair};
use koukan::transport::{ConnectionLimits, DropCause, Tls, TlsMaterial, provider};
use koukan_sip::{Flow, ListenerId, Transport};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rig::{LIMITS, Rig, START, options};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, StreamOwned};

/// An authority with a directory of its own; removed when it is dropped.
struct Authority {
    directory: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("koukan-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(directory.join("ca.pem"), issuer.pem()).unwrap();
        Self { directory, issuer }
    }

    /// A certificate for `name` as files; their paths.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let paths = (
            self.directory.join(format!("{name}.pem")),
            self.directory.join(format!("{name}.key")),
        );
        fs::write(&paths.0, certificate.pem()).unwrap();
        fs::write(&paths.1, key.serialize_pem()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&paths.1, mode).unwrap();
        paths
    }

    fn anchors(&self) -> RootCertStore {
        read_anchors(&self.directory.join("ca.pem")).unwrap()
    }

    fn material(&self, name: &str) -> TlsMaterial {
        let (certificate, key) = self.issue(name);
        TlsMaterial {
            certificate: read_pair(&provider(), &certificate, &key).unwrap(),
            names: Vec::new(),
            client_ca: None,
            require_client_certificate: false,
            peer_ca: None,
        }
    }

    /// What a phone knows that trusts this authority; with the certificate of `own` when given.
    fn phone(&self, own: Option<&str>) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.anchors());
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let (certificate, key) = self.issue(name);
                let chain = CertificateDer::from_pem_file(certificate).unwrap();
                let key = PrivateKeyDer::from_pem_file(key).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        })
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn rig(material: TlsMaterial) -> Rig {
    rig_with(material, LIMITS)
}

fn rig_with(material: TlsMaterial, limits: ConnectionLimits) -> Rig {
    Rig::with(&[Transport::Tls], limits, Some(Tls::new(material).unwrap()))
}

type Session = StreamOwned<ClientConnection, TcpStream>;

/// A phone's session; it blocks, so that it is used beside the rig's turns.
fn session(config: Arc<ClientConfig>, server: SocketAddr, name: &str) -> Session {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

/// Sends a request and reads the first bytes of its answer.
fn ask(session: &mut Session, number: usize) -> std::io::Result<Vec<u8>> {
    session.write_all(&options(number, "TLS"))?;
    let mut buffer = [0; 4096];
    let count = session.read(&mut buffer)?;
    Ok(buffer[..count].to_vec())
}

/// Turns the rig until a phone's thread has ended.
fn until_ended<T>(rig: &mut Rig, phone: JoinHandle<T>) -> T {
    rig.until("the phone", |_| phone.is_finished());
    phone.join().unwrap()
}

/// One whole visit of a phone: the answer and the certificate that it was shown.
fn visit(
    rig: &mut Rig,
    config: Arc<ClientConfig>,
    name: &'static str,
) -> std::io::Result<(Vec<u8>, CertificateDer<'static>)> {
    let server = rig.address(Transport::Tls);
    let phone = thread::spawn(move || {
        let mut session = session(config, server, name);
        let answer = ask(&mut session, 1)?;
        let shown = session.conn.peer_certificates().unwrap()[0].clone().into_owned();
        Ok((answer, shown))
    });
    until_ended(rig, phone)
}

#[test]
fn a_request_over_tls_is_answered_and_counted() {
    let authority = Authority::new("answer");
    let mut rig = rig(authority.material("pbx.test"));
    let (answer, _) = visit(&mut rig, authority.phone(None), "pbx.test").unwrap();
    assert!(answer.starts_with(b"SIP/2.0 200"));
    let counters = rig.transports.counters();
    assert_eq!((counters.tls.received, counters.tls.sent, counters.handshakes), (1, 1, 1));
    rig.until("the close", |rig| rig.transports.connections() == 0);
    assert_eq!(rig.transports.poll_timeout(), None);
}

#[test]
fn the_certificate_follows_the_name_that_is_asked_for() {
    let authority = Authority::new("names");
    let mut material = authority.material("pbx.test");
    let pair = |name| {
        let (certificate, key) = authority.issue(name);
        read_pair(&provider(), &certificate, &key).unwrap()
    };
    material.names.push(("other.test".to_owned(), pair("other.test")));
    material.names.push(("*.wild.test".to_owned(), pair("*.wild.test")));
    let mut rig = rig(material);
    // A wrong certificate would not be taken for the name.
    for name in ["pbx.test", "other.test", "OTHER.test", "a.wild.test"] {
        visit(&mut rig, authority.phone(None), name).unwrap();
    }
    assert!(visit(&mut rig, authority.phone(None), "unknown.test").is_err());
}

#[test]
fn new_connections_show_the_new_certificate_and_the_old_connection_stands() {
    let authority = Authority::new("reload");
    let mut rig = rig(authority.material("pbx.test"));
    let server = rig.address(Transport::Tls);
    let config = authority.phone(None);
    let phone = thread::spawn(move || {
        let mut session = session(config, server, "pbx.test");
        ask(&mut session, 1).map(|_| session)
    });
    let mut old = until_ended(&mut rig, phone).unwrap();
    let (_, before) = visit(&mut rig, authority.phone(None), "pbx.test").unwrap();
    rig.transports.set_tls(Tls::new(authority.material("pbx.test")).unwrap());
    let (_, after) = visit(&mut rig, authority.phone(None), "pbx.test").unwrap();
    assert_ne!(before, after);
    let phone = thread::spawn(move || ask(&mut old, 2));
    assert!(until_ended(&mut rig, phone).unwrap().starts_with(b"SIP/2.0 200"));
}

#[test]
fn a_client_certificate_is_required_only_where_it_is_and_must_be_signed() {
    let authority = Authority::new("client");
    let stranger = Authority::new("stranger");
    let material = |require| TlsMaterial {
        client_ca: Some(authority.anchors()),
        require_client_certificate: require,
        ..authority.material("pbx.test")
    };
    let mut strict = rig(material(true));
    assert!(visit(&mut strict, authority.phone(Some("phone.test")), "pbx.test").is_ok());
    assert!(visit(&mut strict, authority.phone(None), "pbx.test").is_err());
    // It trusts the server's authority and shows a certificate of its own making.
    let (certificate, key) = stranger.issue("phone.test");
    let forged = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.anchors())
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_file(certificate).unwrap()],
            PrivateKeyDer::from_pem_file(key).unwrap(),
        )
        .unwrap();
    assert!(visit(&mut strict, Arc::new(forged), "pbx.test").is_err());
    assert_eq!(strict.drops(DropCause::TlsHandshake), 2);
    let mut lenient = rig(material(false));
    assert!(visit(&mut lenient, authority.phone(None), "pbx.test").is_ok());
}

#[test]
fn what_is_no_tls_is_told_so_and_closed() {
    let authority = Authority::new("garbage");
    for garbage in
        [&options(1, "TLS")[..], b"\x16\x03\x01\x00\x05\xff\xff\xff\xff\xff", &[0x80; 300]]
    {
        let mut rig = rig(authority.material("pbx.test"));
        let mut stream = TcpStream::connect(rig.address(Transport::Tls)).unwrap();
        stream.write_all(garbage).unwrap();
        rig.until("the close", |rig| rig.drops(DropCause::TlsHandshake) == 1);
        assert_eq!(rig.transports.connections(), 0);
        assert_eq!(rig.requests, 0);
    }
}

#[test]
fn a_handshake_has_its_time_and_not_more() {
    let authority = Authority::new("slow");
    // A record of 512 bytes is announced: nothing, some of it, and a byte a second.
    for dribble in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut rig = rig(authority.material("pbx.test"));
        let mut stream = TcpStream::connect(rig.address(Transport::Tls)).unwrap();
        stream.write_all(dribble).unwrap();
        rig.until("the connection", |rig| rig.transports.connections() == 1);
        for second in 1..10 {
            if !dribble.is_empty() {
                stream.write_all(b"\0").unwrap();
            }
            rig.now = START + Duration::from_secs(second);
            rig.turn();
            assert_eq!(rig.transports.connections(), 1, "after {second} s");
        }
        rig.now = START + Duration::from_secs(10);
        rig.until("the close", |rig| rig.transports.connections() == 0);
        assert_eq!(rig.drops(DropCause::TlsSlowHandshake), 1);
    }
}

#[test]
fn a_flood_of_half_open_connections_is_bounded_and_keeps_no_phone_out() {
    let authority = Authority::new("flood");
    let limits = ConnectionLimits { connections: 1000, per_address: 1000, ..LIMITS };
    let mut rig = rig_with(authority.material("pbx.test"), limits);
    let server = rig.address(Transport::Tls);
    let silent: Vec<TcpStream> = (0..50).map(|_| TcpStream::connect(server).unwrap()).collect();
    rig.until("the flood", |rig| rig.drops(DropCause::TlsTooManyHandshakes) == 48);
    assert_eq!(rig.transports.connections(), 2);
    visit(&mut rig, authority.phone(None), "pbx.test").unwrap();
    drop(silent);
    rig.until("every close", |rig| rig.transports.connections() == 0);
}

#[test]
fn a_peer_that_never_reads_holds_no_more_than_its_queue() {
    let authority = Authority::new("deaf");
    let mut rig = rig(authority.material("pbx.test"));
    let server = rig.address(Transport::Tls);
    let config = authority.phone(None);
    let phone = thread::spawn(move || {
        let mut session = session(config, server, "pbx.test");
        ask(&mut session, 1).map(|_| session)
    });
    let session = until_ended(&mut rig, phone).unwrap();
    let flow = Flow {
        transport: Transport::Tls,
        listener: ListenerId(0),
        remote: session.sock.local_addr().unwrap(),
        connection: 1,
    };
    for _ in 0..2000 {
        rig.send(flow, vec![b'x'; 50_000]);
        if rig.transports.connections() == 0 {
            break;
        }
    }
    assert_eq!(rig.drops(DropCause::TcpSlowReader), 1);
    assert!(rig.failed.contains(&flow));
}

#[test]
fn a_request_uses_the_connection_that_the_phone_opened() {
    let authority = Authority::new("reuse");
    let mut rig = rig(authority.material("pbx.test"));
    let server = rig.address(Transport::Tls);
    let config = authority.phone(None);
    let phone = thread::spawn(move || {
        let mut session = session(config, server, "pbx.test");
        ask(&mut session, 1).map(|_| session)
    });
    let mut session = until_ended(&mut rig, phone).unwrap();
    let remote = session.sock.local_addr().unwrap();
    let flow = Flow { transport: Transport::Tls, listener: ListenerId(0), remote, connection: 0 };
    rig.send(flow, b"INVITE".to_vec());
    let mut buffer = [0; 6];
    session.read_exact(&mut buffer).unwrap();
    assert_eq!((&buffer, rig.transports.connections()), (b"INVITE", 1));
    drop(session);
    rig.until("the failure of the asked flow", |rig| rig.failed.contains(&flow));
}

/// A phone that listens for TLS: what it heard, or why nothing.
fn listening_phone(authority: &Authority) -> (SocketAddr, JoinHandle<std::io::Result<Vec<u8>>>) {
    let (certificate, key) = authority.issue("phone.test");
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate).unwrap()],
            PrivateKeyDer::from_pem_file(key).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let phone = thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        let mut session = StreamOwned::new(session, stream);
        let mut buffer = [0; 64];
        let count = session.read(&mut buffer)?;
        Ok(buffer[..count].to_vec())
    });
    (address, phone)
}

#[test]
fn a_phone_is_connected_to_only_when_the_authority_of_peers_signed_it() {
    let authority = Authority::new("peer");
    let stranger = Authority::new("peer-stranger");
    let material =
        || TlsMaterial { peer_ca: Some(authority.anchors()), ..authority.material("pbx.test") };
    let flow =
        |remote| Flow { transport: Transport::Tls, listener: ListenerId(0), remote, connection: 0 };
    let mut rig = rig(material());
    let (address, phone) = listening_phone(&authority);
    rig.send(flow(address), b"INVITE".to_vec());
    assert_eq!(until_ended(&mut rig, phone).unwrap(), b"INVITE");
    let (address, phone) = listening_phone(&stranger);
    rig.send(flow(address), b"INVITE".to_vec());
    rig.until("the failure", |rig| rig.failed.contains(&flow(address)));
    assert!(until_ended(&mut rig, phone).is_err());
    assert_eq!(rig.drops(DropCause::TlsHandshake), 1);
    // Without an authority nobody is connected to.
    let mut rig = self::rig(authority.material("pbx.test"));
    rig.send(flow(address), b"INVITE".to_vec());
    assert!(rig.failed.contains(&flow(address)));
    assert_eq!(rig.drops(DropCause::TlsNoAuthority), 1);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new("files");
    let (certificate, key) = authority.issue("pbx.test");
    let (_, other_key) = authority.issue("other.test");
    let missing = authority.directory.join("missing.pem");
    let garbage = authority.directory.join("garbage.pem");
    fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n").unwrap();
    let wrong = |certificate: &PathBuf, key: &PathBuf| {
        read_pair(&provider(), certificate, key).unwrap_err().to_string()
    };
    assert!(wrong(&missing, &key).contains("cannot be read"));
    assert!(wrong(&key, &key).contains("holds no certificate"));
    assert!(wrong(&certificate, &certificate).contains("may be read by everybody"));
    assert!(wrong(&garbage, &key).contains("cannot be used"));
    assert!(wrong(&certificate, &other_key).contains("does not belong"));
    assert!(read_anchors(&garbage).unwrap_err().to_string().contains("cannot be used"));
    let pair = read_pair(&provider(), &certificate, &key).unwrap();
    let at = |year: i16| jiff::civil::date(year, 6, 1).at(0, 0, 0, 0).in_tz("UTC").unwrap();
    let validity = |year| certificate::validity(&provider(), &pair, at(year).timestamp());
    assert_eq!(validity(2030), certificate::Validity::Good);
    assert!(matches!(validity(5000), certificate::Validity::Ended(_)));
    assert!(matches!(validity(1972), certificate::Validity::NotYet(_)));
}
