//! A document becomes fax pages: PDF, JPEG, PNG, TIFF or text is drawn in grey at the fax's own
//! aspect, made black and white so that text stays sharp and tints stay tints, gets its header line
//! and is coded by T.6 (ITU-T T.6).
//!
//! The documents are strangers'. What can be bounded is bounded before anything is decoded; time
//! and memory have their bounds in the process that this runs in, which ends with its document.

mod binarise;
mod fit;
mod header;
mod pdf;
mod photo;
mod text;
mod typeface;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use binarise::{binarise, floyd_steinberg};
pub use header::Header;
pub use typeface::{FontError, Typeface};

use crate::coding::EncodedPage;
use crate::{Bitmap, Paper, Resolution, tiff};

/// Where Debian puts fonts with Japanese, the preferred first: `fonts-ipafont-gothic` (IPA Font
/// License 1.0), `fonts-ipaexfont-gothic` (the same), `fonts-vlgothic` (BSD and M+ licences),
/// `fonts-noto-cjk` (SIL Open Font License 1.1). Read by the process, never shipped.
pub const FONTS: [&str; 4] = [
    "/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf",
    "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf",
    "/usr/share/fonts/truetype/vlgothic/VL-Gothic-Regular.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
];

/// What a document is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// PDF.
    Pdf,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// TIFF, as fax programs write it.
    Tiff,
    /// Text in UTF-8.
    Text,
}

impl Kind {
    /// What the bytes are, whatever the file is called; `None` for what cannot be sent.
    #[must_use]
    pub fn of(document: &[u8]) -> Option<Self> {
        // Readers accept a PDF whose head stands within the first kilobyte.
        let head = document.get(..1_024).unwrap_or(document);
        match document {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Some(Self::Tiff),
            _ if head.windows(5).any(|five| five == b"%PDF-") => Some(Self::Pdf),
            [] => None,
            _ => text::is_text(document).then_some(Self::Text),
        }
    }
}

/// How a document is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Lines a millimetre.
    pub resolution: Resolution,
    /// The largest paper that the other machine takes; A4 when that is not known.
    pub largest: Paper,
    /// The line at the top of every page; none when a received fax is passed on.
    pub header: Option<Header>,
    /// Pages that may be sent (S-35).
    pub max_pages: usize,
    /// Bytes that the document may have (S-35).
    pub max_bytes: u64,
    /// Seconds that sending may take, as [`seconds`] estimates them.
    pub max_seconds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            resolution: Resolution::Fine,
            largest: Paper::A4,
            header: None,
            max_pages: 10,
            max_bytes: 10_000_000,
            max_seconds: 3_600,
        }
    }
}

/// Why a document cannot be sent. All but [`RenderError::Font`] are the document's fault and told
/// to whoever sends it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RenderError {
    /// More bytes than may be sent.
    #[error("the document has {bytes} bytes, {limit} are allowed")]
    TooLarge {
        /// Its bytes.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// No PDF, JPEG, PNG, TIFF or text.
    #[error("the document is no PDF, JPEG, PNG, TIFF or text in UTF-8")]
    Kind,
    /// It wants a password.
    #[error("the document is protected by a password")]
    Password,
    /// It is cut off or damaged.
    #[error("the document is damaged: {detail}")]
    Damaged {
        /// What the reader says.
        detail: String,
    },
    /// More pages than may be sent.
    #[error("the document has {pages} pages, {limit} are allowed")]
    TooManyPages {
        /// Its pages.
        pages: usize,
        /// The bound.
        limit: usize,
    },
    /// A photo of more picture elements than are decoded.
    #[error("the picture has {width} by {height} picture elements, {limit} in all are allowed")]
    TooManyPixels {
        /// Picture elements across.
        width: u32,
        /// Picture elements down.
        height: u32,
        /// The bound on their product.
        limit: u64,
    },
    /// It would take too long to send.
    #[error("sending would take about {seconds} s, {limit} are allowed")]
    TooLong {
        /// The estimate.
        seconds: u32,
        /// The bound.
        limit: u32,
    },
    /// Nothing in it.
    #[error("the document has no page")]
    NoPage,
    /// No font for the header line or for text: the configuration's fault.
    #[error("no usable font: {0}")]
    Font(#[from] FontError),
}

/// The pages of a document, ready to be sent.
///
/// # Errors
/// Why it cannot be sent; nothing is sent of a document with an error.
pub fn render(
    document: &[u8],
    options: &Options,
    typeface: Option<&Typeface>,
) -> Result<Vec<EncodedPage>, RenderError> {
    let bytes = document.len() as u64;
    if bytes > options.max_bytes {
        return Err(RenderError::TooLarge { bytes, limit: options.max_bytes });
    }
    let kind = Kind::of(document).ok_or(RenderError::Kind)?;
    let mut sheets = match kind {
        Kind::Pdf => pdf::sheets(document, options, typeface)?,
        Kind::Jpeg | Kind::Png => vec![photo::sheet(document, options)?],
        Kind::Tiff => tiff_sheets(document, options)?,
        Kind::Text => text::sheets(document, options, typeface)?,
    };
    if sheets.is_empty() {
        return Err(RenderError::NoPage);
    }
    if let Some(header) = &options.header {
        let typeface = typeface.ok_or(FontError::None)?;
        let of = sheets.len();
        for (number, sheet) in (1..).zip(&mut sheets) {
            *sheet = header.above(sheet, (number, of), options.resolution, typeface);
        }
    }
    let dpi = options.resolution.dpi();
    let pages: Vec<EncodedPage> = sheets.iter().map(|sheet| EncodedPage::t6(sheet, dpi)).collect();
    let seconds = seconds(&pages, 14_400);
    if seconds > options.max_seconds {
        return Err(RenderError::TooLong { seconds, limit: options.max_seconds });
    }
    Ok(pages)
}

/// Seconds that pages take on the wire at so many bit/s: their code, four seconds a page for
/// training and confirmation, ten for the call.
#[must_use]
pub fn seconds(pages: &[EncodedPage], bit_rate: u32) -> u32 {
    let bits = pages.iter().map(|page| page.bytes() as u64 * 8).sum::<u64>();
    let code = u32::try_from(bits.div_ceil(u64::from(bit_rate.max(1)))).unwrap_or(u32::MAX);
    let pages = u32::try_from(pages.len()).unwrap_or(u32::MAX);
    code.saturating_add(pages.saturating_mul(4)).saturating_add(10)
}

/// Refuses more pages than are allowed.
fn check_pages(pages: usize, options: &Options) -> Result<(), RenderError> {
    let limit = options.max_pages;
    if pages > limit { Err(RenderError::TooManyPages { pages, limit }) } else { Ok(()) }
}

/// The size of the sheet's picture: the paper less its header line.
fn room(paper: Paper, options: &Options) -> (u32, u32) {
    let height = paper.height(options.resolution);
    let header = options.header.as_ref().map_or(0, |_| header::rows(options.resolution));
    (paper.width(), height - header)
}

/// Pages of a fax in TIFF: as they are when they have a fax's width and resolution.
fn tiff_sheets(document: &[u8], options: &Options) -> Result<Vec<Bitmap>, RenderError> {
    let damaged =
        |error: &dyn std::fmt::Display| RenderError::Damaged { detail: error.to_string() };
    let pages = tiff::read(document).map_err(|error| match error {
        tiff::TiffError::NoPage => RenderError::NoPage,
        tiff::TiffError::TooManyPages { limit } => {
            RenderError::TooManyPages { pages: limit, limit: options.max_pages }
        }
        other => damaged(&other),
    })?;
    check_pages(pages.len(), options)?;
    let mut sheets = Vec::with_capacity(pages.len());
    for page in pages {
        let picture = page.decode().map_err(|error| damaged(&error))?;
        let paper = [Paper::A4, Paper::B4].into_iter().find(|paper| paper.width() == page.width);
        let same = Resolution::nearest(page.dpi.y) == options.resolution;
        if let Some(paper) = paper.filter(|paper| same && *paper <= options.largest)
            && page.height <= room(paper, options).1 * 11 / 10
        {
            sheets.push(picture);
            continue;
        }
        let gray = picture.to_gray();
        drop(picture);
        let placed = fit::place(gray, (page.dpi.x, page.dpi.y), options);
        sheets.push(placed.below(EDGE));
    }
    Ok(sheets)
}

/// What is scaled from black and white has grey only at its edges; thin lines stay.
const EDGE: u8 = 150;

#[cfg(test)]
mod tests;
