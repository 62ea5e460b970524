//! Between samples and IFP packets: a fax machine on a line and one on a network (T.38, clause 8).

use koukan_fax::queue::Rate;
use spandsp_sys as sys;

use super::SetupError;
use super::context::{Context, Seen, on_frame, on_packet};
use super::machine::Totals;
use super::terminal::{Agreed, Packet, agree};

/// A T.38 gateway.
pub struct Gateway {
    state: *mut sys::t38_gateway_state_t,
    context: Box<Context>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway that is about to hear both sides.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(agreed: Agreed, rate: Rate, ecm: bool) -> Result<Self, SetupError> {
        let context = Box::<Context>::default();
        let (null, user) = (std::ptr::null_mut(), context.user_data());
        // SAFETY: a null state is made by the library; the context outlives it.
        let state = unsafe { sys::t38_gateway_init(null, Some(on_packet), user) };
        if state.is_null() {
            return Err(SetupError::Memory);
        }
        let gateway = Self { state, context };
        // SAFETY: the state lives.
        let core = unsafe { sys::t38_gateway_get_t38_core_state(state) };
        // SAFETY: it is a part of the state.
        unsafe { agree(core, agreed) };
        let slow = sys::T30_SUPPORT_V27TER;
        let modems = match rate {
            Rate::V27ter => slow,
            Rate::V29 => slow | sys::T30_SUPPORT_V29,
            Rate::V17 => slow | sys::T30_SUPPORT_V29 | sys::T30_SUPPORT_V17,
        };
        let modems = i32::try_from(modems).unwrap_or(0);
        // SAFETY: the state lives; this call and those below take plain numbers.
        unsafe { sys::t38_gateway_set_supported_modems(state, modems) };
        // SAFETY: as above.
        unsafe { sys::t38_gateway_set_ecm_capability(state, ecm) };
        // SAFETY: as above. Silence is sent as silence: RTP does not pause.
        unsafe { sys::t38_gateway_set_transmit_on_idle(state, true) };
        // SAFETY: as above; the library calls it with frames in its own buffers.
        unsafe { sys::t38_gateway_set_real_time_frame_handler(state, Some(on_frame), user) };
        Ok(gateway)
    }

    /// Hears samples; the library may change them.
    pub fn hear(&mut self, samples: &mut [i16]) {
        let length = i32::try_from(samples.len()).unwrap_or(0);
        // SAFETY: the state lives, and the slice has `length` samples.
        unsafe { sys::t38_gateway_rx(self.state, samples.as_mut_ptr(), length) };
    }

    /// Speaks: fills all samples.
    pub fn speak(&mut self, samples: &mut [i16]) {
        let length = i32::try_from(samples.len()).unwrap_or(0);
        // SAFETY: the state lives, and the slice has room for `length` samples.
        let made = unsafe { sys::t38_gateway_tx(self.state, samples.as_mut_ptr(), length) };
        let made = usize::try_from(made).unwrap_or(0).min(samples.len());
        if let Some(rest) = samples.get_mut(made..) {
            rest.fill(0);
        }
    }

    /// An IFP packet came.
    pub fn receive(&mut self, number: u16, ifp: &[u8]) {
        let length = i32::try_from(ifp.len()).unwrap_or(0);
        // SAFETY: the state lives.
        let core = unsafe { sys::t38_gateway_get_t38_core_state(self.state) };
        // SAFETY: the core lives, and the slice has `length` bytes.
        unsafe { sys::t38_core_rx_ifp_packet(core, ifp.as_ptr(), length, number) };
    }

    /// Packets to be sent.
    pub fn take_packets(&mut self) -> impl Iterator<Item = Packet> + use<> {
        let packets = self.context.take_packets().into_iter();
        packets.map(|(ifp, times)| Packet { ifp, times })
    }

    /// What the callbacks saw since the last time.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        self.context.take_seen()
    }

    /// The counts as they are.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut stats = std::mem::MaybeUninit::<sys::t38_stats_t>::zeroed();
        // SAFETY: the state lives, and the struct has the size that the library fills.
        unsafe { sys::t38_gateway_get_transfer_statistics(self.state, stats.as_mut_ptr()) };
        // SAFETY: its fields are whole numbers and a bool: zeros are valid, and so is what was
        // written.
        let stats = unsafe { stats.assume_init() };
        let count = |value: i32| u32::try_from(value).unwrap_or(0);
        Totals {
            pages: count(stats.pages_transferred),
            bit_rate: count(stats.bit_rate),
            ecm: stats.error_correcting_mode,
            ..Totals::default()
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // SAFETY: the state was made by `t38_gateway_init` and is freed once; the context goes
        // after it.
        unsafe { sys::t38_gateway_free(self.state) };
    }
}
