//! The quadrature mirror filters (ITU-T G.722, clauses 3.1 and 4.4): 24 taps, split into the even
//! and the odd ones.

/// Every other coefficient of table 11; the rest are the same in reverse.
const COEFFICIENTS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];

/// Pairs that are kept before they are moved back to the front.
const ROOM: usize = 64;

/// The last twelve values of one phase.
#[derive(Debug)]
struct Line {
    values: [i32; ROOM],
    end: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { values: [0; ROOM], end: COEFFICIENTS.len() }
    }
}

impl Line {
    /// Takes a value in; the last twelve, the oldest first.
    fn push(&mut self, value: i32) -> [i32; 12] {
        if self.end >= ROOM {
            self.values.copy_within(ROOM - COEFFICIENTS.len() + 1.., 0);
            self.end = COEFFICIENTS.len() - 1;
        }
        if let Some(place) = self.values.get_mut(self.end) {
            *place = value;
        }
        self.end += 1;
        let first = self.end - COEFFICIENTS.len();
        let window = self.values.get(first..).and_then(|rest| rest.first_chunk());
        window.copied().unwrap_or([0; 12])
    }
}

fn forward(window: &[i32; 12]) -> i32 {
    window.iter().zip(&COEFFICIENTS).map(|(value, c)| value * c).sum()
}

fn backward(window: &[i32; 12]) -> i32 {
    window.iter().zip(COEFFICIENTS.iter().rev()).map(|(value, c)| value * c).sum()
}

/// The transmit filter.
#[derive(Debug, Default)]
pub(super) struct Transmit {
    even: Line,
    odd: Line,
}

impl Transmit {
    /// Two samples into one of each sub-band.
    pub(super) fn split(&mut self, [first, second]: [i16; 2]) -> (i32, i32) {
        let odd = forward(&self.even.push(i32::from(first)));
        let even = backward(&self.odd.push(i32::from(second)));
        ((even + odd) >> 14, (even - odd) >> 14)
    }
}

/// The receive filter.
#[derive(Debug, Default)]
pub(super) struct Receive {
    sum: Line,
    difference: Line,
}

impl Receive {
    /// One value of each sub-band into two samples.
    pub(super) fn join(&mut self, low: i32, high: i32) -> [i16; 2] {
        let second = forward(&self.sum.push(low + high));
        let first = backward(&self.difference.push(low - high));
        [saturated(first >> 11), saturated(second >> 11)]
    }
}

fn saturated(value: i32) -> i16 {
    i16::try_from(value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))).unwrap_or(0)
}
