//! The fixed RTP header (RFC 3550, section 5.1) as a view on a datagram: read and written in place.

/// The fields of a packet that matter for passing it on, and where its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// The first packet of a talkspurt (RFC 3551, section 4.1).
    pub marker: bool,
    /// 0–127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp, in units of the clock rate.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// Where the payload begins: behind CSRC list and header extension.
    pub payload_start: usize,
    /// Where the payload ends: before the padding.
    pub payload_end: usize,
}

/// Bytes of the fixed header.
pub const HEADER_BYTES: usize = 12;

impl RtpHeader {
    /// Reads a datagram; `None` when it is no RTP packet of version 2 or its lengths lie.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let &[b0, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = datagram.first_chunk()?;
        // RFC 5761, 4: payload types 72–76 are RTCP packets on the wrong port.
        if b0 >> 6 != 2 || matches!(b1 & 0x7F, 72..=76) {
            return None;
        }
        let start = Self::head_bytes(datagram)?;
        let mut end = datagram.len();
        if b0 & 0x20 != 0 {
            let padding = usize::from(*datagram.last()?);
            end = end.checked_sub(padding).filter(|_| padding > 0)?;
        }
        (start <= end).then_some(Self {
            marker: b1 & 0x80 != 0,
            payload_type: b1 & 0x7F,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            payload_start: start,
            payload_end: end,
        })
    }

    /// Where the payload begins, behind CSRC list and header extension; `None` when the datagram is
    /// shorter than they say.
    #[must_use]
    pub fn head_bytes(datagram: &[u8]) -> Option<usize> {
        let &[b0, ..] = datagram.first_chunk::<HEADER_BYTES>()?;
        let csrc_bytes = usize::from(b0 & 15).checked_mul(4)?;
        let mut start = HEADER_BYTES.checked_add(csrc_bytes)?;
        if b0 & 0x10 != 0 {
            let &[_, _, high, low] = datagram.get(start..)?.first_chunk()?;
            let words = u16::from_be_bytes([high, low]);
            start = start.checked_add(4)?.checked_add(usize::from(words).checked_mul(4)?)?;
        }
        (start <= datagram.len()).then_some(start)
    }

    /// The twelve bytes of a header without CSRC, extension and padding.
    #[must_use]
    pub const fn bytes(&self) -> [u8; HEADER_BYTES] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        let marker = if self.marker { 0x80 } else { 0 };
        [0x80, marker | (self.payload_type & 0x7F), s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtp::packet::Packet;
    use webrtc_util::marshal::{Marshal, Unmarshal};

    use super::*;

    proptest! {
        #[test]
        fn what_another_implementation_writes_is_read(
            marker: bool, payload_type in 0u8..72, sequence: u16, timestamp: u32, ssrc: u32,
            csrc in proptest::collection::vec(any::<u32>(), 0..15),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut packet = Packet::default();
            packet.header.version = 2;
            packet.header.marker = marker;
            packet.header.payload_type = payload_type;
            packet.header.sequence_number = sequence;
            packet.header.timestamp = timestamp;
            packet.header.ssrc = ssrc;
            packet.header.csrc = csrc;
            packet.payload = payload.clone().into();
            let bytes = packet.marshal().unwrap();
            let view = RtpHeader::parse(&bytes).unwrap();
            prop_assert_eq!((view.marker, view.payload_type), (marker, payload_type));
            prop_assert_eq!((view.sequence, view.timestamp), (sequence, timestamp));
            prop_assert_eq!(view.ssrc, ssrc);
            prop_assert_eq!(&bytes[view.payload_start..view.payload_end], payload.as_slice());
            let own = [view.bytes().as_slice(), &payload].concat();
            let back = Packet::unmarshal(&mut own.as_slice()).unwrap();
            prop_assert_eq!(back.header.sequence_number, sequence);
            prop_assert_eq!(back.payload.as_ref(), payload.as_slice());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(view) = RtpHeader::parse(&bytes) {
                prop_assert!(view.payload_start <= view.payload_end);
                prop_assert!(view.payload_end <= bytes.len());
            }
        }
    }
}
