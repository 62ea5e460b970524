//! Keys of SRTP in offers and answers (RFC 4568). What a device wants decides, and how its
//! signalling travels: keys are not sent where they can be read on the way, unless the plan or the
//! phone demands SRTP there.

use koukan_base::Rng;
use koukan_dialplan::SrtpPolicy;
use koukan_media::SrtpKeys;
use koukan_media::srtp::{Crypto, MOST_KEY_AND_SALT, MasterKey, Suite};
use koukan_sip::Transport;
use koukan_sip::sdp::{self, Agreed, Security, Session};

use crate::leg::{Leg, Party};
use crate::switch::Switch;

/// What we offer, the preferred first: the suite that every secure phone speaks, then the others.
const OFFERED: [Suite; 4] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AeadAes256Gcm,
    Suite::AeadAes128Gcm,
    Suite::AesCm128HmacSha1_32,
];

/// Our keys of one leg, one a suite: the same in every description, so that a stream that goes on
/// is not keyed anew.
#[derive(Clone, Debug)]
pub(crate) struct OwnKeys {
    keys: [Option<MasterKey>; OFFERED.len()],
}

impl OwnKeys {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let keys = OFFERED.map(|suite| {
            let mut bytes = [0; MOST_KEY_AND_SALT];
            rng.fill(&mut bytes);
            MasterKey::new(suite, bytes.get(..suite.key_bytes() + suite.salt_bytes())?)
        });
        Self { keys }
    }

    fn of(&self, suite: Suite) -> Option<MasterKey> {
        self.keys.iter().flatten().find(|key| key.suite() == suite).cloned()
    }

    /// Our line under this tag.
    fn line(&self, tag: u32, suite: Suite) -> Option<sdp::Crypto> {
        let mut value = Vec::new();
        Crypto { tag, key: self.of(suite)? }.write(&mut value);
        sdp::Crypto::parse(std::str::from_utf8(&value).ok()?)
    }
}

/// What our description says of keys.
#[derive(Debug, Default)]
pub(crate) struct LocalKeys {
    pub(crate) crypto: Vec<sdp::Crypto>,
    pub(crate) secure: bool,
}

/// A peer's line as we can use it.
fn usable(line: &sdp::Crypto) -> Option<Crypto> {
    Crypto::parse(line.value().as_bytes()).ok()
}

impl Switch {
    fn srtp_policy(&self, party: &Party) -> SrtpPolicy {
        match party {
            Party::Device { tenant, device } => {
                let info = self.directory.plans.device(tenant, device);
                info.map_or(SrtpPolicy::Answered, |info| info.signalling.srtp)
            }
            Party::Trunk(_) | Party::FaxBox { .. } => SrtpPolicy::Off,
        }
    }

    /// Whether an offer demands SRTP that we cannot or may not speak with its sender.
    pub(crate) fn cannot_secure(&self, party: &Party, offer: &Session) -> bool {
        let Some((_, media)) = offer.audio() else { return false };
        let off = self.srtp_policy(party) == SrtpPolicy::Off;
        match media.security() {
            Security::Required => off || !media.crypto.iter().any(|line| usable(line).is_some()),
            Security::Offered | Security::None => false,
        }
    }

    /// The keys of our next description to a leg: its answer to `offer`, or an offer.
    pub(crate) fn local_keys(&self, leg: &Leg, offer: Option<&Session>) -> LocalKeys {
        let policy = self.srtp_policy(&leg.party);
        match offer {
            Some(offer) => answered(policy, leg, offer),
            None => offered(policy, leg),
        }
    }
}

/// An answer takes the first of the peer's lines that we can use.
fn answered(policy: SrtpPolicy, leg: &Leg, offer: &Session) -> LocalKeys {
    let secure = policy == SrtpPolicy::Required;
    let (Some((_, media)), Some(own)) = (offer.audio(), &leg.own_keys) else {
        return LocalKeys { secure, ..LocalKeys::default() };
    };
    let hidden = leg.flow.transport == Transport::Tls;
    let wanted = match (media.security(), policy) {
        (Security::None, _) | (_, SrtpPolicy::Off) => false,
        (Security::Required, _) | (_, SrtpPolicy::Required) => true,
        (Security::Offered, SrtpPolicy::Answered | SrtpPolicy::Offer) => hidden,
    };
    let chosen = media.crypto.iter().filter(|_| wanted).find_map(usable);
    let line = chosen.and_then(|chosen| own.line(chosen.tag, chosen.key.suite()));
    LocalKeys { crypto: line.into_iter().collect(), secure }
}

/// An offer has all our lines, or, once one is agreed on, that one.
fn offered(policy: SrtpPolicy, leg: &Leg) -> LocalKeys {
    let Some(own) = &leg.own_keys else { return LocalKeys::default() };
    let agreed = leg.agreed.as_ref();
    if let Some(theirs) = agreed.and_then(|agreed| agreed.crypto.as_ref()).and_then(usable) {
        let crypto = own.line(theirs.tag, theirs.key.suite()).into_iter().collect();
        return LocalKeys { crypto, secure: agreed.is_some_and(|agreed| agreed.secure) };
    }
    let hidden = leg.flow.transport == Transport::Tls;
    let (wanted, secure) = match policy {
        SrtpPolicy::Answered | SrtpPolicy::Off => (false, false),
        // What was agreed on without keys stays so.
        SrtpPolicy::Offer => (hidden && agreed.is_none(), false),
        SrtpPolicy::Required => (true, true),
    };
    let lines = (1..).zip(OFFERED).filter(|_| wanted);
    LocalKeys { crypto: lines.filter_map(|(tag, suite)| own.line(tag, suite)).collect(), secure }
}

/// The keys of a leg's stream, when SRTP is agreed on.
pub(crate) fn keys(leg: &Leg, agreed: &Agreed) -> Option<SrtpKeys> {
    let theirs = usable(agreed.crypto.as_ref()?)?;
    let send = leg.own_keys.as_ref()?.of(theirs.key.suite())?;
    Some(SrtpKeys { send, receive: theirs.key })
}

/// Whether the keys that an answer brings can be used, or it brings none.
pub(crate) fn can_be_used(agreed: &Agreed) -> bool {
    agreed.crypto.as_ref().is_none_or(|line| usable(line).is_some())
}
