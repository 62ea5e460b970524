//! The C side of a tap: its table and what it has opened, all used on the worker's thread alone;
//! and the table `kk.tape/1`, by which it writes.

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr;
use std::slice;

use koukan_abi as abi;
use koukan_abi::{Status, Str, id, status};
use koukan_media::RecordedCall;

use crate::module::border::{HostContext, Object, answered, serve};

pub(in crate::module) static TAPE: abi::Tape1 =
    abi::Tape1 { size: size_of::<abi::Tape1>(), begin, write };

/// A module's `kk.tap/1`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TapTable {
    open: unsafe extern "C" fn(*const abi::Tapped, *mut *mut c_void) -> Status,
    batch: unsafe extern "C" fn(*mut c_void, *const abi::Batch) -> Status,
    close: unsafe extern "C" fn(*mut c_void, Status),
}

/// What a tap is told when it opens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening<'t> {
    pub(super) options: &'t str,
    pub(super) base: &'t str,
    pub(super) tape: u64,
    pub(super) call: &'t RecordedCall,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    pub(super) first: u64,
}

impl TapTable {
    /// A module's table; none when a function is missing.
    fn new(table: abi::Tap1) -> Option<Self> {
        let abi::Tap1 { size: _, open, batch, close } = table;
        Some(Self { open: open?, batch: batch?, close: close? })
    }

    pub(super) fn open(self, opening: &Opening<'_>) -> Result<Tap, Status> {
        let call = opening.call;
        let tapped = abi::Tapped {
            size: size_of::<abi::Tapped>(),
            options: Str::borrow(opening.options),
            base: Str::borrow(opening.base),
            tape: opening.tape,
            call: Str::borrow(&call.call),
            tenant: Str::borrow(&call.tenant),
            number: Str::borrow(&call.number),
            direction: Str::borrow(&call.direction),
            caller: Str::borrow(&call.caller),
            called: Str::borrow(&call.called),
            began_ms: call.began_ms,
            sample_rate: opening.sample_rate,
            channels: u32::from(opening.channels),
            first: opening.first,
        };
        let mut pointer = ptr::null_mut();
        // SAFETY: the module's function; struct, texts and place live through the call.
        match unsafe { (self.open)(&raw const tapped, &raw mut pointer) } {
            status::OK => Ok(Tap { table: self, pointer, why: status::FAILED }),
            refused if refused < status::OK => Err(refused),
            _ => Err(status::ARGUMENT),
        }
    }
}

impl Object {
    /// The module's tap.
    pub(in crate::module) fn tap(&self) -> Option<TapTable> {
        // SAFETY: the type of this id's table.
        TapTable::new(unsafe { self.factory::<abi::Tap1>(id::TAP_1) }?)
    }
}

/// An open tap. Dropping it is its one `close`. Its pointer keeps it on the thread that opened it.
#[derive(Debug)]
pub(super) struct Tap {
    table: TapTable,
    pointer: *mut c_void,
    /// What it is told when it is closed.
    why: Status,
}

impl Tap {
    /// Gives it sound: `samples` of all channels beside each other, from sample `first` of each on.
    pub(super) fn batch(
        &mut self,
        samples: &[i16],
        channels: u16,
        (first, dropped): (u64, u64),
    ) -> Result<(), Status> {
        let batch = abi::Batch {
            size: size_of::<abi::Batch>(),
            first,
            samples: samples.as_ptr(),
            count: samples.len() / usize::from(channels.max(1)),
            dropped,
        };
        // SAFETY: the module's function with what its `open` stored; struct and samples live
        // through the call, and `&mut self` makes calls come one after the other.
        match unsafe { (self.table.batch)(self.pointer, &raw const batch) } {
            status::OK => Ok(()),
            failed if failed < status::OK => Err(failed),
            _ => Err(status::ARGUMENT),
        }
    }

    /// Its end.
    pub(super) fn close(mut self, why: Status) {
        self.why = why;
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // SAFETY: the module's function, once, with what its `open` stored.
        unsafe { (self.table.close)(self.pointer, self.why) };
    }
}

unsafe extern "C" fn begin(host: *const abi::Host, tape: u64, encoding: u32) -> Status {
    let begin = |context: &'static HostContext| {
        let caller = context.caller();
        answered(caller.reels.begin(caller.module, tape, encoding))
    };
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, begin) }
}

unsafe extern "C" fn write(
    host: *const abi::Host,
    tape: u64,
    sound: *const u8,
    len: usize,
) -> Status {
    if isize::try_from(len).is_err() || (sound.is_null() && len > 0) {
        return status::ARGUMENT;
    }
    let sound = match len {
        0 => &[],
        // SAFETY: the module's promise: bytes of its own that live through the call.
        _ => unsafe { slice::from_raw_parts(sound, len) },
    };
    let write = |context: &'static HostContext| {
        let caller = context.caller();
        answered(caller.reels.write(caller.module, tape, sound))
    };
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, write) }
}
