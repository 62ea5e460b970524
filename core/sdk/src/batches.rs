//! The C border of a module's tap: the table `kk.tap/1`, and the host's `kk.tape/1`. No panic
//! leaves it.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::size_of;
use std::rc::Rc;
use std::slice;

use koukan_abi as abi;
use koukan_abi::{Status, status};

use crate::app::Module;
use crate::border::{Panicked, bound, guarded, tell, text};
use crate::real::Bound;
use crate::session::Level;
use crate::tap::{Batch, Deck, Encoding, RunningTap, TapEnd, Tape, Tapped};

/// The factory `kk.tap/1` of a module.
pub(crate) struct TapFactory<M>(PhantomData<M>);

impl<M: Module> TapFactory<M> {
    pub(crate) const TAP: &'static abi::Tap1 = &abi::Tap1 {
        size: size_of::<abi::Tap1>(),
        open: Some(open::<M>),
        batch: Some(batch),
        close: Some(close),
    };
}

/// What a tap's pointer leads to.
struct Instance {
    /// None once it has been closed or has panicked.
    tap: Option<Box<dyn RunningTap>>,
    channels: u32,
}

/// A tape of the host on the other side of the border.
struct RealDeck {
    bound: &'static Bound,
    tape: u64,
}

impl RealDeck {
    fn said(status: Status) -> std::result::Result<(), Status> {
        if status == status::OK { Ok(()) } else { Err(status) }
    }
}

impl Deck for RealDeck {
    fn begin(&self, encoding: Encoding) -> std::result::Result<(), Status> {
        let (host, table) = self.bound.tape().ok_or(status::UNSUPPORTED)?;
        // SAFETY: the host's function with its own pointer.
        Self::said(unsafe { (table.begin)(host, self.tape, encoding.number()) })
    }

    fn write(&self, sound: &[u8]) -> std::result::Result<(), Status> {
        let (host, table) = self.bound.tape().ok_or(status::UNSUPPORTED)?;
        // SAFETY: the host's function with its own pointer; the bytes live through the call.
        Self::said(unsafe { (table.write)(host, self.tape, sound.as_ptr(), sound.len()) })
    }
}

/// What is recorded, with the options of the module.
///
/// # Safety
/// The struct's texts live for `'t`.
unsafe fn read<'t>(from: &abi::Tapped) -> Option<(&'t str, Tapped<'t>)> {
    // SAFETY: the caller's promise, for each of them.
    let word = |word| unsafe { text(word) };
    let tapped = Tapped {
        base: word(from.base)?,
        call: word(from.call)?,
        tenant: word(from.tenant)?,
        number: word(from.number)?,
        direction: word(from.direction)?,
        caller: word(from.caller)?,
        called: word(from.called)?,
        began_ms: from.began_ms,
        sample_rate: from.sample_rate,
        channels: from.channels,
        first: from.first,
    };
    Some((word(from.options)?, tapped))
}

unsafe extern "C" fn open<M: Module>(tapped: *const abi::Tapped, out: *mut *mut c_void) -> Status {
    // SAFETY: the host passes its own struct, valid for the call, or null.
    let Some(from) = (unsafe { tapped.as_ref() }) else { return status::ARGUMENT };
    let (Some(entry), false) = (M::TAP, out.is_null()) else { return status::ARGUMENT };
    if from.size < size_of::<abi::Tapped>() {
        return status::ARGUMENT;
    }
    let Some(bound) = bound() else { return status::FAILED };
    // SAFETY: the struct's texts live through the call.
    let Some((options, tapped)) = (unsafe { read(from) }) else { return status::ARGUMENT };
    let tape = || Tape(Rc::new(RealDeck { bound, tape: from.tape }));
    match guarded(|| (entry.open)(options, &tapped, tape()).map_err(|error| failed(&error))) {
        Ok(Ok(tap)) => {
            let instance = Instance { tap: Some(tap), channels: from.channels };
            let instance = Box::into_raw(Box::new(instance));
            // SAFETY: a place for one pointer; null was refused above.
            unsafe { out.write(instance.cast()) };
            status::OK
        }
        Ok(Err(status)) => status,
        Err(Panicked) => status::PANIC,
    }
}

/// Says what went wrong, in the module's words.
fn failed(error: &crate::Error) -> Status {
    tell(Level::Error, &error.to_string());
    error.status()
}

unsafe extern "C" fn batch(tap: *mut c_void, batch: *const abi::Batch) -> Status {
    // SAFETY: the host passes what `open` stored, before `close`, one call at a time.
    let instance = unsafe { tap.cast::<Instance>().as_mut() };
    // SAFETY: the host passes its own struct, valid for the call, or null.
    let batch = unsafe { batch.as_ref() };
    let (Some(instance), Some(batch)) = (instance, batch) else { return status::ARGUMENT };
    let channels = usize::try_from(instance.channels).unwrap_or(usize::MAX);
    let len = batch.count.checked_mul(channels);
    let Some(len) = len.filter(|_| batch.size >= size_of::<abi::Batch>()) else {
        return status::ARGUMENT;
    };
    let samples = match (len, batch.samples.is_null()) {
        (0, _) => &[],
        (_, true) => return status::ARGUMENT,
        // SAFETY: the host's samples, which live through the call.
        (len, false) => unsafe { slice::from_raw_parts(batch.samples, len) },
    };
    let batch = Batch { first: batch.first, samples, dropped: batch.dropped };
    let Some(tap) = &mut instance.tap else { return status::FAILED };
    match guarded(|| tap.batch(&batch).map_or_else(|error| failed(&error), |()| status::OK)) {
        Ok(status) => status,
        Err(Panicked) => {
            // It is in no state to hear anything more but its destructor.
            let tap = instance.tap.take();
            let _ = guarded(|| drop(tap));
            status::PANIC
        }
    }
}

unsafe extern "C" fn close(tap: *mut c_void, why: Status) {
    if tap.is_null() {
        return;
    }
    // SAFETY: the host gives back, once, what `open` stored, and never uses it again.
    let instance = unsafe { Box::from_raw(tap.cast::<Instance>()) };
    // A panic is caught; nobody is left to hear of it but the log.
    let _ = guarded(|| {
        if let Some(tap) = instance.tap {
            tap.close(TapEnd::of(why));
        }
    });
}
