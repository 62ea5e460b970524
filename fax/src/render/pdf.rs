//! PDF by `hayro`, which draws each page at the fax's two scales in one step. A font that the
//! document does not bring is taken from the configuration when it is Japanese, and from hayro's
//! own fourteen otherwise.

use std::sync::Arc;

use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_interpret::font::{FontData, FontQuery};
use hayro::hayro_interpret::util::TransformExt;
use hayro::hayro_syntax::page::Page;
use hayro::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro::kurbo::Affine;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::{Pixmap, RasterizerSettings, RenderContext, Resources, TargetInit};
use hayro::{RenderCache, RenderSettings, render_into};

use super::{Options, RenderError, Typeface, binarise, check_pages, room};
use crate::{Bitmap, Gray, Paper};

pub(super) fn sheets(
    document: &[u8],
    options: &Options,
    typeface: Option<&Typeface>,
) -> Result<Vec<Bitmap>, RenderError> {
    let pdf = Pdf::new(document.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => RenderError::Password,
        other => RenderError::Damaged { detail: format!("{other:?}") },
    })?;
    check_pages(pdf.pages().len(), options)?;
    let settings = settings(typeface);
    let cache = RenderCache::new();
    pdf.pages().iter().map(|page| sheet(page, &cache, &settings, options)).collect()
}

fn settings(typeface: Option<&Typeface>) -> InterpreterSettings {
    let own: Option<FontData> = typeface.map(|typeface| {
        let bytes: FontData = typeface.bytes();
        bytes
    });
    InterpreterSettings {
        font_resolver: Arc::new(move |query| match query {
            FontQuery::Standard(font) => Some(font.get_font_data()),
            FontQuery::Fallback(font) => match (&own, &font.character_collection) {
                (Some(own), Some(_)) => Some((own.clone(), 0)),
                _ => Some(font.pick_standard_font().get_font_data()),
            },
        }),
        ..InterpreterSettings::default()
    }
}

fn sheet<'a>(
    page: &'a Page<'a>,
    cache: &RenderCache<'a>,
    settings: &InterpreterSettings,
    options: &Options,
) -> Result<Bitmap, RenderError> {
    let (width, height) = page.render_dimensions();
    if !POINTS.contains(&width) || !POINTS.contains(&height) {
        let detail = format!("a page of {width} by {height} points");
        return Err(RenderError::Damaged { detail });
    }
    let landscape = width > height;
    let (across, down) = if landscape { (height, width) } else { (width, height) };
    let paper = Paper::for_sheet(across * 25.4 / 72.0, down * 25.4 / 72.0, options.largest);
    let (room_x, room_y) = room(paper, options);
    let fax = options.resolution.dpi();
    let factor = (f64::from(room_x) * 72.0 / f64::from(across * fax.x))
        .min(f64::from(room_y) * 72.0 / f64::from(down * fax.y));
    let scale = (f64::from(fax.x) / 72.0 * factor, f64::from(fax.y) / 72.0 * factor);
    let margin = (f64::from(room_x) - f64::from(across) * scale.0) / 2.0;
    // A quarter turn clockwise: what is left comes to the top.
    let turn = if landscape {
        Affine::new([0.0, 1.0, -1.0, 0.0, f64::from(height), 0.0])
    } else {
        Affine::IDENTITY
    };
    let transform = Affine::translate((margin, 0.0))
        * Affine::scale_non_uniform(scale.0, scale.1)
        * turn
        * page.initial_transform(true).to_kurbo();
    let size = |elements: u32| u16::try_from(elements).unwrap_or(u16::MAX);
    let mut context = RenderContext::new(size(room_x), size(room_y));
    render_into(page, cache, settings, &RenderSettings::default(), &mut context, transform);
    context.flush();
    let mut pixmap = Pixmap::new(context.width(), context.height());
    let clear = RasterizerSettings { target_init: TargetInit::Clear(WHITE), ..Default::default() };
    context.render_with(&mut pixmap, &mut Resources::default(), clear);
    Ok(binarise(&gray(&pixmap, room_x), options.resolution))
}

/// A stamp to a wall poster; what is beyond is a damaged page box.
const POINTS: std::ops::RangeInclusive<f32> = 18.0..=14_400.0;

/// Grey of what was drawn on white.
fn gray(pixmap: &Pixmap, width: u32) -> Gray {
    let values = pixmap.data_as_u8_slice().chunks_exact(4).map(|rgba| match *rgba {
        [red, green, blue, _] => {
            let sum = u32::from(red) * 54 + u32::from(green) * 183 + u32::from(blue) * 19;
            u8::try_from(sum / 256).unwrap_or(255)
        }
        _ => 255,
    });
    Gray { width, pixels: values.collect() }
}
