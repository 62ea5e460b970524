//! The C border of a module's sink: the table `kk.sink/1`. No panic leaves it.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::size_of;

use koukan_abi as abi;
use koukan_abi::{Status, record, status};

use crate::app::Module;
use crate::border::{Panicked, guarded, tell, text};
use crate::session::Level;
use crate::sink::{Opened, Record, RecordKind, RunningSink};

/// The factory `kk.sink/1` of a module.
pub(crate) struct SinkFactory<M>(PhantomData<M>);

impl<M: Module> SinkFactory<M> {
    pub(crate) const SINK: &'static abi::Sink1 = &abi::Sink1 {
        size: size_of::<abi::Sink1>(),
        kinds: 1 << record::CALL | 1 << record::EVENT,
        open: Some(open::<M>),
        deliver: Some(deliver),
        close: Some(close),
    };
}

/// What a sink's pointer leads to.
struct Instance(Box<dyn RunningSink>);

unsafe extern "C" fn open<M: Module>(open: *const abi::Open, out: *mut *mut c_void) -> Status {
    // SAFETY: the host passes its own struct, valid for the call, or null.
    let Some(open) = (unsafe { open.as_ref() }) else { return status::ARGUMENT };
    let (Some(entry), false) = (M::SINK, out.is_null()) else { return status::ARGUMENT };
    if open.size < size_of::<abi::Open>() {
        return status::ARGUMENT;
    }
    // SAFETY: the struct's texts live through the call.
    let options = unsafe { text(open.options) };
    // SAFETY: as above.
    let base = unsafe { text(open.base) };
    let (Some(options), Some(base)) = (options, base) else { return status::ARGUMENT };
    let opened = Opened { base, acknowledged: open.acknowledged };
    match guarded(|| (entry.open)(options, &opened).map_err(failed)) {
        Ok(Ok(sink)) => {
            let instance = Box::into_raw(Box::new(Instance(sink)));
            // SAFETY: a place for one pointer; null was refused above.
            unsafe { out.write(instance.cast()) };
            status::OK
        }
        Ok(Err(status)) => status,
        Err(Panicked) => status::PANIC,
    }
}

/// Says what went wrong, in the module's words.
fn failed(error: crate::Error) -> Status {
    tell(Level::Error, &error.to_string());
    error.status()
}

unsafe extern "C" fn deliver(
    sink: *mut c_void,
    records: *const abi::Record,
    count: usize,
    acknowledged: *mut u64,
) -> Status {
    // SAFETY: the host passes what `open` stored, before `close`, one call at a time.
    let instance = unsafe { sink.cast::<Instance>().as_mut() };
    // SAFETY: a place for one number, or null.
    let acknowledged = unsafe { acknowledged.as_mut() };
    let (Some(instance), Some(acknowledged)) = (instance, acknowledged) else {
        return status::ARGUMENT;
    };
    let mut body = || {
        // SAFETY: the host's array, whose texts live through the call.
        let Some(records) = (unsafe { read(records, count) }) else { return Ok(status::ARGUMENT) };
        instance.0.deliver(&records, acknowledged).map(|()| status::OK)
    };
    match guarded(|| body().unwrap_or_else(failed)) {
        Ok(status) => status,
        Err(Panicked) => status::PANIC,
    }
}

/// The records of an array whose elements may be larger than ours.
///
/// # Safety
/// `first` is null or leads to `count` elements that begin with their size, all the same, and whose
/// texts live for `'t`.
unsafe fn read<'t>(first: *const abi::Record, count: usize) -> Option<Vec<Record<'t>>> {
    if first.is_null() {
        return (count == 0).then(Vec::new);
    }
    // SAFETY: the caller's promise.
    let stride = unsafe { first.cast::<usize>().read() };
    if stride < size_of::<abi::Record>() {
        return None;
    }
    let mut records = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: within the array by the caller's promise.
        let element = unsafe { first.byte_add(index.checked_mul(stride)?) };
        // SAFETY: an element of the array, at least as large as ours.
        let found = unsafe { element.read() };
        // SAFETY: a text of the element.
        let text = unsafe { text(found.text) }?;
        records.push(Record { sequence: found.sequence, kind: RecordKind::of(found.kind), text });
    }
    Some(records)
}

unsafe extern "C" fn close(sink: *mut c_void) {
    if sink.is_null() {
        return;
    }
    // SAFETY: the host gives back, once, what `open` stored, and never uses it again.
    let instance = unsafe { Box::from_raw(sink.cast::<Instance>()) };
    // A destructor that panics is caught; nobody is left to hear of it but the log.
    let _ = guarded(|| drop(instance));
}
