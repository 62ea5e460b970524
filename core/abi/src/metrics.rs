//! What the host offers since minor version 5: `kk.metrics/1`, a module's own counters and gauges.

use crate::{Host, Status, Str};

/// `kk_metrics_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Metrics1 {
    /// Bytes of the struct.
    pub size: usize,
    /// \[any\] The counter of this name, made when there is none: 1 to 48 of a-z, 0-9, '_', the
    /// first a letter; `help` says in one line what it counts. KK_E_LIMIT: a build has at most 64.
    /// KK_E_ARGUMENT: no such name, or one of a gauge.
    pub counter:
        unsafe extern "C" fn(host: *const Host, name: Str, help: Str, metric: *mut u32) -> Status,
    /// \[any\] The gauge of this name, in the same way.
    pub gauge:
        unsafe extern "C" fn(host: *const Host, name: Str, help: Str, metric: *mut u32) -> Status,
    /// \[any\] Adds to a counter, without allocation or lock. KK_E_NOT_FOUND: there is none.
    pub add: unsafe extern "C" fn(host: *const Host, metric: u32, by: u32) -> Status,
    /// \[any\] Sets a gauge, as `add` adds.
    pub set: unsafe extern "C" fn(host: *const Host, metric: u32, value: i64) -> Status,
}
