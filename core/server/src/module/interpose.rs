//! pthread keys and threads that modules make, so that a build can be unloaded safely.
//!
//! A module in Rust carries its own standard library. The first `std::thread::current` of a thread
//! in it makes a pthread key whose destructor is code of the module; the C library neither counts
//! the key as a use of the library nor forgets it when the library is closed, so that the thread's
//! end would jump into nothing, and after a thousand builds no key is left. A thread of the module
//! that still runs when the library is closed is worse.
//!
//! The server therefore defines `pthread_key_create`, `pthread_create` and `thrd_create` itself:
//! the dynamic linker binds every library's calls to these, which pass on to the C library's and
//! note what belongs to the mapping of a build.

use std::ffi::{CStr, c_int, c_void};
use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{pthread_attr_t, pthread_key_t, pthread_t};

/// glibc's `PTHREAD_KEYS_MAX`.
const KEYS: usize = 1_024;
/// Builds that are mapped at once; those beyond it are never unloaded.
const BUILDS: usize = 256;

/// The destructor of each key, 0 for none. A key that is deleted keeps its entry until its number
/// is given again: deleting it once more is refused by the C library and harms nothing.
static DESTRUCTORS: [AtomicUsize; KEYS] = [const { AtomicUsize::new(0) }; KEYS];
static MAPPINGS: [Mapping; BUILDS] = [const { Mapping::empty() }; BUILDS];

/// Where a build is mapped, and how many threads run that began in it.
struct Mapping {
    start: AtomicUsize,
    end: AtomicUsize,
    threads: AtomicUsize,
}

impl Mapping {
    const fn empty() -> Self {
        Self { start: AtomicUsize::new(0), end: AtomicUsize::new(0), threads: AtomicUsize::new(0) }
    }

    fn holds(&self, address: usize) -> bool {
        address < self.end.load(Ordering::Acquire) && address >= self.start.load(Ordering::Acquire)
    }
}

/// The notes about one mapped build; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    slot: usize,
    range: Range<usize>,
}

impl Watched {
    /// Notes threads of what is mapped at `range` from now on; none when too many are watched.
    pub(super) fn begin(range: Range<usize>) -> Option<Self> {
        let slot = MAPPINGS.iter().position(|mapping| {
            let free =
                mapping.start.compare_exchange(0, range.start, Ordering::AcqRel, Ordering::Relaxed);
            free.is_ok()
        })?;
        let mapping = MAPPINGS.get(slot)?;
        mapping.threads.store(0, Ordering::Release);
        mapping.end.store(range.end, Ordering::Release);
        Some(Self { slot, range })
    }

    /// Threads that began in the build and run still.
    pub(super) fn threads(&self) -> usize {
        MAPPINGS.get(self.slot).map_or(0, |mapping| mapping.threads.load(Ordering::Acquire))
    }

    /// Deletes the keys whose destructors are code of the build; how many.
    pub(super) fn delete_keys(&self) -> usize {
        let own = DESTRUCTORS
            .iter()
            .enumerate()
            .filter(|(_, destructor)| self.range.contains(&destructor.load(Ordering::Acquire)));
        let deleted = own.filter(|(key, destructor)| {
            destructor.store(0, Ordering::Release);
            let Ok(key) = pthread_key_t::try_from(*key) else { return false };
            // SAFETY: a number; one that is no key is refused.
            unsafe { libc::pthread_key_delete(key) == 0 }
        });
        deleted.count()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(mapping) = MAPPINGS.get(self.slot) {
            mapping.end.store(0, Ordering::Release);
            mapping.start.store(0, Ordering::Release);
        }
    }
}

/// The C library's own function of a name, found once.
fn next(name: &CStr, found: &AtomicUsize) -> usize {
    let known = found.load(Ordering::Acquire);
    if known != 0 {
        return known;
    }
    // SAFETY: a name that ends with zero; the pseudo handle is the loader's own.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }.addr();
    // Without it no thread could ever be started, and nothing can be said about it from here.
    if address == 0 {
        std::process::abort();
    }
    found.store(address, Ordering::Release);
    address
}

type Destructor = unsafe extern "C" fn(*mut c_void);
type KeyCreate = unsafe extern "C" fn(*mut pthread_key_t, Option<Destructor>) -> c_int;
type Routine = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
type Create =
    unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Routine, *mut c_void) -> c_int;
type Routine11 = unsafe extern "C" fn(*mut c_void) -> c_int;
type Create11 = unsafe extern "C" fn(*mut pthread_t, Routine11, *mut c_void) -> c_int;

/// The C library's function in place of ours.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn pthread_key_create(
    key: *mut pthread_key_t,
    destructor: Option<Destructor>,
) -> c_int {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let address = next(c"pthread_key_create", &NEXT);
    // SAFETY: the address of the C library's function of this type.
    let create: KeyCreate = unsafe { mem::transmute(address) };
    // SAFETY: the caller's promise.
    let result = unsafe { create(key, destructor) };
    if result == 0 {
        // SAFETY: the C library has just written it.
        let number = unsafe { key.read() };
        let place = usize::try_from(number).ok().and_then(|number| DESTRUCTORS.get(number));
        if let Some(place) = place {
            place.store(destructor.map_or(0, |code| code as usize), Ordering::Release);
        }
    }
    result
}

/// What a watched thread begins with.
struct Begun<R> {
    routine: R,
    argument: *mut c_void,
    slot: usize,
}

impl<R> Begun<R> {
    /// Takes it back from the thread's argument.
    ///
    /// # Safety
    /// `argument` is what `watch` made, used once.
    unsafe fn take(argument: *mut c_void) -> Box<Self> {
        // SAFETY: the caller's promise.
        unsafe { Box::from_raw(argument.cast::<Self>()) }
    }
}

/// Counts a thread whose routine is code of a build; its argument then.
fn watch<R: Copy>(address: usize, routine: R, argument: *mut c_void) -> Option<*mut Begun<R>> {
    let slot = MAPPINGS.iter().position(|mapping| mapping.holds(address))?;
    MAPPINGS.get(slot)?.threads.fetch_add(1, Ordering::AcqRel);
    Some(Box::into_raw(Box::new(Begun { routine, argument, slot })))
}

fn ended(slot: usize) {
    if let Some(mapping) = MAPPINGS.get(slot) {
        mapping.threads.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A thread could not be made: what it would have begun with is freed.
///
/// # Safety
/// `begun` is what `watch` made, and no thread has it.
unsafe fn not_begun<R>(begun: *mut Begun<R>) {
    // SAFETY: the caller's promise.
    let begun = unsafe { Box::from_raw(begun) };
    ended(begun.slot);
}

unsafe extern "C" fn run(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` below passed what `watch` made.
    let Begun { routine, argument, slot } = *unsafe { Begun::<Routine>::take(argument) };
    // SAFETY: the promise of whoever made the thread.
    let result = unsafe { routine(argument) };
    ended(slot);
    result
}

unsafe extern "C" fn run11(argument: *mut c_void) -> c_int {
    // SAFETY: `thrd_create` below passed what `watch` made.
    let Begun { routine, argument, slot } = *unsafe { Begun::<Routine11>::take(argument) };
    // SAFETY: the promise of whoever made the thread.
    let result = unsafe { routine(argument) };
    ended(slot);
    result
}

/// The C library's function in place of ours.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    routine: Routine,
    argument: *mut c_void,
) -> c_int {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let address = next(c"pthread_create", &NEXT);
    // SAFETY: the address of the C library's function of this type.
    let create: Create = unsafe { mem::transmute(address) };
    let Some(begun) = watch(routine as usize, routine, argument) else {
        // SAFETY: the caller's promise.
        return unsafe { create(thread, attributes, routine, argument) };
    };
    // SAFETY: the caller's promise; `run` takes what `watch` made.
    let result = unsafe { create(thread, attributes, run, begun.cast()) };
    if result != 0 {
        // SAFETY: no thread was made.
        unsafe { not_begun(begun) };
    }
    result
}

/// The C library's function in place of ours.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn thrd_create(
    thread: *mut pthread_t,
    routine: Routine11,
    argument: *mut c_void,
) -> c_int {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let address = next(c"thrd_create", &NEXT);
    // SAFETY: the address of the C library's function of this type.
    let create: Create11 = unsafe { mem::transmute(address) };
    let Some(begun) = watch(routine as usize, routine, argument) else {
        // SAFETY: the caller's promise.
        return unsafe { create(thread, routine, argument) };
    };
    // SAFETY: the caller's promise; `run11` takes what `watch` made.
    let result = unsafe { create(thread, run11, begun.cast()) };
    if result != 0 {
        // SAFETY: no thread was made.
        unsafe { not_begun(begun) };
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn destroy(_: *mut c_void) {}

    #[test]
    fn keys_are_noted_by_their_destructor_and_deleted_with_its_range() {
        let mut key = 0;
        // SAFETY: a place for one key.
        assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(destroy)) }, 0);
        let at = destroy as extern "C" fn(*mut c_void) as usize;
        let watched = Watched::begin(at..at.saturating_add(1)).unwrap();
        assert_eq!((watched.delete_keys(), watched.delete_keys()), (1, 0));
    }

    extern "C" fn waits(until: *mut c_void) -> *mut c_void {
        // SAFETY: the test passes its own flag and joins this thread.
        let until = unsafe { &*until.cast::<AtomicUsize>() };
        while until.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        until.as_ptr().cast()
    }

    #[test]
    fn a_thread_that_began_in_a_range_is_counted_until_it_ends() {
        let at = waits as extern "C" fn(*mut c_void) -> *mut c_void as usize;
        let watched = Watched::begin(at..at.saturating_add(1)).unwrap();
        let until = AtomicUsize::new(0);
        let argument = until.as_ptr().cast::<c_void>();
        let mut thread = 0;
        // SAFETY: the flag outlives the thread, which is joined below.
        let made = unsafe { pthread_create(&raw mut thread, std::ptr::null(), waits, argument) };
        assert_eq!((made, watched.threads()), (0, 1));
        until.store(1, Ordering::Release);
        let mut result = std::ptr::null_mut();
        // SAFETY: the thread made above, once.
        assert_eq!(unsafe { libc::pthread_join(thread, &raw mut result) }, 0);
        assert_eq!((result, watched.threads()), (argument, 0));
    }
}
