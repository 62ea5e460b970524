//! The host on the other side of the border: its tables, found once, and the calls into them.

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr;
use std::result;

use koukan_abi as abi;
use koukan_abi::{Status, Str, id, log, status};

use crate::audio::Sound;
use crate::border::guarded;
use crate::job::Job;
use crate::op::Operation;
use crate::services::{Mail, Services};
use crate::session::{Host, Level};
use crate::wake::Remote;

/// The host of this build, found by `init` and as it is until the library goes: every call of the
/// module points to the one there is.
pub(crate) struct Bound {
    host: *const abi::Host,
    call: Option<&'static abi::Call1>,
    log: &'static abi::Log1,
    wake: &'static abi::Wake1,
    /// What a host of version 1.1 has beyond `call`.
    grown: Option<&'static abi::Call1Minor1>,
    /// What one of version 1.5 has beyond that.
    bridge: Option<&'static abi::Call1Minor5>,
    metrics: Option<&'static abi::Metrics1>,
    audio: Option<&'static abi::Audio1>,
    lamp: Option<&'static abi::Lamp1>,
    store: Option<&'static abi::Store1>,
    mail: Option<&'static abi::Mail1>,
    config: Option<&'static abi::Config1>,
    worker: Option<&'static abi::Worker1>,
}

// SAFETY: the host's struct and tables are constant and live until the process ends; which function
// may be called on which thread is checked by the host itself (KK_E_THREAD).
unsafe impl Send for Bound {}
// SAFETY: as for Send.
unsafe impl Sync for Bound {}

impl Bound {
    /// Finds the tables of a host; none when one is missing that every module needs.
    ///
    /// # Safety
    /// `host` is the host's own struct, which lives until the process ends.
    pub(crate) unsafe fn find(host: *const abi::Host) -> Option<Self> {
        // SAFETY: the caller's promise.
        let get_extension = unsafe { (*host).get_extension };
        // SAFETY: the host's function with its own pointer; the id lives through the call.
        let extension = |id: &str| unsafe { get_extension(host, Str::borrow(id)) };
        let call = extension(id::CALL_1);
        Some(Self {
            host,
            // SAFETY: the contract of `get_extension`: this id's table, or null.
            call: unsafe { table::<abi::Call1>(call) },
            // SAFETY: as above.
            log: unsafe { table::<abi::Log1>(extension(id::LOG_1)) }?,
            // SAFETY: as above.
            wake: unsafe { table::<abi::Wake1>(extension(id::WAKE_1)) }?,
            // SAFETY: as above; the grown struct begins with the first one.
            grown: unsafe { table::<abi::Call1Minor1>(call) },
            // SAFETY: as above; so does this one.
            bridge: unsafe { table::<abi::Call1Minor5>(call) },
            // SAFETY: as above.
            metrics: unsafe { table::<abi::Metrics1>(extension(id::METRICS_1)) },
            // SAFETY: as above.
            audio: unsafe { table::<abi::Audio1>(extension(id::AUDIO_1)) },
            // SAFETY: as above.
            lamp: unsafe { table::<abi::Lamp1>(extension(id::LAMP_1)) },
            // SAFETY: as above.
            store: unsafe { table::<abi::Store1>(extension(id::STORE_1)) },
            // SAFETY: as above.
            mail: unsafe { table::<abi::Mail1>(extension(id::MAIL_1)) },
            // SAFETY: as above.
            config: unsafe { table::<abi::Config1>(extension(id::CONFIG_1)) },
            // SAFETY: as above.
            worker: unsafe { table::<abi::Worker1>(extension(id::WORKER_1)) },
        })
    }

    /// Whether this host is the one.
    pub(crate) fn is(&self, host: *const abi::Host) -> bool {
        self.host == host
    }

    pub(crate) fn write(&self, call: u64, level: Level, text: &str) {
        let level = match level {
            Level::Error => log::ERROR,
            Level::Warn => log::WARN,
            Level::Info => log::INFO,
            Level::Debug => log::DEBUG,
        };
        // SAFETY: the host's own function and pointer; the text lives through the call.
        unsafe { (self.log.write)(self.host, call, level, Str::borrow(text)) };
    }

    pub(crate) fn explain(&self, call: u64, text: &str) {
        if let Some(table) = self.call {
            // SAFETY: as for `write`.
            unsafe { (table.explain)(self.host, call, Str::borrow(text)) };
        }
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

/// The host on the other side of the border.
pub(crate) struct RealHost {
    pub(crate) bound: &'static Bound,
    pub(crate) call: u64,
}

impl Host for RealHost {
    fn start(&self, operation: &Operation) -> std::result::Result<u64, Status> {
        let Bound { host, call: Some(table), .. } = *self.bound else {
            return Err(status::UNSUPPORTED);
        };
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
            Operation::Record { ref object, max_ms, silence_ms, ref keys } => {
                let Some(grown) = self.bound.grown else { return Err(status::UNSUPPORTED) };
                let recording = abi::Recording {
                    size: size_of::<abi::Recording>(),
                    object: Str::borrow(object),
                    max_ms,
                    silence_ms,
                    keys: Str::borrow(keys),
                };
                // SAFETY: as above; the struct and its texts live through the call.
                unsafe { (grown.record)(host, call, &raw const recording, out) }
            }
            Operation::Dial { ref number } => {
                let Some(grown) = self.bound.grown else { return Err(status::UNSUPPORTED) };
                // SAFETY: as above; the text lives through the call.
                unsafe { (grown.dial)(host, call, Str::borrow(number), out) }
            }
            Operation::Bridge { ref number, ring_ms, max_ms, ref keys } => {
                let Some(grown) = self.bound.bridge else { return Err(status::UNSUPPORTED) };
                let bridge = bridge((number, keys), ring_ms, max_ms);
                // SAFETY: as above; the struct and its texts live through the call.
                unsafe { (grown.bridge)(host, call, &raw const bridge, out) }
            }
            Operation::MakePrompt { ref tenant, ref from, ref kind, ref object } => {
                let Some(audio) = self.bound.audio else { return Err(status::UNSUPPORTED) };
                let sound = sound((tenant, kind, object), from);
                // SAFETY: as above; the struct, its bytes and its texts live through the call.
                unsafe { (audio.make_prompt)(host, call, &raw const sound, out) }
            }
            Operation::HangUp { sip_status } => {
                // SAFETY: as above.
                unsafe { (table.hang_up)(host, call, sip_status, out) }
            }
        };
        if status == status::OK { Ok(op) } else { Err(status) }
    }

    fn cancel(&self, op: u64) {
        let Bound { host, call: Some(table), .. } = *self.bound else { return };
        // An operation that has had its result meanwhile needs no cancelling.
        // SAFETY: the host's function and its own pointer.
        let _ = unsafe { (table.cancel)(host, self.call, op) };
    }

    fn log(&self, level: Level, text: &str) {
        self.bound.write(self.call, level, text);
    }
}

/// A second party in C; it lives no longer than its texts.
const fn bridge((number, keys): (&str, &str), ring_ms: u32, max_ms: u32) -> abi::Bridge {
    let (number, keys) = (Str::borrow(number), Str::borrow(keys));
    abi::Bridge { size: size_of::<abi::Bridge>(), number, ring_ms, max_ms, keys }
}

/// A sound in C; it lives no longer than what it is made of.
fn sound((tenant, kind, object): (&str, &str, &str), from: &Sound) -> abi::Sound {
    let (bytes, len, name) = match from {
        Sound::Bytes(bytes) => (bytes.as_ptr(), bytes.len(), ""),
        Sound::Object(name) => (ptr::null(), 0, name.as_str()),
    };
    abi::Sound {
        size: size_of::<abi::Sound>(),
        tenant: Str::borrow(tenant),
        bytes,
        len,
        from: Str::borrow(name),
        kind: Str::borrow(kind),
        object: Str::borrow(object),
        rate: 0,
        reserved: 0,
    }
}

/// What the wakers of a task hold: it keeps the build loaded.
pub(crate) struct RealRemote {
    bound: &'static Bound,
    call: u64,
}

impl RealRemote {
    pub(crate) fn new(bound: &'static Bound, call: u64) -> Self {
        // SAFETY: the host's function and its own pointer.
        unsafe { (bound.wake.retain)(bound.host) };
        Self { bound, call }
    }
}

impl Remote for RealRemote {
    fn wake(&self) {
        let Bound { host, wake, .. } = *self.bound;
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

/// As a result: what a function of the host answered.
const fn answered(status: Status) -> result::Result<(), Status> {
    if status == status::OK { Ok(()) } else { Err(status) }
}

/// Bytes that a record or a key may have: a buffer of this size is always enough.
const ROOM: usize = 8_192;

/// The text that a function of the host fills a buffer with.
fn filled(
    fill: impl FnOnce(*mut u8, usize, *mut usize) -> Status,
) -> result::Result<String, Status> {
    let mut buffer = vec![0_u8; ROOM];
    let mut len = 0;
    answered(fill(buffer.as_mut_ptr(), buffer.len(), &raw mut len))?;
    buffer.truncate(len);
    String::from_utf8(buffer).map_err(|_| status::FAILED)
}

impl RealHost {
    fn store(&self) -> result::Result<(*const abi::Host, &'static abi::Store1), Status> {
        self.bound.store.map(|store| (self.bound.host, store)).ok_or(status::UNSUPPORTED)
    }
}

impl Services for RealHost {
    fn put(&self, tenant: &str, key: &str, value: &str) -> result::Result<(), Status> {
        let (host, store) = self.store()?;
        let (tenant, key, value) = (Str::borrow(tenant), Str::borrow(key), Str::borrow(value));
        // SAFETY: the host's function and its own pointer; the texts live through the call.
        answered(unsafe { (store.put)(host, tenant, key, value) })
    }

    fn get(&self, tenant: &str, key: &str) -> result::Result<String, Status> {
        let (host, store) = self.store()?;
        let (tenant, key) = (Str::borrow(tenant), Str::borrow(key));
        filled(|buffer, room, len| {
            // SAFETY: as above; the places are `filled`'s own.
            unsafe { (store.get)(host, tenant, key, buffer, room, len) }
        })
    }

    fn remove(&self, tenant: &str, key: &str) -> result::Result<(), Status> {
        let (host, store) = self.store()?;
        // SAFETY: as for `put`.
        answered(unsafe { (store.remove)(host, Str::borrow(tenant), Str::borrow(key)) })
    }

    fn next(&self, tenant: &str, prefix: &str, after: &str) -> result::Result<String, Status> {
        let (host, store) = self.store()?;
        let (tenant, prefix, after) =
            (Str::borrow(tenant), Str::borrow(prefix), Str::borrow(after));
        filled(|buffer, room, len| {
            // SAFETY: as for `get`.
            unsafe { (store.next)(host, tenant, prefix, after, buffer, room, len) }
        })
    }

    fn next_tenant(&self, after: &str) -> result::Result<String, Status> {
        let (host, store) = self.store()?;
        filled(|buffer, room, len| {
            // SAFETY: as for `get`.
            unsafe { (store.next_tenant)(host, Str::borrow(after), buffer, room, len) }
        })
    }

    fn object_size(&self, tenant: &str, name: &str) -> result::Result<u64, Status> {
        let (host, store) = self.store()?;
        let mut bytes = 0;
        let (tenant, name) = (Str::borrow(tenant), Str::borrow(name));
        // SAFETY: as for `put`; the place lives through the call.
        answered(unsafe { (store.object_size)(host, tenant, name, &raw mut bytes) })?;
        Ok(bytes)
    }

    fn object_remove(&self, tenant: &str, name: &str) -> result::Result<(), Status> {
        let (host, store) = self.store()?;
        // SAFETY: as for `put`.
        answered(unsafe { (store.object_remove)(host, Str::borrow(tenant), Str::borrow(name)) })
    }

    fn set_messages(
        &self,
        tenant: &str,
        mailbox: &str,
        new: u32,
        old: u32,
    ) -> result::Result<(), Status> {
        let Some(lamp) = self.bound.lamp else { return Err(status::UNSUPPORTED) };
        let (host, tenant, mailbox) = (self.bound.host, Str::borrow(tenant), Str::borrow(mailbox));
        // SAFETY: as for `put`.
        answered(unsafe { (lamp.set_messages)(host, tenant, mailbox, new, old) })
    }

    fn send_mail(&self, tenant: &str, mail: &Mail) -> result::Result<(), Status> {
        let Some(table) = self.bound.mail else { return Err(status::UNSUPPORTED) };
        let to: Vec<Str> = mail.to.iter().map(|to| Str::borrow(to)).collect();
        let (object, file_name) = match &mail.attachment {
            Some((object, file_name)) => (object.as_str(), file_name.as_str()),
            None => ("", ""),
        };
        let message = abi::Message {
            size: size_of::<abi::Message>(),
            tenant: Str::borrow(tenant),
            id: Str::borrow(&mail.id),
            to: to.as_ptr(),
            to_len: to.len(),
            subject: Str::borrow(&mail.subject),
            text: Str::borrow(&mail.text),
            object: Str::borrow(object),
            file_name: Str::borrow(file_name),
        };
        // SAFETY: as for `put`; the struct, the array and the texts live through the call.
        answered(unsafe { (table.send)(self.bound.host, &raw const message) })
    }

    fn options(&self) -> result::Result<String, Status> {
        let Bound { host, config: Some(table), .. } = *self.bound else {
            return Err(status::UNSUPPORTED);
        };
        filled(|buffer, room, len| {
            // SAFETY: as for `get`.
            unsafe { (table.options)(host, buffer, room, len) }
        })
    }

    fn metric(&self, counts: bool, name: &str, help: &str) -> result::Result<u32, Status> {
        let Bound { host, metrics: Some(table), .. } = *self.bound else {
            return Err(status::UNSUPPORTED);
        };
        let (name, help, mut number) = (Str::borrow(name), Str::borrow(help), 0);
        let find = if counts { table.counter } else { table.gauge };
        // SAFETY: as for `put`; the place lives through the call.
        answered(unsafe { find(host, name, help, &raw mut number) })?;
        Ok(number)
    }

    fn add_metric(&self, number: u32, by: u32) {
        let Bound { host, metrics: Some(table), .. } = *self.bound else { return };
        // Its number is the host's own, so that nothing is refused.
        // SAFETY: the host's function and its own pointer.
        let _ = unsafe { (table.add)(host, number, by) };
    }

    fn set_metric(&self, number: u32, value: i64) {
        let Bound { host, metrics: Some(table), .. } = *self.bound else { return };
        // SAFETY: as above.
        let _ = unsafe { (table.set)(host, number, value) };
    }

    fn run(&self, job: Job) -> result::Result<(), Status> {
        let Bound { host, worker: Some(table), .. } = *self.bound else {
            return Err(status::UNSUPPORTED);
        };
        let argument = Box::into_raw(Box::new(job));
        // SAFETY: the host's function and its own pointer; the argument is what `run_job` takes.
        let taken = answered(unsafe { (table.run)(host, Some(run_job), argument.cast()) });
        if taken.is_err() {
            // SAFETY: made above; a host that has not taken it does not call it.
            drop(unsafe { Box::from_raw(argument) });
        }
        taken
    }
}

/// What the host's thread calls.
unsafe extern "C" fn run_job(argument: *mut c_void) {
    // SAFETY: the host gives back, once, what `run` gave it.
    let job = unsafe { Box::from_raw(argument.cast::<Job>()) };
    // The job catches its own panic; only what it drops may panic here.
    let _ = guarded(job);
}
