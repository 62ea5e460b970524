//! Faults of `koukan.toml` and what is said of them.

use super::*;
use crate::transport::Advertise;

fn wrong(text: &str) -> String {
    parse("conf/koukan.toml", text, PathBuf::from("/etc/koukan/conf")).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_a_whole_configuration() {
    let config = parse("koukan.toml", "", PathBuf::from("/srv/conf")).unwrap();
    assert_eq!(config.data, PathBuf::from("/srv/data"));
    assert_eq!(config.control.socket, PathBuf::from("/srv/data/koukan.sock"));
    assert_eq!(config.database, PathBuf::from("/srv/data/koukan.db"));
    assert_eq!(config.media.prompts, PathBuf::from("/srv/conf/prompts"));
    assert_eq!(config.sip.listen.len(), 2);
    assert!(!config.test_clock);
}

#[test]
fn every_key_is_taken() {
    let text = r#"
        server = { data = "/var/lib/koukan" }
        [sip]
        listen = [
            "udp:0.0.0.0:5060",
            "tcp:[::1]:5060",
            { at = "udp:0.0.0.0:5070", advertise = "198.51.100.9:15070" },
        ]
        advertise = "203.0.113.7"
        realm = "office"
        min_expires = "5s"
        max_expires = "2h"
        default_expires = "1h"
        flow_timer = "90s"
        keepalive = { to = "all", by = "crlf", interval = "15s", misses = 5 }
        [media]
        workers = "auto"
        io = "uring"
        ports = "20000-20999"
        address = "auto"
        codecs = ["opus", "G722", "pcmu"]
        prompts = "prompts"
        rtp_timeout = "3s"
        room_part = 200
        real_time = false
        [control]
        socket = "run/koukan.sock"
        http = "127.0.0.1:8080"
        [store]
        database = "sqlite:db/koukan.db"
        objects = "file:big"
        [mail]
        smtp = "smtp://127.0.0.1:25"
        from = "koukan@example.jp"
        [module.announcements]
        path = "/opt/libannouncements.so"
        role = "announcements"
        grants = ["call"]
        [limits]
        sip_tcp_connections = 100
        [test]
        clock = true
        [log]
        format = "json"
        level = "warn,koukan::transport=debug"
    "#;
    let config = parse("koukan.toml", text, PathBuf::from("/srv/conf")).unwrap();
    assert_eq!(config.sip.listen.len(), 3);
    let shown = config.sip.listen[2].advertise;
    assert_eq!(shown, Some(Advertise::Socket("198.51.100.9:15070".parse().unwrap())));
    assert_eq!(config.sip.max_expires, Duration::from_secs(7_200));
    assert_eq!((config.media.workers, config.media.io), (None, koukan_engine::Io::Uring));
    assert!(!config.media.real_time);
    assert_eq!(config.media.codecs, [Codec::Opus, Codec::G722, Codec::Pcmu]);
    assert_eq!(config.media.ports, (20_000, 20_999));
    assert_eq!(config.control.socket, PathBuf::from("/srv/run/koukan.sock"));
    assert_eq!(config.database, PathBuf::from("/srv/db/koukan.db"));
    assert_eq!(config.objects, PathBuf::from("/srv/big"));
    let mail = config.mail.as_ref().unwrap();
    assert_eq!((&*mail.smtp, &*mail.from), ("smtp://127.0.0.1:25", "koukan@example.jp"));
    assert_eq!(config.modules.first().unwrap().grants, ["call"]);
    assert_eq!(config.limits.value(crate::limits::TCP_CONNECTIONS), 100);
    assert!(config.test_clock);
}

#[test]
fn all_errors_of_a_file_are_named_at_once_with_their_places() {
    let text = "\
[sip]
listn = [\"udp:0.0.0.0:5060\"]
listen = [\"udp:0.0.0.0:5060\", \"sctp:0.0.0.0:5060\", \"tls:0.0.0.0:5061\"]
realm = 5
min_expires = \"2h\"
[media]
workers = 0
ports = \"9-5\"
[control]
http = \"0.0.0.0:8080\"
[store]
database = \"postgres:x\"
[limits]
sip_tcp_conections = 5
calls = 0
[mail]
smtp = \"x\"
";
    insta::assert_snapshot!(wrong(text));
}

#[test]
fn a_syntax_error_has_its_place() {
    insta::assert_snapshot!(wrong("[sip]\nrealm = \"open\n[media]\nworkers = 2\n"));
}

#[test]
fn two_modules_cannot_fill_one_role_and_unknown_grants_are_named() {
    let text = "\
[module.a]
role = \"announcements\"
grants = [\"call\", \"mial\"]
[module.b]
role = \"announcements\"
drain = \"two days\"
unload = \"later\"
sha256 = \"abcd\"
";
    insta::assert_snapshot!(wrong(text));
}

#[test]
fn a_tls_listener_wants_its_certificate_and_the_files_are_named_where_they_stand() {
    insta::assert_snapshot!(wrong(
        r#"[sip]
listen = [
    "tls:0.0.0.0:5061",
    { advertise = "203.0.113.7" },
    { at = "udp:[::]:5060", advertise = "203.0.113.7" },
]
"#
    ));
    insta::assert_snapshot!(wrong(
        r#"[sip]
listen = ["tls:0.0.0.0:5061"]
[sip.tls]
certificate = "/nowhere/sip.crt"
key = "/nowhere/sip.key"
require_client_certificate = true
peer_ca = "/nowhere/ca.crt"
[sip.tls.name."sip.example.jp"]
certificate = "/nowhere/other.crt"
[sip.tls.name."no name"]
certificate = "/nowhere/other.crt"
key = "/nowhere/other.key"
"#
    ));
}

#[test]
fn a_certificate_that_has_ended_is_a_warning_with_its_date_and_another_key_an_error() {
    let directory = std::env::temp_dir().join(format!("koukan-tls-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(directory.join(name), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(directory.join(name), mode).unwrap();
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["pbx.test".to_owned()]).unwrap();
    (params.not_before, params.not_after) =
        (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 2, 3));
    write("sip.crt", &params.self_signed(&key).unwrap().pem());
    write("sip.key", &key.serialize_pem());
    write("other.key", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    let text = |key: &str| {
        format!(
            "[sip]\nlisten = [\"tls:127.0.0.1:0\"]\n[sip.tls]\n\
             certificate = \"{0}/sip.crt\"\nkey = \"{0}/{key}\"\n",
            directory.display()
        )
    };
    let config = parse("koukan.toml", &text("sip.key"), PathBuf::from("/srv/conf")).unwrap();
    assert!(config.sip.tls.is_some());
    let warning = config.warnings[0].to_string();
    assert!(
        warning.starts_with("koukan.toml:4:15  the certificate ended on 2021-02-03"),
        "{warning}"
    );
    let error = wrong(&text("other.key"));
    assert!(error.starts_with("conf/koukan.toml:5:7  "), "{error}");
    assert!(error.contains("does not belong to the certificate"), "{error}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_key_of_recordings_stands_in_a_file_that_nobody_else_reads() {
    use std::os::unix::fs::PermissionsExt;
    let home = std::env::temp_dir().join(format!("koukan-seal-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let file = home.join("recordings.key");
    let write = |text: &str, mode: u32| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let keys = |text: &str| {
        let read = super::parse("koukan.toml", text, home.clone());
        let counts = |config: Config| (config.seal_key.is_some(), config.seal_keys.len());
        read.map(counts).map_err(|error| error.to_string())
    };
    let table = "[recordings]\nkey = \"file:recordings.key\"\n";
    write(&format!("{}\n", "ab".repeat(32)), 0o600);
    assert_eq!(keys(table), Ok((true, 1)));
    assert_eq!(keys(&format!("{table}old_keys = [\"file:recordings.key\"]\n")), Ok((true, 2)));
    // Who seals no longer opens what was sealed, and seals nothing.
    let older = "[recordings]\nold_keys = [\"file:recordings.key\"]\n";
    assert_eq!(keys(older), Ok((false, 1)));
    assert_eq!(keys(""), Ok((false, 0)));
    write("abcd\n", 0o600);
    let words = keys(table).unwrap_err();
    assert!(words.contains("koukan.toml:2:7") && words.contains("64 hexadecimal"), "{words}");
    write(&"ab".repeat(32), 0o644);
    assert!(keys(table).unwrap_err().contains("may be read by others"));
    let words = keys(&format!("[recordings]\nkey = \"{}\"\n", "ab".repeat(32))).unwrap_err();
    assert!(words.contains("file:PATH"), "a key has no place in the configuration: {words}");
    std::fs::remove_dir_all(home).unwrap();
}
