//! What the transports count: messages both ways, and what was dropped, by cause.

use koukan_sip::Transport;

/// Counts of one transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportCounters {
    /// Messages or datagrams received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
}

/// Why something was dropped, or a connection closed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropCause {
    /// The socket's buffer was full.
    UdpFull,
    /// The system refused to send.
    UdpRefused,
    /// No listener of that transport stands.
    NoListener,
    /// A stream that cannot be followed: no SIP, or beyond a bound.
    TcpUnreadable,
    /// A message that was begun and not finished in time.
    TcpHalfMessage,
    /// A connection that was silent for too long.
    TcpIdle,
    /// A peer that does not read what we send.
    TcpSlowReader,
    /// A connection from a network that nothing is taken from.
    Blocked,
    /// More connections than may be.
    TcpTooMany,
    /// A connection could not be accepted for want of descriptors.
    TcpAccept,
    /// A connection that we asked for did not come about.
    TcpConnect,
    /// A message for a connection that is gone.
    TcpGone,
    /// A TLS handshake that failed, or a session that was broken.
    TlsHandshake,
    /// A TLS handshake that was not finished in time.
    TlsSlowHandshake,
    /// More unfinished TLS handshakes than may be: the oldest is closed.
    TlsTooManyHandshakes,
    /// A connection by TLS that we should open, without an authority to hold the peer against.
    TlsNoAuthority,
    /// A datagram that began like STUN and was no binding request.
    Stun,
}

impl DropCause {
    /// Every cause, in the order of the counters.
    pub const ALL: [Self; 17] = [
        Self::UdpFull,
        Self::UdpRefused,
        Self::NoListener,
        Self::TcpUnreadable,
        Self::TcpHalfMessage,
        Self::TcpIdle,
        Self::TcpSlowReader,
        Self::Blocked,
        Self::TcpTooMany,
        Self::TcpAccept,
        Self::TcpConnect,
        Self::TcpGone,
        Self::TlsHandshake,
        Self::TlsSlowHandshake,
        Self::TlsTooManyHandshakes,
        Self::TlsNoAuthority,
        Self::Stun,
    ];

    /// The value of the metric's label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::UdpFull => "udp_full",
            Self::UdpRefused => "udp_refused",
            Self::NoListener => "no_listener",
            Self::TcpUnreadable => "tcp_unreadable",
            Self::TcpHalfMessage => "tcp_half_message",
            Self::TcpIdle => "tcp_idle",
            Self::TcpSlowReader => "tcp_slow_reader",
            Self::Blocked => "blocked",
            Self::TcpTooMany => "tcp_too_many",
            Self::TcpAccept => "tcp_accept",
            Self::TcpConnect => "tcp_connect",
            Self::TcpGone => "tcp_gone",
            Self::TlsHandshake => "tls_handshake",
            Self::TlsSlowHandshake => "tls_slow_handshake",
            Self::TlsTooManyHandshakes => "tls_too_many_handshakes",
            Self::TlsNoAuthority => "tls_no_authority",
            Self::Stun => "stun",
        }
    }
}

/// Everything that the transports count.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Datagrams.
    pub udp: TransportCounters,
    /// Messages over bare streams.
    pub tcp: TransportCounters,
    /// Messages over TLS.
    pub tls: TransportCounters,
    /// TLS handshakes that came to their end.
    pub handshakes: u64,
    /// Keep-alives taken: line ends and STUN.
    pub pings: u64,
    drops: [u64; DropCause::ALL.len()],
}

impl Counters {
    /// The counts of a transport.
    pub const fn of(&mut self, transport: Transport) -> &mut TransportCounters {
        match transport {
            Transport::Udp => &mut self.udp,
            Transport::Tcp => &mut self.tcp,
            Transport::Tls => &mut self.tls,
        }
    }

    /// Counts one drop.
    pub fn dropped(&mut self, cause: DropCause) {
        if let Some(count) = self.drops.get_mut(cause as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds what another thread counted.
    pub fn add(&mut self, other: &Self) {
        let pairs =
            [(&mut self.udp, other.udp), (&mut self.tcp, other.tcp), (&mut self.tls, other.tls)];
        for (own, other) in pairs {
            own.received = own.received.saturating_add(other.received);
            own.sent = own.sent.saturating_add(other.sent);
        }
        self.handshakes = self.handshakes.saturating_add(other.handshakes);
        self.pings = self.pings.saturating_add(other.pings);
        for (own, other) in self.drops.iter_mut().zip(other.drops) {
            *own = own.saturating_add(other);
        }
    }

    /// How often that happened.
    #[must_use]
    pub fn drops(&self, cause: DropCause) -> u64 {
        self.drops.get(cause as usize).copied().unwrap_or(0)
    }
}

/// Counts one more.
pub(crate) fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_a_counter_and_a_label_of_its_own() {
        let mut counters = Counters::default();
        for (times, cause) in DropCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, times);
            (0..times).for_each(|_| counters.dropped(cause));
        }
        for (times, cause) in DropCause::ALL.into_iter().enumerate() {
            assert_eq!(counters.drops(cause), times as u64);
            let same = DropCause::ALL.iter().filter(|other| other.label() == cause.label());
            assert_eq!(same.count(), 1);
        }
    }
}
