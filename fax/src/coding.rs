//! How lines are coded on the wire and in files: ITU-T T.4 (one and two dimensions) and T.6. Coding
//! is by the `fax` crate, decoding by `hayro-ccitt`; both are free of `unsafe`.

use fax::encoder::Encoder;
use fax::{Color, VecWriter};
use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode};
use thiserror::Error;

use crate::{Bitmap, Dpi, limits};

/// How the lines of a page are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// One bit a picture element, lines padded to bytes.
    Raw,
    /// Apple's PackBits over that (TIFF 6.0, section 9).
    PackBits,
    /// Modified Huffman without ends of lines, lines begin on bytes (TIFF 6.0, section 10).
    ModifiedHuffman,
    /// T.4, one dimension; with ends of lines.
    T4OneDimension,
    /// T.4, two dimensions; with ends of lines.
    T4TwoDimensions,
    /// T.6 (MMR, Group 4).
    T6,
}

/// Some lines of a page, coded by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strip {
    /// Lines in it, at least one.
    pub rows: u32,
    /// Their code.
    pub data: Vec<u8>,
}

/// A page as it stands in a file or came from the line.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedPage {
    /// Picture elements a line, 1 to [`limits::PAGE_WIDTH`].
    pub width: u32,
    /// Lines, 1 to [`limits::PAGE_HEIGHT`].
    pub height: u32,
    /// What an inch is.
    pub dpi: Dpi,
    /// How the strips are coded.
    pub coding: Coding,
    /// The first picture element is the least significant bit of its byte (FillOrder 2).
    pub lsb_first: bool,
    /// Black runs are white and the other way (PhotometricInterpretation 1).
    pub inverted: bool,
    /// The lines, from top to bottom.
    pub strips: Vec<Strip>,
}

/// Why a page cannot be decoded: its writer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodingError {
    /// Not one line could be read.
    #[error("no line of the page can be read")]
    NoLine,
    /// The page is larger than any.
    #[error("a page of {width} by {height} picture elements")]
    Size {
        /// Picture elements a line.
        width: u32,
        /// Lines.
        height: u32,
    },
}

impl EncodedPage {
    /// Codes a page by T.6 in one strip, most significant bit first.
    #[must_use]
    pub fn t6(page: &Bitmap, dpi: Dpi) -> Self {
        Self {
            width: page.width(),
            height: page.height(),
            dpi,
            coding: Coding::T6,
            lsb_first: false,
            inverted: false,
            strips: vec![Strip { rows: page.height(), data: encode_t6(page) }],
        }
    }

    /// Bytes of all strips.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.strips.iter().map(|strip| strip.data.len()).sum()
    }

    /// The picture elements. Lines behind a fault in a strip are white: what came is kept.
    ///
    /// # Errors
    /// When the page is too large, or nothing of it can be read.
    pub fn decode(&self) -> Result<Bitmap, CodingError> {
        let (width, height) = (self.width, self.height);
        let sizes = 1..=limits::PAGE_WIDTH;
        if !sizes.contains(&width) || !(1..=limits::PAGE_HEIGHT).contains(&height) {
            return Err(CodingError::Size { width, height });
        }
        let mut page = Bitmap::new(width);
        let (mut read, mut end) = (0, 0);
        for strip in &self.strips {
            let rows = strip.rows.min(height - end);
            read += self.decode_strip(strip, rows, &mut page);
            end += rows;
            while page.height() < end {
                page.push_row(&[]);
            }
        }
        while page.height() < height {
            page.push_row(&[]);
        }
        if read == 0 {
            return Err(CodingError::NoLine);
        }
        if self.inverted {
            page.invert();
        }
        Ok(page)
    }

    /// Appends at most `rows` lines; says how many there were.
    fn decode_strip(&self, strip: &Strip, rows: u32, page: &mut Bitmap) -> u32 {
        let reversed: Vec<u8>;
        let data = if self.lsb_first {
            reversed = strip.data.iter().map(|byte| byte.reverse_bits()).collect();
            &reversed
        } else {
            &strip.data
        };
        let stride = (self.width as usize).div_ceil(8);
        let before = page.height();
        match self.coding {
            Coding::Raw => {
                data.chunks(stride).take(rows as usize).for_each(|row| page.push_row(row));
            }
            Coding::PackBits => {
                let whole = unpack_bits(data, stride * rows as usize);
                whole.chunks(stride).for_each(|row| page.push_row(row));
            }
            Coding::ModifiedHuffman => {
                self.decode_runs(data, rows, (EncodingMode::Group3_1D, false, true), page);
            }
            Coding::T4OneDimension => {
                self.decode_runs(data, rows, (EncodingMode::Group3_1D, true, false), page);
            }
            Coding::T4TwoDimensions => {
                self.decode_runs(data, rows, (EncodingMode::Group3_2D, true, false), page);
            }
            Coding::T6 => {
                self.decode_runs(data, rows, (EncodingMode::Group4, false, false), page);
            }
        }
        page.height() - before
    }

    fn decode_runs(
        &self,
        data: &[u8],
        rows: u32,
        (encoding, end_of_line, rows_are_byte_aligned): (EncodingMode, bool, bool),
        page: &mut Bitmap,
    ) {
        let settings = DecodeSettings {
            columns: self.width,
            rows,
            end_of_block: true,
            end_of_line,
            rows_are_byte_aligned,
            encoding,
            strict: false,
        };
        let mut lines = Lines { page, left: rows };
        // A fault ends the strip; the lines before it are in the page.
        let _fault = hayro_ccitt::decode(data, &mut lines, &mut DecoderContext::new(settings));
    }
}

struct Lines<'p> {
    page: &'p mut Bitmap,
    left: u32,
}

impl Decoder for Lines<'_> {
    fn push_row(&mut self, changes: &[u32]) {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.page.push_changes(changes);
        }
    }
}

/// The T.6 code of a page, with the end of facsimile block.
fn encode_t6(page: &Bitmap) -> Vec<u8> {
    let writer = VecWriter::with_capacity(page.width() as usize * page.height() as usize / 20);
    let mut encoder = Encoder::new(writer);
    for row in page.rows() {
        let bits = row.iter().flat_map(|byte| (0..8).map(move |bit| byte & (0x80 >> bit) != 0));
        let colors = bits.take(page.width() as usize);
        let colors = colors.map(|black| if black { Color::Black } else { Color::White });
        let Ok(()) = encoder.encode_line(colors, page.width());
    }
    let Ok(writer) = encoder.finish();
    writer.finish()
}

/// At most `most` bytes; a run that is cut off ends it.
fn unpack_bits(mut data: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((&head, rest)) = data.split_first() {
        data = rest;
        match head {
            0..=127 => {
                let literal = rest.get(..usize::from(head) + 1).unwrap_or(rest);
                out.extend_from_slice(literal);
                data = rest.get(literal.len()..).unwrap_or_default();
            }
            128 => {}
            129..=255 => {
                let Some((&byte, rest)) = rest.split_first() else { break };
                out.resize(out.len() + 257 - usize::from(head), byte);
                data = rest;
            }
        }
        if out.len() >= most {
            break;
        }
    }
    out.truncate(most);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Resolution;

    /// Pages with the runs that fax pages have: long and short ones, lines like the one above.
    fn pages() -> impl Strategy<Value = Bitmap> {
        let line = prop::collection::vec(1_u32..300, 0..30);
        (1_u32..2_500, prop::collection::vec(line, 1..40)).prop_map(|(width, lines)| {
            let mut page = Bitmap::new(width);
            for line in lines {
                let ends = line.iter().scan(0, |at, run| {
                    *at += run;
                    Some(*at)
                });
                let changes: Vec<u32> = ends.take_while(|at| *at < width).collect();
                page.push_changes(&changes);
            }
            page
        })
    }

    proptest! {
        #[test]
        fn what_is_coded_by_t6_decodes_to_the_same(page in pages()) {
            let coded = EncodedPage::t6(&page, Resolution::Fine.dpi());
            prop_assert!(coded.decode().unwrap() == page);
        }

        #[test]
        fn any_bytes_decode_to_a_page_of_the_size_that_was_said(
            data in prop::collection::vec(any::<u8>(), 0..400),
            width in 0_u32..3_000, height in 0_u32..300, kind in 0_usize..6, lsb_first: bool,
        ) {
            let coding = [
                Coding::Raw, Coding::PackBits, Coding::ModifiedHuffman, Coding::T4OneDimension,
                Coding::T4TwoDimensions, Coding::T6,
            ][kind];
            let strips = vec![Strip { rows: height.max(1), data }];
            let dpi = Resolution::Fine.dpi();
            let page =
                EncodedPage { width, height, dpi, coding, lsb_first, inverted: false, strips };
            if let Ok(decoded) = page.decode() {
                prop_assert_eq!((decoded.width(), decoded.height()), (width, height));
            }
        }
    }

    #[test]
    fn pack_bits_of_the_specification() {
        let packed = [0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0, 0x2A, 0x22];
        let plain = [0xAA, 0xAA, 0xAA, 0x80, 0, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0, 0x2A, 0x22];
        assert_eq!(unpack_bits(&packed, 100), plain);
        assert_eq!(unpack_bits(&packed, 5), plain[..5]);
    }

    #[test]
    fn what_came_before_a_cut_is_kept_and_the_rest_is_white() {
        let mut page = Bitmap::new(1_728);
        for line in 0..100 {
            page.push_changes(&[line * 7 % 900, 1_000 + line * 3]);
        }
        let mut coded = EncodedPage::t6(&page, Resolution::Fine.dpi());
        let whole = coded.strips[0].data.len();
        coded.strips[0].data.truncate(whole / 2);
        let cut = coded.decode().unwrap();
        assert_eq!(cut.height(), 100);
        assert!(cut.ink() > page.ink() / 4 && cut.ink() < page.ink());
        assert!(cut.rows().zip(page.rows()).take(20).all(|(one, other)| one == other));
    }

    #[test]
    fn a_page_without_a_line_is_an_error_and_a_huge_one_too() {
        let dpi = Resolution::Fine.dpi();
        let mut page = EncodedPage::t6(&Bitmap::white(100, 1), dpi);
        page.strips.clear();
        assert_eq!(page.decode(), Err(CodingError::NoLine));
        page.height = 4_000_000_000;
        assert!(matches!(page.decode(), Err(CodingError::Size { .. })));
    }
}
