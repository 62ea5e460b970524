//! T.30 over samples: what goes through G.711.

use koukan_fax::queue::Rate;
use spandsp_sys as sys;

use super::context::Context;
use super::{Duty, Machine, SetupError, Totals};

/// A fax machine on a telephone line.
#[derive(Debug)]
pub struct AudioFax {
    state: *mut sys::fax_state_t,
    machine: Machine,
}

impl AudioFax {
    /// A machine that is about to hear and speak.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(
        calling: bool,
        duty: &Duty,
        ident: &str,
        rate: Rate,
        ecm: bool,
    ) -> Result<Self, SetupError> {
        // SAFETY: a null state is made by the library.
        let state = unsafe { sys::fax_init(std::ptr::null_mut(), calling) };
        if state.is_null() {
            return Err(SetupError::Memory);
        }
        // SAFETY: the state lives.
        let t30 = unsafe { sys::fax_get_t30_state(state) };
        // SAFETY: it is a part of the state, which `drop` frees before the machine's context.
        let machine = unsafe { Machine::new(t30, Box::<Context>::default()) };
        let mut fax = Self { state, machine };
        // SAFETY: the state lives. Silence is sent as silence: RTP does not pause.
        unsafe { sys::fax_set_transmit_on_idle(fax.state, 1) };
        fax.machine.set_up(duty, ident, rate, ecm)?;
        Ok(fax)
    }

    /// Hears samples; the library may change them.
    pub fn hear(&mut self, samples: &mut [i16]) {
        let length = i32::try_from(samples.len()).unwrap_or(0);
        // SAFETY: the state lives, and the slice has `length` samples.
        unsafe { sys::fax_rx(self.state, samples.as_mut_ptr(), length) };
    }

    /// Speaks: fills all samples.
    pub fn speak(&mut self, samples: &mut [i16]) {
        let length = i32::try_from(samples.len()).unwrap_or(0);
        // SAFETY: the state lives, and the slice has room for `length` samples.
        let made = unsafe { sys::fax_tx(self.state, samples.as_mut_ptr(), length) };
        let made = usize::try_from(made).unwrap_or(0).min(samples.len());
        if let Some(rest) = samples.get_mut(made..) {
            rest.fill(0);
        }
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

impl Drop for AudioFax {
    fn drop(&mut self) {
        // SAFETY: the state was made by `fax_init` and is freed once; the context goes after it.
        unsafe { sys::fax_free(self.state) };
    }
}
