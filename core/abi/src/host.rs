//! What the host offers: `kk_host` and its extensions `kk.log/1`, `kk.wake/1`, `kk.call/1`.

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
    /// \[any\] The table of an extension; null when unknown or not granted.
    pub get_extension: unsafe extern "C" fn(host: *const Host, id: Str) -> *const c_void,
}

/// `kk_log_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Log1 {
    /// Bytes of the struct.
    pub size: usize,
    /// \[any\] Writes one line about a call, or about the module when `call` is 0.
    pub write: unsafe extern "C" fn(host: *const Host, call: CallNumber, level: u32, text: Str),
}

/// `kk_wake_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Wake1 {
    /// Bytes of the struct.
    pub size: usize,
    /// \[any\] Asks for one WAKE event of the call.
    pub wake: unsafe extern "C" fn(host: *const Host, call: CallNumber) -> Status,
    /// \[any\] Something that will call `wake` is held.
    pub retain: unsafe extern "C" fn(host: *const Host),
    /// \[any\] It is held no longer.
    pub release: unsafe extern "C" fn(host: *const Host),
}

/// `kk_prompt`: an element of the array that [`Call1::play`] takes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Prompt {
    /// Bytes of the struct, and the array's stride.
    pub size: usize,
    /// The language; empty means a file of the tenant.
    pub language: Str,
    /// The name.
    pub name: Str,
}

/// A function of [`Call1`] that needs nothing but the call.
pub type Plain = unsafe extern "C" fn(*const Host, CallNumber, op: *mut OpNumber) -> Status;

/// `kk_call_1`: all on the call's thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Call1 {
    /// Bytes of the struct.
    pub size: usize,
    /// Answers the caller.
    pub answer: Plain,
    /// Opens early media.
    pub early_media: Plain,
    /// Plays prompts, `times` times; 0 is for ever.
    pub play: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        prompts: *const Prompt,
        count: usize,
        times: u32,
        op: *mut OpNumber,
    ) -> Status,
    /// Collects digits.
    pub collect_digits: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        min: u8,
        max: u8,
        timeout_ms: u32,
        op: *mut OpNumber,
    ) -> Status,
    /// Waits.
    pub sleep: unsafe extern "C" fn(*const Host, CallNumber, ms: u32, op: *mut OpNumber) -> Status,
    /// Ends the call.
    pub hang_up: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        sip_status: u16,
        op: *mut OpNumber,
    ) -> Status,
    /// Cancels an operation; its event is still owed.
    pub cancel: unsafe extern "C" fn(*const Host, CallNumber, op: OpNumber) -> Status,
    /// Says why the application is about to end with a negative status.
    pub explain: unsafe extern "C" fn(*const Host, CallNumber, text: Str) -> Status,
}
