//! Faxes that are kept (S-30 to S-33): their pages as TIFF and as PDF below the objects' directory,
//! an entry each in the store, the oldest gone when a box has too many, and a mail to whoever is to
//! be told. A fax that a kill cut off is finished at the next start with the pages that it had.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use koukan_fax::{Cause, EncodedPage, limits, pdf, picture, tiff};
use serde::Serialize;

use super::entry::Fax;
use super::letter;
use crate::mail::Letter;
use crate::module::shelf::{Of, Shelf, is_directory};
use crate::notices::{FaxNotice, News, Notices};

/// Whose notes faxes are; no module of the configuration is called so.
const OWNER: &str = "kk:fax";

/// A fax as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What it is called in every order about it.
    pub id: String,
    /// How it ended, in one sentence of English.
    pub result: String,
    /// What is known of it.
    #[serde(flatten)]
    pub fax: Fax,
}

/// Why a fax is not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// There is none of this id: the asker's.
    #[error("there is no fax {id}")]
    None {
        /// Which.
        id: String,
    },
    /// It has no such page: the asker's.
    #[error("the fax has {pages} pages")]
    Page {
        /// How many.
        pages: usize,
    },
    /// Its file cannot be read or removed: resource.
    #[error("the file of fax {id} fails: {error}")]
    File {
        /// Which.
        id: String,
        /// The system's words.
        error: io::Error,
    },
    /// Its file is damaged: resource.
    #[error("the file of fax {id} is damaged")]
    Damaged {
        /// Which.
        id: String,
    },
}

/// What is kept of every office's faxes.
#[derive(Clone, Debug)]
pub struct Inbox {
    shelf: Arc<Shelf>,
    notices: Notices,
    /// Where kept faxes are: `TENANT/ID.tif` and `.pdf`.
    kept: PathBuf,
    /// Where faxes under way are: `ID.tif`.
    spool: PathBuf,
}

impl Inbox {
    /// The faxes of a shelf. Those that the last run left under way are finished.
    pub(crate) fn new(shelf: Arc<Shelf>, kept: PathBuf, spool: PathBuf, now: Timestamp) -> Self {
        let notices = Notices::new(Arc::clone(&shelf));
        let own = Self { shelf, notices, kept, spool };
        own.settle(now);
        own
    }

    /// What apps hear of: of these faxes, and of those that are sent.
    #[must_use]
    pub const fn notices(&self) -> &Notices {
        &self.notices
    }

    fn of(tenant: &str) -> Of<'_> {
        Of { module: OWNER, tenant }
    }

    fn entries(&self) -> Vec<(String, String, Fax)> {
        let notes = self.shelf.all(OWNER).into_iter();
        let read = |(tenant, id, value): (String, String, String)| {
            Some((tenant, id, serde_json::from_str(&value).ok()?))
        };
        notes.filter_map(read).collect()
    }

    /// Faxes that nobody carries any more.
    fn settle(&self, now: Timestamp) {
        for (tenant, id, mut fax) in self.entries() {
            if fax.ended.is_none() {
                fax.cause = Some(Cause::Worker);
                fax.ended = Some(now);
                if self.finish(&tenant, &id, fax, true).is_ok_and(|pages| pages > 0) {
                    tracing::warn!(tenant, id, "the last run ended during a fax; it is kept");
                }
            }
        }
    }

    /// A fax begins: its entry, and the name of its file in the spool.
    pub(super) fn begin(&self, tenant: &str, id: &str, fax: &Fax) -> String {
        self.write(tenant, id, fax);
        format!("{id}.tif")
    }

    fn write(&self, tenant: &str, id: &str, fax: &Fax) {
        let value = serde_json::to_string(fax).unwrap_or_default();
        if let Err(status) = self.shelf.put(Self::of(tenant), id, &value) {
            tracing::error!(tenant, id, status, "a fax cannot be entered in the store");
        }
    }

    /// A fax is over: its pages are kept, the oldest of its box give way, and a mail is ordered
    /// when a machine was heard. The number of pages.
    ///
    /// # Errors
    /// The disk does not take them: they stay in the spool, and the entry says that it is under
    /// way, so that this can be tried again.
    pub(super) fn finish(
        &self,
        tenant: &str,
        id: &str,
        mut fax: Fax,
        heard: bool,
    ) -> io::Result<usize> {
        let spooled = self.spool.join(format!("{id}.tif"));
        let mut pages = pages(&spooled)?;
        let taken = usize::try_from(fax.pages).unwrap_or(usize::MAX);
        if fax.cause == Some(Cause::PageLimit) {
            // What came behind the last page that is taken was confirmed to nobody.
            pages.truncate(taken);
        }
        let missing = fax.cause.is_some_and(|cause| cause != Cause::Done);
        fax.pages = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        let mut attachment = None;
        if pages.is_empty() {
            let _ = self.shelf.remove(Self::of(tenant), id);
        } else {
            let files = self.files(tenant, id).ok_or(io::ErrorKind::InvalidInput)?;
            fs::create_dir_all(files.0.parent().unwrap_or(Path::new(".")))?;
            write(&files.0, &tiff::write(&pages))?;
            write(&files.1, &wrapped(&fax, &pages, missing))?;
            self.write(tenant, id, &fax);
            self.make_room(tenant, &fax);
            attachment = Some(files.1);
        }
        if heard {
            self.tell(tenant, id, &fax, attachment.as_deref());
        }
        if heard || !pages.is_empty() {
            self.tell_apps(tenant, id, &fax);
        }
        // It may never have been made.
        let _ = fs::remove_file(spooled);
        Ok(pages.len())
    }

    fn tell(&self, tenant: &str, id: &str, fax: &Fax, file: Option<&Path>) {
        if fax.notify.is_empty() {
            return;
        }
        let (subject, text) = letter::received(fax);
        let name = format!("fax-{id}.pdf");
        let letter = Letter {
            to: fax.notify.clone(),
            subject,
            text,
            attachment: file.map(|file| (file.to_owned(), name)),
            ordered_ms: 0,
        };
        if let Err(status) = self.shelf.queue_letter((tenant, &format!("fax/{id}")), letter) {
            tracing::error!(tenant, id, status, "the notice of a fax cannot be queued");
        }
    }

    /// The office's apps hear of it, as whoever gets mails does.
    fn tell_apps(&self, tenant: &str, id: &str, fax: &Fax) {
        let notice = FaxNotice {
            id: (fax.pages > 0).then(|| id.to_owned()),
            mailbox: fax.mailbox.clone(),
            from: fax.caller.clone(),
            to: fax.called.clone(),
            station: fax.station.clone(),
            pages: fax.pages,
            confirmed: fax.pages,
            cause: fax.cause,
            result: fax.sentence(fax.language()),
            calls: vec![fax.call.clone()],
        };
        self.notices.tell(tenant, fax.ended.unwrap_or(fax.started), News::FaxReceived(notice));
    }

    /// S-32: the oldest faxes of a box that has too many go.
    fn make_room(&self, tenant: &str, fax: &Fax) {
        let mut own: Vec<String> = self
            .entries_of(tenant)
            .filter(|(_, other)| other.mailbox == fax.mailbox && other.ended.is_some())
            .map(|(id, _)| id)
            .collect();
        own.sort_unstable();
        let keep = usize::try_from(fax.keep).unwrap_or(usize::MAX);
        for id in own.iter().take(own.len().saturating_sub(keep)) {
            match self.remove(tenant, id) {
                Ok(()) => tracing::info!(tenant, id, "the oldest fax of its box has given way"),
                Err(error) => tracing::error!(tenant, id, %error, "an old fax cannot be deleted"),
            }
        }
    }

    /// The faxes of one office.
    fn entries_of(&self, tenant: &str) -> impl Iterator<Item = (String, Fax)> + use<> {
        let notes = self.shelf.own(Self::of(tenant)).into_iter();
        notes.filter_map(|(id, value)| Some((id, serde_json::from_str(&value).ok()?)))
    }

    /// TIFF and PDF of a fax.
    fn files(&self, tenant: &str, id: &str) -> Option<(PathBuf, PathBuf)> {
        let directory = self.kept.join(tenant);
        let plain = is_directory(tenant) && is_directory(id);
        plain.then(|| (directory.join(format!("{id}.tif")), directory.join(format!("{id}.pdf"))))
    }

    /// The TIFF of a fax that is kept.
    pub(super) fn tiff(&self, tenant: &str, id: &str) -> Option<PathBuf> {
        self.files(tenant, id).map(|(tiff, _)| tiff)
    }

    /// The offices that have received any.
    #[must_use]
    pub fn tenants(&self) -> BTreeSet<String> {
        self.entries().into_iter().map(|(tenant, _, _)| tenant).collect()
    }

    /// Every fax of a tenant that is over, the newest first.
    #[must_use]
    pub fn list(&self, tenant: &str, mailbox: Option<&str>) -> Vec<Listed> {
        let mut found: Vec<Listed> = self
            .entries_of(tenant)
            .filter(|(_, fax)| fax.ended.is_some())
            .filter(|(_, fax)| mailbox.is_none_or(|mailbox| fax.mailbox == mailbox))
            .map(|(id, fax)| listed(id, fax))
            .collect();
        found.sort_by(|a, b| b.id.cmp(&a.id));
        found
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn show(&self, tenant: &str, id: &str) -> Result<Listed, InboxError> {
        let none = || InboxError::None { id: id.to_owned() };
        let value = self.shelf.get(Self::of(tenant), id).map_err(|_| none())?;
        let fax: Fax = serde_json::from_str(&value).map_err(|_| none())?;
        if fax.ended.is_some() { Ok(listed(id.to_owned(), fax)) } else { Err(none()) }
    }

    /// Its PDF.
    ///
    /// # Errors
    /// There is none of this id, or its file cannot be read.
    pub fn pdf(&self, tenant: &str, id: &str) -> Result<Vec<u8>, InboxError> {
        self.show(tenant, id)?;
        let files = self.files(tenant, id).ok_or(InboxError::None { id: id.to_owned() })?;
        fs::read(files.1).map_err(|error| InboxError::File { id: id.to_owned(), error })
    }

    /// A page as JPEG, counted from 1; small, when only a glance is wanted.
    ///
    /// # Errors
    /// There is no such fax or page, or its file cannot be read.
    pub fn jpeg(
        &self,
        tenant: &str,
        id: &str,
        page: usize,
        small: bool,
    ) -> Result<Vec<u8>, InboxError> {
        self.show(tenant, id)?;
        let damaged = || InboxError::Damaged { id: id.to_owned() };
        let files = self.files(tenant, id).ok_or(InboxError::None { id: id.to_owned() })?;
        let pages =
            pages(&files.0).map_err(|error| InboxError::File { id: id.to_owned(), error })?;
        let none = InboxError::Page { pages: pages.len() };
        let page = page.checked_sub(1).and_then(|at| pages.get(at)).ok_or(none)?;
        let picture = page.decode().map_err(|_| damaged())?;
        let make = if small { picture::thumbnail } else { picture::jpeg };
        make(&picture, page.dpi).map_err(|_| damaged())
    }

    /// Deletes one.
    ///
    /// # Errors
    /// There is none of this id, or the disk does not let it go.
    pub fn delete(&self, tenant: &str, id: &str) -> Result<(), InboxError> {
        self.show(tenant, id)?;
        self.remove(tenant, id).map_err(|error| InboxError::File { id: id.to_owned(), error })
    }

    /// Removes the files and then the entry, so that no file is left that nobody knows of.
    fn remove(&self, tenant: &str, id: &str) -> io::Result<()> {
        let files = self.files(tenant, id).map(|(tiff, pdf)| [tiff, pdf]);
        for file in files.into_iter().flatten() {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let _ = self.shelf.remove(Self::of(tenant), id);
        Ok(())
    }
}

fn listed(id: String, fax: Fax) -> Listed {
    Listed { id, result: fax.sentence(koukan_fax::Language::English), fax }
}

/// The pages of a file, as many as are whole; none when there is no file.
fn pages(file: &Path) -> io::Result<Vec<EncodedPage>> {
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
        Ok(known) if known.len() > limits::FILE_BYTES as u64 => {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(_) => {}
    }
    Ok(tiff::salvage(&fs::read(file)?))
}

fn wrapped(fax: &Fax, pages: &[EncodedPage], missing: bool) -> Vec<u8> {
    let title = format!("Fax {} {}", fax.caller, fax.stamp(fax.started));
    let truncated = missing.then(|| match fax.cause {
        Some(Cause::PageLimit) => format!("truncated: {} of more pages", pages.len()),
        _ => format!("broken off behind page {}", pages.len()),
    });
    let came = fax.stamp(fax.started);
    pdf::wrap(pages, &pdf::About { title: &title, came, truncated: truncated.as_deref() })
}

/// Writes a file so that it is whole or not there, also when the power goes the moment after.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    // The name is the directory's to keep.
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;
