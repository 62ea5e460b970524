//! What a media worker gives up when it falls behind, and in which order, so that the sound of the
//! calls that stand is never late: a rule on figures alone, which reads no clock and touches no
//! stream. What it costs the calls rises from step to step; a new call is refused before one that
//! stands loses anything but a shade of its sound.

use std::time::Duration;

use koukan_base::Time;

/// What a worker has given up, each with those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shed {
    /// Nothing.
    #[default]
    Nothing,
    /// Encoders spend as little as they can: Opus at its least complexity.
    Coders,
    /// New streams are refused, but those of tenants that have less than their share
    /// ([`crate::Shares`]).
    Streams,
    /// Recordings take silence down in place of sound, and count it.
    Taps,
    /// Sound is not listened to for digits and fax tones; telephone-events are.
    Ears,
}

impl Shed {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Nothing, Self::Coders, Self::Streams, Self::Taps, Self::Ears];

    /// Its place in their order.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Coders => 1,
            Self::Streams => 2,
            Self::Taps => 3,
            Self::Ears => 4,
        }
    }

    /// The one at a place; the last one for those behind it.
    #[must_use]
    pub const fn of_number(number: u8) -> Self {
        match number {
            0 => Self::Nothing,
            1 => Self::Coders,
            2 => Self::Streams,
            3 => Self::Taps,
            _ => Self::Ears,
        }
    }

    const fn more(self) -> Self {
        Self::of_number(self.number().saturating_add(1))
    }

    const fn less(self) -> Self {
        Self::of_number(self.number().saturating_sub(1))
    }
}

/// What a worker did since it was looked at before, a quarter of a second as a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// What was due by the clock.
    pub ticks: u32,
    /// How much of it came more than 5 ms late.
    pub late: u32,
    /// How long it was.
    pub lasted: Duration,
    /// The CPU time that it used.
    pub busy: Duration,
}

impl Workload {
    /// Every eighth tick was late, or there was no time left. Who is late with little to do is held
    /// up by others of the machine, and would gain nothing by doing less.
    fn is_behind(self) -> bool {
        let often = self.late > 0 && self.late.saturating_mul(8) >= self.ticks;
        often && self.busy_percent() >= 60 || self.busy_percent() >= 95
    }

    /// No tick was late, and a quarter of the time was left.
    fn is_at_ease(self) -> bool {
        self.late == 0 && self.busy_percent() <= 75
    }

    fn busy_percent(self) -> u128 {
        self.busy.as_nanos() * 100 / self.lasted.as_nanos().max(1)
    }
}

/// So many looks in a row must find a worker behind before it gives the next thing up: one of them
/// may be the machine's own pause.
const LOOKS: u8 = 2;

/// At ease for so long it takes the last thing back, longer each time that this was too early.
const EASE: Duration = Duration::from_secs(5);
const MOST_EASE: Duration = Duration::from_secs(80);

/// Behind again so soon after something was taken back, that was too early.
const RELAPSE: Duration = Duration::from_secs(10);

/// The state of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    shed: Shed,
    behind: u8,
    /// Since when it is at ease.
    easy: Option<Time>,
    ease: Duration,
    /// When something was taken back.
    relieved: Option<Time>,
}

impl Default for Overload {
    fn default() -> Self {
        Self { shed: Shed::Nothing, behind: 0, easy: None, ease: EASE, relieved: None }
    }
}

impl Overload {
    /// What is given up at the moment.
    #[must_use]
    pub const fn shed(self) -> Shed {
        self.shed
    }

    /// A look at a worker; what it has given up from now on, when that changes.
    pub fn look(&mut self, now: Time, load: Workload) -> Option<Shed> {
        let before = self.shed;
        if load.is_behind() {
            self.easy = None;
            self.behind = self.behind.saturating_add(1);
            if self.behind >= LOOKS {
                self.behind = 0;
                self.shed = self.shed.more();
                if self.relieved.take().is_some_and(|at| now.since(at) < RELAPSE + self.ease) {
                    self.ease = (self.ease * 2).min(MOST_EASE);
                }
            }
        } else {
            self.behind = 0;
            self.ease(now, load);
        }
        (self.shed != before).then_some(self.shed)
    }

    fn ease(&mut self, now: Time, load: Workload) {
        if !load.is_at_ease() {
            self.easy = None;
            return;
        }
        let since = *self.easy.get_or_insert(now);
        if now.since(since) < self.ease {
            return;
        }
        self.easy = Some(now);
        match self.shed {
            // Whoever is at ease with everything for so long is no more on the brink.
            Shed::Nothing => self.ease = EASE,
            Shed::Coders | Shed::Streams | Shed::Taps | Shed::Ears => {
                self.shed = self.shed.less();
                self.relieved = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOOK: Duration = Duration::from_millis(250);

    fn load(late: u32, busy_percent: u32) -> Workload {
        Workload { ticks: 80, late, lasted: LOOK, busy: LOOK * busy_percent / 100 }
    }

    /// Looks for so long; how it stands behind each.
    fn look(overload: &mut Overload, now: &mut Time, seconds: u32, load: Workload) -> Vec<Shed> {
        let step = |_| {
            *now = *now + LOOK;
            overload.look(*now, load);
            overload.shed()
        };
        (0..seconds * 4).map(step).collect()
    }

    #[test]
    fn who_falls_behind_gives_up_one_thing_after_the_other_in_their_order() {
        let (mut overload, mut now) = (Overload::default(), Time::ZERO);
        let seen = look(&mut overload, &mut now, 3, load(10, 60));
        let firsts: Vec<Shed> = (0..4).map(|step| seen[step * 2 + 1]).collect();
        assert_eq!(firsts, Shed::ALL[1..]);
        assert_eq!(seen.last(), Some(&Shed::Ears), "there is no more to give up");
        assert_eq!(Shed::ALL.map(|shed| Shed::of_number(shed.number())), Shed::ALL);
    }

    #[test]
    fn no_time_left_is_behind_and_a_pause_of_the_machine_or_a_few_late_ticks_are_not() {
        let (mut overload, mut now) = (Overload::default(), Time::ZERO);
        for _ in 0..20 {
            now = now + LOOK;
            assert_eq!(overload.look(now, load(80, 70)), None, "one look");
            now = now + LOOK;
            assert_eq!(overload.look(now, load(9, 94)), None);
        }
        look(&mut overload, &mut now, 10, load(80, 50));
        assert_eq!(overload.shed(), Shed::Nothing, "others of the machine");
        look(&mut overload, &mut now, 1, load(0, 95));
        assert_eq!(overload.shed(), Shed::Streams);
    }

    #[test]
    fn what_was_given_up_is_taken_back_step_by_step_and_not_while_little_is_left() {
        let (mut overload, mut now) = (Overload::default(), Time::ZERO);
        look(&mut overload, &mut now, 1, load(80, 99));
        assert_eq!(overload.shed(), Shed::Streams);
        look(&mut overload, &mut now, 60, load(0, 80));
        assert_eq!(overload.shed(), Shed::Streams, "it would fall behind again");
        look(&mut overload, &mut now, 6, load(0, 50));
        assert_eq!(overload.shed(), Shed::Coders);
        look(&mut overload, &mut now, 6, load(0, 50));
        assert_eq!(overload.shed(), Shed::Nothing);
    }

    #[test]
    fn a_load_on_the_brink_swings_ever_more_slowly() {
        // What it cannot carry with its coders at their best it carries without.
        let (mut overload, mut now, mut changes) = (Overload::default(), Time::ZERO, 0);
        for _ in 0..4 * 600 {
            now = now + LOOK;
            let heavy = overload.shed() == Shed::Nothing;
            let load = if heavy { load(30, 99) } else { load(0, 60) };
            changes += u32::from(overload.look(now, load).is_some());
        }
        assert!((10..=30).contains(&changes), "{changes} changes in ten minutes");
        look(&mut overload, &mut now, 300, load(0, 10));
        assert_eq!(
            overload,
            Overload { easy: overload.easy, relieved: overload.relieved, ..Overload::default() }
        );
    }

    proptest! {
        #[test]
        fn it_moves_by_one_step_and_is_whole_again_behind_any_load(
            loads in prop::collection::vec(
                (0u32..200, 0u32..300, 0u32..2_000, 0u32..3_000), 0..300),
        ) {
            let (mut overload, mut now) = (Overload::default(), Time::ZERO);
            for (ticks, late, lasted, busy) in loads {
                let ms = |ms: u32| Duration::from_millis(u64::from(ms));
                now = now + ms(lasted);
                let before = overload.shed().number();
                let load = Workload { ticks, late, lasted: ms(lasted), busy: ms(busy) };
                let changed = overload.look(now, load);
                prop_assert!(overload.shed().number().abs_diff(before) <= 1);
                prop_assert_eq!(changed.is_some(), overload.shed().number() != before);
            }
            look(&mut overload, &mut now, 81 * 5, load(0, 5));
            prop_assert_eq!(overload.shed(), Shed::Nothing);
        }
    }
}
