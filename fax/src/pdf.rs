//! Received pages as PDF (ISO 32000-1, 7.4.6): their T.4 or T.6 code stands in the file unchanged,
//! one picture a strip. Each page has the size that its own resolution gives it, so that a circle
//! stays round at 204 by 98.
//!
//! Left out: PDF/A, which wants an output intent and XMP.

use pdf_writer::{Content, Date, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use crate::coding::{Coding, EncodedPage, Strip};
use crate::stamp::Stamp;

/// What the document says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About<'a> {
    /// Its title, any script.
    pub title: &'a str,
    /// When it came, as the clock of its office shows.
    pub came: Stamp,
    /// Set when pages are missing: a line in ASCII that is put at the foot of the last page, and
    /// into the document's subject (`truncated: 30 of more pages`).
    pub truncated: Option<&'a str>,
}

/// The document. Pages without a strip that has data are blank.
#[must_use]
pub fn wrap(pages: &[EncodedPage], about: &About<'_>) -> Vec<u8> {
    let room = pages.iter().map(EncodedPage::bytes).sum::<usize>() + 1_000 * (pages.len() + 1);
    let mut document = Document { pdf: Pdf::with_capacity(room), next: 1 };
    let (catalog, tree, info) = (document.id(), document.id(), document.id());
    document.pdf.catalog(catalog).pages(tree);
    let foot = |number: usize| about.truncated.filter(|_| number + 1 == pages.len());
    let kids: Vec<Ref> = pages
        .iter()
        .enumerate()
        .map(|(number, page)| document.page(page, tree, foot(number)))
        .collect();
    let count = i32::try_from(kids.len()).unwrap_or(i32::MAX);
    document.pdf.pages(tree).kids(kids).count(count);
    let mut words = document.pdf.document_info(info);
    words.title(TextStr(about.title)).creator(TextStr("Koukan")).producer(TextStr("Koukan"));
    words.creation_date(date(about.came));
    if let Some(truncated) = about.truncated {
        words.subject(TextStr(truncated));
    }
    words.finish();
    document.pdf.finish()
}

struct Document {
    pdf: Pdf,
    next: i32,
}

impl Document {
    fn id(&mut self) -> Ref {
        let id = Ref::new(self.next);
        self.next += 1;
        id
    }

    fn page(&mut self, page: &EncodedPage, tree: Ref, foot: Option<&str>) -> Ref {
        let (id, contents) = (self.id(), self.id());
        let (width, height) = size(page);
        let mut pictures: Vec<(String, Ref)> = Vec::new();
        let mut content = Content::new();
        let mut below = height;
        for strip in page.strips.iter().filter(|strip| !strip.data.is_empty()) {
            let (picture, name) = (self.id(), format!("S{}", pictures.len()));
            self.picture(page, strip, picture);
            let high = points(strip.rows, page.dpi.y);
            below -= high;
            content.save_state().transform([width, 0.0, 0.0, high, 0.0, below]);
            content.x_object(Name(name.as_bytes())).restore_state();
            pictures.push((name, picture));
        }
        if let Some(words) = foot {
            mark(&mut content, words);
        }
        self.pdf.stream(contents, &content.finish());
        let mut written = self.pdf.page(id);
        written.media_box(Rect::new(0.0, 0.0, width, height)).parent(tree).contents(contents);
        let mut resources = written.resources();
        let mut x_objects = resources.x_objects();
        for (name, picture) in &pictures {
            x_objects.pair(Name(name.as_bytes()), *picture);
        }
        x_objects.finish();
        if foot.is_some() {
            let mut fonts = resources.fonts();
            let mut font = fonts.insert(FONT).start::<pdf_writer::writers::Type1Font<'_>>();
            font.base_font(Name(b"Helvetica-Bold"));
        }
        id
    }

    fn picture(&mut self, page: &EncodedPage, strip: &Strip, id: Ref) {
        let width = i32::try_from(page.width).unwrap_or(i32::MAX);
        let rows = i32::try_from(strip.rows).unwrap_or(i32::MAX);
        let reversed: Vec<u8>;
        let data = if page.lsb_first {
            // PDF has no bit order: the first picture element is the most significant bit.
            reversed = strip.data.iter().map(|byte| byte.reverse_bits()).collect();
            reversed.as_slice()
        } else {
            strip.data.as_slice()
        };
        let mut picture = self.pdf.image_xobject(id, data);
        picture.width(width).height(rows).bits_per_component(1);
        picture.color_space().device_gray();
        let k = match page.coding {
            Coding::Raw => None,
            Coding::PackBits => {
                picture.filter(Filter::RunLengthDecode);
                None
            }
            Coding::ModifiedHuffman | Coding::T4OneDimension => Some(0),
            Coding::T4TwoDimensions => Some(4),
            Coding::T6 => Some(-1),
        };
        // In raw bits 1 is black unless inverted, and for PDF 1 is white.
        let Some(k) = k else {
            if !page.inverted {
                picture.decode([1.0, 0.0]);
            }
            return;
        };
        picture.filter(Filter::CcittFaxDecode);
        let mut parameters = picture.decode_parms();
        parameters.k(k).columns(width).rows(rows).black_is_1(page.inverted);
        if matches!(page.coding, Coding::T4OneDimension | Coding::T4TwoDimensions) {
            parameters.end_of_line(true);
        }
        if page.coding == Coding::ModifiedHuffman {
            parameters.encoded_byte_align(true).end_of_block(false);
        }
    }
}

const FONT: Name<'static> = Name(b"F");

/// A line at the foot of the page, on white.
#[expect(clippy::cast_precision_loss, reason = "a line of words is short")]
fn mark(content: &mut Content, words: &str) {
    let width = 14.0 + words.len() as f32 * 6.2;
    content.save_state().set_fill_gray(1.0).rect(8.0, 6.0, width, 16.0).fill_nonzero();
    content.set_fill_gray(0.0).begin_text().set_font(FONT, 10.0).next_line(14.0, 10.0);
    content.show(Str(words.as_bytes())).end_text().restore_state();
}

/// The page's size in points.
fn size(page: &EncodedPage) -> (f32, f32) {
    (points(page.width, page.dpi.x), points(page.height, page.dpi.y))
}

#[expect(clippy::cast_precision_loss, reason = "pages have less than 2^24 lines")]
fn points(elements: u32, dpi: f32) -> f32 {
    elements as f32 * 72.0 / dpi
}

fn date(stamp: Stamp) -> Date {
    let date = Date::new(stamp.year).month(stamp.month).day(stamp.day);
    let date = date.hour(stamp.hour).minute(stamp.minute).second(stamp.second);
    let hours = i8::try_from(stamp.offset_minutes / 60).unwrap_or(0);
    let minutes = u8::try_from((stamp.offset_minutes % 60).unsigned_abs()).unwrap_or(0);
    date.utc_offset_hour(hours).utc_offset_minute(minutes)
}

#[cfg(test)]
mod tests;
