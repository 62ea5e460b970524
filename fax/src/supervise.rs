//! The rules by which the server keeps a fax worker's process alive: started, greeted, started anew
//! with a growing delay when it dies, given up on never. A death ends the faxes that it carried;
//! their finished pages are on the disk.

use std::time::Duration;

use koukan_base::Time;

/// The first delay before a worker is started anew.
pub const FIRST_DELAY: Duration = Duration::from_millis(200);
/// The longest one.
pub const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A worker that lived so long is a healthy one: its death begins the delays anew.
pub const HEALTHY: Duration = Duration::from_secs(60);
/// A worker that has not said that it is ready by then is killed.
pub const READY_WITHIN: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Start the process.
    Start,
    /// Kill it: it does not get ready.
    Kill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down { start_at: Time },
    Starting { kill_at: Time },
    Killed,
    Up { since: Time },
}

/// One worker's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervisor {
    state: State,
    delay: Duration,
    deaths: u64,
}

impl Supervisor {
    /// A worker that is to be started at once.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self { state: State::Down { start_at: now }, delay: FIRST_DELAY, deaths: 0 }
    }

    /// When [`Supervisor::handle_timeout`] has something to do.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Down { start_at } => Some(start_at),
            State::Starting { kill_at } => Some(kill_at),
            State::Killed | State::Up { .. } => None,
        }
    }

    /// What is due. `Start` counts as carried out: a start that fails is a death.
    pub fn handle_timeout(&mut self, now: Time) -> Option<Order> {
        match self.state {
            State::Down { start_at } if start_at <= now => {
                self.state = State::Starting { kill_at: now + READY_WITHIN };
                Some(Order::Start)
            }
            State::Starting { kill_at } if kill_at <= now => {
                self.state = State::Killed;
                Some(Order::Kill)
            }
            State::Down { .. } | State::Starting { .. } | State::Killed | State::Up { .. } => None,
        }
    }

    /// It has said that it is ready.
    pub fn ready(&mut self, now: Time) {
        if matches!(self.state, State::Starting { .. }) {
            self.state = State::Up { since: now };
        }
    }

    /// It has died, or could not be started.
    pub fn died(&mut self, now: Time) {
        let healthy = matches!(self.state, State::Up { since } if since + HEALTHY <= now);
        if healthy {
            self.delay = FIRST_DELAY;
        }
        self.deaths += 1;
        self.state = State::Down { start_at: now + self.delay };
        self.delay = (self.delay * 2).min(LONGEST_DELAY);
    }

    /// Whether faxes can be given to it.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// How often it has died.
    #[must_use]
    pub const fn deaths(&self) -> u64 {
        self.deaths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_dies_at_once_is_started_ever_more_slowly_and_never_given_up() {
        let mut now = Time::from_millis(1);
        let mut supervisor = Supervisor::new(now);
        let mut delays = Vec::new();
        for _ in 0..20 {
            assert_eq!(supervisor.handle_timeout(now), Some(Order::Start));
            supervisor.died(now);
            let next = supervisor.poll_timeout().unwrap();
            delays.push(next.since(now));
            assert_eq!(supervisor.handle_timeout(now), None, "not before its time");
            now = next;
        }
        assert_eq!(delays[..3], [FIRST_DELAY, FIRST_DELAY * 2, FIRST_DELAY * 4]);
        assert_eq!(delays[19], LONGEST_DELAY);
        assert_eq!(supervisor.deaths(), 20);
    }

    #[test]
    fn a_healthy_life_makes_the_next_start_quick_again() {
        let mut now = Time::from_millis(1);
        let mut supervisor = Supervisor::new(now);
        for _ in 0..5 {
            assert_eq!(supervisor.handle_timeout(now), Some(Order::Start));
            supervisor.died(now);
            now = supervisor.poll_timeout().unwrap();
        }
        supervisor.handle_timeout(now);
        supervisor.ready(now);
        assert!(supervisor.is_up() && supervisor.poll_timeout().is_none());
        now = now + HEALTHY;
        supervisor.died(now);
        assert_eq!(supervisor.poll_timeout(), Some(now + FIRST_DELAY));
    }

    #[test]
    fn a_worker_that_says_nothing_is_killed() {
        let mut supervisor = Supervisor::new(Time::ZERO);
        supervisor.handle_timeout(Time::ZERO);
        let late = Time::ZERO + READY_WITHIN;
        assert_eq!(supervisor.handle_timeout(late), Some(Order::Kill));
        assert_eq!(supervisor.handle_timeout(late), None, "once");
        supervisor.ready(late);
        assert!(!supervisor.is_up(), "too late");
        supervisor.died(late);
        assert!(supervisor.poll_timeout().is_some());
    }
}
