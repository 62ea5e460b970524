//! The documents: PDFs made here by hand, photos and scans as files and inside of PDFs.

use std::fmt::Write as _;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use koukan_fax::{Bitmap, EncodedPage, Paper, Resolution, Stamp, pdf};

pub(crate) const A4: (f32, f32) = (595.3, 841.9);
const LETTER: (f32, f32) = (612.0, 792.0);

/// A document, and beside it the PDF that poppler draws when it is none itself.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) document: Vec<u8>,
    pub(crate) beside: Option<Vec<u8>>,
    pub(crate) size: (f32, f32),
    pub(crate) pages: usize,
}

pub(crate) fn one_page(name: &'static str, size: (f32, f32), content: &str) -> Case {
    let document = file(size, "", &[content], &[]);
    Case { name, document, beside: None, size, pages: 1 }
}

/// All of them.
pub(crate) fn all_cases() -> Vec<Case> {
    texts().into_iter().chain(drawings()).chain(objects()).chain(files()).collect()
}

/// A PDF: pages of content, further objects from number 20 on, words of each page's dictionary.
fn file(size: (f32, f32), words: &str, contents: &[&str], more: &[Vec<u8>]) -> Vec<u8> {
    let fonts = ["Helvetica", "Times-Roman", "Courier", "Helvetica-Bold"];
    let kids: String = (0..contents.len()).map(|page| format!("{} 0 R ", 10 + page)).collect();
    let tree = format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", contents.len());
    let mut objects =
        vec![(1, b"<< /Type /Catalog /Pages 2 0 R >>".to_vec()), (2, tree.into_bytes())];
    for (at, font) in fonts.iter().enumerate() {
        let font = format!("<< /Type /Font /Subtype /Type1 /BaseFont /{font} >>");
        objects.push((3 + at, font.into_bytes()));
    }
    for (page, content) in contents.iter().enumerate() {
        let dictionary = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {} {}] /Contents {} 0 R {words}\n\
             /Resources << /Font << /H 3 0 R /T 4 0 R /C 5 0 R /B 6 0 R >>\n\
             /ExtGState << /Half << /ca 0.5 >> >> /Shading << /S 20 0 R >>\n\
             /Pattern << /P 20 0 R >> /XObject << /I 20 0 R >> >> >>",
            size.0,
            size.1,
            15 + page
        );
        objects.push((10 + page, dictionary.into_bytes()));
        objects.push((15 + page, stream("", content.as_bytes())));
    }
    objects.extend(more.iter().enumerate().map(|(at, object)| (20 + at, object.clone())));
    objects.sort_by_key(|(number, _)| *number);
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut table = String::from("xref\n0 1\n0000000000 65535 f \n");
    for (number, object) in &objects {
        write!(table, "{number} 1\n{:010} 00000 n \n", out.len()).unwrap();
        out.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let start = out.len();
    write!(table, "trailer\n<< /Size 40 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").unwrap();
    out.extend_from_slice(table.as_bytes());
    out
}

fn stream(words: &str, data: &[u8]) -> Vec<u8> {
    let mut out = format!("<< /Length {} {words} >>\nstream\n", data.len()).into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"\nendstream");
    out
}

/// So many lines of text in a font, from a height on.
pub(crate) fn text(font: &str, size: f32, from: f32, count: usize) -> String {
    let words = [
        "Dear Sir or Madam, please find the invoice of July enclosed.",
        "The quick brown fox jumps over the lazy dog 0123456789.",
        "Payment is due within thirty days of the date above.",
    ];
    let mut out = String::new();
    for line in 0..count {
        let (y, words) = (from - line as f32 * size * 1.4, words[line % words.len()]);
        writeln!(out, "BT /{font} {size} Tf 60 {y} Td ({words}) Tj ET").unwrap();
    }
    out
}

fn photo() -> RgbImage {
    RgbImage::from_fn(620, 877, |x, y| {
        let (dx, dy) = (x as f32 - 310.0, y as f32 - 430.0);
        let ring = ((dx * dx + dy * dy).sqrt() / 18.0).sin() * 60.0 + 128.0;
        Rgb([ring as u8, (x * 255 / 620) as u8, (y * 255 / 877) as u8])
    })
}

/// A scan of text on paper that is not quite white.
fn scan() -> GrayImage {
    GrayImage::from_fn(827, 1_169, |x, y| {
        let stroke =
            y % 22 < 13 && x % 9 < 3 && (81..760).contains(&x) && (x / 63 + y / 22) % 5 != 0;
        let paper = 215 + ((x * 7 + y * 13) % 23) as u8;
        Luma([if stroke { 45 } else { paper }])
    })
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn image_object(filter: &str, size: (u32, u32), space: &str, data: &[u8]) -> Vec<u8> {
    let words = format!(
        "/Type /XObject /Subtype /Image /Width {} /Height {} /ColorSpace /{space} \
         /BitsPerComponent 8 {filter}",
        size.0, size.1
    );
    stream(&words, data)
}

fn texts() -> Vec<Case> {
    let black = format!("0 g 40 300 515 500 re f 1 g {} 0 g", text("B", 16.0, 760.0, 20));
    let mut table = String::from("0.8 w\n");
    for row in 0..25 {
        let y = 780.0 - row as f32 * 28.0;
        writeln!(table, "50 {y} 490 -28 re S 250 {y} m 250 {} l S", y - 28.0).unwrap();
        let (line, sum) = (y - 18.0, row * 1_250);
        writeln!(table, "BT /H 11 Tf 56 {line} Td (Item {row}) Tj ET").unwrap();
        writeln!(table, "BT /C 11 Tf 300 {line} Td ({sum}) Tj ET").unwrap();
    }
    vec![
        one_page("a letter in Helvetica", A4, &text("H", 11.0, 780.0, 42)),
        one_page("a US letter in Times", LETTER, &text("T", 12.0, 740.0, 38)),
        one_page("a listing in Courier", A4, &text("C", 9.0, 800.0, 55)),
        one_page("small print", A4, &text("H", 6.0, 810.0, 85)),
        one_page("headlines", A4, &text("B", 36.0, 760.0, 12)),
        one_page("a table", A4, &table),
        one_page("white on black", A4, &black),
    ]
}

fn drawings() -> Vec<Case> {
    let (mut chart, mut tints) = (String::new(), String::new());
    let mut colours = text("B", 12.0, 800.0, 8);
    for step in 0..9 {
        let (x, y, shade) = (60 + step * 80, 60 + step * 75, 0.15 + step as f32 * 0.09);
        let height = 120 + step * 35;
        writeln!(chart, "{shade} g {x} 60 60 {height} re f 0 G {x} 60 60 {height} re S").unwrap();
        let label = format!("0 g BT /H 14 Tf 400 {y} Td (tint) Tj ET");
        writeln!(tints, "{shade} g 60 {y} 300 66 re f {label}").unwrap();
        let words = format!("0.9 0.75 0 rg BT /B 18 Tf 300 {y} Td (Yellow words) Tj ET 0 g");
        writeln!(colours, "{} 0.7 {shade} rg 60 {y} 200 60 re f {words}", 1.0 - shade).unwrap();
    }
    let curves = "2 w [6 4] 0 d 80 200 m 200 700 400 100 520 760 c S [] 0 d 5 w \
                  100 100 400 300 re S 0.5 w 300 500 m 300 640 l 440 640 l h S \
                  8 w 1 J 80 760 m 500 760 l S";
    let half = "q 0.2 g 60 400 300 300 re f /Half gs 0.9 g 200 300 300 300 re f Q";
    vec![
        one_page("a chart, landscape", (841.9, 595.3), &chart),
        one_page("grey tints", A4, &tints),
        one_page("colours", A4, &colours),
        one_page("curves and dashes", A4, curves),
        one_page("transparency", A4, half),
    ]
}

fn objects() -> Vec<Case> {
    let made = |name, words: &str, content: &str, more: &[Vec<u8>]| Case {
        document: file(A4, words, &[content], more),
        ..one_page(name, A4, "")
    };
    let function = "<< /FunctionType 2 /Domain [0 1] /C0 [0] /C1 [1] /N 1 >>";
    let shading = format!(
        "<< /ShadingType 2 /ColorSpace /DeviceGray /Coords [60 0 520 0] /Function {function} >>"
    );
    let tile = stream(
        "/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 24 24] /XStep 24 \
         /YStep 24 /Resources << >>",
        b"0 g 2 2 12 12 re f",
    );
    let field = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Yamada) /F 4 \
                 /Rect [60 600 360 640] /AP << /N 21 0 R >> >>";
    let shown = stream(
        "/Type /XObject /Subtype /Form /BBox [0 0 300 40] /Resources << /Font << /H 3 0 R >> >>",
        b"1 w 1 1 298 38 re S BT /H 20 Tf 8 12 Td (Yamada Taro) Tj ET",
    );
    let jpeg = encoded(&DynamicImage::ImageRgb8(photo()), ImageFormat::Jpeg);
    let photo = image_object("/Filter /DCTDecode", (620, 877), "DeviceRGB", &jpeg);
    let scan = image_object("", (827, 1_169), "DeviceGray", scan().as_raw());
    let (words, across) = (text("H", 12.0, 780.0, 6), across(A4));
    vec![
        made("a gradient", "", "60 200 460 400 re W n /S sh", &[shading.into_bytes()]),
        made("a pattern", "", "/Pattern cs /P scn 60 200 460 400 re f", &[tile]),
        made("a form", "/Annots [20 0 R]", &words, &[field.to_vec(), shown]),
        made("a photo", "", &across, &[photo]),
        made("a scan", "", &across, &[scan]),
    ]
}

/// The picture over the whole page.
fn across(size: (f32, f32)) -> String {
    format!("q {} 0 0 {} 0 0 cm /I Do Q", size.0, size.1)
}

fn files() -> Vec<Case> {
    let three: Vec<String> = (0..3).map(|page| text("T", 12.0, 780.0, 10 + page * 12)).collect();
    let three: Vec<&str> = three.iter().map(String::as_str).collect();
    let words = text("H", 14.0, 780.0, 30);
    let turned = file(A4, "/Rotate 90", &[&words], &[]);
    // Turned once more to stand upright; pdftoppm gives a turned page a wrong aspect here.
    let upright = file(A4, "", &[&format!("-1 0 0 -1 595.3 841.9 cm {words}")], &[]);
    let dpi = Resolution::Fine.dpi();
    let mut fax = Bitmap::white(1_728, Paper::A4.height(Resolution::Fine));
    for y in 0..fax.height() {
        for x in (100..1_600).filter(|x| y % 44 < 22 && (x / 11 + y / 44) % 3 == 0) {
            fax.set_black(x, y);
        }
    }
    let about = pdf::About { title: "a fax", came: Stamp::default(), truncated: None };
    let wrapped = pdf::wrap(&[EncodedPage::t6(&fax, dpi)], &about);
    let size = (1_728.0 * 72.0 / dpi.x, fax.height() as f32 * 72.0 / dpi.y);
    let picture = DynamicImage::ImageRgb8(photo());
    let (jpeg, own) = (encoded(&picture, ImageFormat::Jpeg), (620.0 * 0.72, 877.0 * 0.72));
    let object = image_object("/Filter /DCTDecode", (620, 877), "DeviceRGB", &jpeg);
    let beside_jpeg = file(own, "", &[&across(own)], &[object]);
    let png = encoded(&DynamicImage::ImageLuma8(scan()), ImageFormat::Png);
    let object = image_object("", (827, 1_169), "DeviceGray", scan().as_raw());
    let sheet = (827.0 * 0.72, 1_169.0 * 0.72);
    let beside_png = file(sheet, "", &[&across(sheet)], &[object]);
    let of = |name, document, beside, size, pages| Case { name, document, beside, size, pages };
    vec![
        of("three pages", file(A4, "", &three, &[]), None, A4, 3),
        of("a turned page", turned, Some(upright), A4, 1),
        of("a fax in PDF", wrapped, None, size, 1),
        of("a JPEG file", jpeg, Some(beside_jpeg), own, 1),
        of("a PNG file", png, Some(beside_png), sheet, 1),
    ]
}
