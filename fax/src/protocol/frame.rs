//! The frames: four bytes of length, one of version, then JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The version that both sides speak.
pub const VERSION: u8 = 2;

/// Bytes of a frame without its length; the longest has two file names and a reason.
pub const MAX_FRAME: usize = 64 * 1024;

/// Why the other side cannot be understood; the connection is then closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It is of another version.
    #[error("the other side speaks version {0}, we speak {VERSION}: two builds are mixed")]
    Version(u8),
    /// A length that no frame has.
    #[error("a frame of {0} bytes")]
    Length(usize),
    /// What is inside makes no sense.
    #[error("a frame that cannot be read: {0}")]
    Content(String),
}

/// The bytes of a message.
///
/// # Errors
/// When it is longer than [`MAX_FRAME`].
pub fn frame(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let content =
        serde_json::to_vec(message).map_err(|error| FrameError::Content(error.to_string()))?;
    let length = content.len() + 1;
    let short = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let mut bytes = short.ok_or(FrameError::Length(length))?.to_be_bytes().to_vec();
    bytes.push(VERSION);
    bytes.extend_from_slice(&content);
    Ok(bytes)
}

/// Puts frames together from what a stream brings in any pieces.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    waiting: Vec<u8>,
}

impl Frames {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next whole message.
    ///
    /// # Errors
    /// Why there is none and never will be.
    pub fn poll<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some((length, behind)) = self.waiting.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if !(2..=MAX_FRAME).contains(&length) {
            return Err(FrameError::Length(length));
        }
        let Some(whole) = behind.get(..length) else { return Ok(None) };
        let message = match whole.split_first() {
            Some((&VERSION, content)) => serde_json::from_slice(content)
                .map_err(|error| FrameError::Content(error.to_string()))?,
            Some((version, _)) => return Err(FrameError::Version(*version)),
            None => return Err(FrameError::Length(0)),
        };
        self.waiting.drain(..length + 4);
        Ok(Some(message))
    }
}
