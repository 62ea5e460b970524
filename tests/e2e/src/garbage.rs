//! Torture messages and what becomes of them when a dice is rolled over their bytes.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::server::source_root;

/// A small generator of its own, so that a failing run can be repeated from its printed seed.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap_or(0)
    }

    /// Up to `limit` bytes of anything.
    pub fn noise(&mut self, limit: usize) -> Vec<u8> {
        (0..self.roll(limit)).map(|_| u8::try_from(self.roll(256)).unwrap_or(0)).collect()
    }

    /// The message with up to eight changes: cut, overwritten, lengthened, shortened, repeated.
    pub fn mutate(&mut self, message: &[u8]) -> Vec<u8> {
        let mut bytes = message.to_vec();
        for _ in 0..=self.roll(8) {
            let at = self.roll(bytes.len());
            let value = u8::try_from(self.roll(256)).unwrap_or(0);
            match self.roll(5) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] = value,
                2 => bytes.insert(at.min(bytes.len()), value),
                3 if at < bytes.len() => drop(bytes.remove(at)),
                _ => {
                    let end = (at + self.roll(40)).min(bytes.len());
                    let copy = bytes[at.min(end)..end].to_vec();
                    bytes.splice(at.min(end)..at.min(end), copy);
                }
            }
        }
        bytes
    }
}

/// The torture messages of the source tree.
///
/// # Errors
/// The tree cannot be read.
pub fn torture_messages() -> io::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let mut open = vec![source_root().join("core/sip/tests/data")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "dat") {
                found.push(fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// Sends bytes over a TCP connection of their own.
pub fn by_tcp(server: SocketAddr, message: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(server) else { return };
    // A refusal shows as an error of these calls; only the server's life is judged here.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
    let _ = stream.write_all(message);
    let _ = stream.read(&mut [0; 512]);
}
