//! Strangers who guess: sources that send many wrong passwords, or ask without end and prove
//! nothing, are banned for a time. A password counts as wrong where it answers a fresh nonce of its
//! source, for any address may stand on a datagram. From a banned source nothing wrong is answered
//! any more, and who was wrong there ten times is not believed even when right. Whoever is
//! registered from there, or comes with the right password at once, gets through: behind one
//! address there may be a whole neighbourhood. What is known of sources is bounded.

mod elsewhere;

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use koukan_base::Time;
use koukan_dialplan::Network;
use koukan_sip::{Message, Response, ServerTx};
use serde::Serialize;

pub use self::elsewhere::Banned;

use crate::action::{Action, Now};
use crate::registration::date_of;
use crate::registration::throttle::Slow;
use crate::switch::Switch;

/// So many wrong passwords of one source in [`WRONG_WITHIN`] ban it, and lengthen its ban.
const WRONG: u32 = 8;
const WRONG_WITHIN: Duration = Duration::from_secs(60);
/// So many requests that prove nothing, in [`ASKED_WITHIN`], ban it too.
const ASKED: u32 = 2_000;
const ASKED_WITHIN: Duration = Duration::from_secs(10);
/// So many of them are still answered in a second while it is banned.
const ASKED_BANNED: u32 = 5;
/// So many answers to nonces that a source was not given are challenged anew in a second, where no
/// phone is registered from.
const FOREIGN: u32 = 8;
/// So many requests of phones that are registered at an address are answered in a second, whatever
/// else comes from there: anybody may write their addresses on datagrams.
const KNOWN: u32 = 50;
/// So many of its last wrong requests are known again when they are repeated.
const REPEATED: usize = 16;
/// That there was no room for its wrong answers is forgotten so long after.
const FORGIVEN: Duration = Duration::from_secs(300);
/// The first ban; each further one within [`REMEMBERED_FOR`] of its end is twice as long.
const FIRST: Duration = Duration::from_secs(60);
/// Many share one address: no ban is longer.
const LONGEST: Duration = Duration::from_secs(900);
/// Bans are forgotten so long after the last of them has ended.
const REMEMBERED_FOR: Duration = Duration::from_secs(3_600);
/// Sources that are remembered; beyond it the one that was silent for longest is forgotten.
const REMEMBERED: usize = 16_384;
/// Among so many of the oldest one is looked for that is not banned.
const LOOKED_AT: usize = 64;

/// A source that is banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BanView {
    /// The address; of IPv6 the network of 64 bits.
    pub source: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when, unless it goes on.
    pub until: Timestamp,
    /// Why.
    pub why: String,
    /// Requests that got no answer.
    pub dropped: u64,
}

#[derive(Clone, Debug)]
struct Ban {
    since: Timestamp,
    until: Time,
    why: String,
}

#[derive(Clone, Debug)]
struct Source {
    wrong: u32,
    wrong_since: Time,
    asked: u32,
    asked_since: Time,
    last: Time,
    ban: Option<Ban>,
    /// Bans within the time that they are remembered.
    bans: u32,
    dropped: u64,
    /// Answers to nonces that it was not given, and requests of its registered phones.
    foreign: Second,
    known: Second,
    /// Its last wrong requests while it was banned, the next one in the place of the oldest.
    wrongs: [u64; REPEATED],
    next_wrong: usize,
    /// When a wrong password of it found no room to be remembered, last.
    unremembered: Option<Time>,
}

/// What came in a second, which begins with the first of it.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    count: u32,
    since: Time,
}

impl Second {
    /// One more: whether it is one of so many.
    fn take(&mut self, now: Time, most: u32) -> bool {
        if self.count == 0 || now.since(self.since) >= Duration::from_secs(1) {
            *self = Self { count: 0, since: now };
        }
        self.count = self.count.saturating_add(1);
        self.count <= most
    }
}

/// What is known of sources.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    sources: HashMap<IpAddr, Source>,
    /// The same by when they were heard of last.
    order: BTreeSet<(Time, IpAddr)>,
    trusted: Vec<Network>,
    banned: u64,
    dropped: u64,
    /// When operators were told of a ban last.
    told: Option<Time>,
    /// Other shards are told of bans, these.
    pub(crate) tells: bool,
    fresh: Vec<Banned>,
}

impl Guard {
    /// Nothing is held against these networks.
    pub(crate) fn new(trusted: Vec<Network>) -> Self {
        Self { trusted, ..Self::default() }
    }

    /// A request that proves nothing comes; false: it gets no answer.
    fn asks(&mut self, now: Now, address: IpAddr) -> bool {
        // Programs of this machine ask for a thousand phones.
        if address.to_canonical().is_loopback() {
            return true;
        }
        let Some(source) = self.source(now.time, address) else { return true };
        let within = if source.is_banned(now.time) { Duration::from_secs(1) } else { ASKED_WITHIN };
        if now.time.since(source.asked_since) >= within {
            (source.asked, source.asked_since) = (0, now.time);
        }
        source.asked = source.asked.saturating_add(1);
        if source.is_banned(now.time) {
            return source.asked <= ASKED_BANNED || self.drop_one(address);
        }
        if source.asked > ASKED {
            let seconds = now.time.since(source.asked_since).as_secs();
            let why = format!("{ASKED} requests without a password in {} s", seconds.max(1));
            self.ban(now, address, why);
        }
        true
    }

    /// A request answers a nonce that its source was not given; false: it gets no answer.
    fn asks_foreign(&mut self, now: Time, address: IpAddr) -> bool {
        let Some(source) = self.source(now, address) else { return true };
        source.foreign.take(now, FOREIGN) || self.drop_one(address)
    }

    /// A phone that is registered asks while its address is banned; false: it gets no answer.
    fn asks_known(&mut self, now: Time, address: IpAddr) -> bool {
        self.source(now, address).is_none_or(|source| source.known.take(now, KNOWN))
    }

    /// Whether a wrong request of a banned source is one of its last ones again, as clients repeat
    /// what is not answered (RFC 3261, 17.1.2.1).
    fn is_repeated(&mut self, address: IpAddr, wrong: u64) -> bool {
        let Some(source) = self.sources.get_mut(&key(address)) else { return false };
        if source.wrongs.contains(&wrong) {
            return true;
        }
        if let Some(place) = source.wrongs.get_mut(source.next_wrong) {
            *place = wrong;
        }
        source.next_wrong = source.next_wrong.saturating_add(1) % REPEATED;
        false
    }

    /// A wrong password of a source found no room to be remembered.
    fn no_room(&mut self, now: Time, address: IpAddr) {
        if let Some(source) = self.source(now, address) {
            source.unremembered = Some(now);
        }
    }

    /// Whether wrong passwords of a source found no room lately: any user may be one of those.
    fn is_full_of(&self, now: Time, address: IpAddr) -> bool {
        let source = self.sources.get(&key(address));
        let last = source.and_then(|source| source.unremembered);
        last.is_some_and(|at| now.since(at) < FORGIVEN)
    }

    /// A password was right: one question less was in vain.
    fn proved(&mut self, address: IpAddr) {
        if let Some(source) = self.sources.get_mut(&key(address)) {
            source.asked = source.asked.saturating_sub(1);
        }
    }

    /// A password was guessed wrong.
    fn wrong(&mut self, now: Now, address: IpAddr, user: &str) {
        let Some(source) = self.source(now.time, address) else { return };
        if now.time.since(source.wrong_since) >= WRONG_WITHIN {
            (source.wrong, source.wrong_since) = (0, now.time);
        }
        source.wrong = source.wrong.saturating_add(1);
        if source.is_banned(now.time) {
            // It does not end while it goes on; a phone with a wrong setting alone is slower.
            let longer = now.time + source.length();
            if let Some(ban) = source.ban.as_mut().filter(|_| source.wrong >= WRONG) {
                ban.until = ban.until.max(longer);
            }
        } else if source.wrong >= WRONG {
            let seconds = now.time.since(source.wrong_since).as_secs().max(1);
            let why = format!("{WRONG} wrong passwords in {seconds} s, the last for {user}");
            self.ban(now, address, why);
        }
    }

    /// Whether a source is banned now.
    fn is_banned(&self, now: Time, address: IpAddr) -> bool {
        self.sources.get(&key(address)).is_some_and(|source| source.is_banned(now))
    }

    /// Something of a banned source is not answered; false, for those who ask.
    fn drop_one(&mut self, address: IpAddr) -> bool {
        self.dropped = self.dropped.saturating_add(1);
        if let Some(source) = self.sources.get_mut(&key(address)) {
            source.dropped = source.dropped.saturating_add(1);
        }
        false
    }

    fn ban(&mut self, now: Now, address: IpAddr, why: String) {
        let Some(source) = self.sources.get_mut(&key(address)) else { return };
        let last = source.ban.as_ref().map(|ban| ban.until);
        if last.is_some_and(|ended| now.time.since(ended) >= REMEMBERED_FOR) {
            source.bans = 0;
        }
        source.bans = source.bans.saturating_add(1);
        let until = now.time + source.length();
        if self.tells {
            let why = why.clone();
            self.fresh.push(Banned { source: address, since: now.date, until, why });
        }
        source.ban = Some(Ban { since: now.date, until, why });
        (source.asked, source.asked_since, source.dropped) = (0, now.time, 0);
        // As many more lengthen it.
        (source.wrong, source.wrong_since) = (0, now.time);
        self.banned = self.banned.saturating_add(1);
    }

    /// The source of an address; none for those that are trusted.
    fn source(&mut self, now: Time, address: IpAddr) -> Option<&mut Source> {
        if self.trusted.iter().any(|network| network.holds(address)) {
            return None;
        }
        let key = key(address);
        match self.sources.get(&key) {
            Some(known) => drop(self.order.remove(&(known.last, key))),
            None if self.sources.len() >= REMEMBERED => self.forget_one(now),
            None => {}
        }
        self.order.insert((now, key));
        let fresh = Source {
            wrong: 0,
            wrong_since: now,
            asked: 0,
            asked_since: now,
            last: now,
            ban: None,
            bans: 0,
            dropped: 0,
            foreign: Second::default(),
            known: Second::default(),
            wrongs: [0; REPEATED],
            next_wrong: 0,
            unremembered: None,
        };
        let source = self.sources.entry(key).or_insert(fresh);
        source.last = now;
        Some(source)
    }
}

impl Guard {
    /// Forgets the source that was silent for longest; one that is banned only among many.
    fn forget_one(&mut self, now: Time) {
        let banned = |address: &IpAddr| self.sources.get(address).is_some_and(|s| s.is_banned(now));
        let mut oldest = self.order.iter().take(LOOKED_AT);
        let free = oldest.find(|(_, address)| !banned(address)).copied();
        let Some(entry) = free.or_else(|| self.order.first().copied()) else { return };
        self.order.remove(&entry);
        self.sources.remove(&entry.1);
    }
}

impl Source {
    fn is_banned(&self, now: Time) -> bool {
        self.ban.as_ref().is_some_and(|ban| now < ban.until)
    }

    /// How long its ban is.
    fn length(&self) -> Duration {
        FIRST.saturating_mul(1 << self.bans.saturating_sub(1).min(8)).min(LONGEST)
    }
}

/// A household of IPv6 has a network of 64 bits.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// What a request that is repeated has again: its transaction and its credentials.
pub(super) fn fingerprint(message: &Message, credentials: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.via().and_then(|via| via.rfc3261_branch()).hash(&mut hasher);
    message.call_id().hash(&mut hasher);
    message.cseq().map(|cseq| cseq.number).hash(&mut hasher);
    credentials.hash(&mut hasher);
    hasher.finish()
}

impl Switch {
    /// A request that needs a password has none, an old one, or one that cannot be read: whether it
    /// is answered. A phone that is registered from this very address and port is, whoever else is
    /// banned there.
    pub(crate) fn may_ask(&mut self, now: Now, remote: SocketAddr) -> bool {
        let before = self.guard.banned;
        let answered = self.guard.asks(now, remote.ip());
        self.tell_ban(now, remote.ip(), before);
        answered || self.registrar.is_source(remote) && self.guard.asks_known(now.time, remote.ip())
    }

    /// A request answers a nonce that its source was not given, as phones do when the server was
    /// started anew: whether it is answered.
    pub(crate) fn may_ask_again(&mut self, now: Now, remote: SocketAddr) -> bool {
        let known = self.registrar.is_known_address(remote.ip());
        (known || self.guard.asks_foreign(now.time, remote.ip())) && self.may_ask(now, remote)
    }

    /// A password is right: whether it is believed.
    pub(crate) fn is_believed(&mut self, now: Now, address: IpAddr, user: &[u8]) -> bool {
        let banned = self.guard.is_banned(now.time, address);
        let suspect = || match self.throttle.is_suspect(user, address) {
            Some(suspect) => suspect,
            None => self.guard.is_full_of(now.time, address),
        };
        if banned && suspect() && !self.is_known_at(user, address) {
            return self.guard.drop_one(address);
        }
        self.guard.proved(address);
        true
    }

    /// A password is wrong: it is refused, at once or later, or not answered at all.
    pub(crate) fn refuse_password(
        &mut self,
        now: Now,
        (tx, address): (ServerTx, IpAddr),
        user: &[u8],
        request: u64,
    ) {
        let banned = self.guard.is_banned(now.time, address);
        if banned && self.guard.is_repeated(address, request) {
            self.guard.drop_one(address);
            return self.ua.forget(tx);
        }
        let slow = self.throttle.note(now.time, (user, address));
        // Who waits for each answer and is wrong again has a wrong setting; the rest are guesses.
        if slow == Slow::Unremembered {
            self.guard.no_room(now.time, address);
        }
        if !matches!(slow, Slow::Patient(_)) {
            let before = self.guard.banned;
            let name: String = String::from_utf8_lossy(user).chars().take(64).collect();
            self.guard.wrong(now, address, &name);
            self.tell_ban(now, address, before);
        }
        if banned {
            self.guard.drop_one(address);
            return self.ua.forget(tx);
        }
        let later = match slow {
            Slow::AtOnce | Slow::Unremembered => false,
            Slow::Patient(delay) | Slow::Hasty(delay) => {
                self.throttle.wait(now.time + delay, tx, 403)
            }
        };
        if !later {
            self.ua.respond(now.time, tx, Response::new(403));
        }
    }

    /// Whether a phone of this user is registered from this address.
    fn is_known_at(&self, user: &[u8], address: IpAddr) -> bool {
        let user = std::str::from_utf8(user).unwrap_or_default();
        let same = |remote: IpAddr| remote.to_canonical() == address.to_canonical();
        self.registrar.bindings(user).iter().any(|binding| same(binding.flow.remote.ip()))
    }

    /// A line for a ban; strangers do not fill the log with them.
    fn tell_ban(&mut self, now: Now, address: IpAddr, before: u64) {
        let recent = self.guard.told.is_some_and(|at| now.time.since(at) < Duration::from_secs(1));
        if self.guard.banned == before || recent {
            return;
        }
        self.guard.told = Some(now.time);
        let Some(source) = self.guard.sources.get(&key(address)) else { return };
        let Some(ban) = &source.ban else { return };
        let (seconds, why) = (source.length().as_secs(), &ban.why);
        let text = format!("{} is banned for {seconds} s: {why}", key(address));
        self.actions.push_back(Action::Notice { grave: true, text });
    }

    /// The sources that are banned now.
    #[must_use]
    pub fn bans(&self, now: Now) -> Vec<BanView> {
        let view = |(address, source): (&IpAddr, &Source)| {
            let ban = source.ban.as_ref().filter(|ban| now.time < ban.until)?;
            Some(BanView {
                source: if address.is_ipv4() {
                    address.to_string()
                } else {
                    format!("{address}/64")
                },
                since: ban.since,
                until: date_of(now, ban.until),
                why: ban.why.clone(),
                dropped: source.dropped,
            })
        };
        let mut bans: Vec<BanView> = self.guard.sources.iter().filter_map(view).collect();
        bans.sort_by(|a, b| a.since.cmp(&b.since).then_with(|| a.source.cmp(&b.source)));
        bans
    }

    /// Forgets everything that is held against an address; false when it was not banned.
    pub fn lift_ban(&mut self, now: Now, address: IpAddr) -> bool {
        let known = self.guard.sources.remove(&key(address));
        if let Some(source) = &known {
            self.guard.order.remove(&(source.last, key(address)));
        }
        known.is_some_and(|source| source.is_banned(now.time))
    }

    /// Bans since the start, and requests of banned sources that got no answer.
    #[must_use]
    pub const fn ban_counts(&self) -> (u64, u64) {
        (self.guard.banned, self.guard.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        let date = Timestamp::UNIX_EPOCH + Duration::from_millis(ms);
        Now { time: Time::from_millis(ms), date }
    }

    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

    #[test]
    fn a_second_begins_with_the_first_of_it() {
        let (mut second, begun) = (Second::default(), Time::ZERO + Duration::from_millis(700));
        let burst = (0..60).map(|number| begun + number * Duration::from_millis(15));
        assert_eq!(burst.filter(|at| second.take(*at, 8)).count(), 8);
        assert!(second.take(begun + Duration::from_secs(1), 8));
    }

    #[test]
    fn eight_wrong_passwords_ban_and_a_ban_ends_when_it_is_quiet() {
        let mut guard = Guard::default();
        let guess = |guard: &mut Guard, ms| {
            let banned = guard.is_banned(at(ms).time, STRANGER);
            guard.wrong(at(ms), STRANGER, "x");
            !banned
        };
        let answered = (0..60).filter(|n| guess(&mut guard, n * 16)).count();
        assert_eq!(answered, 8);
        assert!(guard.is_banned(Time::from_millis(60_900), STRANGER));
        assert!(!guard.is_banned(Time::from_millis(61_000), STRANGER));
        let again = (0..60).filter(|n| guess(&mut guard, 70_000 + n * 16)).count();
        assert_eq!(again, 8);
        assert!(guard.is_banned(Time::from_millis(70_944 + 119_000), STRANGER), "twice as long");
        assert!(!guard.is_banned(Time::from_millis(70_944 + 120_001), STRANGER));
    }

    #[test]
    fn a_ban_is_forgotten_an_hour_behind_its_end_whatever_came_meanwhile() {
        let mut guard = Guard::default();
        let guess = |guard: &mut Guard, ms: u64| {
            (0..8).for_each(|_| guard.wrong(at(ms), STRANGER, "x"));
            let ban = guard.sources[&STRANGER].ban.clone().unwrap();
            ban.until.since(Time::from_millis(ms)).as_secs()
        };
        assert_eq!(guess(&mut guard, 0), 60);
        assert_eq!(guess(&mut guard, 100_000), 120);
        // Phones ask all the time, as they do.
        let ended = 220_000;
        for minute in 0..60 {
            assert!(guard.asks(at(ended + minute * 60_000), STRANGER));
        }
        assert_eq!(guess(&mut guard, ended + 3_600_000), 60, "the first one again");
        let soon = ended + 3_600_000 + 60_000;
        assert_eq!(guess(&mut guard, soon + 3_599_999), 120, "remembered for an hour");
    }

    #[test]
    fn a_slow_phone_with_a_wrong_setting_does_not_lengthen_the_ban_of_its_office() {
        let mut guard = Guard::default();
        (0..8).for_each(|_| guard.wrong(at(0), STRANGER, "x"));
        (1..6).for_each(|n| guard.wrong(at(n * 10_000), STRANGER, "x"));
        assert!(guard.is_banned(Time::from_millis(59_999), STRANGER));
        assert!(!guard.is_banned(Time::from_millis(60_000), STRANGER));
    }

    #[test]
    fn what_is_repeated_is_known_again_and_what_is_new_is_not() {
        let mut guard = Guard::default();
        (0..8).for_each(|_| guard.wrong(at(0), STRANGER, "x"));
        for phone in 1..=REPEATED as u64 {
            assert!(!guard.is_repeated(STRANGER, phone));
        }
        for phone in 1..=REPEATED as u64 {
            assert!(guard.is_repeated(STRANGER, phone), "{phone}");
        }
        assert!(!guard.is_repeated(STRANGER, 99));
        assert!(!guard.is_repeated(STRANGER, 1), "the oldest made room");
    }

    #[test]
    fn answers_to_nonces_that_were_never_given_get_few_answers_and_ban_nobody() {
        let mut guard = Guard::default();
        let asked = |ms: &u64| guard.asks_foreign(Time::from_millis(*ms), STRANGER);
        let answered = (0..1_000).filter(asked).count();
        assert_eq!(answered, 8);
        assert!(guard.asks_foreign(Time::from_millis(1_000), STRANGER), "a second later");
        assert!(!guard.is_banned(Time::from_millis(1_000), STRANGER));
    }

    #[test]
    fn who_asks_without_end_gets_few_answers_and_phones_that_prove_themselves_get_all() {
        let mut guard = Guard::default();
        let answered = (0..3_000).filter(|n| guard.asks(at(*n), STRANGER)).count();
        assert!((2_001..2_010).contains(&answered), "{answered}");
        let office = IpAddr::from([198, 51, 100, 1]);
        for n in 0..3_000 {
            assert!(guard.asks(at(n), office));
            guard.proved(office);
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_the_trusted_are_none() {
        let mut guard = Guard::new(vec![Network::parse("10.0.0.0/8").unwrap()]);
        for n in 0..60_u16 {
            guard.wrong(at(0), IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]), "x");
            guard.wrong(at(0), IpAddr::from([10, 1, 2, 3]), "x");
        }
        assert!(guard.is_banned(Time::ZERO, IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9])));
        assert_eq!(guard.sources.len(), 1);
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory_and_frees_nobody_who_is_banned() {
        let mut guard = Guard::default();
        for _ in 0..8 {
            guard.wrong(at(0), STRANGER, "x");
        }
        for n in 0..40_000_u32 {
            let other = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
            guard.wrong(at(u64::from(n)), other, "x");
        }
        assert_eq!((guard.sources.len(), guard.order.len()), (REMEMBERED, REMEMBERED));
        assert!(guard.is_banned(Time::from_millis(40_000), STRANGER));
    }
}
