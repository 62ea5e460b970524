//! What was on the wire, as Wireshark's tools saw it: packets of the loopback interface in a file,
//! read by tshark afterwards.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait::wait_for;

/// A capture under way.
#[derive(Debug)]
pub struct Capture {
    process: Child,
    file: PathBuf,
    port: u16,
    media: (u16, u16),
}

impl Capture {
    /// Captures what goes from and to a server's UDP port of SIP and its media ports.
    ///
    /// # Errors
    /// tshark is not installed, or may not capture.
    pub fn start(directory: &Path, port: u16, media: (u16, u16)) -> io::Result<Self> {
        let file = directory.join("wire.pcapng");
        let filter = format!("udp port {port} or udp portrange {}-{}", media.0, media.1);
        let process = Command::new("dumpcap")
            .args(["-q", "-i", "lo", "-B", "64", "-f", &filter, "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut capture = Self { process, file, port, media };
        let begun = wait_for(Duration::from_secs(20), || {
            let ended = !matches!(capture.process.try_wait(), Ok(None));
            if ended { Some(false) } else { capture.file.is_file().then_some(true) }
        });
        match begun {
            Some(true) => Ok(capture),
            _ => Err(io::Error::other("dumpcap captures nothing")),
        }
    }

    /// Ends it; from then on it can be read.
    ///
    /// # Errors
    /// It does not end.
    pub fn end(mut self) -> io::Result<Wire> {
        // What came within the last moment is still on its way to the file.
        std::thread::sleep(Duration::from_secs(1));
        let id = self.process.id().to_string();
        Command::new("kill").args(["-INT", &id]).status()?;
        let ended = wait_for(Duration::from_secs(10), || self.process.try_wait().ok().flatten());
        ended.ok_or_else(|| io::Error::other("dumpcap does not end"))?;
        Ok(Wire { file: self.file.clone(), port: self.port, media: self.media })
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Nothing is left to do for a process that has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A capture that has ended.
#[derive(Clone, Debug)]
pub struct Wire {
    file: PathBuf,
    port: u16,
    media: (u16, u16),
}

impl Wire {
    /// The server's port of SIP.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The packets that a display filter of Wireshark lets pass, one line of the fields each.
    ///
    /// # Errors
    /// tshark does not understand the filter, or cannot read the file.
    pub fn packets(&self, filter: &str, fields: &[&str]) -> io::Result<Vec<String>> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.file).args(["-Y", filter, "-T", "fields"]);
        command.args(["-d", &format!("udp.port=={},sip", self.port)]);
        // tshark follows the SDP of new calls, and not of every change within one.
        let (first, last) = self.media;
        command.args(["-d", &format!("udp.port=={first}-{last},rtp")]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().map(str::to_owned).collect())
    }
}
