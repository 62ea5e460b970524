//! Pages as JPEG, whole or as a thumbnail: what apps show. Picture elements become square by
//! averaging, so that lines of text stay readable when they are made smaller.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, GrayImage, imageops};
use thiserror::Error;

use crate::{Bitmap, Dpi, Gray};

/// Dots an inch of a whole page: A4 becomes 1270 dots wide.
pub const PAGE_DPI: f32 = 150.0;

/// Dots across a thumbnail.
pub const THUMBNAIL_WIDTH: u32 = 240;

const PAGE_QUALITY: u8 = 80;
const THUMBNAIL_QUALITY: u8 = 70;

/// The encoder has refused a page: larger than JPEG allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a page of {width} by {height} picture elements cannot be a JPEG")]
pub struct PictureError {
    /// Picture elements a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

/// A page at [`PAGE_DPI`].
///
/// # Errors
/// When it is too large for JPEG.
pub fn jpeg(page: &Bitmap, dpi: Dpi) -> Result<Vec<u8>, PictureError> {
    let width = scaled(page.width(), PAGE_DPI / dpi.x);
    let height = scaled(page.height(), PAGE_DPI / dpi.y);
    encode(page, (width, height), PAGE_QUALITY)
}

/// A page [`THUMBNAIL_WIDTH`] dots wide.
///
/// # Errors
/// When it is too large for JPEG.
pub fn thumbnail(page: &Bitmap, dpi: Dpi) -> Result<Vec<u8>, PictureError> {
    let width = THUMBNAIL_WIDTH;
    #[expect(clippy::cast_precision_loss, reason = "pages have less than 2^24 picture elements")]
    let factor = width as f32 / page.width().max(1) as f32;
    let height = scaled(page.height(), factor * dpi.x / dpi.y);
    encode(page, (width, height), THUMBNAIL_QUALITY)
}

fn encode(page: &Bitmap, size: (u32, u32), quality: u8) -> Result<Vec<u8>, PictureError> {
    let small = resize(page.to_gray(), size.0, size.1);
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut out, quality);
    encoder
        .encode(&small.pixels, small.width(), small.height(), ExtendedColorType::L8)
        .map_err(|_| PictureError { width: size.0, height: size.1 })?;
    Ok(out)
}

/// A raster in another size; smaller by averaging, larger by a straight line between two values.
#[must_use]
pub fn resize(from: Gray, width: u32, height: u32) -> Gray {
    if (from.width(), from.height()) == (width, height) {
        return from;
    }
    let (old_width, old_height) = (from.width(), from.height());
    let Some(image) = GrayImage::from_raw(old_width, old_height, from.pixels) else {
        return Gray::white(width, height);
    };
    let filter = imageops::FilterType::Triangle;
    let scaled = imageops::resize(&image, width.max(1), height.max(1), filter);
    Gray { width: width.max(1), pixels: scaled.into_raw() }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the cast saturates, and the encoder refuses what is too large"
)]
fn scaled(elements: u32, factor: f32) -> u32 {
    ((elements as f32 * factor).round() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::circle;

    #[test]
    fn a_page_and_its_thumbnail_have_square_dots() {
        let dpi = Dpi { x: 204.0, y: 98.0 };
        let page = circle(1_728, 1_143, dpi);
        let whole = image::load_from_memory(&jpeg(&page, dpi).unwrap()).unwrap().to_luma8();
        assert_eq!(whole.dimensions(), (1_271, 1_749));
        let small = image::load_from_memory(&thumbnail(&page, dpi).unwrap()).unwrap().to_luma8();
        assert_eq!(small.dimensions(), (240, 330));
        let mean = |image: &GrayImage| {
            image.as_raw().iter().map(|value| f64::from(*value)).sum::<f64>()
                / image.as_raw().len() as f64
        };
        let ink = 255.0 * (1.0 - page.ink() as f64 / (1_728.0 * 1_143.0));
        assert!((mean(&whole) - ink).abs() < 2.0, "{} and {ink}", mean(&whole));
        assert!((mean(&small) - ink).abs() < 3.0, "{} and {ink}", mean(&small));
    }
}
