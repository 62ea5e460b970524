//! What the host offers: `kk_host` and its extensions `kk.log/1`, `kk.wake/1`, `kk.call/1`,
//! `kk.lamp/1`, `kk.store/1`, `kk.mail/1`, `kk.config/1`, `kk.worker/1`.
//!
//! A struct that has grown is two types: `NAME` as the first minor version had it, and `NAMEMinorN`
//! that begins with it. Whoever gets a pointer reads as far as its `size` says.

use std::ffi::c_void;

use crate::{CallNumber, OpNumber, Status, Str};

/// `kk_host`: one for each loaded build, valid from `init` to the end of the process.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Bytes of the struct.
    pub size: usize,
    /// The host's own.
    pub ctx: *mut c_void,
    /// The host's major version.
    pub abi_major: u16,
    /// The host's minor version.
    pub abi_minor: u16,
    /// 0.
    pub reserved: u32,
    /// \[any\] The table of an extension, valid as long as the host; NULL when the host does not
    /// know it or the configuration does not grant it to this module.
    pub get_extension: unsafe extern "C" fn(host: *const Host, id: Str) -> *const c_void,
}

/// `kk_log_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Log1 {
    /// Bytes of the struct.
    pub size: usize,
    /// \[any\] Writes one line about a call, or about the module itself when `call` is 0.
    pub write: unsafe extern "C" fn(host: *const Host, call: CallNumber, level: u32, text: Str),
}

/// `kk_wake_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Wake1 {
    /// Bytes of the struct.
    pub size: usize,
    /// \[any\] Asks for one KK_EVENT_WAKE of the call; several before it comes are one. A call that
    /// is over is ignored.
    pub wake: unsafe extern "C" fn(host: *const Host, call: CallNumber) -> Status,
    /// \[any\] Something that will call `wake` is held, or no longer: the build stays loaded while
    /// one is. `release` never unloads from inside.
    pub retain: unsafe extern "C" fn(host: *const Host),
    /// \[any\] It is held no longer.
    pub release: unsafe extern "C" fn(host: *const Host),
}

/// `kk_prompt`: an element of the array that [`Call1::play`] takes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Prompt {
    /// The same in every element of an array: its stride.
    pub size: usize,
    /// The language; empty means a file of the tenant.
    pub language: Str,
    /// The name.
    pub name: Str,
}

/// A function of [`Call1`] that needs nothing but the call.
pub type Plain =
    unsafe extern "C" fn(host: *const Host, call: CallNumber, op: *mut OpNumber) -> Status;

/// `kk_call_1`: all on the call's thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Call1 {
    /// Bytes of the struct.
    pub size: usize,
    /// Answers the caller (200); done at once when that has happened.
    pub answer: Plain,
    /// Opens early media (183 with SDP); done at once when media flows.
    pub early_media: Plain,
    /// Plays prompts in their order, `times` times; 0 is for ever.
    pub play: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        prompts: *const Prompt,
        count: usize,
        times: u32,
        op: *mut OpNumber,
    ) -> Status,
    /// Collects up to `max` digits; ends at `max`, at `#`, or `timeout_ms` after the last one. The
    /// event's text holds them; KK_E_TIMEOUT when they are fewer than `min`.
    pub collect_digits: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        min: u8,
        max: u8,
        timeout_ms: u32,
        op: *mut OpNumber,
    ) -> Status,
    /// Waits.
    pub sleep: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        ms: u32,
        op: *mut OpNumber,
    ) -> Status,
    /// Ends the call; `sip_status` (400 to 699) is what a caller hears who was not answered.
    pub hang_up: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        sip_status: u16,
        op: *mut OpNumber,
    ) -> Status,
    /// Cancels an operation; its event is still owed. KK_E_NOT_FOUND when it has had it.
    pub cancel: unsafe extern "C" fn(host: *const Host, call: CallNumber, op: OpNumber) -> Status,
    /// Says in words why the application is about to end with a negative status.
    pub explain: unsafe extern "C" fn(host: *const Host, call: CallNumber, text: Str) -> Status,
}

/// `kk_call_1` since minor version 1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Call1Minor1 {
    /// What the first version had; its `size` is that of the whole.
    pub minor0: Call1,
    /// Since 1.1: the call goes on to a number as if its device had dialled it, through the same
    /// rules. KK_OK, and the application is over; KK_E_FAILED with the rule's word when the plan
    /// refuses it, and the application goes on.
    pub dial: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        number: Str,
        op: *mut OpNumber,
    ) -> Status,
    /// Since 1.1: records what the caller says into an object of the module's store. The event's
    /// text is the length in ms, in digits, also with KK_E_HANGUP, which is how a message usually
    /// ends. The object is whole when the event comes.
    pub record: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        recording: *const Recording,
        op: *mut OpNumber,
    ) -> Status,
}

/// `kk_recording`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Recording {
    /// Bytes of the struct.
    pub size: usize,
    /// The object to be made, see kk_store_1.
    pub object: Str,
    /// The longest that it may be; 0 is for ever.
    pub max_ms: u32,
    /// So much silence ends it; 0 is none.
    pub silence_ms: u32,
    /// Any of these keys ends it.
    pub keys: Str,
}

/// `kk_lamp_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Lamp1 {
    /// Bytes of the struct.
    pub size: usize,
    /// How many messages wait in a mailbox.
    pub set_messages: unsafe extern "C" fn(
        host: *const Host,
        tenant: Str,
        mailbox: Str,
        new_messages: u32,
        old_messages: u32,
    ) -> Status,
}

/// `kk_store_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Store1 {
    /// Bytes of the struct.
    pub size: usize,
    /// Writes a record.
    pub put: unsafe extern "C" fn(host: *const Host, tenant: Str, key: Str, value: Str) -> Status,
    /// Reads one.
    pub get: unsafe extern "C" fn(
        host: *const Host,
        tenant: Str,
        key: Str,
        buffer: *mut u8,
        room: usize,
        len: *mut usize,
    ) -> Status,
    /// KK_OK also when there is none.
    pub remove: unsafe extern "C" fn(host: *const Host, tenant: Str, key: Str) -> Status,
    /// The first key behind `after` that begins with `prefix`; KK_E_NOT_FOUND when there is none.
    pub next: unsafe extern "C" fn(
        host: *const Host,
        tenant: Str,
        prefix: Str,
        after: Str,
        buffer: *mut u8,
        room: usize,
        len: *mut usize,
    ) -> Status,
    /// The first tenant behind `after` that has records.
    pub next_tenant: unsafe extern "C" fn(
        host: *const Host,
        after: Str,
        buffer: *mut u8,
        room: usize,
        len: *mut usize,
    ) -> Status,
    /// Bytes of an object.
    pub object_size:
        unsafe extern "C" fn(host: *const Host, tenant: Str, name: Str, bytes: *mut u64) -> Status,
    /// Removes an object.
    pub object_remove: unsafe extern "C" fn(host: *const Host, tenant: Str, name: Str) -> Status,
}

/// `kk_message`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Bytes of the struct.
    pub size: usize,
    /// Whose mail it is.
    pub tenant: Str,
    /// The same mail ordered twice is sent once: 1 to 64 of a-z, 0-9, '-'.
    pub id: Str,
    /// Its receivers.
    pub to: *const Str,
    /// 1 to 16.
    pub to_len: usize,
    /// Its subject.
    pub subject: Str,
    /// Its words.
    pub text: Str,
    /// Of the module's store; empty: nothing is attached.
    pub object: Str,
    /// What the attachment is called.
    pub file_name: Str,
}

/// `kk_mail_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Mail1 {
    /// Bytes of the struct.
    pub size: usize,
    /// Queues a mail.
    pub send: unsafe extern "C" fn(host: *const Host, message: *const Message) -> Status,
}

/// `kk_config_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Config1 {
    /// Bytes of the struct.
    pub size: usize,
    /// \[any\] `[module.NAME] options` of the server's file as one JSON object.
    pub options: unsafe extern "C" fn(
        host: *const Host,
        buffer: *mut u8,
        room: usize,
        len: *mut usize,
    ) -> Status,
}

/// What [`Worker1::run`] runs.
pub type Job = unsafe extern "C" fn(argument: *mut c_void);

/// `kk_worker_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Worker1 {
    /// Bytes of the struct.
    pub size: usize,
    /// \[any\] KK_OK: `job` is called once with `argument` on a thread of the host's, where it may
    /// block; the build stays loaded until it has returned. KK_E_LIMIT: too many wait.
    pub run:
        unsafe extern "C" fn(host: *const Host, job: Option<Job>, argument: *mut c_void) -> Status,
}
