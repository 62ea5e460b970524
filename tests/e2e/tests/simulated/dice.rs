//! What a seed brings: who calls what, what was flipped before, and how the called behave.

use koukan_base::Rng;

use crate::story::Manner;

/// Numbers that phones dial; a `@` is put in for numbers of the own office.
const DIALLED: [&str; 38] = [
    "@0",
    "@1",
    "@2",
    "@3",
    "+81@1",
    "801",
    "802",
    "803",
    "804",
    "805",
    "806",
    "650",
    "600",
    "601",
    "602",
    "603",
    "604",
    "899",
    "110",
    "119",
    "117",
    "104",
    "#9110",
    "0455550001",
    "1840455550001",
    "1860455550001",
    "52345678",
    "09012345678",
    "18409012345678",
    "0570123456",
    "0120123456",
    "05012345678",
    "+81455550001",
    "01014155550001",
    "00330455550001",
    "0990123456",
    "*99",
    "9",
];

/// Codes that flip a setting.
const CODES: [&str; 6] = ["*28", "*78", "*21", "*2109012345678", "*210570123456", "#21"];

/// Who calls from outside.
const CALLERS: [&str; 7] = [
    "0455550001",
    "09087654321",
    "0311112222",
    "anonymous",
    "05011112222",
    "+14155550001",
    "0312345678",
];

/// What a customer may have flipped, with what may be flipped to.
const FLIPPED: [(&str, &[&str]); 18] = [
    ("number1.mode", &["ring", "schedule", "forward", "schedule"]),
    ("number1.mode", &["schedule", "ring"]),
    ("number1.forward_to", &["0455550009", "09012345678", "05012345678"]),
    ("number1.closed", &["on", "off", "off"]),
    ("number2.mode", &["ring", "forward", "ring"]),
    ("number2.closed", &["off", "on", "off"]),
    ("number3.closed", &["on", "off", "off"]),
    ("A.caller_id", &["number1", "number2", "number3"]),
    ("C.caller_id", &["number1", "number3"]),
    ("A.dnd", &["on", "off", "off"]),
    ("D.dnd", &["on", "off", "off"]),
    ("A.forward_always", &["803", "off", "09012345678", "off"]),
    ("B.forward_unreachable", &["0455550003", "off", "804"]),
    ("E.forward_busy", &["801", "off"]),
    ("office.weekday.09:00-13:00", &["announce:lunch", "forward", "ring", "announce:ours"]),
    ("office.weekday.20:00-24:00", &["ring", "announce:closed"]),
    ("office.sunday.00:00-24:00", &["ring", "announce:closed", "forward"]),
    ("office.holiday.00:00-24:00", &["forward", "ring", "announce:closed"]),
];

/// Everything that is drawn.
#[derive(Debug)]
pub(crate) struct Dice(Rng);

/// A call that is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    /// The calling device, by its place; the carrier when there is none.
    pub(crate) device: Option<usize>,
    /// Whom the carrier says that calls.
    pub(crate) from: &'static str,
    /// A number of the own office (`@`), or what is dialled.
    pub(crate) to: &'static str,
    pub(crate) manner: Manner,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::from_number(seed))
    }

    /// A number below `sides`.
    pub(crate) fn below(&mut self, sides: usize) -> usize {
        usize::try_from(self.0.next_u32()).unwrap_or(0) % sides
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A setting and its new value.
    pub(crate) fn flipped(&mut self) -> (&'static str, &'static str) {
        let (key, values) = self.pick(&FLIPPED);
        (key, self.pick(values))
    }

    /// A call; one of the office's phones that are registered makes it, or its carrier.
    pub(crate) fn call(&mut self, registered: &[bool]) -> Drawn {
        use Manner::{Answers, Refuses, Waits};
        let manner = self.pick(&[Answers, Answers, Answers, Answers, Refuses, Refuses, Waits]);
        let phones: Vec<usize> = (0..registered.len()).filter(|at| registered[*at]).collect();
        let from = self.pick(&CALLERS);
        if phones.is_empty() || self.below(100) < 45 {
            let to = self.pick(&["@0", "@0", "@0", "@1", "@1", "@2", "@3", "0399999999"]);
            return Drawn { device: None, from, to, manner };
        }
        let device = Some(self.pick(&phones));
        let to = if self.below(16) == 0 { self.pick(&CODES) } else { self.pick(&DIALLED) };
        Drawn { device, from, to, manner }
    }
}
