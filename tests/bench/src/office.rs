//! The real server on a generated office of a thousand devices.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::proc;

/// Devices of the generated office.
pub(crate) const DEVICES: usize = 1_000;
/// The password of each of them.
pub(crate) const PASSWORD: &str = "bench-secret";

/// Its directory, and where the server is to listen.
pub(crate) struct Office {
    directory: PathBuf,
    pub(crate) sip: SocketAddr,
}

/// A running server.
pub(crate) struct Server {
    process: Child,
    /// From the start of the process to the first answered OPTIONS.
    pub(crate) answered_after: Duration,
}

/// The extension of a device.
pub(crate) fn extension(index: usize) -> String {
    (10_001 + index).to_string()
}

impl Office {
    /// Writes the configuration into a fresh directory. What is measured is what calls cost, not
    /// that they are refused.
    pub(crate) fn generate(name: &str) -> io::Result<Self> {
        Self::generate_of(name, DEVICES, "overload_ms = 60000")
    }

    /// The same of so many devices, with these limits.
    pub(crate) fn generate_of(name: &str, devices: usize, limits: &str) -> io::Result<Self> {
        let directory =
            std::env::temp_dir().join(format!("koukan-bench-{}-{name}", std::process::id()));
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        let tenant = directory.join("conf/tenants/bench");
        fs::create_dir_all(tenant.join("secrets"))?;
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        fs::write(directory.join("conf/koukan.toml"), server_text(&directory, sip, limits)?)?;
        fs::write(tenant.join("office.toml"), OFFICE)?;
        // A file has at most a megabyte.
        for first in (0..devices).step_by(PER_FILE) {
            let text = devices_text(first..devices.min(first + PER_FILE));
            fs::write(tenant.join(format!("devices{first}.toml")), text)?;
        }
        for index in 0..devices {
            let path = tenant.join("secrets").join(extension(index));
            let mut file = fs::File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(path)?;
            writeln!(file, "{PASSWORD}")?;
        }
        Ok(Self { directory, sip })
    }

    /// Starts the server and waits for its first answer.
    pub(crate) fn start(&self) -> io::Result<Server> {
        let log = fs::File::create(self.directory.join("log.txt"))?;
        let mut command = Command::new(built("koukan")?);
        command.arg("run").arg(self.directory.join("conf")).current_dir(&self.directory);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(self.sip)?;
        socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        let begun = Instant::now();
        let mut server = Server { process: command.spawn()?, answered_after: Duration::MAX };
        let mut buffer = [0; 2048];
        while begun.elapsed() < Duration::from_secs(20) {
            // Nobody listens at first: that is what is measured.
            let _ = socket.send(options(socket.local_addr()?, self.sip).as_bytes());
            let refused = socket.recv(&mut buffer);
            if refused.is_ok() {
                server.answered_after = begun.elapsed();
                return Ok(server);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        let text = fs::read_to_string(self.directory.join("log.txt")).unwrap_or_default();
        Err(io::Error::other(format!("the server does not answer:\n{text}")))
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        // What cannot be removed lies in the temporary directory.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// CPU time that the server takes for what `load` does, and for half a second of coming to
    /// rest; prints which threads took it.
    pub(crate) fn spent(
        &self,
        bench: &str,
        load: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Duration> {
        let before = proc::threads_cpu_ns(self.pid())?;
        load()?;
        std::thread::sleep(Duration::from_millis(500));
        let mut sum = 0;
        let mut shares = String::new();
        for (name, after) in proc::threads_cpu_ns(self.pid())? {
            let spent = after.saturating_sub(before.get(&name).copied().unwrap_or(0));
            sum += spent;
            if spent >= 1_000_000 {
                shares.push_str(&format!(" {name} {} ms", spent / 1_000_000));
            }
        }
        println!("{bench}:{shares}");
        Ok(Duration::from_nanos(sum))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended by itself needs neither.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What was built beside this binary: the server, the announcements.
fn built(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    let hint = "is not built: cargo build --release";
    Err(io::Error::other(format!("{} {hint}", path.display())))
}

fn server_text(directory: &Path, sip: SocketAddr, limits: &str) -> io::Result<String> {
    Ok(format!(
        "[server]\ndata = \"{data}\"\n[sip]\nlisten = [\"udp:{sip}\"]\n\
         [media]\nworkers = 1\nports = \"20000-31999\"\n\
         [control]\nsocket = \"{data}/koukan.sock\"\n\
         [module.announcements]\npath = \"{module}\"\nrole = \"announcements\"\n\
         grants = [\"call\"]\n\
         [limits]\n{limits}\n",
        data = directory.join("data").display(),
        module = built("libannouncements.so")?.display()
    ))
}

/// Devices in one file.
const PER_FILE: usize = 5_000;

const OFFICE: &str = "schema = 1\n[tenant]\nid = \"bench\"\ntimezone = \"Asia/Tokyo\"\n\
                      language = \"ja\"\nverified = true\n\
                      [extension.echo]\ndial = \"600\"\ndo = \"echo\"\n";

fn devices_text(devices: Range<usize>) -> String {
    let mut text = String::new();
    for extension in devices.map(extension) {
        text.push_str(&format!(
            "[device.D{extension}]\next = \"{extension}\"\nkind = \"app\"\n\
             secret = \"file:secrets/{extension}\"\n"
        ));
    }
    text
}

pub(crate) fn options(own: SocketAddr, server: SocketAddr) -> String {
    format!(
        "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKbench;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bench@{own}>;tag=bench\r\nTo: <sip:{server}>\r\n\
         Call-ID: bench\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}
