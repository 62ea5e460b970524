//! The C side of a sink: its table and its one instance, both used on the worker's thread alone.

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr;

use koukan_abi as abi;
use koukan_abi::{Status, Str, id, status};
use koukan_store::{Kept, Kind};

use super::kinds;
use crate::module::border::Object;

/// A module's `kk.sink/1`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SinkTable {
    kinds: u64,
    open: unsafe extern "C" fn(*const abi::Open, *mut *mut c_void) -> Status,
    deliver: unsafe extern "C" fn(*mut c_void, *const abi::Record, usize, *mut u64) -> Status,
    close: unsafe extern "C" fn(*mut c_void),
}

impl SinkTable {
    /// A module's table; none when a function is missing.
    fn new(table: abi::Sink1) -> Option<Self> {
        let abi::Sink1 { size: _, kinds, open, deliver, close } = table;
        Some(Self { kinds, open: open?, deliver: deliver?, close: close? })
    }

    /// The records that it wants.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        kinds(self.kinds)
    }

    pub(super) fn open(self, options: &str, base: &str, acknowledged: u64) -> Result<Sink, Status> {
        let open = abi::Open {
            size: size_of::<abi::Open>(),
            options: Str::borrow(options),
            base: Str::borrow(base),
            acknowledged,
        };
        let mut pointer = ptr::null_mut();
        // SAFETY: the module's function; struct, texts and place live through the call.
        match unsafe { (self.open)(&raw const open, &raw mut pointer) } {
            status::OK => Ok(Sink { table: self, pointer }),
            refused => Err(refused),
        }
    }
}

impl Object {
    /// The module's sink.
    pub(in crate::module) fn sink(&self) -> Option<SinkTable> {
        // SAFETY: the type of this id's table.
        SinkTable::new(unsafe { self.factory::<abi::Sink1>(id::SINK_1) }?)
    }
}

/// An open sink. Dropping it is its one `close`. Its pointer keeps it on the thread that opened it.
#[derive(Debug)]
pub(super) struct Sink {
    table: SinkTable,
    pointer: *mut c_void,
}

impl Sink {
    /// Gives it records; how that ended, and up to which it has them safe by its word.
    pub(super) fn deliver(&mut self, records: &[Kept]) -> (Status, u64) {
        let record = |kept: &Kept| abi::Record {
            size: size_of::<abi::Record>(),
            sequence: kept.sequence,
            kind: kept.kind,
            reserved: 0,
            text: Str::borrow(&kept.record),
        };
        let records: Vec<abi::Record> = records.iter().map(record).collect();
        let mut acknowledged = 0;
        let (first, count) = (records.as_ptr(), records.len());
        // SAFETY: the module's function with what its `open` stored; the array, its texts and the
        // place live through the call, and `&mut self` makes calls come one after the other.
        let status =
            unsafe { (self.table.deliver)(self.pointer, first, count, &raw mut acknowledged) };
        (status, acknowledged)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // SAFETY: the module's function, once, with what its `open` stored.
        unsafe { (self.table.close)(self.pointer) };
    }
}
