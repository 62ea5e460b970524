//! The server under test: the real binary, on a copy of the sample configuration with ports of its
//! own.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::certificate;
use crate::ports::{MEDIA_BLOCK, free_port, media_block};
use crate::wait::wait_for;

/// A running `koukan` process on its own directory.
#[derive(Debug)]
pub struct Server {
    process: Option<Child>,
    /// Its directory: `conf`, `data`, `log.txt`, and whatever a test puts there.
    pub directory: PathBuf,
    /// Where it listens for SIP, UDP and TCP.
    pub sip: SocketAddr,
    /// The same on the IPv6 loopback; `None` when the machine has none.
    pub sip6: Option<SocketAddr>,
    /// Where it listens for SIP over TLS, signed by [`Server::authority`].
    pub tls: SocketAddr,
    /// The first of its media ports.
    media: u16,
    /// The port that the sample's carrier trunk has in this copy.
    pub trunk_port: u16,
    /// The port of the mail server that it is told of; nobody listens there at first.
    pub smtp_port: u16,
    /// Where it began, when it was moved.
    home: Option<PathBuf>,
    /// Whether the directory stays when this is dropped.
    pub keeps: bool,
}

/// The password that every device of a test's office has.
pub const PASSWORD: &str = "e2e-secret";

impl Server {
    /// A server on a copy of the sample office, started and answering OPTIONS.
    ///
    /// # Errors
    /// The binary is missing or does not start; the message carries the end of its log.
    pub fn start(name: &str) -> io::Result<Self> {
        Self::start_also(name, &[], "")
    }

    /// The same, listening for UDP and TCP at further addresses (at the same port), and with
    /// further lines of `[sip]`.
    ///
    /// # Errors
    /// As of [`Self::start`].
    pub fn start_also(name: &str, addresses: &[IpAddr], sip_lines: &str) -> io::Result<Self> {
        let mut server = Self::unstarted(name)?;
        server.write_configuration(addresses, sip_lines)?;
        server.run()?;
        Ok(server)
    }

    /// A directory and ports for a server whose configuration a test writes itself before it lets
    /// it [`run`](Self::run).
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn unstarted(name: &str) -> io::Result<Self> {
        let directory = fresh_directory(name)?;
        let sip = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let sip6 = SocketAddr::from((Ipv6Addr::LOCALHOST, sip.port()));
        let sip6 = UdpSocket::bind(sip6).is_ok().then_some(sip6);
        let tls = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let trunk_port = free_port();
        Ok(Self {
            process: None,
            directory,
            sip,
            sip6,
            tls,
            media: media_block(),
            trunk_port,
            smtp_port: free_port(),
            home: None,
            keeps: false,
        })
    }

    /// The certificate of the authority that signed the server's (PEM).
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.join("authority.pem")
    }

    fn write_configuration(&self, addresses: &[IpAddr], sip_lines: &str) -> io::Result<()> {
        let conf = self.directory.join("conf");
        copy_tree(&source_root().join("conf/tenants"), &conf.join("tenants"))?;
        let tenant = conf.join("tenants/acme");
        for entry in fs::read_dir(&tenant)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = fs::read_to_string(&path)?;
                let carrier = format!("127.0.0.1:{}", self.trunk_port);
                fs::write(&path, text.replace("127.0.0.1:5070", &carrier))?;
            }
        }
        let secrets = tenant.join("secrets");
        fs::create_dir_all(&secrets)?;
        for device in ["A", "B", "C", "D", "E", "F"] {
            write_secret(&secrets.join(device), PASSWORD)?;
        }
        let modules = binary("libannouncements.so")?;
        let voicemail = binary("libvoicemail.so")?;
        let (media, media_end) = self.media_ports();
        let also = addresses.iter().map(|address| SocketAddr::new(*address, self.sip.port()));
        let mut listen: Vec<String> = [Some(self.sip), self.sip6]
            .into_iter()
            .flatten()
            .chain(also)
            .map(|address| format!("\"udp:{address}\", \"tcp:{address}\""))
            .collect();
        listen.push(format!("\"tls:{}\"", self.tls));
        certificate::write(&self.directory, self.tls.ip())?;
        fs::write(
            conf.join("koukan.toml"),
            format!(
                "[server]\ndata = \"{data}\"\n{shards}\
                 [sip]\nlisten = [{listen}]\nmin_expires = \"5s\"\n{sip_lines}\
                 [sip.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n\
                 [media]\nworkers = 1\nports = \"{media}-{media_end}\"\nprompts = \"{prompts}\"\n\
                 rtp_timeout = \"6s\"\n\
                 [control]\nsocket = \"{data}/koukan.sock\"\n\
                 [module.announcements]\npath = \"{modules}\"\nrole = \"announcements\"\n\
                 grants = [\"call\"]\n\
                 [module.voicemail]\npath = \"{voicemail}\"\nrole = \"voicemail\"\n\
                 grants = [\"call\", \"store\", \"mail\"]\n\
                 [mail]\nsmtp = \"smtp://127.0.0.1:{smtp}\"\nfrom = \"koukan@example.jp\"\n\
                 [test]\nclock = true\n",
                data = self.directory.join("data").display(),
                shards = shards_line(),
                listen = listen.join(", "),
                certificate = self.directory.join("certificate.pem").display(),
                key = self.directory.join("key.pem").display(),
                prompts = source_root().join("conf/prompts").display(),
                modules = modules.display(),
                voicemail = voicemail.display(),
                smtp = self.smtp_port,
            ),
        )
    }

    /// The first and the last of its media ports.
    #[must_use]
    pub const fn media_ports(&self) -> (u16, u16) {
        (self.media, self.media + MEDIA_BLOCK - 1)
    }

    /// Starts the process (again) on the same directory and waits until it answers OPTIONS.
    ///
    /// # Errors
    /// It did not answer within 20 s; the message carries the end of its log.
    pub fn run(&mut self) -> io::Result<()> {
        let log =
            fs::File::options().create(true).append(true).open(self.directory.join("log.txt"))?;
        let process = Command::new(binary("koukan")?)
            .arg("run")
            .arg(self.directory.join("conf"))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.process = Some(process);
        match wait_for(Duration::from_secs(20), || answers_options(self.sip).ok()) {
            Some(()) => Ok(()),
            None => Err(io::Error::other(format!("no answer to OPTIONS:\n{}", self.log_tail()))),
        }
    }

    /// From now on it runs on another directory, where its `conf` and `data` are. The old one is
    /// removed with it when that one holds it.
    pub fn move_to(&mut self, directory: &Path) {
        self.home = Some(std::mem::replace(&mut self.directory, directory.to_owned()));
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> io::Result<()> {
        let mut process = self.process.take().ok_or_else(|| io::Error::other("not running"))?;
        process.kill()?;
        process.wait().map(|_| ())
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Whether the process still runs.
    pub fn is_up(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// `koukan ctl --json ARGUMENTS` against this server.
    ///
    /// # Errors
    /// The command failed; its words are the message.
    pub fn ctl(&self, arguments: &[&str]) -> io::Result<Value> {
        let output = Command::new(binary("koukan")?)
            .arg("ctl")
            .arg("--socket")
            .arg(self.directory.join("data/koukan.sock"))
            .arg("--json")
            .args(arguments)
            .output()?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(words));
        }
        serde_json::from_slice(&output.stdout).map_err(io::Error::other)
    }

    /// Waits until no call, leg, stream, transaction or dialog is left, and says what is otherwise.
    ///
    /// # Errors
    /// Something is left after `limit`.
    pub fn wait_empty(&self, limit: Duration) -> io::Result<()> {
        let mut last = Value::Null;
        let empty = wait_for(limit, || {
            last = self.ctl(&["status"]).ok()?;
            let tables = last["tables"].as_object()?;
            tables.values().all(|count| count == 0).then_some(())
        });
        empty.ok_or_else(|| io::Error::other(format!("tables are not empty: {last}")))
    }

    /// A metric without labels.
    ///
    /// # Errors
    /// The server does not answer, or measures no such thing.
    pub fn metric(&self, name: &str) -> io::Result<f64> {
        let socket = self.directory.join("data/koukan.sock");
        let arguments =
            ["ctl".as_ref(), "--socket".as_ref(), socket.as_os_str(), "metrics".as_ref()];
        let output = Command::new(binary("koukan")?).args(arguments).output()?;
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.and_then(|value| value.parse().ok());
        value.ok_or_else(|| io::Error::other(format!("no {name} in:\n{page}")))
    }

    /// The last 4 kB of what it logged.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read(self.directory.join("log.txt")).unwrap_or_default();
        let start = text.len().saturating_sub(4096);
        String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned()
    }

    /// Resident memory in kB and the number of open descriptors.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resources(&self) -> io::Result<(u64, usize)> {
        let pid = self.pid().ok_or_else(|| io::Error::other("not running"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| io::Error::other("no VmRSS"))?;
        Ok((rss, fs::read_dir(format!("/proc/{pid}/fd"))?.count()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Nothing is left to do for a process that has ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
        // What a failed test leaves is wanted; recordings of the others would fill the disk.
        if !self.keeps && !std::thread::panicking() {
            let _ = fs::remove_dir_all(self.home.as_ref().unwrap_or(&self.directory));
        }
    }
}

/// One OPTIONS request by UDP; `Ok` when anything comes back within 200 ms.
///
/// # Errors
/// Nothing came.
pub fn answers_options(server: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let own = socket.local_addr()?;
    let request = format!(
        "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKe2e{port};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:e2e@{own}>;tag=e2e\r\nTo: <sip:{server}>\r\n\
         Call-ID: options-{port}@e2e\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        port = own.port(),
    );
    socket.send_to(request.as_bytes(), server)?;
    let mut buffer = [0; 2048];
    let (count, _) = socket.recv_from(&mut buffer)?;
    let answered = buffer.get(..count).is_some_and(|text| text.starts_with(b"SIP/2.0 "));
    if answered { Ok(()) } else { Err(io::Error::other("not a SIP response")) }
}

/// Where cargo builds.
///
/// # Errors
/// This program does not stand where cargo puts tests.
pub fn target() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let built = |path: &&Path| path.join("debug").is_dir() || path.join("release").is_dir();
    let found = own.ancestors().skip(1).find(built).map(Path::to_path_buf);
    found.ok_or_else(|| io::Error::other("not started from where cargo builds"))
}

/// A binary that the workspace built: beside this test's own executable's directory.
///
/// # Errors
/// It was not built.
pub fn binary(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.ancestors()
        .skip(1)
        .take(3)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| io::Error::other(format!("{name} is not built: run `cargo build` first")))
}

/// The root of the source tree.
#[must_use]
pub fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fresh_directory(name: &str) -> io::Result<PathBuf> {
    let directory = std::env::temp_dir().join(format!("koukan-e2e-{}-{name}", std::process::id()));
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(directory.join("conf"))?;
    Ok(directory)
}

/// Writes a secret that only its owner may read.
///
/// # Errors
/// It cannot be written.
pub fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "secrets" {
                copy_tree(&entry.path(), &target)?;
            }
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `KOUKAN_TEST_SHARDS` has the same suites run over several control shards.
fn shards_line() -> String {
    let count = std::env::var("KOUKAN_TEST_SHARDS").ok();
    count.map(|count| format!("shards = {count}\n")).unwrap_or_default()
}
