//! `kk.tap/1`: a module that takes down what is said on calls, and `kk.tape/1`, the files that it
//! writes through the host. All on one thread that the host makes for it.

use std::ffi::c_void;

use crate::{Host, Status, Str};

/// `kk_tapped`: what is recorded, as its tap is told when it begins. Texts live through the call
/// of `open` alone.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Tapped {
    /// Bytes of the struct.
    pub size: usize,
    /// `[module.NAME.options]` as one JSON object.
    pub options: Str,
    /// The directory that relative paths in it begin at.
    pub base: Str,
    /// What is called with [`Tape1`]; never 0.
    pub tape: u64,
    /// The call, as it is printed everywhere.
    pub call: Str,
    /// Whose call it is.
    pub tenant: Str,
    /// The number of the plan whose option it is, by its name; empty for a room.
    pub number: Str,
    /// "inbound", "outbound" or "conference".
    pub direction: Str,
    /// Who called.
    pub caller: Str,
    /// Who was called; the name of a room.
    pub called: Str,
    /// When it began, in ms since 1970.
    pub began_ms: i64,
    /// Samples a second, of each channel.
    pub sample_rate: u32,
    /// 2: what the first party says, and what it hears.
    pub channels: u32,
    /// The sample of each channel that comes first: above 0 where another build has taken down what
    /// was before.
    pub first: u64,
}

/// `kk_batch`: sound without a gap; where nothing came there is silence.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Bytes of the struct.
    pub size: usize,
    /// The first sample of each channel, counted from the beginning of the recording.
    pub first: u64,
    /// Samples of 16 bits, those of the channels beside each other: `count` times `channels`.
    pub samples: *const i16,
    /// Samples of each channel.
    pub count: usize,
    /// How many samples of each channel have been dropped until here, with silence in their place:
    /// the module was too slow to take them.
    pub dropped: u64,
}

/// `kk_tap_1`. Functions may be null here, because a module in C may have forgotten one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Tap1 {
    /// Bytes of the struct.
    pub size: usize,
    /// A recording begins. KK_OK: stores its state. Negative: it is not recorded; the call goes on.
    pub open: Option<unsafe extern "C" fn(call: *const Tapped, tap: *mut *mut c_void) -> Status>,
    /// Takes what was said. Negative: the recording ends, what its tape has is kept.
    pub batch: Option<unsafe extern "C" fn(tap: *mut c_void, batch: *const Batch) -> Status>,
    /// Exactly once for each that was opened. KK_OK: what is recorded has ended. KK_E_CANCELLED:
    /// another build goes on with it. Any other: it could not be recorded to its end.
    pub close: Option<unsafe extern "C" fn(tap: *mut c_void, why: Status)>,
}

/// `kk_tape_1`: the file of a recording. On the thread of the tap, from its `open` to the end of
/// its `close`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Tape1 {
    /// Bytes of the struct.
    pub size: usize,
    /// Begins the file, whose sound is coded so (KK_SOUND_*), with the channels and the rate of the
    /// recording. KK_OK also when it has been begun so before. KK_E_UNSUPPORTED: not at this rate.
    /// KK_E_FAILED: the disk refuses.
    pub begin: unsafe extern "C" fn(host: *const Host, tape: u64, encoding: u32) -> Status,
    /// Puts whole samples behind it, those of the channels beside each other. They survive an end
    /// of the process from then on, sealed where the host has a key. KK_E_FAILED: the disk takes no
    /// more; what it took is kept.
    pub write:
        unsafe extern "C" fn(host: *const Host, tape: u64, sound: *const u8, len: usize) -> Status,
}
