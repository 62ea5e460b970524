//! A lot of a thousand slots, all of them taken: who comes next is told, each waiting call can be
//! taken, and when nobody does all of them end at the same moment.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is a failed test")]

mod office;

use std::time::Duration;

use office::{Does, Office, TRUNK};

const CALLS: usize = 1_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Callers of number 1 are parked at once in the morning.
fn planned() -> Office {
    Office::large(CALLS + 10, |plan| {
        let park = "[park]\nslots = { first = \"80000\", count = 1000 }\nreturn_after = \"60s\"\n\
                    [extension.echo]";
        let morning = "{ from = \"09:00\", to = \"12:00\", do = ";
        plan.replacen("[extension.echo]", park, 1)
            .replace("channels = \"per-id\"", "channels = 2000")
            .replace("channels = 30", "channels = 2000")
            .replace(&format!("{morning}\"ring\" }}"), &format!("{morning}\"park\" }}"))
    })
}

#[test]
fn a_thousand_parked_calls_are_there_one_by_one_and_end_without_a_trace() {
    let mut office = planned();
    for _ in 0..CALLS {
        office.call(TRUNK, "0312340001");
        office.run(ms(8));
    }
    office.run(ms(500));
    assert_eq!(office.switch.tables().parked, CALLS, "{:?}", office.explained.last());
    office.switch.audit().unwrap();
    // One more finds the lot full, hears so and is released; nobody who waits is disturbed.
    office.phone(TRUNK).log.clear();
    office.call(TRUNK, "0312340001");
    office.run(Duration::from_secs(5));
    assert_eq!(office.media.played.last().unwrap(), "ja/park-full");
    assert!(office.phone(TRUNK).heard("failed 486"), "{:?}", office.phone(TRUNK).log);
    assert_eq!(office.switch.tables().parked, CALLS);
    // The first, one in the middle and the last are taken; their slots are free at once.
    for (name, slot) in [('A', "80000"), ('B', "80499"), ('C', "80999")] {
        office.call(name, slot);
        office.run(Duration::from_secs(1));
        assert!(office.phone(name).heard("answered"), "{slot}: {:?}", office.phone(name).log);
        office.hang_up(name);
        office.run(ms(500));
    }
    assert_eq!(office.switch.tables().parked, CALLS - 3);
    office.call(TRUNK, "0312340001");
    office.run(ms(500));
    assert_eq!(office.switch.tables().parked, CALLS - 2, "the first free slot is taken again");
    // Nobody parked them: they wait again, so often and no longer.
    office.all(Does::Rings);
    for _ in 0..7 {
        office.run(Duration::from_secs(60));
        office.switch.audit().unwrap();
    }
    assert_eq!(office.switch.tables().parked, 0);
    assert_eq!(office.finish().len(), CALLS + 2);
}
