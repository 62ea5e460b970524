//! One bound contact: where its phone is reached, and whether it is (RFC 3261, section 10;
//! RFC 5626, sections 4 to 6).

use std::net::SocketAddr;
use std::time::Duration;

use koukan_base::Time;

use crate::header::Uri;
use crate::{Flow, Transport};

/// One bound contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The contact URI as the phone wrote it.
    pub uri: Vec<u8>,
    /// The way back to the phone: where the REGISTER really came from.
    pub flow: Flow,
    /// Preference, 0–1000.
    pub q: u16,
    /// The registration's Call-ID.
    pub call_id: Vec<u8>,
    /// Its sequence number.
    pub cseq: u32,
    /// When it ends.
    pub expires: Time,
    /// The phone's User-Agent.
    pub user_agent: Vec<u8>,
    /// Path values (RFC 3327), topmost first.
    pub path: Vec<Vec<u8>>,
    /// Which phone it is, whatever its address (`+sip.instance`), without quotes.
    pub instance: Option<Vec<u8>>,
    /// Which of that phone's flows it is (RFC 5626); only beside an instance.
    pub reg_id: Option<u32>,
    /// Whether the phone is there, as far as is known.
    pub liveness: Liveness,
}

/// What tells the bindings of one user apart: one contact may be bound over several flows of its
/// phone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BindingKey {
    /// The contact URI.
    pub uri: Vec<u8>,
    /// The flow's number (RFC 5626).
    pub reg_id: Option<u32>,
}

/// What is known of a phone's presence, and when it is asked for next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Liveness {
    /// What the last questions brought.
    pub health: Health,
    /// When the next keep-alive is due.
    pub(super) next: Option<Time>,
    /// When the one was sent that is not answered yet.
    pub(super) asked: Option<Time>,
    /// Questions without an answer since the last answer.
    pub(super) misses: u32,
}

impl Liveness {
    /// A connection that is gone.
    #[must_use]
    pub fn lost(since: Time) -> Self {
        Self { health: Health::Lost { since }, ..Self::default() }
    }
}

/// Whether a phone is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Nobody asked since it registered.
    #[default]
    Untested,
    /// It answered.
    Reachable {
        /// How long its last answer took.
        round_trip: Duration,
    },
    /// It did not answer so many times that it is taken to be away.
    Unreachable {
        /// Since when.
        since: Time,
    },
    /// Its connection has ended, and it has not come back with another.
    Lost {
        /// Since when.
        since: Time,
    },
}

impl Binding {
    /// What tells it from the user's other bindings.
    #[must_use]
    pub fn key(&self) -> BindingKey {
        BindingKey { uri: self.uri.clone(), reg_id: self.reg_id }
    }

    /// The flow of its phone that it is (RFC 5626, section 6).
    pub(super) fn flow_of(&self) -> Option<(&[u8], u32)> {
        Some((self.instance.as_deref()?, self.reg_id?))
    }

    /// Which phone it belongs to: by its instance, else by its contact.
    pub(super) fn phone(&self) -> &[u8] {
        let instance = self.instance.as_deref().filter(|_| self.reg_id.is_some());
        instance.unwrap_or(&self.uri)
    }

    /// The contact's own address and port, when its host is an address.
    fn contact_address(&self) -> Option<SocketAddr> {
        let uri = Uri::parse(&self.uri)?;
        let secure = uri.is_secure() || self.flow.transport == Transport::Tls;
        let port = uri.port.unwrap_or(if secure { 5061 } else { 5060 });
        Some(SocketAddr::new(uri.address()?, port))
    }

    /// Whether the contact names another address than the one that the phone speaks from: a NAT
    /// stands between, and requests reach the phone by its flow alone. The port of a stream says
    /// nothing: phones connect from any.
    #[must_use]
    pub fn is_behind_nat(&self) -> bool {
        let remote = self.flow.remote;
        !self.contact_address().is_some_and(|own| match self.flow.transport {
            Transport::Udp => own == remote,
            Transport::Tcp | Transport::Tls => own.ip() == remote.ip(),
        })
    }

    /// Whether the phone did not answer when it was asked, or its connection is gone and it cannot
    /// be connected to.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self.liveness.health {
            Health::Untested | Health::Reachable { .. } => false,
            Health::Unreachable { .. } => true,
            Health::Lost { .. } => self.target().is_none(),
        }
    }

    /// Where a request to it goes; `None` when nothing leads there until the phone comes back.
    ///
    /// The contact's own address is only used where the phone speaks from that address: a private
    /// address of another network may be anybody's here. A flow of RFC 5626 is never replaced by a
    /// connection of ours (section 5.3: the phone makes a new one).
    #[must_use]
    pub fn target(&self) -> Option<Flow> {
        match self.liveness.health {
            Health::Untested | Health::Reachable { .. } | Health::Unreachable { .. } => {
                Some(self.flow)
            }
            Health::Lost { .. } if self.reg_id.is_some() || self.is_behind_nat() => None,
            Health::Lost { .. } => {
                let remote = self.contact_address()?;
                Some(Flow { remote, connection: 0, ..self.flow })
            }
        }
    }

    /// Where a stream may be opened to a phone that is bound by datagrams: to its contact, when
    /// that is where it speaks from and does not insist on datagrams.
    pub(super) fn stream_address(&self) -> Option<SocketAddr> {
        let udp = self.flow.transport == Transport::Udp;
        let insists = Uri::parse(&self.uri)?.params.has(b"transport");
        self.contact_address().filter(|_| udp && !insists && !self.is_behind_nat())
    }
}

/// The connection that a binding is bound over, as long as it stands.
pub(super) fn standing_connection(binding: &Binding) -> Option<u64> {
    let lost = matches!(binding.liveness.health, Health::Lost { .. });
    Some(binding.flow.connection).filter(|id| *id != 0 && !lost)
}

/// Whether two contacts are one (RFC 3261, 19.1.4, as far as phones differ): same user, host, port
/// and transport; a phone that adds or drops another parameter on refresh is the same phone.
pub(super) fn same_uri(left: &[u8], right: &[u8]) -> bool {
    if left == right {
        return true;
    }
    let (Some(a), Some(b)) = (Uri::parse(left), Uri::parse(right)) else { return false };
    let transport =
        |uri: &Uri<'_>| uri.params.value(b"transport").unwrap_or(b"udp").to_ascii_lowercase();
    a.scheme.eq_ignore_ascii_case(b.scheme)
        && a.user_unescaped() == b.user_unescaped()
        && a.host.eq_ignore_ascii_case(b.host)
        && a.port.unwrap_or(5060) == b.port.unwrap_or(5060)
        && transport(&a) == transport(&b)
}
