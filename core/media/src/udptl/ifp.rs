//! How long an IFP packet is (T.38, clause 7 and annex A, version 0): needed to tell one from what
//! is none, and to cut off the padding of one that was rebuilt from a parity.

/// Fields of a data packet that are looked at.
const FIELDS: u8 = 16;

/// Bytes of the IFP packet at the beginning of `bytes`; `None` when there is none.
#[must_use]
pub fn ifp_bytes(bytes: &[u8]) -> Option<usize> {
    let (&head, mut rest) = bytes.split_first()?;
    let has_fields = head & 0x80 != 0;
    let is_data = head & 0x40 != 0;
    if head & 0x20 != 0 {
        // The types that came with V.34 and V.8: their number follows in the next octet.
        rest = rest.split_first()?.1;
    } else if is_data && head & 0x1E > 8 << 1 {
        // V.21, V.27ter, V.29 and V.17 are 0 to 8; the last bit is padding.
        return None;
    }
    if head & 1 != 0 && head & 0x20 == 0 {
        return None;
    }
    if !has_fields {
        // A data packet says what there is to say in its fields.
        return (!is_data).then(|| bytes.len() - rest.len());
    }
    if !is_data {
        return None;
    }
    let (&count, fields) = rest.split_first()?;
    if !(1..=FIELDS).contains(&count) {
        return None;
    }
    rest = fields;
    for _ in 0..count {
        let (&field, behind) = rest.split_first()?;
        rest = behind;
        // Field types 0 to 7 in three bits, four bits of padding.
        if field & 0x0F != 0 {
            return None;
        }
        if field & 0x80 != 0 {
            let (length, data) = rest.split_first_chunk::<2>()?;
            rest = data.get(usize::from(u16::from_be_bytes(*length)) + 1..)?;
        }
    }
    Some(bytes.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indicators_and_data_have_the_length_that_they_say() {
        // CNG, CED, V.21 preamble.
        for indicator in [0x02, 0x04, 0x06] {
            assert_eq!(ifp_bytes(&[indicator]), Some(1));
            assert_eq!(ifp_bytes(&[indicator, 0, 0]), Some(1), "padding of a parity is cut");
        }
        // V.21 data, one HDLC field of three octets, then FCS OK without data.
        let data = [0xC0, 2, 0x80, 0, 2, 0xFF, 0x13, 0x80, 0x20];
        assert_eq!(ifp_bytes(&data), Some(data.len()));
        for length in 0..data.len() {
            assert_eq!(ifp_bytes(&data[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn what_no_gateway_sends_is_none() {
        // Data of an unknown modem, a data packet without fields, an indicator with fields,
        // padding that is not zero, no field at all.
        for bytes in [&[0xDE, 1, 0x80, 0, 0, 1][..], &[0x40], &[0x82, 1, 0], &[0x03], &[0xC0, 0]] {
            assert_eq!(ifp_bytes(bytes), None, "{bytes:02x?}");
        }
    }
}
