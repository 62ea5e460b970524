//! Replacements without end. In a process of its own, so that its memory is that of the module host
//! and of no other test.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

#[expect(dead_code, reason = "the other tests of modules use the rest")]
mod house;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use house::{CALL, Host, NOW, Room};
use koukan_switch::OpStatus;

const MODULE: &str = "unruly";

impl Host {
    /// Loads the module's file again.
    fn replace(&mut self, room: &Room, path: &Path, grants: &str) {
        let config = room.config(&[(MODULE, path, grants)]);
        let loaded = self.modules.loader().load(&config.modules[0]).unwrap();
        self.modules.install(NOW, loaded, false).unwrap();
    }

    /// The states of every build, the oldest first.
    fn states(&self) -> Vec<String> {
        self.modules.list(NOW.time).into_iter().map(|build| build.state).collect()
    }
}

/// The builds that the map of this process shows below a room.
fn mapped(room: &Room) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let below = room.directory.join("data/modules").display().to_string();
    let own = maps.lines().filter_map(|line| line.split(' ').find(|part| part.starts_with(&below)));
    own.collect::<std::collections::BTreeSet<_>>().len()
}

fn resident_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn twelve_hundred_replacements_leave_neither_memory_nor_mappings() {
    let room = Room::new();
    // Each build makes a key that it does not delete: a process has 1,024.
    let file = room.compiled(MODULE, &["-DUNRULY_KEY", "-s"]);
    let mut host = room.load(&[(MODULE, &file, CALL)]).unwrap();
    let mut early = 0;
    for round in 1..=1_200 {
        let instance = host.start(MODULE, "early", "{}");
        let (op, _) = host.operation();
        host.replace(&room, &file, CALL);
        host.done(instance, op, OpStatus::Ok, "");
        assert_eq!(host.ended(), Ok(()), "replacement {round}");
        let until = Instant::now() + Duration::from_secs(20);
        while host.states().iter().any(|state| state != "active" && state != "closed") {
            assert!(Instant::now() < until, "{:?}", host.states());
            host.modules.handle_housekeeping(NOW);
            std::thread::yield_now();
        }
        if round == 200 {
            early = resident_kb();
        }
    }
    let late = resident_kb();
    println!("1,200 replacements: {early} kB resident after 200, {late} kB at the end");
    assert!(late < early + 1_024, "{early} kB grew to {late} kB");
    assert_eq!((mapped(&room), room.copies()), (1, 1));
}
