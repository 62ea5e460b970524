//! All tests of the running engine once more, on io_uring. Where the kernel refuses it the engine
//! goes on with mio, and so do these.
#![allow(clippy::duplicate_mod, reason = "each file is a test of its own, too")]

#[path = "../codecs.rs"]
mod codecs;
#[path = "../common/mod.rs"]
mod common;
#[path = "../keys.rs"]
mod keys;
#[path = "../lent.rs"]
mod lent;
#[path = "../quality.rs"]
mod quality;
#[path = "../record.rs"]
mod record;
#[path = "../rooms.rs"]
mod rooms;
#[path = "../secure.rs"]
mod secure;
#[path = "../shares.rs"]
mod shares;
#[path = "../streams.rs"]
mod streams;

/// Whether an administrator has taken io_uring from all processes, or the kernel is older than what
/// is used of it.
fn is_refused() -> bool {
    let read = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    let mut numbers = release.split('.').map_while(|word| word.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version < (6, 1) || read("/proc/sys/kernel/io_uring_disabled").trim() != "0"
}

#[test]
#[allow(clippy::indexing_slicing, reason = "a panic is a failed test")]
fn a_worker_waits_by_io_uring_where_that_is_wanted_and_not_refused() {
    let mut engine = common::engine("/nowhere".into());
    common::Phone::new(&mut engine, 1, koukan_media::Codec::Pcmu);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(engine.stats().workers[0].ring, !is_refused());
}
