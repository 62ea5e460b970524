//! Debian's Kamailio as a carrier: a registrar with digest that finds short times too brief, a
//! proxy that challenges our calls and brings calls to the contact that we registered.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::ports::free_port;
use crate::server::{Server, answers_options};
use crate::wait::wait_for;

/// A running Kamailio with a directory of its own.
#[derive(Debug)]
pub struct Kamailio {
    process: Option<Child>,
    directory: PathBuf,
    /// Where it is.
    pub sip: SocketAddr,
}

/// The account that it knows.
pub const ACCOUNT: &str = "line1";
/// Its password.
pub const ACCOUNT_PASSWORD: &str = "carrier-secret";
/// Its domain.
pub const DOMAIN: &str = "carrier.test";
/// It binds nobody for less.
pub const MIN_EXPIRES: u32 = 120;

impl Kamailio {
    /// Starts it as the carrier of `server`; what that calls goes to `outside`.
    ///
    /// # Errors
    /// It is not installed or does not answer; the message carries its log.
    pub fn start(server: &Server, name: &str, outside: SocketAddr) -> io::Result<Self> {
        let directory = server.directory.join(name);
        fs::create_dir_all(&directory)?;
        let sip = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        fs::write(directory.join("kamailio.cfg"), text(sip, server.sip, outside))?;
        let mut carrier = Self { process: None, directory, sip };
        carrier.run()?;
        Ok(carrier)
    }

    /// Starts it (again); it has forgotten who was registered.
    ///
    /// # Errors
    /// As of [`Self::start`].
    pub fn run(&mut self) -> io::Result<()> {
        let log = fs::File::create(self.directory.join("log.txt"))?;
        let process = Command::new("kamailio")
            .arg("-f")
            .arg(self.directory.join("kamailio.cfg"))
            // It stays with us and forks its worker.
            .args(["-DD", "-E", "-m", "32", "-M", "8"])
            .arg("-Y")
            .arg(&self.directory)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.process = Some(process);
        let answered = wait_for(Duration::from_secs(20), || answers_options(self.sip).ok());
        answered.ok_or_else(|| io::Error::other(format!("no answer to OPTIONS:\n{}", self.log())))
    }

    /// Ends it, with its workers.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // Told so, it ends its workers with itself.
        let _ = Command::new("kill").arg(process.id().to_string()).status();
        let _ = process.wait();
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log.txt")).unwrap_or_default()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        self.stop();
    }
}

fn text(sip: SocketAddr, server: SocketAddr, outside: SocketAddr) -> String {
    let modules = ["sl", "pv", "tm", "rr", "siputils", "textops", "usrloc", "registrar", "auth"];
    let modules: String = modules.map(|name| format!("loadmodule \"{name}.so\"\n")).concat();
    let port = server.port();
    format!(
        "debug=0\nlog_stderror=yes\nfork=yes\nchildren=1\ndisable_tcp=yes\nauto_aliases=no\n\
         listen=udp:{sip}\n{modules}modparam(\"usrloc\", \"db_mode\", 0)\n\
         request_route {{\n\
         \x20 if (method == \"OPTIONS\") {{ sl_send_reply(\"200\", \"OK\"); exit; }}\n\
         \x20 if (has_totag()) {{\n\
         \x20   if (loose_route()) {{ t_relay(); exit; }}\n\
         \x20   if (method == \"ACK\") {{ if (t_check_trans()) {{ t_relay(); }} exit; }}\n\
         \x20   sl_send_reply(\"404\", \"Not here\"); exit;\n  }}\n\
         \x20 if (method == \"CANCEL\") {{ if (t_check_trans()) {{ t_relay(); }} exit; }}\n\
         \x20 t_check_trans();\n\
         \x20 if (method == \"REGISTER\") {{\n\
         \x20   $var(asked) = $(hdr(Expires){{s.int}});\n\
         \x20   if ($var(asked) > 0 && $var(asked) < {MIN_EXPIRES}) {{\n\
         \x20     append_to_reply(\"Min-Expires: {MIN_EXPIRES}\\r\\n\");\n\
         \x20     sl_send_reply(\"423\", \"Interval Too Brief\"); exit;\n    }}\n\
         \x20   if (!pv_www_authenticate(\"{DOMAIN}\", \"{ACCOUNT_PASSWORD}\", \"0\")) {{\n\
         \x20     www_challenge(\"{DOMAIN}\", \"1\"); exit;\n    }}\n\
         \x20   if ($au != \"{ACCOUNT}\") {{ sl_send_reply(\"403\", \"Forbidden\"); exit; }}\n\
         \x20   save(\"location\"); exit;\n  }}\n\
         \x20 if (method != \"INVITE\") {{ sl_send_reply(\"405\", \"No\"); exit; }}\n\
         \x20 record_route();\n\
         \x20 if ($sp == {port}) {{\n\
         \x20   if (!pv_proxy_authenticate(\"{DOMAIN}\", \"{ACCOUNT_PASSWORD}\", \"0\")) {{\n\
         \x20     proxy_challenge(\"{DOMAIN}\", \"1\"); exit;\n    }}\n\
         \x20   consume_credentials();\n\
         \x20   $ru = \"sip:\" + $rU + \"@{outside}\";\n\
         \x20   t_relay(); exit;\n  }}\n\
         \x20 $ru = \"sip:{ACCOUNT}@{DOMAIN}\";\n\
         \x20 if (!lookup(\"location\")) {{ sl_send_reply(\"480\", \"Not registered\"); exit; }}\n\
         \x20 t_relay(); exit;\n}}\n"
    )
}
