//! What a caller hears, by the RTP that comes (RFC 3550): each prompt of a test's server is a tone
//! of its own, so that a fifth of a second tells which one is played.

use std::f64::consts::TAU;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use koukan_codecs::g711;

use crate::audio::{RATE, Sound};

/// Samples of a packet of 20 ms.
const FRAME: usize = 160;
/// How loud the tones are made.
const DBFS: f64 = -12.0;
/// Long enough to be told from a click, short enough for a thousand of them.
const SECONDS: f64 = 0.24;
/// Frames of one of them.
const ONCE: usize = 12;
/// What stands for every prompt without a tone of its own.
const OTHER: &str = "another prompt";

/// The prompts that are told apart; the tones are 100 Hz apart, so that each is silence in the
/// window of every other one.
const PROMPTS: [&str; 24] = [
    "closed",
    "closed-2",
    "closed-3",
    "lunch",
    "refused",
    "unallocated",
    "lines-busy",
    "trunks-busy",
    "not-reachable",
    "nobody-rings",
    "sorry",
    "beep",
    "recording-notice",
    "welcome",
    "vm/greeting",
    "vm/full",
    "room-refused",
    "parked",
    "park-full",
    "queue-wait",
    "slot-empty",
    "slot-taken",
    "own",
    OTHER,
];

fn hertz(place: usize) -> f64 {
    400.0 + 100.0 * place as f64
}

fn tone(name: &str, seconds: f64) -> Sound {
    let known = PROMPTS.iter().position(|known| *known == name);
    Sound::tone(hertz(known.unwrap_or(PROMPTS.len() - 1)), DBFS, seconds)
}

/// Writes a tone in place of every prompt of a tree of prompts.
///
/// # Errors
/// The tree cannot be read, or written.
pub fn write_prompts(from: &Path, to: &Path) -> io::Result<()> {
    for language in ["ja", "en"] {
        write_below(&from.join(language), &to.join(language), "")?;
    }
    Ok(())
}

fn write_below(from: &Path, to: &Path, above: &str) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            write_below(&entry.path(), &target, &format!("{above}{name}/"))?;
        } else if let Some(name) = name.strip_suffix(".wav") {
            tone(&format!("{above}{name}"), SECONDS).write_wav(&target)?;
        }
    }
    Ok(())
}

/// An announcement of an office's own, heard as `own`. Its loudness is measured when it is read,
/// which takes 0.4 s of it.
///
/// # Errors
/// It cannot be written.
pub fn write_own(path: &Path) -> io::Result<()> {
    tone("own", 0.6).write_wav(path)
}

/// The end of a call that listens.
#[derive(Debug)]
pub struct Ear {
    socket: UdpSocket,
    /// What was heard, in order; the same twice at once is once.
    pub heard: Vec<&'static str>,
    /// Frames of what was heard last: more than one prompt has, when it was heard twice.
    frames: usize,
    /// Whether something that was spoken came back.
    pub echoed: bool,
    /// How often it has spoken.
    spoken: u16,
}

/// The sound that is spoken to an echo: a byte that no tone is made of alone.
const WORD: u8 = 0x2a;

impl Ear {
    /// An ear on a port of its own.
    ///
    /// # Errors
    /// No port.
    pub fn new() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let heard = Vec::new();
        Ok(Self { socket, heard, frames: 0, echoed: false, spoken: 0 })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Takes what has come.
    pub fn listen(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            let packet = buffer.get(..length).unwrap_or_default();
            // Version 2, no CSRC, no extension: what this server writes.
            let Some((head, sound)) = packet.split_at_checked(12) else { continue };
            if head[0] != 0x80 || head[1] & 0x7f != 0 {
                continue;
            }
            if !sound.is_empty() && sound.iter().all(|byte| *byte == WORD) {
                self.echoed = true;
                continue;
            }
            self.hear(sound);
        }
    }

    fn hear(&mut self, sound: &[u8]) {
        let mut samples = [0; FRAME];
        g711::decode_ulaw(sound, &mut samples);
        let heard = recognised(samples.get(..sound.len().min(FRAME)).unwrap_or_default());
        let Some(heard) = heard else { return };
        if self.heard.last() != Some(&heard) {
            self.heard.push(heard);
            self.frames = 0;
        }
        self.frames += 1;
    }

    /// Whether what was heard last was longer than once.
    #[must_use]
    pub const fn is_again(&self) -> bool {
        self.frames > ONCE
    }

    /// Speaks 20 ms to where the server listens.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn speak(&mut self, to: SocketAddr) -> io::Result<()> {
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.spoken.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.spoken) * 160).to_be_bytes());
        packet.extend_from_slice(b"koun");
        packet.extend_from_slice(&[WORD; FRAME]);
        self.spoken += 1;
        self.socket.send_to(&packet, to).map(|_| ())
    }
}

/// The prompt whose tone a frame is, by correlation; none of silence and of anything else.
fn recognised(samples: &[i16]) -> Option<&'static str> {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    if energy < 160.0 * 100.0 * 100.0 {
        return None;
    }
    let share = |place: usize| {
        let step = TAU * hertz(place) / f64::from(RATE);
        // Goertzel: the power at one frequency without a sine a sample.
        let turn = 2.0 * step.cos();
        let (mut one, mut two) = (0.0, 0.0);
        for sample in samples {
            let next = f64::from(*sample) + turn * one - two;
            (two, one) = (one, next);
        }
        let power = one * one + two * two - turn * one * two;
        2.0 * power / (samples.len().max(1) as f64) / energy
    };
    PROMPTS.iter().enumerate().find(|(place, _)| share(*place) > 0.8).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tone_is_known_by_each_of_its_frames_and_noise_is_none() {
        for name in PROMPTS {
            let samples: Vec<i16> =
                tone(name, SECONDS).0.iter().map(|sample| (sample * 32_767.0) as i16).collect();
            for frame in samples.chunks(FRAME) {
                let mut coded = [0; FRAME];
                g711::encode_ulaw(frame, &mut coded);
                let mut heard = [0; FRAME];
                g711::decode_ulaw(&coded, &mut heard);
                assert_eq!(recognised(&heard), Some(name));
            }
        }
        assert_eq!(recognised(&[0; FRAME]), None);
        let mut state = 1u32;
        let noise: Vec<i16> = (0..FRAME)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16
            })
            .collect();
        assert_eq!(recognised(&noise), None);
    }
}
