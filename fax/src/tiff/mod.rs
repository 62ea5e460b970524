//! The TIFF files of fax (TIFF 6.0; RFC 2306): one bit a picture element in strips, one directory a
//! page. What spandsp writes is read here, and what it sends is written here; so is a stranger's
//! file, which is why nothing in it is believed.
//!
//! Left out: tiles, colour, grey, BigTIFF, and codings that fax does not use.

mod read;
mod write;

use thiserror::Error;

pub use read::{read, salvage};
pub use write::write;

/// Why a file is no fax in TIFF: its writer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TiffError {
    /// It does not begin as TIFF does.
    #[error("this is no TIFF file")]
    NotTiff,
    /// A directory or a strip lies outside of the file.
    #[error("the TIFF file is cut off or damaged")]
    Damaged,
    /// More pages than a file may have, or a circle of directories.
    #[error("more than {limit} pages in the TIFF file")]
    TooManyPages {
        /// The bound.
        limit: usize,
    },
    /// A page that is larger than any fax.
    #[error("a page of {width} by {height} picture elements in the TIFF file")]
    Size {
        /// Picture elements a line.
        width: u32,
        /// Lines.
        height: u32,
    },
    /// Grey, colour or tiles.
    #[error("the TIFF file is not black and white in strips")]
    NotBilevel,
    /// A coding that fax does not use.
    #[error("the TIFF file is compressed by method {method}")]
    Coding {
        /// The value of the tag Compression.
        method: u32,
    },
    /// No page at all.
    #[error("no page in the TIFF file")]
    NoPage,
}

/// The tags that matter (TIFF 6.0, section 8 and appendix A).
mod tag {
    pub(super) const SUBFILE_TYPE: u16 = 254;
    pub(super) const IMAGE_WIDTH: u16 = 256;
    pub(super) const IMAGE_LENGTH: u16 = 257;
    pub(super) const BITS_PER_SAMPLE: u16 = 258;
    pub(super) const COMPRESSION: u16 = 259;
    pub(super) const PHOTOMETRIC: u16 = 262;
    pub(super) const FILL_ORDER: u16 = 266;
    pub(super) const STRIP_OFFSETS: u16 = 273;
    pub(super) const SAMPLES_PER_PIXEL: u16 = 277;
    pub(super) const ROWS_PER_STRIP: u16 = 278;
    pub(super) const STRIP_BYTE_COUNTS: u16 = 279;
    pub(super) const X_RESOLUTION: u16 = 282;
    pub(super) const Y_RESOLUTION: u16 = 283;
    pub(super) const T4_OPTIONS: u16 = 292;
    pub(super) const RESOLUTION_UNIT: u16 = 296;
    pub(super) const PAGE_NUMBER: u16 = 297;
}

#[cfg(test)]
mod tests;
