//! What the shards of a server know of each other's end: they drain together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use koukan_base::ShardId;

/// Which shards have nothing left, seen by one of them.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    own: ShardId,
    drained: Arc<[AtomicBool]>,
}

impl Fleet {
    /// So many shards.
    pub(crate) fn of(shards: u16) -> Vec<Self> {
        let drained: Arc<[AtomicBool]> = (0..shards).map(|_| AtomicBool::new(false)).collect();
        let one = |shard| Self { own: ShardId(shard), drained: Arc::clone(&drained) };
        (0..shards).map(one).collect()
    }

    /// Says whether nothing is left here; whether nothing is left anywhere. Nothing new is taken
    /// meanwhile, so that what is empty stays so.
    pub(crate) fn is_drained(&self, here: bool) -> bool {
        if let Some(own) = self.drained.get(usize::from(self.own.0)) {
            own.store(here, Ordering::Release);
        }
        here && self.drained.iter().all(|drained| drained.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_is_drained_when_its_last_shard_is() {
        let fleet = Fleet::of(2);
        assert!(!fleet[0].is_drained(true) && !fleet[1].is_drained(false));
        assert!(fleet[1].is_drained(true) && fleet[0].is_drained(true));
        assert!(!fleet[0].is_drained(false), "a call came back");
        assert!(!fleet[1].is_drained(true));
        assert!(Fleet::of(1)[0].is_drained(true));
    }
}
