//! T.30 over T.38's IFP packets: a fax machine on a network.

use koukan_fax::queue::Rate;
use spandsp_sys as sys;

use super::constants::{
    T38_DATA_RATE_MANAGEMENT_LOCAL_TCF, T38_DATA_RATE_MANAGEMENT_TRANSFERRED_TCF,
    T38_PACKET_CATEGORY_CONTROL_DATA, T38_PACKET_CATEGORY_CONTROL_DATA_END,
    T38_PACKET_CATEGORY_IMAGE_DATA, T38_PACKET_CATEGORY_IMAGE_DATA_END,
    T38_PACKET_CATEGORY_INDICATOR,
};
use super::context::{Context, on_packet};
use super::{Duty, Machine, SetupError, Totals};

/// An IFP packet to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its bytes.
    pub ifp: Vec<u8>,
    /// How often its datagram is sent, with the same number: the last packet of a turn has no
    /// follower that would repair its loss.
    pub times: u8,
}

/// What SDP has agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The TCF is judged here.
    pub local_tcf: bool,
    /// Bytes of an IFP packet.
    pub max_ifp: u16,
    /// bit/s of the image.
    pub max_bit_rate: u32,
}

/// How often indicators and the ends of turns are sent.
const REPEATS: i32 = 3;

/// Sets a T.38 core up, of a terminal or a gateway.
///
/// # Safety
/// `core` lives.
pub(super) unsafe fn agree(core: *mut sys::t38_core_state_t, agreed: Agreed) {
    let method = if agreed.local_tcf {
        T38_DATA_RATE_MANAGEMENT_LOCAL_TCF
    } else {
        T38_DATA_RATE_MANAGEMENT_TRANSFERRED_TCF
    };
    let rate = i32::try_from(agreed.max_bit_rate).unwrap_or(i32::MAX);
    // SAFETY: `core` lives; this call and those below take plain numbers.
    unsafe { sys::t38_set_t38_version(core, 0) };
    // SAFETY: as above.
    unsafe { sys::t38_set_data_rate_management_method(core, method) };
    // SAFETY: as above.
    unsafe { sys::t38_set_max_datagram_size(core, i32::from(agreed.max_ifp)) };
    // SAFETY: as above.
    unsafe { sys::t38_set_fastest_image_data_rate(core, rate) };
    // SAFETY: as above. Numbers come from UDPTL.
    unsafe { sys::t38_set_sequence_number_handling(core, true) };
    for (category, times) in [
        (T38_PACKET_CATEGORY_INDICATOR, REPEATS),
        (T38_PACKET_CATEGORY_CONTROL_DATA, 1),
        (T38_PACKET_CATEGORY_CONTROL_DATA_END, REPEATS),
        (T38_PACKET_CATEGORY_IMAGE_DATA, 1),
        (T38_PACKET_CATEGORY_IMAGE_DATA_END, REPEATS),
    ] {
        // SAFETY: as above.
        unsafe { sys::t38_set_redundancy_control(core, category, times) };
    }
}

/// A T.38 terminal.
#[derive(Debug)]
pub struct Terminal {
    state: *mut sys::t38_terminal_state_t,
    machine: Machine,
}

impl Terminal {
    /// A terminal that is about to begin.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(
        (calling, agreed): (bool, Agreed),
        duty: &Duty,
        ident: &str,
        rate: Rate,
        ecm: bool,
    ) -> Result<Self, SetupError> {
        let context = Box::<Context>::default();
        let (null, user) = (std::ptr::null_mut(), context.user_data());
        // SAFETY: a null state is made by the library; the context outlives it.
        let state = unsafe { sys::t38_terminal_init(null, calling, Some(on_packet), user) };
        if state.is_null() {
            return Err(SetupError::Memory);
        }
        // SAFETY: the state lives.
        let core = unsafe { sys::t38_terminal_get_t38_core_state(state) };
        // SAFETY: it is a part of the state.
        unsafe { agree(core, agreed) };
        // SAFETY: the state lives.
        let t30 = unsafe { sys::t38_terminal_get_t30_state(state) };
        // SAFETY: it is a part of the state, which `drop` frees before the machine's context.
        let machine = unsafe { Machine::new(t30, context) };
        let mut terminal = Self { state, machine };
        terminal.machine.set_up(duty, ident, rate, ecm)?;
        Ok(terminal)
    }

    /// An IFP packet came.
    pub fn receive(&mut self, number: u16, ifp: &[u8]) {
        let length = i32::try_from(ifp.len()).unwrap_or(0);
        // SAFETY: the state lives.
        let core = unsafe { sys::t38_terminal_get_t38_core_state(self.state) };
        // SAFETY: the core lives, and the slice has `length` bytes.
        unsafe { sys::t38_core_rx_ifp_packet(core, ifp.as_ptr(), length, number) };
    }

    /// So many samples' time has passed: timers run, packets are made.
    pub fn tick(&mut self, samples: u16) {
        // SAFETY: the state lives.
        unsafe { sys::t38_terminal_send_timeout(self.state, i32::from(samples)) };
    }

    /// Packets to be sent.
    pub fn take_packets(&mut self) -> impl Iterator<Item = Packet> + use<> {
        let packets = self.machine.context.take_packets().into_iter();
        packets.map(|(ifp, times)| Packet { ifp, times })
    }

    /// What it counts.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.machine.totals()
    }

    /// Its T.30 machine.
    pub fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // SAFETY: the state was made by `t38_terminal_init` and is freed once; the context goes
        // after it.
        unsafe { sys::t38_terminal_free(self.state) };
    }
}
