//! A baresip phone: its own process, driven over its control port (JSON in netstrings), speaking a
//! tone from a file and recording what it hears.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::audio::Sound;
use crate::client::Client;
use crate::desk::Desk;
use crate::ports::{PHONE_MEDIA_BLOCK, free_port, phone_media_block};
use crate::trace;
use crate::wait::wait_for;

/// Where Debian puts baresip's modules.
const MODULES: &str = "/usr/lib/baresip/modules";

pub use crate::client::{PhoneSpec, TONE_DBFS};

/// A running baresip. Dropping it ends the process without un-registering, as a power cut does.
#[derive(Debug)]
pub struct Baresip {
    process: Child,
    control: TcpStream,
    unread: Vec<u8>,
    events: VecDeque<Value>,
    /// Everything that it reported, oldest first.
    pub history: Vec<Value>,
    directory: PathBuf,
    server: SocketAddr,
    token: u32,
    /// What it answered to the commands, newest last.
    answers: Vec<Value>,
}

impl Baresip {
    /// Starts a phone with its files in `directory`.
    ///
    /// # Errors
    /// baresip is not installed, or did not open its control port.
    pub fn start(directory: &Path, spec: &PhoneSpec) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let control_port = free_port();
        let tone = directory.join("tone.wav");
        Sound::tone(spec.tone, TONE_DBFS, 120.0).write_wav(&tone)?;
        write_files(directory, spec, &tone, control_port)?;
        let log = fs::File::create(directory.join("log.txt"))?;
        let mut command = match &spec.place {
            None => Command::new("baresip"),
            Some(place) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &place.namespace, "baresip"]);
                command
            }
        };
        let mut process = command
            .arg("-f")
            .arg(directory)
            .arg("-s")
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let address = SocketAddr::from((control_address(spec), control_port));
        let Some(control) = wait_for(Duration::from_secs(30), || TcpStream::connect(address).ok())
        else {
            process.kill()?;
            return Err(io::Error::other("baresip did not open its control port"));
        };
        control.set_read_timeout(Some(Duration::from_millis(20)))?;
        Ok(Self {
            process,
            control,
            unread: Vec::new(),
            events: VecDeque::new(),
            history: Vec::new(),
            directory: directory.to_owned(),
            server: spec.server,
            token: 0,
            answers: Vec::new(),
        })
    }

    /// Whether it has registered within `limit`.
    ///
    /// The first answer may precede our link to the control port, so the SIP log is read as well.
    pub fn registered(&mut self, limit: Duration) -> bool {
        let log = self.directory.join("log.txt");
        wait_for(limit, || {
            self.pump();
            let reported = self.history.iter().any(|event| event["type"] == "REGISTER_OK");
            let logged = || {
                fs::read(&log).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("200 OK"))
            };
            (reported || logged()).then_some(())
        })
        .is_some()
    }

    /// Dials a number or user at the server.
    ///
    /// # Errors
    /// The control link broke.
    pub fn dial(&mut self, number: &str) -> io::Result<()> {
        let uri = format!("sip:{number}@{}", self.server);
        self.command("dial", &uri)
    }

    /// Answers the call that rings.
    ///
    /// # Errors
    /// The control link broke.
    pub fn answer(&mut self) -> io::Result<()> {
        self.command("accept", "")
    }

    /// Hangs up, or declines what rings (486).
    ///
    /// # Errors
    /// The control link broke.
    pub fn hang_up(&mut self) -> io::Result<()> {
        self.command("hangup", "")
    }

    /// Puts the call on hold, or takes it back.
    ///
    /// # Errors
    /// The control link broke.
    pub fn hold(&mut self, on: bool) -> io::Result<()> {
        self.command(if on { "hold" } else { "resume" }, "")
    }

    /// Has the exchange connect the other party with a number or user (blind transfer).
    ///
    /// # Errors
    /// The control link broke.
    pub fn transfer(&mut self, number: &str) -> io::Result<()> {
        let uri = format!("sip:{number}@{}", self.server);
        self.command("transfer", &uri)
    }

    /// Presses a key of the call.
    ///
    /// # Errors
    /// The control link broke.
    pub fn press(&mut self, key: char) -> io::Result<()> {
        self.command("sndcode", &key.to_string())
    }

    /// Waits for an event of this type (`CALL_INCOMING`, `CALL_ESTABLISHED`, `CALL_CLOSED` …) that
    /// was not waited for yet, and gives its parameter (the reason of a close).
    pub fn wait(&mut self, kind: &str, limit: Duration) -> Option<String> {
        wait_for(limit, || {
            self.pump();
            let index = self.events.iter().position(|event| event["type"] == kind)?;
            let event = self.events.remove(index)?;
            Some(event["param"].as_str().unwrap_or_default().to_owned())
        })
    }

    /// Whether an event of this type has come so far.
    pub fn saw(&mut self, kind: &str) -> bool {
        self.pump();
        self.history.iter().any(|event| event["type"] == kind)
    }

    /// What it heard in all its calls so far, in order.
    ///
    /// # Errors
    /// A recording cannot be read.
    pub fn heard(&self) -> io::Result<Sound> {
        let mut files: Vec<PathBuf> = fs::read_dir(&self.directory)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        let mut whole = Sound::default();
        for file in files {
            // A file that has just been opened has no header yet.
            if fs::metadata(&file)?.len() >= 44 {
                whole.0.extend(Sound::read_wav(&file)?.0);
            }
        }
        Ok(whole)
    }

    /// The SIP messages and everything else that it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.directory.join("log.txt"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Its list of commands, as it prints it.
    fn commands(&mut self) -> String {
        if self.command("help", "").is_err() {
            return String::new();
        }
        let token = self.token.to_string();
        let answer = wait_for(Duration::from_secs(5), || {
            self.pump();
            let answer = self.answers.iter().find(|answer| answer["token"] == *token)?;
            answer["data"].as_str().map(str::to_owned)
        });
        answer.unwrap_or_default()
    }

    fn command(&mut self, command: &str, parameter: &str) -> io::Result<()> {
        self.token += 1;
        let text = json!({
            "command": command, "params": parameter, "token": self.token.to_string(),
        })
        .to_string();
        self.control.write_all(format!("{}:{text},", text.len()).as_bytes())
    }

    fn pump(&mut self) {
        let end = Instant::now() + Duration::from_millis(25);
        let mut buffer = [0; 4096];
        while Instant::now() < end {
            match self.control.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => self.unread.extend_from_slice(buffer.get(..count).unwrap_or(&[])),
            }
        }
        while let Some(message) = take_netstring(&mut self.unread) {
            let Ok(value) = serde_json::from_slice::<Value>(&message) else { continue };
            if value["event"] == true {
                self.history.push(value.clone());
                self.events.push_back(value);
            } else if value["response"] == true {
                self.answers.push(value);
            }
        }
    }
}

impl Client for Baresip {
    fn registered(&mut self, limit: Duration) -> bool {
        Self::registered(self, limit)
    }

    fn registrations(&mut self) -> usize {
        trace::accepted(&Client::trace(self), "REGISTER")
    }

    fn dial(&mut self, number: &str) -> io::Result<()> {
        Self::dial(self, number)
    }

    fn rings(&mut self, limit: Duration) -> bool {
        self.wait("CALL_INCOMING", limit).is_some()
    }

    fn answer(&mut self) -> io::Result<()> {
        Self::answer(self)
    }

    fn connects(&mut self, limit: Duration) -> bool {
        self.wait("CALL_ESTABLISHED", limit).is_some()
    }

    fn hold(&mut self, on: bool) -> io::Result<()> {
        Self::hold(self, on)
    }

    fn hang_up(&mut self) -> io::Result<()> {
        Self::hang_up(self)
    }

    fn clears(&mut self, limit: Duration) -> bool {
        self.wait("CALL_CLOSED", limit).is_some()
    }

    fn listen(&mut self, length: Duration) -> io::Result<Sound> {
        let before = self.heard()?.seconds();
        std::thread::sleep(length);
        Ok(self.heard()?.part(before, f64::MAX))
    }

    fn send_back(&mut self, on: bool) -> io::Result<bool> {
        let tone = self.directory.join("tone.wav");
        let source =
            if on { "aubridge,ear".to_owned() } else { format!("aufile,{}", tone.display()) };
        self.command("ausrc", &source)?;
        Ok(true)
    }

    fn trace(&mut self) -> String {
        self.log().replace('\r', "")
    }
}

impl Desk for Baresip {
    fn transfer(&mut self, number: &str) -> io::Result<()> {
        Self::transfer(self, number)
    }

    fn put_through(&mut self) -> io::Result<()> {
        Err(io::Error::other("baresip has no command for it"))
    }

    fn cannot_put_through(&mut self) -> Option<String> {
        let commands = self.commands();
        let transfers: Vec<&str> =
            commands.lines().map(str::trim).filter(|line| line.contains("transfer")).collect();
        let one = transfers.len() == 1 && transfers.iter().all(|line| !line.contains("attended"));
        one.then(|| format!("all that its `help` says of transfers: {}", transfers.join("; ")))
    }

    fn forget(&mut self) {
        self.pump();
        self.events.clear();
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        // Nothing is left to do for a process that has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn take_netstring(unread: &mut Vec<u8>) -> Option<Vec<u8>> {
    let colon = unread.iter().position(|&byte| byte == b':')?;
    let length: usize = std::str::from_utf8(unread.get(..colon)?).ok()?.parse().ok()?;
    let end = colon + 1 + length;
    let message = unread.get(colon + 1..end)?.to_vec();
    if unread.len() <= end {
        return None;
    }
    unread.drain(..=end);
    Some(message)
}

/// Where its control port listens.
fn control_address(spec: &PhoneSpec) -> IpAddr {
    spec.place.as_ref().map_or(Ipv4Addr::LOCALHOST.into(), |place| place.control)
}

fn write_files(dir: &Path, spec: &PhoneSpec, tone: &Path, control: u16) -> io::Result<()> {
    let rtp = phone_media_block();
    let address = spec.address();
    let listen = SocketAddr::from((address, spec.sip_port.unwrap_or_else(free_port)));
    let config = format!(
        "poll_method epoll\nsip_listen {listen}\nnet_interface {address}\n\
         call_max_calls 4\n\
         {trusted}\
         audio_player aubridge,ear\naudio_alert nil,nil\naudio_source aufile,{tone}\n\
         ausrc_format s16\nauplay_format s16\nauenc_format s16\naudec_format s16\n\
         rtp_ports {rtp}-{rtp_end}\njitter_buffer_delay 1-5\nmodule_path {MODULES}\n\
         snd_path {dir}\nstatmode_default off\nringback_disabled yes\n\
         module g711.so\nmodule sndfile.so\nmodule aufile.so\nmodule aubridge.so\n\
         module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen {own}:{control}\n",
        trusted = if spec.transport == "tls" {
            format!("sip_cafile {}\n", spec.trusted.display())
        } else {
            String::new()
        },
        own = control_address(spec),
        tone = tone.display(),
        rtp_end = rtp + PHONE_MEDIA_BLOCK - 2,
        dir = dir.display(),
    );
    let transport = spec.transport_parameter();
    let outbound = if transport.is_empty() {
        String::new()
    } else {
        format!(";outbound=\"sip:{}{transport}\"", spec.server)
    };
    let codecs: Vec<String> = spec.codecs.iter().map(|name| format!("{name}/8000/1")).collect();
    let account = format!(
        "<sip:{user}@{server}{transport}>;auth_user={user};auth_pass={password};regint={regint};\
         answermode=manual;audio_codecs={codecs};ptime=20{outbound}\n",
        user = spec.user,
        server = spec.server,
        password = spec.password,
        regint = if spec.registers { spec.expires } else { 0 },
        codecs = codecs.join(","),
    );
    fs::write(dir.join("config"), config)?;
    fs::write(dir.join("accounts"), account)?;
    fs::write(dir.join("contacts"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netstrings_are_taken_whole_and_in_order() {
        let mut unread = b"2:ab,3:cd".to_vec();
        assert_eq!(take_netstring(&mut unread), Some(b"ab".to_vec()));
        assert_eq!(take_netstring(&mut unread), None);
        unread.extend_from_slice(b"e,");
        assert_eq!(take_netstring(&mut unread), Some(b"cde".to_vec()));
    }
}
