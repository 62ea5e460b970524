//! A document to be sent: what it is, and what is refused before anything is decoded. Pictures and
//! TIFF are drawn; PDF has a parser that its own makers fuzz, and text needs a font.
#![no_main]

use koukan_fax::render::{Kind, Options, RenderError, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let options = Options {
        resolution: koukan_fax::Resolution::Standard,
        max_bytes: 20_000,
        max_pages: 3,
        max_seconds: 600,
        ..Options::default()
    };
    let kind = Kind::of(bytes);
    if kind == Some(Kind::Pdf) {
        return;
    }
    match render(bytes, &options, None) {
        Ok(pages) => {
            assert!((1..=3).contains(&pages.len()));
            assert!(pages.iter().all(|page| page.width == 1_728));
        }
        Err(RenderError::Kind) => assert_eq!(kind, None),
        Err(RenderError::Font(_)) => assert_eq!(kind, Some(Kind::Text)),
        Err(_) => {}
    }
});
