//! A raster of any size on a fax page: upright, as large as it fits, never larger than it is at 72
//! dots an inch, in the middle at the top, and squeezed so that it is right when the lines of the
//! fax are further apart than its dots.

use super::{Options, room};
use crate::picture::resize;
use crate::{Gray, Paper};

/// The raster on white paper, turned when it is wider than high.
pub(super) fn place(gray: Gray, dpi: (f32, f32), options: &Options) -> Gray {
    let millimetres = |elements: u32, dpi: f32| precise(elements) * 25.4 / dpi;
    let wide = millimetres(gray.width(), dpi.0) > millimetres(gray.height(), dpi.1);
    let (gray, dpi) = if wide { (turned(&gray), (dpi.1, dpi.0)) } else { (gray, dpi) };
    let sheet = (millimetres(gray.width(), dpi.0), millimetres(gray.height(), dpi.1));
    let paper = Paper::for_sheet(sheet.0, sheet.1, options.largest);
    let (width, height) = room(paper, options);
    let fax = options.resolution.dpi();
    // Millimetres of the room; one factor for both directions keeps circles round.
    let (room_x, room_y) = (millimetres(width, fax.x), millimetres(height, fax.y));
    let factor = (room_x / sheet.0).min(room_y / sheet.1).min(dpi.0 / LEAST_DPI);
    let across = whole(sheet.0 * factor / 25.4 * fax.x).clamp(1, width);
    let down = whole(sheet.1 * factor / 25.4 * fax.y).clamp(1, height);
    let scaled = resize(gray, across, down);
    let mut page = Gray::white(width, height);
    page.paste(&scaled, (width - across) / 2, 0);
    page
}

/// A picture is not blown up to fewer dots an inch than a screen has.
const LEAST_DPI: f32 = 72.0;

/// A quarter turn clockwise.
pub(super) fn turned(gray: &Gray) -> Gray {
    let (width, height) = (gray.width() as usize, gray.height() as usize);
    let mut pixels = vec![255; width * height];
    for (y, row) in gray.rows().enumerate() {
        // The upper line becomes the right column.
        let column = height - 1 - y;
        let places = pixels.iter_mut().skip(column).step_by(height);
        places.zip(row).for_each(|(to, from)| *to = *from);
    }
    Gray { width: gray.height(), pixels }
}

#[expect(clippy::cast_precision_loss, reason = "pages have less than 2^24 picture elements")]
fn precise(elements: u32) -> f32 {
    elements as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the callers clamp"
)]
fn whole(value: f32) -> u32 {
    value.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resolution;

    #[test]
    fn a_quarter_turn_puts_the_upper_left_corner_to_the_upper_right() {
        let gray = Gray { width: 3, pixels: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(turned(&gray), Gray { width: 2, pixels: vec![4, 1, 5, 2, 6, 3] });
    }

    #[test]
    fn landscape_is_turned_and_fills_the_page() {
        let gray = Gray { width: 3_000, pixels: vec![0; 3_000 * 2_121] };
        let options = Options { resolution: Resolution::Standard, ..Options::default() };
        let page = place(gray, (150.0, 150.0), &options);
        assert_eq!((page.width(), page.height()), (1_728, 1_143));
        let ink = page.below(128).ink();
        assert!(ink > 1_728 * 1_143 * 96 / 100, "{ink}");
    }

    #[test]
    fn a_small_picture_stays_small_and_b4_is_used_only_when_the_other_side_takes_it() {
        let small = Gray { width: 144, pixels: vec![0; 144 * 144] };
        let page = place(small, (300.0, 300.0), &Options::default());
        let black = page.below(128);
        // Two inches by two: 408 by 391 picture elements.
        let ink = black.ink();
        assert!(ink.abs_diff(408 * 391) < 1_600, "{ink}");
        let large = || Gray { width: 1_012, pixels: vec![0; 1_012 * 1_433] };
        assert_eq!(place(large(), (100.0, 100.0), &Options::default()).width(), 1_728);
        let b4 = Options { largest: Paper::B4, ..Options::default() };
        assert_eq!(place(large(), (100.0, 100.0), &b4).width(), 2_048);
    }
}
