//! What other readers make of the documents: qpdf, poppler.

use std::path::Path;
use std::process::Command;

use super::{About, wrap};
use crate::coding::EncodedPage;
use crate::tests::{Directory, circle};
use crate::{Bitmap, Dpi, Stamp, tiff};

fn run(name: &str, arguments: &[&str], directory: &Path) -> Option<String> {
    match Command::new(name).args(arguments).current_dir(directory).output() {
        Ok(done) => {
            let (out, err) = (done.stdout, done.stderr);
            let words = [String::from_utf8_lossy(&out), String::from_utf8_lossy(&err)].concat();
            assert!(done.status.success(), "{name} {arguments:?}: {words}");
            Some(words)
        }
        Err(_) => {
            println!("{name} is not installed: not compared");
            None
        }
    }
}

fn pages() -> Vec<(Bitmap, Dpi)> {
    let standard = Dpi { x: 204.0, y: 98.0 };
    let fine = Dpi { x: 204.0, y: 196.0 };
    vec![
        (circle(1_728, 1_143, standard), standard),
        (circle(1_728, 2_286, fine), fine),
        (circle(2_048, 2_800, fine), fine),
    ]
}

fn came() -> Stamp {
    let day = Stamp { year: 2026, month: 7, day: 1, ..Stamp::default() };
    Stamp { hour: 9, minute: 5, second: 30, offset_minutes: 540, ..day }
}

/// As spandsp writes pages: the bits of each byte the other way round.
fn lsb_first(mut page: EncodedPage) -> EncodedPage {
    page.lsb_first = true;
    for byte in page.strips.iter_mut().flat_map(|strip| &mut strip.data) {
        *byte = byte.reverse_bits();
    }
    page
}

#[test]
fn poppler_takes_the_same_picture_elements_out_and_qpdf_finds_no_fault() {
    let directory = Directory::new("pdf");
    let originals = pages();
    let coded: Vec<EncodedPage> =
        originals.iter().map(|(page, dpi)| lsb_first(EncodedPage::t6(page, *dpi))).collect();
    let about = About { title: "0312340001 からのファクス", came: came(), truncated: None };
    let file = wrap(&coded, &about);
    std::fs::write(directory.path().join("a.pdf"), &file).unwrap();
    run("qpdf", &["--check", "a.pdf"], directory.path());
    if let Some(words) = run("pdfinfo", &["-enc", "UTF-8", "-l", "3", "a.pdf"], directory.path()) {
        assert!(words.contains("0312340001 からのファクス"), "{words}");
        assert!(words.contains("Page    1 size:  609.882"), "{words}");
        assert!(words.contains("Page    3 size:  722.824"), "{words}");
    }
    if run("pdfimages", &["-tiff", "a.pdf", "p"], directory.path()).is_none() {
        return;
    }
    for (number, (original, _)) in originals.iter().enumerate() {
        let name = directory.path().join(format!("p-{number:03}.tif"));
        let page = tiff::read(&std::fs::read(name).unwrap()).unwrap().remove(0);
        assert!(page.decode().unwrap() == *original, "page {number}");
    }
}

/// A circle of 100 mm is as wide as it is high in what poppler draws at 100 dpi.
#[test]
fn a_circle_stays_round_and_the_mark_of_a_cut_document_is_seen() {
    let directory = Directory::new("round");
    let coded: Vec<EncodedPage> =
        pages().iter().map(|(page, dpi)| EncodedPage::t6(page, *dpi)).collect();
    let about = About { title: "x", came: came(), truncated: Some("truncated: 3 of more pages") };
    let file = wrap(&coded, &about);
    std::fs::write(directory.path().join("a.pdf"), &file).unwrap();
    if let Some(words) = run("pdftotext", &["a.pdf", "-"], directory.path()) {
        assert!(words.contains("truncated: 3 of more pages"), "{words}");
        let info = run("pdfinfo", &["a.pdf"], directory.path()).unwrap();
        assert!(info.contains("truncated: 3 of more pages"), "{info}");
    }
    let arguments = ["-gray", "-r", "100", "-png", "a.pdf", "r"];
    if run("pdftoppm", &arguments, directory.path()).is_none() {
        return;
    }
    for number in 1..=3 {
        let drawn = image::open(directory.path().join(format!("r-{number}.png"))).unwrap();
        let drawn = drawn.to_luma8();
        let (width, height) = drawn.dimensions();
        let dark = |x, y| drawn.get_pixel(x, y).0[0] < 160;
        let across: Vec<u32> = (0..width).filter(|x| dark(*x, height / 2 + 12)).collect();
        let down: Vec<u32> = (0..height).filter(|y| dark(width / 2, *y)).collect();
        let middle = height / 2;
        let top = down.iter().find(|y| middle - **y < 210).unwrap();
        let left = across.iter().find(|x| width / 2 - **x < 210).unwrap();
        let (wide, high) = (width / 2 - left, middle - top);
        assert!(wide.abs_diff(high) <= 4, "page {number}: {wide} and {high}");
        assert!(wide.abs_diff(197) <= 4, "50 mm are 197 dots at 100 an inch: {wide}");
    }
}

/// Each coding of libtiff, wrapped as it is, and taken out by poppler.
#[test]
fn strips_of_every_coding_are_wrapped_as_they_are() {
    let directory = Directory::new("codings");
    let dpi = Dpi { x: 204.0, y: 196.0 };
    let original = circle(1_728, 1_000, dpi);
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("a.tif"), tiff::write(&[EncodedPage::t6(&original, dpi)])).unwrap();
    let kinds: [&[&str]; 6] = [
        &["-c", "g4", "-f", "lsb2msb"],
        &["-c", "g3:1d"],
        &["-c", "g3:2d"],
        &["-c", "packbits"],
        &["-c", "none"],
        &["-c", "g4", "-r", "5000"],
    ];
    for kind in kinds {
        let arguments = [kind, &["a.tif", "b.tif"]].concat();
        if run("tiffcp", &arguments, directory.path()).is_none() {
            return;
        }
        let mut pages = tiff::read(&std::fs::read(path("b.tif")).unwrap()).unwrap();
        pages[0].inverted = kind.len() == 4 && kind[2] == "-r";
        std::fs::write(path("b.pdf"), wrap(&pages, &About::default())).unwrap();
        run("qpdf", &["--check", "b.pdf"], directory.path());
        if run("pdftoppm", &["-mono", "-r", "204", "b.pdf", "b"], directory.path()).is_none() {
            return;
        }
        // The drawing is scaled in height, so the ink is compared, not the picture elements.
        let drawn = std::fs::read(path("b-1.pbm")).unwrap();
        let bits = drawn.len() as u64 * 8;
        let ink: u64 = drawn.iter().map(|byte| u64::from(byte.count_ones())).sum();
        let share = ink as f64 / bits as f64;
        let mut wanted = original.ink() as f64 / (1_728.0 * 1_000.0);
        if pages[0].inverted {
            wanted = 1.0 - wanted;
        }
        assert!((share - wanted).abs() < 0.01, "{kind:?}: {share} of {wanted}");
    }
}

#[test]
fn many_strips_stand_one_below_the_other() {
    let directory = Directory::new("strips");
    let dpi = Dpi { x: 204.0, y: 196.0 };
    let original = circle(1_728, 1_000, dpi);
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("a.tif"), tiff::write(&[EncodedPage::t6(&original, dpi)])).unwrap();
    if run("tiffcp", &["-c", "g4", "-r", "100", "a.tif", "b.tif"], directory.path()).is_none() {
        return;
    }
    let pages = tiff::read(&std::fs::read(path("b.tif")).unwrap()).unwrap();
    assert_eq!(pages[0].strips.len(), 10);
    std::fs::write(path("b.pdf"), wrap(&pages, &About::default())).unwrap();
    if run("pdfimages", &["-tiff", "b.pdf", "b"], directory.path()).is_none() {
        return;
    }
    let mut whole = Bitmap::new(1_728);
    for number in 0..10 {
        let file = std::fs::read(path(&format!("b-{number:03}.tif"))).unwrap();
        whole.append(&tiff::read(&file).unwrap()[0].decode().unwrap());
    }
    assert!(whole == original);
}
