//! Where documents lie: an entry each in the store, their pages in the spool, the oldest entries
//! gone when an office has too many, and a mail when one is over (S-33).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use koukan_fax::{picture, tiff};

use super::sent::{Entry, Sent};
use crate::fax::letter;
use crate::mail::Letter;
use crate::module::shelf::{Of, Shelf};
use crate::notices::{FaxNotice, News, Notices};

/// Whose notes they are; no module of the configuration is called so.
const OWNER: &str = "kk:fax-sent";

/// Documents of an office that are over and still listed (S-38).
const LISTED: usize = 200;

/// The documents of every office.
#[derive(Clone, Debug)]
pub(crate) struct Drawer {
    shelf: Arc<Shelf>,
    notices: Notices,
    /// The directory that the processes work in: `ID.tif` each.
    spool: PathBuf,
}

impl Drawer {
    pub(crate) const fn new(shelf: Arc<Shelf>, notices: Notices, spool: PathBuf) -> Self {
        Self { shelf, notices, spool }
    }

    fn of(tenant: &str) -> Of<'_> {
        Of { module: OWNER, tenant }
    }

    /// Every document: tenant, id, entry.
    pub(crate) fn entries(&self) -> Vec<(String, String, Entry)> {
        let notes = self.shelf.all(OWNER).into_iter();
        let read = |(tenant, id, value): (String, String, String)| {
            Some((tenant, id, serde_json::from_str(&value).ok()?))
        };
        notes.filter_map(read).collect()
    }

    /// The documents of one office: id, entry.
    pub(crate) fn entries_of(&self, tenant: &str) -> impl Iterator<Item = (String, Entry)> + use<> {
        let notes = self.shelf.own(Self::of(tenant)).into_iter();
        notes.filter_map(|(id, value)| Some((id, serde_json::from_str(&value).ok()?)))
    }

    /// Documents whose entries another version has written, in a way that this one cannot read.
    fn unread(&self) -> BTreeSet<String> {
        let notes = self.shelf.all(OWNER).into_iter();
        let unread = |value: &str| serde_json::from_str::<Entry>(value).is_err();
        notes.filter(|(_, _, value)| unread(value)).map(|(_, id, _)| id).collect()
    }

    /// Removes what a run that was killed has left in the spool: the files of documents that are
    /// not `known` to be under way. Names of documents begin with `s`. What an entry stands for
    /// that cannot be read stays, for the version that can.
    pub(crate) fn sweep(&self, known: impl Fn(&str) -> bool) {
        let unread = self.unread();
        for id in &unread {
            tracing::error!(
                id,
                "a fax to be sent was entered by another version: it waits for that"
            );
        }
        let files = fs::read_dir(&self.spool).into_iter().flatten().flatten();
        for file in files {
            let name = file.file_name();
            let id = name.to_str().and_then(|name| name.split('.').next()).unwrap_or_default();
            if id.starts_with('s') && !known(id) && !unread.contains(id) {
                tracing::info!(file = %file.path().display(), "nobody's document is removed");
                // Somebody else may have done so.
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// One of them.
    pub(crate) fn entry(&self, tenant: &str, id: &str) -> Option<Entry> {
        let value = self.shelf.get(Self::of(tenant), id).ok()?;
        serde_json::from_str(&value).ok()
    }

    /// Writes one; false when the store takes no more.
    pub(crate) fn write(&self, tenant: &str, id: &str, entry: &Entry) -> bool {
        let value = serde_json::to_string(entry).unwrap_or_default();
        let written = self.shelf.put(Self::of(tenant), id, &value);
        if let Err(status) = written {
            tracing::error!(tenant, id, status, "a fax to be sent cannot be entered in the store");
        }
        written.is_ok()
    }

    /// The name of a document's file below the directory of the processes.
    pub(crate) fn name(id: &str) -> String {
        format!("{id}.tif")
    }

    /// That file.
    pub(crate) fn file(&self, id: &str) -> PathBuf {
        self.spool.join(Self::name(id))
    }

    /// Forgets one that never came to be.
    pub(crate) fn remove(&self, tenant: &str, id: &str) {
        let _ = self.shelf.remove(Self::of(tenant), id);
        let _ = fs::remove_file(self.file(id));
    }

    /// A document is over: its entry stays, its file goes, apps hear of it, and who is to be told
    /// gets a mail.
    pub(crate) fn finish(&self, tenant: &str, id: &str, entry: &Entry, tell: bool) {
        self.write(tenant, id, entry);
        self.tell_apps(tenant, id, &entry.sent);
        let file = self.file(id);
        if tell && !entry.sent.notify.is_empty() {
            self.tell(tenant, id, &entry.sent, &file);
        }
        // It may be gone already: that is why the document has failed.
        let _ = fs::remove_file(file);
        self.make_room(tenant);
    }

    fn tell_apps(&self, tenant: &str, id: &str, sent: &Sent) {
        let notice = FaxNotice {
            id: Some(id.to_owned()),
            mailbox: sent.mailbox.clone(),
            from: sent.from.clone(),
            to: sent.to.clone(),
            station: sent.station.clone(),
            pages: sent.pages,
            confirmed: sent.confirmed,
            cause: sent.cause,
            result: sent.sentence(sent.language()),
            calls: sent.calls.clone(),
        };
        self.notices.tell(tenant, sent.ended.unwrap_or(sent.created), News::FaxSent(notice));
    }

    fn tell(&self, tenant: &str, id: &str, sent: &Sent, file: &Path) {
        let (subject, text) = letter::sent(sent);
        let picture = self.picture(id, file);
        let attachment = picture.clone().map(|picture| (picture, format!("fax-{id}.jpg")));
        let to = sent.notify.clone();
        let letter = Letter { to, subject, text, attachment, ordered_ms: 0 };
        if let Err(status) = self.shelf.queue_letter((tenant, &format!("fax/{id}")), letter) {
            tracing::error!(tenant, id, status, "the notice of a sent fax cannot be queued");
        }
        if let Some(picture) = picture {
            // The letter has a second name of it.
            let _ = fs::remove_file(picture);
        }
    }

    /// A glance at the first page, for the mail.
    fn picture(&self, id: &str, file: &Path) -> Option<PathBuf> {
        let pages = tiff::salvage(&fs::read(file).ok()?);
        let first = pages.first()?;
        let jpeg = picture::thumbnail(&first.decode().ok()?, first.dpi).ok()?;
        let path = self.spool.join(format!("{id}.jpg"));
        fs::write(&path, jpeg).ok()?;
        Some(path)
    }

    fn make_room(&self, tenant: &str) {
        let own = self.entries_of(tenant);
        let mut over: Vec<String> =
            own.filter(|(_, entry)| entry.sent.is_over()).map(|(id, _)| id).collect();
        over.sort_unstable();
        for id in over.iter().take(over.len().saturating_sub(LISTED)) {
            self.remove(tenant, id);
        }
    }
}
