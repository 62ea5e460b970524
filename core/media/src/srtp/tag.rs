//! The tag of a packet (RFC 3711, section 4.2.1): HMAC-SHA1 (RFC 2104) over a packet that lies in
//! one piece and the four bytes that are thought behind it. What the key alone decides, the first
//! block inside and outside, is hashed once; of the packet nothing is copied but its last block.

use sha1::block_api::compress;

/// Bytes of a block of SHA-1, and of what it makes.
const BLOCK: usize = 64;
const DIGEST: usize = 20;

/// The state that SHA-1 begins with (FIPS 180-4, section 5.3.1).
const BEGIN: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];

/// What follows the message: a one bit, and at the end the length in bits.
const ONE: u8 = 0x80;
const LENGTH: usize = 8;

/// The hash of a key's first blocks.
#[derive(Clone)]
pub(super) struct Authenticator {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl Authenticator {
    pub(super) fn new(key: &[u8; DIGEST]) -> Self {
        let begin = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = BEGIN;
            compress(&mut state, &[block]);
            state
        };
        Self { inner: begin(0x36), outer: begin(0x5C) }
    }

    /// The tag of `packet` with `trailer` behind it; its first bytes are what is sent.
    pub(super) fn tag(&self, packet: &[u8], trailer: [u8; 4]) -> [u8; DIGEST] {
        let mut state = self.inner;
        let (blocks, rest) = packet.as_chunks::<BLOCK>();
        compress(&mut state, blocks);
        // At most 63 bytes, the trailer, the one and the length: two blocks.
        let mut last = [[0; BLOCK]; 2];
        let message = rest.len() + trailer.len();
        let count = (message + 1 + LENGTH).div_ceil(BLOCK);
        let flat = last.as_flattened_mut();
        if let Some((start, behind)) = flat.split_at_mut_checked(rest.len()) {
            start.copy_from_slice(rest);
            put(behind, &trailer);
        }
        let flat = flat.get_mut(..count * BLOCK).unwrap_or_default();
        put_length(flat, packet.len() + trailer.len());
        compress(&mut state, last.get(..count).unwrap_or_default());
        let mut block = [0; BLOCK];
        put(&mut block, &bytes_of(state));
        put_length(&mut block, DIGEST);
        let mut state = self.outer;
        compress(&mut state, &[block]);
        bytes_of(state)
    }

    /// Whether `tag` is the beginning of the packet's, found out in the same time wherever it
    /// differs.
    pub(super) fn agrees(&self, packet: &[u8], trailer: [u8; 4], tag: &[u8]) -> bool {
        let own = self.tag(packet, trailer);
        let pairs = own.iter().zip(tag);
        let difference = pairs.fold(0, |difference, (own, theirs)| difference | (own ^ theirs));
        (1..=DIGEST).contains(&tag.len()) && std::hint::black_box(difference) == 0
    }
}

/// Writes the end of a message and the one behind it.
fn put<const BYTES: usize>(place: &mut [u8], end: &[u8; BYTES]) {
    if let Some((bytes, [one, ..])) = place.split_first_chunk_mut::<BYTES>() {
        *bytes = *end;
        *one = ONE;
    }
}

fn bytes_of(state: [u32; 5]) -> [u8; DIGEST] {
    let mut bytes = [0; DIGEST];
    let (places, _) = bytes.as_chunks_mut::<4>();
    for (place, word) in places.iter_mut().zip(state) {
        *place = word.to_be_bytes();
    }
    bytes
}

/// Writes the bits of a message of so many bytes behind the key's block at the end of `blocks`.
fn put_length(blocks: &mut [u8], bytes: usize) {
    let bits = u64::try_from(bytes + BLOCK).unwrap_or(0).wrapping_mul(8);
    if let Some(place) = blocks.last_chunk_mut::<LENGTH>() {
        *place = bits.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha1::Sha1;

    use super::*;

    fn other(key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }

    #[test]
    fn another_implementation_makes_the_same_tag_of_every_length() {
        let key: [u8; 20] = std::array::from_fn(|at| u8::try_from(at).unwrap() * 11);
        let own = Authenticator::new(&key);
        let packet: Vec<u8> = (0..700u32).map(|at| at.to_be_bytes()[3] ^ 0x5A).collect();
        for length in 0..packet.len() {
            let whole = [&packet[..length], &[1, 2, 3, 4]].concat();
            assert_eq!(own.tag(&packet[..length], [1, 2, 3, 4]), *other(&key, &whole), "{length}");
        }
    }

    #[test]
    fn rfc_2202_test_cases_of_keys_of_twenty_bytes() {
        let own = Authenticator::new(&[0xAA; 20]);
        let wanted = [
            0x12, 0x5D, 0x73, 0x42, 0xB9, 0xAC, 0x11, 0xCD, 0x91, 0xA3, 0x9A, 0xF4, 0x8A, 0xA1,
            0x7B, 0x4F, 0x63, 0xF1, 0x75, 0xD3,
        ];
        assert_eq!(own.tag(&[0xDD; 46], [0xDD; 4]), wanted, "case 3: fifty bytes");
        let own = Authenticator::new(&[0x0B; 20]);
        assert_eq!(own.tag(b"Hi T", *b"here")[..4], [0xB6, 0x17, 0x31, 0x86], "case 1");
    }

    proptest! {
        #[test]
        fn a_tag_agrees_with_its_packet_alone(
            packet in proptest::collection::vec(any::<u8>(), 1..300),
            length in 1usize..=20,
            at: prop::sample::Index,
        ) {
            let own = Authenticator::new(&[7; 20]);
            let mut tag = own.tag(&packet, [0; 4]);
            prop_assert!(own.agrees(&packet, [0; 4], &tag[..length]));
            prop_assert!(!own.agrees(&packet, [0; 4], &[]));
            tag[at.index(length)] ^= 1;
            prop_assert!(!own.agrees(&packet, [0; 4], &tag[..length]));
        }
    }
}
