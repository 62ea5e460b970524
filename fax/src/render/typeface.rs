//! A font that is drawn with: outlines of TrueType or OpenType, filled by `ab_glyph`.

use std::sync::Arc;

use ab_glyph::{Font, FontArc, PxScale, ScaleFont};
use thiserror::Error;

use crate::Gray;

/// Why there is no font: the configuration's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FontError {
    /// None was handed in.
    #[error("none is installed; Debian's fonts-ipafont-gothic is one")]
    None,
    /// The file is no TrueType or OpenType font.
    #[error("the file is no TrueType or OpenType font")]
    Format,
}

/// A font for header lines, texts and PDFs that bring none.
#[derive(Clone)]
pub struct Typeface {
    bytes: Arc<Vec<u8>>,
    font: FontArc,
}

impl std::fmt::Debug for Typeface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Typeface({} bytes)", self.bytes.len())
    }
}

impl Typeface {
    /// A font from its file's bytes; the first one of a collection.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(bytes: Vec<u8>) -> Result<Self, FontError> {
        let font = FontArc::try_from_vec(bytes.clone()).map_err(|_| FontError::Format)?;
        Ok(Self { bytes: Arc::new(bytes), font })
    }

    pub(super) fn bytes(&self) -> Arc<Vec<u8>> {
        self.bytes.clone()
    }

    /// Draws a line of text from `x` on, on a base line, and says where it ends.
    pub(super) fn draw(&self, on: &mut Gray, size: Size, at: (f32, f32), text: &str) -> f32 {
        let scaled = self.font.as_scaled(size.scale());
        let mut x = at.0;
        for one in text.chars().filter(|one| !one.is_control()) {
            let mut glyph = scaled.scaled_glyph(one);
            glyph.position = ab_glyph::point(x, at.1);
            x += scaled.h_advance(glyph.id);
            let Some(outline) = scaled.outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            let (left, top) = (whole(bounds.min.x), whole(bounds.min.y));
            outline.draw(|dx, dy, cover| {
                on.darken(left + i64::from(dx), top + i64::from(dy), ink(cover));
            });
        }
        x
    }

    /// How wide a text is.
    pub(super) fn width(&self, size: Size, text: &str) -> f32 {
        let scaled = self.font.as_scaled(size.scale());
        let visible = text.chars().filter(|one| !one.is_control());
        visible.map(|one| scaled.h_advance(scaled.glyph_id(one))).sum()
    }

    /// From the top of a line to its base line.
    pub(super) fn ascent(&self, size: Size) -> f32 {
        self.font.as_scaled(size.scale()).ascent()
    }
}

/// The height of a line of text, in picture elements of both directions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Across.
    pub(super) x: f32,
    /// Down.
    pub(super) y: f32,
}

impl Size {
    fn scale(self) -> PxScale {
        PxScale { x: self.x, y: self.y }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn whole(value: f32) -> i64 {
    value.floor() as i64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and cover is 0 to 1"
)]
fn ink(cover: f32) -> u8 {
    (cover * 255.0).round() as u8
}
