//! Debian's Kamailio as a second registrar in the same run: passwords and contacts in memory, one
//! UDP worker, digest without a database. The configuration is written here, the server is theirs.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::office::{DEVICES, PASSWORD, extension, options};
use crate::proc;

/// A running Kamailio with a directory of its own.
pub(crate) struct Kamailio {
    main: Child,
    directory: PathBuf,
    pub(crate) sip: SocketAddr,
}

/// What it calls itself; `None` where it is not installed.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("kamailio").arg("-v").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.lines().next()?.split_whitespace().skip_while(|word| *word != "kamailio");
    words.take(2).map(str::to_owned).reduce(|name, number| format!("{name} {number}"))
}

impl Kamailio {
    /// Starts it and waits for its first answer.
    pub(crate) fn start() -> io::Result<Self> {
        let directory =
            std::env::temp_dir().join(format!("koukan-bench-{}-kamailio", std::process::id()));
        fs::create_dir_all(&directory)?;
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let configuration = directory.join("kamailio.cfg");
        fs::write(&configuration, text(sip))?;
        let log = fs::File::create(directory.join("log.txt"))?;
        let main = Command::new("kamailio")
            .arg("-f")
            .arg(&configuration)
            // It stays with us and forks its worker; shared memory for every contact.
            .args(["-DD", "-E", "-m", "64", "-M", "8"])
            .arg("-Y")
            .arg(&directory)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let server = Self { main, directory, sip };
        server.answers()?;
        Ok(server)
    }

    fn answers(&self) -> io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(self.sip)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let begun = Instant::now();
        let mut buffer = [0; 2048];
        while begun.elapsed() < Duration::from_secs(10) {
            // Nobody listens at first.
            let _ = socket.send(options(socket.local_addr()?, self.sip).as_bytes());
            if socket.recv(&mut buffer).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = fs::read_to_string(self.directory.join("log.txt")).unwrap_or_default();
        Err(io::Error::other(format!("kamailio does not answer:\n{log}")))
    }

    /// Its main process and everything that it forked.
    fn processes(&self) -> io::Result<BTreeSet<u32>> {
        let mut family = BTreeSet::from([self.main.id()]);
        for (process, parent) in proc::parents()? {
            if parent == self.main.id() {
                family.insert(process);
            }
        }
        Ok(family)
    }

    /// Pins all of it to a core.
    pub(crate) fn pin(&self, core: u32) -> io::Result<()> {
        self.processes()?.into_iter().try_for_each(|process| proc::pin_process(process, core))
    }

    /// CPU time that all of its processes take for what `load` does.
    pub(crate) fn spent(&self, load: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
        let spent = || -> io::Result<u64> {
            let mut sum = 0;
            for process in self.processes()? {
                sum += proc::threads_cpu_ns(process)?.values().sum::<u64>();
            }
            Ok(sum)
        };
        let before = spent()?;
        load()?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(Duration::from_nanos(spent()?.saturating_sub(before)))
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Told so, it ends its workers with itself; a directory that stays lies in the temporary
        // one.
        let _ = Command::new("kill").arg(self.main.id().to_string()).status();
        let _ = self.main.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn text(sip: SocketAddr) -> String {
    let first = extension(0);
    let end = first.parse().map_or(0, |number: usize| number + DEVICES);
    format!(
        "debug=0\nlog_stderror=yes\nfork=yes\nchildren=1\ndisable_tcp=yes\nauto_aliases=no\n\
         maxbuffer=4194304\nmax_while_loops={DEVICES}\nlisten=udp:{sip}\n\
         loadmodule \"sl.so\"\nloadmodule \"pv.so\"\nloadmodule \"htable.so\"\n\
         loadmodule \"usrloc.so\"\nloadmodule \"registrar.so\"\nloadmodule \"auth.so\"\n\
         modparam(\"usrloc\", \"db_mode\", 0)\n\
         modparam(\"htable\", \"htable\", \"secrets=>size=10;\")\n\
         event_route[htable:mod-init] {{\n  $var(number) = {first};\n\
         \x20 while ($var(number) < {end}) {{\n\
         \x20   $var(user) = \"bench-\" + $var(number);\n\
         \x20   $sht(secrets=>$var(user)) = \"{PASSWORD}\";\n\
         \x20   $var(number) = $var(number) + 1;\n  }}\n}}\n\
         request_route {{\n  if (method != \"REGISTER\") {{ sl_send_reply(\"200\", \"OK\"); exit; }}\n\
         \x20 $var(secret) = $sht(secrets=>$au);\n\
         \x20 if ($var(secret) == $null || !pv_www_authenticate(\"$td\", \"$var(secret)\", \"0\")) {{\n\
         \x20   www_challenge(\"$td\", \"1\");\n    exit;\n  }}\n\
         \x20 if ($au != $tU) {{ sl_send_reply(\"403\", \"Forbidden\"); exit; }}\n\
         \x20 save(\"location\");\n  exit;\n}}\n"
    )
}
