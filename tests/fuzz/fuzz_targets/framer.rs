//! A stream cut into pieces of any size (RFC 3261, section 18.3) gives the same messages as in one
//! piece, and never waits with more than a message's bound. The first byte chooses the pieces.
#![no_main]

use koukan_sip::{Framed, Framer, Scanner};
use libfuzzer_sys::fuzz_target;

/// What comes out of a stream: messages' bytes, or how it broke.
fn drained<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (mut scanner, mut framer) = (Scanner::new(), Framer::default());
    let mut messages = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next(&mut scanner) {
                Ok(Framed::Message(message)) => messages.push(message.bytes().to_vec()),
                Ok(Framed::Ping) => {}
                Ok(Framed::Nothing) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, stream)) = bytes.split_first() else { return };
    let size = usize::from(*first).max(1);
    let (whole, _) = drained(std::iter::once(stream));
    let (cut, cut_broke) = drained(stream.chunks(size));
    // A broken stream may be noticed earlier in pieces: what came before is the same.
    if cut_broke {
        assert!(whole.len() >= cut.len() && whole[..cut.len()] == cut[..], "pieces differ");
    } else {
        assert_eq!(whole, cut, "pieces differ");
    }
});
