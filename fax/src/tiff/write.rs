//! Writing: little-endian, one strip or more a page, as RFC 2306 has it.

use super::tag;
use crate::coding::{Coding, EncodedPage};

const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;

/// A file of these pages.
#[must_use]
pub fn write(pages: &[EncodedPage]) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for (number, page) in pages.iter().enumerate() {
        let mut offsets = Vec::new();
        for strip in &page.strips {
            offsets.push(length(&file));
            file.extend_from_slice(&strip.data);
            file.resize(file.len().next_multiple_of(2), 0);
        }
        let directory = directory(&mut file, page, &offsets, number, pages.len());
        let here = length(&file);
        put(&mut file, link, here);
        link = file.len() + directory.len() - 4;
        file.extend_from_slice(&directory);
    }
    file
}

/// The directory; values that do not stand in it are appended to the file first.
fn directory(
    file: &mut Vec<u8>,
    page: &EncodedPage,
    offsets: &[u32],
    number: usize,
    of: usize,
) -> Vec<u8> {
    let counts: Vec<u32> = page.strips.iter().map(|strip| length(&strip.data)).collect();
    let rows = page.strips.first().map_or(page.height, |strip| strip.rows);
    let (compression, t4_options) = match page.coding {
        Coding::Raw => (1, 0),
        Coding::PackBits => (32_773, 0),
        Coding::ModifiedHuffman => (2, 0),
        Coding::T4OneDimension => (3, 0),
        Coding::T4TwoDimensions => (3, 1),
        Coding::T6 => (4, 0),
    };
    let small = |value: usize| u32::try_from(value.min(0xFFFF)).unwrap_or(0xFFFF);
    let mut entries = Entries { file, fields: Vec::new() };
    entries.numbers(tag::SUBFILE_TYPE, LONG, &[2]);
    entries.numbers(tag::IMAGE_WIDTH, LONG, &[page.width]);
    entries.numbers(tag::IMAGE_LENGTH, LONG, &[page.height]);
    entries.numbers(tag::BITS_PER_SAMPLE, SHORT, &[1]);
    entries.numbers(tag::COMPRESSION, SHORT, &[compression]);
    entries.numbers(tag::PHOTOMETRIC, SHORT, &[u32::from(page.inverted)]);
    entries.numbers(tag::FILL_ORDER, SHORT, &[1 + u32::from(page.lsb_first)]);
    entries.numbers(tag::STRIP_OFFSETS, LONG, offsets);
    entries.numbers(tag::SAMPLES_PER_PIXEL, SHORT, &[1]);
    entries.numbers(tag::ROWS_PER_STRIP, LONG, &[rows]);
    entries.numbers(tag::STRIP_BYTE_COUNTS, LONG, &counts);
    entries.ratio(tag::X_RESOLUTION, page.dpi.x);
    entries.ratio(tag::Y_RESOLUTION, page.dpi.y);
    if compression == 3 {
        entries.numbers(tag::T4_OPTIONS, LONG, &[t4_options]);
    }
    entries.numbers(tag::RESOLUTION_UNIT, SHORT, &[2]);
    entries.numbers(tag::PAGE_NUMBER, SHORT, &[small(number), small(of)]);
    entries.finish()
}

struct Entries<'f> {
    file: &'f mut Vec<u8>,
    fields: Vec<[u8; 12]>,
}

impl Entries<'_> {
    fn numbers(&mut self, tag: u16, kind: u16, values: &[u32]) {
        let mut bytes = Vec::new();
        for value in values {
            let value = value.to_le_bytes();
            bytes.extend_from_slice(if kind == SHORT { &value[..2] } else { &value });
        }
        self.field(tag, kind, values.len(), &bytes);
    }

    /// In hundredths.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and a resolution is small and positive"
    )]
    fn ratio(&mut self, tag: u16, value: f32) {
        let mut bytes = ((value * 100.0).round() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&100_u32.to_le_bytes());
        self.field(tag, RATIONAL, 1, &bytes);
    }

    fn field(&mut self, tag: u16, kind: u16, count: usize, bytes: &[u8]) {
        let mut value = [0; 4];
        if let Some(inside) = value.get_mut(..bytes.len()) {
            inside.copy_from_slice(bytes);
        } else {
            self.file.resize(self.file.len().next_multiple_of(2), 0);
            value = length(self.file).to_le_bytes();
            self.file.extend_from_slice(bytes);
        }
        let mut field = [0; 12];
        let count = u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        let parts = tag.to_le_bytes().into_iter().chain(kind.to_le_bytes());
        let parts = parts.chain(count).chain(value);
        field.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        self.fields.push(field);
    }

    fn finish(self) -> Vec<u8> {
        self.file.resize(self.file.len().next_multiple_of(2), 0);
        let count = u16::try_from(self.fields.len()).unwrap_or(u16::MAX);
        let mut directory = count.to_le_bytes().to_vec();
        self.fields.iter().for_each(|field| directory.extend_from_slice(field));
        directory.extend_from_slice(&[0; 4]);
        directory
    }
}

/// Files of four gigabytes are not written: [`crate::limits`] end them long before.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn put(file: &mut [u8], at: usize, value: u32) {
    if let Some(place) = file.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}
