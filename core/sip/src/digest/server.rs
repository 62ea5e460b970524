//! Our challenges and the check of what comes back.
//!
//! A nonce is its time of birth and a keyed hash over it and over the address that it is given to,
//! so that challenging costs no memory, and whoever answers under it can be reached at its address
//! (RFC 7616, 5.4: datagrams come from wherever their sender says). What a nonce has been used for
//! is remembered, bounded, to refuse a replayed count. A phone that starts its count again after a
//! reboot gets a new nonce (`stale`), never a refusal.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use koukan_base::{Rng, Time};
use md5::Digest as _;
use sha2::Sha256;

use super::fields::Fields;
use super::hash::{Algorithm, Ha1, hex};

/// What the credentials of a request are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They prove this user.
    Accepted {
        /// The user name.
        username: Vec<u8>,
    },
    /// Challenge (again): there are none of ours, the nonce is too old, or its count was used.
    Challenge {
        /// Only the nonce is not good any more.
        stale: bool,
    },
    /// Challenge again, and say that the nonce is stale: it was never given to this source, or by a
    /// process before this one. Whether the password is right was not looked at: the answer tells
    /// nothing, and may be forged.
    Foreign,
    /// The password is wrong or the user unknown; the two are not told apart. It was answered under
    /// a fresh nonce of this source.
    Wrong {
        /// The user name as given.
        username: Vec<u8>,
    },
    /// The header cannot be read.
    Malformed,
}

/// The server's side of digest for one realm.
#[derive(Debug)]
pub struct DigestServer {
    realm: Vec<u8>,
    secret: [u8; 32],
    decoy: Ha1,
    /// By birth and salt of the nonce, which its keyed hash vouches for.
    counts: HashMap<(Time, u32), u32>,
    /// In the order of first use.
    order: VecDeque<(Time, u32)>,
    /// Nonces born up to here may have been forgotten before their time.
    forgotten: Option<Time>,
}

/// How long a nonce may be used; a phone that registers every few minutes gets a new one each time
/// at the cost of one round trip.
const NONCE_LIFE: Duration = Duration::from_secs(300);

/// Nonces whose counts are remembered: beyond it the oldest is forgotten and thereby stale.
const REMEMBERED_NONCES: usize = 65_536;

impl DigestServer {
    /// A server of `realm` with a secret of its own; after a restart every nonce is stale.
    #[must_use]
    pub fn new(realm: &str, rng: &mut Rng) -> Self {
        let (mut secret, mut decoy) = ([0; 32], [0; 32]);
        rng.fill(&mut secret);
        rng.fill(&mut decoy);
        Self {
            realm: realm.as_bytes().to_vec(),
            secret,
            decoy: Ha1::new(b"nobody", realm.as_bytes(), &decoy),
            counts: HashMap::new(),
            order: VecDeque::new(),
            forgotten: None,
        }
    }

    /// The values of the two challenge headers, in the order in which they must stand.
    #[must_use]
    pub fn challenge(&self, now: Time, source: IpAddr, rng: &mut Rng, stale: bool) -> [Vec<u8>; 2] {
        let nonce = self.nonce(now, source, rng);
        [Algorithm::Md5, Algorithm::Sha256].map(|algorithm| {
            let mut value = b"Digest realm=\"".to_vec();
            value.extend_from_slice(&self.realm);
            value.extend_from_slice(b"\", nonce=\"");
            value.extend_from_slice(&nonce);
            value.extend_from_slice(b"\", algorithm=");
            value.extend_from_slice(algorithm.name().as_bytes());
            value.extend_from_slice(b", qop=\"auth\"");
            if stale {
                value.extend_from_slice(b", stale=true");
            }
            value
        })
    }

    /// Checks an Authorization or Proxy-Authorization value from `source`. `lookup` gives the
    /// secret of a user name; an unknown user costs the same work as a known one.
    pub fn verify(
        &mut self,
        now: Time,
        source: IpAddr,
        method: &[u8],
        authorization: &[u8],
        lookup: impl FnOnce(&[u8]) -> Option<Ha1>,
    ) -> Verdict {
        let Some(fields) = Fields::of(authorization) else { return Verdict::Malformed };
        let (Some(username), Some(nonce), Some(uri), Some(response)) = (
            fields.value(b"username"),
            fields.value(b"nonce"),
            fields.value(b"uri"),
            fields.value(b"response"),
        ) else {
            return Verdict::Malformed;
        };
        let Some(algorithm) = Algorithm::from_name(fields.value(b"algorithm")) else {
            return Verdict::Challenge { stale: false };
        };
        if fields.value(b"realm") != Some(&self.realm) {
            return Verdict::Challenge { stale: false };
        }
        let nonce_key = match self.age(now, source, nonce) {
            Age::Foreign => return Verdict::Foreign,
            Age::Old => return Verdict::Challenge { stale: true },
            Age::Fresh(born, salt) => (born, salt),
        };
        let known = lookup(username);
        let ha1 = known.as_ref().unwrap_or(&self.decoy).hex(algorithm);
        let ha2 = algorithm.hex(&[method, uri]);
        let count = fields.value(b"nc");
        let expected = match (fields.value(b"qop"), count, fields.value(b"cnonce")) {
            (None, _, _) => algorithm.hex(&[&ha1, nonce, &ha2]),
            (Some(qop), Some(nc), Some(cnonce)) if qop.eq_ignore_ascii_case(b"auth") => {
                algorithm.hex(&[&ha1, nonce, nc, cnonce, qop, &ha2])
            }
            (Some(_), _, _) => return Verdict::Malformed,
        };
        let right = equal(&expected, &response.to_ascii_lowercase()) && known.is_some();
        if !right {
            return Verdict::Wrong { username: username.to_vec() };
        }
        if !self.use_count(now, nonce_key, count) {
            return Verdict::Challenge { stale: true };
        }
        Verdict::Accepted { username: username.to_vec() }
    }

    fn nonce(&self, now: Time, source: IpAddr, rng: &mut Rng) -> Vec<u8> {
        let time = hex(&now.as_nanos().to_be_bytes());
        let salt = hex(&rng.next_u32().to_be_bytes());
        let mac = self.mac(source, &time, &salt);
        [time, salt, mac].concat()
    }

    fn mac(&self, source: IpAddr, time: &[u8], salt: &[u8]) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(sixteen(source));
        hash.update(time);
        hash.update(salt);
        hash.update(self.secret);
        hex(hash.finalize().get(..12).unwrap_or_default())
    }

    /// Whether a nonce is one of ours for this source, and young enough.
    fn age(&self, now: Time, source: IpAddr, nonce: &[u8]) -> Age {
        let Some((born, salt)) = self.birth(source, nonce) else { return Age::Foreign };
        let known = self.forgotten.is_none_or(|forgotten| born > forgotten);
        let young = known && now.since(born) <= NONCE_LIFE;
        if young { Age::Fresh(born, salt) } else { Age::Old }
    }

    /// Birth and salt of a nonce that is one of ours for this source.
    fn birth(&self, source: IpAddr, nonce: &[u8]) -> Option<(Time, u32)> {
        let (time, rest) = nonce.split_at_checked(16)?;
        let (salt, mac) = rest.split_at_checked(8)?;
        if !equal(mac, &self.mac(source, time, salt)) {
            return None;
        }
        let time = u64::from_str_radix(std::str::from_utf8(time).ok()?, 16).ok()?;
        let salt = u32::from_str_radix(std::str::from_utf8(salt).ok()?, 16).ok()?;
        Some((Time::from_nanos(time), salt))
    }

    /// Whether this count of the nonce was not used before; remembers it. A client of RFC 2069
    /// sends none: its nonce is good for one use.
    fn use_count(&mut self, now: Time, nonce: (Time, u32), count: Option<&[u8]>) -> bool {
        let count = match count {
            None => 1,
            Some(text) => {
                let parsed = std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| u32::from_str_radix(text, 16).ok());
                match parsed {
                    Some(count) => count,
                    None => return false,
                }
            }
        };
        if let Some(last) = self.counts.get_mut(&nonce) {
            let fresh = count > *last;
            *last = count.max(*last);
            return fresh;
        }
        self.forget(now);
        self.order.push_back(nonce);
        self.counts.insert(nonce, count);
        true
    }

    /// Forgets nonces that are stale by age, and the oldest ones beyond the bound, which are stale
    /// from then on: a count that nobody remembers must not be used again.
    fn forget(&mut self, now: Time) {
        while let Some(&oldest) = self.order.front() {
            let old = now.since(oldest.0) > NONCE_LIFE;
            if !old && self.order.len() < REMEMBERED_NONCES {
                break;
            }
            if !old {
                self.forgotten = self.forgotten.max(Some(oldest.0));
            }
            self.order.pop_front();
            self.counts.remove(&oldest);
        }
    }
}

/// What a nonce is worth.
enum Age {
    /// Its birth and its salt.
    Fresh(Time, u32),
    Old,
    Foreign,
}

/// An address in one form, whether an IPv4 peer is seen through a socket of IPv6 or not.
fn sixteen(source: IpAddr) -> [u8; 16] {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => Ipv6Addr::octets(&v6),
    }
}

/// Equality that takes the same time wherever the first difference stands.
fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::*;
    use crate::Credentials;

    const REALM: &str = "koukan";
    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 11));

    fn setup() -> (DigestServer, Rng, Credentials) {
        let mut rng = Rng::from_number(1);
        let server = DigestServer::new(REALM, &mut rng);
        let credentials =
            Credentials { username: "acme-801".to_owned(), password: "secret".to_owned() };
        (server, rng, credentials)
    }

    fn lookup(name: &[u8]) -> Option<Ha1> {
        (name == b"acme-801").then(|| Ha1::new(name, REALM.as_bytes(), b"secret"))
    }

    #[test]
    fn the_answer_to_either_challenge_is_accepted_once() {
        let (mut server, mut rng, credentials) = setup();
        for index in 0..2 {
            let challenge = server.challenge(Time::ZERO, SOURCE, &mut rng, false)[index].clone();
            let value = answer(&challenge, &credentials, b"REGISTER", b"sip:koukan", b"c").unwrap();
            let verdict = server.verify(Time::ZERO, SOURCE, b"REGISTER", &value, lookup);
            assert_eq!(verdict, Verdict::Accepted { username: b"acme-801".to_vec() });
            let replay = server.verify(Time::ZERO, SOURCE, b"REGISTER", &value, lookup);
            assert_eq!(replay, Verdict::Challenge { stale: true });
        }
    }

    #[test]
    fn an_old_or_foreign_nonce_is_stale_and_a_wrong_password_is_wrong() {
        let (mut server, mut rng, credentials) = setup();
        let challenge = server.challenge(Time::ZERO, SOURCE, &mut rng, false)[0].clone();
        let value = answer(&challenge, &credentials, b"INVITE", b"sip:x", b"c").unwrap();
        let late = Time::ZERO + NONCE_LIFE + Duration::from_nanos(1);
        let verdict = server.verify(late, SOURCE, b"INVITE", &value, lookup);
        assert_eq!(verdict, Verdict::Challenge { stale: true });
        let foreign = b"Digest realm=\"koukan\", nonce=\"0123456789abcdef01234567x\", qop=\"auth\"";
        let value = answer(foreign, &credentials, b"INVITE", b"sip:x", b"c").unwrap();
        let verdict = server.verify(Time::ZERO, SOURCE, b"INVITE", &value, lookup);
        assert_eq!(verdict, Verdict::Foreign);
        let wrong = Credentials { password: "guess".to_owned(), ..credentials };
        let value = answer(&challenge, &wrong, b"INVITE", b"sip:x", b"c").unwrap();
        let verdict = server.verify(Time::ZERO, SOURCE, b"INVITE", &value, lookup);
        assert_eq!(verdict, Verdict::Wrong { username: b"acme-801".to_vec() });
    }

    #[test]
    fn a_nonce_is_good_where_it_was_given_and_nothing_is_learned_under_another() {
        let (mut server, mut rng, credentials) = setup();
        let challenge = server.challenge(Time::ZERO, SOURCE, &mut rng, false)[0].clone();
        let elsewhere = IpAddr::from([198, 51, 100, 7]);
        for password in ["secret", "guess"] {
            let given = Credentials { password: password.to_owned(), ..credentials.clone() };
            let value = answer(&challenge, &given, b"INVITE", b"sip:x", b"c").unwrap();
            let verdict = server.verify(Time::ZERO, elsewhere, b"INVITE", &value, lookup);
            assert_eq!(verdict, Verdict::Foreign, "{password}");
        }
        // An IPv4 phone that is seen through a socket of IPv6 is the same phone.
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(192, 0, 2, 11).to_ipv6_mapped());
        let value = answer(&challenge, &credentials, b"INVITE", b"sip:x", b"c").unwrap();
        let verdict = server.verify(Time::ZERO, mapped, b"INVITE", &value, lookup);
        assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");
    }

    #[test]
    fn an_unknown_user_gets_what_a_wrong_password_gets() {
        let (mut server, mut rng, credentials) = setup();
        let challenge = server.challenge(Time::ZERO, SOURCE, &mut rng, false)[0].clone();
        let value = answer(&challenge, &credentials, b"INVITE", b"sip:x", b"c").unwrap();
        let verdict = server.verify(Time::ZERO, SOURCE, b"INVITE", &value, |_| None);
        assert_eq!(verdict, Verdict::Wrong { username: b"acme-801".to_vec() });
    }

    #[test]
    fn every_flipped_byte_of_the_answer_is_refused() {
        let (mut server, mut rng, credentials) = setup();
        let challenge = server.challenge(Time::ZERO, SOURCE, &mut rng, false)[1].clone();
        let value = answer(&challenge, &credentials, b"INVITE", b"sip:x", b"c").unwrap();
        let text = String::from_utf8(value.clone()).unwrap();
        let start = text.find("response=\"").unwrap() + 10;
        for at in start..start + 64 {
            let mut changed = value.clone();
            changed[at] ^= 1;
            let verdict = server.verify(Time::ZERO, SOURCE, b"INVITE", &changed, lookup);
            assert!(matches!(verdict, Verdict::Wrong { .. }), "{at}");
        }
    }

    #[test]
    fn what_a_nonce_was_used_for_is_remembered_as_long_as_the_nonce_is_good() {
        let (mut server, mut rng, credentials) = setup();
        let mut use_one = |server: &mut DigestServer, now: Time| {
            let challenge = server.challenge(now, SOURCE, &mut rng, false)[0].clone();
            let given = answer(&challenge, &credentials, b"REGISTER", b"sip:koukan", b"c");
            given.expect("a challenge of ours")
        };
        let first = use_one(&mut server, Time::ZERO);
        let verify = |server: &mut DigestServer, now: Time, given: &[u8]| {
            let ha1 = Ha1::new(b"acme-801", REALM.as_bytes(), b"secret");
            server.verify(now, SOURCE, b"REGISTER", given, |_| Some(ha1))
        };
        assert!(matches!(verify(&mut server, Time::ZERO, &first), Verdict::Accepted { .. }));
        let replayed = Verdict::Challenge { stale: true };
        for index in 0..REMEMBERED_NONCES as u64 {
            let now = Time::from_nanos(1 + index);
            let given = use_one(&mut server, now);
            assert!(matches!(verify(&mut server, now, &given), Verdict::Accepted { .. }));
        }
        assert_eq!(server.counts.len(), REMEMBERED_NONCES);
        // Its count is forgotten, for there were too many; so it is not good any more.
        assert_eq!(verify(&mut server, Time::from_millis(1), &first), replayed);
        let late = Time::ZERO + NONCE_LIFE * 2;
        let given = use_one(&mut server, late);
        assert!(matches!(verify(&mut server, late, &given), Verdict::Accepted { .. }));
        assert_eq!(server.counts.len(), 1, "stale nonces are forgotten");
    }
}
