//! Documents of every kind, made here, drawn, and held against poppler where it is installed;
//! documents that lie about their size.
#![allow(clippy::cast_possible_truncation, reason = "small numbers, or meant to wrap")]

use std::process::Command;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str};
use proptest::prelude::*;

use super::{
    Header, Kind, Options, RenderError, Typeface, binarise, floyd_steinberg, render, seconds,
};
use crate::tests::{Directory, circle, japanese_font};
use crate::{Bitmap, EncodedPage, Gray, Paper, Resolution, Stamp, limits, tiff};

fn typeface() -> Option<Typeface> {
    let font = japanese_font();
    if font.is_none() {
        println!("no Japanese font is installed: not drawn");
    }
    font.map(|bytes| Typeface::new(bytes).unwrap())
}

fn one(document: &[u8], options: &Options) -> Bitmap {
    let pages = render(document, options, typeface().as_ref()).unwrap();
    assert_eq!(pages.len(), 1);
    pages[0].decode().unwrap()
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// A page of so many points with what `draw` puts on it; Helvetica is there as F, and as J a
/// Japanese font that the document does not bring.
fn pdf(pages: usize, size: (f32, f32), draw: impl Fn(&mut Content)) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let [catalog, tree, font, japanese, descendant, descriptor] = [1, 2, 3, 4, 5, 6].map(Ref::new);
    pdf.catalog(catalog).pages(tree);
    let id = |number: usize| Ref::new(10 + 2 * number as i32);
    pdf.pages(tree).kids((0..pages).map(id)).count(pages as i32);
    for number in 0..pages {
        let contents = Ref::new(id(number).get() + 1);
        let mut page = pdf.page(id(number));
        page.media_box(Rect::new(0.0, 0.0, size.0, size.1)).parent(tree).contents(contents);
        page.resources().fonts().pair(Name(b"F"), font).pair(Name(b"J"), japanese);
        page.finish();
        let mut content = Content::new();
        draw(&mut content);
        pdf.stream(contents, &content.finish());
    }
    pdf.type1_font(font).base_font(Name(b"Helvetica"));
    let mut whole = pdf.type0_font(japanese);
    whole.base_font(Name(b"GothicBBB-Medium")).encoding_predefined(Name(b"UniJIS-UTF16-H"));
    whole.descendant_font(descendant);
    whole.finish();
    let info = pdf_writer::types::SystemInfo {
        registry: Str(b"Adobe"),
        ordering: Str(b"Japan1"),
        supplement: 6,
    };
    let mut cid = pdf.cid_font(descendant);
    cid.subtype(pdf_writer::types::CidFontType::Type0).base_font(Name(b"GothicBBB-Medium"));
    cid.system_info(info).font_descriptor(descriptor).default_width(1000.0);
    cid.finish();
    let mut words = pdf.font_descriptor(descriptor);
    words.name(Name(b"GothicBBB-Medium")).flags(pdf_writer::types::FontFlags::SYMBOLIC);
    words.bbox(Rect::new(0.0, -120.0, 1000.0, 880.0)).italic_angle(0.0).ascent(880.0);
    words.descent(-120.0).cap_height(700.0).stem_v(80.0);
    words.finish();
    pdf.finish()
}

fn text_line(content: &mut Content, y: f32, words: &str) {
    content.begin_text().set_font(Name(b"F"), 11.0).next_line(60.0, y);
    content.show(Str(words.as_bytes())).end_text();
}

fn japanese_line(content: &mut Content, y: f32, words: &str) {
    let utf16: Vec<u8> = words.encode_utf16().flat_map(u16::to_be_bytes).collect();
    content.begin_text().set_font(Name(b"J"), 12.0).next_line(60.0, y).show(Str(&utf16));
    content.end_text();
}

fn letter(content: &mut Content) {
    for line in 0..40 {
        let y = 760.0 - 17.0 * line as f32;
        if line % 3 == 0 {
            japanese_line(content, y, "株式会社見本商事 総務部 御中　請求書を送付いたします。");
        } else {
            text_line(content, y, "The quick brown fox jumps over the lazy dog 0123456789.");
        }
    }
}

fn tints(content: &mut Content) {
    for step in 0..10 {
        content.set_fill_gray(0.15 + 0.08 * step as f32);
        content.rect(60.0, 60.0 + 70.0 * step as f32, 230.0, 60.0).fill_nonzero();
        content.set_fill_rgb(1.0, 0.85, 0.0);
        content.begin_text().set_font(Name(b"F"), 20.0);
        content.next_line(330.0, 80.0 + 70.0 * step as f32).show(Str(b"Yellow words")).end_text();
    }
}

const A4: (f32, f32) = (595.3, 841.9);

/// What poppler makes of a PDF at the fax's width, in grey.
fn poppler(document: &[u8], width: u32, height: u32) -> Option<GrayImage> {
    let directory = Directory::new("poppler");
    std::fs::write(directory.path().join("a.pdf"), document).unwrap();
    let (width, height) = (width.to_string(), height.to_string());
    let size = ["-scale-to-x", &width, "-scale-to-y", &height];
    let mut command = Command::new("pdftoppm");
    command.args(["-gray", "-png"]).args(size).args(["a.pdf", "a"]).current_dir(directory.path());
    let done = command.output().ok().filter(|done| done.status.success());
    if done.is_none() {
        println!("pdftoppm is not installed: not compared");
    }
    done?;
    Some(image::open(directory.path().join("a-1.png")).unwrap().to_luma8())
}

/// Ink of a raster's regions, 54 by 72 of them, as shares.
fn regions(page: &Bitmap) -> Vec<f64> {
    let (across, down) = (54, 72);
    let mut ink = vec![0_u32; across * down];
    for (y, row) in page.rows().enumerate() {
        for (x, byte) in row.iter().enumerate() {
            let (column, line) = (x * across / row.len(), y * down / page.height() as usize);
            ink[line * across + column] += byte.count_ones();
        }
    }
    let area = f64::from(page.width()) * f64::from(page.height()) / (across * down) as f64;
    ink.into_iter().map(|ink| f64::from(ink) / area).collect()
}

fn mean_difference(one: &Bitmap, other: &Bitmap) -> f64 {
    let pairs = regions(one).into_iter().zip(regions(other));
    pairs.map(|(one, other)| (one - other).abs()).sum::<f64>() / (54.0 * 72.0)
}

#[test]
fn pdf_pages_carry_the_ink_where_poppler_puts_it() {
    if typeface().is_none() {
        return;
    }
    for (name, draw) in [("letter", letter as fn(&mut Content)), ("tints", tints)] {
        let document = pdf(1, A4, draw);
        for resolution in [Resolution::Standard, Resolution::Fine] {
            let page = one(&document, &Options { resolution, ..Options::default() });
            assert_eq!(page.width(), 1_728);
            let Some(other) = poppler(&document, page.width(), page.height()) else { return };
            let other = Gray { width: other.width(), pixels: other.into_raw() };
            let other = binarise(&other, resolution);
            let difference = mean_difference(&page, &other);
            println!("{name} {resolution:?}: {difference:.4}, ink {} {}", page.ink(), other.ink());
            assert!(difference < 0.02, "{name} {resolution:?}: {difference}");
            let ratio = page.ink() as f64 / other.ink() as f64;
            assert!((0.85..1.18).contains(&ratio), "{name} {resolution:?}: {ratio}");
        }
    }
}

#[test]
fn tints_and_yellow_words_are_kept_and_cost_less_than_error_diffusion() {
    let Some(typeface) = typeface() else { return };
    let document = pdf(1, A4, tints);
    let pages = render(&document, &Options::default(), Some(&typeface)).unwrap();
    let page = pages[0].decode().unwrap();
    // The tints lie in the left half; each is darker than the one above it.
    let part = |from: f32, to: f32, x: std::ops::Range<u32>| {
        let line = |points: f32| ((841.9 - points) / 841.9 * 2_286.0) as u32;
        let rows = line(to)..line(from);
        let mut ink = 0.0;
        for y in rows.clone() {
            ink += x.clone().filter(|x| page.is_black(*x, y)).count() as f64;
        }
        ink / (rows.len() * x.len()) as f64
    };
    let mut last = 1.0;
    for step in 0..10 {
        let from = 64.0 + 70.0 * step as f32;
        let share = part(from, from + 52.0, 190..820);
        let wanted = 1.0 - (0.15 + 0.08 * f64::from(step));
        // The darkest one is as good as black.
        let near = (share - wanted).abs() < 0.09 || step == 0;
        assert!(share <= last && near, "{step}: {share} for {wanted}");
        last = share;
        let words = part(from + 10.0, from + 40.0, 950..1_500);
        assert!(words > 0.02, "step {step}: yellow words are there: {words}");
    }
    let Some(gray) = poppler(&document, 1_728, 2_286) else { return };
    let gray = Gray { width: 1_728, pixels: gray.into_raw() };
    let dpi = Resolution::Fine.dpi();
    let diffused = EncodedPage::t6(&floyd_steinberg(&gray), dpi).bytes();
    let plain = EncodedPage::t6(&gray.below(128), dpi).bytes();
    let own = pages[0].bytes();
    println!("bytes: own {own}, error diffusion {diffused}, plain threshold {plain}");
    assert!(own * 2 < diffused, "{own} and {diffused}");
}

#[test]
fn text_costs_as_little_as_by_a_plain_threshold() {
    let Some(typeface) = typeface() else { return };
    let document = pdf(1, A4, letter);
    let own = render(&document, &Options::default(), Some(&typeface)).unwrap()[0].bytes();
    let Some(gray) = poppler(&document, 1_728, 2_286) else { return };
    let gray = Gray { width: 1_728, pixels: gray.into_raw() };
    let dpi = Resolution::Fine.dpi();
    let plain = EncodedPage::t6(&gray.below(128), dpi).bytes();
    let diffused = EncodedPage::t6(&floyd_steinberg(&gray), dpi).bytes();
    println!("bytes: own {own}, plain threshold {plain}, error diffusion {diffused}");
    assert!(own * 100 < plain * 125, "{own} and {plain}");
}

#[test]
fn landscape_pages_are_turned_and_pages_are_counted_before_they_are_drawn() {
    let wide = pdf(1, (841.9, 595.3), |content| {
        content.rect(0.0, 545.3, 841.9, 50.0).fill_nonzero();
    });
    let page = one(&wide, &Options::default());
    // What was the upper edge is the right one.
    let right = (0..page.height()).filter(|y| page.is_black(1_700, *y)).count();
    let left = (0..page.height()).filter(|y| page.is_black(20, *y)).count();
    assert!(right > 2_200 && left == 0, "{right} {left}");
    let many = pdf(11, A4, letter);
    let refused = render(&many, &Options::default(), None);
    assert_eq!(refused, Err(RenderError::TooManyPages { pages: 11, limit: 10 }));
}

#[test]
fn a_grey_gradient_keeps_its_greys_at_every_resolution() {
    for resolution in [Resolution::Standard, Resolution::Fine, Resolution::Superfine] {
        let (width, height) = (1_728, Paper::A4.height(resolution));
        let pixels = (0..height).flat_map(|_| (0..width).map(|x| (x * 255 / width) as u8));
        let gray = Gray { width, pixels: pixels.collect() };
        let page = binarise(&gray, resolution);
        for step in 4..14_u32 {
            let columns = step * 108..step * 108 + 102;
            let black = columns.clone().flat_map(|x| (0..240).map(move |y| (x, y)));
            let ink = black.filter(|(x, y)| page.is_black(*x, *y)).count() as f64 / 102.0 / 240.0;
            let wanted = 1.0 - f64::from(columns.start + 51) / 1_728.0;
            assert!((ink - wanted).abs() < 0.06, "{resolution:?} {step}: {ink} for {wanted}");
        }
    }
}

#[test]
fn letters_on_grey_paper_and_white_letters_on_a_photo_can_be_told_from_it() {
    // Strokes three wide on paper of 205, uneven light down to 180.
    let paint = |paper: u8, ink: u8| {
        let mut gray = Gray { width: 1_024, pixels: vec![paper; 1_024 * 512] };
        for y in 0..512_usize {
            for x in 0..1_024_usize {
                if x % 24 < 3 && y % 60 < 40 {
                    gray.pixels[y * 1_024 + x] = ink;
                }
            }
        }
        binarise(&gray, Resolution::Fine)
    };
    let dark = paint(205, 60);
    let strokes = |x: u32, y: u32| x % 24 < 3 && y % 60 < 40;
    let wrong = |page: &Bitmap, ink: bool| {
        let all = (40..980).flat_map(|x| (40..480).map(move |y| (x, y)));
        all.filter(|(x, y)| page.is_black(*x, *y) != (strokes(*x, *y) == ink)).count()
    };
    assert_eq!(wrong(&dark, true), 0, "paper is white, strokes are black");
    // White on the middle grey of a photo: around the strokes more is black than in them.
    let light = paint(110, 250);
    let share = |inside: bool| {
        let all = (40..980).flat_map(|x| (40..480).map(move |y| (x, y)));
        let (mut ink, mut count) = (0.0, 0.0);
        for (x, y) in all.filter(|(x, y)| strokes(*x, *y) == inside) {
            ink += f64::from(u8::from(light.is_black(x, y)));
            count += 1.0;
        }
        ink / count
    };
    assert!(share(true) < 0.1 && share(false) > 0.4, "{} {}", share(true), share(false));
}

#[test]
fn photos_are_turned_as_the_camera_says_and_transparency_is_paper() {
    // The upper half is black; a camera that was turned says 6: a quarter turn clockwise.
    let mut photo = RgbImage::from_pixel(1_200, 900, Rgb([255, 255, 255]));
    for (_, y, pixel) in photo.enumerate_pixels_mut() {
        if y < 450 {
            *pixel = Rgb([0, 0, 0]);
        }
    }
    let plain = encoded(&DynamicImage::ImageRgb8(photo), ImageFormat::Jpeg);
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut turned = plain[..2].to_vec();
    turned.extend_from_slice(&[0xFF, 0xE1]);
    turned.extend_from_slice(&(exif.len() as u16 + 2).to_be_bytes());
    turned.extend_from_slice(exif);
    turned.extend_from_slice(&plain[2..]);
    let page = one(&turned, &Options::default());
    // Upright now, the black half to the right.
    assert!(page.is_black(1_300, 600) && !page.is_black(400, 600));
    // Landscape without the mark is turned the same way, to fill the page.
    let page = one(&plain, &Options::default());
    assert!(page.is_black(1_300, 600) && !page.is_black(400, 600));
    let clear = image::RgbaImage::from_pixel(600, 800, image::Rgba([0, 0, 0, 0]));
    let clear = encoded(&DynamicImage::ImageRgba8(clear), ImageFormat::Png);
    assert_eq!(one(&clear, &Options::default()).ink(), 0);
}

#[test]
fn a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded() {
    let huge = GrayImage::from_pixel(9_000, 9_000, Luma([255]));
    let huge = encoded(&DynamicImage::ImageLuma8(huge), ImageFormat::Png);
    assert!(huge.len() < 1_000_000);
    let refused = render(&huge, &Options::default(), None);
    let limit = limits::PHOTO_PIXELS;
    assert_eq!(refused, Err(RenderError::TooManyPixels { width: 9_000, height: 9_000, limit }));
}

#[test]
fn a_fax_in_tiff_goes_out_as_it_came() {
    let dpi = Resolution::Fine.dpi();
    let original = circle(1_728, 2_200, dpi);
    let file = tiff::write(&[EncodedPage::t6(&original, dpi), EncodedPage::t6(&original, dpi)]);
    let pages = render(&file, &Options::default(), None).unwrap();
    assert_eq!(pages.len(), 2);
    assert!(pages[1].decode().unwrap() == original);
    // At another resolution it is scaled, and the circle stays as large on paper.
    let standard = Options { resolution: Resolution::Standard, ..Options::default() };
    let page = render(&file, &standard, None).unwrap()[0].decode().unwrap();
    let share = page.ink() as f64 / original.ink() as f64;
    assert!((0.4..0.7).contains(&share), "{share}");
}

#[test]
fn text_is_broken_into_lines_and_pages() {
    let Some(typeface) = typeface() else { return };
    let mut words = "\u{feff}".to_owned();
    for _ in 0..60 {
        let line = "日本語の文章は空白なしで続くので、どこでも折り返してよい。English at spaces. ";
        words.push_str(&line.repeat(2));
        words.push('\n');
    }
    words.push_str("\u{c}\tA page of its own");
    let pages = render(words.as_bytes(), &Options::default(), Some(&typeface)).unwrap();
    assert_eq!(pages.len(), 4);
    let last = pages[3].decode().unwrap();
    assert!((500..9_000).contains(&last.ink()), "{}", last.ink());
    let first = pages[0].decode().unwrap();
    let margin = (0..first.height()).filter(|y| (0..110).any(|x| first.is_black(x, *y))).count();
    assert_eq!(margin, 0, "the left margin is white");
    let right = (0..first.height()).any(|y| (1_625..1_728).any(|x| first.is_black(x, y)));
    assert!(!right, "the right margin is white");
    assert_eq!(render(b"text", &Options::default(), None), Err(super::FontError::None.into()));
}

#[test]
fn the_header_stands_above_every_page_and_long_names_are_cut() {
    let Some(typeface) = typeface() else { return };
    let at = Stamp { year: 2026, month: 7, day: 1, hour: 9, minute: 5, ..Stamp::default() };
    let name = "株式会社見本商事".repeat(20);
    let header = Header { at, name, number: "03-1234-0001".to_owned() };
    let blank = pdf(2, A4, |_| {});
    for resolution in [Resolution::Standard, Resolution::Fine] {
        let options = Options { header: Some(header.clone()), resolution, ..Options::default() };
        let pages = render(&blank, &options, Some(&typeface)).unwrap();
        let pages: Vec<Bitmap> = pages.iter().map(|page| page.decode().unwrap()).collect();
        let rows = super::header::rows(resolution);
        for page in &pages {
            assert_eq!(page.height(), Paper::A4.height(resolution));
            let below = (rows..page.height()).any(|y| (0..1_728).any(|x| page.is_black(x, y)));
            assert!(!below, "nothing of the header is on the document");
            assert!(page.ink() > 3_000, "{}", page.ink());
            let ends = (0..rows).any(|y| (1_708..1_728).any(|x| page.is_black(x, y)));
            assert!(!ends, "it ends before the page does");
        }
        assert!(pages[0] != pages[1], "the number of the page differs");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_its_reason() {
    let options = Options::default();
    let refused = |document: &[u8]| render(document, &options, None).unwrap_err();
    assert_eq!(refused(b""), RenderError::Kind);
    assert_eq!(refused(b"PK\x03\x04\0\0\0word"), RenderError::Kind);
    assert!(matches!(refused(b"%PDF-1.7\nnothing"), RenderError::Damaged { .. }));
    let whole = pdf(1, A4, letter);
    let small = Options { max_bytes: 100, ..Options::default() };
    let bytes = whole.len() as u64;
    let too_large = RenderError::TooLarge { bytes, limit: 100 };
    assert_eq!(render(&whole, &small, None), Err(too_large));
    let dense = GrayImage::from_fn(1_728, 2_286, |x, y| Luma([((x * 7 + y * 13) % 251) as u8]));
    let dense = encoded(&DynamicImage::ImageLuma8(dense), ImageFormat::Png);
    let quick = Options { max_seconds: 20, ..Options::default() };
    assert!(matches!(render(&dense, &quick, None), Err(RenderError::TooLong { limit: 20, .. })));
    let locked = Directory::new("locked");
    std::fs::write(locked.path().join("a.pdf"), &whole).unwrap();
    let arguments = ["--encrypt", "secret", "owner", "256", "--", "a.pdf", "b.pdf"];
    if Command::new("qpdf").args(arguments).current_dir(locked.path()).status().is_ok() {
        let document = std::fs::read(locked.path().join("b.pdf")).unwrap();
        assert_eq!(refused(&document), RenderError::Password);
    }
}

#[test]
fn cut_and_changed_documents_end_in_an_error_or_a_page() {
    let Some(typeface) = typeface() else { return };
    let photo = GrayImage::from_fn(200, 300, |x, y| Luma([(x + y) as u8]));
    let photo = DynamicImage::ImageLuma8(photo);
    let dpi = Resolution::Fine.dpi();
    let documents = [
        encoded(&photo, ImageFormat::Jpeg),
        encoded(&photo, ImageFormat::Png),
        tiff::write(&[EncodedPage::t6(&circle(1_728, 400, dpi), dpi)]),
        pdf(1, A4, |content| text_line(content, 400.0, "words")),
    ];
    let options = Options { resolution: Resolution::Standard, ..Options::default() };
    for document in &documents {
        for part in 1..12 {
            let cut = &document[..document.len() * part / 12];
            let _ = render(cut, &options, Some(&typeface));
            let mut changed = document.clone();
            let at = document.len() * part / 12;
            changed[at] ^= 0x55;
            let _ = render(&changed, &options, Some(&typeface));
        }
    }
}

#[test]
fn kinds_are_told_by_the_first_bytes() {
    assert_eq!(Kind::of(b"\r\n%PDF-1.4"), Some(Kind::Pdf));
    assert_eq!(Kind::of("御中\r\n\tA".as_bytes()), Some(Kind::Text));
    assert_eq!(Kind::of(b"GIF89a\0"), None);
    assert_eq!(Kind::of(&[0xFF, 0xFE, 0, 1]), None);
}

#[test]
fn the_estimate_of_the_time_counts_code_pages_and_the_call() {
    let dpi = Resolution::Fine.dpi();
    let mut page = EncodedPage::t6(&Bitmap::white(1_728, 100), dpi);
    page.strips[0].data = vec![0; 18_000];
    assert_eq!(seconds(&[page.clone(), page], 14_400), 10 + 2 * 4 + 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_grey_becomes_a_page_of_the_same_size(
        width in 1_u32..200, height in 0_usize..120, seed: u8, step in 0_u8..40,
    ) {
        let mut value = seed;
        let pixels = (0..width as usize * height).map(|_| {
            value = value.wrapping_add(step);
            value
        });
        let gray = Gray { width, pixels: pixels.collect() };
        for resolution in [Resolution::Standard, Resolution::Fine, Resolution::Superfine] {
            let page = binarise(&gray, resolution);
            prop_assert_eq!((page.width(), page.height() as usize), (width, height));
        }
    }
}
