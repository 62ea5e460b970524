//! `koukan.toml`, key by key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use koukan_dialplan::Network;
use koukan_engine::Io;
use koukan_media::Codec;
use koukan_media::sealed::SealKey;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::options;
use super::reader::{Item, Reader, Table};
use super::sip::{advertise, sip};
use super::tenants::read_text;
use super::{
    Config, ControlConfig, DefenceConfig, FaxConfig, Finding, HepConfig, Limits, LogConfig,
    LogFormat, MailConfig, MediaConfig, ModuleConfig, SecretSource,
};

/// The configuration cannot be taken: what is wrong, all of it.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(findings))]
pub struct ConfigError {
    /// At least one.
    pub findings: Vec<Finding>,
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads `koukan.toml` of a configuration directory; without the file every key has its default.
///
/// # Errors
/// The directory is none, or the file says something wrong; every error is named.
pub fn load(directory: &Path) -> Result<Config, ConfigError> {
    let refuse = |message: String, hint: &str| {
        let path = directory.to_string_lossy().into_owned();
        ConfigError { findings: vec![Finding::about_file(path, message, hint.to_owned())] }
    };
    let home = directory.canonicalize().map_err(|error| {
        let hint = "give the directory that holds koukan.toml: koukan run conf";
        refuse(format!("is no configuration directory: {error}"), hint)
    })?;
    if !home.is_dir() {
        return Err(refuse("is no directory".to_owned(), "give the directory, not the file"));
    }
    let file = directory.join("koukan.toml");
    let text = match read_text(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(refuse(format!("koukan.toml cannot be read: {error}"), "")),
    };
    parse(&file.to_string_lossy(), &text, home)
}

/// Reads the text of `koukan.toml`.
fn parse(path: &str, text: &str, home: PathBuf) -> Result<Config, ConfigError> {
    let reader = Reader::new(path, text);
    let document = reader.parse();
    let mut config = read(Table::root(&reader, document.get_ref()), home);
    drop(document);
    let (findings, warnings) = reader.into_findings();
    config.warnings = warnings;
    if findings.is_empty() { Ok(config) } else { Err(ConfigError { findings }) }
}

/// Where relative paths begin.
pub(super) struct Base(PathBuf);

impl Base {
    pub(super) fn path(
        &self,
        item: Option<Item<'_>>,
        default: impl FnOnce() -> PathBuf,
    ) -> PathBuf {
        let set = item.and_then(|item| {
            item.parsed("a path", |text| (!text.is_empty()).then(|| self.join(text)))
        });
        set.unwrap_or_else(default)
    }

    pub(super) fn join(&self, text: &str) -> PathBuf {
        self.0.join(text)
    }
}

fn read(root: Table<'_>, home: PathBuf) -> Config {
    let base = Base(home.parent().map_or_else(|| home.clone(), Path::to_path_buf));
    let store = root.table("store");
    let data = base.path(root.table("server").item("data"), || base.0.join("data"));
    let (seal_key, seal_keys) = seal_keys(&root.table("recordings"), &home);
    Config {
        sip: sip(&root.table("sip"), &base),
        media: media(&root.table("media"), &base, &home),
        control: control(&root.table("control"), &base, &data),
        database: database(&store, &base, &data),
        objects: objects(&store, &base, &data),
        fax: fax(&root.table("fax"), &base, &data),
        seal_key,
        seal_keys,
        mail: mail(&root),
        modules: modules(&root, &base),
        limits: Limits::read(root.table("limits")),
        test_clock: root
            .table("test")
            .item("clock")
            .and_then(|item| item.boolean())
            .unwrap_or(false),
        log: log(&root.table("log")),
        defence: defence(&root.table("defence")),
        hep: hep(&root.table("trace")),
        warnings: Vec::new(),
        data,
        base: base.0,
        directory: home,
    }
}

/// `[trace]`: the collector of SIP messages, by an address (no name: it is asked for nowhere else).
fn hep(table: &Table<'_>) -> Option<HepConfig> {
    let collector = table.item("hep").and_then(|item| {
        item.parsed("\"udp:ADDRESS:PORT\"", |text| text.strip_prefix("udp:")?.parse().ok())
    });
    let id = table.item("hep_id").and_then(|item| item.integer(0..=u64::from(u32::MAX)));
    let id = id.and_then(|id| u32::try_from(id).ok()).unwrap_or(1);
    Some(HepConfig { collector: collector?, id })
}

/// `[defence]`: networks by their first address and count of bits.
fn defence(table: &Table<'_>) -> DefenceConfig {
    let networks = |key| {
        let entries = table.item(key).and_then(|item| item.list()).unwrap_or_default();
        let expected = "an address or a network such as \"203.0.113.0/24\"";
        let read = |entry: &Item<'_>| entry.parsed(expected, Network::parse);
        entries.iter().filter_map(read).collect()
    };
    DefenceConfig { trusted: networks("trusted"), blocked: networks("blocked") }
}

fn media(table: &Table<'_>, base: &Base, home: &Path) -> MediaConfig {
    let workers = table.item("workers").and_then(|item| {
        item.integer_or(
            1..=256,
            |count| u16::try_from(count).ok(),
            "\"auto\" or a number",
            |text| (text == "auto").then_some(None),
        )
    });
    let ports = table.item("ports").and_then(|item| {
        item.parsed("a range of ports \"16384-32767\", at least two, from 1024", |text| {
            let (first, last) = text.split_once('-')?;
            let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
            (first >= 1024 && first < last).then_some((first, last))
        })
    });
    let io = table.item("io").and_then(|item| {
        item.parsed("\"auto\", \"mio\" or \"uring\"", |text| match text {
            "auto" => Some(Io::Auto),
            "mio" => Some(Io::Mio),
            "uring" => Some(Io::Uring),
            _ => None,
        })
    });
    let room_part = table.item("room_part").and_then(|item| item.integer(2..=2_000));
    let rtp_timeout = table.item("rtp_timeout").and_then(|item| item.duration(1..=86_400));
    let real_time = table.item("real_time").and_then(|item| item.boolean());
    MediaConfig {
        real_time: real_time.unwrap_or(true),
        workers: workers.flatten(),
        io: io.unwrap_or_default(),
        ports: ports.unwrap_or((16_384, 32_767)),
        address: advertise(table.item("address")),
        codecs: codecs(table),
        prompts: base.path(table.item("prompts"), || home.join("prompts")),
        rtp_timeout: rtp_timeout.unwrap_or(Duration::from_secs(30)),
        room_part: room_part.and_then(|count| u32::try_from(count).ok()).unwrap_or(500),
    }
}

/// `codecs = ["g722", "pcmu"]`; without it the two laws of G.711.
fn codecs(table: &Table<'_>) -> Vec<Codec> {
    let default = vec![Codec::Pcmu, Codec::Pcma];
    let Some(item) = table.item("codecs") else { return default };
    let known = |text: &str| {
        let mut all = Codec::ALL.into_iter();
        all.find(|codec| codec.encoding_name().eq_ignore_ascii_case(text))
    };
    let mut chosen = Vec::new();
    for entry in item.list().unwrap_or_default() {
        let codec = entry.parsed("\"pcmu\", \"pcma\", \"g722\", \"opus\" or \"l16\"", known);
        chosen.extend(codec.filter(|codec| !chosen.contains(codec)));
    }
    if chosen.is_empty() {
        item.note::<()>("`media.codecs` is empty".to_owned(), "expected at least one".to_owned());
        return default;
    }
    chosen
}

fn control(table: &Table<'_>, base: &Base, data: &Path) -> ControlConfig {
    let http = table.item("http").and_then(|item| {
        let address = item.parsed("\"ADDRESS:PORT\"", |text| text.parse::<SocketAddr>().ok())?;
        if address.ip().is_loopback() {
            return Some(address);
        }
        item.note(
            "`control.http` asks for no password, so it may only listen on this machine".to_owned(),
            "expected \"127.0.0.1:PORT\" or \"[::1]:PORT\"".to_owned(),
        )
    });
    let group = table.item("group").and_then(|item| item.boolean()).unwrap_or(false);
    ControlConfig {
        group,
        socket: base.path(table.item("socket"), || data.join("koukan.sock")),
        http,
    }
}

fn database(table: &Table<'_>, base: &Base, data: &Path) -> PathBuf {
    let set = table.item("database").and_then(|item| {
        item.parsed("\"sqlite:PATH\" (the only database of this version)", |text| {
            let path = text.strip_prefix("sqlite:").filter(|path| !path.is_empty())?;
            Some(base.0.join(path))
        })
    });
    set.unwrap_or_else(|| data.join("koukan.db"))
}

/// `objects = "file:data/objects"`.
fn objects(table: &Table<'_>, base: &Base, data: &Path) -> PathBuf {
    let set = table.item("objects").and_then(|item| {
        item.parsed("\"file:DIRECTORY\" (the only store of objects of this version)", |text| {
            let path = text.strip_prefix("file:").filter(|path| !path.is_empty())?;
            Some(base.join(path))
        })
    });
    set.unwrap_or_else(|| data.join("objects"))
}

/// The program stands beside the server's own unless a path is set.
fn fax(table: &Table<'_>, base: &Base, data: &Path) -> FaxConfig {
    let beside = || {
        let own = std::env::current_exe().ok();
        own.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).join("koukan-faxworker")
    };
    let workers = table.item("workers").and_then(|item| item.integer(1..=64));
    FaxConfig {
        worker: base.path(table.item("worker"), beside),
        workers: workers.and_then(|count| usize::try_from(count).ok()).unwrap_or(1),
        spool: data.join("fax"),
        font: table.item("font").and_then(|item| {
            item.parsed("a path", |text| (!text.is_empty()).then(|| base.join(text)))
        }),
    }
}

/// The key that recordings are sealed under, if they are, and all that open what was sealed: who
/// seals no longer keeps the old key for that.
fn seal_keys(table: &Table<'_>, home: &Path) -> (Option<SealKey>, Vec<SealKey>) {
    let older = table.item("old_keys").and_then(|item| item.list()).unwrap_or_default();
    let seals = table.item("key").and_then(|item| seal_key(&item, home));
    let older = older.iter().filter_map(|item| seal_key(item, home));
    let opens = seals.iter().cloned().chain(older).collect();
    (seals, opens)
}

/// A key that stands in a file or the environment, never in the configuration itself.
fn seal_key(item: &Item<'_>, home: &Path) -> Option<SealKey> {
    let text = item.text()?;
    let secret = SecretSource::parse(text, home).and_then(|source| source.read());
    let secret = match secret {
        Ok(secret) => secret,
        Err(error) => {
            return item.note(error.to_string(), "openssl rand -hex 32 makes one".to_owned());
        }
    };
    let key = std::str::from_utf8(&secret).ok().and_then(|text| SealKey::parse(text.trim()));
    key.or_else(|| {
        let message = "the key of recordings is no 64 hexadecimal digits".to_owned();
        item.note(message, "openssl rand -hex 32 makes one".to_owned())
    })
}

fn mail(root: &Table<'_>) -> Option<MailConfig> {
    let table = root.table("mail");
    let smtp = table.item("smtp").and_then(|item| {
        item.parsed("\"smtp://HOST:PORT\" or \"smtps://HOST\"", |text| {
            let known = text.starts_with("smtp://") || text.starts_with("smtps://");
            known.then(|| text.to_owned())
        })
    });
    let from = table.item("from").and_then(|item| {
        item.parsed("a mail address", |text| {
            let (name, domain) = text.split_once('@')?;
            (!name.is_empty() && !domain.is_empty()).then(|| text.to_owned())
        })
    });
    Some(MailConfig { smtp: smtp?, from: from.unwrap_or_else(|| "koukan@localhost".to_owned()) })
}

/// The extensions of the host that may be granted today.
const GRANTS: [&str; 6] = ["call", "store", "mail", "records", "lookups", "worker"];

/// How long the calls of a build that was replaced may go on, unless the file says otherwise.
const DRAIN: Duration = Duration::from_secs(600);

fn sha256(item: &Item<'_>) -> Option<String> {
    item.parsed("64 hexadecimal digits", |text| {
        let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| text.to_ascii_lowercase())
    })
}

fn modules(root: &Table<'_>, base: &Base) -> Vec<ModuleConfig> {
    let table = root.table("module");
    let mut modules: Vec<ModuleConfig> = Vec::new();
    for (name, item) in table.entries() {
        let Some(keys) = item.table() else { continue };
        let path = keys.item("path").and_then(|item| item.text());
        let role = keys.item("role").and_then(|item| {
            let role = item.text()?;
            if modules.iter().any(|other| other.role.as_deref() == Some(role)) {
                let message = format!("the role \"{role}\" is filled by two modules");
                return item.note(message, "a role has one module".to_owned());
            }
            Some(role.to_owned())
        });
        let grants = keys.item("grants").and_then(|item| item.list()).unwrap_or_default();
        let grant = |item: &Item<'_>| {
            let known = |text: &str| GRANTS.contains(&text).then(|| text.to_owned());
            item.parsed(&format!("one of: {}", GRANTS.join(", ")), known)
        };
        let drain = keys.item("drain").and_then(|item| item.duration(0..=86_400));
        let unload = keys.item("unload").and_then(|item| {
            item.parsed("\"close\" or \"keep\"", |text| match text {
                "close" => Some(false),
                "keep" => Some(true),
                _ => None,
            })
        });
        let path = module_path(path.unwrap_or(name), base);
        options::check(name, &path, &item, keys.item("options").as_ref());
        modules.push(ModuleConfig {
            options: keys.item("options").map_or_else(|| "{}".to_owned(), |item| item.json()),
            sha256: keys.item("sha256").and_then(|item| sha256(&item)),
            drain: drain.unwrap_or(DRAIN),
            keep_mapped: unload.unwrap_or(false),
            path,
            role,
            grants: grants.iter().filter_map(grant).collect(),
            name: name.to_owned(),
        });
    }
    table.open();
    modules
}

/// `announcements` is `libannouncements.so` beside the server's own binary, or in the `modules`
/// directory there; anything with a slash is a path.
fn module_path(text: &str, base: &Base) -> PathBuf {
    if text.contains('/') {
        return base.0.join(text);
    }
    let file = if text.contains('.') { text.to_owned() } else { format!("lib{text}.so") };
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
    let packaged = beside.join("modules").join(&file);
    if packaged.is_file() { packaged } else { beside.join(file) }
}

fn log(table: &Table<'_>) -> LogConfig {
    let format = table.item("format").and_then(|item| {
        item.parsed("\"text\" or \"json\"", |text| match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        })
    });
    let filter = table.item("level").and_then(|item| {
        item.parsed(
            "a level (error, warn, info, debug, trace) or \"info,koukan::http=debug\"",
            |text| text.parse::<Targets>().ok(),
        )
    });
    LogConfig {
        format: format.unwrap_or_default(),
        filter: filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)),
    }
}

#[cfg(test)]
mod tests;
