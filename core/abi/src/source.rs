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
    /// What is asked: [`CALLER`].
    pub kind: Str,
    /// About whom: a number with its `+` and country code.
    pub key: Str,
    /// What else is known, as one JSON object.
    pub facts: Str,
    /// So long the answer is waited for.
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
    /// The host's place for one JSON object.
    pub buffer: *mut u8,
    /// Its bytes.
    pub room: usize,
    /// The module's: the bytes of its answer.
    pub len: usize,
    /// The module's: so long the host need not ask again.
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
    /// Opens it; stores the source when it answers OK.
    pub open: Option<unsafe extern "C" fn(open: *const Open, source: *mut *mut c_void) -> Status>,
    /// Answers a question.
    pub ask: Option<
        unsafe extern "C" fn(
            source: *mut c_void,
            question: *const Question,
            answer: *mut Answer,
        ) -> Status,
    >,
    /// Ends it, exactly once.
    pub close: Option<unsafe extern "C" fn(source: *mut c_void)>,
}

/// The question who calls.
pub const CALLER: &str = "caller";
