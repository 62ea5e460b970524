//! The mark of a control shard in what its user agent mints: tags, branches and Call-IDs. Of the
//! messages that come back by them (responses by their topmost Via, requests within dialogs by the
//! tag in To) the mark says whose they are, without a table that shards would have to share.

use koukan_base::{Rng, ShardId};

use super::UserAgent;
use super::types::{ALPHABET, token};

/// The begin of every branch (RFC 3261, 8.1.1.7).
const COOKIE: &[u8] = b"z9hG4bK";

impl UserAgent {
    /// What is minted from now on bears the mark of a shard.
    pub const fn set_mark(&mut self, shard: ShardId) {
        self.mark = Some(shard);
    }

    /// A tag, a branch's own part or a Call-ID: never said before, and with our mark where there
    /// are several shards.
    pub(super) fn mint(&mut self) -> Vec<u8> {
        marked(&mut self.rng, self.mark)
    }

    pub(super) fn mint_branch(&mut self) -> Vec<u8> {
        [COOKIE, self.mint().as_slice()].concat()
    }
}

/// 90 bits of chance stay beside a mark.
pub(super) fn marked(rng: &mut Rng, mark: Option<ShardId>) -> Vec<u8> {
    let mut token = token(rng);
    let letter = mark.and_then(|shard| ALPHABET.get(usize::from(shard.0)));
    if let (Some(first), Some(letter)) = (token.first_mut(), letter) {
        *first = *letter;
    }
    token
}

/// The shard whose mark a tag bears; of a tag that none of them minted it says nothing.
#[must_use]
pub fn shard_of_tag(tag: &[u8]) -> Option<ShardId> {
    let letter = tag.first()?;
    let at = ALPHABET.iter().position(|known| known == letter)?;
    Some(ShardId(u16::try_from(at).ok()?))
}

/// The same of a branch.
#[must_use]
pub fn shard_of_branch(branch: &[u8]) -> Option<ShardId> {
    shard_of_tag(branch.strip_prefix(COOKIE)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shards_mark_is_read_back_and_nothing_is_minted_twice() {
        let mut rng = Rng::from_number(7);
        let mut seen = std::collections::HashSet::new();
        for shard in (0..64).map(ShardId) {
            for _ in 0..50 {
                let tag = marked(&mut rng, Some(shard));
                assert_eq!(shard_of_tag(&tag), Some(shard));
                assert_eq!(shard_of_branch(&[COOKIE, &tag].concat()), Some(shard));
                assert!(seen.insert(tag));
            }
        }
    }

    #[test]
    fn without_shards_chance_alone_makes_a_tag() {
        let (mut one, mut other) = (Rng::from_number(7), Rng::from_number(7));
        assert_eq!(marked(&mut one, None), token(&mut other));
        assert_eq!(shard_of_branch(b"123"), None, "of RFC 2543");
        assert_eq!(shard_of_tag(b""), None);
    }
}
