//! The C border of a module: `kk_module_entry`, its functions, and the host's tables. Everything
//! unsafe of the SDK stands here.
//!
//! Each function that the host calls runs its body inside `guarded`: no panic leaves the module.
//! After a panic the instance's future is dropped inside another catch, and the panic's payload
//! inside a third, because the destructor of either may panic again.

use std::any::Any;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::{self, size_of};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::ptr;
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use koukan_abi as abi;
use koukan_abi::{Status, Str, event, id, log, status};

use crate::app::Module;
use crate::op::Operation;
use crate::session::{Done, Event, Host, Level};
use crate::task::Task;
use crate::wake::Remote;
use crate::{Error, Result};

/// `kk_module_entry` as a static.
#[repr(transparent)]
pub struct StaticEntry(abi::Entry);

// SAFETY: the entry is constant data: its pointers lead to statics and functions only.
unsafe impl Sync for StaticEntry {}

impl std::fmt::Debug for StaticEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The entry of a module.
#[must_use]
pub const fn entry<M: Module>() -> StaticEntry {
    StaticEntry(abi::Entry {
        magic: abi::MAGIC,
        size: const {
            assert!(size_of::<abi::Entry>() < 4096);
            #[expect(clippy::cast_possible_truncation, reason = "checked on the line above")]
            let size = size_of::<abi::Entry>() as u32;
            size
        },
        abi_major: abi::ABI_MAJOR,
        // Nothing above the first minor version is used.
        abi_minor: 0,
        flags: 0,
        name: Str::borrow(M::NAME),
        version: Str::borrow(M::VERSION),
        toolchain: Str::borrow(TOOLCHAIN),
        required: REQUIRED.as_ptr(),
        required_len: REQUIRED.len(),
        init: Some(init),
        deinit: Some(deinit),
        get_factory: Some(get_factory::<M>),
    })
}

const TOOLCHAIN: &str = concat!("koukan-sdk ", env!("CARGO_PKG_VERSION"));
const REQUIRED: &[Str] =
    &[Str::borrow(id::CALL_1), Str::borrow(id::LOG_1), Str::borrow(id::WAKE_1)];

/// The host of this build, from `init` to `deinit`.
#[derive(Clone, Copy)]
struct Bound {
    host: *const abi::Host,
    call: &'static abi::Call1,
    log: &'static abi::Log1,
    wake: &'static abi::Wake1,
}

// SAFETY: the host's struct and tables are constant and live until the process ends; which function
// may be called on which thread is checked by the host itself (KK_E_THREAD).
unsafe impl Send for Bound {}
// SAFETY: as for Send.
unsafe impl Sync for Bound {}

static BOUND: Mutex<Option<Bound>> = Mutex::new(None);
/// The last panic, as the hook saw it: the reason of the instance that it ended.
static PANICKED: Mutex<Option<String>> = Mutex::new(None);

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The code of the module panicked.
struct Panicked;

/// Runs module code so that no panic leaves it.
fn guarded<T>(body: impl FnOnce() -> T) -> std::result::Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(body)).map_err(discard)
}

/// Drops a panic's payload, whose destructor may panic too: that second payload is leaked.
fn discard(payload: Box<dyn Any + Send>) -> Panicked {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second);
    }
    Panicked
}

/// Sends the place of a panic to the host's log; the default hook would write to standard error.
fn on_panic(info: &PanicHookInfo<'_>) {
    let text = info.payload_as_str().unwrap_or("a panic without text");
    let text = match info.location() {
        Some(place) => format!("panicked at {}:{}: {text}", place.file(), place.line()),
        None => format!("panicked: {text}"),
    };
    if let Some(bound) = *lock(&BOUND) {
        bound.write(0, Level::Error, &text);
    }
    *lock(&PANICKED) = Some(text);
}

impl Bound {
    fn write(&self, call: u64, level: Level, text: &str) {
        let level = match level {
            Level::Error => log::ERROR,
            Level::Warn => log::WARN,
            Level::Info => log::INFO,
            Level::Debug => log::DEBUG,
        };
        // SAFETY: the host's own function and pointer; the text lives through the call.
        unsafe { (self.log.write)(self.host, call, level, Str::borrow(text)) };
    }

    fn explain(&self, call: u64, text: &str) {
        // SAFETY: as for `write`.
        unsafe { (self.call.explain)(self.host, call, Str::borrow(text)) };
    }
}

/// The table behind an extension's pointer, when it is large enough for version 1 of it.
///
/// # Safety
/// `table` is null, or points to a table of the host that begins with its size, is constant and
/// lives until the process ends; `T` is the struct of that table.
unsafe fn table<T>(table: *const c_void) -> Option<&'static T> {
    if table.is_null() {
        return None;
    }
    // SAFETY: the caller's promise: every table begins with its size.
    let size = unsafe { table.cast::<usize>().read() };
    if size < size_of::<T>() {
        return None;
    }
    // SAFETY: the caller's promise, and its size covers `T`.
    Some(unsafe { &*table.cast::<T>() })
}

/// The text of the host's that lives for `'t`; none when it is no UTF-8.
///
/// # Safety
/// `text` points to `len` bytes that live and stay as they are for `'t`.
unsafe fn text<'t>(text: Str) -> Option<&'t str> {
    if text.len == 0 {
        return Some("");
    }
    if text.ptr.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { slice::from_raw_parts(text.ptr, text.len) };
    std::str::from_utf8(bytes).ok()
}

unsafe extern "C" fn init(host: *const abi::Host) -> Status {
    guarded(|| {
        if host.is_null() {
            return status::ARGUMENT;
        }
        let extension = |id: &str| {
            // SAFETY: the host calls `init` with its own valid struct.
            let get_extension = unsafe { (*host).get_extension };
            // SAFETY: the host's function with its own pointer; the id lives through the call.
            unsafe { get_extension(host, Str::borrow(id)) }
        };
        // SAFETY: the contract of `get_extension`: this id's table, or null.
        let call = unsafe { table::<abi::Call1>(extension(id::CALL_1)) };
        // SAFETY: as above.
        let log = unsafe { table::<abi::Log1>(extension(id::LOG_1)) };
        // SAFETY: as above.
        let wake = unsafe { table::<abi::Wake1>(extension(id::WAKE_1)) };
        let (Some(call), Some(log), Some(wake)) = (call, log, wake) else {
            return status::UNSUPPORTED;
        };
        *lock(&BOUND) = Some(Bound { host, call, log, wake });
        panic::set_hook(Box::new(on_panic));
        status::OK
    })
    .unwrap_or(status::PANIC)
}

unsafe extern "C" fn deinit() {
    // Without a second catch there is nothing to do about a panic here, and nothing can cause one
    // but a `deinit` from inside a panic, which the host never does.
    let _ = guarded(|| {
        drop(panic::take_hook());
        *lock(&BOUND) = None;
        *lock(&PANICKED) = None;
    });
}

unsafe extern "C" fn get_factory<M: Module>(wanted: Str) -> *const c_void {
    guarded(|| {
        // SAFETY: the host's text lives through the call.
        match unsafe { text(wanted) } {
            Some(id::APP_1) => ptr::from_ref(Factory::<M>::APP).cast(),
            _ => ptr::null(),
        }
    })
    .unwrap_or(ptr::null())
}

/// The factory `kk.app/1` of a module.
struct Factory<M>(PhantomData<M>);

impl<M: Module> Factory<M> {
    const APP: &'static abi::App1 = &abi::App1 {
        size: size_of::<abi::App1>(),
        start: Some(start::<M>),
        event: Some(on_event),
        destroy: Some(destroy),
    };
}

/// What an `instance` pointer leads to.
struct Instance {
    /// Gone when the application is done, failed or panicked.
    task: Option<Task>,
    bound: Bound,
    call: u64,
}

unsafe extern "C" fn start<M: Module>(start: *const abi::Start, out: *mut abi::Instance) -> Status {
    // SAFETY: the host passes its own struct, valid for the call, or null.
    let Some(start) = (unsafe { start.as_ref() }) else { return status::ARGUMENT };
    if start.size < size_of::<abi::Start>() || out.is_null() {
        return status::ARGUMENT;
    }
    let Some(bound) = *lock(&BOUND) else { return status::FAILED };
    // SAFETY: the host's texts live through the call.
    let application = unsafe { text(start.application) };
    // SAFETY: as above.
    let arguments = unsafe { text(start.arguments) };
    let (Some(application), Some(arguments)) = (application, arguments) else {
        return status::ARGUMENT;
    };
    let Some(app) = M::APPS.iter().find(|app| app.name == application) else {
        return status::NOT_FOUND;
    };
    let call = start.call;
    let mut instance = Instance { task: None, bound, call };
    let begun = guarded(|| {
        let host = Box::new(RealHost { bound, call });
        let remote = Box::new(RealRemote::new(bound, call));
        Task::begin(host, remote, start.now_ns, |call| (app.begin)(call, arguments))
    });
    match begun {
        Ok(Ok(task)) => instance.task = Some(task),
        Ok(Err(error)) => return instance.fail(&error),
        Err(Panicked) => return instance.panicked(),
    }
    let status = instance.step(Task::poll);
    if status == status::PENDING {
        let instance = Box::into_raw(Box::new(instance));
        // SAFETY: the host's place for one pointer, valid for the call; null was refused above.
        unsafe { out.write(instance.cast()) };
    }
    status
}

unsafe extern "C" fn on_event(instance: abi::Instance, event: *const abi::Event) -> Status {
    // SAFETY: the host passes what `start` stored, before `destroy`, one event at a time.
    let instance = unsafe { instance.cast::<Instance>().as_mut() };
    // SAFETY: the host passes its own struct, valid for the call, or null.
    let event = unsafe { event.as_ref() };
    let (Some(instance), Some(event)) = (instance, event) else { return status::ARGUMENT };
    if event.size < size_of::<abi::Event>() {
        return status::ARGUMENT;
    }
    let now_ns = event.now_ns;
    // SAFETY: the event's text lives through the call.
    let event = unsafe { read_event(event) };
    match event {
        Some(event) => instance.step(move |task| task.handle(now_ns, event)),
        None => status::PENDING,
    }
}

/// An event in our words; none for one that this version does not know.
///
/// # Safety
/// As for [`text`]: the event's text lives through the call.
unsafe fn read_event(event: &abi::Event) -> Option<Event> {
    match event.r#type {
        event::OP_DONE => {
            // SAFETY: the caller's promise.
            let text = unsafe { text(event.text) }.unwrap_or_default().to_owned();
            Some(Event::OpDone { op: event.op, done: Done { status: event.status, text } })
        }
        event::DIGIT => u8::try_from(event.digit).ok().map(Event::Digit),
        event::HANG_UP => Some(Event::HangUp),
        event::WAKE => Some(Event::Wake),
        _ => None,
    }
}

unsafe extern "C" fn destroy(instance: abi::Instance) {
    if instance.is_null() {
        return;
    }
    // SAFETY: the host gives back, once, what `start` stored, and never uses it again.
    let mut instance = unsafe { Box::from_raw(instance.cast::<Instance>()) };
    instance.drop_task();
}

impl Instance {
    /// Lets the task take a step, and drops it when that was its last.
    fn step(&mut self, step: impl FnOnce(&mut Task) -> Poll<Result<()>>) -> Status {
        let Some(task) = &mut self.task else { return status::FAILED };
        match guarded(|| step(task)) {
            Ok(Poll::Pending) => status::PENDING,
            Ok(Poll::Ready(Ok(()))) => {
                if self.drop_task() {
                    status::OK
                } else {
                    self.panicked()
                }
            }
            Ok(Poll::Ready(Err(error))) => {
                self.drop_task();
                self.fail(&error)
            }
            Err(Panicked) => {
                // The first panic is the reason, not one of the future's destructors after it.
                let status = self.panicked();
                self.drop_task();
                status
            }
        }
    }

    /// Drops the future; a destructor in it may panic, which is caught. Whether all went well.
    fn drop_task(&mut self) -> bool {
        let task = self.task.take();
        guarded(|| drop(task)).is_ok()
    }

    fn fail(&self, error: &Error) -> Status {
        // `Display` of an error from the module's own types may panic.
        match guarded(|| error.to_string()) {
            Ok(text) => self.bound.explain(self.call, &text),
            Err(Panicked) => return self.panicked(),
        }
        error.status()
    }

    fn panicked(&self) -> Status {
        let text = lock(&PANICKED).take();
        self.bound.explain(self.call, text.as_deref().unwrap_or("panicked"));
        status::PANIC
    }
}

/// The host on the other side of the border.
struct RealHost {
    bound: Bound,
    call: u64,
}

impl Host for RealHost {
    fn start(&self, operation: &Operation) -> std::result::Result<u64, Status> {
        let Bound { host, call: table, .. } = self.bound;
        let (call, mut op) = (self.call, 0);
        let out = &raw mut op;
        let status = match *operation {
            // SAFETY: the host's function, its own pointer, a place for the number.
            Operation::Answer => unsafe { (table.answer)(host, call, out) },
            // SAFETY: as above.
            Operation::EarlyMedia => unsafe { (table.early_media)(host, call, out) },
            Operation::Play { ref prompts, times } => {
                let prompts: Vec<abi::Prompt> = prompts
                    .iter()
                    .map(|prompt| abi::Prompt {
                        size: size_of::<abi::Prompt>(),
                        language: Str::borrow(&prompt.language),
                        name: Str::borrow(&prompt.name),
                    })
                    .collect();
                let (first, count) = (prompts.as_ptr(), prompts.len());
                // SAFETY: as above; the array and the texts in it live through the call.
                unsafe { (table.play)(host, call, first, count, times, out) }
            }
            Operation::CollectDigits { min, max, timeout_ms } => {
                // SAFETY: as above.
                unsafe { (table.collect_digits)(host, call, min, max, timeout_ms, out) }
            }
            // SAFETY: as above.
            Operation::Sleep { ms } => unsafe { (table.sleep)(host, call, ms, out) },
            Operation::HangUp { sip_status } => {
                // SAFETY: as above.
                unsafe { (table.hang_up)(host, call, sip_status, out) }
            }
        };
        if status == status::OK { Ok(op) } else { Err(status) }
    }

    fn cancel(&self, op: u64) {
        let Bound { host, call: table, .. } = self.bound;
        // An operation that has had its result meanwhile needs no cancelling.
        // SAFETY: the host's function and its own pointer.
        let _ = unsafe { (table.cancel)(host, self.call, op) };
    }

    fn log(&self, level: Level, text: &str) {
        self.bound.write(self.call, level, text);
    }
}

/// What the wakers of a task hold: it keeps the build loaded.
struct RealRemote {
    bound: Bound,
    call: u64,
}

impl RealRemote {
    fn new(bound: Bound, call: u64) -> Self {
        // SAFETY: the host's function and its own pointer.
        unsafe { (bound.wake.retain)(bound.host) };
        Self { bound, call }
    }
}

impl Remote for RealRemote {
    fn wake(&self) {
        let Bound { host, wake, .. } = self.bound;
        // A host that takes no wakes is ending.
        // SAFETY: the host's function and its own pointer, on any thread.
        let _ = unsafe { (wake.wake)(host, self.call) };
    }
}

impl Drop for RealRemote {
    fn drop(&mut self) {
        // SAFETY: the host's function and its own pointer, on any thread.
        unsafe { (self.bound.wake.release)(self.bound.host) };
    }
}
