//! Grey to black and white, so that few bits go over the line and everything stays readable: where
//! a page is text, each picture element is compared with its neighbourhood; where it is a tint or
//! a photo, the grey becomes dots that grow (a clustered-dot screen), whose runs T.6 codes well.
//! Error diffusion is never used on a page: its lone dots take several times as long to send.

use crate::{Bitmap, Gray, Resolution};

/// Side of the blocks that are told apart.
const BLOCK: usize = 16;
/// Half a side of the neighbourhood.
const AROUND: usize = 12;
/// Darker than this is black whatever is around it.
const BLACK: u8 = 90;
/// How much darker than its neighbourhood ink is.
const CONTRAST: i32 = 24;
/// What is neither ink nor paper.
const MIDDLE: std::ops::RangeInclusive<u8> = 48..=236;
/// Difference of two neighbours that is an edge.
const EDGE: u8 = 40;

/// The page in black and white.
#[must_use]
pub fn binarise(gray: &Gray, resolution: Resolution) -> Bitmap {
    let gray = leveled(gray);
    let (width, height) = (gray.width() as usize, gray.height() as usize);
    let tints = Tints::find(&gray);
    let sums = Sums::of(&gray);
    let mut page = Bitmap::new(gray.width());
    let mut packed = vec![0; width.div_ceil(8)];
    for (y, row) in gray.rows().enumerate() {
        packed.fill(0);
        let window = sums.rows(y.saturating_sub(AROUND), (y + AROUND + 1).min(height));
        let screen = screen_row(y, resolution);
        let blocks = tints.row(y / BLOCK);
        for (index, (block, tinted)) in row.chunks(BLOCK).zip(blocks).enumerate() {
            let start = index * BLOCK;
            let bytes = packed.iter_mut().skip(start / 8);
            for ((byte, eight), offset) in bytes.zip(block.chunks(8)).zip([0, 8]) {
                let at = start + offset;
                for (bit, value) in eight.iter().enumerate() {
                    let x = at + bit;
                    let black = if *tinted {
                        *value < screen.get(x % CELL).copied().unwrap_or(128)
                    } else {
                        *value < BLACK || window.is_darker(x, width, *value)
                    };
                    *byte |= u8::from(black) << (7 - bit);
                }
            }
        }
        page.push_row(&packed);
    }
    page
}

/// Grey paper becomes white: the brightest twentieth of the page is taken as paper, unless that is
/// dark, as in a photo.
fn leveled(gray: &Gray) -> Gray {
    let mut counts = [0_usize; 256];
    for value in &gray.pixels {
        if let Some(count) = counts.get_mut(usize::from(*value)) {
            *count += 1;
        }
    }
    let mut left = gray.pixels.len() / 20;
    let paper = (0..=255_u16).rev().zip(counts.iter().rev()).find(|(_, count)| {
        left = left.saturating_sub(**count);
        left == 0
    });
    let paper = paper.map_or(255, |(value, _)| value).max(DARKEST_PAPER);
    let lifted = |value: &u8| u8::try_from(u16::from(*value) * 255 / paper).unwrap_or(255);
    Gray { width: gray.width(), pixels: gray.pixels.iter().map(lifted).collect() }
}

/// Newsprint; darker than this nobody prints on.
const DARKEST_PAPER: u16 = 170;

/// Sums over all picture elements above and to the left.
struct Sums {
    width: usize,
    sums: Vec<u32>,
}

/// Two lines of sums and how many lines lie between them.
struct Window<'s> {
    above: &'s [u32],
    below: &'s [u32],
    rows: usize,
}

impl Sums {
    fn of(gray: &Gray) -> Self {
        let width = gray.width() as usize + 1;
        let mut sums = vec![0_u32; width];
        sums.reserve(gray.pixels.len() + gray.height() as usize);
        for (y, row) in gray.rows().enumerate() {
            sums.push(0);
            let mut sum = 0_u32;
            for (x, value) in row.iter().enumerate() {
                sum += u32::from(*value);
                // Sums wrap on huge pages; differences of a window do not.
                let above = sums.get(y * width + x + 1).copied().unwrap_or(0);
                sums.push(above.wrapping_add(sum));
            }
        }
        Self { width, sums }
    }

    fn rows(&self, from: usize, to: usize) -> Window<'_> {
        let row = |y: usize| self.sums.get(y * self.width..(y + 1) * self.width);
        let (above, below) = (row(from).unwrap_or_default(), row(to).unwrap_or_default());
        Window { above, below, rows: to - from }
    }
}

impl Window<'_> {
    /// Whether a value is clearly darker than the mean of its neighbourhood.
    fn is_darker(&self, x: usize, width: usize, value: u8) -> bool {
        let (from, to) = (x.saturating_sub(AROUND), (x + AROUND + 1).min(width));
        let at = |row: &[u32], x: usize| row.get(x).copied().unwrap_or(0);
        let sum = at(self.below, to)
            .wrapping_sub(at(self.below, from))
            .wrapping_sub(at(self.above, to))
            .wrapping_add(at(self.above, from));
        let count = u32::try_from((to - from) * self.rows).unwrap_or(1).max(1);
        let mean = i32::try_from(sum / count).unwrap_or(255);
        i32::from(value) < mean - CONTRAST
    }
}

/// Which blocks are tints or photos.
struct Tints {
    across: usize,
    tinted: Vec<bool>,
}

impl Tints {
    fn row(&self, y: usize) -> &[bool] {
        self.tinted.get(y * self.across..(y + 1) * self.across).unwrap_or_default()
    }

    /// A block that is mostly grey without edges is a tint; what is grey with some edges is one
    /// when it touches one (a photo's outlines); holes and borders are closed over.
    fn find(gray: &Gray) -> Self {
        let across = (gray.width() as usize).div_ceil(BLOCK);
        let mut counts = vec![Count::default(); across * (gray.height() as usize).div_ceil(BLOCK)];
        let mut above: Option<&[u8]> = None;
        for (y, row) in gray.rows().enumerate() {
            let line = counts.iter_mut().skip(y / BLOCK * across);
            for ((index, block), count) in row.chunks(BLOCK).enumerate().zip(line) {
                let upper = above.and_then(|row| row.get(index * BLOCK..));
                count.add(block, upper.unwrap_or(block));
            }
            above = Some(row);
        }
        let mut tints = Self { across, tinted: counts.iter().map(Count::is_flat).collect() };
        tints.spread(&counts);
        tints.close(&counts);
        tints
    }

    /// From block to block as long as they are grey.
    fn spread(&mut self, counts: &[Count]) {
        let mut open: Vec<usize> =
            (0..).zip(&self.tinted).filter(|(_, is)| **is).map(|(at, _)| at).collect();
        while let Some(at) = open.pop() {
            for next in neighbours(at, self.across) {
                let grey = counts.get(next).is_some_and(Count::is_grey);
                if let Some(tinted) = self.tinted.get_mut(next).filter(|tinted| !**tinted && grey) {
                    *tinted = true;
                    open.push(next);
                }
            }
        }
    }

    /// A block between three others is theirs; so is one at the border of a tint that is partly
    /// grey, lest the tint ends in steps of 16.
    fn close(&mut self, counts: &[Count]) {
        let before = self.tinted.clone();
        let is = |at: usize| before.get(at).copied().unwrap_or(false);
        for (at, tinted) in self.tinted.iter_mut().enumerate() {
            let beside = neighbours(at, self.across).filter(|next| is(*next)).count();
            let partly = counts.get(at).is_some_and(Count::is_partly_grey);
            *tinted = *tinted || beside >= 3 || (beside >= 1 && partly);
        }
    }
}

/// The four blocks beside one; none wraps round the page's edge.
fn neighbours(at: usize, across: usize) -> impl Iterator<Item = usize> {
    let column = at % across;
    let left = (column > 0).then(|| at - 1);
    let right = (column + 1 < across).then_some(at + 1);
    [left, right, at.checked_sub(across), Some(at + across)].into_iter().flatten()
}

/// What is in a block.
#[derive(Clone, Copy, Default)]
struct Count {
    all: u32,
    middle: u32,
    edges: u32,
}

impl Count {
    fn add(&mut self, block: &[u8], above: &[u8]) {
        let mut before = block.first().copied().unwrap_or(255);
        for (value, upper) in block.iter().zip(above) {
            self.all += 1;
            self.middle += u32::from(MIDDLE.contains(value));
            let edge = value.abs_diff(before) > EDGE || value.abs_diff(*upper) > EDGE;
            self.edges += u32::from(edge);
            before = *value;
        }
    }

    fn is_flat(&self) -> bool {
        self.middle * 100 > self.all * 75 && self.edges * 100 < self.all * 8
    }

    fn is_grey(&self) -> bool {
        self.middle * 100 > self.all * 55 && self.edges * 100 < self.all * 40
    }

    fn is_partly_grey(&self) -> bool {
        self.middle * 100 > self.all * 20 && self.edges * 100 < self.all * 25
    }
}

/// Side of a cell of the screen.
const CELL: usize = 6;

/// The order in which a cell's places become black as it darkens: from the middle outwards, two
/// half cells against each other, so that dots stand on the slant as in print.
const ORDER: [[u8; CELL]; CELL] = [
    [34, 25, 21, 17, 29, 33],
    [30, 13, 9, 5, 12, 24],
    [18, 6, 1, 0, 8, 20],
    [22, 10, 2, 3, 4, 16],
    [26, 14, 7, 11, 15, 28],
    [35, 31, 19, 23, 27, 32],
];

/// The same for lines that are twice as far apart as dots: half as many places.
const FLAT_ORDER: [[u8; CELL]; CELL / 2] =
    [[15, 9, 5, 7, 11, 16], [12, 3, 0, 1, 4, 13], [17, 10, 6, 2, 8, 14]];

/// Thresholds of a line: a value below is black. Lines that are closer than dots take each line of
/// the cell twice, so that dots stay round.
fn screen_row(y: usize, resolution: Resolution) -> [u8; CELL] {
    let (order, step): (&[[u8; CELL]], u16) = match resolution {
        Resolution::Standard => (&FLAT_ORDER, 14),
        Resolution::Fine | Resolution::Superfine => (&ORDER, 7),
    };
    let line = if resolution == Resolution::Superfine { y / 2 } else { y };
    let places = order.get(line % order.len()).copied().unwrap_or_default();
    // Place 0 is black for all but white, the last one only for black.
    places.map(|place| u8::try_from(252_u16.saturating_sub(u16::from(place) * step)).unwrap_or(128))
}

/// Error diffusion (Floyd and Steinberg), here only to be compared with: what it costs on the wire.
#[must_use]
pub fn floyd_steinberg(gray: &Gray) -> Bitmap {
    let width = gray.width() as usize;
    let mut carried = vec![0_i32; width + 2];
    let mut page = Bitmap::new(gray.width());
    for row in gray.rows() {
        let mut next = vec![0_i32; width + 2];
        let mut packed = vec![0_u8; width.div_ceil(8)];
        let mut ahead = 0;
        for (x, value) in row.iter().enumerate() {
            let wanted =
                i32::from(*value) + (ahead + carried.get(x + 1).copied().unwrap_or(0)) / 16;
            let black = wanted < 128;
            let error = if black { wanted } else { wanted - 255 };
            ahead = error * 7;
            for (offset, weight) in [(0, 3), (1, 5), (2, 1)] {
                if let Some(place) = next.get_mut(x + offset) {
                    *place += error * weight;
                }
            }
            if let Some(byte) = packed.get_mut(x / 8).filter(|_| black) {
                *byte |= 0x80 >> (x % 8);
            }
        }
        page.push_row(&packed);
        carried = next;
    }
    page
}
