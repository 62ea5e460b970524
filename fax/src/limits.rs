//! Bounds on pages and documents. A document that exceeds one is refused with its name; nothing is
//! allocated for it first. Bounds on time hold on both sides of the worker's socket.

use std::time::Duration;

/// Bytes of a TIFF file or of a document that is read at all.
pub const FILE_BYTES: usize = 64 * 1024 * 1024;

/// Pages of one file: a fax of 500 pages has room, a loop of directories has not.
pub const FILE_PAGES: usize = 1_000;

/// Strips of one page. Scanners write strips of 8 kB; a page has at most some hundreds of them.
pub const PAGE_STRIPS: usize = 4_096;

/// Picture elements a line: A3 at 400 dots an inch has 4,864.
pub const PAGE_WIDTH: u32 = 9_600;

/// Lines of a page: two metres at 391 lines an inch.
pub const PAGE_HEIGHT: u32 = 32_768;

/// Picture elements of a photo, before it is decoded.
pub const PHOTO_PIXELS: u64 = 64_000_000;

/// Bytes of a text, 200 pages of it.
pub const TEXT_BYTES: usize = 1024 * 1024;

/// Characters of each part of a header line.
pub const HEADER_CHARACTERS: usize = 60;

/// No fax lasts longer: 500 pages at two minutes each would, and nobody sends those.
pub const ATTEMPT: Duration = Duration::from_secs(4 * 3_600);

/// A document is drawn no longer, by the clock and in time that it computes. A page takes some
/// hundredths of a second.
pub const DRAWING: Duration = Duration::from_secs(50);
