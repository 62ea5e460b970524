//! Requests that cross (RFC 3261, 14.1; RFC 3311, 5.2): how long to wait after 491 before the same
//! is offered to the user again.

use std::time::Duration;

use koukan_base::Rng;

/// The wait after a 491: 2.1–4 s for the owner of the Call-ID, 0–2 s for the other side, in steps
/// of 10 ms.
pub(super) fn wait(rng: &mut Rng, owns_call_id: bool) -> Duration {
    let (first, steps) = if owns_call_id { (210, 191) } else { (0, 201) };
    let step = u64::from(rng.next_u32() % steps).saturating_add(first);
    Duration::from_millis(step.saturating_mul(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_in_their_ranges_and_the_ranges_do_not_meet() {
        let mut rng = Rng::from_number(1);
        let mut seen = [(u128::MAX, 0), (u128::MAX, 0)];
        for _ in 0..20_000 {
            for (owner, range) in seen.iter_mut().enumerate() {
                let ms = wait(&mut rng, owner == 1).as_millis();
                assert_eq!(ms % 10, 0);
                *range = (range.0.min(ms), range.1.max(ms));
            }
        }
        assert_eq!(seen, [(0, 2000), (2100, 4000)]);
    }
}
