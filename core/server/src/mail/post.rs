//! The thread that sends letters: one connection at a time, each with a time-out, so that a mail
//! server that hangs delays mails and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use lettre::message::Mailbox;
use lettre::transport::smtp::SmtpTransport;
use lettre::{Transport, transport};
use mio::Waker;

use super::Letter;
use crate::clock::Clock;

/// `[mail]`.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// The mail server, as a URL: `smtp://HOST:PORT`, `smtps://`, with user and password in it.
    pub smtp: String,
    /// The sender of every mail.
    pub from: String,
}

/// Mail cannot be sent at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// `[mail] smtp`: configuration.
    #[error("mail.smtp: {0}")]
    Url(String),
    /// `[mail] from`: configuration.
    #[error("mail.from: \"{0}\" is no mail address")]
    From(String),
    /// The system gave no thread: resource.
    #[error("the mail thread cannot be started: {0}")]
    Thread(io::Error),
}

/// Tenant and key of a letter's note.
pub(crate) type LetterKey = (String, String);

/// The way to the thread. Dropping it ends the thread; what waits is sent by the next start.
#[derive(Debug)]
pub struct Post {
    letters: Option<Sender<(LetterKey, Letter)>>,
    done: Arc<Mutex<Vec<LetterKey>>>,
    thread: Option<JoinHandle<()>>,
}

impl Post {
    /// Starts the thread; `waker` wakes who takes what is done.
    ///
    /// # Errors
    /// The configuration names no mail server or sender, or the system refuses a thread.
    pub fn start(config: &MailConfig, clock: Clock, waker: Arc<Waker>) -> Result<Self, MailError> {
        let from = config.from.parse().map_err(|_| MailError::From(config.from.clone()))?;
        let transport = SmtpTransport::from_url(&config.smtp)
            .map_err(|error| MailError::Url(error.to_string()))?
            .timeout(Some(TIMEOUT))
            .build();
        // As many as have a record, and those are counted.
        let (letters, queue) = unbounded();
        let done = Arc::new(Mutex::new(Vec::new()));
        let sorter = Sorter {
            transport,
            from,
            clock,
            done: Arc::clone(&done),
            waker,
            waiting: BTreeMap::new(),
        };
        let thread = std::thread::Builder::new()
            .name("mail".to_owned())
            .spawn(move || sorter.run(&queue))
            .map_err(MailError::Thread)?;
        Ok(Self { letters: Some(letters), done, thread: Some(thread) })
    }

    /// Gives the thread a letter, whose record is kept.
    pub(crate) fn send(&self, key: LetterKey, letter: Letter) {
        if let Some(letters) = &self.letters {
            // Without a thread it waits in its record for the next start.
            let _ = letters.send((key, letter));
        }
    }

    /// Letters that were sent or given up since the last time.
    pub(crate) fn take_done(&self) -> Vec<LetterKey> {
        std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.letters = None;
        if let Some(thread) = self.thread.take()
            && thread.is_finished()
        {
            let _ = thread.join();
        }
        // One that waits for a mail server is left to it: the letter is in the store.
    }
}

/// The thread's own.
struct Sorter {
    transport: SmtpTransport,
    from: Mailbox,
    clock: Clock,
    done: Arc<Mutex<Vec<LetterKey>>>,
    waker: Arc<Waker>,
    /// What is tried again, by when.
    waiting: BTreeMap<(Instant, u64), (LetterKey, Letter, u32)>,
}

/// How long a mail server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long after the first failure a letter is tried again; twice as long after each further one.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// At most so long.
const LAST_RETRY: Duration = Duration::from_secs(1_800);
/// A letter that nobody took for so long is given up.
const TOO_OLD_MS: i64 = 3 * 86_400 * 1_000;

impl Sorter {
    fn run(mut self, queue: &Receiver<(LetterKey, Letter)>) {
        let mut count = 0_u64;
        loop {
            let next = self.waiting.keys().next().map(|(at, _)| *at);
            let wait = next.map_or(LAST_RETRY, |at| at.saturating_duration_since(Instant::now()));
            let (key, letter, tries) = match queue.recv_timeout(wait) {
                Ok((key, letter)) => (key, letter, 0),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let Some(entry) = self.waiting.first_entry() else { continue };
                    if entry.key().0 > Instant::now() {
                        continue;
                    }
                    entry.remove()
                }
            };
            count = count.wrapping_add(1);
            if !self.deliver(&key, &letter, tries) {
                let pause = FIRST_RETRY.saturating_mul(1 << tries.min(16)).min(LAST_RETRY);
                let place = (Instant::now() + pause, count);
                self.waiting.insert(place, (key, letter, tries.saturating_add(1)));
                continue;
            }
            self.done.lock().unwrap_or_else(PoisonError::into_inner).push(key);
            // A poll that is gone wakes nobody; the server is ending then.
            let _ = self.waker.wake();
        }
    }

    /// Tries a letter; whether it is done with, sent or given up.
    fn deliver(&self, (tenant, id): &LetterKey, letter: &Letter, tries: u32) -> bool {
        let message = match letter.message(&self.from, &id.replace('/', ".")) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(tenant, id, %error, "a mail is given up");
                return true;
            }
        };
        let age_ms = self.clock.date().as_millisecond().saturating_sub(letter.ordered_ms);
        match self.transport.send(&message) {
            Ok(_) => {
                tracing::info!(tenant, id, "a mail is sent");
                true
            }
            Err(error) if is_final(&error) || age_ms > TOO_OLD_MS => {
                tracing::error!(tenant, id, %error, "a mail is given up");
                true
            }
            Err(error) => {
                if tries == 0 {
                    tracing::warn!(tenant, id, %error, "a mail waits for the mail server");
                }
                false
            }
        }
    }
}

/// RFC 5321, 4.2.1: 5yz is for ever.
fn is_final(error: &transport::smtp::Error) -> bool {
    error.is_permanent()
}
