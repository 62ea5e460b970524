//! What the API does with documents: taken and drawn, listed, shown, cancelled.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_channel::Sender;
use jiff::Timestamp;
use koukan_dialplan::FaxFormat;
use koukan_fax::Resolution;
use koukan_fax::protocol::RenderOrder;
use koukan_fax::queue::{Job, RetryTable};
use koukan_fax::render::{FONTS, Header, Kind, Options};
use koukan_switch::FaxOffice;
use mio::Waker;

use super::drawer::Drawer;
use super::drawing::{DrawError, Drawn, draw};
use super::sent::{Entry, Sent, SentView, State};
use crate::clock::Clock;
use crate::fax::{Deed, FaxConfig, entry, inbox};

/// Documents of an office that wait at once.
const WAITING: usize = 1_000;

/// Digits and signs of a number.
const NUMBER: usize = 40;

/// Seconds that one document may take on the wire.
const LONGEST_S: u32 = 3_600;

/// A document that somebody hands in.
#[derive(Debug)]
pub struct SendOrder {
    /// The tenant's id.
    pub tenant: String,
    /// Who sends, by which rules.
    pub office: FaxOffice,
    /// The number that it goes to.
    pub to: String,
    /// The app that sends, by its device's name in the plan.
    pub app: Option<String>,
    /// Lines a millimetre.
    pub resolution: Resolution,
    /// A line at the top of each page says when, who, and which page it is.
    pub header: bool,
    /// The document.
    pub document: Vec<u8>,
}

/// A document that has been drawn, and is in no queue yet.
#[derive(Debug)]
pub struct Drawing {
    tenant: String,
    office: FaxOffice,
    to: String,
    app: Option<String>,
    now: Timestamp,
    drawn: Drawn,
}

/// Why a document is not taken, or not found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The number cannot be called: the asker's fault.
    #[error("\"{to}\" is no number")]
    Number {
        /// What was said.
        to: String,
    },
    /// The document cannot be sent: the asker's fault.
    #[error("{words}")]
    Document {
        /// Why, in a sentence.
        words: String,
        /// It is larger than may be sent.
        too_large: bool,
    },
    /// Too many wait: the asker's fault.
    #[error("{limit} faxes of {tenant} wait already")]
    TooMany {
        /// Whose.
        tenant: String,
        /// The bound.
        limit: usize,
    },
    /// There is none of this id: the asker's fault.
    #[error("there is no fax {id} to be sent")]
    None {
        /// Which.
        id: String,
    },
    /// It is over: nothing is left to be cancelled.
    #[error("fax {id} is over: {result}")]
    Over {
        /// Which.
        id: String,
        /// How it ended.
        result: String,
    },
    /// The document cannot be drawn here: the configuration's fault.
    #[error("{0}")]
    Drawing(String),
    /// Its pages cannot be kept: resource.
    #[error("the pages cannot be stored: {0}")]
    Storage(#[from] io::Error),
    /// The thread of the faxes takes no more: resource.
    #[error("too much is under way; try again")]
    Busy,
}

/// The documents of every office, for the API.
#[derive(Clone, Debug)]
pub struct Tray {
    drawer: Drawer,
    program: PathBuf,
    font: Option<PathBuf>,
    clock: Clock,
    deeds: Sender<Deed>,
    /// Of the thread of the faxes, and of the control loop, which has the journal.
    wakers: [Arc<Waker>; 2],
}

impl Tray {
    pub(crate) fn new(
        config: &FaxConfig,
        drawer: Drawer,
        clock: Clock,
        deeds: Sender<Deed>,
        wakers: [Arc<Waker>; 2],
    ) -> Self {
        let usual = || FONTS.iter().map(PathBuf::from).find(|font| font.is_file());
        let font = config.font.clone().or_else(usual);
        Self { drawer, program: config.worker.clone(), font, clock, deeds, wakers }
    }

    /// Draws a document; it may take seconds.
    ///
    /// # Errors
    /// Why it is not taken; nothing is dialled then.
    pub fn draw(&self, order: SendOrder) -> Result<Drawing, SendError> {
        let SendOrder { tenant, office, to, app, resolution, header, document } = order;
        let sender = &office.sender;
        let to = number(&to)?;
        self.check_count(&tenant)?;
        let spec = &sender.spec;
        check_kind(&document, &spec.formats)?;
        let now = self.clock.date();
        if header && self.font.is_none() {
            tracing::warn!("faxes go without a header line: no font; set `[fax] font`");
        }
        let header = (header && self.font.is_some()).then(|| Header {
            at: entry::stamp(now, office.utc_offset_s),
            name: sender.title.to_string(),
            number: sender.did.to_string(),
        });
        let options = Options {
            resolution,
            header,
            max_pages: usize::try_from(spec.send_max_pages).unwrap_or(usize::MAX),
            max_bytes: spec.send_max_bytes,
            max_seconds: LONGEST_S,
            ..Options::default()
        };
        let font = self.font.as_ref().map(|font| font.to_string_lossy().into_owned());
        let order = RenderOrder { options, font };
        let drawn = draw(&self.program, &order, document)?;
        Ok(Drawing { tenant, office, to, app, now, drawn })
    }

    /// Puts a document in the queue.
    ///
    /// # Errors
    /// Its pages or its entry cannot be kept; nothing is dialled then.
    pub fn queue(&self, drawing: Drawing) -> Result<SentView, SendError> {
        let Drawing { tenant, office, to, app, now, drawn } = drawing;
        let FaxOffice { sender, language, utc_offset_s } = office;
        let spec = &sender.spec;
        let id = self.new_id();
        let file = self.drawer.file(&id);
        let written = inbox::write(&file, &drawn.file);
        if let Err(error) = written {
            self.drawer.remove(&tenant, &id);
            return Err(error.into());
        }
        let table = table_of(&spec.after);
        let job = Job::new(self.clock.time(), drawn.pages, spec.retries, table.clone()).save();
        let sent = Sent {
            state: State::Waiting,
            number: sender.number.to_string(),
            from: sender.did.to_string(),
            mailbox: sender.mailbox.to_string(),
            to,
            to_device: false,
            app,
            created: now,
            ended: None,
            due: Some(now),
            pages: drawn.pages,
            confirmed: 0,
            estimate_s: drawn.seconds,
            attempts: 0,
            calls: Vec::new(),
            station: String::new(),
            medium: String::new(),
            bit_rate: 0,
            ecm: false,
            cause: None,
            notify: spec.notify.iter().map(ToString::to_string).collect(),
            language: language.to_string(),
            utc_offset_s,
        };
        self.enter(tenant, id, Entry { sent, job, table })
    }

    fn enter(&self, tenant: String, id: String, entry: Entry) -> Result<SentView, SendError> {
        let view = SentView::new(id.clone(), entry.sent.clone());
        let kept = self.drawer.write(&tenant, &id, &entry);
        let deed = Deed::Queue(tenant.as_str().into(), id.clone(), Box::new(entry));
        if !kept || self.deeds.try_send(deed).is_err() {
            self.drawer.remove(&tenant, &id);
            return Err(SendError::Busy);
        }
        self.wake();
        Ok(view)
    }

    /// A waker fails only when its poll is gone, and its thread with it.
    fn wake(&self) {
        for waker in &self.wakers {
            let _ = waker.wake();
        }
    }

    fn check_count(&self, tenant: &str) -> Result<(), SendError> {
        let own = self.drawer.entries_of(tenant);
        let count = own.filter(|(_, entry)| !entry.sent.is_over()).count();
        if count < WAITING {
            return Ok(());
        }
        Err(SendError::TooMany { tenant: tenant.to_owned(), limit: WAITING })
    }

    /// Ids of sent faxes begin with `s`, and sort by their time.
    fn new_id(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("s{:013}-{number}", self.clock.date().as_millisecond())
    }

    /// The offices that send any, or have.
    #[must_use]
    pub fn tenants(&self) -> BTreeSet<String> {
        self.drawer.entries().into_iter().map(|(tenant, _, _)| tenant.to_string()).collect()
    }

    /// The documents of an office, the newest first.
    #[must_use]
    pub fn list(&self, tenant: &str) -> Vec<SentView> {
        let own = self.drawer.entries_of(tenant);
        let mut found: Vec<SentView> =
            own.map(|(id, entry)| SentView::new(id, entry.sent)).collect();
        found.sort_by(|a, b| b.id.cmp(&a.id));
        found
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn show(&self, tenant: &str, id: &str) -> Result<SentView, SendError> {
        let entry = self.drawer.entry(tenant, id);
        let entry = entry.ok_or_else(|| SendError::None { id: id.to_owned() })?;
        Ok(SentView::new(id.to_owned(), entry.sent))
    }

    /// Cancels one; what of it is on the line is hung up.
    ///
    /// # Errors
    /// There is none of this id, or it is over.
    pub fn cancel(&self, tenant: &str, id: &str) -> Result<(), SendError> {
        let view = self.show(tenant, id)?;
        if view.sent.is_over() {
            return Err(SendError::Over { id: view.id, result: view.result });
        }
        self.deeds.try_send(Deed::Cancel(view.id)).map_err(|_| SendError::Busy)?;
        self.wake();
        Ok(())
    }
}

impl From<DrawError> for SendError {
    fn from(error: DrawError) -> Self {
        match error {
            DrawError::Refused { words, too_large } => Self::Document { words, too_large },
            failed @ DrawError::Failed(_) => Self::Drawing(failed.to_string()),
        }
    }
}

/// A number without the separators that people put in.
fn number(to: &str) -> Result<String, SendError> {
    let wrong = || SendError::Number { to: to.chars().take(NUMBER).collect() };
    let kept: String = to.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect();
    let digits = kept.strip_prefix('+').unwrap_or(&kept);
    let fits = (1..=NUMBER).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'#'));
    if fits { Ok(kept) } else { Err(wrong()) }
}

/// Whether the box sends documents of this kind (S-34).
fn check_kind(document: &[u8], formats: &[FaxFormat]) -> Result<(), SendError> {
    // What is none of them is told by whoever would draw it.
    let Some(kind) = Kind::of(document) else { return Ok(()) };
    let format = match kind {
        Kind::Pdf => FaxFormat::Pdf,
        Kind::Jpeg => FaxFormat::Jpg,
        Kind::Png => FaxFormat::Png,
        Kind::Tiff => FaxFormat::Tiff,
        Kind::Text => FaxFormat::Text,
    };
    if formats.contains(&format) {
        return Ok(());
    }
    let taken: Vec<&str> = formats.iter().map(|format| format.as_str()).collect();
    let words = format!("the box sends {}, and this is {}", taken.join(", "), format.as_str());
    Err(SendError::Document { words, too_large: false })
}

/// The delays of a box, those of the server where it says nothing.
fn table_of(after: &koukan_dialplan::FaxDelays) -> RetryTable {
    let usual = RetryTable::default();
    let or = |own: &Option<Vec<std::time::Duration>>, usual| own.clone().unwrap_or(usual);
    RetryTable {
        busy: or(&after.busy, usual.busy),
        no_answer: or(&after.no_answer, usual.no_answer),
        no_fax: or(&after.no_fax, usual.no_fax),
        network: or(&after.network, usual.network),
        transmission: or(&after.transmission, usual.transmission),
        own: usual.own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_with_separators_and_nothing_else() {
        assert_eq!(number("03-1234 (5678)").unwrap(), "0312345678");
        assert_eq!(number("+81 3 1234").unwrap(), "+8131234");
        let long = "9".repeat(200);
        for wrong in ["", "+", "sip:0312345678", "0312345678@host", "\u{ff10}", long.as_str()] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_box_sends_what_it_is_allowed_to() {
        assert!(check_kind(b"%PDF-1.4", &[FaxFormat::Pdf]).is_ok());
        let error = check_kind(b"hello", &[FaxFormat::Pdf, FaxFormat::Jpg]).unwrap_err();
        assert_eq!(error.to_string(), "the box sends pdf, jpg, and this is text");
    }
}
