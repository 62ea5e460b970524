//! Identifiers of shards, workers, calls, legs, streams, bridges and operations.
//!
//! A call's number carries its shard, and a stream's number its call's shard, so that a message or
//! a media event finds its owner without a shared table.

use std::fmt;

/// A control shard; every tenant has one home shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// A media worker (one a core).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u16);

/// A call: shard in the top 16 bits, a counter below that never repeats in a process's life.
/// Printed as 16 hexadecimal digits, in logs and on the command line alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

impl CallId {
    const COUNTER_BITS: u32 = 48;
    const COUNTER_MASK: u64 = (1 << Self::COUNTER_BITS) - 1;

    /// The `counter`-th call of `shard`; only the counter's low 48 bits are kept.
    #[must_use]
    pub const fn new(shard: ShardId, counter: u64) -> Self {
        Self(((shard.0 as u64) << Self::COUNTER_BITS) | (counter & Self::COUNTER_MASK))
    }

    /// The shard that owns the call.
    #[must_use]
    pub const fn shard(self) -> ShardId {
        let shard = (self.0 >> Self::COUNTER_BITS) as u16;
        ShardId(shard)
    }

    /// The call whose printed form is `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16).map(Self)
    }

    /// The number itself, for journals and wire formats.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The call with this number.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A leg of a call, numbered from 0 (the leg that came in or asked for the call).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId {
    /// The call that the leg belongs to.
    pub call: CallId,
    /// Which of its legs, from 0.
    pub index: u16,
}

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.call, self.index)
    }
}

/// A media stream: one RTP session of one leg. Shard in the top 16 bits, then a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The `counter`-th stream of `shard`; only the counter's low 48 bits are kept.
    #[must_use]
    pub const fn new(shard: ShardId, counter: u64) -> Self {
        Self(CallId::new(shard, counter).as_u64())
    }

    /// The shard whose call the stream belongs to.
    #[must_use]
    pub const fn shard(self) -> ShardId {
        CallId::from_u64(self.0).shard()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{:x}", self.0)
    }
}

/// A mixer or other meeting point of more than two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeId(pub u64);

/// An operation that one side ordered and the other owes exactly one result for: a module's
/// `play`, the switch's `Command::Play`. Unique among the operations under way of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_keeps_its_shard_and_prints_and_parses() {
        let id = CallId::new(ShardId(7), 0x1234);
        assert_eq!(id.shard(), ShardId(7));
        assert_eq!(CallId::parse(&id.to_string()), Some(id));
        assert_eq!(CallId::parse("7"), None);
    }

    #[test]
    fn a_counter_cannot_leak_into_the_shard() {
        assert_eq!(CallId::new(ShardId(1), u64::MAX).shard(), ShardId(1));
        assert_eq!(StreamId::new(ShardId(3), u64::MAX).shard(), ShardId(3));
    }
}
