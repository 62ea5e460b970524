//! A map of names in shares, so that a copy with a few names changed shares the rest: one office
//! among ten thousand is read again without copying what the others are found by.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// So many shares: a change copies at most one of them.
const SHARES: usize = 256;

#[derive(Clone, Debug)]
pub(crate) struct Shards<K, V> {
    shares: Vec<Arc<HashMap<K, V>>>,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self { shares: (0..SHARES).map(|_| Arc::default()).collect() }
    }
}

impl<K: Clone + Eq + Hash + Borrow<str>, V: Clone> Shards<K, V> {
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        self.shares.get(share(name))?.get(name)
    }

    pub(crate) fn insert(&mut self, name: K, value: V) {
        if let Some(share) = self.shares.get_mut(share(name.borrow())) {
            Arc::make_mut(share).insert(name, value);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(share) = self.shares.get_mut(share(name)) {
            Arc::make_mut(share).remove(name);
        }
    }
}

/// FNV-1a, folded: names of one kind differ in their last letters.
fn share(name: &str) -> usize {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let folded = (hash ^ (hash >> 16)) as usize;
    folded % SHARES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_what_was_not_changed() {
        let mut names: Shards<Arc<str>, usize> = Shards::default();
        let name = |n: usize| format!("office-{n}-801");
        (0..10_000).for_each(|n| names.insert(Arc::from(name(n)), n));
        let mut copy = names.clone();
        copy.remove(&name(7));
        copy.insert(Arc::from(name(8)), 80);
        assert_eq!((names.get(&name(7)), copy.get(&name(7))), (Some(&7), None));
        assert_eq!((names.get(&name(8)), copy.get(&name(8))), (Some(&8), Some(&80)));
        assert!((9..10_000).all(|n| copy.get(&name(n)) == Some(&n)));
        let shared = names.shares.iter().zip(&copy.shares).filter(|(a, b)| Arc::ptr_eq(a, b));
        assert!(shared.count() >= SHARES - 2);
        let fullest = names.shares.iter().map(|share| share.len()).max();
        assert!(fullest < Some(10_000 / SHARES * 4), "{fullest:?}");
    }
}
