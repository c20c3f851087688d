//! How kernel entries are stored: 4 bytes, or 2 bytes with half the memory traffic.
//!
//! Constraint: both half-steps of an iteration read the same rounded numbers, whatever the format.

/// Columns per group: every row of a kernel is padded to whole groups.
pub(crate) const LANES: usize = 32;
pub(crate) const HALF: usize = LANES / 2;

/// 32 neighbouring kernel entries of one row as they are stored.
pub(crate) trait Group: Copy + Send + Sync + 'static {
    const EMPTY: Self;
    /// What the other factor of a product with [`Group::widen`]'s numbers has to be multiplied by.
    const SCALE: f32;
    /// The first and the last 16 entries, divided by [`Group::SCALE`].
    fn widen(&self) -> [[f32; HALF]; 2];
    fn narrow(values: &[f32; LANES]) -> Self;
}

/// Full precision.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Single(pub [f32; LANES]);

impl Group for Single {
    const EMPTY: Self = Self([0.0; LANES]);
    const SCALE: f32 = 1.0;

    #[expect(clippy::needless_range_loop, reason = "no closure, which might stay out of the dispatched function")]
    #[inline(always)]
    fn widen(&self) -> [[f32; HALF]; 2] {
        let mut out = [[0.0; HALF]; 2];
        for k in 0..HALF {
            out[0][k] = self.0[k];
            out[1][k] = self.0[HALF + k];
        }
        out
    }

    #[inline(always)]
    fn narrow(values: &[f32; LANES]) -> Self {
        Self(*values)
    }
}

/// Unsigned 16-bit floats: 6 bits of exponent, 10 of mantissa, up to just below 2; below 2⁻⁶² they lose bits, and below
/// 2⁻⁷³ they are 0.
///
/// bfloat16 spends a bit on the sign and two on exponents that no kernel needs once its rows are scaled to a maximum
/// near 1; this format errs an eighth as much. A number times 2⁻⁶⁴ has its 16 bits at 13 to 28 of a float32, all others
/// being 0. There the word k holds those of entry k, and of entry 16 + k once it is turned by half a word: two masks and
/// one turn read both, since a processor that shifts where it multiplies has better to do. What lost bits is a subnormal
/// float32, which some processors multiply slowly; costs 43 ε above a row's least occur at small ε alone.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Half(pub [u32; HALF]);

/// f32 mantissa bits that the format drops.
const DROPPED: u32 = 13;
const LARGEST: u32 = 0xffff << DROPPED;

impl Half {
    /// The largest error of an entry below 2⁻⁶², as a power of e: 2⁻⁷³ = e^-50.6.
    pub(crate) const FLOOR: f64 = 50.6;

    /// The 16 bits of a value, where they belong, rounded to the nearest, ties to even.
    #[inline(always)]
    fn bits(value: f32) -> u32 {
        let bits = (value * (1.0 / Self::SCALE)).to_bits();
        let rounded = (bits + (1 << (DROPPED - 1)) - 1 + ((bits >> DROPPED) & 1)) & !((1 << DROPPED) - 1);
        if rounded > LARGEST { LARGEST } else { rounded }
    }
}

impl Group for Half {
    const EMPTY: Self = Self([0; HALF]);
    /// 2⁶⁴.
    const SCALE: f32 = 18_446_744_073_709_551_616.0;

    #[expect(clippy::needless_range_loop, reason = "no closure, which might stay out of the dispatched function")]
    #[inline(always)]
    fn widen(&self) -> [[f32; HALF]; 2] {
        let mut out = [[0.0; HALF]; 2];
        for k in 0..HALF {
            let word = self.0[k];
            out[0][k] = f32::from_bits(word & LARGEST);
            out[1][k] = f32::from_bits(word.rotate_left(16) & LARGEST);
        }
        out
    }

    #[inline(always)]
    fn narrow(values: &[f32; LANES]) -> Self {
        let mut words = [0; HALF];
        for k in 0..HALF {
            words[k] = Self::bits(values[k]) | Self::bits(values[HALF + k]).rotate_left(16);
        }
        Self(words)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn packing_errs_by_at_most_half_a_step_in_both_halves() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..5000 {
            let values: [f32; LANES] =
                std::array::from_fn(|_| random.random_range(-42.0f32..0.0).exp() * random.random_range(0.5..1.999));
            for (wide, value) in Half::narrow(&values).widen().as_flattened().iter().zip(&values) {
                let wide = wide * Half::SCALE;
                assert!((wide / value - 1.0).abs() <= 1.001 / 2048.0, "{value} became {wide}");
            }
        }
        assert_eq!(Half::narrow(&[0.0; LANES]).widen(), [[0.0; HALF]; 2]);
        let tiny = Half::narrow(&[0.5f32.powi(70); LANES]).widen();
        assert!(tiny.as_flattened().iter().all(|v| (v * Half::SCALE / 0.5f32.powi(70) - 1.0).abs() < 1e-6));
        let large = Half::narrow(&[1e9; LANES]).widen();
        assert!(large.as_flattened().iter().all(|v| (1.99..2.0).contains(&(v * Half::SCALE))));
        assert_eq!(Half::narrow(&[1.0; LANES]).widen()[0].map(|v| v * Half::SCALE), [1.0; HALF]);
    }
}
