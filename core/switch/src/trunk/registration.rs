//! Our registration at a trunk (RFC 3261, 10.2), as a machine of its own: when a REGISTER is sent,
//! for how long it asks, and what follows from the answer. The pauses behind failures are those of
//! RFC 5626, 4.5: each twice the one before, of random length, so that a carrier that comes back
//! is not met by everybody at once.

use std::net::SocketAddr;
use std::time::Duration;

use koukan_base::{Rng, Time};

/// What came of a REGISTER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Bound for so many seconds.
    Granted { expires_s: u32 },
    /// 423: so many seconds at least.
    TooBrief { min_s: u32 },
    /// The registrar knows us and wants us not: 401 or 407 to our digest, 403, 404, another 4xx.
    Refused { status: u16 },
    /// The host's fault: it is silent, or says 5xx.
    HostFailed { status: u16 },
}

/// What a host is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// For how long; 0 takes the binding back.
    pub(crate) expires_s: u32,
    /// The host that has the binding.
    pub(crate) prefer: Option<SocketAddr>,
    /// Hosts that have failed since the last success.
    pub(crate) but: Vec<SocketAddr>,
}

/// What became known, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing new.
    Nothing,
    /// It stands, for the first time or again.
    Stands,
    /// It cannot be had; tried again after so long.
    Failed { status: u16, pause: Duration },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Until then nothing is to be done.
    Wait { until: Time },
    /// A REGISTER is under way.
    Asking { host: Option<SocketAddr> },
    /// Taken back for good.
    Over,
}

/// The registration of one account.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The binding that stands: where, and until when.
    stands: Option<(SocketAddr, Time)>,
    asked_s: u32,
    step: Step,
    /// Rounds over all hosts, or refusals, in a row.
    failures: u32,
    /// 423 in a row.
    briefs: u32,
    but: Vec<SocketAddr>,
    /// The status of the last failure, until it stands again.
    failed: Option<u16>,
}

/// The pause behind the first round in which no host answered (RFC 5626, 4.5).
const HOSTS_PAUSE: Duration = Duration::from_secs(30);
/// The pause behind the first refusal: a wrong password does not become right by asking often, and
/// accounts are locked for less.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(1_800);
/// Longer than this nobody is registered, whatever a 423 or a 200 says.
const LONGEST_S: u32 = 86_400;
/// From here on a binding is refreshed so long before its end, else at half of its time.
const LONG_S: u32 = 1_200;
const BEFORE_END_S: u32 = 600;

impl Registration {
    /// Asks for `expires_s` seconds, first at `begin`.
    pub(crate) fn new(begin: Time, expires_s: u32) -> Self {
        Self {
            stands: None,
            asked_s: expires_s,
            step: Step::Wait { until: begin },
            failures: 0,
            briefs: 0,
            but: Vec::new(),
            failed: None,
        }
    }

    /// When `handle_timeout` is to be called next.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let step = match self.step {
            Step::Wait { until } => Some(until),
            Step::Asking { .. } | Step::Over => None,
        };
        let end = self.stands.map(|(_, until)| until);
        [step, end].into_iter().flatten().min()
    }

    /// What is to be asked now. Whoever gets it calls `sent` or `no_host`.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> Option<Ask> {
        if self.stands.is_some_and(|(_, until)| until <= now) {
            self.stands = None;
        }
        match self.step {
            Step::Wait { until } if until <= now => {
                self.step = Step::Asking { host: None };
                let prefer = self.stands.map(|(host, _)| host);
                Some(Ask { expires_s: self.asked_s, prefer, but: self.but.clone() })
            }
            Step::Wait { .. } | Step::Asking { .. } | Step::Over => None,
        }
    }

    /// The REGISTER went to this host.
    pub(crate) fn sent(&mut self, host: SocketAddr) {
        if let Step::Asking { host: asked } = &mut self.step {
            *asked = Some(host);
        }
    }

    /// There is no host left to ask: a pause, then all of them again.
    pub(crate) fn no_host(&mut self, now: Time, rng: &mut Rng) -> Told {
        let status = self.failed.unwrap_or(408);
        self.pause(now, rng, HOSTS_PAUSE, status)
    }

    /// What came of the REGISTER.
    pub(crate) fn handle_outcome(&mut self, now: Time, rng: &mut Rng, outcome: Outcome) -> Told {
        let Step::Asking { host } = self.step else { return Told::Nothing };
        match outcome {
            Outcome::Granted { expires_s } => {
                let expires_s = expires_s.clamp(1, LONGEST_S);
                let new = self.stands.is_none() || self.failed.is_some();
                let host = host.or(self.stands.map(|(host, _)| host));
                let until = now + Duration::from_secs(u64::from(expires_s));
                self.stands = host.map(|host| (host, until));
                self.step = Step::Wait { until: now + refresh(expires_s, rng) };
                (self.failures, self.briefs, self.failed) = (0, 0, None);
                self.but.clear();
                if new { Told::Stands } else { Told::Nothing }
            }
            Outcome::TooBrief { min_s } if self.briefs < 3 && min_s <= LONGEST_S => {
                self.briefs = self.briefs.saturating_add(1);
                self.asked_s = min_s.max(self.asked_s.saturating_add(1)).min(LONGEST_S);
                self.step = Step::Wait { until: now };
                Told::Nothing
            }
            Outcome::TooBrief { .. } => self.pause(now, rng, REFUSED_PAUSE, 423),
            Outcome::Refused { status } => {
                self.stands = None;
                self.pause(now, rng, REFUSED_PAUSE, status)
            }
            Outcome::HostFailed { status } => {
                self.failed = Some(status);
                self.but.extend(host);
                self.step = Step::Wait { until: now };
                Told::Nothing
            }
        }
    }

    fn pause(&mut self, now: Time, rng: &mut Rng, first: Duration, status: u16) -> Told {
        let longest = first.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        let pause = part(longest, 50, rng);
        self.failures = self.failures.saturating_add(1);
        self.briefs = 0;
        self.but.clear();
        self.failed = Some(status);
        self.step = Step::Wait { until: now + pause };
        Told::Failed { status, pause }
    }

    /// It is asked for at once, whatever it waits for: hosts have become known, a host is back, or
    /// the host that has the binding does not answer any more.
    pub(crate) fn hurry(&mut self, now: Time) {
        if let Step::Wait { until } = &mut self.step {
            *until = now.min(*until);
        }
    }

    /// It is not wanted any more: what takes it back, when it stands.
    pub(crate) fn stop(&mut self) -> Option<Ask> {
        self.step = Step::Over;
        let (host, _) = self.stands.take()?;
        Some(Ask { expires_s: 0, prefer: Some(host), but: Vec::new() })
    }

    /// Where it stands, and until when.
    pub(crate) fn stands(&self) -> Option<(SocketAddr, Time)> {
        self.stands
    }

    /// The status of the failure that it has not overcome yet.
    pub(crate) fn failed(&self) -> Option<u16> {
        self.failed
    }

    /// Whether it was tried, in vain.
    pub(crate) fn is_lacking(&self) -> bool {
        self.stands.is_none() && self.failed.is_some()
    }
}

/// When a binding is asked for again: up to a tenth of that time earlier, so that accounts that
/// registered together do not stay together.
fn refresh(expires_s: u32, rng: &mut Rng) -> Duration {
    let after =
        if expires_s >= LONG_S { expires_s.saturating_sub(BEFORE_END_S) } else { expires_s / 2 };
    part(Duration::from_millis(u64::from(after) * 1_000 + u64::from(expires_s % 2) * 500), 90, rng)
}

/// A random part of a time, at least so many percent of it.
fn part(time: Duration, percent: u32, rng: &mut Rng) -> Duration {
    let least = time.saturating_mul(percent) / 100;
    let rest_ms = u64::try_from(time.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
    let more = if rest_ms == 0 { 0 } else { rng.next_u64() % rest_ms };
    least + Duration::from_millis(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5060))
    }

    fn secs(seconds: u64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    /// It stands at the first host.
    fn standing(expires_s: u32) -> (Registration, Rng) {
        let (mut registration, mut rng) = (Registration::new(secs(0), 3_600), Rng::from_number(1));
        registration.handle_timeout(secs(0)).unwrap();
        registration.sent(host(1));
        let told = registration.handle_outcome(secs(0), &mut rng, Outcome::Granted { expires_s });
        assert_eq!(told, Told::Stands);
        (registration, rng)
    }

    #[test]
    fn a_binding_is_refreshed_at_its_host_before_it_ends_and_never_late() {
        for expires_s in [1, 2, 30, 59, 60, 600, 1_199, 1_200, 3_600, 86_400] {
            let (mut registration, mut rng) = standing(expires_s);
            let at = registration.poll_timeout().unwrap();
            let wanted = if expires_s < 1_200 {
                f64::from(expires_s) / 2.0
            } else {
                f64::from(expires_s) - 600.0
            };
            let after = at.as_millis() as f64 / 1_000.0;
            assert!((wanted * 0.9 - 0.001..=wanted).contains(&after), "{expires_s}: {after}");
            assert_eq!(registration.handle_timeout(at - Duration::from_millis(1)), None);
            let ask = registration.handle_timeout(at).unwrap();
            assert_eq!((ask.expires_s, ask.prefer), (3_600, Some(host(1))));
            registration.sent(host(1));
            let outcome = Outcome::Granted { expires_s };
            assert_eq!(registration.handle_outcome(at, &mut rng, outcome), Told::Nothing);
            assert!(registration.stands().unwrap().1 > at);
        }
    }

    #[test]
    fn too_brief_is_asked_again_at_once_for_what_the_registrar_wants() {
        let (mut registration, mut rng) = (Registration::new(secs(0), 60), Rng::from_number(1));
        assert_eq!(registration.handle_timeout(secs(0)).unwrap().expires_s, 60);
        registration.sent(host(1));
        let told = registration.handle_outcome(secs(0), &mut rng, Outcome::TooBrief { min_s: 900 });
        assert_eq!(told, Told::Nothing);
        assert_eq!(registration.handle_timeout(secs(0)).unwrap().expires_s, 900);
        // One that goes on for ever is left for a while.
        for _ in 0..3 {
            registration.sent(host(1));
            registration.handle_outcome(secs(0), &mut rng, Outcome::TooBrief { min_s: 1 });
            registration.handle_timeout(secs(0));
        }
        assert!(registration.poll_timeout().unwrap() >= secs(30));
    }

    #[test]
    fn a_silent_host_is_followed_by_the_next_one_and_the_last_by_a_pause_that_grows() {
        let (mut registration, mut rng) = (Registration::new(secs(0), 3_600), Rng::from_number(1));
        let mut pauses = Vec::new();
        let mut now = secs(0);
        for _ in 0..9 {
            let mut but = Vec::new();
            for last in 1..=2 {
                let ask = registration.handle_timeout(now).unwrap();
                assert_eq!(ask.but, but);
                registration.sent(host(last));
                but.push(host(last));
                let silent = Outcome::HostFailed { status: 408 };
                assert_eq!(registration.handle_outcome(now, &mut rng, silent), Told::Nothing);
            }
            assert_eq!(registration.handle_timeout(now).unwrap().but, but);
            let told = registration.no_host(now, &mut rng);
            let Told::Failed { status: 408, pause } = told else { panic!("{told:?}") };
            assert!(registration.is_lacking());
            pauses.push(pause.as_secs());
            now = now + pause;
            assert_eq!(registration.poll_timeout(), Some(now));
        }
        for (at, pause) in pauses.iter().enumerate() {
            let longest = (30 << at).min(1_800);
            assert!((longest / 2..=longest).contains(pause), "{pauses:?}");
        }
    }

    #[test]
    fn a_refusal_waits_longer_and_a_lost_host_leaves_the_binding_to_its_own_end() {
        let (mut registration, mut rng) = standing(600);
        let at = registration.poll_timeout().unwrap();
        registration.handle_timeout(at).unwrap();
        registration.sent(host(1));
        registration.handle_outcome(at, &mut rng, Outcome::HostFailed { status: 408 });
        registration.handle_timeout(at).unwrap();
        registration.no_host(at, &mut rng);
        assert!(registration.stands().is_some(), "the carrier still has it");
        registration.handle_timeout(secs(600));
        assert_eq!(registration.stands(), None);
        registration.sent(host(1));
        let told =
            registration.handle_outcome(secs(600), &mut rng, Outcome::Refused { status: 403 });
        let Told::Failed { status: 403, pause } = told else { panic!("{told:?}") };
        assert!(pause >= Duration::from_secs(60), "behind another failure: {pause:?}");
        registration.hurry(secs(601));
        assert!(registration.handle_timeout(secs(601)).is_some());
    }

    #[test]
    fn what_stands_is_taken_back_once_and_an_answer_to_it_changes_nothing() {
        let (mut registration, mut rng) = standing(600);
        let ask = registration.stop().unwrap();
        assert_eq!((ask.expires_s, ask.prefer), (0, Some(host(1))));
        assert_eq!((registration.stop(), registration.poll_timeout()), (None, None));
        let told =
            registration.handle_outcome(secs(1), &mut rng, Outcome::Granted { expires_s: 9 });
        assert_eq!((told, registration.stands()), (Told::Nothing, None));
    }
}
