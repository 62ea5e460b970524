//! What a caller who waits hears beside the music: its place.

use koukan_base::OpId;
use koukan_media::Prompt;

use super::TELL;
use crate::action::Now;
use crate::call::{Call, Stage};
use crate::switch::Switch;

/// Places beyond it are not spoken.
const LAST_SPOKEN: usize = 99;

impl Switch {
    /// Tells a caller its place, when it is time to.
    pub(super) fn tell_place(&mut self, now: Now, call: &mut Call) {
        let Stage::Queue(waiting) = &mut call.stage else { return };
        if waiting.tell.take_if(|at| *at <= now.time).is_none() {
            return;
        }
        waiting.tell = Some(now.time + TELL);
        let key = (call.tenant.clone(), waiting.name.clone());
        let place = self.queues.open.get(&key);
        let place = place.and_then(|queue| queue.waiting.iter().position(|id| *id == call.id));
        let place = place.map_or(0, |place| place.saturating_add(1));
        if place == 0 || place > LAST_SPOKEN {
            return;
        }
        let language = self.directory.plans.language(&call.tenant).to_owned();
        let word = |name: &str| Prompt::clip(&language, name);
        let number =
            spoken(&language, place).into_iter().map(|part| word(&format!("say/n-{part}")));
        let words: Vec<Prompt> = std::iter::once(word("queue-position"))
            .chain(number)
            .chain([word("queue-wait")])
            .collect();
        self.stop_music(call, 0);
        let (op, worker) = (self.next_op(), call.worker);
        let stream = call.leg(0).and_then(|leg| leg.stream.live());
        let (Some(stream), Stage::Queue(waiting)) = (stream, &mut call.stage) else { return };
        waiting.words = Some(op);
        self.play(worker, stream, op, words, 1);
    }

    /// The place has been spoken: music again. False when this was not it.
    pub(crate) fn queue_said(&mut self, call: &mut Call, op: OpId) -> bool {
        let Stage::Queue(waiting) = &mut call.stage else { return false };
        if waiting.words.take_if(|words| *words == op).is_none() {
            return false;
        }
        self.wire(call);
        true
    }

    /// Whether a caller who waits is being told something.
    pub(crate) const fn is_told(call: &Call) -> bool {
        matches!(&call.stage, Stage::Queue(waiting) if waiting.words.is_some())
    }
}

/// The words of a number up to 99.
fn spoken(language: &str, number: usize) -> Vec<usize> {
    // English has words of its own up to twenty.
    if number <= 10 || (language != "ja" && number <= 20) {
        return vec![number];
    }
    let units = number % 10;
    let tens = number.saturating_sub(units);
    if units == 0 { vec![tens] } else { vec![tens, units] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_made_of_the_words_that_there_are() {
        assert_eq!(spoken("ja", 7), [7]);
        assert_eq!(spoken("ja", 13), [10, 3]);
        assert_eq!(spoken("en", 13), [13]);
        assert_eq!(spoken("en", 40), [40]);
        assert_eq!(spoken("en", 99), [90, 9]);
    }
}
