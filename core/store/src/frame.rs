//! Frames of the journal: magic, length, CRC-32 and payload, little-endian. A reader that meets
//! something else looks for the next whole frame and says what it passed over, so that neither a
//! write cut short nor a bad sector takes the records behind it along.

use crate::limits;

/// `KKJ1`: begins every frame.
const MAGIC: [u8; 4] = *b"KKJ1";

/// Bytes before a payload.
pub const HEADER_BYTES: usize = 12;

/// Appends one frame with `payload` to `out`. A payload beyond [`limits::RECORD_BYTES`] is not
/// written; `false` then.
#[must_use]
pub fn write(payload: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(length) = u32::try_from(payload.len()) else { return false };
    if payload.is_empty() || payload.len() > limits::RECORD_BYTES {
        return false;
    }
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    out.extend_from_slice(payload);
    true
}

/// What stands at a place of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A whole frame.
    Frame {
        /// Its payload.
        payload: &'a [u8],
        /// Bytes from the place up to its end.
        bytes: usize,
    },
    /// Bytes that are no frame, up to the next one.
    Damage {
        /// How many.
        bytes: usize,
    },
    /// The beginning of a frame whose rest is missing, or what cannot be told from it.
    Torn {
        /// Bytes up to the end of the text.
        bytes: usize,
    },
    /// Nothing is left.
    End,
}

/// Reads at the beginning of `text`.
#[must_use]
pub fn read(text: &[u8]) -> Found<'_> {
    if text.is_empty() {
        return Found::End;
    }
    if let Some((payload, bytes)) = whole(text) {
        return Found::Frame { payload, bytes };
    }
    match next_whole(text) {
        Some(bytes) => Found::Damage { bytes },
        None => Found::Torn { bytes: text.len() },
    }
}

fn whole(text: &[u8]) -> Option<(&[u8], usize)> {
    let (magic, rest) = text.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if *magic != MAGIC || length == 0 || length > limits::RECORD_BYTES {
        return None;
    }
    let payload = rest.get(..length)?;
    let sound = crc32fast::hash(payload) == u32::from_le_bytes(*crc);
    sound.then_some((payload, HEADER_BYTES + length))
}

fn next_whole(text: &[u8]) -> Option<usize> {
    let mut from = 1;
    loop {
        let rest = text.get(from..)?;
        let at = from + rest.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        if whole(text.get(at..)?).is_some() {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every payload that is found, and the bytes passed over.
    fn walk(mut text: &[u8]) -> (Vec<Vec<u8>>, usize) {
        let (mut payloads, mut lost) = (Vec::new(), 0);
        loop {
            let bytes = match read(text) {
                Found::Frame { payload, bytes } => {
                    payloads.push(payload.to_vec());
                    bytes
                }
                Found::Damage { bytes } | Found::Torn { bytes } => {
                    lost += bytes;
                    bytes
                }
                Found::End => return (payloads, lost),
            };
            text = &text[bytes..];
        }
    }

    fn journal(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut text = Vec::new();
        for payload in payloads {
            assert!(write(payload, &mut text));
        }
        text
    }

    fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..20)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(payloads in payloads()) {
            prop_assert_eq!(walk(&journal(&payloads)), (payloads, 0));
        }

        #[test]
        fn a_cut_loses_only_the_frame_it_goes_through(payloads in payloads(), cut in 0usize..2000) {
            let text = journal(&payloads);
            let cut = cut.min(text.len());
            let (read, _) = walk(&text[..cut]);
            let mut end = 0;
            let whole = payloads.iter().take_while(|payload| {
                end += HEADER_BYTES + payload.len();
                end <= cut
            }).count();
            prop_assert_eq!(read, &payloads[..whole]);
        }

        #[test]
        fn a_damaged_byte_costs_one_record_and_is_told(
            payloads in payloads(), at in any::<prop::sample::Index>(), flip in 1u8..=255
        ) {
            let mut text = journal(&payloads);
            let at = at.index(text.len());
            text[at] ^= flip;
            let (read, lost) = walk(&text);
            prop_assert_eq!(read.len(), payloads.len() - 1);
            prop_assert!(lost > HEADER_BYTES);
        }

        #[test]
        fn any_bytes_are_walked_to_their_end(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let (read, lost) = walk(&text);
            let found: usize = read.iter().map(|payload| payload.len() + HEADER_BYTES).sum();
            prop_assert_eq!(found + lost, text.len());
        }
    }

    #[test]
    fn a_record_beyond_the_limit_is_refused() {
        let mut text = Vec::new();
        assert!(!write(&vec![0; limits::RECORD_BYTES + 1], &mut text));
        assert!(!write(&[], &mut text));
        assert!(text.is_empty());
    }
}
