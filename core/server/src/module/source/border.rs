//! The C side of a source: its table and its one instance, both used on the worker's thread alone.

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr;
use std::time::Duration;

use koukan_abi as abi;
use koukan_abi::{CALLER, Status, Str, status};
use koukan_switch::CallerQuestion;

use crate::limits;

/// A module's `kk.source/1`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceTable {
    open: unsafe extern "C" fn(*const abi::Open, *mut *mut c_void) -> Status,
    ask: unsafe extern "C" fn(*mut c_void, *const abi::Question, *mut abi::Answer) -> Status,
    close: unsafe extern "C" fn(*mut c_void),
}

impl SourceTable {
    /// A module's table; none when a function is missing.
    pub(crate) fn new(table: abi::Source1) -> Option<Self> {
        let abi::Source1 { size: _, open, ask, close } = table;
        Some(Self { open: open?, ask: ask?, close: close? })
    }

    pub(super) fn open(self, options: &str, base: &str) -> Result<Source, Status> {
        let open = abi::Open {
            size: size_of::<abi::Open>(),
            options: Str::borrow(options),
            base: Str::borrow(base),
            acknowledged: 0,
        };
        let mut pointer = ptr::null_mut();
        // SAFETY: the module's function; struct, texts and place live through the call.
        match unsafe { (self.open)(&raw const open, &raw mut pointer) } {
            status::OK => {
                let buffer = vec![0; limits::ANSWER_BYTES];
                Ok(Source { table: self, pointer, buffer })
            }
            refused => Err(refused),
        }
    }
}

/// An open source. Dropping it is its one `close`. Its pointer keeps it on the thread that opened
/// it.
#[derive(Debug)]
pub(super) struct Source {
    table: SourceTable,
    pointer: *mut c_void,
    buffer: Vec<u8>,
}

impl Source {
    /// Asks who calls: the JSON of what is known, nothing, or how it failed; and for how long that
    /// holds.
    pub(super) fn caller(
        &mut self,
        lookup: &CallerQuestion,
    ) -> (Result<Option<&str>, Status>, Duration) {
        let facts = serde_json::json!({ "national": &*lookup.national, "called": &*lookup.called });
        let facts = facts.to_string();
        let question = abi::Question {
            size: size_of::<abi::Question>(),
            tenant: Str::borrow(&lookup.tenant),
            kind: Str::borrow(CALLER),
            key: Str::borrow(&lookup.number),
            facts: Str::borrow(&facts),
            within_ms: u32::try_from(lookup.within.as_millis()).unwrap_or(u32::MAX),
            reserved: 0,
        };
        let mut answer = abi::Answer {
            size: size_of::<abi::Answer>(),
            buffer: self.buffer.as_mut_ptr(),
            room: self.buffer.len(),
            len: 0,
            keep_ms: 0,
            reserved: 0,
        };
        // SAFETY: the module's function with what its `open` stored; structs, texts and the buffer
        // live through the call, and `&mut self` makes calls come one after the other.
        let said = unsafe { (self.table.ask)(self.pointer, &raw const question, &raw mut answer) };
        let keep = Duration::from_millis(u64::from(answer.keep_ms));
        let known = match said {
            status::OK => {
                let text = self.buffer.get(..answer.len).map(std::str::from_utf8);
                text.and_then(Result::ok).map(Some).ok_or(status::ARGUMENT)
            }
            status::NOT_FOUND => Ok(None),
            failed if failed < status::OK => Err(failed),
            _ => Err(status::ARGUMENT),
        };
        (known, keep)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: the module's function, once, with what its `open` stored.
        unsafe { (self.table.close)(self.pointer) };
    }
}
