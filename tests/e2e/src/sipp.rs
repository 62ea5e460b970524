//! sipp with a scenario written by the test: a carrier's side of a trunk, or a phone that answers
//! in an exact way.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait::wait_for;

/// A running sipp.
#[derive(Debug)]
pub struct Sipp {
    process: Child,
    messages: PathBuf,
}

/// How one sipp run is set up.
#[derive(Clone, Debug)]
pub struct SippSpec<'a> {
    /// The scenario's XML.
    pub scenario: &'a str,
    /// The server.
    pub server: SocketAddr,
    /// The local SIP port.
    pub port: u16,
    /// The service (`[service]` of the scenario): the number to call.
    pub service: &'a str,
    /// How many calls.
    pub calls: u32,
}

impl Sipp {
    /// Starts sipp with its files in `directory`.
    ///
    /// # Errors
    /// sipp is not installed.
    pub fn start(directory: &Path, spec: &SippSpec<'_>) -> io::Result<Self> {
        let more = ["-r", "50", "-timeout", "40s", "-timeout_error", "-trace_msg"];
        Self::start_with(directory, spec, &more)
    }

    /// The same with other arguments than a single call's.
    ///
    /// # Errors
    /// sipp is not installed.
    pub fn start_with(directory: &Path, spec: &SippSpec<'_>, more: &[&str]) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let scenario = directory.join("scenario.xml");
        fs::write(&scenario, spec.scenario)?;
        let messages = directory.join("messages.log");
        let log = fs::File::create(directory.join("output.log"))?;
        let process = Command::new("sipp")
            .arg(spec.server.to_string())
            .arg("-sf")
            .arg(&scenario)
            .args(["-i", &spec.server.ip().to_string(), "-p", &spec.port.to_string()])
            .args(["-s", spec.service, "-m", &spec.calls.to_string(), "-nostdin"])
            .args(more)
            .arg("-message_file")
            .arg(&messages)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { process, messages })
    }

    /// Waits until it ends; whether every call went as the scenario says.
    pub fn succeeded(&mut self, limit: Duration) -> bool {
        wait_for(limit, || self.process.try_wait().ok().flatten())
            .is_some_and(|status| status.success())
    }

    /// Waits until it ends, however its calls went.
    pub fn ended(&mut self, limit: Duration) -> bool {
        wait_for(limit, || self.process.try_wait().ok().flatten()).is_some()
    }

    /// Every message sent and received, as sipp wrote them down.
    #[must_use]
    pub fn messages(&self) -> String {
        fs::read(&self.messages)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

impl Sipp {
    /// When messages that begin with `start` were received, in seconds of the day.
    #[must_use]
    pub fn received(&self, start: &str) -> Vec<f64> {
        let messages = self.messages();
        let blocks = messages.split("----------------------------------------------- ").skip(1);
        let seconds = |block: &str| {
            let (head, message) = block.split_once("\n\n")?;
            if !head.contains("message received") || !message.starts_with(start) {
                return None;
            }
            let clock = head.split_whitespace().find(|word| word.matches(':').count() == 2)?;
            let parts = clock.split(':').map(|part| part.parse::<f64>().ok());
            parts.into_iter().try_fold(0.0, |sum, part| Some(sum * 60.0 + part?))
        };
        blocks.filter_map(seconds).collect()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // Nothing is left to do for a process that has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
