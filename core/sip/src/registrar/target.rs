//! The ways that lead to a user's phones (RFC 3261, 18.1.1; RFC 5626, section 7).

use std::net::SocketAddr;

use koukan_base::Time;

use super::Registrar;
use super::binding::{Binding, standing_connection};
use crate::Flow;

/// A way to a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The contact URI, for the Request-URI.
    pub uri: Vec<u8>,
    /// Path values, topmost first.
    pub path: Vec<Vec<u8>>,
    /// Where the request goes.
    pub flow: Flow,
    /// Where a request goes that is too long for a datagram.
    pub long: LongWay,
}

/// Where a request goes that is too long for a datagram (RFC 3261, 18.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LongWay {
    /// By datagrams all the same: nothing else reaches the phone.
    #[default]
    None,
    /// By this stream, which stands.
    Stands(Flow),
    /// A stream may be opened to this address of the phone.
    Opens(SocketAddr),
}

/// What tells a phone from others, and its ways with the ends of their bindings.
type Phone<'r> = (&'r [u8], Vec<(Time, Way)>);

impl Registrar {
    /// The ways to a user's phones, the preferred phone first. A phone with several flows (RFC
    /// 5626) is rung once, over the one that was bound last; the others stand behind it. Phones
    /// that do not answer are passed over as long as others do.
    #[must_use]
    pub fn targets(&self, user: &str) -> Vec<Vec<Way>> {
        let bindings = self.bindings(user);
        let somebody = bindings.iter().any(|known| !known.is_away());
        let mut phones: Vec<Phone<'_>> = Vec::new();
        for binding in &bindings {
            let flow = binding.target().filter(|_| !(somebody && binding.is_away()));
            let Some(flow) = flow else { continue };
            let way = Way {
                uri: binding.uri.clone(),
                path: binding.path.clone(),
                flow,
                long: long_way(binding, &bindings),
            };
            match phones.iter_mut().find(|(phone, _)| *phone == binding.phone()) {
                Some((_, ways)) => ways.push((binding.expires, way)),
                None => phones.push((binding.phone(), vec![(binding.expires, way)])),
            }
        }
        let latest_first = |mut ways: Vec<(Time, Way)>| {
            ways.sort_by_key(|(expires, _)| std::cmp::Reverse(*expires));
            ways.into_iter().map(|(_, way)| way).collect()
        };
        phones.into_iter().map(|(_, ways)| latest_first(ways)).collect()
    }

    /// Whether something leads to a phone of the user that is not known to be away.
    #[must_use]
    pub fn is_reachable(&self, user: &str) -> bool {
        let user = self.users.get(user);
        user.is_some_and(|user| user.bindings.iter().any(|binding| !binding.is_away()))
    }
}

/// Where what is too long for a datagram goes: over a stream that the same phone holds, else to an
/// address of it that may be connected to.
fn long_way(binding: &Binding, all: &[&Binding]) -> LongWay {
    if binding.flow.transport.is_reliable() {
        return LongWay::None;
    }
    let standing = all.iter().find(|other| {
        let same = other.instance.is_some() && other.instance == binding.instance;
        same && standing_connection(other).is_some()
    });
    match (standing, binding.stream_address()) {
        (Some(stream), _) => LongWay::Stands(stream.flow),
        (None, Some(address)) => LongWay::Opens(address),
        (None, None) => LongWay::None,
    }
}
