//! Whose stream a media worker still takes: each tenant has a share of every worker that no other
//! can take from it. Streams are counted, by worker and tenant; how many packets each may bring is
//! bounded beside ([`crate::Pace`]), so that streams are what a worker's time is shared by.

use std::collections::HashMap;
use std::sync::Arc;

use koukan_base::StreamId;

use crate::OpenError;
use crate::overload::Shed;

/// The part of a worker's streams that is kept for tenants that have less than their share: one of
/// so many.
const KEPT: u32 = 4;

/// Who holds what of one worker.
#[derive(Debug, Default)]
struct Holding {
    all: u32,
    of: HashMap<Arc<str>, u32>,
}

impl Holding {
    fn held(&self, tenant: &str) -> u32 {
        self.of.get(tenant).copied().unwrap_or(0)
    }

    /// Tenants that hold something, with one that will.
    fn tenants(&self, tenant: &str) -> u32 {
        let others = u32::try_from(self.of.len()).unwrap_or(u32::MAX);
        others.saturating_add(u32::from(!self.of.contains_key(tenant)))
    }

    /// A tenant's share of so many streams, of at least so many tenants.
    fn share(&self, tenant: &str, streams: u32, least: u32) -> u32 {
        streams / self.tenants(tenant).max(least)
    }

    fn add(&mut self, tenant: Arc<str>) {
        self.all = self.all.saturating_add(1);
        let held = self.of.entry(tenant).or_default();
        *held = held.saturating_add(1);
    }

    fn remove(&mut self, tenant: &str) {
        self.all = self.all.saturating_sub(1);
        if let Some(held) = self.of.get_mut(tenant) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.of.remove(tenant);
            }
        }
    }
}

/// The shares of all workers.
#[derive(Debug)]
pub struct Shares {
    /// Streams that a worker has at most.
    most: u32,
    /// Tenants between whom they are shared at least: one that is alone shares with the next to
    /// come, where there is another.
    least: u32,
    workers: Vec<Holding>,
    streams: HashMap<StreamId, (usize, Arc<str>)>,
}

impl Shares {
    /// Of so many workers with so many streams at most.
    #[must_use]
    pub fn new(workers: usize, most: usize) -> Self {
        Self {
            most: u32::try_from(most).unwrap_or(u32::MAX),
            least: 2,
            workers: (0..workers).map(|_| Holding::default()).collect(),
            streams: HashMap::new(),
        }
    }

    /// So many tenants there are: for a single one nothing is kept back.
    pub const fn set_tenants(&mut self, tenants: usize) {
        self.least = if tenants == 1 { 1 } else { 2 };
    }

    /// A tenant wants a stream on a worker that has given up so much.
    ///
    /// Anybody gets it while a quarter of the worker is free. Of that quarter, and of a worker that
    /// refuses new streams, only who holds less than its share: the same for each tenant that has
    /// something there, of all that the worker may have or, when it is behind, of all that it has.
    ///
    /// # Errors
    /// The worker is full, or is behind, or what is left of it is for others.
    pub fn open(
        &mut self,
        stream: StreamId,
        worker: usize,
        tenant: &Arc<str>,
        shed: Shed,
    ) -> Result<(), OpenError> {
        let (most, least) = (self.most, self.least);
        let holding = self.workers.get_mut(worker).ok_or(OpenError::Full)?;
        if holding.all >= most {
            return Err(OpenError::Full);
        }
        let held = holding.held(tenant);
        if shed >= Shed::Streams {
            // A worker with nothing of its own to blame for it takes the first of anybody.
            if held > 0 && held >= holding.share(tenant, holding.all, least) {
                return Err(OpenError::Behind);
            }
        } else if holding.all >= most - most / KEPT && held >= holding.share(tenant, most, least) {
            return Err(OpenError::Share);
        }
        holding.add(tenant.clone());
        self.streams.insert(stream, (worker, tenant.clone()));
        Ok(())
    }

    /// A stream goes to another worker, which takes it in any case: its call stands.
    pub fn moved(&mut self, stream: StreamId, to: usize) {
        let Some((worker, tenant)) = self.streams.get_mut(&stream) else { return };
        let from = std::mem::replace(worker, to);
        if let Some(holding) = self.workers.get_mut(from) {
            holding.remove(tenant);
        }
        if let Some(holding) = self.workers.get_mut(to) {
            holding.add(tenant.clone());
        }
    }

    /// A stream has ended, or is no worker's any more.
    pub fn close(&mut self, stream: StreamId) {
        let Some((worker, tenant)) = self.streams.remove(&stream) else { return };
        if let Some(holding) = self.workers.get_mut(worker) {
            holding.remove(&tenant);
        }
    }

    /// Streams of a tenant on a worker.
    #[must_use]
    pub fn held(&self, worker: usize, tenant: &str) -> u32 {
        self.workers.get(worker).map_or(0, |holding| holding.held(tenant))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant(number: usize) -> Arc<str> {
        format!("t{number}").into()
    }

    /// Opens streams of a tenant until one is refused, at most so many; how many, and why no more.
    fn flood(
        shares: &mut Shares,
        next: &mut u64,
        of: usize,
        most: usize,
        shed: Shed,
    ) -> (usize, Option<OpenError>) {
        for count in 0..most {
            *next += 1;
            if let Err(error) = shares.open(StreamId(*next), 0, &tenant(of), shed) {
                return (count, Some(error));
            }
        }
        (most, None)
    }

    #[test]
    fn the_flood_of_one_tenant_leaves_the_others_their_share() {
        let (mut shares, mut next) = (Shares::new(1, 1_000), 0);
        // Whoever comes behind it finds what is kept for it.
        let refused = flood(&mut shares, &mut next, 0, 2_000, Shed::Nothing);
        assert_eq!(refused, (750, Some(OpenError::Share)));
        assert_eq!(flood(&mut shares, &mut next, 1, 100, Shed::Nothing), (100, None));
        let refused = flood(&mut shares, &mut next, 0, 1_000, Shed::Nothing);
        assert_eq!(refused, (0, Some(OpenError::Share)));
        assert_eq!(flood(&mut shares, &mut next, 2, 100, Shed::Nothing), (100, None));
        assert_eq!(flood(&mut shares, &mut next, 3, 50, Shed::Nothing), (50, None));
        assert_eq!(flood(&mut shares, &mut next, 4, 1, Shed::Nothing), (0, Some(OpenError::Full)));
    }

    #[test]
    fn the_only_tenant_has_all_streams_until_there_is_another() {
        let (mut shares, mut next) = (Shares::new(1, 1_000), 0);
        shares.set_tenants(1);
        let refused = flood(&mut shares, &mut next, 0, 2_000, Shed::Nothing);
        assert_eq!(refused, (1_000, Some(OpenError::Full)));
        for stream in 1..=400 {
            shares.close(StreamId(stream));
        }
        let refused = flood(&mut shares, &mut next, 0, 1, Shed::Streams);
        assert_eq!(refused, (0, Some(OpenError::Behind)), "a worker that is behind takes no more");
        shares.set_tenants(2);
        let refused = flood(&mut shares, &mut next, 0, 1_000, Shed::Nothing);
        assert_eq!(refused, (150, Some(OpenError::Share)));
        assert_eq!(flood(&mut shares, &mut next, 1, 250, Shed::Nothing), (250, None));
    }

    #[test]
    fn a_worker_that_is_behind_refuses_those_who_hold_most_of_it() {
        let (mut shares, mut next) = (Shares::new(1, 1_000), 0);
        flood(&mut shares, &mut next, 0, 300, Shed::Nothing);
        flood(&mut shares, &mut next, 1, 20, Shed::Nothing);
        let refused = flood(&mut shares, &mut next, 0, 10, Shed::Streams);
        assert_eq!(refused, (0, Some(OpenError::Behind)));
        assert_eq!(flood(&mut shares, &mut next, 1, 10, Shed::Streams), (10, None));
        assert_eq!(flood(&mut shares, &mut next, 2, 1, Shed::Ears), (1, None), "its first");
        let (more, error) = flood(&mut shares, &mut next, 1, 1_000, Shed::Taps);
        assert!(more < 200 && error == Some(OpenError::Behind), "{more} {error:?}");
    }

    #[test]
    fn a_stream_that_moves_or_ends_gives_its_place_back() {
        let mut shares = Shares::new(2, 4);
        let (a, b) = (tenant(1), tenant(2));
        for number in 0..4 {
            let owner = if number < 3 { &a } else { &b };
            shares.open(StreamId(number), 0, owner, Shed::Nothing).unwrap();
        }
        assert_eq!(shares.open(StreamId(9), 0, &b, Shed::Nothing), Err(OpenError::Full));
        shares.moved(StreamId(0), 1);
        assert_eq!((shares.held(0, "t1"), shares.held(1, "t1")), (2, 1));
        shares.open(StreamId(9), 0, &b, Shed::Nothing).unwrap();
        for number in [0, 1, 2, 3, 9, 9, 77] {
            shares.close(StreamId(number));
        }
        assert!(shares.streams.is_empty());
        assert!(shares.workers.iter().all(|worker| worker.all == 0 && worker.of.is_empty()));
        assert_eq!(shares.open(StreamId(5), 7, &a, Shed::Nothing), Err(OpenError::Full));
    }

    proptest! {
        #[test]
        fn who_has_less_than_its_share_of_a_worker_that_is_not_full_is_never_refused(
            wishes in prop::collection::vec((0usize..6, any::<bool>(), any::<bool>()), 0..400),
        ) {
            let mut shares = Shares::new(1, 60);
            let mut open = Vec::new();
            for (number, (of, ends, behind)) in (0u64..).zip(wishes) {
                if ends && let Some(stream) = open.pop() {
                    shares.close(stream);
                    continue;
                }
                let worker = &shares.workers[0];
                let (held, tenants) =
                    (worker.held(&tenant(of)), worker.tenants(&tenant(of)).max(2));
                let (all, shed) =
                    (worker.all, if behind { Shed::Streams } else { Shed::Nothing });
                let outcome = shares.open(StreamId(number), 0, &tenant(of), shed);
                let share = if behind { all / tenants } else { 60 / tenants };
                if all < 60 && held < share {
                    prop_assert_eq!(outcome, Ok(()));
                }
                if outcome.is_ok() {
                    open.push(StreamId(number));
                }
                prop_assert_eq!(shares.workers[0].of.values().sum::<u32>(), shares.workers[0].all);
                prop_assert_eq!(usize::try_from(shares.workers[0].all).unwrap(), open.len());
            }
        }
    }
}
