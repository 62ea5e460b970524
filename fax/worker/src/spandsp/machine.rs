//! The T.30 machine inside of an audio fax or a T.38 terminal: how it is set, and what it counts.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

use koukan_fax::queue::Rate;
use spandsp_sys as sys;

use super::SetupError;
use super::constants::{
    T4_COMPRESSION_T4_1D, T4_COMPRESSION_T4_2D, T4_COMPRESSION_T6, T4_RESOLUTION_R8_FINE,
    T4_RESOLUTION_R8_STANDARD, T4_RESOLUTION_R8_SUPERFINE, T4_SUPPORT_LENGTH_A4,
    T4_SUPPORT_LENGTH_B4, T4_SUPPORT_LENGTH_UNLIMITED, T4_SUPPORT_WIDTH_215MM,
    T4_SUPPORT_WIDTH_255MM,
};
use super::context::{Context, Seen, on_frame, on_phase_b, on_phase_d, on_phase_e};

/// What the machine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Send a TIFF file from this page on, counted from 0.
    Send {
        /// Its path.
        file: String,
        /// The first page.
        first_page: u32,
    },
    /// Receive into a TIFF file.
    Receive {
        /// Its path.
        file: String,
    },
}

/// What the machine counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pages that were confirmed, either way.
    pub pages: u32,
    /// bit/s.
    pub bit_rate: u32,
    /// With error correction.
    pub ecm: bool,
    /// Frames that error correction sent again.
    pub ecm_retries: u32,
    /// Picture elements a line of the newest page.
    pub width: u32,
    /// Its lines.
    pub length: u32,
    /// Bytes of its code.
    pub bytes: u32,
    /// Its lines with errors.
    pub bad_rows: u32,
}

/// A machine that its fax or terminal owns.
pub struct Machine {
    t30: *mut sys::t30_state_t,
    sends: bool,
    pub(super) context: Box<Context>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("sends", &self.sends).finish_non_exhaustive()
    }
}

/// Characters of TSI and CSI.
const IDENT: usize = 20;

impl Machine {
    /// # Safety
    /// `t30` lives as long as the machine, and is freed before it; nobody else uses it.
    pub(super) unsafe fn new(t30: *mut sys::t30_state_t, context: Box<Context>) -> Self {
        Self { t30, sends: false, context }
    }

    /// Sets it up, before the first sample.
    pub(super) fn set_up(
        &mut self,
        duty: &Duty,
        ident: &str,
        rate: Rate,
        ecm: bool,
    ) -> Result<(), SetupError> {
        let user = self.context.user_data();
        // SAFETY: `t30` lives, and the context outlives it.
        unsafe { sys::t30_set_phase_b_handler(self.t30, Some(on_phase_b), user) };
        // SAFETY: the same.
        unsafe { sys::t30_set_phase_e_handler(self.t30, Some(on_phase_e), user) };
        // SAFETY: the same; the library calls it with frames in its own buffers.
        unsafe { sys::t30_set_real_time_frame_handler(self.t30, Some(on_frame), user) };
        let allowed = |one: &char| one.is_ascii_digit() || matches!(one, '+' | ' ');
        let ident: String = ident.chars().filter(allowed).take(IDENT).collect();
        let ident = CString::new(ident)?;
        // SAFETY: `t30` lives; the text is copied.
        unsafe { sys::t30_set_tx_ident(self.t30, ident.as_ptr()) };
        self.capabilities(rate, ecm);
        match duty {
            Duty::Send { file, first_page } => {
                self.sends = true;
                let file = CString::new(file.as_str())?;
                let first = i32::try_from(*first_page).unwrap_or(i32::MAX);
                // SAFETY: `t30` lives; the text is copied.
                unsafe { sys::t30_set_tx_file(self.t30, file.as_ptr(), first, -1) };
            }
            Duty::Receive { file } => {
                // SAFETY: `t30` lives, and the context outlives it.
                unsafe { sys::t30_set_phase_d_handler(self.t30, Some(on_phase_d), user) };
                let file = CString::new(file.as_str())?;
                // SAFETY: `t30` lives; the text is copied.
                unsafe { sys::t30_set_rx_file(self.t30, file.as_ptr(), -1) };
            }
        }
        Ok(())
    }

    /// G.711 and T.38 fax of the market: all rates below V.34, T.4 and T.6, A4 and B4.
    fn capabilities(&mut self, rate: Rate, ecm: bool) {
        let slow = sys::T30_SUPPORT_V27TER;
        let modems = match rate {
            Rate::V27ter => slow,
            Rate::V29 => slow | sys::T30_SUPPORT_V29,
            Rate::V17 => slow | sys::T30_SUPPORT_V29 | sys::T30_SUPPORT_V17,
        };
        let modems = i32::try_from(modems).unwrap_or(0);
        let compressions = T4_COMPRESSION_T4_1D | T4_COMPRESSION_T4_2D | T4_COMPRESSION_T6;
        let resolutions =
            T4_RESOLUTION_R8_STANDARD | T4_RESOLUTION_R8_FINE | T4_RESOLUTION_R8_SUPERFINE;
        let sizes = T4_SUPPORT_WIDTH_215MM
            | T4_SUPPORT_WIDTH_255MM
            | T4_SUPPORT_LENGTH_A4
            | T4_SUPPORT_LENGTH_B4
            | T4_SUPPORT_LENGTH_UNLIMITED;
        let t30 = self.t30;
        // SAFETY: `t30` lives; this call and those below take plain numbers.
        unsafe { sys::t30_set_supported_modems(t30, modems) };
        // SAFETY: as above.
        unsafe { sys::t30_set_ecm_capability(t30, ecm) };
        // SAFETY: as above.
        unsafe { sys::t30_set_supported_compressions(t30, compressions) };
        // SAFETY: as above. Files are T.6, which PDF takes as it is.
        unsafe { sys::t30_set_supported_output_compressions(t30, T4_COMPRESSION_T6) };
        // SAFETY: as above.
        unsafe { sys::t30_set_supported_bilevel_resolutions(t30, resolutions) };
        // SAFETY: as above.
        unsafe { sys::t30_set_supported_image_sizes(t30, sizes) };
        // SAFETY: as above. A page that did not come whole is better than none.
        unsafe { sys::t30_set_keep_bad_quality_pages(t30, true) };
        // SAFETY: as above.
        unsafe { sys::t30_set_retransmit_capable(t30, true) };
    }

    /// What the callbacks saw since the last time.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        self.context.take_seen()
    }

    /// Whether a page that came has ended, and its confirmation is queued and not said yet: whoever
    /// owns the machine lets it say nothing until [`Self::release`].
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.context.is_held()
    }

    /// The page is safe.
    pub fn release(&self) {
        self.context.release();
    }

    /// The counts as they are.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut stats = MaybeUninit::<sys::t30_stats_t>::zeroed();
        // SAFETY: `t30` lives, and the struct has the size that the library fills.
        unsafe { sys::t30_get_transfer_statistics(self.t30, stats.as_mut_ptr()) };
        // SAFETY: all its fields are whole numbers: zeros are valid, and so is what was written.
        let stats = unsafe { stats.assume_init() };
        let count = |value: i32| u32::try_from(value).unwrap_or(0);
        Totals {
            pages: count(if self.sends { stats.pages_tx } else { stats.pages_rx }),
            bit_rate: count(stats.bit_rate),
            ecm: stats.error_correcting_mode != 0,
            ecm_retries: count(stats.error_correcting_mode_retries),
            width: count(stats.width),
            length: count(stats.length),
            bytes: count(stats.image_size),
            bad_rows: count(stats.bad_rows),
        }
    }

    /// The other side's TSI or CSI.
    #[must_use]
    pub fn remote_ident(&self) -> Option<String> {
        // SAFETY: `t30` lives.
        let ident = unsafe { sys::t30_get_rx_ident(self.t30) };
        if ident.is_null() {
            return None;
        }
        // SAFETY: it points to a text of at most 20 characters in the state, ended by a zero.
        let ident = unsafe { CStr::from_ptr(ident) };
        Some(ident.to_string_lossy().trim().to_owned())
    }

    /// The call is over: what came is kept, and the end is reported.
    pub fn terminate(&mut self) {
        // SAFETY: `t30` lives.
        unsafe { sys::t30_terminate(self.t30) };
    }
}

/// The words of a completion code.
#[must_use]
pub fn words(code: i32) -> String {
    // SAFETY: any number is taken; a static text or null comes back.
    let words = unsafe { sys::t30_completion_code_to_str(code) };
    if words.is_null() {
        return format!("code {code}");
    }
    // SAFETY: a static text, ended by a zero.
    unsafe { CStr::from_ptr(words) }.to_string_lossy().into_owned()
}
