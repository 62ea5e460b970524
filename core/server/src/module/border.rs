//! The C border of the host: loading a shared object, calling its functions, and the tables that
//! it calls. Everything unsafe of the module host stands here, behind safe functions.
//!
//! A module is trusted code in this process: what it promises in `koukan.h` (valid pointers, texts
//! that live through the call, no panic that leaves it) is taken at its word. What can be checked
//! cheaply is checked: null pointers, sizes, UTF-8, numbers of calls and operations, threads.

use std::ffi::c_void;
use std::fmt;
use std::mem::{ManuallyDrop, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use koukan_abi as abi;
use koukan_abi::{ENTRY_SYMBOL, PREFLIGHT_LEN, Status, Str, id, log, status};
use koukan_switch::{Now, Operation};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::call::{Caller, EventParts, Grants};
use super::grown;
use super::preflight::{self, PreflightError};
use super::services;
use super::sink::SinkTable;
use super::source::SourceTable;
use super::tables;
use crate::limits;

// ---- The module's side: what the host calls ----------------------------------------------------

/// A loaded shared object with a fitting entry. Dropping it leaves it mapped; whether it may be
/// closed is for [`LoadedModule`](super::host::LoadedModule) to know.
pub(super) struct Object {
    library: ManuallyDrop<Library>,
    entry: abi::Entry,
}

/// Why a shared object could not be opened.
pub(super) enum OpenError {
    /// The loader's words.
    Loader(String),
    /// The entry in memory is not the one that stood in the file.
    Entry(PreflightError),
    /// A pointer of the entry is missing.
    Missing(&'static str),
}

impl Object {
    /// Loads a file that passed the preflight.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let loader = |error: libloading::Error| OpenError::Loader(error.to_string());
        // SAFETY: this runs the constructors of the file, which the administrator named as a module
        // and which the contract says has none.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(loader)?;
        // SAFETY: the symbol is a data object, so that its address is a pointer to it.
        let symbol = unsafe { library.get::<*const abi::Entry>(ENTRY_SYMBOL.as_bytes()) };
        let entry: *const abi::Entry = *symbol.map_err(loader)?;
        if entry.is_null() || !entry.is_aligned() {
            return Err(OpenError::Missing(ENTRY_SYMBOL));
        }
        // SAFETY: the preflight saw these bytes of the object in the file.
        let head = unsafe { entry.cast::<[u8; PREFLIGHT_LEN]>().read() };
        preflight::check(&head).map_err(OpenError::Entry)?;
        // SAFETY: its own word is that it has at least the size of version 1.
        let entry = unsafe { entry.read() };
        let object = Self { library: ManuallyDrop::new(library), entry };
        match object.check() {
            Ok(()) => Ok(object),
            Err(error) => {
                object.close();
                Err(error)
            }
        }
    }

    fn check(&self) -> Result<(), OpenError> {
        let entry = &self.entry;
        let required_len = entry.required_len;
        let missing = [
            (entry.init.is_none(), "init"),
            (entry.get_factory.is_none(), "get_factory"),
            (required_len > 0 && entry.required.is_null(), "required"),
            (required_len > MOST_REQUIRED, "a sensible number of required extensions"),
        ];
        match missing.into_iter().find(|(is_missing, _)| *is_missing) {
            Some((_, what)) => Err(OpenError::Missing(what)),
            None => Ok(()),
        }
    }

    /// What the module calls itself.
    pub(super) fn name(&self) -> String {
        // SAFETY: a text of the entry, which is constant data.
        unsafe { lossy(self.entry.name) }
    }

    /// The version by the module's word.
    pub(super) fn version(&self) -> String {
        // SAFETY: a text of the entry, which is constant data.
        unsafe { lossy(self.entry.version) }
    }

    /// What built it, by its word.
    pub(super) fn toolchain(&self) -> String {
        // SAFETY: as above.
        unsafe { lossy(self.entry.toolchain) }
    }

    /// The extensions without which it does not start.
    pub(super) fn required(&self) -> Vec<String> {
        if self.entry.required_len == 0 {
            return Vec::new();
        }
        // SAFETY: the entry's array, not null by `check`, constant data.
        let ids = unsafe { slice::from_raw_parts(self.entry.required, self.entry.required_len) };
        // SAFETY: texts of constant data.
        ids.iter().map(|id| unsafe { lossy(*id) }).collect()
    }

    /// Runs `init`.
    pub(super) fn init(&self, host: &'static HostContext) -> Status {
        let Some(init) = self.entry.init else { return status::UNSUPPORTED };
        // SAFETY: the module's function with the host that was made for it and is never freed.
        unsafe { init(&raw const host.host) }
    }

    /// Runs `deinit`; no function of the module is called after it.
    pub(super) fn deinit(&self) {
        if let Some(deinit) = self.entry.deinit {
            // SAFETY: called once, by `LoadedModule::retire`, after the last instance.
            unsafe { deinit() };
        }
    }

    /// Closes the library: no thread is in it, its keys are deleted, nothing of it is called again.
    pub(super) fn close(self) {
        if let Err(error) = ManuallyDrop::into_inner(self.library).close() {
            tracing::warn!(%error, "a module's library is not closed");
        }
    }

    /// Leaves it mapped for ever.
    pub(super) fn keep(self) {}

    /// The module's applications, or its task: the same table by another id.
    pub(super) fn app(&self, id: &str) -> Option<App> {
        // SAFETY: the type of both ids' tables.
        let table = unsafe { self.factory::<abi::App1>(id) }?;
        Some(App { start: table.start?, event: table.event?, destroy: table.destroy? })
    }

    /// The draft that it is built on, if it is.
    pub(super) fn draft(&self) -> Option<&'static str> {
        let get_factory = self.entry.get_factory?;
        let drafts = [id::PAGE_1_DRAFT, id::CODEC_1_DRAFT];
        // SAFETY: the module's function; the id lives through the call.
        drafts.into_iter().find(|id| !unsafe { get_factory(Str::borrow(id)) }.is_null())
    }

    /// The module's sink.
    pub(super) fn sink(&self) -> Option<SinkTable> {
        // SAFETY: the type of this id's table.
        SinkTable::new(unsafe { self.factory::<abi::Sink1>(id::SINK_1) }?)
    }

    /// The module's source.
    pub(super) fn source(&self) -> Option<SourceTable> {
        // SAFETY: the type of this id's table.
        SourceTable::new(unsafe { self.factory::<abi::Source1>(id::SOURCE_1) }?)
    }

    /// The table of a factory.
    ///
    /// # Safety
    /// `T` is the struct of `id`, which begins with its size.
    unsafe fn factory<T: Copy>(&self, id: &str) -> Option<T> {
        let get_factory = self.entry.get_factory?;
        // SAFETY: the module's function; the id lives through the call.
        let table = unsafe { get_factory(Str::borrow(id)) };
        if table.is_null() {
            return None;
        }
        // SAFETY: the contract: a table that begins with its size.
        let size = unsafe { table.cast::<usize>().read_unaligned() };
        if size < size_of::<T>() {
            return None;
        }
        // SAFETY: as above, and its size covers version 1.
        Some(unsafe { table.cast::<T>().read_unaligned() })
    }
}

// SAFETY: the entry is constant data of a library that stays mapped while this lives.
unsafe impl Send for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// More extensions than there will ever be.
const MOST_REQUIRED: usize = 64;

/// A module's `kk.app/1`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct App {
    start: unsafe extern "C" fn(*const abi::Start, *mut abi::Instance) -> Status,
    event: unsafe extern "C" fn(abi::Instance, *const abi::Event) -> Status,
    destroy: unsafe extern "C" fn(abi::Instance),
}

/// An application at work. Dropping it is its one `destroy`.
#[derive(Debug)]
pub(crate) struct AppInstance {
    app: App,
    pointer: abi::Instance,
}

// SAFETY: `Modules` moves to the control thread before it starts an instance and never again, so
// that an instance lives and dies on that thread; being `Send` lets `Modules` be moved at all.
unsafe impl Send for AppInstance {}

impl App {
    /// Starts an application; it is at work when there is an instance.
    pub(crate) fn start(
        self,
        now: Now,
        call: u64,
        tenant: &str,
        (application, arguments): (&str, &str),
    ) -> Result<AppInstance, Status> {
        let start = abi::StartMinor1 {
            minor0: abi::Start {
                size: size_of::<abi::StartMinor1>(),
                now_ns: now.time.as_nanos(),
                call,
                application: Str::borrow(application),
                arguments: Str::borrow(arguments),
            },
            date_ms: now.date.as_millisecond(),
            tenant: Str::borrow(tenant),
        };
        let mut pointer = ptr::null_mut();
        let first = (&raw const start).cast::<abi::Start>();
        // SAFETY: the module's function; struct, texts and place live through the call.
        match unsafe { (self.start)(first, &raw mut pointer) } {
            status::PENDING => Ok(AppInstance { app: self, pointer }),
            status => Err(status),
        }
    }
}

impl AppInstance {
    /// Gives it an event.
    pub(crate) fn event(&mut self, now: Now, parts: &EventParts) -> Status {
        let event = abi::EventMinor1 {
            minor0: abi::Event {
                size: size_of::<abi::EventMinor1>(),
                now_ns: now.time.as_nanos(),
                r#type: parts.kind,
                status: parts.status,
                op: parts.op,
                text: Str::borrow(&parts.text),
                digit: parts.digit,
                reserved: 0,
            },
            date_ms: now.date.as_millisecond(),
        };
        let first = (&raw const event).cast::<abi::Event>();
        // SAFETY: the module's function with what its `start` stored; the struct and its text live
        // through the call; `&mut self` makes events come one after the other.
        unsafe { (self.app.event)(self.pointer, first) }
    }
}

impl Drop for AppInstance {
    fn drop(&mut self) {
        // SAFETY: the module's function, once, with what its `start` stored.
        unsafe { (self.app.destroy)(self.pointer) };
    }
}

// ---- The host's side: what a module calls ------------------------------------------------------

/// The `kk_host` of one loaded build and what stands behind it. Freed no earlier than the build is
/// unmapped: a module may hold the pointer until then.
pub(super) struct HostContext {
    host: abi::Host,
    name: String,
    grants: Grants,
    caller: Caller,
    /// What the module holds that will wake somebody.
    retained: AtomicUsize,
}

// SAFETY: the one pointer, `host.ctx`, leads to the struct itself, which never changes but for its
// atomic and the desk, which locks.
unsafe impl Send for HostContext {}
// SAFETY: as for Send.
unsafe impl Sync for HostContext {}

impl HostContext {
    /// Makes the host of a build; it lives until `free`.
    pub(super) fn leak(name: &str, grants: Grants, caller: Caller) -> &'static Self {
        let host = abi::Host {
            size: size_of::<abi::Host>(),
            ctx: ptr::null_mut(),
            abi_major: abi::ABI_MAJOR,
            abi_minor: abi::ABI_MINOR,
            reserved: 0,
            get_extension,
        };
        let name = name.to_owned();
        let retained = AtomicUsize::new(0);
        let context = Box::into_raw(Box::new(Self { host, name, grants, caller, retained }));
        // SAFETY: the box was made on the line above, and nobody else knows it.
        unsafe { (*context).host.ctx = context.cast() };
        // SAFETY: it is never written again, and freed by `free` alone.
        unsafe { &*context }
    }

    /// Frees it: the build that was given it is gone from the process.
    pub(super) fn free(&'static self) {
        let context = ptr::from_ref(self).cast_mut();
        // SAFETY: `leak` made it of a box; the one who asks gives its reference up, and no code is
        // left that has the pointer.
        drop(unsafe { Box::from_raw(context) });
    }

    /// Its way to what the host does for it.
    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the module holds that will wake somebody, and jobs of it that are not done.
    pub(super) fn retained(&self) -> usize {
        self.retained.load(Ordering::Acquire)
    }

    pub(super) fn hold(&self) {
        self.retained.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn let_go(&self) {
        self.retained.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for HostContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostContext").field("name", &self.name).finish_non_exhaustive()
    }
}

static LOG: abi::Log1 = abi::Log1 { size: size_of::<abi::Log1>(), write };
static WAKE: abi::Wake1 = abi::Wake1 { size: size_of::<abi::Wake1>(), wake, retain, release };
static CALL: abi::Call1Minor5 = abi::Call1Minor5 {
    minor1: abi::Call1Minor1 {
        minor0: abi::Call1 {
            size: size_of::<abi::Call1Minor5>(),
            answer,
            early_media,
            play,
            collect_digits,
            sleep,
            hang_up,
            cancel,
            explain,
        },
        dial: tables::dial,
        record: tables::record,
    },
    bridge: grown::bridge,
};

/// Runs the host's side of a function: a panic of ours must not unwind into the module.
///
/// # Safety
/// `host` is null or the pointer that the module was given in `init`.
pub(super) unsafe fn serve<T>(
    host: *const abi::Host,
    otherwise: T,
    body: impl FnOnce(&'static HostContext) -> T,
) -> T {
    if host.is_null() {
        return otherwise;
    }
    // SAFETY: the caller's promise: the host that `HostContext::leak` made.
    let context = unsafe { (*host).ctx };
    // SAFETY: as above: `ctx` leads to the context, which lives as long as the module's code.
    let context = unsafe { &*context.cast::<HostContext>() };
    catch_unwind(AssertUnwindSafe(|| body(context))).unwrap_or(otherwise)
}

/// Runs a function that starts an operation and stores its number.
///
/// # Safety
/// As for `serve`; `op` is null or a place for one number.
pub(super) unsafe fn start(
    host: *const abi::Host,
    op: *mut abi::OpNumber,
    body: impl FnOnce(&'static HostContext) -> Result<u64, Status>,
) -> Status {
    if op.is_null() {
        return status::ARGUMENT;
    }
    // SAFETY: the caller's promise.
    match unsafe { serve(host, Err(status::FAILED), body) } {
        Ok(number) => {
            // SAFETY: the caller's promise; null was refused above.
            unsafe { op.write(number) };
            status::OK
        }
        Err(status) => status,
    }
}

pub(super) fn answered(outcome: Result<(), Status>) -> Status {
    outcome.err().unwrap_or(status::OK)
}

/// The bytes of a text of the module's.
///
/// # Safety
/// `text` points to `len` bytes that live for `'t`.
pub(super) unsafe fn bytes<'t>(text: Str) -> Option<&'t [u8]> {
    if text.len == 0 {
        return Some(&[]);
    }
    if text.ptr.is_null() || isize::try_from(text.len).is_err() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { slice::from_raw_parts(text.ptr, text.len) })
}

/// A text for people: cut at the limit, with what is no UTF-8 replaced.
///
/// # Safety
/// As for `bytes`.
unsafe fn lossy(text: Str) -> String {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(text) }.unwrap_or_default();
    let bytes = bytes.get(..limits::MODULE_TEXT_BYTES).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

/// A name, exactly.
///
/// # Safety
/// As for `bytes`.
pub(super) unsafe fn exact(text: Str) -> Result<Arc<str>, Status> {
    // SAFETY: the caller's promise.
    unsafe { exact_within(text, limits::MODULE_TEXT_BYTES) }
}

/// A text of at most `most` bytes, exactly.
///
/// # Safety
/// As for `bytes`.
pub(super) unsafe fn exact_within(text: Str, most: usize) -> Result<Arc<str>, Status> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(text) }.ok_or(status::ARGUMENT)?;
    if bytes.len() > most {
        return Err(status::LIMIT);
    }
    std::str::from_utf8(bytes).map(Arc::from).map_err(|_| status::ARGUMENT)
}

unsafe extern "C" fn get_extension(host: *const abi::Host, wanted: Str) -> *const c_void {
    // SAFETY: the module's promise for the text.
    let Ok(wanted) = (unsafe { exact(wanted) }) else { return ptr::null() };
    // SAFETY: the module's promise for the host.
    unsafe {
        serve(host, ptr::null(), |context| match &*wanted {
            id::LOG_1 => ptr::from_ref(&LOG).cast(),
            id::WAKE_1 => ptr::from_ref(&WAKE).cast(),
            id::CALL_1 if context.grants.call => ptr::from_ref(&CALL).cast(),
            id::LAMP_1 if context.grants.call => ptr::from_ref(&tables::LAMP).cast(),
            id::STORE_1 if context.grants.store => ptr::from_ref(&tables::STORE).cast(),
            id::MAIL_1 if context.grants.mail => ptr::from_ref(&tables::MAIL).cast(),
            id::CONFIG_1 => ptr::from_ref(&services::CONFIG).cast(),
            id::METRICS_1 => ptr::from_ref(&grown::METRICS).cast(),
            id::AUDIO_1 if context.grants.audio => ptr::from_ref(&grown::AUDIO).cast(),
            id::WORKER_1 if context.grants.worker => ptr::from_ref(&services::WORKER).cast(),
            _ => ptr::null(),
        })
    }
}

unsafe extern "C" fn write(host: *const abi::Host, call: u64, level: u32, text: Str) {
    // SAFETY: the module's promise for the text.
    let text = unsafe { lossy(text) };
    let line = |context: &'static HostContext| {
        let module = &*context.name;
        let call = context.caller.call(call).map(tracing::field::display);
        match level {
            log::ERROR => tracing::error!(module, call, "{text}"),
            log::WARN => tracing::warn!(module, call, "{text}"),
            log::INFO => tracing::info!(module, call, "{text}"),
            _ => tracing::debug!(module, call, "{text}"),
        }
    };
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, (), line) };
}

unsafe extern "C" fn wake(host: *const abi::Host, call: u64) -> Status {
    let wake = |context: &'static HostContext| answered(context.caller.wake(call));
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, wake) }
}

unsafe extern "C" fn retain(host: *const abi::Host) {
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, (), HostContext::hold) };
}

unsafe extern "C" fn release(host: *const abi::Host) {
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, (), HostContext::let_go) };
}

unsafe extern "C" fn answer(host: *const abi::Host, call: u64, op: *mut u64) -> Status {
    // SAFETY: the module's promise for the host and the place.
    unsafe { start(host, op, |context| context.caller.start(call, Operation::Answer)) }
}

unsafe extern "C" fn early_media(host: *const abi::Host, call: u64, op: *mut u64) -> Status {
    // SAFETY: the module's promise for the host and the place.
    unsafe { start(host, op, |context| context.caller.start(call, Operation::EarlyMedia)) }
}

unsafe extern "C" fn play(
    host: *const abi::Host,
    call: u64,
    prompts: *const abi::Prompt,
    count: usize,
    times: u32,
    op: *mut u64,
) -> Status {
    // SAFETY: the module's promise for the array.
    match unsafe { tables::read_prompts(prompts, count) } {
        // SAFETY: the module's promise for the host and the place.
        Ok(prompts) => unsafe {
            start(host, op, |context| context.caller.play(call, prompts, times))
        },
        Err(status) => status,
    }
}

unsafe extern "C" fn collect_digits(
    host: *const abi::Host,
    call: u64,
    min: u8,
    max: u8,
    timeout_ms: u32,
    op: *mut u64,
) -> Status {
    // SAFETY: the module's promise for the host and the place.
    unsafe { start(host, op, |context| context.caller.collect(call, min, max, timeout_ms)) }
}

unsafe extern "C" fn sleep(host: *const abi::Host, call: u64, ms: u32, op: *mut u64) -> Status {
    // SAFETY: the module's promise for the host and the place.
    unsafe { start(host, op, |context| context.caller.start(call, Operation::Sleep { ms })) }
}

unsafe extern "C" fn hang_up(
    host: *const abi::Host,
    call: u64,
    sip_status: u16,
    op: *mut u64,
) -> Status {
    // SAFETY: the module's promise for the host and the place.
    unsafe { start(host, op, |context| context.caller.hang_up(call, sip_status)) }
}

unsafe extern "C" fn cancel(host: *const abi::Host, call: u64, op: u64) -> Status {
    let cancel = |context: &'static HostContext| answered(context.caller.cancel(call, op));
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, cancel) }
}

unsafe extern "C" fn explain(host: *const abi::Host, call: u64, text: Str) -> Status {
    // SAFETY: the module's promise for the text.
    let text = unsafe { lossy(text) };
    let explain = |context: &'static HostContext| answered(context.caller.explain(call, text));
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, explain) }
}
