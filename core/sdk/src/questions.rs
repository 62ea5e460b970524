//! The C border of a module's source: the table `kk.source/1`. No panic leaves it.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem::size_of;
use std::ptr;
use std::time::Duration;

use koukan_abi as abi;
use koukan_abi::{CALLER, Status, status};

use crate::Opened;
use crate::app::Module;
use crate::border::{Panicked, guarded, tell, text};
use crate::session::Level;
use crate::source::{Caller, Facts, Kept, Question, RunningSource};

/// The factory `kk.source/1` of a module.
pub(crate) struct SourceFactory<M>(PhantomData<M>);

impl<M: Module> SourceFactory<M> {
    pub(crate) const SOURCE: &'static abi::Source1 = &abi::Source1 {
        size: size_of::<abi::Source1>(),
        open: Some(open::<M>),
        ask: Some(ask),
        close: Some(close),
    };
}

/// What a source's pointer leads to.
struct Instance(Box<dyn RunningSource>);

unsafe extern "C" fn open<M: Module>(open: *const abi::Open, out: *mut *mut c_void) -> Status {
    // SAFETY: the host passes its own struct, valid for the call, or null.
    let Some(open) = (unsafe { open.as_ref() }) else { return status::ARGUMENT };
    let (Some(entry), false) = (M::SOURCE, out.is_null()) else { return status::ARGUMENT };
    if open.size < size_of::<abi::Open>() {
        return status::ARGUMENT;
    }
    // SAFETY: the struct's texts live through the call.
    let options = unsafe { text(open.options) };
    // SAFETY: as above.
    let base = unsafe { text(open.base) };
    let (Some(options), Some(base)) = (options, base) else { return status::ARGUMENT };
    let opened = Opened { base, acknowledged: 0 };
    match guarded(|| (entry.open)(options, &opened).map_err(|error| failed(&error))) {
        Ok(Ok(source)) => {
            let instance = Box::into_raw(Box::new(Instance(source)));
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

unsafe extern "C" fn ask(
    source: *mut c_void,
    question: *const abi::Question,
    answer: *mut abi::Answer,
) -> Status {
    // SAFETY: the host passes what `open` stored, before `close`, one call at a time.
    let instance = unsafe { source.cast::<Instance>().as_mut() };
    // SAFETY: the host's own struct, valid for the call, or null.
    let question = unsafe { question.as_ref() };
    // SAFETY: as above, and nobody else has it during the call.
    let answer = unsafe { answer.as_mut() };
    let (Some(instance), Some(question), Some(answer)) = (instance, question, answer) else {
        return status::ARGUMENT;
    };
    if question.size < size_of::<abi::Question>() || answer.size < size_of::<abi::Answer>() {
        return status::ARGUMENT;
    }
    let mut body = || {
        // SAFETY: the question's texts live through the call.
        let Some((kind, number, facts)) = (unsafe { read(question) }) else {
            return status::ARGUMENT;
        };
        if kind != CALLER {
            return status::UNSUPPORTED;
        }
        let Ok(facts) = serde_json::from_str::<Facts<'_>>(facts) else { return status::ARGUMENT };
        let question = Question { national: &facts.national, called: &facts.called, ..number };
        match instance.0.caller(&question) {
            // SAFETY: the answer's place is the host's, for the duration of the call.
            Ok(kept) => unsafe { give(&kept, answer) },
            Err(error) => failed(&error),
        }
    };
    guarded(&mut body).unwrap_or(status::PANIC)
}

/// A question's kind, what is asked, and the facts beside it.
///
/// # Safety
/// The question's texts live for `'t`.
unsafe fn read<'t>(question: &abi::Question) -> Option<(&'t str, Question<'t>, &'t str)> {
    // SAFETY: the caller's promise.
    let kind = unsafe { text(question.kind) }?;
    // SAFETY: as above.
    let tenant = unsafe { text(question.tenant) }?;
    // SAFETY: as above.
    let number = unsafe { text(question.key) }?;
    // SAFETY: as above.
    let facts = unsafe { text(question.facts) }?;
    let within = Duration::from_millis(u64::from(question.within_ms));
    Some((kind, Question { tenant, number, national: "", called: "", within }, facts))
}

/// Writes an answer into the host's place.
///
/// # Safety
/// `answer.buffer` is a place for `answer.room` bytes, or null.
unsafe fn give(kept: &Kept<Caller>, answer: &mut abi::Answer) -> Status {
    answer.keep_ms = u32::try_from(kept.keep.as_millis()).unwrap_or(u32::MAX);
    let Some(caller) = &kept.answer else { return status::NOT_FOUND };
    let Ok(text) = serde_json::to_string(caller) else { return status::FAILED };
    answer.len = text.len();
    if text.len() > answer.room || answer.buffer.is_null() {
        return status::LIMIT;
    }
    // SAFETY: the caller's promise; the text fits and is not the host's.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), answer.buffer, text.len()) };
    status::OK
}

unsafe extern "C" fn close(source: *mut c_void) {
    if source.is_null() {
        return;
    }
    // SAFETY: the host gives back, once, what `open` stored, and never uses it again.
    let instance = unsafe { Box::from_raw(source.cast::<Instance>()) };
    // A destructor that panics is caught; nobody is left to hear of it but the log.
    let _ = guarded(|| drop(instance));
}
