//! ADPCM of one sub-band (ITU-T G.722, clauses 3.2 to 3.6): quantizer, its scale, and the predictor
//! of two poles and six zeros.

/// The lower sub-band's number as a constant parameter.
pub(super) const LOW: usize = 0;
/// The higher sub-band's.
pub(super) const HIGH: usize = 1;

/// Decision levels of the lower sub-band's 6-bit quantizer (table 14).
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023,
    1_121, 1_219, 1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];

/// Codes of negative and positive differences by their level (table 15).
const ILN: [u8; 30] = [
    63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10,
    9, 8, 7, 6, 5, 4,
];
const ILP: [u8; 30] = [
    61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38,
    37, 36, 35, 34, 33, 32,
];

/// Output of the 2-, 4- and 6-bit inverse quantizers (tables 17 to 19).
pub(super) const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
pub(super) const QM4: [i32; 16] = [
    0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288,
    4_240, 2_584, 1_200, 0,
];
pub(super) const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192,
    -10_232, -9_360, -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008,
    -3_576, -3_168, -2_776, -2_400, -2_032, -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008,
    16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576, 7_856, 7_192, 6_576, 6_000,
    5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040, 728, 432,
    136, -432, -136,
];

/// Steps of the logarithmic scale factor by code (table 20).
const WL: [i32; 16] =
    [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];
const WH: [i32; 4] = [798, -214, 798, -214];

/// From the logarithm to the scale factor (table 21).
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656,
    2_714, 2_774, 2_834, 2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520,
    3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// A table's entry for a code; codes are masked to the table's length.
pub(super) fn level<const N: usize>(table: &[i32; N], code: u8) -> i32 {
    table.get(usize::from(code) % N).copied().unwrap_or(0)
}

/// One sub-band's state; coder and decoder have the same.
#[derive(Debug)]
pub(super) struct Band<const WHICH: usize> {
    /// Predicted signal, and the part of the zeros in it.
    s: i32,
    sz: i32,
    /// Scale factor and its logarithm.
    det: i32,
    nb: i32,
    /// The last six quantized differences and the coefficients of the zeros.
    d: [i32; 6],
    b: [i32; 6],
    /// The last two partially reconstructed signals, reconstructed ones, and the poles.
    p: [i32; 2],
    r: [i32; 2],
    a: [i32; 2],
}

impl<const WHICH: usize> Default for Band<WHICH> {
    fn default() -> Self {
        Self {
            s: 0,
            sz: 0,
            det: if WHICH == LOW { 32 } else { 8 },
            nb: 0,
            d: [0; 6],
            b: [0; 6],
            p: [0; 2],
            r: [0; 2],
            a: [0; 2],
        }
    }
}

impl Band<LOW> {
    /// The code of a sample of the lower sub-band (blocks 1L to 3L).
    pub(super) fn quantize(&mut self, xl: i32) -> u8 {
        let el = saturated(xl - self.s);
        let magnitude = if el >= 0 { el } else { -(el + 1) };
        let (det, mut index) = (self.det, 0);
        // The levels rise; one comparison each is what a table look-up would cost.
        for q in &Q6 {
            index += usize::from(magnitude >= (q * det) >> 12);
        }
        let codes = if el < 0 { &ILN } else { &ILP };
        let code = codes.get(index).copied().unwrap_or(0);
        self.adapt(level(&QM4, code >> 2), code >> 2);
        code
    }
}

impl Band<HIGH> {
    /// The code of a sample of the higher sub-band (blocks 1H to 3H).
    pub(super) fn quantize(&mut self, xh: i32) -> u8 {
        let eh = saturated(xh - self.s);
        let magnitude = if eh >= 0 { eh } else { -(eh + 1) };
        let outer = magnitude >= (564 * self.det) >> 12;
        let code = match (eh < 0, outer) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        self.adapt(level(&QM2, code), code);
        code
    }
}

impl<const WHICH: usize> Band<WHICH> {
    /// The sub-band's output for an inverse quantizer's level (blocks 5 and 6).
    pub(super) fn reconstruct(&self, quantized: i32) -> i32 {
        (self.s + ((self.det * quantized) >> 15)).clamp(-16_384, 16_383)
    }

    /// Scale and predictor follow a code (blocks 2 to 4).
    pub(super) fn adapt(&mut self, quantized: i32, code: u8) {
        let d = (self.det * quantized) >> 15;
        let (step, most, shift) = if WHICH == LOW {
            (level(&WL, code), 18_432, 8)
        } else {
            (level(&WH, code), 22_528, 10)
        };
        self.nb = (((self.nb * 127) >> 7) + step).clamp(0, most);
        let fraction = u8::try_from((self.nb >> 6) & 31).unwrap_or(0);
        let power = shift - (self.nb >> 11);
        let factor = level(&ILB, fraction);
        self.det = (if power < 0 { factor << -power } else { factor >> power }) << 2;
        self.predict(d);
    }

    /// Block 4: the predictor takes the quantized difference in.
    fn predict(&mut self, d: i32) {
        let r = saturated(self.s + d);
        let p = saturated(self.sz + d);
        let [p1, p2] = self.p;
        let [a1, a2] = self.a;
        let (same1, same2) = ((p ^ p1) >= 0, (p ^ p2) >= 0);
        // UPPOL2 and UPPOL1.
        let a1x4 = saturated(a1 << 2);
        let turn = if same1 { (-a1x4).min(32_767) } else { a1x4 };
        let a2 = ((if same2 { 128 } else { -128 }) + (turn >> 7) + ((a2 * 32_512) >> 15))
            .clamp(-12_288, 12_288);
        let limit = saturated(15_360 - a2);
        let a1 = saturated((if same1 { 192 } else { -192 }) + ((a1 * 32_640) >> 15))
            .clamp(-limit, limit);
        // UPZERO.
        let gain = if d == 0 { 0 } else { 128 };
        for (b, old) in self.b.iter_mut().zip(&self.d) {
            let step = if (old ^ d) >= 0 { gain } else { -gain };
            *b = saturated(step + ((*b * 32_640) >> 15));
        }
        // DELAYA.
        self.d.copy_within(..5, 1);
        if let Some(newest) = self.d.first_mut() {
            *newest = d;
        }
        let [r1, _] = self.r;
        (self.r, self.p, self.a) = ([r, r1], [p, p1], [a1, a2]);
        // FILTEP, FILTEZ, PREDIC.
        let poles = ((a1 * saturated(r + r)) >> 15) + ((a2 * saturated(r1 + r1)) >> 15);
        let zeros = self.b.iter().zip(&self.d).map(|(b, d)| (b * saturated(d + d)) >> 15);
        self.sz = saturated(zeros.sum());
        self.s = saturated(saturated(poles) + self.sz);
    }
}

fn saturated(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}
