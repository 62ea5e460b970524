//! The other task of the program: one document of a stranger becomes fax pages, behind the same
//! walls, with bounds on memory and time, and the process ends with its document. It knows nothing
//! of T.30; what it writes is a file of RFC 2306.

use std::io::{self, Read, Write};

use koukan_fax::protocol::{RenderOrder, Rendered};
use koukan_fax::render::{Kind, RenderError, Typeface, render as draw, seconds};
use koukan_fax::{EncodedPage, limits, tiff};

use super::{BEHIND_ALL, ProcessError, system, walls};

/// bit/s that the time on the wire is estimated for.
const BIT_RATE: u32 = 14_400;

/// Draws the document of the standard input as the order says, and writes what became of it.
///
/// # Errors
/// The order cannot be read, the walls cannot be raised, or nobody takes the answer.
pub fn render(order: &str) -> Result<(), ProcessError> {
    let order: RenderOrder = serde_json::from_str(order)
        .map_err(|error| system("the order of a rendering")(io::Error::other(error)))?;
    rustix::process::nice(BEHIND_ALL).map_err(|error| system("its rank")(error.into()))?;
    let font = order.font.as_ref().map(std::fs::read).transpose();
    walls::raise_around_rendering(limits::DRAWING.as_secs())?;
    let (verdict, pages) = match font.and_then(|font| Ok((font, document(&order)?))) {
        Ok((font, document)) => match drawn(&order, &document, font) {
            Ok(pages) => (verdict(&pages), pages),
            Err(error) => (Rendered::of_error(&error), Vec::new()),
        },
        Err(error) => (Rendered::Failed { words: error.to_string() }, Vec::new()),
    };
    let mut output = serde_json::to_vec(&verdict)
        .map_err(|error| system("the answer")(io::Error::other(error)))?;
    output.push(b'\n');
    if !pages.is_empty() {
        output.extend_from_slice(&tiff::write(&pages));
    }
    io::stdout().lock().write_all(&output).map_err(system("the answer"))
}

/// The document, read no further than to see that it is too large.
fn document(order: &RenderOrder) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    let most = order.options.max_bytes.saturating_add(1);
    io::stdin().lock().take(most).read_to_end(&mut document)?;
    Ok(document)
}

fn drawn(
    order: &RenderOrder,
    document: &[u8],
    font: Option<Vec<u8>>,
) -> Result<Vec<EncodedPage>, RenderError> {
    let typeface = font.map(Typeface::new).transpose()?;
    // A document that nobody could send needs no font either.
    if Kind::of(document).is_none() {
        return Err(RenderError::Kind);
    }
    draw(document, &order.options, typeface.as_ref())
}

fn verdict(pages: &[EncodedPage]) -> Rendered {
    let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
    Rendered::Pages { pages: count, seconds: seconds(pages, BIT_RATE) }
}
