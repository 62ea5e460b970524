//! What a module offers: `kk_module_entry` and its factory `kk.app/1`. Functions may be null here,
//! because a module in C may have forgotten one.

use std::ffi::c_void;

use crate::{CallNumber, Host, Instance, OpNumber, Status, Str};

/// `kk_entry`: the type of the one symbol `kk_module_entry`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// KK_MAGIC_INIT.
    pub magic: [u8; 8],
    /// Sizeof(kk_entry).
    pub size: u32,
    /// KK_ABI_MAJOR.
    pub abi_major: u16,
    /// The lowest that serves.
    pub abi_minor: u16,
    /// 0.
    pub flags: u64,
    /// Its name.
    pub name: Str,
    /// Its version.
    pub version: Str,
    /// What built it, for people.
    pub toolchain: Str,
    /// Extensions without which the module does not start.
    pub required: *const Str,
    /// How many those are.
    pub required_len: usize,
    /// Once after loading, on any thread; not KK_OK refuses the module. No operation here.
    pub init: Option<unsafe extern "C" fn(host: *const Host) -> Status>,
    /// Once, after the last instance was destroyed; may be NULL.
    pub deinit: Option<unsafe extern "C" fn()>,
    /// The table of a factory, valid until `deinit`; NULL when the module has none such.
    pub get_factory: Option<unsafe extern "C" fn(id: Str) -> *const c_void>,
}

/// `kk_start`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Bytes of the struct.
    pub size: usize,
    /// Monotonic time.
    pub now_ns: u64,
    /// The call.
    pub call: CallNumber,
    /// Which of the module's applications.
    pub application: Str,
    /// One JSON object.
    pub arguments: Str,
}

/// `kk_event`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Bytes of the struct.
    pub size: usize,
    /// Monotonic; a module needs no clock.
    pub now_ns: u64,
    /// KK_EVENT_*; an unknown one is ignored.
    pub r#type: u32,
    /// How the operation ended.
    pub status: Status,
    /// The operation.
    pub op: OpNumber,
    /// Its result, or an explanation.
    pub text: Str,
    /// ASCII: 0 to 9, A to D, *, #.
    pub digit: u32,
    /// 0.
    pub reserved: u32,
}

/// `kk_app_1`: all on the call's thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct App1 {
    /// Bytes of the struct.
    pub size: usize,
    /// KK_PENDING: stores the instance and gets events. KK_OK: done already; negative: failed; in
    /// both there is no instance and no `destroy`.
    pub start: Option<unsafe extern "C" fn(start: *const Start, instance: *mut Instance) -> Status>,
    /// KK_PENDING: goes on. KK_OK or negative: done or failed, no event follows but `destroy`. A
    /// failure ends the application alone; the dialplan goes on.
    pub event: Option<unsafe extern "C" fn(instance: Instance, event: *const Event) -> Status>,
    /// Exactly once for each instance, never from inside another function.
    pub destroy: Option<unsafe extern "C" fn(instance: Instance)>,
}

/// `kk_start` since minor version 1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StartMinor1 {
    /// What the first version had; its `size` is that of the whole.
    pub minor0: Start,
    /// Since 1.1.
    pub date_ms: i64,
    /// Since 1.1: whose call it is.
    pub tenant: Str,
}

/// `kk_event` since minor version 1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EventMinor1 {
    /// What the first version had; its `size` is that of the whole.
    pub minor0: Event,
    /// Since 1.1: the server's date, in ms since 1970.
    pub date_ms: i64,
}
