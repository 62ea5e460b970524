//! A thread's core, its turns and its CPU time: what the standard library lacks.

use std::io;
use std::mem::{MaybeUninit, size_of};

/// Pins the calling thread to one core.
pub(crate) fn pin_to_core(core: usize) -> io::Result<()> {
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    if core >= size_of::<libc::cpu_set_t>() * 8 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: `core` lies within the set, checked above.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is valid for the whole call; 0 names the calling thread.
    let status =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How long a turn of a media worker is meant to last, in nanoseconds: the least that Linux takes.
const TURN_NS: u64 = 100_000;

/// Asks the scheduler for short turns of the calling thread: one that wakes for a packet is let in
/// before the turn of whatever runs on its core is over, which takes 3 ms otherwise. No right is
/// needed. Linux heeds it from 6.12 on; older ones take it and go on as before.
///
/// # Errors
/// The system does not know such a wish, or does not take it.
pub fn take_short_turns() -> io::Result<()> {
    // SAFETY: the struct is numbers, for each of which zero is a value.
    let mut attr: libc::sched_attr = unsafe { MaybeUninit::zeroed().assume_init() };
    let size = u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(0);
    // SAFETY: the kernel writes `size` bytes at most to a valid place; 0 names the calling thread.
    let status = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0_u32) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    attr.sched_runtime = TURN_NS;
    // SAFETY: the struct says its size and is valid for the whole call.
    let status = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0_u32) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The lowest of the real-time ranks: any of them goes before every thread that has none.
const REAL_TIME_RANK: libc::c_int = 1;

/// Asks that the calling thread goes before every thread of the usual rank, as sound must: it is
/// let in at once when it wakes, and is not put out before it waits again. Threads and processes
/// that it starts do not inherit that. The system leaves the others a twentieth of the time.
///
/// # Errors
/// The right is missing: `CAP_SYS_NICE`, or `RLIMIT_RTPRIO` of one at least.
pub fn take_real_time() -> io::Result<()> {
    let rank = libc::sched_param { sched_priority: REAL_TIME_RANK };
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the struct is valid for the whole call; 0 names the calling thread.
    let status = unsafe { libc::sched_setscheduler(0, policy, &raw const rank) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// CPU time of the calling thread, in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to a valid place.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if status != 0 {
        return 0;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_before_others_where_it_may_and_hears_where_it_may_not() {
        let policy = || {
            // SAFETY: a question about the calling thread.
            unsafe { libc::sched_getscheduler(0) }
        };
        std::thread::spawn(move || match take_real_time() {
            Ok(()) => assert_eq!(policy(), libc::SCHED_RR | libc::SCHED_RESET_ON_FORK),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                assert_eq!(policy(), libc::SCHED_OTHER);
            }
        })
        .join()
        .expect("the thread ends");
    }

    #[test]
    fn a_thread_may_ask_for_short_turns_and_keeps_its_rank() {
        let rank = || {
            // SAFETY: a question about the calling thread.
            unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
        };
        std::thread::spawn(move || {
            let before = rank();
            take_short_turns().expect("no right is needed");
            assert_eq!(rank(), before);
        })
        .join()
        .expect("the thread ends");
    }
}
