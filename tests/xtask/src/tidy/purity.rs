//! The pure crates know no socket, clock, thread, file or random source; modules know the SDK
//! alone.

use super::Findings;
use super::tree::Tree;

/// Directories of the pure crates.
const PURE: &[&str] =
    &["core/base", "core/sip", "core/media", "core/switch", "codecs", "dialplan", "fax"];

/// What their code does not name: the world outside.
const WORLD: &[&str] = &[
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "std::thread",
    "thread::spawn",
    "SystemTime",
    "time::Instant",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "std::fs",
    "fs::read",
    "File::open",
    "std::process",
    "std::env",
    "env::var",
    "OsRng",
    "getrandom",
    "println!",
    "eprintln!",
];

/// Crates that bring it in.
const DRIVERS: &[&str] = &[
    "axum",
    "clap",
    "crossbeam-channel",
    "crossbeam-queue",
    "getrandom",
    "http-body-util",
    "hyper",
    "hyper-util",
    "libc",
    "libloading",
    "mio",
    "parking_lot",
    "rustls",
    "tracing-subscriber",
    "rtp",
    "socket2",
    "sqlx",
    "tokio",
    "tracing",
    "koukan",
    "koukan-engine",
    "koukan-sdk",
    "koukan-store",
];

pub(super) fn check(tree: &Tree, found: &mut Findings) {
    for crate_directory in PURE {
        let sources = format!("{crate_directory}/src");
        for file in tree.rust().filter(|file| file.path.starts_with(&sources) && !file.is_test()) {
            let code = file.code.as_deref().unwrap_or_default();
            for (number, line) in (1..=file.lines_before_tests()).zip(code.lines()) {
                for word in WORLD.iter().filter(|word| line.contains(*word)) {
                    let words = format!("`{word}` in a pure crate: hand it in");
                    found.add(&file.path, number, "pure", words);
                }
            }
        }
    }
    check_dependencies(tree, found);
}

/// Dependencies of the pure crates and of the modules; those of tests may be any.
fn check_dependencies(tree: &Tree, found: &mut Findings) {
    for file in tree.files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let directory = file.path.parent().map(|path| path.display().to_string());
        let directory = directory.unwrap_or_default();
        let is_pure = PURE.contains(&directory.as_str());
        let is_module = directory.starts_with("modules/");
        let mut table = "";
        for (number, line) in (1..).zip(file.text.as_deref().unwrap_or_default().lines()) {
            if line.starts_with('[') {
                table = line.trim_end();
                continue;
            }
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if table != "[dependencies]" || name.is_empty() || name.starts_with('#') {
                continue;
            }
            if is_pure && DRIVERS.contains(&name) {
                let words = format!("a pure crate does not depend on `{name}`");
                found.add(&file.path, number, "pure", words);
            }
            if is_module && name.starts_with("koukan-") && name != "koukan-sdk" {
                let words = format!("a module depends on koukan-sdk, not on `{name}`");
                found.add(&file.path, number, "module", words);
            }
        }
    }
}
