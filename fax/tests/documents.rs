//! Documents of unlike kinds as pages of a fax: where poppler puts ink, ours is too, and what the
//! page costs on the wire is held against a plain threshold and error diffusion of poppler's grey.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a test that panics has failed, as it should"
)]

#[path = "documents/cases.rs"]
mod cases;

use std::path::PathBuf;
use std::process::Command;

use cases::{A4, Case, all_cases, one_page, text};
use koukan_fax::render::{Options, binarise, floyd_steinberg, render};
use koukan_fax::{Bitmap, EncodedPage, Gray, Paper, Resolution, Stamp, pdf};

/// What poppler makes of a page, in grey, where we put it on a page of a fax; none without it.
fn poppler(case: &Case, page: usize) -> Option<Gray> {
    let directory = std::env::temp_dir().join(format!("koukan-documents-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let document = case.beside.as_ref().unwrap_or(&case.document);
    std::fs::write(directory.join("a.pdf"), document).unwrap();
    let landscape = case.size.0 > case.size.1;
    let (across, down) = if landscape { (case.size.1, case.size.0) } else { case.size };
    let dpi = Resolution::Fine.dpi();
    let height = Paper::A4.height(Resolution::Fine);
    let factor = (1_728.0 * 72.0 / (across * dpi.x)).min(height as f32 * 72.0 / (down * dpi.y));
    let dots = |points: f32, dpi: f32| (points / 72.0 * dpi * factor).round() as u32;
    let (x, y) = (dots(across, dpi.x), dots(down, dpi.y));
    let (wide, high) = if landscape { (y, x) } else { (x, y) };
    let (number, wide, high) = (page.to_string(), wide.to_string(), high.to_string());
    let mut command = Command::new("pdftoppm");
    command.args(["-gray", "-png", "-singlefile", "-f", &number, "-l", &number]);
    command.args(["-scale-to-x", &wide, "-scale-to-y", &high, "a.pdf", "a"]);
    let done = command.current_dir(&directory).output().ok()?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut drawn = image::open(directory.join("a.png")).unwrap().to_luma8();
    if landscape {
        drawn = image::imageops::rotate90(&drawn);
    }
    std::fs::remove_dir_all(&directory).unwrap();
    let drawn = Gray::from_pixels(drawn.width(), drawn.into_raw());
    let mut sheet = Gray::white(1_728, height);
    sheet.paste(&drawn, (1_728 - drawn.width().min(1_728)) / 2, 0);
    Some(sheet)
}

/// The mean difference of two pages' ink in 54 by 72 regions, as a share of their area.
fn difference(one: &Bitmap, other: &Bitmap) -> f64 {
    let regions = |page: &Bitmap| {
        let mut ink = vec![0_u32; 54 * 72];
        for (y, row) in page.rows().enumerate() {
            for (x, byte) in row.iter().enumerate() {
                let line = y * 72 / page.height().max(1) as usize;
                ink[line * 54 + x * 54 / row.len()] += byte.count_ones();
            }
        }
        ink
    };
    let area = f64::from(one.width()) * f64::from(one.height());
    let pairs = regions(one).into_iter().zip(regions(other));
    pairs.map(|(one, other)| f64::from(one.abs_diff(other))).sum::<f64>() / area
}

/// Code of T.6 and the seconds that it takes at 14,400 bit/s.
fn cost(bytes: usize) -> String {
    format!("{bytes} B {:.1} s", bytes as f64 * 8.0 / 14_400.0)
}

#[test]
fn documents_of_twenty_kinds_have_their_ink_where_poppler_puts_it_and_cost_less_than_diffused() {
    let cases = all_cases();
    assert!(cases.len() >= 20, "{}", cases.len());
    println!("| document | differs | ours | plain threshold | Floyd-Steinberg |");
    println!("| --- | --- | --- | --- | --- |");
    let (mut all, mut wrong) = ([0; 3], Vec::new());
    for case in &cases {
        let pages = render(&case.document, &Options::default(), None).unwrap();
        assert_eq!(pages.len(), case.pages, "{}", case.name);
        let (mut apart, mut bytes) = (0.0_f64, [0; 3]);
        for (number, page) in pages.iter().enumerate() {
            let Some(gray) = poppler(case, number + 1) else {
                println!("pdftoppm is not installed: not compared");
                return;
            };
            let own = page.decode().unwrap();
            apart = apart.max(difference(&own, &binarise(&gray, Resolution::Fine)));
            let t6 = |page: &Bitmap| EncodedPage::t6(page, Resolution::Fine.dpi()).bytes();
            let these = [page.bytes(), t6(&gray.below(128)), t6(&floyd_steinberg(&gray))];
            bytes.iter_mut().zip(these).for_each(|(sum, bytes)| *sum += bytes);
        }
        let [own, plain, diffused] = bytes.map(cost);
        println!("| {} | {apart:.4} | {own} | {plain} | {diffused} |", case.name);
        all.iter_mut().zip(bytes).for_each(|(sum, bytes)| *sum += bytes);
        // A photo of one colour is as dark in other places: poppler weighs and scales it otherwise.
        let most = if matches!(case.name, "a photo" | "a JPEG file") { 0.05 } else { 0.02 };
        if apart > most || bytes[0] > bytes[2] + 2_000 {
            wrong.push(case.name);
        }
    }
    let [own, plain, diffused] = all.map(cost);
    println!("| all | | {own} | {plain} | {diffused} |");
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(all[0] * 2 < all[2], "{all:?}");
}

/// The same pages by our wrapping and by Debian's tiff2pdf: both are read back as they were. A page
/// that poppler has drawn stays in the target directory, to be looked at.
#[test]
fn wrapping_is_held_against_tiff2pdf_in_one_run() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wrapped");
    std::fs::create_dir_all(&directory).unwrap();
    let case = one_page("a letter", A4, &text("H", 11.0, 780.0, 42));
    let pages = render(&case.document, &Options::default(), None).unwrap();
    let pages = [pages.clone(), pages.clone(), pages].concat();
    std::fs::write(directory.join("a.tif"), koukan_fax::tiff::write(&pages)).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let Ok(done) = Command::new(program).args(arguments).current_dir(&directory).output()
        else {
            println!("{program} is not installed: not compared");
            return false;
        };
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
        true
    };
    let begun = std::time::Instant::now();
    if !run("tiff2pdf", &["-o", "theirs.pdf", "a.tif"]) {
        return;
    }
    let theirs = begun.elapsed();
    let about = pdf::About { title: "a fax", came: Stamp::default(), truncated: None };
    let begun = std::time::Instant::now();
    let own = pdf::wrap(&pages, &about);
    let took = begun.elapsed();
    std::fs::write(directory.join("own.pdf"), &own).unwrap();
    let length = std::fs::metadata(directory.join("theirs.pdf")).unwrap().len() as usize;
    println!("ours: {} bytes in {took:?}; tiff2pdf: {length} bytes in {theirs:?}", own.len());
    assert!(own.len() <= length + length / 50, "{} and {length}", own.len());
    for name in ["own", "theirs"] {
        let file = format!("{name}.pdf");
        if !run("qpdf", &["--check", &file]) || !run("pdfimages", &[&file, name]) {
            return;
        }
        for (number, page) in pages.iter().enumerate() {
            let bytes = std::fs::read(directory.join(format!("{name}-{number:03}.pbm"))).unwrap();
            let head = format!("P4\n{} {}\n", page.width, page.height);
            let rows = bytes.strip_prefix(head.as_bytes()).expect("a PBM of the same size");
            let mut came = Bitmap::new(page.width);
            rows.chunks_exact(page.width.div_ceil(8) as usize).for_each(|row| came.push_row(row));
            assert!(came == page.decode().unwrap(), "{name}, page {number}");
        }
    }
    if run("pdftoppm", &["-png", "-r", "100", "-singlefile", "own.pdf", "page"]) {
        println!("a page to be looked at: {}", directory.join("page.png").display());
    }
}
