//! What only the operating system knows: the limit of open files, memory, randomness, and the lock
//! that keeps a second server off the same data. Has `unsafe`, as `module::border` does.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Raises the soft limit of open files to the hard one and says what it is now.
///
/// # Errors
/// The system refused.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes one `rlimit` through a pointer that is valid for the call.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if read != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: setrlimit reads one initialised `rlimit` through a pointer valid for the call.
    let written = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if written != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// The cores that this process may use.
#[must_use]
pub fn cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cores).unwrap_or(u16::MAX)
}

/// Resident memory of this process in bytes; 0 where the system does not tell.
#[must_use]
pub fn resident_bytes() -> u64 {
    const PAGE: u64 = 4096;
    fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map_or(0, |pages| pages.saturating_mul(PAGE))
}

/// How the C library's allocator is set; to be called before threads start.
///
/// Large blocks are mapped one by one, so that tables that grow with a burst of calls go back to
/// the system when they shrink; by itself the library raises that border as soon as one of them is
/// freed. The heap grows and shrinks in large steps: small ones cost a system call every few calls.
/// There is one for all threads: the control loop allocates nearly everything, media workers
/// nothing, and of a heap of their own the library gives only the inner pages back, never the end.
pub fn set_allocator() {
    const LARGE: libc::c_int = 256 * 1024;
    const STEP: libc::c_int = 1024 * 1024;
    const KEEP: libc::c_int = 16 * 1024 * 1024;
    let settings = [
        (libc::M_ARENA_MAX, 1),
        (libc::M_MMAP_THRESHOLD, LARGE),
        (libc::M_TOP_PAD, STEP),
        (libc::M_TRIM_THRESHOLD, KEEP),
    ];
    for (name, value) in settings {
        // SAFETY: mallopt takes two numbers and changes a setting of the allocator.
        let _taken = unsafe { libc::mallopt(name, value) };
    }
}

/// Gives memory back to the system that a start, a reload or a burst of calls has used and freed.
pub fn trim_memory() {
    renew_stock();
    // SAFETY: malloc_trim takes no pointer and may be called by any thread at any time.
    let _given_back = unsafe { libc::malloc_trim(0) };
}

/// The C library keeps a stock of free small blocks for each thread, a few of every size. Behind a
/// burst they lie all over the heap, and none of their pages can go back: this thread gets others
/// for them, side by side.
fn renew_stock() {
    const BLOCKS: usize = 7;
    const LARGEST: usize = 1_032;
    for size in (24..=LARGEST).step_by(16) {
        let blocks = || -> [Vec<u8>; BLOCKS] {
            std::array::from_fn(|_| std::hint::black_box(Vec::with_capacity(size)))
        };
        let old = blocks();
        let new = blocks();
        // In this order: the stock takes the new ones and has no room for the old ones.
        drop(new);
        drop(old);
    }
}

/// 32 bytes of real randomness.
///
/// # Errors
/// The system's source cannot be read.
pub fn random_seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}

/// The file of the lock in a data directory.
pub const LOCK: &str = "koukan.lock";

/// The lock on a data directory: held as long as the value lives, and by the process's end gone.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why the data directory cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another server runs on it.
    #[error(
        "{} is in use by another server (process {pid}); stop it, or set another `[server] data`",
        directory.display()
    )]
    Taken {
        /// The data directory.
        directory: PathBuf,
        /// Its process id as it wrote it down.
        pid: String,
    },
    /// The directory cannot be made or written.
    #[error("the data directory {} cannot be written: {error}", directory.display())]
    Unwritable {
        /// The data directory.
        directory: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}

impl DataLock {
    /// Makes `directory` when it is missing and takes it.
    ///
    /// # Errors
    /// Another server has it, or it cannot be written.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let unwritable = |error| LockError::Unwritable { directory: directory.to_owned(), error };
        fs::create_dir_all(directory).map_err(unwritable)?;
        let path = directory.join(LOCK);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // What cannot be read is shown as unknown; the refusal stands either way.
                let _ = file.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "unknown" } else { pid.trim() }.to_owned();
                return Err(LockError::Taken { directory: directory.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        file.set_len(0).map_err(unwritable)?;
        file.rewind().map_err(unwritable)?;
        writeln!(file, "{}", std::process::id()).map_err(unwritable)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_on_the_same_directory_names_the_holder() {
        let directory = std::env::temp_dir().join(format!("koukan-lock-{}", std::process::id()));
        let first = DataLock::take(&directory).unwrap();
        let error = DataLock::take(&directory).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        DataLock::take(&directory).unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_named() {
        let path = std::env::temp_dir().join(format!("koukan-file-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let error = DataLock::take(&path).unwrap_err().to_string();
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
        fs::remove_file(&path).unwrap();
    }
}
