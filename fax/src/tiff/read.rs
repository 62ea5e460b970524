//! Reading (TIFF 6.0, section 2).

use super::{TiffError, tag};
use crate::coding::{Coding, EncodedPage, Strip};
use crate::resolution::Dpi;
use crate::{Resolution, limits};

/// Fields of a directory that are looked at; fax files have about twenty.
const FIELDS: usize = 256;

/// The pages of a file, in its order. Reduced images beside them (thumbnails) are passed over.
///
/// # Errors
/// The first fault; nothing of a file with one is returned.
pub fn read(file: &[u8]) -> Result<Vec<EncodedPage>, TiffError> {
    let mut pages = Vec::new();
    collect(file, &mut pages)?;
    if pages.is_empty() { Err(TiffError::NoPage) } else { Ok(pages) }
}

/// The pages before the first fault of a file whose writer died: what was finished is there.
#[must_use]
pub fn salvage(file: &[u8]) -> Vec<EncodedPage> {
    let mut pages = Vec::new();
    let _fault = collect(file, &mut pages);
    pages
}

fn collect(file: &[u8], pages: &mut Vec<EncodedPage>) -> Result<(), TiffError> {
    let reader = Reader::new(file)?;
    let mut next = reader.u32_at(4).ok_or(TiffError::Damaged)?;
    let mut directories = 0;
    // A file may hold as many reduced images as pages; a circle ends here too.
    while next != 0 {
        directories += 1;
        if directories > 2 * limits::FILE_PAGES || pages.len() >= limits::FILE_PAGES {
            return Err(TiffError::TooManyPages { limit: limits::FILE_PAGES });
        }
        let (directory, after) = Directory::read(&reader, next)?;
        if directory.number(tag::SUBFILE_TYPE).unwrap_or(0) & 1 == 0 {
            pages.push(directory.page()?);
        }
        next = after;
    }
    Ok(())
}

struct Reader<'f> {
    file: &'f [u8],
    big_endian: bool,
}

impl<'f> Reader<'f> {
    fn new(file: &'f [u8]) -> Result<Self, TiffError> {
        let big_endian = match file.first_chunk() {
            Some(b"II*\0") => false,
            Some(b"MM\0*") => true,
            _ => return Err(TiffError::NotTiff),
        };
        if file.len() > limits::FILE_BYTES {
            return Err(TiffError::Damaged);
        }
        Ok(Self { file, big_endian })
    }

    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.file.get(at..)?.first_chunk().copied()
    }

    fn u16_at(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes(at)?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes(at)?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

/// A field: its tag, its type and count, and where its values begin.
#[derive(Clone, Copy)]
struct Field {
    tag: u16,
    kind: u16,
    count: usize,
    at: usize,
}

struct Directory<'r, 'f> {
    reader: &'r Reader<'f>,
    fields: Vec<Field>,
}

impl<'r, 'f> Directory<'r, 'f> {
    /// The directory at this place, and the place of the next one.
    fn read(reader: &'r Reader<'f>, at: u32) -> Result<(Self, u32), TiffError> {
        let at = at as usize;
        let count = usize::from(reader.u16_at(at).ok_or(TiffError::Damaged)?);
        if count > FIELDS {
            return Err(TiffError::Damaged);
        }
        let mut fields = Vec::with_capacity(count);
        for index in 0..count {
            let entry = at + 2 + index * 12;
            let field = Field::read(reader, entry).ok_or(TiffError::Damaged)?;
            fields.push(field);
        }
        let next = reader.u32_at(at + 2 + count * 12).ok_or(TiffError::Damaged)?;
        Ok((Self { reader, fields }, next))
    }

    fn field(&self, tag: u16) -> Option<Field> {
        self.fields.iter().find(|field| field.tag == tag).copied()
    }

    /// The first value of a field of whole numbers.
    fn number(&self, tag: u16) -> Option<u32> {
        self.field(tag)?.number(self.reader, 0)
    }

    /// All values of a field of whole numbers.
    fn numbers(&self, tag: u16) -> Result<Vec<u32>, TiffError> {
        let field = self.field(tag).ok_or(TiffError::Damaged)?;
        if field.count > limits::PAGE_STRIPS {
            return Err(TiffError::Damaged);
        }
        let values = (0..field.count).map(|index| field.number(self.reader, index));
        values.collect::<Option<_>>().ok_or(TiffError::Damaged)
    }

    fn page(&self) -> Result<EncodedPage, TiffError> {
        let width = self.number(tag::IMAGE_WIDTH).ok_or(TiffError::NotBilevel)?;
        let height = self.number(tag::IMAGE_LENGTH).ok_or(TiffError::NotBilevel)?;
        let fits = (1..=limits::PAGE_WIDTH).contains(&width);
        if !fits || !(1..=limits::PAGE_HEIGHT).contains(&height) {
            return Err(TiffError::Size { width, height });
        }
        let one = |tag| self.number(tag).unwrap_or(1) == 1;
        let photometric = self.number(tag::PHOTOMETRIC).unwrap_or(0);
        if !one(tag::BITS_PER_SAMPLE) || !one(tag::SAMPLES_PER_PIXEL) || photometric > 1 {
            return Err(TiffError::NotBilevel);
        }
        Ok(EncodedPage {
            width,
            height,
            dpi: self.dpi(),
            coding: self.coding()?,
            lsb_first: self.number(tag::FILL_ORDER) == Some(2),
            inverted: photometric == 1,
            strips: self.strips(height)?,
        })
    }

    fn coding(&self) -> Result<Coding, TiffError> {
        let two_dimensions = self.number(tag::T4_OPTIONS).unwrap_or(0) & 1 != 0;
        match self.number(tag::COMPRESSION).unwrap_or(1) {
            1 => Ok(Coding::Raw),
            2 => Ok(Coding::ModifiedHuffman),
            3 if two_dimensions => Ok(Coding::T4TwoDimensions),
            3 => Ok(Coding::T4OneDimension),
            4 => Ok(Coding::T6),
            32_773 => Ok(Coding::PackBits),
            method => Err(TiffError::Coding { method }),
        }
    }

    /// Fine, when the file says nothing or nonsense.
    fn dpi(&self) -> Dpi {
        // 3 is the centimetre; 1 gives only the aspect, which fax writers mean as inches.
        let scale = if self.number(tag::RESOLUTION_UNIT) == Some(3) { 2.54 } else { 1.0 };
        let ratio = |tag| Some(self.field(tag)?.ratio(self.reader)? * scale);
        let both = ratio(tag::X_RESOLUTION).zip(ratio(tag::Y_RESOLUTION));
        both.and_then(|(x, y)| Dpi::sane(x, y)).unwrap_or(Resolution::Fine.dpi())
    }

    fn strips(&self, height: u32) -> Result<Vec<Strip>, TiffError> {
        let offsets = self.numbers(tag::STRIP_OFFSETS)?;
        let counts = self.numbers(tag::STRIP_BYTE_COUNTS)?;
        let rows = self.number(tag::ROWS_PER_STRIP).unwrap_or(u32::MAX).clamp(1, height);
        let needed = height.div_ceil(rows) as usize;
        if offsets.len() != counts.len() || offsets.len() < needed {
            return Err(TiffError::Damaged);
        }
        let mut left = height;
        let mut bytes = 0_usize;
        let mut strips = Vec::with_capacity(needed);
        for (offset, count) in offsets.into_iter().zip(counts).take(needed) {
            let range = offset as usize..(offset as usize).saturating_add(count as usize);
            let data = self.reader.file.get(range).ok_or(TiffError::Damaged)?;
            // Strips that lie on each other would make a small file a large page.
            bytes = bytes.saturating_add(data.len());
            if bytes > self.reader.file.len() {
                return Err(TiffError::Damaged);
            }
            let rows = rows.min(left);
            left -= rows;
            strips.push(Strip { rows, data: data.to_vec() });
        }
        Ok(strips)
    }
}

const BYTE: u16 = 1;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;

impl Field {
    fn read(reader: &Reader<'_>, entry: usize) -> Option<Self> {
        let (tag, kind) = (reader.u16_at(entry)?, reader.u16_at(entry + 2)?);
        let count = reader.u32_at(entry + 4)? as usize;
        let size = match kind {
            SHORT => 2,
            LONG => 4,
            RATIONAL => 8,
            _ => 1,
        };
        // Up to four bytes stand in the entry itself.
        let inside = count.saturating_mul(size) <= 4;
        let at = if inside { entry + 8 } else { reader.u32_at(entry + 8)? as usize };
        Some(Self { tag, kind, count, at })
    }

    fn number(self, reader: &Reader<'_>, index: usize) -> Option<u32> {
        if index >= self.count {
            return None;
        }
        match self.kind {
            BYTE => reader.bytes::<1>(self.at.checked_add(index)?).map(|[byte]| u32::from(byte)),
            SHORT => reader.u16_at(self.at.checked_add(index * 2)?).map(u32::from),
            LONG => reader.u32_at(self.at.checked_add(index * 4)?),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a resolution has three digits")]
    fn ratio(self, reader: &Reader<'_>) -> Option<f32> {
        if self.kind != RATIONAL || self.count == 0 {
            return None;
        }
        let (above, below) = (reader.u32_at(self.at)?, reader.u32_at(self.at.checked_add(4)?)?);
        (below != 0).then(|| above as f32 / below as f32)
    }
}
