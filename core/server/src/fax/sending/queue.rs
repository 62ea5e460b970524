//! The documents under way, on the thread of the faxes: which is due, what became of an attempt.
//! Times are handed in; what is to be called is handed back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use koukan_base::{CallId, Shards, Time};
use koukan_fax::Cause;
use koukan_fax::queue::{Attempt, Ended, Job, Next, RetryTable};
use koukan_switch::{Destination, FaxCall, FaxId, NotSent, Now};

use super::drawer::Drawer;
use super::sent::{Entry, Sent, State};
use crate::fax::entry::Fax;
use crate::fax::running::Progress;

/// Attempts at once; what else is due waits for the end of one.
const AT_ONCE: usize = 200;

/// How long the switch may take to say that a machine has answered, or that none does.
const ANSWERS: Duration = Duration::from_secs(300);

/// So long after its lines were found taken an office's next document is tried; the rules of
/// attempts do not count it.
const LINES: Duration = Duration::from_secs(30);

/// Attempts after the first to send a received fax on to a machine of the office.
const DELIVERIES: u32 = 3;

/// No attempt lasts longer; the process that speaks T.30 has the same bound.
const LONGEST: Duration = Duration::from_secs(4 * 3_600 + 60);

/// A document under way.
#[derive(Debug)]
struct Outgoing {
    tenant: Arc<str>,
    job: Job,
    entry: Entry,
    attempt: Option<Under>,
}

/// An attempt under way.
#[derive(Debug)]
struct Under {
    fax: FaxId,
    how: Attempt,
    until: Time,
}

/// What a process is told of an attempt whose call is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) tenant: Arc<str>,
    pub(crate) id: String,
    /// The file's name below the directory of the processes.
    pub(crate) file: String,
    pub(crate) how: Attempt,
    /// What our machine calls itself (TSI).
    pub(crate) ident: String,
}

/// Every document that is not over.
#[derive(Debug)]
pub(crate) struct Queue {
    drawer: Drawer,
    homes: Shards,
    documents: BTreeMap<String, Outgoing>,
    by_fax: HashMap<FaxId, String>,
    /// Offices whose lines are taken, and until when nothing of them is tried.
    held: HashMap<Arc<str>, Time>,
    next: u64,
}

impl Queue {
    /// The documents that the last run left; one that was being sent has failed for now.
    pub(crate) fn new(drawer: Drawer, now: Now) -> Self {
        let left = drawer.entries();
        let (documents, by_fax) = (BTreeMap::new(), HashMap::new());
        let mut queue =
            Self { drawer, homes: Shards::ONE, documents, by_fax, held: HashMap::new(), next: 0 };
        for (tenant, id, entry) in left {
            if !entry.sent.is_over() {
                queue.restore(tenant.into(), id, entry, now);
            }
        }
        queue.drawer.sweep(|id| queue.documents.contains_key(id));
        queue
    }

    /// Calls are made by the tenants' homes among so many shards.
    pub(crate) const fn set_homes(&mut self, homes: Shards) {
        self.homes = homes;
    }

    fn restore(&mut self, tenant: Arc<str>, id: String, entry: Entry, now: Now) {
        let waits = entry.sent.state == State::Waiting;
        let due = entry.sent.due.filter(|_| waits);
        let wait = due.map(|due| due.duration_since(now.date)).unwrap_or_default();
        let wait = Duration::try_from(wait).unwrap_or_default();
        let mut job = Job::restore(entry.job.clone(), entry.table.clone(), now.time + wait);
        if waits {
            tracing::info!(tenant = &*tenant, id, "a fax of the last run waits to be sent");
            self.documents.insert(id, Outgoing { tenant, job, entry, attempt: None });
            return;
        }
        let confirmed = entry.sent.confirmed.saturating_sub(entry.job.confirmed());
        let by_t38 = entry.sent.medium == "t38";
        tracing::warn!(tenant = &*tenant, id, confirmed, "the last run ended while a fax was sent");
        let _attempt = job.begin(now.time);
        self.documents.insert(id.clone(), Outgoing { tenant, job, entry, attempt: None });
        self.settle(&id, Ended { cause: Cause::Worker, confirmed, by_t38 }, now);
    }

    /// A document was handed in; its entry is in the store.
    pub(crate) fn add(&mut self, tenant: Arc<str>, id: String, entry: Entry, now: Now) {
        let job = Job::restore(entry.job.clone(), entry.table.clone(), now.time);
        self.documents.insert(id, Outgoing { tenant, job, entry, attempt: None });
    }

    /// S-40: a received fax goes on to a machine of the office, as it came.
    pub(crate) fn deliver(
        &mut self,
        tenant: &Arc<str>,
        received: &str,
        fax: &Fax,
        kept: &Path,
        now: Now,
    ) -> io::Result<()> {
        let Some((number, machine)) = fax.deliver_to.clone() else { return Ok(()) };
        let id = format!("s{received}");
        std::fs::copy(kept, self.drawer.file(&id))?;
        let table = RetryTable::default();
        let job = Job::new(now.time, fax.pages, DELIVERIES, table.clone()).save();
        let sent = Sent {
            state: State::Waiting,
            number,
            from: fax.called.clone(),
            mailbox: fax.mailbox.clone(),
            to: machine,
            to_device: true,
            created: now.date,
            ended: None,
            due: Some(now.date),
            pages: fax.pages,
            confirmed: 0,
            estimate_s: 0,
            attempts: 0,
            calls: Vec::new(),
            station: String::new(),
            medium: String::new(),
            bit_rate: 0,
            ecm: false,
            cause: None,
            notify: fax.notify.clone(),
            language: fax.language.clone(),
            utc_offset_s: fax.utc_offset_s,
        };
        let entry = Entry { sent, job, table };
        self.drawer.write(tenant, &id, &entry);
        self.add(tenant.clone(), id, entry, now);
        Ok(())
    }

    /// When something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let free = self.by_fax.len() < AT_ONCE;
        let called = self.called();
        let next = |document: &Outgoing| match &document.attempt {
            Some(under) => Some(under.until),
            None if free && !called.contains(&document.machine()) => {
                let held = self.held.get(&document.tenant);
                document.job.due().map(|due| held.map_or(due, |held| due.max(*held)))
            }
            None => None,
        };
        self.documents.values().filter_map(next).min()
    }

    /// The machines that documents are on their way to, which would be busy for another one.
    fn called(&self) -> HashSet<(Arc<str>, String)> {
        let documents = self.by_fax.values().filter_map(|id| self.documents.get(id));
        documents.map(Outgoing::machine).collect()
    }

    /// The attempts that are due: the calls to be made for them.
    pub(crate) fn due(&mut self, now: Now) -> Vec<FaxCall> {
        self.held.retain(|_, until| *until > now.time);
        let mut called = self.called();
        let is_due = |document: &Outgoing| document.job.due().is_some_and(|due| due <= now.time);
        let due = self
            .documents
            .iter()
            .filter(|(_, document)| is_due(document) && !self.held.contains_key(&document.tenant));
        let due: Vec<(String, (Arc<str>, String))> =
            due.map(|(id, document)| (id.clone(), document.machine())).collect();
        let mut calls = Vec::new();
        for (id, machine) in due {
            if self.by_fax.len() >= AT_ONCE {
                break;
            }
            if called.insert(machine) {
                calls.extend(self.begin(&id, now));
            }
        }
        calls
    }

    fn begin(&mut self, id: &str, now: Now) -> Option<FaxCall> {
        let document = self.documents.get_mut(id)?;
        let before = document.job.save();
        let how = document.job.begin(now.time)?;
        self.next += 1;
        let fax = FaxId::outgoing_of(self.homes.home(&document.tenant), self.next);
        document.attempt = Some(Under { fax, how, until: now.time + ANSWERS });
        let Outgoing { tenant, entry, .. } = document;
        entry.job = before;
        let sent = &mut entry.sent;
        (sent.state, sent.due) = (State::Calling, None);
        sent.attempts = sent.attempts.saturating_add(1);
        let to: Arc<str> = sent.to.as_str().into();
        let to = if sent.to_device { Destination::Device(to) } else { Destination::Number(to) };
        let number = sent.number.as_str().into();
        let call = FaxCall { fax, tenant: tenant.clone(), number, to, t38: how.easier.t38 };
        self.by_fax.insert(fax, id.to_owned());
        self.drawer.write(&document.tenant, id, &document.entry);
        Some(call)
    }

    /// A machine, or somebody, has answered; `None` when it is not wanted any more.
    pub(crate) fn answered(&mut self, fax: FaxId, call: CallId, now: Now) -> Option<Begun> {
        let id = self.by_fax.get(&fax)?.clone();
        let document = self.documents.get_mut(&id)?;
        let under = document.attempt.as_mut()?;
        under.until = now.time + LONGEST;
        let how = under.how;
        let sent = &mut document.entry.sent;
        sent.state = State::Sending;
        sent.calls.push(call.to_string());
        (sent.medium, sent.bit_rate, sent.ecm) = ("g711".to_owned(), 0, false);
        let (ident, file) = (sent.from.clone(), Drawer::name(&id));
        self.drawer.write(&document.tenant, &id, &document.entry);
        Some(Begun { tenant: document.tenant.clone(), id, file, how, ident })
    }

    /// What is known of an attempt; a confirmed page is in the store before anything else is done.
    pub(crate) fn progress(&mut self, fax: FaxId, progress: &Progress) {
        let Some(id) = self.by_fax.get(&fax) else { return };
        let Some(document) = self.documents.get_mut(id) else { return };
        note(document, progress);
        self.drawer.write(&document.tenant, id, &document.entry);
    }

    /// An attempt is over; in one sentence what became of the document.
    pub(crate) fn ended(
        &mut self,
        fax: FaxId,
        cause: Cause,
        progress: &Progress,
        now: Now,
    ) -> Option<String> {
        let id = self.by_fax.remove(&fax)?;
        let document = self.documents.get_mut(&id)?;
        document.attempt = None;
        note(document, progress);
        let ended = Ended { cause, confirmed: progress.confirmed, by_t38: progress.by_t38 };
        self.settle(&id, ended, now)
    }

    /// The office has no line to spare: its documents wait, which is no attempt.
    fn no_line(&mut self, fax: FaxId, cause: &str, now: Now) {
        let Some(id) = self.by_fax.remove(&fax) else { return };
        let Some(document) = self.documents.get_mut(&id) else { return };
        let due = now.time + LINES;
        if self.held.insert(document.tenant.clone(), due).is_none() {
            tracing::info!(tenant = &*document.tenant, cause, "faxes wait for a line");
        }
        document.attempt = None;
        document.job = Job::restore(document.entry.job.clone(), document.entry.table.clone(), due);
        let sent = &mut document.entry.sent;
        sent.state = State::Waiting;
        sent.attempts = sent.attempts.saturating_sub(1);
        let wait = SignedDuration::try_from(LINES).unwrap_or_default();
        sent.due = Some(now.date.saturating_add(wait).unwrap_or(Timestamp::MAX));
        self.drawer.write(&document.tenant, &id, &document.entry);
    }

    /// A call came to nothing.
    pub(crate) fn not_sent(&mut self, fax: FaxId, call: Option<CallId>, why: &NotSent, now: Now) {
        if let NotSent::Refused { cause, .. } = why
            && is_for_want_of_a_line(cause)
        {
            return self.no_line(fax, cause, now);
        }
        let id = self.by_fax.get(&fax).cloned();
        let document = id.as_ref().and_then(|id| self.documents.get_mut(id));
        if let Some(document) = document {
            document.entry.sent.calls.extend(call.map(|call| call.to_string()));
        }
        let words = self.ended(fax, cause_of(why), &Progress::default(), now);
        if let (Some(id), Some(words)) = (id, words) {
            tracing::info!(id, ?why, "{words}");
        }
    }

    /// Attempts that nobody has told the end of: they are given up.
    pub(crate) fn overdue(&mut self, now: Now) -> Vec<FaxId> {
        let late = |document: &Outgoing| {
            document.attempt.as_ref().filter(|under| under.until <= now.time).map(|under| under.fax)
        };
        let late: Vec<FaxId> = self.documents.values().filter_map(late).collect();
        for fax in &late {
            tracing::error!(fax = fax.0, "nobody has told the end of an attempt to send");
            let known = self.known(*fax);
            self.ended(*fax, Cause::Unreachable, &known, now);
        }
        late
    }

    /// What has become of an attempt so far, as the store has it.
    fn known(&self, fax: FaxId) -> Progress {
        let document = self.by_fax.get(&fax).and_then(|id| self.documents.get(id));
        let Some(Outgoing { entry, .. }) = document else { return Progress::default() };
        let confirmed = entry.sent.confirmed.saturating_sub(entry.job.confirmed());
        Progress { confirmed, by_t38: entry.sent.medium == "t38", ..Progress::default() }
    }

    /// Somebody does not want a document sent any more; the attempt that is to be hung up.
    pub(crate) fn cancel(&mut self, id: &str, now: Now) -> Option<FaxId> {
        let document = self.documents.get_mut(id)?;
        document.job.cancel();
        let fax = document.attempt.take().map(|under| under.fax);
        if let Some(fax) = fax {
            self.by_fax.remove(&fax);
        }
        self.over(id, Cause::Cancelled, now);
        fax
    }

    /// What follows from the end of an attempt.
    fn settle(&mut self, id: &str, ended: Ended, now: Now) -> Option<String> {
        let lost = !self.drawer.file(id).is_file();
        let document = self.documents.get_mut(id)?;
        let next = document.job.ended(now.time, ended);
        let sent = &mut document.entry.sent;
        sent.confirmed = document.job.pages().1;
        let cause = match next {
            Next::Done => Cause::Done,
            Next::Failed { cause } => cause,
            Next::Again { .. } if lost => Cause::Document,
            Next::Again { due } => {
                (sent.state, sent.cause) = (State::Waiting, Some(ended.cause));
                let wait = SignedDuration::try_from(due.since(now.time)).unwrap_or_default();
                sent.due = Some(now.date.saturating_add(wait).unwrap_or(Timestamp::MAX));
                document.entry.job = document.job.save();
                self.drawer.write(&document.tenant, id, &document.entry);
                return Some(document.entry.sent.result());
            }
        };
        Some(self.over(id, cause, now))
    }

    /// A document is over.
    fn over(&mut self, id: &str, cause: Cause, now: Now) -> String {
        let Some(Outgoing { tenant, job, mut entry, .. }) = self.documents.remove(id) else {
            return String::new();
        };
        let sent = &mut entry.sent;
        sent.state = if cause == Cause::Done { State::Done } else { State::Failed };
        (sent.cause, sent.ended, sent.due) = (Some(cause), Some(now.date), None);
        entry.job = job.save();
        // Who cancels knows; and of a fax that came the office was told when it came.
        let known = cause == Cause::Cancelled || (entry.sent.to_device && cause == Cause::Done);
        self.drawer.finish(&tenant, id, &entry, !known);
        entry.sent.result()
    }
}

impl Outgoing {
    /// Where it goes.
    fn machine(&self) -> (Arc<str>, String) {
        (self.tenant.clone(), self.entry.sent.to.clone())
    }
}

/// Takes over what an attempt has come to so far.
fn note(document: &mut Outgoing, progress: &Progress) {
    let before = document.entry.job.confirmed();
    let sent = &mut document.entry.sent;
    sent.confirmed = before.saturating_add(progress.confirmed).min(sent.pages);
    if progress.bit_rate > 0 {
        (sent.bit_rate, sent.ecm) = (progress.bit_rate, progress.ecm);
    }
    if !progress.station.is_empty() {
        sent.station.clone_from(&progress.station);
    }
    if progress.by_t38 {
        sent.medium = "t38".to_owned();
    }
}

/// Whether our own lines are in use, or as many as may be: they are free again some time.
fn is_for_want_of_a_line(cause: &str) -> bool {
    cause.starts_with("channels:") || matches!(cause, "cap:concurrent" | "cap:night")
}

/// Why a call that was made for a fax, or was not, came to nothing.
fn cause_of(why: &NotSent) -> Cause {
    match why {
        NotSent::Refused { status: 480 | 486 | 500..=599, .. } => Cause::Unreachable,
        NotSent::Refused { status: 404 | 484, .. } => Cause::Unallocated,
        NotSent::Refused { .. } => Cause::Blocked,
        NotSent::Failed { status } => Cause::of_sip(*status),
        NotSent::Dropped => Cause::Dropped,
    }
}

#[cfg(test)]
mod tests;
