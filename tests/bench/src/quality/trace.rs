//! What a network does to a stream of packets, from a seed: which are lost, and how late the
//! others come.

use std::time::Duration;

use koukan_base::Rng;

/// A network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    /// Share of packets that are lost, in percent.
    pub(crate) loss_percent: u32,
    /// How many are lost in a row, on average (Gilbert's model); with 1 each on its own.
    pub(crate) burst: u32,
    /// Packets come up to so many ms late, evenly spread, and may overtake each other.
    pub(crate) jitter_ms: u32,
}

impl Network {
    /// How late each of `count` packets comes; `None` when it is lost.
    pub(crate) fn delays(self, seed: u64, count: usize) -> Vec<Option<Duration>> {
        let mut rng = Rng::from_number(seed);
        let mut share = move || f64::from(rng.next_u32()) / 4_294_967_296.0;
        let loss = f64::from(self.loss_percent) / 100.0;
        let ends = 1.0 / f64::from(self.burst);
        let begins = loss * ends / (1.0 - loss);
        let mut losing = false;
        let jitter = f64::from(self.jitter_ms) / 1_000.0;
        (0..count)
            .map(|_| {
                let (drawn, late) = (share(), share() * jitter);
                losing = match (self.burst, losing) {
                    (1, _) => drawn < loss,
                    (_, true) => drawn >= ends,
                    (_, false) => drawn < begins,
                };
                (!losing).then(|| Duration::from_secs_f64(late))
            })
            .collect()
    }
}
