//! `[voicemail_box.X]` (S-45 to S-49) and `[fax_box.X]` (S-30 to S-37). The bounds are those of the
//! rows; an office may only tighten them.

use crate::read::{Item, Table};

/// Receivers of notices (S-33).
const NOTICES: usize = 5;
const DAY: u64 = 86_400;

/// `[voicemail_box.X]`.
pub(crate) fn read_voicemail(table: &mut Table<'_>) -> Option<()> {
    table.opt("max_message", |item| item.seconds(1, 30, 1));
    table.opt("max_messages", |item| item.whole(1, 15));
    table.opt("keep", |item| item.seconds(DAY, 7 * DAY, 1));
    table.opt("notify", notify);
    Some(())
}

/// `[fax_box.X]`.
pub(crate) fn read_fax(table: &mut Table<'_>) -> Option<()> {
    table.opt("notify", notify);
    table.opt("keep", |item| item.whole(1, 200));
    table.opt("receive_max_pages", |item| item.whole(1, 30));
    table.opt("send", |item| {
        item.table("fax_box.send", |table| {
            table.opt("max_pages", |item| item.whole(1, 10));
            table.opt("max_bytes", |item| item.size(10_000_000));
            table.opt("retries", |item| item.whole(0, 3));
            table.opt("formats", |item| {
                item.list(|item| item.choice(&[("pdf", ()), ("jpg", ()), ("png", ())]))
            });
            Some(())
        })
    });
    Some(())
}

fn notify(item: Item<'_>) -> Option<()> {
    let (place, reader) = (item.place(), item.reader);
    let receivers = item.list(Item::mail)?;
    if receivers.len() > NOTICES {
        reader.error(
            place,
            format!("{} addresses are to be notified", receivers.len()),
            format!("at most {NOTICES} (S-33)"),
        );
    }
    Some(())
}
