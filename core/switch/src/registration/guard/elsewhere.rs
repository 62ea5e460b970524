//! Bans that shards tell each other: who guesses at the door of one is a stranger to all.

use std::net::IpAddr;

use jiff::Timestamp;
use koukan_base::Time;

use super::{Ban, Guard};
use crate::action::Now;
use crate::switch::Switch;

/// A source that a shard has banned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banned {
    /// An address of it.
    pub source: IpAddr,
    /// Since when.
    pub since: Timestamp,
    /// Until when; all shards have one clock.
    pub until: Time,
    /// Why.
    pub why: String,
}

impl Guard {
    /// Takes over a ban; it lasts as long as it does where it was spoken.
    fn hear(&mut self, now: Now, banned: &Banned) {
        let Some(source) = self.source(now.time, banned.source) else { return };
        if source.ban.as_ref().is_some_and(|ban| ban.until >= banned.until) {
            return;
        }
        source.bans = source.bans.saturating_add(1);
        let Banned { since, until, why, .. } = banned.clone();
        source.ban = Some(Ban { since, until, why });
        (source.asked, source.asked_since, source.dropped) = (0, now.time, 0);
        (source.wrong, source.wrong_since) = (0, now.time);
    }
}

impl Switch {
    /// The sources that were banned here since the last time, for the other shards.
    pub fn ban_news(&mut self) -> Vec<Banned> {
        std::mem::take(&mut self.guard.fresh)
    }

    /// Sources that another shard has banned.
    pub fn hear_bans(&mut self, now: Now, bans: &[Banned]) {
        for banned in bans {
            self.guard.hear(now, banned);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_ban_that_was_heard_of_holds_as_long_as_where_it_was_spoken() {
        let at = |ms| Now {
            time: Time::from_millis(ms),
            date: Timestamp::UNIX_EPOCH + Duration::from_millis(ms),
        };
        let stranger = IpAddr::from([203, 0, 113, 9]);
        let mut one = Guard { tells: true, ..Guard::default() };
        (0..8).for_each(|_| one.wrong(at(5), stranger, "x"));
        let fresh = std::mem::take(&mut one.fresh);
        assert_eq!(fresh.len(), 1);
        let mut other = Guard::default();
        other.hear(at(6), &fresh[0]);
        other.hear(at(7), &fresh[0]);
        assert!(other.fresh.is_empty(), "it goes no further");
        let until = fresh[0].until;
        assert!(
            other.is_banned(Time::from_millis(60_004), stranger)
                && !other.is_banned(until, stranger)
        );
        assert_eq!(other.sources[&stranger].bans, 1);
    }
}
