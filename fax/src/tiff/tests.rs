//! Round trips, files of libtiff's tools, and files that lie.

use std::process::Command;

use proptest::prelude::*;

use super::{TiffError, read, salvage, write};
use crate::coding::{Coding, EncodedPage, Strip};
use crate::{Bitmap, Dpi, Resolution};

fn page(seed: u32, width: u32, height: u32) -> Bitmap {
    let mut page = Bitmap::new(width);
    for line in 0..height {
        let start = (line * 3 + seed * 17) % (width / 2);
        page.push_changes(&[start, start + 5 + line % 11, width - 40, width - 7]);
    }
    page
}

fn coded(seed: u32, width: u32, resolution: Resolution) -> EncodedPage {
    EncodedPage::t6(&page(seed, width, 200), resolution.dpi())
}

#[test]
fn what_is_written_is_read_back() {
    let pages = [
        coded(1, 1_728, Resolution::Fine),
        coded(2, 2_048, Resolution::Standard),
        coded(3, 1_728, Resolution::Superfine),
    ];
    assert_eq!(read(&write(&pages)).unwrap(), pages);
}

#[test]
fn every_cut_and_every_flipped_byte_is_an_error_or_a_page_and_never_a_panic() {
    let file = write(&[coded(1, 1_728, Resolution::Fine), coded(2, 1_728, Resolution::Fine)]);
    for length in 0..file.len() {
        assert!(read(&file[..length]).is_err(), "{length} bytes of {}", file.len());
    }
    for at in 0..file.len() {
        let mut other = file.clone();
        other[at] ^= 0xFF;
        if let Ok(pages) = read(&other) {
            pages.iter().for_each(|page| drop(page.decode()));
        }
    }
}

#[test]
fn finished_pages_of_a_file_whose_writer_died_are_there() {
    let pages: Vec<_> = (1..4).map(|seed| coded(seed, 1_728, Resolution::Fine)).collect();
    let file = write(&pages);
    let found = |length: usize| salvage(&file[..length]).len();
    assert_eq!(
        (found(0), found(file.len() / 2), found(file.len() - 1), found(file.len())),
        (0, 1, 2, 3)
    );
}

#[test]
fn a_circle_of_directories_ends() {
    let mut file = write(&[coded(1, 1_728, Resolution::Fine)]);
    let first: [u8; 4] = file[4..8].try_into().unwrap();
    let end = file.len();
    file[end - 4..].copy_from_slice(&first);
    assert_eq!(read(&file), Err(TiffError::TooManyPages { limit: crate::limits::FILE_PAGES }));
}

#[test]
fn a_page_that_claims_to_be_huge_is_refused_before_anything_is_made() {
    let mut huge = coded(1, 1_728, Resolution::Fine);
    huge.width = 40_000;
    assert!(matches!(read(&write(&[huge])), Err(TiffError::Size { width: 40_000, .. })));
}

#[test]
fn strips_that_lie_on_each_other_are_refused() {
    let mut file = write(&[EncodedPage {
        strips: vec![Strip { rows: 1, data: vec![0; 300] }; 200],
        ..coded(1, 1_728, Resolution::Fine)
    }]);
    // The offsets of the strips become one and the same: the counts then add up to more.
    assert!(read(&file).is_ok());
    let many = read(&file).unwrap().remove(0).strips.len();
    assert_eq!(many, 200);
    file.truncate(8 + 600);
    assert!(read(&file).is_err());
}

/// Runs one of libtiff's tools; `None` when it is not installed.
fn tool(name: &str, arguments: &[&str], file: &[u8]) -> Option<Vec<u8>> {
    let directory = crate::tests::Directory::new("tiff");
    let (input, output) = (directory.path().join("in.tif"), directory.path().join("out.tif"));
    std::fs::write(&input, file).unwrap();
    let mut command = Command::new(name);
    let done = command.args(arguments).arg(&input).arg(&output).output();
    match done {
        Ok(done) => {
            assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
            Some(std::fs::read(&output).unwrap())
        }
        Err(_) => None,
    }
}

/// libtiff reads what we write, and what it writes in each coding decodes to the same picture.
#[test]
fn the_codings_of_libtiff_decode_to_the_same_picture() {
    let original = page(5, 1_728, 300);
    let dpi = Dpi { x: 204.0, y: 98.0 };
    let file = write(&[EncodedPage::t6(&original, dpi)]);
    let kinds: [(&[&str], Coding); 8] = [
        (&["-c", "g4"], Coding::T6),
        (&["-c", "g4", "-r", "64"], Coding::T6),
        (&["-c", "g3:1d"], Coding::T4OneDimension),
        (&["-c", "g3:2d"], Coding::T4TwoDimensions),
        (&["-c", "g3:2d:fill", "-f", "lsb2msb"], Coding::T4TwoDimensions),
        (&["-c", "packbits", "-r", "50"], Coding::PackBits),
        (&["-c", "none", "-B"], Coding::Raw),
        (&["-c", "g4", "-f", "lsb2msb", "-B"], Coding::T6),
    ];
    for (arguments, coding) in kinds {
        let Some(other) = tool("tiffcp", arguments, &file) else {
            println!("tiffcp is not installed: not compared");
            return;
        };
        let pages = read(&other).unwrap();
        assert_eq!((pages.len(), pages[0].coding), (1, coding), "{arguments:?}");
        assert!(pages[0].decode().unwrap() == original, "{arguments:?}");
        assert!((pages[0].dpi.y - 98.0).abs() < 0.1);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        head in prop::sample::select(vec![*b"II*\0\x08\0\0\0", *b"MM\0*\0\0\0\x08"]),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let file = [head.as_slice(), &bytes].concat();
        if let Ok(pages) = read(&file) {
            pages.iter().for_each(|page| drop(page.decode()));
        }
    }
}
