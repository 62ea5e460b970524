//! The C border of a module: `kk_module_entry` and its functions. The host's tables are called in
//! `real`, a sink's functions stand in `records`, a source's in `questions`, a tap's in `batches`;
//! nothing else of the SDK is unsafe.
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
use std::rc::Rc;
use std::slice;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

use koukan_abi as abi;
use koukan_abi::{Status, Str, event, id, status};

use crate::app::{Module, Running};
use crate::batches::TapFactory;
use crate::questions::SourceFactory;
use crate::real::{Bound, RealHost, RealRemote};
use crate::records::SinkFactory;
use crate::session::{Done, Event, Level, Moment, Session};
use crate::task::Task;
use crate::{Background, Call, Error, Result};

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
        required: M::REQUIRED.as_ptr(),
        required_len: M::REQUIRED.len(),
        init: Some(init),
        deinit: Some(deinit),
        get_factory: Some(get_factory::<M>),
    })
}

const TOOLCHAIN: &str = concat!("koukan-sdk ", env!("CARGO_PKG_VERSION"));
/// The host, once it has been found.
static HOST: OnceLock<Bound> = OnceLock::new();
/// The same, from `init` to `deinit`.
static BOUND: Mutex<Option<&'static Bound>> = Mutex::new(None);
/// The last panic, as the hook saw it: the reason of the instance that it ended.
static PANICKED: Mutex<Option<String>> = Mutex::new(None);

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The code of the module panicked.
pub(crate) struct Panicked;

/// Runs module code so that no panic leaves it.
pub(crate) fn guarded<T>(body: impl FnOnce() -> T) -> std::result::Result<T, Panicked> {
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

/// The text of the host's that lives for `'t`; none when it is no UTF-8.
///
/// # Safety
/// `text` points to `len` bytes that live and stay as they are for `'t`.
pub(crate) unsafe fn text<'t>(text: Str) -> Option<&'t str> {
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

/// The host, from `init` to `deinit`.
pub(crate) fn bound() -> Option<&'static Bound> {
    *lock(&BOUND)
}

/// Writes a line about the module itself, when it is bound to a host.
pub(crate) fn tell(level: Level, words: &str) {
    if let Some(bound) = *lock(&BOUND) {
        bound.write(0, level, words);
    }
}

unsafe extern "C" fn init(host: *const abi::Host) -> Status {
    guarded(|| {
        if host.is_null() {
            return status::ARGUMENT;
        }
        // SAFETY: the host calls `init` with its own valid struct.
        let Some(bound) = (unsafe { Bound::find(host) }) else { return status::UNSUPPORTED };
        let bound = HOST.get_or_init(|| bound);
        if !bound.is(host) {
            // A library serves the host that it was loaded for.
            return status::FAILED;
        }
        *lock(&BOUND) = Some(bound);
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
            Some(id::SINK_1) if M::SINK.is_some() => ptr::from_ref(SinkFactory::<M>::SINK).cast(),
            Some(id::SOURCE_1) if M::SOURCE.is_some() => {
                ptr::from_ref(SourceFactory::<M>::SOURCE).cast()
            }
            Some(id::TAP_1) if M::TAP.is_some() => ptr::from_ref(TapFactory::<M>::TAP).cast(),
            Some(id::TASK_1) if M::TASK.is_some() => ptr::from_ref(Factory::<M>::TASK).cast(),
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
    const TASK: &'static abi::App1 = &abi::App1 {
        size: size_of::<abi::App1>(),
        start: Some(start_task::<M>),
        event: Some(on_event),
        destroy: Some(destroy),
    };
}

/// What an `instance` pointer leads to.
struct Instance {
    /// Gone when the application is done, failed or panicked.
    task: Option<Task>,
    bound: &'static Bound,
    call: u64,
}

unsafe extern "C" fn start<M: Module>(start: *const abi::Start, out: *mut abi::Instance) -> Status {
    let begin = |begun: &Begun<'_>| {
        let app = M::APPS.iter().find(|app| app.name == begun.application);
        let app = app.ok_or(status::NOT_FOUND)?;
        Ok(move |session, arguments: &str| (app.begin)(Call::new(session), arguments))
    };
    // SAFETY: the host's promise for both.
    unsafe { start_with(start, out, begin) }
}

unsafe extern "C" fn start_task<M: Module>(
    start: *const abi::Start,
    out: *mut abi::Instance,
) -> Status {
    let begin = |begun: &Begun<'_>| {
        let task = M::TASK.filter(|_| begun.application == abi::TASK).ok_or(status::NOT_FOUND)?;
        Ok(move |session, _: &str| Ok(task(Background::new(session))))
    };
    // SAFETY: the host's promise for both.
    unsafe { start_with(start, out, begin) }
}

/// What the host starts.
struct Begun<'t> {
    call: u64,
    moment: Moment,
    tenant: &'t str,
    application: &'t str,
    arguments: &'t str,
}

/// Reads a start, whichever minor version of the border the host has.
///
/// # Safety
/// `start` is null or leads to a struct that begins with its size; it and its texts live for `'t`.
unsafe fn read_start<'t>(start: *const abi::Start) -> Option<Begun<'t>> {
    // SAFETY: the caller's promise.
    let first = unsafe { start.as_ref() }?;
    if first.size < size_of::<abi::Start>() {
        return None;
    }
    let mut moment = Moment { now_ns: first.now_ns, date_ms: 0 };
    let mut tenant = Some("");
    if first.size >= size_of::<abi::StartMinor1>() {
        // SAFETY: its size covers the grown struct.
        let grown = unsafe { start.cast::<abi::StartMinor1>().read() };
        moment.date_ms = grown.date_ms;
        // SAFETY: the caller's promise.
        tenant = unsafe { text(grown.tenant) };
    }
    // SAFETY: the caller's promise.
    let application = unsafe { text(first.application) }?;
    // SAFETY: as above.
    let arguments = unsafe { text(first.arguments) }?;
    Some(Begun { call: first.call, moment, tenant: tenant?, application, arguments })
}

/// Starts what `find` finds for it.
///
/// # Safety
/// As for `read_start`; `out` is null or a place for one pointer.
unsafe fn start_with<B>(
    start: *const abi::Start,
    out: *mut abi::Instance,
    find: impl FnOnce(&Begun<'_>) -> std::result::Result<B, Status>,
) -> Status
where
    B: FnOnce(Rc<Session>, &str) -> Result<Running>,
{
    // SAFETY: the caller's promise.
    let Some(begun) = (unsafe { read_start(start) }) else { return status::ARGUMENT };
    if out.is_null() {
        return status::ARGUMENT;
    }
    let Some(bound) = *lock(&BOUND) else { return status::FAILED };
    let begin = match find(&begun) {
        Ok(begin) => begin,
        Err(status) => return status,
    };
    let call = begun.call;
    let mut instance = Instance { task: None, bound, call };
    let task = guarded(|| {
        let host = Box::new(RealHost { bound, call });
        let remote = Box::new(RealRemote::new(bound, call));
        let begin = |session| begin(session, begun.arguments);
        Task::begin(host, remote, (begun.moment, begun.tenant), begin)
    });
    match task {
        Ok(Ok(task)) => instance.task = Some(task),
        Ok(Err(error)) => return instance.fail(&error),
        Err(Panicked) => return instance.panicked(),
    }
    let status = instance.step(Task::poll);
    if status == status::PENDING {
        let instance = Box::into_raw(Box::new(instance));
        // SAFETY: the caller's promise; null was refused above.
        unsafe { out.write(instance.cast()) };
    }
    status
}

unsafe extern "C" fn on_event(instance: abi::Instance, event: *const abi::Event) -> Status {
    // SAFETY: the host passes what `start` stored, before `destroy`, one event at a time.
    let instance = unsafe { instance.cast::<Instance>().as_mut() };
    // SAFETY: the host passes its own struct, valid for the call, or null.
    let first = unsafe { event.as_ref() };
    let (Some(instance), Some(first)) = (instance, first) else { return status::ARGUMENT };
    if first.size < size_of::<abi::Event>() {
        return status::ARGUMENT;
    }
    let mut now = Moment { now_ns: first.now_ns, date_ms: 0 };
    if first.size >= size_of::<abi::EventMinor1>() {
        // SAFETY: its size covers the grown struct.
        now.date_ms = unsafe { event.cast::<abi::EventMinor1>().read() }.date_ms;
    }
    let event = first;
    // SAFETY: the event's text lives through the call.
    let event = unsafe { read_event(event) };
    match event {
        Some(event) => instance.step(move |task| task.handle(now, event)),
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
        event::DRAIN => Some(Event::Drain),
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
