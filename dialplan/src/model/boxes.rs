//! `[voicemail_box.X]` (S-45 to S-49) and `[fax_box.X]` (S-30 to S-37). The bounds are those of the
//! office's plan; an office may only tighten them.

use std::sync::Arc;
use std::time::Duration;

use crate::read::{Item, Table};

const DAY: u64 = 86_400;

/// A voicemail box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoicemailBox {
    /// The longest message.
    pub max_message: Duration,
    /// How many messages it holds; the caller after that hears that it is full.
    pub max_messages: u32,
    /// How long a message is kept.
    pub keep: Duration,
    /// Who is told of a new message.
    pub notify: Arc<[Arc<str>]>,
    /// Where the PIN stands that a phone is asked for before it hears the messages.
    pub pin: Option<Arc<str>>,
}

impl VoicemailBox {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Arc<Self>> {
        let rules = table.reader.rules();
        let most = &rules.voicemail;
        let seconds = |key, min, most: Duration| {
            table.or(key, most, |item| item.seconds(min, most.as_secs(), 1))
        };
        Some(Arc::new(Self {
            max_message: seconds("max_message", 1, most.max_message),
            max_messages: table
                .or("max_messages", most.max_messages, |item| item.whole(1, most.max_messages)),
            keep: seconds("keep", DAY.min(most.keep.as_secs()), most.keep),
            notify: table.or("notify", Arc::default(), notify),
            pin: table.opt("pin", Item::secret).map(|secret| secret.0),
        }))
    }
}

/// A file that a fax may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaxFormat {
    /// PDF
    Pdf,
    /// JPEG
    Jpg,
    /// PNG
    Png,
    /// TIFF, as fax programs write it
    Tiff,
    /// Text in UTF-8
    Text,
}

impl FaxFormat {
    const WORDS: [(&'static str, Self); 5] = [
        ("pdf", Self::Pdf),
        ("jpg", Self::Jpg),
        ("png", Self::Png),
        ("tiff", Self::Tiff),
        ("text", Self::Text),
    ];

    /// The word in the plan.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, format)| *format == self).map_or("", |(word, _)| word)
    }
}

/// How long a document waits for its next attempt after which kind of end, one delay an attempt;
/// none: as the server does it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaxDelays {
    /// After a busy line.
    pub busy: Option<Vec<Duration>>,
    /// After nobody answered.
    pub no_answer: Option<Vec<Duration>>,
    /// After a person answered.
    pub no_fax: Option<Vec<Duration>>,
    /// After the network or a trunk failed.
    pub network: Option<Vec<Duration>>,
    /// After the transmission failed.
    pub transmission: Option<Vec<Duration>>,
}

impl FaxDelays {
    fn read(item: Item<'_>) -> Option<Self> {
        item.table("fax_box.send.after", |table| {
            let delays = |item: Item<'_>| item.list(|item| item.seconds(1, DAY, 1));
            Some(Self {
                busy: table.opt("busy", delays),
                no_answer: table.opt("no_answer", delays),
                no_fax: table.opt("no_fax", delays),
                network: table.opt("network", delays),
                transmission: table.opt("transmission", delays),
            })
        })
    }
}

/// A fax box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxBox {
    /// Who is told of a fax that was sent or received (S-33).
    pub notify: Arc<[Arc<str>]>,
    /// How many received faxes are kept; the oldest goes first (S-32).
    pub keep: u32,
    /// Pages of one received fax (S-31).
    pub receive_max_pages: u32,
    /// Pages of one sent fax (S-35).
    pub send_max_pages: u32,
    /// Bytes of one document to send (S-35).
    pub send_max_bytes: u64,
    /// Attempts after the first one (S-36).
    pub retries: u32,
    /// When they are made.
    pub after: FaxDelays,
    /// What may be sent (S-34).
    pub formats: Vec<FaxFormat>,
}

impl FaxBox {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Arc<Self>> {
        let rules = table.reader.rules();
        let most = &rules.fax;
        let mut fax = Self {
            notify: table.or("notify", Arc::default(), notify),
            keep: table.or("keep", most.keep, |item| item.whole(1, most.keep)),
            receive_max_pages: table.or("receive_max_pages", most.receive_max_pages, |item| {
                item.whole(1, most.receive_max_pages)
            }),
            send_max_pages: most.send_max_pages,
            send_max_bytes: most.send_max_bytes,
            retries: most.retries,
            after: FaxDelays::default(),
            formats: FaxFormat::WORDS.map(|(_, format)| format).to_vec(),
        };
        table.opt("send", |item| {
            item.table("fax_box.send", |table| {
                let whole = |key, min, most| table.or(key, most, |item| item.whole(min, most));
                fax.send_max_pages = whole("max_pages", 1, most.send_max_pages);
                fax.retries = whole("retries", 0, most.retries);
                fax.send_max_bytes = table
                    .or("max_bytes", most.send_max_bytes, |item| item.size(most.send_max_bytes));
                fax.after = table.or("after", FaxDelays::default(), FaxDelays::read);
                let formats =
                    table.opt("formats", |item| item.list(|item| item.choice(&FaxFormat::WORDS)));
                fax.formats = formats.unwrap_or_else(|| fax.formats.clone());
                Some(())
            })
        });
        Some(Arc::new(fax))
    }
}

fn notify(item: Item<'_>) -> Option<Arc<[Arc<str>]>> {
    let (place, reader) = (item.place(), item.reader);
    let receivers = item.list(Item::mail)?;
    let most = reader.rules().notify;
    if receivers.len() as u64 > u64::from(most) {
        reader.error(
            place,
            format!("{} addresses are to be notified", receivers.len()),
            format!("at most {most} (S-33)"),
        );
    }
    Some(receivers.into())
}
