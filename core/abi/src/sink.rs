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
    /// The module's options as one JSON object.
    pub options: Str,
    /// The directory that relative paths of the options begin at.
    pub base: Str,
    /// The last record that the sink has acknowledged.
    pub acknowledged: u64,
}

/// `kk_record`: an element of the array that [`Sink1::deliver`] takes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Bytes of the struct, and the array's stride.
    pub size: usize,
    /// Grows from record to record, with gaps.
    pub sequence: u64,
    /// One of [`record`](crate::record).
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
    /// Opens it; stores the sink when it answers OK.
    pub open: Option<unsafe extern "C" fn(open: *const Open, sink: *mut *mut c_void) -> Status>,
    /// Takes records; stores the last one that is safe with it.
    pub deliver: Option<
        unsafe extern "C" fn(
            sink: *mut c_void,
            records: *const Record,
            count: usize,
            acknowledged: *mut u64,
        ) -> Status,
    >,
    /// Ends it, exactly once.
    pub close: Option<unsafe extern "C" fn(sink: *mut c_void)>,
}
