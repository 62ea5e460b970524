//! What the tests of this crate share: a directory of their own, pages that look like pages.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Bitmap;

/// A directory that is gone when the test ends.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("koukan-fax-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A page with a circle that must stay round and lines like those of a text.
pub(crate) fn circle(width: u32, height: u32, dpi: crate::Dpi) -> Bitmap {
    let mut page = Bitmap::white(width, height);
    let radius_mm = 50.0;
    let center = (width as f32 / 2.0, height as f32 / 2.0);
    for y in 0..height {
        for x in 0..width {
            let dx = (x as f32 - center.0) * 25.4 / dpi.x;
            let dy = (y as f32 - center.1) * 25.4 / dpi.y;
            let from = (dx * dx + dy * dy).sqrt();
            if (from - radius_mm).abs() < 0.6 || (y % 40 < 3 && (100..400).contains(&x)) {
                page.set_black(x, y);
            }
        }
    }
    page
}

/// The Japanese font of the tests, when it is installed.
pub(crate) fn japanese_font() -> Option<Vec<u8>> {
    crate::render::FONTS.iter().find_map(|path| std::fs::read(path).ok())
}
