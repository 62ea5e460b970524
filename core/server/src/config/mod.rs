//! The server's configuration: `koukan.toml`, the tenants' files below it, and secrets.
//!
//! Relative paths in `koukan.toml` are relative to the directory that *holds* the configuration
//! directory: `conf/koukan.toml` with `data = "data"` means `data` beside `conf`.

mod file;
mod limits;
mod options;
mod reader;
mod secret;
mod sip;
mod tenants;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use koukan_dialplan::Network;
use koukan_engine::Io;
use koukan_media::Codec;
use koukan_media::sealed::SealKey;
use koukan_sip::registrar::KeepaliveConfig;
use tracing_subscriber::filter::Targets;

pub use file::{ConfigError, load};
pub use limits::Limits;
pub use reader::Finding;
pub use secret::{SecretError, SecretSource};
pub use tenants::{Sources, read_office, read_sources};

pub use crate::fax::FaxConfig;
pub use crate::mail::MailConfig;
pub use crate::trace::HepConfig;
use crate::transport::{Advertise, ListenAddress, Tls};

/// Everything that `koukan.toml` says, checked, with every path absolute.
#[derive(Clone, Debug)]
pub struct Config {
    /// The configuration directory.
    pub directory: PathBuf,
    /// What holds it; relative paths begin here.
    pub base: PathBuf,
    /// `[server] data`.
    pub data: PathBuf,
    /// `[sip]`.
    pub sip: SipConfig,
    /// `[media]`.
    pub media: MediaConfig,
    /// `[control]`.
    pub control: ControlConfig,
    /// `[store] database`: the SQLite file.
    pub database: PathBuf,
    /// `[store] objects`: the directory of recordings and other large things.
    pub objects: PathBuf,
    /// `[fax]`.
    pub fax: FaxConfig,
    /// `[recordings] key`: recordings of calls are sealed under it. None: they lie open.
    pub seal_key: Option<SealKey>,
    /// That key and `old_keys`: each opens what was sealed under it.
    pub seal_keys: Vec<SealKey>,
    /// `[mail]`, when there is a mail server.
    pub mail: Option<MailConfig>,
    /// `[module.NAME]`, in the order of the file.
    pub modules: Vec<ModuleConfig>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[test] clock`: whether the control API may move the date.
    pub test_clock: bool,
    /// `[log]`.
    pub log: LogConfig,
    /// `[defence]`.
    pub defence: DefenceConfig,
    /// `[trace]`: where copies of SIP messages go, when they do.
    pub hep: Option<HepConfig>,
    /// What is no error and should be known, as a certificate that has ended.
    pub warnings: Vec<Finding>,
}

/// `[sip]`.
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
    /// The address that peers are shown by listeners that say nothing of their own.
    pub advertise: Advertise,
    /// `[sip.tls]`, with the certificates read.
    pub tls: Option<Tls>,
    /// The realm of digest authentication.
    pub realm: String,
    /// The shortest registration granted.
    pub min_expires: Duration,
    /// The longest registration granted.
    pub max_expires: Duration,
    /// The registration of a phone that asks for nothing.
    pub default_expires: Duration,
    /// How often a phone should show that its flow lives (RFC 5626).
    pub flow_timer: Duration,
    /// Keep-alives to phones.
    pub keepalive: KeepaliveConfig,
    /// Name servers for the names of trunks; none: those of the system.
    pub nameservers: Vec<SocketAddr>,
}

/// `[defence]`.
#[derive(Clone, Debug, Default)]
pub struct DefenceConfig {
    /// Networks that no wrong password is held against.
    pub trusted: Vec<Network>,
    /// Networks that nothing is taken from.
    pub blocked: Vec<Network>,
}

/// `[media]`.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// How many workers; `None` is one a core.
    pub workers: Option<u16>,
    /// How a worker waits and sends.
    pub io: Io,
    /// The first and the last port of RTP and RTCP.
    pub ports: (u16, u16),
    /// The address that session descriptions show.
    pub address: Advertise,
    /// The codecs that are offered and taken, the preferred first.
    pub codecs: Vec<Codec>,
    /// The directory of prompts, one subdirectory a language.
    pub prompts: PathBuf,
    /// A call whose party sends no RTP for so long is ended.
    pub rtp_timeout: Duration,
    /// Members of a conference room on one worker, before it gets a part on another.
    pub room_part: u32,
    /// Whether media workers go before all other threads of the machine, where they may.
    pub real_time: bool,
}

/// `[control]`.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// The Unix socket of the command line.
    pub socket: PathBuf,
    /// Whether the group that the server runs as may use the socket (mode 0660), too.
    pub group: bool,
    /// The HTTP API for this machine's programs; it asks for no password, so it must be loopback.
    pub http: Option<SocketAddr>,
}

/// `[module.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleConfig {
    /// Its name.
    pub name: String,
    /// The shared object.
    pub path: PathBuf,
    /// The role that it fills.
    pub role: Option<String>,
    /// The extensions of the host that it may use.
    pub grants: Vec<String>,
    /// `options`, its own, as one JSON object.
    pub options: String,
    /// What its file must be, as SHA-256 in hexadecimal digits.
    pub sha256: Option<String>,
    /// How long the calls of a build that was replaced may go on.
    pub drain: Duration,
    /// `unload = "keep"`: its library stays mapped, for languages whose runtime cannot go.
    pub keep_mapped: bool,
}

impl ModuleConfig {
    /// Whether it may use what a word of `grants` means.
    #[must_use]
    pub fn is_granted(&self, word: &str) -> bool {
        self.grants.iter().any(|grant| grant == word)
    }
}

/// `[log]`.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Text or JSON.
    pub format: LogFormat,
    /// Which lines.
    pub filter: Targets,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
