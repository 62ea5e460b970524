//! A list of operations against one registrar (RFC 3261, section 10; RFC 5626), read from bytes:
//! registrations over datagrams and connections, lost connections, time, and keep-alives with and
//! without an answer in any order. Whatever the order was, nothing is bound for longer than it was
//! granted, nobody has more phones than allowed, and in the end nothing is left. Shared by property
//! test and fuzzer.

use std::time::Duration;

use koukan_base::Time;
use koukan_sip::registrar::{
    ContactEntry, Keepalive, KeepaliveBy, KeepaliveConfig, KeepaliveTo, RegisterRequest, Registrar,
    RegistrarConfig,
};
use koukan_sip::{Flow, ListenerId, Transport};

const PHONES: usize = 2;
/// Flows of one phone.
const FLOWS: usize = 4;

/// A registrar with what was asked of its phones.
pub(crate) struct RegistrarOps {
    now: Time,
    registrar: Registrar,
    cseq: u32,
    asked: Vec<Keepalive>,
}

impl RegistrarOps {
    /// An empty registrar; `seed` chooses its keep-alives.
    pub(crate) fn new(seed: u8) -> Self {
        let keepalive = KeepaliveConfig {
            to: match seed % 3 {
                0 => KeepaliveTo::None,
                1 => KeepaliveTo::Nat,
                _ => KeepaliveTo::All,
            },
            by: if seed & 4 == 0 { KeepaliveBy::Options } else { KeepaliveBy::LineEnds },
            interval: Duration::from_secs(20),
            misses: 2,
        };
        let config = RegistrarConfig { keepalive, ..RegistrarConfig::default() };
        let registrar = Registrar::new(config);
        Self { now: Time::from_millis(1), registrar, cseq: 0, asked: Vec::new() }
    }

    /// Performs every operation of `script`, then lets everything expire.
    pub(crate) fn run(mut self, script: &[u8]) {
        for operation in script.chunks_exact(3).take(300) {
            if let [what, which, how] = *operation {
                self.operation(what % 6, which, how);
                self.check();
            }
        }
        self.advance(Duration::from_secs(3_601));
        assert_eq!(self.registrar.users().count(), 0, "everything expires");
        assert_eq!(self.registrar.poll_timeout(), None, "no deadline without a binding");
    }

    fn operation(&mut self, what: u8, which: u8, how: u8) {
        let user = match which % 3 {
            0 => "a",
            1 => "b",
            _ => "c",
        };
        match what {
            0 | 1 => self.register(user, which, how),
            2 => self.registrar.flow_failed(self.now, flow(how)),
            3 => self.advance(Duration::from_secs(u64::from(which)) * u32::from(how % 16)),
            4 => {
                let star = RegisterRequest { star: true, ..self.request(Some(0)) };
                let _ = self.registrar.register(self.now, user, &star, flow(how), PHONES);
            }
            _ => {
                if !self.asked.is_empty() {
                    let asked = self.asked.swap_remove(usize::from(which) % self.asked.len());
                    let (now, answered) = (self.now, how & 1 == 0);
                    self.registrar.keepalive_ended(now, &asked.user, &asked.key, answered);
                }
            }
        }
    }

    fn request(&mut self, expires: Option<u32>) -> RegisterRequest {
        self.cseq += 1;
        RegisterRequest { cseq: self.cseq, expires, ..RegisterRequest::default() }
    }

    fn register(&mut self, user: &str, which: u8, how: u8) {
        let mut request = self.request(None);
        let contact = which / 3 % 5;
        request.call_id = vec![contact];
        let outbound = how & 0x40 != 0;
        request.contacts.push(ContactEntry {
            uri: format!("sip:{user}@192.0.2.{}:{}", contact % 3, 4_000 + u16::from(how % 8))
                .into_bytes(),
            expires: Some(if which & 0x80 == 0 { 60 + u32::from(how) * 10 } else { 0 }),
            q: u16::from(how) * 3,
            instance: outbound.then(|| vec![contact]),
            reg_id: outbound.then(|| u32::from(how % 6) + 1),
        });
        let outcome = self.registrar.register(self.now, user, &request, flow(how), PHONES);
        let bound = outcome.expect("a well-formed request in its order is taken");
        assert!(bound.len() <= 1 + PHONES * FLOWS, "each binding changes once");
    }

    fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.registrar.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.registrar.handle_timeout(self.now);
            while let Some(keepalive) = self.registrar.poll_keepalive() {
                if keepalive.by == KeepaliveBy::Options {
                    self.asked.push(keepalive);
                }
            }
        }
        self.now = end;
    }

    fn check(&self) {
        for (user, bindings) in self.registrar.users() {
            assert!(bindings.len() <= PHONES * FLOWS, "{user} has {} bindings", bindings.len());
            for (index, binding) in bindings.iter().enumerate() {
                assert!(binding.expires > self.now, "an expired binding stands");
                let same = bindings.iter().skip(index + 1).any(|b| b.key() == binding.key());
                assert!(!same, "two bindings with one key");
            }
            let next = self.registrar.poll_timeout().expect("a binding has a deadline");
            assert!(bindings.iter().all(|binding| binding.expires >= next));
            let phones = self.registrar.targets(user);
            let ways = phones.iter().map(Vec::len).sum::<usize>();
            assert!(phones.len() <= PHONES.max(bindings.len()) && ways <= bindings.len());
            assert!(!self.registrar.is_reachable(user) || ways > 0, "reachable without a way");
        }
    }
}

fn flow(how: u8) -> Flow {
    let transport = if how & 0x20 == 0 { Transport::Udp } else { Transport::Tcp };
    let connection = if transport == Transport::Udp { 0 } else { 1 + u64::from(how % 5) };
    let remote = ([192, 0, 2, how % 3], 4_000 + u16::from(how % 8)).into();
    Flow { transport, listener: ListenerId(0), remote, connection }
}
