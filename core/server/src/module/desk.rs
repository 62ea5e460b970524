//! The books of every application: which runs, what it is owed, what it asked for and who woke it.
//! Modules reach it through the border, the control loop through `Modules`. No module code is ever
//! called with the books open.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use koukan_abi::{Status, status};
use koukan_base::{CallId, OpId};
use koukan_switch::{AppEvent, InstanceId, ModuleRequest, OpStatus, Operation};
use mio::Waker;

use crate::limits;

/// The books.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The mark of the control thread.
    owner: AtomicUsize,
    books: Mutex<Books>,
    /// Applications to wake. Written by any thread, so apart from the books.
    woken: Mutex<BTreeSet<u64>>,
    is_woken: AtomicBool,
    waker: Arc<Waker>,
    /// Results of the host's own operations, from any thread.
    finished: Mutex<Vec<(InstanceId, AppEvent)>>,
    is_finished: AtomicBool,
}

#[derive(Debug, Default)]
struct Books {
    requests: VecDeque<ModuleRequest>,
    ledgers: HashMap<u64, Ledger>,
}

/// One application's page.
#[derive(Debug)]
struct Ledger {
    /// Which build it is of.
    module: usize,
    call: CallId,
    tenant: Arc<str>,
    last_op: u64,
    /// Operations whose result is owed.
    owed: Vec<u64>,
    /// Those of them that the host does itself.
    own: Vec<u64>,
    reason: Option<String>,
    /// It is being destroyed: its cancels need no order, and nothing new begins.
    closing: bool,
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here is left half done by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static MARK: u8 = const { 0 };
}

/// A number that no other living thread has.
fn mark() -> usize {
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

impl Desk {
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        Self {
            owner: AtomicUsize::new(0),
            books: Mutex::default(),
            woken: Mutex::default(),
            is_woken: AtomicBool::new(false),
            waker,
            finished: Mutex::default(),
            is_finished: AtomicBool::new(false),
        }
    }

    /// The calling thread is the control thread.
    pub(crate) fn own(&self) {
        self.owner.store(mark(), Ordering::Relaxed);
    }

    pub(crate) fn check_thread(&self) -> Result<(), Status> {
        // Relaxed: the owner sees its own store, and no other thread has its mark.
        if self.owner.load(Ordering::Relaxed) == mark() { Ok(()) } else { Err(status::THREAD) }
    }

    /// Opens an application's page.
    pub(crate) fn begin(
        &self,
        instance: InstanceId,
        module: usize,
        call: CallId,
        tenant: Arc<str>,
    ) {
        let (owed, own, reason) = (Vec::new(), Vec::new(), None);
        let ledger = Ledger { module, call, tenant, last_op: 0, owed, own, reason, closing: false };
        open(&self.books).ledgers.insert(instance.0, ledger);
    }

    /// The application is about to be destroyed.
    pub(crate) fn close(&self, instance: InstanceId) {
        if let Some(ledger) = open(&self.books).ledgers.get_mut(&instance.0) {
            ledger.closing = true;
        }
    }

    /// Ends an application's page: which build it was of, and the reason that it stated.
    pub(crate) fn end(&self, instance: InstanceId) -> Option<(usize, Option<String>)> {
        let ledger = open(&self.books).ledgers.remove(&instance.0)?;
        Some((ledger.module, ledger.reason))
    }

    /// Whether a result is owed; if so it is being given now, once.
    pub(crate) fn settle(&self, instance: InstanceId, op: OpId) -> bool {
        let mut books = open(&self.books);
        let Some(ledger) = books.ledgers.get_mut(&instance.0) else { return false };
        let Some(at) = ledger.owed.iter().position(|owed| *owed == op.0) else { return false };
        ledger.owed.remove(at);
        ledger.own.retain(|own| *own != op.0);
        true
    }

    /// Every result that is owed still, settled herewith.
    pub(crate) fn settle_all(&self, instance: InstanceId) -> Vec<OpId> {
        let mut books = open(&self.books);
        let ledger = books.ledgers.get_mut(&instance.0);
        let owed = ledger.map(|ledger| std::mem::take(&mut ledger.owed)).unwrap_or_default();
        owed.into_iter().map(OpId).collect()
    }

    /// Puts a request into the queue.
    pub(crate) fn request(&self, request: ModuleRequest) {
        open(&self.books).requests.push_back(request);
    }

    pub(crate) fn poll_request(&self) -> Option<ModuleRequest> {
        open(&self.books).requests.pop_front()
    }

    pub(crate) fn has_requests(&self) -> bool {
        self.is_finished.load(Ordering::Acquire) || !open(&self.books).requests.is_empty()
    }

    /// The call that a module means by a number.
    pub(crate) fn call(&self, module: usize, number: u64) -> Option<CallId> {
        let books = open(&self.books);
        books.ledgers.get(&number).filter(|ledger| ledger.module == module).map(|page| page.call)
    }

    /// Whose call it is.
    pub(crate) fn tenant(&self, module: usize, number: u64) -> Option<Arc<str>> {
        let books = open(&self.books);
        let page = books.ledgers.get(&number).filter(|ledger| ledger.module == module);
        page.map(|page| Arc::clone(&page.tenant))
    }

    /// Starts an operation: it waits in the queue until the control loop comes for it.
    pub(crate) fn start(
        &self,
        module: usize,
        number: u64,
        operation: Operation,
    ) -> Result<u64, Status> {
        self.check_thread()?;
        let mut books = open(&self.books);
        let op = books.ledger(module, number)?.begin()?;
        let instance = InstanceId(number);
        books.requests.push_back(ModuleRequest::Start { instance, op: OpId(op), operation });
        Ok(op)
    }

    /// Starts an operation that the host does itself, on another thread.
    pub(crate) fn start_own(&self, module: usize, number: u64) -> Result<u64, Status> {
        self.check_thread()?;
        let mut books = open(&self.books);
        let ledger = books.ledger(module, number)?;
        let op = ledger.begin()?;
        ledger.own.push(op);
        Ok(op)
    }

    /// Whether a result is owed still.
    pub(crate) fn owes(&self, number: u64, op: u64) -> bool {
        let books = open(&self.books);
        books.ledgers.get(&number).is_some_and(|ledger| ledger.owed.contains(&op))
    }

    /// What came of an operation of the host's own, from any thread; the first result counts.
    pub(crate) fn finish(&self, instance: InstanceId, op: OpId, status: OpStatus, text: &str) {
        let event = AppEvent::OpDone { op, status, text: text.into() };
        open(&self.finished).push((instance, event));
        self.is_finished.store(true, Ordering::Release);
        // A poll that is gone wakes nobody; the server is ending then.
        let _ = self.waker.wake();
    }

    /// The results that have come since the last time.
    pub(crate) fn take_finished(&self) -> Vec<(InstanceId, AppEvent)> {
        if !self.is_finished.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *open(&self.finished))
    }

    /// Cancels an operation; its result is still owed.
    pub(crate) fn cancel(&self, module: usize, number: u64, op: u64) -> Result<(), Status> {
        self.check_thread()?;
        let mut books = open(&self.books);
        let ledger = books.ledger(module, number)?;
        if !ledger.owed.contains(&op) {
            return Err(status::NOT_FOUND);
        }
        let instance = InstanceId(number);
        if ledger.own.contains(&op) {
            drop(books);
            self.finish(instance, OpId(op), OpStatus::Cancelled, "");
        } else if !ledger.closing {
            books.requests.push_back(ModuleRequest::Cancel { instance, op: OpId(op) });
        }
        Ok(())
    }

    /// Keeps the reason for a failure that is about to come.
    pub(crate) fn explain(&self, module: usize, number: u64, text: String) -> Result<(), Status> {
        self.check_thread()?;
        open(&self.books).ledger(module, number)?.reason = Some(text);
        Ok(())
    }

    /// Asks for a wake event, from any thread.
    pub(crate) fn wake(&self, number: u64) -> Result<(), Status> {
        let mut woken = open(&self.woken);
        if woken.len() >= limits::MODULE_WAKES {
            return Err(status::LIMIT);
        }
        woken.insert(number);
        drop(woken);
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            // A poll that is gone wakes nobody; the server is ending then.
            self.waker.wake().map_err(|_| status::FAILED)?;
        }
        Ok(())
    }

    /// Who was woken since the last time.
    pub(crate) fn take_woken(&self) -> BTreeSet<u64> {
        if !self.is_woken.swap(false, Ordering::AcqRel) {
            return BTreeSet::new();
        }
        std::mem::take(&mut *open(&self.woken))
    }
}

impl Ledger {
    /// The number of a new operation, whose result is owed from here on.
    fn begin(&mut self) -> Result<u64, Status> {
        if self.closing {
            return Err(status::HANGUP);
        }
        if self.owed.len() >= limits::MODULE_OPERATIONS {
            return Err(status::LIMIT);
        }
        self.last_op = self.last_op.wrapping_add(1);
        self.owed.push(self.last_op);
        Ok(self.last_op)
    }
}

impl Books {
    fn ledger(&mut self, module: usize, number: u64) -> Result<&mut Ledger, Status> {
        let ledger = self.ledgers.get_mut(&number).filter(|ledger| ledger.module == module);
        ledger.ok_or(status::NOT_FOUND)
    }
}
