//! A PJSUA2 phone: a Python process with the library from PyPI, driven by JSON lines.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::audio::{RATE, Sound};
use crate::client::{Client, PhoneSpec, TONE_DBFS};
use crate::desk::Desk;
use crate::ports::{free_port, phone_media_block};
use crate::server::target;
use crate::wait::wait_for;

/// How late the recorder writes, and how much of what it writes next is older than the mark.
const RECORDER_DELAY: Duration = Duration::from_millis(350);

/// A running PJSUA2 phone. Dropping it ends the process without un-registering.
#[derive(Debug)]
pub struct Pjsua {
    process: Child,
    commands: ChildStdin,
    reports: Receiver<Value>,
    /// What it reported and nobody has waited for.
    events: Vec<Value>,
    registrations: usize,
    directory: PathBuf,
}

impl Pjsua {
    /// Starts a phone with its files in `directory`.
    ///
    /// # Errors
    /// The module is not installed (`cargo xtask deps`), or the library does not start.
    pub fn start(directory: &Path, spec: &PhoneSpec) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = |name: &str| directory.join(name);
        // Whole seconds of whole Hertz: the loop has no click.
        Sound::tone(spec.tone, TONE_DBFS, 10.0).write_wav(&file("tone.wav"))?;
        Sound(vec![0.0; RATE as usize]).write_wav(&file("silence.wav"))?;
        let setup = json!({
            "user": spec.user, "password": spec.password, "server": spec.server.to_string(),
            "transport": spec.transport, "address": spec.address().to_string(),
            "port": spec.sip_port.unwrap_or_else(free_port), "media_port": phone_media_block(),
            "codecs": spec.codecs, "registers": spec.registers, "expires": spec.expires,
            "session": spec.session, "late": spec.late_offer, "trusted": spec.trusted,
            "tone": file("tone.wav"), "silence": file("silence.wav"),
            "heard": file("heard.wav"), "log": file("log.txt"),
        });
        let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pjsua_worker.py");
        let mut process = Command::new(python()?)
            .arg(worker)
            .arg(setup.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(file("errors.txt"))?)
            .spawn()?;
        let missing = || io::Error::other("a pipe of the phone is missing");
        let commands = process.stdin.take().ok_or_else(missing)?;
        let output = process.stdout.take().ok_or_else(missing)?;
        let (sender, reports) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for report in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send(report).is_err() {
                    break;
                }
            }
        });
        let directory = directory.to_owned();
        let (events, registrations) = (Vec::new(), 0);
        let mut phone = Self { process, commands, reports, events, registrations, directory };
        if phone.wait("ready", Duration::from_secs(60)).is_none() {
            let errors = fs::read_to_string(phone.directory.join("errors.txt"));
            let words = format!("pjsua2 does not start: {}", errors.unwrap_or_default());
            return Err(io::Error::other(words));
        }
        Ok(phone)
    }

    fn recorded(&self) -> io::Result<Sound> {
        let file = self.directory.join("heard.wav");
        // The header comes with the first block of samples.
        if fs::metadata(&file)?.len() < 44 {
            return Ok(Sound::default());
        }
        Sound::read_wav(&file)
    }

    fn wait(&mut self, kind: &str, limit: Duration) -> Option<Value> {
        wait_for(limit, || {
            self.pump();
            let index = self.events.iter().position(|event| event["type"] == kind)?;
            Some(self.events.remove(index))
        })
    }

    fn pump(&mut self) {
        for report in self.reports.try_iter() {
            if report["type"] == "register" && report["status"] == 200 {
                self.registrations += 1;
            }
            self.events.push(report);
        }
    }

    fn command(&mut self, command: Value) -> io::Result<()> {
        writeln!(self.commands, "{command}")?;
        let outcome = wait_for(Duration::from_secs(8), || {
            self.pump();
            let known = |event: &Value| event["type"] == "done" || event["type"] == "failed";
            let index = self.events.iter().position(known)?;
            Some(self.events.remove(index))
        });
        match outcome {
            Some(event) if event["type"] == "done" => Ok(()),
            other => Err(io::Error::other(format!("{command}: {other:?}"))),
        }
    }

    /// Has the exchange connect the other party with a number or user (blind transfer).
    ///
    /// # Errors
    /// The library refuses, or has ended.
    pub fn transfer(&mut self, number: &str) -> io::Result<()> {
        self.command(json!({ "command": "transfer", "number": number }))
    }

    fn order(&mut self, word: &str) -> io::Result<()> {
        self.command(json!({ "command": word }))
    }
}

impl Client for Pjsua {
    fn registered(&mut self, limit: Duration) -> bool {
        wait_for(limit, || {
            self.pump();
            (self.registrations > 0).then_some(())
        })
        .is_some()
    }

    fn registrations(&mut self) -> usize {
        self.pump();
        self.registrations
    }

    fn dial(&mut self, number: &str) -> io::Result<()> {
        self.command(json!({ "command": "dial", "number": number }))
    }

    fn rings(&mut self, limit: Duration) -> bool {
        self.wait("incoming", limit).is_some()
    }

    fn answer(&mut self) -> io::Result<()> {
        self.order("answer")
    }

    fn connects(&mut self, limit: Duration) -> bool {
        self.wait("established", limit).is_some()
    }

    fn hold(&mut self, on: bool) -> io::Result<()> {
        self.order(if on { "hold" } else { "resume" })
    }

    fn hang_up(&mut self) -> io::Result<()> {
        self.order("hang_up")
    }

    fn clears(&mut self, limit: Duration) -> bool {
        self.wait("closed", limit).is_some()
    }

    fn listen(&mut self, length: Duration) -> io::Result<Sound> {
        let before = self.recorded()?.seconds();
        std::thread::sleep(length + RECORDER_DELAY);
        Ok(self.recorded()?.part(before + RECORDER_DELAY.as_secs_f64(), f64::MAX))
    }

    fn trace(&mut self) -> String {
        // A phone that has ended has written all it will.
        let _ = self.order("flush");
        let bytes = fs::read(self.directory.join("log.txt")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }
}

impl Desk for Pjsua {
    fn transfer(&mut self, number: &str) -> io::Result<()> {
        Self::transfer(self, number)
    }

    fn put_through(&mut self) -> io::Result<()> {
        self.order("put_through")
    }

    fn forget(&mut self) {
        self.pump();
        self.events.clear();
    }
}

impl Drop for Pjsua {
    fn drop(&mut self) {
        // Nothing is left to do for a process that has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The Python that has the module.
///
/// # Errors
/// `cargo xtask deps` has not been run.
pub fn python() -> io::Result<PathBuf> {
    let python = target()?.join("pjsua2/bin/python");
    if python.exists() {
        return Ok(python);
    }
    Err(io::Error::other(format!("{} is missing: run `cargo xtask deps`", python.display())))
}
