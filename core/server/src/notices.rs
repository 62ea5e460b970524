//! Notices for apps (S-33, S-40): of what an office is told by mail its apps hear as an event. Each
//! office counts its own from 1 without a gap. An app asks for what is behind the last one that it
//! knows and may wait for it; modules that carry records out (`kk.sink/1`) get each as an event.
//!
//! An office's newest [`limits::NOTICES`] stay. Who was away for longer sees by the numbers that
//! some are gone, and asks for the lists of faxes instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use koukan_fax::Cause;
use koukan_switch::NOTICES;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::limits;
use crate::module::shelf::{Of, Shelf};

/// Something that an office's apps hear of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its place among the office's, counted from 1.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub news: News,
}

/// What an app is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum News {
    /// A fax has come, whole or in part, or a machine was heard and none came.
    FaxReceived(FaxNotice),
    /// A fax is over that was to be sent, or to be sent on to a machine of the office.
    FaxSent(FaxNotice),
}

/// A fax that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaxNotice {
    /// What it is called in every order about it; none when nothing of it is kept.
    pub id: Option<String>,
    /// The box, by its name in the plan.
    #[serde(rename = "box")]
    pub mailbox: String,
    /// The number that sent it, as it was shown.
    pub from: String,
    /// The number that it went to; the name of a machine of the office when it was sent on to that.
    pub to: String,
    /// What the other machine calls itself; empty when it does not say.
    pub station: String,
    /// Pages of the document, or those that are kept of a fax that came.
    pub pages: u32,
    /// Those of them that were confirmed.
    pub confirmed: u32,
    /// How it ended.
    pub cause: Option<Cause>,
    /// The same in a sentence of the office's language.
    pub result: String,
    /// The calls that it came or went by, the newest last.
    pub calls: Vec<String>,
}

/// The notices of every office.
#[derive(Clone, Debug)]
pub struct Notices {
    shelf: Arc<Shelf>,
    /// The newest number of each office that has been told anything in this run.
    newest: Arc<Mutex<HashMap<String, u64>>>,
    changes: Arc<watch::Sender<Changes>>,
}

/// How many were told in this run, and whether no more will be waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changes {
    told: u64,
    closed: bool,
}

impl Notices {
    /// The notices of a shelf.
    pub(crate) fn new(shelf: Arc<Shelf>) -> Self {
        let changes = Arc::new(watch::Sender::new(Changes::default()));
        Self { shelf, newest: Arc::default(), changes }
    }

    fn of(tenant: &str) -> Of<'_> {
        Of { module: NOTICES, tenant }
    }

    /// Tells an office's apps. Any thread.
    pub(crate) fn tell(&self, tenant: &str, at: Timestamp, news: News) {
        // Nothing in here is left half done by a panic.
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = newest.get(tenant).copied();
        let number = known.unwrap_or_else(|| self.stored(tenant)).saturating_add(1);
        let notice = Notice { number, at, news };
        let value = serde_json::to_string(&notice).unwrap_or_default();
        if let Err(status) = self.shelf.put(Self::of(tenant), &key(number), &value) {
            tracing::error!(tenant, number, status, "a notice for apps cannot be stored");
            return;
        }
        newest.insert(tenant.to_owned(), number);
        let last_gone = key(number.saturating_sub(limits::NOTICES));
        while let Ok(oldest) = self.shelf.next(Self::of(tenant), "", "")
            && oldest <= last_gone
        {
            let _ = self.shelf.remove(Self::of(tenant), &oldest);
        }
        self.changes.send_modify(|changes| changes.told = changes.told.saturating_add(1));
    }

    /// The newest number that the store has of an office; 0 when it has none.
    fn stored(&self, tenant: &str) -> u64 {
        let own = self.shelf.own(Self::of(tenant));
        own.last().and_then(|(key, _)| key.parse().ok()).unwrap_or(0)
    }

    /// An office's notices behind a number, the oldest first, at most so many.
    #[must_use]
    pub fn behind(&self, tenant: &str, after: u64, most: usize) -> Vec<Notice> {
        let found = self.shelf.some(NOTICES, &(tenant.to_owned(), key(after)), most);
        let own = found.into_iter().take_while(|(owner, _, _)| owner == tenant);
        own.filter_map(|(_, _, value)| serde_json::from_str(&value).ok()).collect()
    }

    /// What changes from now on.
    pub(crate) fn watched(&self) -> Watched {
        Watched(self.changes.subscribe())
    }

    /// The server ends: nobody waits any longer.
    pub(crate) fn close(&self) {
        self.changes.send_modify(|changes| changes.closed = true);
    }
}

/// The wait of one that asks.
#[derive(Debug)]
pub(crate) struct Watched(watch::Receiver<Changes>);

impl Watched {
    /// Waits until somebody is told something; false when nobody will be any more.
    pub(crate) async fn changed(&mut self) -> bool {
        if self.0.borrow().closed {
            return false;
        }
        self.0.changed().await.is_ok() && !self.0.borrow().closed
    }
}

/// Numbers in the order of their texts.
fn key(number: u64) -> String {
    format!("{number:020}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use koukan_switch::Note;

    use super::*;

    fn shelf(notes: Vec<Note>) -> Arc<Shelf> {
        Arc::new(Shelf::new("/nowhere".into(), notes, None))
    }

    fn fax(id: &str) -> News {
        News::FaxReceived(FaxNotice {
            id: Some(id.to_owned()),
            mailbox: "main".to_owned(),
            from: "0455550001".to_owned(),
            to: "0312340002".to_owned(),
            station: String::new(),
            pages: 2,
            confirmed: 2,
            cause: Some(Cause::Done),
            result: "The fax was received: 2 pages.".to_owned(),
            calls: vec!["0000000000000001".to_owned()],
        })
    }

    fn numbers(notices: &Notices, tenant: &str, after: u64) -> Vec<u64> {
        notices.behind(tenant, after, 10).iter().map(|notice| notice.number).collect()
    }

    #[test]
    fn each_office_counts_its_own_and_goes_on_behind_a_restart() {
        let before = shelf(Vec::new());
        let notices = Notices::new(Arc::clone(&before));
        let at = Timestamp::UNIX_EPOCH;
        for (tenant, id) in [("acme", "a"), ("beta", "b"), ("acme", "c")] {
            notices.tell(tenant, at, fax(id));
        }
        assert_eq!(numbers(&notices, "acme", 0), [1, 2]);
        assert_eq!(
            (numbers(&notices, "acme", 1), numbers(&notices, "beta", 0)),
            (vec![2], vec![1])
        );
        assert!(numbers(&notices, "acme", 2).is_empty() && numbers(&notices, "none", 0).is_empty());
        let first = notices.behind("acme", 0, 1).remove(0);
        let shown = serde_json::to_value(&first).unwrap();
        assert_eq!(
            (&shown["event"], &shown["box"], &shown["id"]),
            (&"fax_received".into(), &"main".into(), &"a".into())
        );
        let again = Notices::new(shelf(before.take_fresh()));
        again.tell("acme", at, fax("d"));
        assert_eq!(
            (numbers(&again, "acme", 1), again.behind("acme", 2, 10)[0].news.clone()),
            (vec![2, 3], fax("d"))
        );
    }

    #[test]
    fn the_oldest_give_way_and_their_numbers_are_given_to_none() {
        let notices = Notices::new(shelf(Vec::new()));
        for number in 0..limits::NOTICES + 5 {
            notices.tell("acme", Timestamp::UNIX_EPOCH, fax(&number.to_string()));
        }
        let all = notices.behind("acme", 0, usize::MAX);
        let ends = (all.first().unwrap().number, all.last().unwrap().number);
        assert_eq!(ends, (6, limits::NOTICES + 5));
        assert_eq!(u64::try_from(all.len()).unwrap(), limits::NOTICES);
    }

    #[test]
    fn who_waits_hears_of_the_next_one_and_of_the_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let notices = Notices::new(shelf(Vec::new()));
            let mut watched = notices.watched();
            let early = tokio::time::timeout(Duration::from_millis(20), watched.changed()).await;
            assert!(early.is_err(), "nothing has happened");
            notices.tell("acme", Timestamp::UNIX_EPOCH, fax("a"));
            assert!(watched.changed().await);
            notices.close();
            assert!(!watched.changed().await);
            assert!(!notices.watched().changed().await, "nor does who comes later wait");
        });
    }
}
