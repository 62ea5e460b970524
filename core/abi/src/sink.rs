//! `kk.sink/1`: a module that carries records out of the house. All on one thread that the host
//! makes for it.

use std::ffi::c_void;

use crate::{Status, Str};

/// `kk_open`: what a sink is told when it opens.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Bytes of the struct.
    pub size: usize,
    /// `[module.NAME.options]` as one JSON object.
    pub options: Str,
    /// The directory that relative paths in it begin at.
    pub base: Str,
    /// The last record that the sink has acknowledged.
    pub acknowledged: u64,
}

/// `kk_record`: an element of the array that [`Sink1::deliver`] takes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The same in every element of an array: its stride.
    pub size: usize,
    /// Grows from record to record, with gaps; of one record always the same.
    pub sequence: u64,
    /// KK_RECORD_*.
    pub kind: u32,
    /// 0.
    pub reserved: u32,
    /// One JSON object.
    pub text: Str,
}

/// `kk_sink_1`. Functions may be null here, because a module in C may have forgotten one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Sink1 {
    /// Bytes of the struct.
    pub size: usize,
    /// The kinds that it wants, each as the bit of its number.
    pub kinds: u64,
    /// KK_OK: stores the sink. Negative: it cannot work now; the host tries again.
    pub open: Option<unsafe extern "C" fn(open: *const Open, sink: *mut *mut c_void) -> Status>,
    /// Takes records in their order, and stores in `acknowledged` the sequence of the last one that
    /// no end of the process can lose any more. Negative: the rest comes again later.
    pub deliver: Option<
        unsafe extern "C" fn(
            sink: *mut c_void,
            records: *const Record,
            count: usize,
            acknowledged: *mut u64,
        ) -> Status,
    >,
    /// Exactly once for each sink.
    pub close: Option<unsafe extern "C" fn(sink: *mut c_void)>,
}
