//! Keys that we press towards a peer, in RTP events (RFC 4733) or as tones in the sound (ITU-T
//! Q.23): one at a time, those that wait behind each other, with pauses between.
//!
//! Two come here: *orders* of whole digits, each answered once, and keys that are *held* at another
//! stream and passed on while they are, since their length is known only at their end.

use koukan_base::OpId;

use crate::digits::{DigitSender, EventPacket};
use crate::tone::{ToneGenerator, key_tone};

/// Digits of one order.
pub const MOST_DIGITS: usize = 32;

/// Orders and held keys that wait at one stream.
pub const MOST_WAITING: usize = 8;

/// What a tick lasts, in ms.
const TICK_MS: u32 = 20;

/// Samples of a tick of tones, at 8 kHz.
pub const TONE_FRAME: usize = 160;

/// The shortest tone, in ticks: ITU-T Q.24 asks for 40 ms.
const LEAST_TICKS: u32 = 2;

/// Bounds of an order's times, in ms.
const DURATIONS: (u16, u16) = (40, 10_000);
const PAUSES: (u16, u16) = (40, 10_000);

/// The pause behind a key that was passed on, in ms.
const HELD_PAUSE_MS: u16 = 40;

/// A key that nobody lets go is let go after so many ticks: 10 s.
const LONGEST_HELD: u32 = 500;

/// Digits that were checked: each is one of `0`–`9`, `*`, `#`, `A`–`D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    bytes: [u8; MOST_DIGITS],
    length: u8,
}

impl Digits {
    /// One to [`MOST_DIGITS`] digits, letters in any case; `None` when one of them is none.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MOST_DIGITS];
        for (to, from) in bytes.get_mut(..text.len())?.iter_mut().zip(text) {
            let digit = from.to_ascii_uppercase();
            key_tone(digit)?;
            *to = digit;
        }
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
        Some(Self { bytes, length })
    }

    /// The digits, in upper case.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// An order of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyOrder {
    /// Given back when the last digit is sent.
    pub op: OpId,
    /// What to press.
    pub digits: Digits,
    /// How long each is, in ms: 40 to 10,000.
    pub duration_ms: u16,
    /// How long nothing is pressed behind each, in ms: 40 to 10,000.
    pub pause_ms: u16,
}

/// How keys reach the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMode {
    /// As telephone-events of this clock rate.
    Event {
        /// In Hz.
        clock_rate: u32,
    },
    /// As tones.
    Tone,
}

/// What to send in one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFrame {
    /// Nothing of ours: the voice goes on.
    Nothing,
    /// This event, beside the voice.
    Event(EventPacket),
    /// The samples that were written, in place of the voice.
    Tone,
}

/// What waits.
#[derive(Clone, Copy, Debug)]
enum Press {
    Order {
        order: KeyOrder,
        next: usize,
    },
    /// `length_ms` once it was let go.
    Held {
        digit: u8,
        length_ms: Option<u32>,
    },
}

/// What is going on.
#[derive(Clone, Debug)]
enum State {
    Idle,
    Event(DigitSender),
    /// Ticks that it has sounded, and those that it shall; `None` until it is let go.
    Tone {
        generator: ToneGenerator,
        sounded: u32,
        wanted: Option<u32>,
    },
    /// Ticks that are left; `sounding` when they are silence in place of the voice.
    Pause {
        ticks: u32,
        sounding: bool,
    },
}

/// The keys of one stream's sending side.
#[derive(Clone, Debug)]
pub struct KeySender {
    /// The first is under way; no gaps.
    waiting: [Option<Press>; MOST_WAITING],
    state: State,
    held_ticks: u32,
    done: Option<OpId>,
}

impl Default for KeySender {
    fn default() -> Self {
        Self { waiting: [None; MOST_WAITING], state: State::Idle, held_ticks: 0, done: None }
    }
}

impl KeySender {
    /// Takes an order; false when too many wait.
    pub fn order(&mut self, order: KeyOrder) -> bool {
        self.push(Press::Order { order, next: 0 })
    }

    /// A key has gone down elsewhere and shall go down here; false when too many wait.
    pub fn hold(&mut self, digit: u8) -> bool {
        key_tone(digit).is_some() && self.push(Press::Held { digit, length_ms: None })
    }

    /// The key that was held is let go; it was down for so many ms.
    pub fn let_go(&mut self, duration_ms: u32) {
        let open =
            |press: &Option<Press>| matches!(press, Some(Press::Held { length_ms: None, .. }));
        let Some(at) = self.waiting.iter().rposition(open) else { return };
        if let Some(Some(Press::Held { length_ms, .. })) = self.waiting.get_mut(at) {
            *length_ms = Some(duration_ms);
        }
        if at == 0 {
            self.end_held(duration_ms);
        }
    }

    /// Whether nothing waits and nothing goes on.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && matches!(self.waiting, [None, ..])
    }

    /// Whether tones stand in place of the voice.
    #[must_use]
    pub const fn is_sounding(&self) -> bool {
        matches!(self.state, State::Tone { .. } | State::Pause { sounding: true, .. })
    }

    /// An order whose last digit is sent.
    pub const fn poll_done(&mut self) -> Option<OpId> {
        self.done.take()
    }

    /// Gives everything up; the orders that are not done, one by one.
    pub fn give_up(&mut self, mut unfinished: impl FnMut(OpId)) {
        self.state = State::Idle;
        for press in self.waiting.iter_mut().filter_map(Option::take) {
            if let Press::Order { order, .. } = press {
                unfinished(order.op);
            }
        }
    }

    /// The next 20 ms; `tone` is filled for [`KeyFrame::Tone`] alone. Call it while it is not idle.
    pub fn tick(&mut self, mode: KeyMode, tone: &mut [i16; TONE_FRAME]) -> KeyFrame {
        // A key that ends and the next one that begins: two turns, and one for the pause between.
        for _ in 0..3 {
            if let Some(frame) = self.turn(mode, tone) {
                return frame;
            }
        }
        KeyFrame::Nothing
    }

    fn turn(&mut self, mode: KeyMode, tone: &mut [i16; TONE_FRAME]) -> Option<KeyFrame> {
        self.watch_held();
        match &mut self.state {
            State::Idle => {
                let Some(Some(press)) = self.waiting.first() else {
                    return Some(KeyFrame::Nothing);
                };
                self.state = begun(press, mode);
                None
            }
            State::Event(sender) => {
                // Events that are not agreed on any more end where they are.
                let packet = sender.next_packet().filter(|_| mode != KeyMode::Tone);
                if packet.is_none() {
                    self.digit_is_over();
                }
                packet.map(KeyFrame::Event)
            }
            State::Tone { sounded, wanted, .. }
                if wanted.is_some_and(|ticks| *sounded >= ticks) =>
            {
                self.digit_is_over();
                None
            }
            State::Tone { generator, sounded, .. } => {
                generator.fill(tone);
                *sounded += 1;
                Some(KeyFrame::Tone)
            }
            State::Pause { ticks: 0, .. } => {
                self.state = State::Idle;
                None
            }
            State::Pause { ticks, sounding } => {
                *ticks -= 1;
                if *sounding {
                    tone.fill(0);
                }
                Some(if *sounding { KeyFrame::Tone } else { KeyFrame::Nothing })
            }
        }
    }

    /// The digit under way is sent: its order goes on with the next one, or is done.
    fn digit_is_over(&mut self) {
        let sounding = matches!(self.state, State::Tone { .. });
        let mut pause_ms = HELD_PAUSE_MS;
        let mut over = true;
        if let Some(Some(Press::Order { order, next })) = self.waiting.first_mut() {
            *next += 1;
            over = *next >= order.digits.as_bytes().len();
            pause_ms = order.pause_ms.clamp(PAUSES.0, PAUSES.1);
            if over {
                self.done = Some(order.op);
            }
        }
        if over {
            self.waiting.rotate_left(1);
            if let Some(last) = self.waiting.last_mut() {
                *last = None;
            }
        }
        let ticks = u32::from(pause_ms).div_ceil(TICK_MS);
        // The end of an event, sent twice more, is part of the pause.
        let ticks = if sounding { ticks } else { ticks.saturating_sub(2) };
        self.state = State::Pause { ticks, sounding };
    }

    fn end_held(&mut self, duration_ms: u32) {
        match &mut self.state {
            State::Event(sender) => sender.end_at(duration_ms),
            State::Tone { wanted, .. } => {
                *wanted = Some(duration_ms.div_ceil(TICK_MS).max(LEAST_TICKS));
            }
            State::Idle | State::Pause { .. } => {}
        }
    }

    /// A key that nobody lets go ends by itself.
    fn watch_held(&mut self) {
        let held = matches!(self.waiting, [Some(Press::Held { length_ms: None, .. }), ..]);
        self.held_ticks = if held { self.held_ticks + 1 } else { 0 };
        if self.held_ticks > LONGEST_HELD {
            if let Some(Some(Press::Held { length_ms, .. })) = self.waiting.first_mut() {
                *length_ms = Some(LONGEST_HELD * TICK_MS);
            }
            self.end_held(LONGEST_HELD * TICK_MS);
        }
    }

    fn push(&mut self, press: Press) -> bool {
        let free = self.waiting.iter_mut().find(|place| place.is_none());
        free.map(|place| *place = Some(press)).is_some()
    }
}

/// The first tick of what waits first.
fn begun(press: &Press, mode: KeyMode) -> State {
    let (digit, length_ms) = match press {
        Press::Order { order, next } => (
            order.digits.as_bytes().get(*next).copied(),
            Some(u32::from(order.duration_ms.clamp(DURATIONS.0, DURATIONS.1))),
        ),
        Press::Held { digit, length_ms } => (Some(*digit), *length_ms),
    };
    let state = digit.and_then(|digit| match mode {
        KeyMode::Event { clock_rate } => {
            let length = length_ms.unwrap_or(LONGEST_HELD * TICK_MS * 2);
            DigitSender::new(digit, length, TICK_MS, clock_rate).map(State::Event)
        }
        KeyMode::Tone => Some(State::Tone {
            generator: ToneGenerator::new(&key_tone(digit)?, 8_000),
            sounded: 0,
            wanted: length_ms.map(|ms| ms.div_ceil(TICK_MS).max(LEAST_TICKS)),
        }),
    });
    // Digits are checked when they come, so there always is one.
    state.unwrap_or(State::Pause { ticks: 0, sounding: false })
}

#[cfg(test)]
mod tests {
    use koukan_base::Time;
    use proptest::prelude::*;

    use super::*;
    use crate::digits::DigitReceiver;
    use crate::tone::{DtmfDetector, DtmfEvent};

    fn order(op: u64, digits: &[u8], duration_ms: u16) -> KeyOrder {
        let digits = Digits::new(digits).unwrap();
        KeyOrder { op: OpId(op), digits, duration_ms, pause_ms: 60 }
    }

    /// Runs until it is idle; digits and lengths that a receiver of events makes of it.
    fn events(keys: &mut KeySender, clock_rate: u32) -> (Vec<(u8, u32)>, Vec<OpId>) {
        let (mut receiver, mut found, mut done) = (DigitReceiver::default(), vec![], vec![]);
        let (mut tone, mut began) = ([0; TONE_FRAME], 0);
        for tick in 0..5_000u32 {
            if keys.is_idle() {
                return (found, done);
            }
            let now = Time::from_millis(u64::from(tick) * 20);
            if let KeyFrame::Event(packet) = keys.tick(KeyMode::Event { clock_rate }, &mut tone) {
                if packet.marker {
                    began = tick * 20 * (clock_rate / 1_000);
                }
                let timestamp = began + packet.offset;
                let digit = receiver.receive(now, timestamp, &packet.payload, clock_rate);
                found.extend(digit.map(|digit| (digit.digit, digit.duration_ms)));
            }
            done.extend(keys.poll_done());
        }
        panic!("it never ends");
    }

    fn tones(keys: &mut KeySender) -> Vec<u8> {
        let (mut detector, mut found) = (DtmfDetector::new(), Vec::new());
        let mut tone = [0; TONE_FRAME];
        for _ in 0..5_000 {
            let sound = match keys.tick(KeyMode::Tone, &mut tone) {
                KeyFrame::Tone => tone,
                KeyFrame::Nothing => [0; TONE_FRAME],
                KeyFrame::Event(_) => panic!("an event as a tone"),
            };
            detector.listen(&sound, |event| {
                if let DtmfEvent::Pressed(key) = event {
                    found.push(key);
                }
            });
            if keys.is_idle() {
                return found;
            }
        }
        panic!("it never ends");
    }

    #[test]
    fn orders_are_sent_one_behind_the_other_and_each_is_done_once() {
        for clock_rate in [8_000, 16_000, 48_000] {
            let mut keys = KeySender::default();
            assert!(keys.order(order(1, b"112#", 100)) && keys.order(order(2, b"D", 60)));
            let (found, done) = events(&mut keys, clock_rate);
            let wanted = [(b'1', 100), (b'1', 100), (b'2', 100), (b'#', 100), (b'D', 60)];
            assert_eq!((found.as_slice(), done.as_slice()), (&wanted[..], &[OpId(1), OpId(2)][..]));
        }
        let mut keys = KeySender::default();
        assert!(keys.order(order(1, b"1123456789*0#ABCD", 60)));
        assert_eq!(tones(&mut keys), b"1123456789*0#ABCD");
    }

    #[test]
    fn a_held_key_is_as_long_as_it_was_held_in_either_form() {
        for (held, told, wanted) in [(5, 100, 100), (5, 300, 300), (12, 100, 240)] {
            let mut keys = KeySender::default();
            assert!(keys.hold(b'7'));
            let mut tone = [0; TONE_FRAME];
            let (mut last, mut ends) = ([0; 4], 0);
            for tick in 0..40 {
                if tick == held {
                    keys.let_go(told);
                }
                if let KeyFrame::Event(packet) =
                    keys.tick(KeyMode::Event { clock_rate: 8_000 }, &mut tone)
                {
                    assert_eq!(packet.marker, tick == 0);
                    last = packet.payload;
                    ends += u32::from(last[1] & 0x80 != 0);
                }
            }
            let units = u16::from_be_bytes([last[2], last[3]]);
            assert_eq!((ends, u32::from(units)), (3, wanted * 8), "{held} {told}");
            assert!(keys.is_idle());
        }
        let mut keys = KeySender::default();
        assert!(keys.hold(b'7'));
        let mut tone = [0; TONE_FRAME];
        let mut sounded = 0;
        for tick in 0..40 {
            if tick == 6 {
                keys.let_go(100);
            }
            let frame = keys.tick(KeyMode::Tone, &mut tone);
            sounded += u32::from(frame == KeyFrame::Tone && tone.iter().any(|s| *s != 0));
        }
        assert_eq!(sounded, 6, "what was sounded already is not taken back");
        assert!(keys.is_idle());
    }

    #[test]
    fn a_key_that_is_never_let_go_ends_by_itself_and_too_many_are_refused() {
        let mut keys = KeySender::default();
        for _ in 0..MOST_WAITING {
            assert!(keys.hold(b'1'));
        }
        assert!(!keys.hold(b'1') && !keys.order(order(1, b"1", 100)));
        let (found, _) = events(&mut keys, 8_000);
        assert_eq!(found.len(), MOST_WAITING);
        assert!(!keys.hold(b'x') && Digits::new(b"12x").is_none() && Digits::new(b"").is_none());
        assert!(Digits::new(&[b'1'; MOST_DIGITS + 1]).is_none());
        assert_eq!(Digits::new(b"a*").unwrap().as_bytes(), b"A*");
    }

    #[test]
    fn what_is_given_up_is_told_once() {
        let mut keys = KeySender::default();
        assert!(keys.order(order(1, b"12", 100)) && keys.hold(b'3'));
        assert!(keys.order(order(2, b"4", 100)));
        keys.tick(KeyMode::Tone, &mut [0; TONE_FRAME]);
        let mut told = Vec::new();
        keys.give_up(|op| told.push(op));
        assert_eq!(told, [OpId(1), OpId(2)]);
        keys.give_up(|op| told.push(op));
        assert!(told.len() == 2 && keys.is_idle());
    }

    proptest! {
        #[test]
        fn whatever_comes_every_order_ends_once(
            steps in proptest::collection::vec((0u8..5, 0u32..12_000, any::<bool>()), 1..60),
        ) {
            let mut keys = KeySender::default();
            let (mut given, mut ended) = (0u64, Vec::new());
            for (what, number, events) in steps {
                match what {
                    0 => {
                        let duration = u16::try_from(number).unwrap_or(0);
                        given += u64::from(keys.order(order(given, b"1#", duration)));
                    }
                    1 => {
                        keys.hold(b'0');
                    }
                    2 => keys.let_go(number),
                    _ => {
                        let mode = KeyMode::Event { clock_rate: 48_000 };
                        let mode = if events { mode } else { KeyMode::Tone };
                        for _ in 0..number / 200 {
                            keys.tick(mode, &mut [0; TONE_FRAME]);
                            ended.extend(keys.poll_done());
                        }
                    }
                }
            }
            keys.give_up(|op| ended.push(op));
            ended.sort_unstable();
            prop_assert_eq!(ended, (0..given).map(OpId).collect::<Vec<_>>());
        }
    }
}
