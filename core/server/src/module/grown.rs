//! What version 1.5 of the border added: `kk.metrics/1`, `kk.audio/1`, and the second party of
//! `kk.call/1`.

use std::mem::size_of;

use koukan_abi as abi;
use koukan_abi::{Status, Str, status};
use koukan_switch::{Bridge, Operation};

use super::audio::{Given, Sound};
use super::border::{HostContext, answered, bytes, exact, serve, start};
use super::metrics::Kind;
use crate::limits;

pub(super) static METRICS: abi::Metrics1 =
    abi::Metrics1 { size: size_of::<abi::Metrics1>(), counter, gauge, add, set };
pub(super) static AUDIO: abi::Audio1 = abi::Audio1 { size: size_of::<abi::Audio1>(), make_prompt };

unsafe extern "C" fn counter(
    host: *const abi::Host,
    name: Str,
    help: Str,
    metric: *mut u32,
) -> Status {
    // SAFETY: the module's promise for all of them.
    unsafe { named(host, Kind::Counter, (name, help), metric) }
}

unsafe extern "C" fn gauge(
    host: *const abi::Host,
    name: Str,
    help: Str,
    metric: *mut u32,
) -> Status {
    // SAFETY: the module's promise for all of them.
    unsafe { named(host, Kind::Gauge, (name, help), metric) }
}

/// Finds or makes a metric.
///
/// # Safety
/// As for `serve`; both texts live through the call, `metric` is null or a place for a number.
unsafe fn named(
    host: *const abi::Host,
    kind: Kind,
    (name, help): (Str, Str),
    metric: *mut u32,
) -> Status {
    // SAFETY: the caller's promise.
    let name = unsafe { exact(name) };
    // SAFETY: as above.
    let (name, help) = match (name, unsafe { exact(help) }) {
        (Ok(name), Ok(help)) => (name, help),
        (Err(status), _) | (_, Err(status)) => return status,
    };
    if metric.is_null() {
        return status::ARGUMENT;
    }
    let find = |context: &'static HostContext| context.caller().metrics.named(kind, &name, &help);
    // SAFETY: the caller's promise.
    match unsafe { serve(host, Err(status::FAILED), find) } {
        Ok(number) => {
            // SAFETY: the caller's promise; null was refused above.
            unsafe { metric.write(number) };
            status::OK
        }
        Err(status) => status,
    }
}

unsafe extern "C" fn add(host: *const abi::Host, metric: u32, by: u32) -> Status {
    let add = |context: &'static HostContext| answered(context.caller().metrics.add(metric, by));
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, add) }
}

unsafe extern "C" fn set(host: *const abi::Host, metric: u32, value: i64) -> Status {
    let set = |context: &'static HostContext| answered(context.caller().metrics.set(metric, value));
    // SAFETY: the module's promise for the host.
    unsafe { serve(host, status::FAILED, set) }
}

unsafe extern "C" fn make_prompt(
    host: *const abi::Host,
    call: u64,
    sound: *const abi::Sound,
    op: *mut u64,
) -> Status {
    // SAFETY: the module's promise for the struct.
    let sound = match unsafe { read_sound(sound) } {
        Ok(sound) => sound,
        Err(status) => return status,
    };
    let order = |context: &'static HostContext| context.caller().make_prompt(call, sound);
    // SAFETY: the module's promise for the host and the place.
    unsafe { start(host, op, order) }
}

/// A sound as plain values.
///
/// # Safety
/// `sound` is null or leads to a struct that begins with its size; its texts and bytes live through
/// the call.
unsafe fn read_sound(sound: *const abi::Sound) -> Result<Sound, Status> {
    if sound.is_null() {
        return Err(status::ARGUMENT);
    }
    // SAFETY: the caller's promise.
    if unsafe { sound.cast::<usize>().read_unaligned() } < size_of::<abi::Sound>() {
        return Err(status::ARGUMENT);
    }
    // SAFETY: the caller's promise, and its size covers what is read.
    let sound = unsafe { sound.read_unaligned() };
    if !matches!(sound.rate, 0 | 8_000) {
        return Err(status::UNSUPPORTED);
    }
    // SAFETY: a text of the struct.
    let text = |text: Str| unsafe { exact(text) };
    let from = if sound.bytes.is_null() {
        Given::Object(text(sound.from)?)
    } else if sound.len > limits::MODULE_SOUND_BYTES {
        return Err(status::LIMIT);
    } else {
        let given = Str { ptr: sound.bytes, len: sound.len };
        // SAFETY: the bytes of the struct, by the caller's promise.
        Given::Bytes(unsafe { bytes(given) }.unwrap_or_default().to_vec())
    };
    let (tenant, kind) = (text(sound.tenant)?, text(sound.kind)?);
    Ok(Sound { tenant, from, kind, object: text(sound.object)? })
}

pub(super) unsafe extern "C" fn bridge(
    host: *const abi::Host,
    call: u64,
    bridge: *const abi::Bridge,
    op: *mut u64,
) -> Status {
    if bridge.is_null() {
        return status::ARGUMENT;
    }
    // SAFETY: the module's promise: a struct that begins with its size.
    if unsafe { bridge.cast::<usize>().read_unaligned() } < size_of::<abi::Bridge>() {
        return status::ARGUMENT;
    }
    // SAFETY: as above, and its size covers what is read.
    let wanted = unsafe { bridge.read_unaligned() };
    // SAFETY: texts of the struct.
    let number = unsafe { exact(wanted.number) };
    // SAFETY: as above.
    let (number, keys) = match (number, unsafe { exact(wanted.keys) }) {
        (Ok(number), Ok(keys)) => (number, keys),
        (Err(status), _) | (_, Err(status)) => return status,
    };
    let is_key = |byte: u8| byte.is_ascii_digit() || b"ABCD*#".contains(&byte);
    if number.is_empty() || !keys.bytes().all(is_key) {
        return status::ARGUMENT;
    }
    let (ring_ms, max_ms) = (wanted.ring_ms, wanted.max_ms);
    let operation = Operation::Bridge(Bridge { number, ring_ms, max_ms, keys });
    let order = |context: &'static HostContext| context.caller().start(call, operation);
    // SAFETY: the module's promise for the host and the place.
    unsafe { start(host, op, order) }
}
