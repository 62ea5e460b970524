//! A page as black and white picture elements, and as eight-bit grey before it becomes that.

/// One bit a picture element, 1 is black, the most significant bit first, lines padded to bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitmap {
    width: u32,
    stride: usize,
    bits: Vec<u8>,
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitmap({}x{})", self.width, self.height())
    }
}

impl Bitmap {
    /// A white page without lines.
    #[must_use]
    pub fn new(width: u32) -> Self {
        Self { width, stride: (width as usize).div_ceil(8).max(1), bits: Vec::new() }
    }

    /// A white page of this height.
    #[must_use]
    pub fn white(width: u32, height: u32) -> Self {
        let mut page = Self::new(width);
        page.bits.resize(page.stride * height as usize, 0);
        page
    }

    /// Picture elements a line.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Lines.
    #[must_use]
    pub fn height(&self) -> u32 {
        u32::try_from(self.bits.len() / self.stride).unwrap_or(u32::MAX)
    }

    /// The lines, packed.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bits.chunks_exact(self.stride)
    }

    /// The lines, to be changed.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [u8]> {
        self.bits.chunks_exact_mut(self.stride)
    }

    /// Appends a line that changes its colour at these places, white first, ascending.
    pub fn push_changes(&mut self, changes: &[u32]) {
        let start = self.bits.len();
        self.bits.resize(start + self.stride, 0);
        let Some(row) = self.bits.get_mut(start..) else { return };
        for run in changes.chunks(2) {
            let (from, to) = match *run {
                [from, to] => (from, to),
                [from] => (from, self.width),
                _ => continue,
            };
            blacken(row, from.min(self.width), to.min(self.width));
        }
    }

    /// Appends a packed line; what is missing is white, what is beyond the width is dropped.
    pub fn push_row(&mut self, packed: &[u8]) {
        let start = self.bits.len();
        let taken = packed.get(..self.stride).unwrap_or(packed);
        self.bits.extend_from_slice(taken);
        self.bits.resize(start + self.stride, 0);
        let beyond = self.stride * 8 - self.width as usize;
        if let Some(last) = self.bits.last_mut() {
            *last &= u8::MAX.checked_shl(u32::try_from(beyond).unwrap_or(8)).unwrap_or(0);
        }
    }

    /// Whether a picture element is black; outside of the page none is.
    #[must_use]
    pub fn is_black(&self, x: u32, y: u32) -> bool {
        let at = (y as usize).checked_mul(self.stride).map(|at| at + x as usize / 8);
        let byte = at.filter(|_| x < self.width).and_then(|at| self.bits.get(at));
        byte.is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0)
    }

    /// Makes a picture element of the page black.
    pub fn set_black(&mut self, x: u32, y: u32) {
        let at = (y as usize).checked_mul(self.stride).map(|at| at + x as usize / 8);
        let width = self.width;
        if let Some(byte) = at.filter(|_| x < width).and_then(|at| self.bits.get_mut(at)) {
            *byte |= 0x80 >> (x % 8);
        }
    }

    /// Black and white exchanged.
    pub fn invert(&mut self) {
        let beyond = self.stride * 8 - self.width as usize;
        let mask = u8::MAX.checked_shl(u32::try_from(beyond).unwrap_or(8)).unwrap_or(0);
        for row in self.bits.chunks_exact_mut(self.stride) {
            row.iter_mut().for_each(|byte| *byte = !*byte);
            if let Some(last) = row.last_mut() {
                *last &= mask;
            }
        }
    }

    /// Appends another page's lines, cut or filled up to the width of this one.
    pub fn append(&mut self, other: &Self) {
        other.rows().for_each(|row| self.push_row(row));
    }

    /// How many picture elements are black.
    #[must_use]
    pub fn ink(&self) -> u64 {
        self.bits.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }

    /// The page as grey: 0 is black.
    #[must_use]
    pub fn to_gray(&self) -> Gray {
        let width = self.width as usize;
        let mut pixels = Vec::with_capacity(width * self.height() as usize);
        for row in self.rows() {
            let bits = row.iter().flat_map(|byte| (0..8).map(move |bit| byte & (0x80 >> bit) != 0));
            pixels.extend(bits.take(width).map(|black| if black { 0 } else { 255 }));
        }
        Gray { width: self.width, pixels }
    }
}

fn blacken(row: &mut [u8], from: u32, to: u32) {
    let (first, last) = ((from / 8) as usize, (to / 8) as usize);
    let (head, tail) = (0xFF_u8 >> (from % 8), !(0xFF_u8 >> (to % 8)));
    if from >= to {
        return;
    }
    if first == last {
        if let Some(byte) = row.get_mut(first) {
            *byte |= head & tail;
        }
        return;
    }
    if let Some(byte) = row.get_mut(first) {
        *byte |= head;
    }
    if let Some(whole) = row.get_mut(first + 1..last) {
        whole.fill(0xFF);
    }
    if let Some(byte) = row.get_mut(last) {
        *byte |= tail;
    }
}

/// Eight bits a picture element, 0 is black.
#[derive(Clone, PartialEq, Eq)]
pub struct Gray {
    pub(crate) width: u32,
    pub(crate) pixels: Vec<u8>,
}

impl std::fmt::Debug for Gray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gray({}x{})", self.width, self.height())
    }
}

impl Gray {
    /// Rows of so many picture elements; what is behind the last whole row is left away.
    #[must_use]
    pub fn from_pixels(width: u32, mut pixels: Vec<u8>) -> Self {
        let row = (width as usize).max(1);
        pixels.truncate(pixels.len() - pixels.len() % row);
        Self { width, pixels }
    }

    /// A white page.
    #[must_use]
    pub fn white(width: u32, height: u32) -> Self {
        Self { width: width.max(1), pixels: vec![255; width.max(1) as usize * height as usize] }
    }

    /// Picture elements a line.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Lines.
    #[must_use]
    pub fn height(&self) -> u32 {
        u32::try_from(self.pixels.len() / self.width.max(1) as usize).unwrap_or(u32::MAX)
    }

    /// The lines.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pixels.chunks_exact(self.width.max(1) as usize)
    }

    /// Darkens a picture element to this much of black, 0 to 255; outside nothing happens.
    pub fn darken(&mut self, x: i64, y: i64, ink: u8) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        let width = self.width as usize;
        let at = y.checked_mul(width).map(|at| at + x).filter(|_| x < width);
        if let Some(pixel) = at.and_then(|at| self.pixels.get_mut(at)) {
            *pixel = (*pixel).min(255 - ink);
        }
    }

    /// Puts another raster with its upper left corner here; what is outside is cut off.
    pub fn paste(&mut self, other: &Self, x: u32, y: u32) {
        let width = self.width.max(1) as usize;
        let below = self.pixels.chunks_exact_mut(width).skip(y as usize);
        for (to, from) in below.zip(other.rows()) {
            let to = to.iter_mut().skip(x as usize);
            to.zip(from).for_each(|(to, from)| *to = *from);
        }
    }

    /// Black where the value is below `threshold`.
    #[must_use]
    pub fn below(&self, threshold: u8) -> Bitmap {
        let mut page = Bitmap::new(self.width);
        let mut packed = Vec::with_capacity(page.stride);
        for row in self.rows() {
            packed.clear();
            packed.extend(row.chunks(8).map(|eight| {
                let bits = eight.iter().zip([0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1]);
                bits.filter(|(value, _)| **value < threshold).map(|(_, bit)| bit).sum::<u8>()
            }));
            page.push_row(&packed);
        }
        page
    }
}
