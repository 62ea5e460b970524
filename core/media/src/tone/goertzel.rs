//! Goertzel's filter: how much of one frequency is in a block, and in what phase.

/// One frequency's filter at one rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goertzel {
    cosine: f32,
    sine: f32,
    /// Radians a sample.
    turn: f32,
}

/// A block's component: `power` relative to the block's whole energy (1 for a pure tone), `phase`
/// at the block's end in radians.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Component {
    pub(super) power: f32,
    pub(super) phase: f32,
}

impl Goertzel {
    #[expect(clippy::cast_precision_loss, reason = "rates fit a float")]
    pub(super) fn new(hertz: f32, rate: u32) -> Self {
        let turn = std::f32::consts::TAU * hertz / rate as f32;
        Self { cosine: turn.cos(), sine: turn.sin(), turn }
    }

    /// The component in a block whose energy (sum of squares) is known.
    pub(super) fn component(&self, block: &[f32], energy: f32) -> Component {
        let (mut one, mut two) = (0.0f32, 0.0f32);
        for sample in block {
            let next = sample + 2.0 * self.cosine * one - two;
            (two, one) = (one, next);
        }
        self.finished(one, two, block.len(), energy)
    }

    /// The component from the filter's last two values.
    #[expect(clippy::cast_precision_loss, reason = "a block's length fits a float")]
    fn finished(&self, one: f32, two: f32, count: usize, energy: f32) -> Component {
        let (real, imaginary) = (one - two * self.cosine, two * self.sine);
        let square = real * real + imaginary * imaginary;
        let whole = energy * count as f32 / 2.0;
        let power = if whole > 0.0 { square / whole } else { 0.0 };
        Component { power, phase: imaginary.atan2(real) }
    }

    /// The components of eight filters at once, which the compiler makes vectors of.
    pub(super) fn eight(filters: &[Self; 8], block: &[f32], energy: f32) -> [Component; 8] {
        let twice = filters.map(|filter| 2.0 * filter.cosine);
        let (mut one, mut two) = ([0.0f32; 8], [0.0f32; 8]);
        for sample in block {
            let mut next = [0.0f32; 8];
            for (((next, one), two), twice) in next.iter_mut().zip(&one).zip(&two).zip(&twice) {
                *next = sample + twice * one - two;
            }
            (two, one) = (one, next);
        }
        let mut all = [Component::default(); 8];
        let ends = filters.iter().zip(one.iter().zip(&two));
        for (to, (filter, (one, two))) in all.iter_mut().zip(ends) {
            *to = filter.finished(*one, *two, block.len(), energy);
        }
        all
    }

    /// By how much a phase has turned beyond what the frequency does in `samples`.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    pub(super) fn phase_error(&self, before: Component, now: Component, samples: usize) -> f32 {
        wrapped(now.phase - before.phase - self.turn * samples as f32)
    }

    /// By how many hertz a tone is off, from its phases at the ends of two blocks `samples` apart.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    pub(super) fn off_by(
        &self,
        before: Component,
        now: Component,
        samples: usize,
        rate: u32,
    ) -> f32 {
        let turned = self.phase_error(before, now, samples);
        turned * rate as f32 / (std::f32::consts::TAU * samples as f32)
    }
}

/// An angle between -π and π.
pub(super) fn wrapped(angle: f32) -> f32 {
    let turns = (angle / std::f32::consts::TAU).round();
    angle - turns * std::f32::consts::TAU
}

/// Sum of squares.
pub(super) fn energy(block: &[f32]) -> f32 {
    block.iter().map(|sample| sample * sample).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pure_tone_is_all_of_its_block_and_its_frequency_is_measured() {
        for (tone, filter) in [(697.0, 697.0), (710.0, 697.0), (1_620.0, 1_633.0)] {
            let turn = std::f32::consts::TAU * tone / 8_000.0;
            let signal: Vec<f32> = (0..256).map(|n| (n as f32 * turn).sin() * 900.0).collect();
            let goertzel = Goertzel::new(filter, 8_000);
            let component = |block: &[f32]| goertzel.component(block, energy(block));
            let (one, other) = (component(&signal[..128]), component(&signal[64..192]));
            assert!(one.power > 0.75 && one.power < 1.05, "{tone} {}", one.power);
            let off = goertzel.off_by(one, other, 64, 8_000);
            assert!((off - (tone - filter)).abs() < 4.0, "{tone} {filter}: {off}");
        }
        assert_eq!(Goertzel::new(697.0, 8_000).component(&[0.0; 128], 0.0).power, 0.0);
    }
}
