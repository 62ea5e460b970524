//! `kk.source/1`: a module that answers questions. All on one thread that the host makes for it.

use std::ffi::c_void;

use crate::{Open, Status, Str};

/// `kk_question`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Bytes of the struct.
    pub size: usize,
    /// Whose question it is.
    pub tenant: Str,
    /// KK_CALLER; an unknown one: KK_E_UNSUPPORTED.
    pub kind: Str,
    /// About whom: a number with its + and country code.
    pub key: Str,
    /// One JSON object: "national" (the number as it is dialled), "called".
    pub facts: Str,
    /// So long the call waits; a later answer is kept for the next one.
    pub within_ms: u32,
    /// 0.
    pub reserved: u32,
}

/// `kk_answer`: where the answer goes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Bytes of the struct.
    pub size: usize,
    /// The host's, for one JSON object.
    pub buffer: *mut u8,
    /// Its bytes.
    pub room: usize,
    /// To be stored: the bytes of the answer; more than `room`: KK_E_LIMIT.
    pub len: usize,
    /// To be stored: so long the host need not ask again; 0: each time.
    pub keep_ms: u32,
    /// 0.
    pub reserved: u32,
}

/// `kk_source_1`. Functions may be null here, because a module in C may have forgotten one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Source1 {
    /// Bytes of the struct.
    pub size: usize,
    /// KK_OK: stores the source. Negative: it cannot work now; the host tries again. `acknowledged`
    /// is 0.
    pub open: Option<unsafe extern "C" fn(open: *const Open, source: *mut *mut c_void) -> Status>,
    /// KK_OK: the answer is in `answer`. KK_E_NOT_FOUND: nothing is known, which may be kept too.
    pub ask: Option<
        unsafe extern "C" fn(
            source: *mut c_void,
            question: *const Question,
            answer: *mut Answer,
        ) -> Status,
    >,
    /// Exactly once for each source.
    pub close: Option<unsafe extern "C" fn(source: *mut c_void)>,
}

/// The question who calls.
pub const CALLER: &str = "caller";
