//! Values of enumerations in spandsp's headers that its Rust bindings leave out, and those of T.30
//! (table 2) in the bit order in which frames lie in memory. A test holds the types of frames
//! against the bindings; the others are in no binding, and a wrong one shows as pages that differ
//! from those of the library that the interoperability tests call.

pub(super) const T4_COMPRESSION_T4_1D: i32 = 0x02;
pub(super) const T4_COMPRESSION_T4_2D: i32 = 0x04;
pub(super) const T4_COMPRESSION_T6: i32 = 0x08;

pub(super) const T4_RESOLUTION_R8_STANDARD: i32 = 0x1;
pub(super) const T4_RESOLUTION_R8_FINE: i32 = 0x2;
pub(super) const T4_RESOLUTION_R8_SUPERFINE: i32 = 0x4;

pub(super) const T4_SUPPORT_WIDTH_215MM: i32 = 0x01;
pub(super) const T4_SUPPORT_WIDTH_255MM: i32 = 0x02;
pub(super) const T4_SUPPORT_LENGTH_UNLIMITED: i32 = 0x1_0000;
pub(super) const T4_SUPPORT_LENGTH_A4: i32 = 0x2_0000;
pub(super) const T4_SUPPORT_LENGTH_B4: i32 = 0x4_0000;

pub(super) const T38_PACKET_CATEGORY_INDICATOR: i32 = 0;
pub(super) const T38_PACKET_CATEGORY_CONTROL_DATA: i32 = 1;
pub(super) const T38_PACKET_CATEGORY_CONTROL_DATA_END: i32 = 2;
pub(super) const T38_PACKET_CATEGORY_IMAGE_DATA: i32 = 3;
pub(super) const T38_PACKET_CATEGORY_IMAGE_DATA_END: i32 = 4;

pub(super) const T38_DATA_RATE_MANAGEMENT_LOCAL_TCF: i32 = 1;
pub(super) const T38_DATA_RATE_MANAGEMENT_TRANSFERRED_TCF: i32 = 2;

/// The bit of a frame's type that says who sends it.
pub(super) const X_BIT: u8 = 0x01;

pub(super) const DCS: u8 = 0x82;
pub(super) const CTC: u8 = 0x12;
pub(super) const DCN: u8 = 0xFA;
pub(super) const FTT: u8 = 0x44;
pub(super) const RTN: u8 = 0x4C;
pub(super) const RTP: u8 = 0xCC;
pub(super) const CTR: u8 = 0xC4;
pub(super) const MCF: u8 = 0x8C;
pub(super) const MPS: u8 = 0x4E;
pub(super) const EOM: u8 = 0x8E;
pub(super) const EOP: u8 = 0x2E;
pub(super) const PPS: u8 = 0xBE;

/// Of the four bits of DCS and CTC that name modem and rate, the one that is set in no name.
pub(super) const NO_RATE_BIT: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    /// The bindings have what the allow-list of their maker lets through.
    #[test]
    fn frame_types_are_those_of_the_bindings() {
        let pairs = [
            (DCS, spandsp_sys::T30_DCS),
            (CTC, spandsp_sys::T30_CTC),
            (DCN, spandsp_sys::T30_DCN),
            (FTT, spandsp_sys::T30_FTT),
            (RTN, spandsp_sys::T30_RTN),
            (RTP, spandsp_sys::T30_RTP),
            (CTR, spandsp_sys::T30_CTR),
            (MCF, spandsp_sys::T30_MCF),
            (MPS, spandsp_sys::T30_MPS),
            (EOM, spandsp_sys::T30_EOM),
            (EOP, spandsp_sys::T30_EOP),
            (PPS, spandsp_sys::T30_PPS),
        ];
        for (own, theirs) in pairs {
            assert_eq!(u32::from(own), theirs);
        }
        // V.17, V.29 and V.27ter at all their rates (T.30, table 2, bits 11 to 14).
        for rate in [0x20, 0x28, 0x24, 0x2C, 0x04, 0x0C, 0x08, 0x00] {
            assert_eq!(rate & NO_RATE_BIT, 0);
        }
    }
}
