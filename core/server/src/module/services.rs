//! The tables that version 1.4 of the border added: `kk.config/1` and `kk.worker/1`.

use std::ffi::c_void;
use std::mem::size_of;

use koukan_abi as abi;
use koukan_abi::{Status, status};

use super::border::{HostContext, answered, serve};
use super::tables::fill;

pub(super) static CONFIG: abi::Config1 = abi::Config1 { size: size_of::<abi::Config1>(), options };
pub(super) static WORKER: abi::Worker1 = abi::Worker1 { size: size_of::<abi::Worker1>(), run };

unsafe extern "C" fn options(
    host: *const abi::Host,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> Status {
    let found = |context: &'static HostContext| Ok(context.caller().options.as_str().into());
    // SAFETY: the module's promise for the host.
    let found = unsafe { serve(host, Err(status::FAILED), found) };
    // SAFETY: the module's promise for both places.
    unsafe { fill(found, buffer, room, len) }
}

/// A module's job with what it is called with.
struct Ordered {
    job: abi::Job,
    argument: *mut c_void,
    context: &'static HostContext,
}

// SAFETY: the module's promise for a job: it and its argument may go to another thread, once.
unsafe impl Send for Ordered {}

impl Ordered {
    fn run(self) {
        // SAFETY: the module's function with its own argument, once; its build is held until then.
        unsafe { (self.job)(self.argument) };
        self.context.let_go();
    }
}

unsafe extern "C" fn run(
    host: *const abi::Host,
    job: Option<abi::Job>,
    argument: *mut c_void,
) -> Status {
    let Some(job) = job else { return status::ARGUMENT };
    let order = |context: &'static HostContext| {
        let ordered = Ordered { job, argument, context };
        context.hold();
        let taken = context.caller().jobs.order(Box::new(move || ordered.run()));
        if taken.is_err() {
            context.let_go();
        }
        answered(taken)
    };
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, order) }
}
