//! JPEG and PNG: measured before they are decoded, turned as the camera says (EXIF), transparency
//! on white.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};

use super::{Options, RenderError, binarise, fit};
use crate::{Bitmap, Gray, limits};

pub(super) fn sheet(document: &[u8], options: &Options) -> Result<Bitmap, RenderError> {
    let gray = gray(document)?;
    // A picture without a size of its own is as large as the page.
    let dpi = 300.0;
    Ok(binarise(&fit::place(gray, (dpi, dpi), options), options.resolution))
}

fn gray(document: &[u8]) -> Result<Gray, RenderError> {
    let reader = ImageReader::new(Cursor::new(document)).with_guessed_format();
    let mut reader = reader.map_err(|error| damaged(&error))?;
    let mut bounds = Limits::default();
    bounds.max_alloc = Some(limits::PHOTO_PIXELS * 8);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(|error| fault(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits::PHOTO_PIXELS {
        return Err(RenderError::TooManyPixels { width, height, limit: limits::PHOTO_PIXELS });
    }
    let orientation = decoder.orientation();
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| fault(&error))?;
    if let Ok(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Ok(on_white(image))
}

/// Grey by the luma of Rec. 709 that `image` uses; what is transparent is paper.
fn on_white(image: DynamicImage) -> Gray {
    let width = image.width();
    if !image.color().has_alpha() {
        return Gray { width, pixels: image.into_luma8().into_raw() };
    }
    let both = image.into_luma_alpha8().into_raw();
    let pairs = both.chunks_exact(2).map(|pair| match *pair {
        [value, alpha] => {
            let mixed = u16::from(value) * u16::from(alpha) + 255 * (255 - u16::from(alpha));
            u8::try_from(mixed / 255).unwrap_or(255)
        }
        _ => 255,
    });
    Gray { width, pixels: pairs.collect() }
}

fn fault(error: &ImageError) -> RenderError {
    damaged(error)
}

fn damaged(error: &dyn std::fmt::Display) -> RenderError {
    RenderError::Damaged { detail: error.to_string() }
}
