//! The tables that version 1.1 of the border added: `kk.lamp/1`, `kk.store/1`, `kk.mail/1` and what
//! `kk.call/1` has grown by; and how an array of prompts is read. Each function turns C values into
//! plain ones by the border's own readers and asks the [`Caller`](super::call::Caller).

use std::mem::size_of;
use std::ptr;
use std::sync::Arc;

use koukan_abi as abi;
use koukan_abi::{Status, Str, status};
use koukan_switch::Operation;

use super::border::{HostContext, answered, exact, exact_within, serve, start};
use super::call::{Mail, Prompts, fits};
use crate::limits;

pub(super) static LAMP: abi::Lamp1 = abi::Lamp1 { size: size_of::<abi::Lamp1>(), set_messages };
pub(super) static MAIL: abi::Mail1 = abi::Mail1 { size: size_of::<abi::Mail1>(), send };
pub(super) static STORE: abi::Store1 = abi::Store1 {
    size: size_of::<abi::Store1>(),
    put,
    get,
    remove,
    next,
    next_tenant,
    object_size,
    object_remove,
};

/// The prompts of an array whose elements may be larger than ours.
///
/// # Safety
/// `first` is null or points to `count` elements that begin with their size, all the same, and
/// whose texts live through the call.
pub(super) unsafe fn read_prompts(
    first: *const abi::Prompt,
    count: usize,
) -> Result<Prompts, Status> {
    if first.is_null() || !fits(count) {
        return Err(if count > limits::MODULE_PROMPTS { status::LIMIT } else { status::ARGUMENT });
    }
    // SAFETY: the caller's promise.
    let stride = unsafe { first.cast::<usize>().read_unaligned() };
    if !(size_of::<abi::Prompt>()..=LARGEST_PROMPT).contains(&stride) {
        return Err(status::ARGUMENT);
    }
    let mut prompts = Vec::with_capacity(count);
    for index in 0..count {
        // SAFETY: within the array by the caller's promise; both limits keep it below isize::MAX.
        let element = unsafe { first.byte_add(index * stride) };
        // SAFETY: an element of the array, at least as large as ours.
        let prompt = unsafe { element.read_unaligned() };
        if prompt.size != stride {
            return Err(status::ARGUMENT);
        }
        // SAFETY: a text of the element.
        let language = unsafe { exact(prompt.language) }?;
        // SAFETY: as above.
        prompts.push((language, unsafe { exact(prompt.name) }?));
    }
    Ok(prompts)
}

/// What a newer module's `kk_prompt` may have grown to.
const LARGEST_PROMPT: usize = 4_096;

pub(super) unsafe extern "C" fn dial(
    host: *const abi::Host,
    call: u64,
    number: Str,
    op: *mut u64,
) -> Status {
    // SAFETY: the module's promise for the text.
    match unsafe { exact(number) } {
        Ok(number) if !number.is_empty() => {
            let dial = |context: &'static HostContext| {
                context.caller().start(call, Operation::Dial { number })
            };
            // SAFETY: the module's promise for the host and the place.
            unsafe { start(host, op, dial) }
        }
        Ok(_) => status::ARGUMENT,
        Err(status) => status,
    }
}

pub(super) unsafe extern "C" fn record(
    host: *const abi::Host,
    call: u64,
    recording: *const abi::Recording,
    op: *mut u64,
) -> Status {
    if recording.is_null() {
        return status::ARGUMENT;
    }
    // SAFETY: the module's promise: a struct that begins with its size.
    if unsafe { recording.cast::<usize>().read_unaligned() } < size_of::<abi::Recording>() {
        return status::ARGUMENT;
    }
    // SAFETY: as above, and its size covers version 1.
    let recording = unsafe { recording.read_unaligned() };
    // SAFETY: texts of the struct.
    let (object, keys) = match unsafe { two(recording.object, recording.keys) } {
        Ok(texts) => texts,
        Err(status) => return status,
    };
    let (max_ms, silence_ms) = (recording.max_ms, recording.silence_ms);
    let record = |context: &'static HostContext| {
        context.caller().record(call, &object, (max_ms, silence_ms), &keys)
    };
    // SAFETY: the module's promise for the host and the place.
    unsafe { start(host, op, record) }
}

unsafe extern "C" fn set_messages(
    host: *const abi::Host,
    tenant: Str,
    mailbox: Str,
    new: u32,
    old: u32,
) -> Status {
    // SAFETY: the module's promise for the texts.
    let (tenant, mailbox) = match unsafe { two(tenant, mailbox) } {
        Ok(texts) => texts,
        Err(status) => return status,
    };
    let set = |context: &'static HostContext| {
        answered(context.caller().set_messages(tenant, mailbox, new, old))
    };
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, set) }
}

unsafe extern "C" fn put(host: *const abi::Host, tenant: Str, key: Str, value: Str) -> Status {
    // SAFETY: the module's promise for the texts.
    let texts = unsafe { two(tenant, key) };
    // SAFETY: as above.
    let value = unsafe { exact_within(value, limits::MODULE_VALUE_BYTES) };
    let (tenant, key, value) = match (texts, value) {
        (Ok((tenant, key)), Ok(value)) => (tenant, key, value),
        (Err(status), _) | (_, Err(status)) => return status,
    };
    let put = |context: &'static HostContext| {
        answered(context.caller().keep(&tenant, |shelf, of| shelf.put(of, &key, &value)))
    };
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, put) }
}

unsafe extern "C" fn remove(host: *const abi::Host, tenant: Str, key: Str) -> Status {
    // SAFETY: the module's promise for the texts.
    let (tenant, key) = match unsafe { two(tenant, key) } {
        Ok(texts) => texts,
        Err(status) => return status,
    };
    let remove = |context: &'static HostContext| {
        answered(context.caller().keep(&tenant, |shelf, of| shelf.remove(of, &key)))
    };
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, remove) }
}

unsafe extern "C" fn get(
    host: *const abi::Host,
    tenant: Str,
    key: Str,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> Status {
    // SAFETY: the module's promise for the texts.
    let (tenant, key) = match unsafe { two(tenant, key) } {
        Ok(texts) => texts,
        Err(status) => return status,
    };
    let get = |context: &'static HostContext| {
        context.caller().keep(&tenant, |shelf, of| shelf.get(of, &key))
    };
    // SAFETY: the module's promise for the host.
    let found = unsafe { serve(host, Err(status::FAILED), get) };
    // SAFETY: the module's promise for the places.
    unsafe { fill(found, buffer, room, len) }
}

unsafe extern "C" fn next(
    host: *const abi::Host,
    tenant: Str,
    prefix: Str,
    after: Str,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> Status {
    // SAFETY: the module's promise for the texts.
    let texts = unsafe { two(tenant, prefix) };
    // SAFETY: as above.
    let (tenant, prefix, after) = match (texts, unsafe { exact(after) }) {
        (Ok((tenant, prefix)), Ok(after)) => (tenant, prefix, after),
        (Err(status), _) | (_, Err(status)) => return status,
    };
    let next = |context: &'static HostContext| {
        context.caller().keep(&tenant, |shelf, of| shelf.next(of, &prefix, &after))
    };
    // SAFETY: the module's promise for the host.
    let found = unsafe { serve(host, Err(status::FAILED), next) };
    // SAFETY: the module's promise for the places.
    unsafe { fill(found, buffer, room, len) }
}

unsafe extern "C" fn next_tenant(
    host: *const abi::Host,
    after: Str,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> Status {
    // SAFETY: the module's promise for the text.
    let after = match unsafe { exact(after) } {
        Ok(after) => after,
        Err(status) => return status,
    };
    let next = |context: &'static HostContext| {
        context.caller().keep("", |shelf, of| shelf.next_tenant(of.module, &after))
    };
    // SAFETY: the module's promise for the host.
    let found = unsafe { serve(host, Err(status::FAILED), next) };
    // SAFETY: the module's promise for the places.
    unsafe { fill(found, buffer, room, len) }
}

unsafe extern "C" fn object_size(
    host: *const abi::Host,
    tenant: Str,
    name: Str,
    bytes: *mut u64,
) -> Status {
    // SAFETY: the module's promise for the texts.
    let (tenant, name) = match unsafe { two(tenant, name) } {
        Ok(texts) => texts,
        Err(status) => return status,
    };
    if bytes.is_null() {
        return status::ARGUMENT;
    }
    let size = |context: &'static HostContext| {
        context.caller().keep(&tenant, |shelf, of| shelf.object_size(of, &name))
    };
    // SAFETY: the module's promise for the host.
    match unsafe { serve(host, Err(status::FAILED), size) } {
        Ok(size) => {
            // SAFETY: the module's promise for the place; null was refused above.
            unsafe { bytes.write(size) };
            status::OK
        }
        Err(status) => status,
    }
}

unsafe extern "C" fn object_remove(host: *const abi::Host, tenant: Str, name: Str) -> Status {
    // SAFETY: the module's promise for the texts.
    let (tenant, name) = match unsafe { two(tenant, name) } {
        Ok(texts) => texts,
        Err(status) => return status,
    };
    let remove = |context: &'static HostContext| {
        answered(context.caller().keep(&tenant, |shelf, of| shelf.object_remove(of, &name)))
    };
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, remove) }
}

/// Two texts, exactly.
///
/// # Safety
/// As for `exact`, for both.
unsafe fn two(first: Str, second: Str) -> Result<(Arc<str>, Arc<str>), Status> {
    // SAFETY: the caller's promise.
    let first = unsafe { exact(first) }?;
    // SAFETY: as above.
    Ok((first, unsafe { exact(second) }?))
}

/// Copies a text into a module's buffer.
///
/// # Safety
/// `buffer` is null or a place for `room` bytes, `len` null or one for a number.
pub(super) unsafe fn fill(
    found: Result<String, Status>,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> Status {
    let text = match found {
        Ok(text) => text,
        Err(status) => return status,
    };
    if len.is_null() {
        return status::ARGUMENT;
    }
    // SAFETY: the caller's promise; null was refused above.
    unsafe { len.write(text.len()) };
    if text.len() > room || (buffer.is_null() && !text.is_empty()) {
        return status::LIMIT;
    }
    // SAFETY: the caller's promise; the text fits and is not the module's.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), buffer, text.len()) };
    status::OK
}

unsafe extern "C" fn send(host: *const abi::Host, message: *const abi::Message) -> Status {
    // SAFETY: the module's promise for the struct.
    let mail = match unsafe { read_mail(message) } {
        Ok(mail) => mail,
        Err(status) => return status,
    };
    let send = |context: &'static HostContext| answered(context.caller().send_mail(&mail));
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, send) }
}

/// A mail as plain values.
///
/// # Safety
/// `message` is null or leads to a struct that begins with its size; its texts, and the array of
/// its receivers, live through the call.
unsafe fn read_mail(message: *const abi::Message) -> Result<Mail, Status> {
    if message.is_null() {
        return Err(status::ARGUMENT);
    }
    // SAFETY: the caller's promise.
    if unsafe { message.cast::<usize>().read_unaligned() } < size_of::<abi::Message>() {
        return Err(status::ARGUMENT);
    }
    // SAFETY: the caller's promise, and its size covers version 1.
    let message = unsafe { message.read_unaligned() };
    if message.to.is_null() || !(1..=limits::MAIL_RECEIVERS).contains(&message.to_len) {
        return Err(status::ARGUMENT);
    }
    let mut to = Vec::with_capacity(message.to_len);
    for index in 0..message.to_len {
        // SAFETY: within the array by the caller's promise, whose length is bounded above.
        let receiver = unsafe { message.to.add(index) };
        // SAFETY: an element of the array.
        let receiver = unsafe { receiver.read_unaligned() };
        // SAFETY: a text of the element.
        to.push(unsafe { exact(receiver) }?.to_string());
    }
    // SAFETY: a text of the struct.
    let text = |text: Str| unsafe { exact(text) }.map(|text| text.to_string());
    Ok(Mail {
        tenant: text(message.tenant)?,
        id: text(message.id)?,
        to,
        subject: text(message.subject)?,
        text: text(message.text)?,
        object: text(message.object)?,
        file_name: text(message.file_name)?,
    })
}
