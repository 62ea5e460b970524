//! Pages as pictures: made, written as what a machine sends, read back out of files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use koukan_fax::{Bitmap, EncodedPage, Resolution, tiff};

/// A page with lines that look like words.
#[must_use]
pub fn page(seed: u32, height: u32) -> Bitmap {
    let mut page = Bitmap::white(1_728, height);
    for y in 0..height {
        for x in 100..1_600 {
            let letter = ((x + 31 * seed) / 9).wrapping_mul(7) ^ (y / 22).wrapping_mul(13);
            if y % 22 < 13 && x % 9 < 6 && (letter >> (x % 3)) & 1 == 1 {
                page.set_black(x, y);
            }
        }
    }
    page
}

/// Writes pages as what a machine sends.
///
/// # Errors
/// The file cannot be written.
pub fn document(path: &Path, pages: &[Bitmap]) -> io::Result<()> {
    written(path, pages, Resolution::Standard)
}

/// Writes pages of so many lines a millimetre.
///
/// # Errors
/// The file cannot be written.
pub fn written(path: &Path, pages: &[Bitmap], resolution: Resolution) -> io::Result<()> {
    let dpi = resolution.dpi();
    let coded: Vec<EncodedPage> = pages.iter().map(|page| EncodedPage::t6(page, dpi)).collect();
    fs::write(path, tiff::write(&coded))
}

/// The pages of a PDF, taken out by poppler's pdfimages.
///
/// # Errors
/// pdfimages is missing or refuses the file.
pub fn pages_of_pdf(pdf: &Path) -> io::Result<Vec<Bitmap>> {
    let prefix = pdf.with_extension("page");
    let done = Command::new("pdfimages").arg(pdf).arg(&prefix).output()?;
    if !done.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()));
    }
    let mut pages = Vec::new();
    for number in 0.. {
        let file = PathBuf::from(format!("{}-{number:03}.pbm", prefix.display()));
        let Ok(bytes) = fs::read(&file) else { break };
        fs::remove_file(&file)?;
        pages.push(pbm(&bytes).ok_or_else(|| io::Error::other("no PBM"))?);
    }
    Ok(pages)
}

/// A raw PBM: `P4 WIDTH HEIGHT` and packed lines, 1 is black.
fn pbm(bytes: &[u8]) -> Option<Bitmap> {
    let mut rest = bytes.strip_prefix(b"P4\n")?;
    let mut numbers = Vec::new();
    while numbers.len() < 2 {
        let end = rest.iter().position(u8::is_ascii_whitespace)?;
        let word = std::str::from_utf8(rest.get(..end)?).ok()?;
        numbers.push(word.parse::<u32>().ok()?);
        rest = rest.get(end + 1..)?;
    }
    let width = *numbers.first()?;
    let mut page = Bitmap::new(width);
    for row in rest.chunks_exact(width.div_ceil(8) as usize) {
        page.push_row(row);
    }
    Some(page)
}

/// The pages that a machine has received.
///
/// # Errors
/// The file cannot be read.
pub fn received(file: &Path) -> io::Result<Vec<Bitmap>> {
    let pages = tiff::salvage(&fs::read(file)?);
    pages.iter().map(|page| page.decode().map_err(io::Error::other)).collect()
}
