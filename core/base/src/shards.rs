//! How many control shards share the work, and which of them is whose home.

use crate::ShardId;

/// The number of control shards, fixed for the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards(u16);

impl Shards {
    /// One: every tenant is at home there.
    pub const ONE: Self = Self(1);
    /// So many there may be: one letter of a tag says which of them minted it.
    pub const MOST: u16 = 64;

    /// So many shards; none when there would be none, or more than [`Self::MOST`].
    #[must_use]
    pub const fn new(count: u16) -> Option<Self> {
        if count == 0 || count > Self::MOST { None } else { Some(Self(count)) }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u16 {
        self.0
    }

    /// Whether there is only one.
    #[must_use]
    pub const fn is_one(self) -> bool {
        self.0 == 1
    }

    /// Every shard.
    pub fn all(self) -> impl Iterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }

    /// The shard of this number, when there is one.
    #[must_use]
    pub const fn shard(self, number: u16) -> Option<ShardId> {
        if number < self.0 { Some(ShardId(number)) } else { None }
    }

    /// A tenant's home: by its id alone, so that restarts and reloads keep it.
    #[must_use]
    pub fn home(self, tenant: &str) -> ShardId {
        if self.is_one() {
            return ShardId(0);
        }
        // FNV-1a; the ids of tenants differ in few letters, so that high bits are folded in.
        let hash = tenant.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let folded = hash ^ (hash >> 32);
        let rest = folded.checked_rem(u64::from(self.0)).unwrap_or(0);
        ShardId(u16::try_from(rest).unwrap_or(0))
    }
}

/// The shard of what belongs to no tenant: strangers, trunks of the whole server.
pub const COMMON_SHARD: ShardId = ShardId(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_the_same_in_every_process_and_tenants_are_spread_over_all() {
        let four = Shards::new(4).unwrap();
        let homes: Vec<u16> = ["acme", "beta", "gamma", "delta"].map(|id| four.home(id).0).into();
        assert_eq!(homes, HOMES, "what another process has put down stays where it is");
        let mut counts = [0_usize; 4];
        for number in 0..1_000 {
            let home = four.home(&format!("office-{number}"));
            counts[usize::from(home.0)] += 1;
        }
        assert!(counts.iter().all(|count| (200..300).contains(count)), "{counts:?}");
    }

    const HOMES: [u16; 4] = [0, 0, 3, 0];

    #[test]
    fn one_shard_is_everybodys_home_and_there_are_no_more_than_letters() {
        assert_eq!(Shards::ONE.home("acme"), COMMON_SHARD);
        assert_eq!(Shards::new(1), Some(Shards::ONE));
        assert_eq!((Shards::new(0), Shards::new(65)), (None, None));
        assert_eq!(Shards::new(64).map(|all| all.all().count()), Some(64));
        assert_eq!(Shards::ONE.shard(1), None);
    }
}
