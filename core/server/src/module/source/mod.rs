//! `kk.source/1`: modules that answer what offices want to know of callers, each on a thread of its
//! own. No call waits here: the switch has its own time for that. A question whose time is over
//! before its turn comes is not asked at all, so that a slow source falls no further behind.

#[expect(unsafe_code, reason = "the C border of a source")]
mod border;
pub(crate) mod cache;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use koukan_abi::{Status, status};
use koukan_switch::{CallerQuestion, Found, LookupId};
use mio::Waker;
use serde::Deserialize;

pub(super) use self::border::SourceTable;
use self::cache::Key;
use crate::limits;

/// How often a thread that nobody asks looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// The first and the longest pause after a source did not open.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A source that has one question for so long is named.
const LOST: Duration = Duration::from_secs(5);

/// What sources of modules need of the server.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// What relative paths in a module's options begin at.
    pub(crate) base: PathBuf,
    pub(crate) answers: Sender<Answered>,
    pub(crate) waker: Arc<Waker>,
}

/// What has become of a question.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) lookup: LookupId,
    pub(crate) key: Key,
    pub(crate) build: usize,
    pub(crate) answer: Result<Option<Found>, Arc<str>>,
    pub(crate) keep: Duration,
}

/// A question on its way.
#[derive(Debug)]
struct Asked {
    lookup: LookupId,
    question: Box<CallerQuestion>,
    until: Instant,
}

/// What a source has done.
#[derive(Debug, Default)]
struct Counts {
    asked: AtomicU64,
    /// Answers that no call waited for any more, and questions that were not asked for that reason.
    late: AtomicU64,
    /// Since when, in ms after the origin, it has its question; 0 is none.
    busy: AtomicU64,
}

/// A source at work.
#[derive(Debug)]
pub(crate) struct Worker {
    questions: Sender<Asked>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    counts: Arc<Counts>,
    origin: Instant,
    /// It has been named for the stay that began then.
    named: AtomicU64,
}

impl Worker {
    /// Starts the thread of a build's source.
    pub(super) fn start(
        exchange: &Exchange,
        (build, module): (usize, &str),
        options: &str,
        table: SourceTable,
    ) -> std::io::Result<Self> {
        let (questions, queue) = bounded(limits::QUESTIONS);
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let origin = Instant::now();
        let work = Work {
            exchange: exchange.clone(),
            build,
            module: module.to_owned(),
            options: options.to_owned(),
            table,
            queue,
            stop: Arc::clone(&stop),
            counts: Arc::clone(&counts),
            origin,
        };
        let name = format!("source {module}");
        let thread = thread::Builder::new().name(name).spawn(move || work.run())?;
        Ok(Self { questions, stop, thread, counts, origin, named: AtomicU64::new(0) })
    }

    /// Asks a question; the answer comes by the exchange.
    pub(crate) fn ask(
        &self,
        lookup: LookupId,
        question: Box<CallerQuestion>,
    ) -> Result<(), &'static str> {
        let until = Instant::now() + question.within;
        let asked = Asked { lookup, question, until };
        self.questions.try_send(asked).map_err(|refused| match refused {
            TrySendError::Full(_) => "too many questions wait for it",
            TrySendError::Disconnected(_) => "its thread has ended",
        })
    }

    /// Asks it to end; it does when its module returns.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether its thread is in the process still.
    pub(super) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Questions that it was asked, and how many of them too late.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.counts.asked), read(&self.counts.late))
    }

    /// Names a source that does not come back from a question, once a question.
    pub(crate) fn name_the_lost(&self, module: &str) {
        let busy = self.counts.busy.load(Ordering::Acquire);
        let stay = millis(self.origin.elapsed()).saturating_sub(busy);
        let lost = busy > 0 && stay >= millis(LOST);
        if lost && self.named.swap(busy, Ordering::Relaxed) != busy {
            tracing::error!(module, ms = stay, "a source does not come back: calls go on without");
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The thread's own.
struct Work {
    exchange: Exchange,
    build: usize,
    module: String,
    options: String,
    table: SourceTable,
    queue: Receiver<Asked>,
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    origin: Instant,
}

impl Work {
    fn run(self) {
        let Some(mut source) = self.open() else { return };
        let mut failures = 0_u64;
        while !self.is_stopped() {
            match self.queue.recv_timeout(LOOK) {
                Ok(asked) => {
                    let told = self.answer(&mut source, asked);
                    failures = failures.saturating_add(u64::from(told.is_err()));
                    if let Some(words) = told.err().filter(|_| failures.is_power_of_two()) {
                        let module = &*self.module;
                        tracing::error!(module, failures, "a source cannot answer: {words}");
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        self.refuse_all("its build is being taken out");
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Opens it, trying again until it is told to end; who asks meanwhile is told so.
    fn open(&self) -> Option<border::Source> {
        let mut pause = PAUSE;
        loop {
            let base = self.exchange.base.to_string_lossy();
            let words = match self.table.open(&self.options, &base) {
                Ok(source) => return Some(source),
                Err(refused) => format!("its source does not open: {}", status::words(refused)),
            };
            tracing::error!(module = &*self.module, "callers are not known: {words}");
            let until = Instant::now() + pause;
            while Instant::now() < until {
                if self.is_stopped() {
                    return None;
                }
                if let Ok(asked) = self.queue.recv_timeout(LOOK) {
                    self.tell(asked, Err(words.as_str().into()), Duration::ZERO);
                }
            }
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    fn refuse_all(&self, why: &str) {
        while let Ok(asked) = self.queue.try_recv() {
            self.tell(asked, Err(why.into()), Duration::ZERO);
        }
    }

    /// Answers a question whose time is not over; what stood against it.
    fn answer(&self, source: &mut border::Source, asked: Asked) -> Result<(), String> {
        let counts = &self.counts;
        counts.asked.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        if began >= asked.until {
            counts.late.fetch_add(1, Ordering::Relaxed);
            // Nobody waits for it any more.
            self.tell(asked, Err("its turn came too late".into()), Duration::ZERO);
            return Ok(());
        }
        counts.busy.store(millis(self.origin.elapsed()).max(1), Ordering::Release);
        let (said, keep) = source.caller(&asked.question);
        counts.busy.store(0, Ordering::Release);
        let answer = said.map_err(words).and_then(|text| text.map(read).transpose());
        if Instant::now() > asked.until {
            let late = counts.late.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            if late.is_power_of_two() {
                let (module, ms) = (&*self.module, millis(began.elapsed()));
                tracing::warn!(module, ms, late, "a source answers when the call has gone on");
            }
        }
        let told = answer.as_ref().map(drop).map_err(String::clone);
        self.tell(asked, answer.map_err(Into::into), keep);
        told
    }

    fn tell(&self, asked: Asked, answer: Result<Option<Found>, Arc<str>>, keep: Duration) {
        let key = Key::new(self.build, &asked.question);
        let answered = Answered { lookup: asked.lookup, key, build: self.build, answer, keep };
        // A loop that is gone needs no answer.
        if self.exchange.answers.send(answered).is_ok() {
            let _ = self.exchange.waker.wake();
        }
    }
}

fn words(status: Status) -> String {
    status::words(status).to_owned()
}

/// What a source may say of a caller.
#[derive(Deserialize)]
struct Said {
    name: Option<String>,
    refuse: Option<String>,
}

/// Reads an answer: words without control characters, no longer than a phone shows.
fn read(text: &str) -> Result<Found, String> {
    let said: Said = serde_json::from_str(text).map_err(|error| format!("its answer: {error}"))?;
    // Who is refused without a reason is refused all the same.
    let reason = |words: String| plain(&words).unwrap_or_else(|| "no reason given".into());
    Ok(Found { name: said.name.and_then(|name| plain(&name)), refuse: said.refuse.map(reason) })
}

fn plain(words: &str) -> Option<Arc<str>> {
    let words = words.chars().filter(|c| !c.is_control()).take(limits::ANSWER_WORD);
    let words: String = words.collect();
    (!words.trim().is_empty()).then(|| words.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_what_is_none_is_not() {
        let found = |name: Option<&str>, refuse: Option<&str>| Found {
            name: name.map(Into::into),
            refuse: refuse.map(Into::into),
        };
        assert_eq!(read("{}"), Ok(found(None, None)));
        assert_eq!(read(r#"{"name":" A\u0007 B ","x":1}"#), Ok(found(Some("A B"), None)));
        assert_eq!(read(r#"{"name":"","refuse":""}"#), Ok(found(None, Some("no reason given"))));
        let long = format!("{{\"name\":\"{}\"}}", "a".repeat(3_000));
        assert_eq!(read(&long).unwrap().name.unwrap().len(), limits::ANSWER_WORD);
        for wrong in ["", "[]", "{\"name\":1}", "{\"refuse\":true}", "{\"name\":\"a\""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
