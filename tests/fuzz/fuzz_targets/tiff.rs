//! A TIFF file of fax (RFC 2306): its directories, and each page's code (T.4, T.6). What is read is
//! written and read again, and wrapped into PDF.
#![no_main]

use koukan_fax::{pdf, tiff};
use libfuzzer_sys::fuzz_target;

/// Picture elements that are decoded: the fuzzer is to see many files, not large ones.
const ELEMENTS: u64 = 4_000_000;

fuzz_target!(|bytes: &[u8]| {
    let Ok(pages) = tiff::read(bytes) else { return };
    for page in &pages {
        if u64::from(page.width) * u64::from(page.height) > ELEMENTS {
            continue;
        }
        if let Ok(picture) = page.decode() {
            assert_eq!((picture.width(), picture.height()), (page.width, page.height));
        }
    }
    let again = tiff::read(&tiff::write(&pages));
    assert_eq!(again.map(|pages| pages.len()), Ok(pages.len()));
    assert!(pdf::wrap(&pages, &pdf::About::default()).starts_with(b"%PDF-"));
});
