//! What the host offers since minor version 5: `kk.audio/1`, sounds made fit to be played.

use crate::{CallNumber, Host, OpNumber, Status, Str};

/// `kk_sound`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Sound {
    /// Bytes of the struct.
    pub size: usize,
    /// Whose objects are meant; empty: the call's tenant.
    pub tenant: Str,
    /// The bytes of a sound file, copied before the function returns; NULL: `from` is one.
    pub bytes: *const u8,
    /// How many: at most 8,000,000.
    pub len: usize,
    /// An object of the module's store that is the sound.
    pub from: Str,
    /// The kind of file by its usual extension ("mp3"), or empty.
    pub kind: Str,
    /// The object to be made.
    pub object: Str,
    /// Hz: 8000, or 0 for that; another is KK_E_UNSUPPORTED to this version.
    pub rate: u32,
    /// 0.
    pub reserved: u32,
}

/// `kk_audio_1`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Audio1 {
    /// Bytes of the struct.
    pub size: usize,
    /// \[call\] Starts an operation, as the functions of kk_call_1: a sound becomes an object of
    /// the module's store that can be played: mono, at one rate, as loud as every prompt (-23
    /// LUFS). The event's text is its length in ms; KK_E_FAILED says in words why it cannot be one,
    /// and the object is as it was before. KK_E_LIMIT: too much waits.
    pub make_prompt: unsafe extern "C" fn(
        host: *const Host,
        call: CallNumber,
        sound: *const Sound,
        op: *mut OpNumber,
    ) -> Status,
}
