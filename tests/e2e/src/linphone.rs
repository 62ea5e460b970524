//! A Linphone phone: Debian's linphonec, driven by typed commands, with WAV files in place of a
//! sound card.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::audio::Sound;
use crate::client::{Client, PhoneSpec, TONE_DBFS};
use crate::desk::Desk;
use crate::ports::{PHONE_MEDIA_BLOCK, free_port, phone_media_block};
use crate::trace;
use crate::wait::wait_for;

/// The recorder writes in steps of up to 0.8 s, as much too late.
const RECORDER_DELAY: Duration = Duration::from_millis(900);

/// A running linphonec. Dropping it ends the process without un-registering.
#[derive(Debug)]
pub struct Linphone {
    process: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
    /// What it printed and nobody has waited for.
    unread: Vec<String>,
    /// The numbers that it gave to its calls, in their order.
    calls: Vec<u32>,
    directory: PathBuf,
    spec: PhoneSpec,
}

impl Linphone {
    /// Starts a phone with its files in `directory`.
    ///
    /// # Errors
    /// linphonec is not installed, or does not take commands.
    pub fn start(directory: &Path, spec: &PhoneSpec) -> io::Result<Self> {
        for below in [".local/share/linphone", "linphone"] {
            fs::create_dir_all(directory.join(below))?;
        }
        let tone = directory.join("tone.wav");
        Sound::tone(spec.tone, TONE_DBFS, 120.0).write_wav(&tone)?;
        fs::write(directory.join("rc"), settings(spec, directory))?;
        let mut process = Command::new("linphonec")
            .arg("-c")
            .arg(directory.join("rc"))
            .args(["-d", "3", "-l"])
            .arg(directory.join("log.txt"))
            .current_dir(directory)
            .env("HOME", directory)
            .env("XDG_CONFIG_HOME", directory)
            .env_remove("XDG_DATA_HOME")
            .env("TERM", "dumb")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(directory.join("errors.txt"))?)
            .spawn()?;
        let missing = || io::Error::other("a pipe of the phone is missing");
        let commands = process.stdin.take().ok_or_else(missing)?;
        let output = process.stdout.take().ok_or_else(missing)?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while matches!(output.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim().to_owned();
                line.clear();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        let (directory, spec) = (directory.to_owned(), spec.clone());
        let (unread, calls) = (Vec::new(), Vec::new());
        let mut phone = Self { process, commands, lines, unread, calls, directory, spec };
        phone.set_up(&tone)?;
        Ok(phone)
    }

    fn set_up(&mut self, tone: &Path) -> io::Result<()> {
        self.command("soundcard use files")?;
        let heard = self.directory.join("heard.wav");
        self.command(&format!("record {}", heard.display()))?;
        self.command(&format!("play {}", tone.display()))?;
        self.command("codec list")?;
        // The last of its list; the commands before it are done then.
        let Some(_) = self.wait("L16 (44100)", Duration::from_secs(60)) else {
            return Err(io::Error::other("linphonec does not take commands"));
        };
        Ok(())
    }

    fn command(&mut self, command: &str) -> io::Result<()> {
        writeln!(self.commands, "{command}")
    }

    fn wait(&mut self, words: &str, limit: Duration) -> Option<String> {
        wait_for(limit, || {
            self.read();
            let index = self.unread.iter().position(|line| line.contains(words))?;
            Some(self.unread.remove(index))
        })
    }

    fn read(&mut self) {
        for line in self.lines.try_iter() {
            let number = line.rsplit_once("assigned id ");
            let number =
                number.and_then(|(_, rest)| rest.trim_end_matches('.').parse::<u32>().ok());
            self.calls.extend(number);
            self.unread.push(line);
        }
    }

    /// The samples recorded so far, whatever the header says: it is written at the end.
    fn recorded(&self) -> io::Result<Sound> {
        let bytes = fs::read(self.directory.join("heard.wav"))?;
        let samples = bytes.get(44..).unwrap_or_default().chunks_exact(2);
        Ok(Sound(
            samples
                .filter_map(|pair| Some(i16::from_le_bytes(*pair.first_chunk::<2>()?)))
                .map(|sample| f64::from(sample) / 32768.0)
                .collect(),
        ))
    }
}

impl Client for Linphone {
    fn registered(&mut self, limit: Duration) -> bool {
        wait_for(limit, || (self.registrations() > 0).then_some(())).is_some()
    }

    fn registrations(&mut self) -> usize {
        trace::accepted(&self.trace(), "REGISTER")
    }

    fn dial(&mut self, number: &str) -> io::Result<()> {
        let parameter = self.spec.transport_parameter();
        let server = self.spec.server;
        self.command(&format!("call sip:{number}@{server}{parameter}"))
    }

    fn rings(&mut self, limit: Duration) -> bool {
        self.wait("Receiving new incoming call", limit).is_some()
    }

    fn answer(&mut self) -> io::Result<()> {
        self.command("answer")
    }

    fn connects(&mut self, limit: Duration) -> bool {
        self.wait(" connected.", limit).is_some()
    }

    fn hold(&mut self, on: bool) -> io::Result<()> {
        self.command(if on { "pause" } else { "resume" })
    }

    fn hang_up(&mut self) -> io::Result<()> {
        self.command("terminate")
    }

    fn clears(&mut self, limit: Duration) -> bool {
        self.wait(" ended", limit).is_some()
    }

    fn listen(&mut self, length: Duration) -> io::Result<Sound> {
        let before = self.recorded()?.seconds();
        std::thread::sleep(length + RECORDER_DELAY);
        let whole = self.recorded()?;
        // A stream that began anew began its file anew.
        let from = if whole.seconds() < before { 0.0 } else { before };
        Ok(whole.part(from + RECORDER_DELAY.as_secs_f64(), f64::MAX))
    }

    fn trace(&mut self) -> String {
        let bytes = fs::read(self.directory.join("log.txt")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }
}

impl Desk for Linphone {
    fn transfer(&mut self, number: &str) -> io::Result<()> {
        let server = self.spec.server;
        self.command(&format!("transfer sip:{number}@{server}"))
    }

    fn put_through(&mut self) -> io::Result<()> {
        self.read();
        let [.., held, asked] = self.calls[..] else {
            return Err(io::Error::other(format!("it has the calls {:?}", self.calls)));
        };
        self.command(&format!("transfer {held} --to-call {asked}"))
    }

    fn forget(&mut self) {
        self.read();
        self.unread.clear();
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        // Nothing is left to do for a process that has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The configuration file. Without a default route the library takes itself for offline, so its
/// watch of the network is off.
fn settings(spec: &PhoneSpec, directory: &Path) -> String {
    let port = spec.sip_port.unwrap_or_else(free_port);
    let on = |transport: &str| if spec.transport == transport { port } else { 0 };
    let media = phone_media_block();
    let parameter = spec.transport_parameter();
    let (user, server, address) = (&spec.user, spec.server, spec.address());
    let enabled = |codec: &str| {
        let enabled = u8::from(spec.codecs.contains(&codec));
        format!("mime={codec}\nrate=8000\nchannels=1\nenabled={enabled}\n")
    };
    format!(
        "[sip]\nauto_net_state_mon=0\nregister_only_when_network_is_up=0\nguess_hostname=0\n\
         sip_port={udp}\nsip_tcp_port={tcp}\nsip_tls_port={tls}\nsip_random_port=0\n\
         bind_address={address}\nuse_ipv6={six}\ncontact=sip:{user}@{host}:{port}\n\
         root_ca={trusted}\nverify_server_certs=1\nverify_server_cn=1\ninc_timeout=60\n\
         media_encryption=none\nsdp_200_ack={late}\nuse_info=0\nuse_rfc2833=1\ndefault_proxy=0\n\
         session_expires_enabled={session}\nsession_expires_value={value}\n\
         session_expires_min_value=90\n\
         [proxy_0]\nreg_proxy=<sip:{server}{parameter}>\nreg_route=<sip:{server}{parameter};lr>\n\
         reg_identity=sip:{user}@{server}\nreg_expires={expires}\nreg_sendregister={registers}\n\
         [auth_info_0]\nusername={user}\npasswd={password}\n\
         [rtp]\naudio_rtp_port={media}-{media_end}\naudio_jitt_comp=60\nrtcp_mux=0\n\
         [sound]\nechocancellation=0\nagc=0\n\
         [audio_codec_0]\n{pcmu}[audio_codec_1]\n{pcma}\
         [video]\nenabled=0\ncapture=0\ndisplay=0\nautomatically_initiate=0\n\
         [storage]\nuri={database}\n",
        udp = on("udp"),
        tcp = on("tcp"),
        tls = on("tls"),
        six = u8::from(address.is_ipv6()),
        host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() },
        trusted = spec.trusted.display(),
        late = u8::from(spec.late_offer),
        session = u8::from(spec.session.is_some()),
        value = spec.session.unwrap_or(0),
        expires = spec.expires,
        registers = u8::from(spec.registers),
        password = spec.password,
        media_end = media + PHONE_MEDIA_BLOCK - 2,
        pcmu = enabled("PCMU"),
        pcma = enabled("PCMA"),
        database = directory.join("linphone.db").display(),
    )
}
