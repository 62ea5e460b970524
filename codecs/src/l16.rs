//! L16 (RFC 3551, section 4.5.11): linear samples of 16 bits in network order.

/// Payload to samples; as many as the shorter slice holds. How many they were.
pub fn decode(payload: &[u8], samples: &mut [i16]) -> usize {
    let (pairs, _) = payload.as_chunks::<2>();
    for (sample, pair) in samples.iter_mut().zip(pairs) {
        *sample = i16::from_be_bytes(*pair);
    }
    pairs.len().min(samples.len())
}

/// Samples to payload; as many as the shorter slice holds. How many bytes they were.
pub fn encode(samples: &[i16], payload: &mut [u8]) -> usize {
    let (pairs, _) = payload.as_chunks_mut::<2>();
    let count = pairs.len().min(samples.len());
    for (pair, sample) in pairs.iter_mut().zip(samples) {
        *pair = sample.to_be_bytes();
    }
    count * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_survive_and_odd_or_short_buffers_are_no_reason_to_fail() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        let mut payload = [0; 11];
        assert_eq!(encode(&samples, &mut payload), 10);
        assert_eq!(payload[6..10], [0x7F, 0xFF, 0x80, 0x00]);
        let mut back = [7; 6];
        assert_eq!(decode(&payload, &mut back), 5);
        assert_eq!(back, [0, 1, -1, i16::MAX, i16::MIN, 7]);
        assert_eq!(decode(&payload[..3], &mut back), 1);
        assert_eq!(encode(&samples, &mut [0; 3]), 2);
    }
}
