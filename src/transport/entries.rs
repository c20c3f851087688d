//! How kernel entries are stored: 4 bytes, or 2 bytes with half the memory traffic.
//!
//! Constraint: both half-steps of an iteration read the same rounded numbers, whatever the format.

/// Columns per group: every row of a kernel is padded to whole groups.
pub(crate) const LANES: usize = 32;
pub(crate) const HALF: usize = LANES / 2;

/// 32 neighbouring kernel entries of one row as they are stored.
pub(crate) trait Group: Copy + Send + Sync + 'static {
    const EMPTY: Self;
    /// The first and the last 16 entries.
    fn widen(&self) -> [[f32; HALF]; 2];
    fn narrow(values: &[f32; LANES]) -> Self;
}

/// Full precision.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Single(pub [f32; LANES]);

impl Group for Single {
    const EMPTY: Self = Self([0.0; LANES]);

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

/// Unsigned 16-bit floats: 6 bits of exponent, 10 of mantissa, from 2⁻⁶³ to just below 2.
///
/// bfloat16 spends a bit on the sign and two on exponents that no kernel needs once its rows are scaled to a maximum
/// near 1; this format errs an eighth as much. Word k holds entry k in its low and entry 16 + k in its high half. The
/// high entry is read with the low half left in place, which saves a mask, and is rounded so that the whole word is
/// nearest to the true value: the error stays within half a step. What is smaller becomes 2⁻⁶³, what is larger the
/// largest.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Half(pub [u32; HALF]);

/// Exponent bits of 2⁻⁶³ in an f32.
const SMALLEST: u32 = 64 << 23;
/// f32 mantissa bits that the format drops.
const DROPPED: u32 = 13;
const LARGEST: u32 = 0xffff << DROPPED;

impl Half {
    /// Where an entry begins to lose its value to the smallest number, as a power of e: 2⁻⁶³ = e^-43.7.
    pub(crate) const REACH: f64 = 43.0;
}

impl Group for Half {
    const EMPTY: Self = Self([0; HALF]);

    #[expect(clippy::needless_range_loop, reason = "no closure, which might stay out of the dispatched function")]
    #[inline(always)]
    fn widen(&self) -> [[f32; HALF]; 2] {
        let mut out = [[0.0; HALF]; 2];
        for k in 0..HALF {
            let word = self.0[k];
            out[0][k] = f32::from_bits(((word << DROPPED) & LARGEST) + SMALLEST);
            out[1][k] = f32::from_bits((word >> (16 - DROPPED)) + SMALLEST);
        }
        out
    }

    #[inline(always)]
    fn narrow(values: &[f32; LANES]) -> Self {
        let mut words = [0; HALF];
        for k in 0..HALF {
            // Non-negative floats order as their bits, and so does what is left of them; both roundings are to nearest.
            let low = values[k].to_bits().saturating_sub(SMALLEST).min(LARGEST);
            let high = values[HALF + k].to_bits().saturating_sub(SMALLEST).min(LARGEST);
            let low = ((low + (1 << (DROPPED - 1)) - 1 + ((low >> DROPPED) & 1)) >> DROPPED).min(0xffff);
            let high = (high << (16 - DROPPED)).saturating_sub(low).wrapping_add(0x8000) & 0xffff_0000;
            words[k] = high | low;
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
            let [low, high] = Half::narrow(&values).widen();
            for (wide, value) in low.iter().chain(&high).zip(&values) {
                assert!((wide / value - 1.0).abs() <= 1.001 / 2048.0, "{value} became {wide}");
            }
        }
        let smallest = 0.5f32.powi(62);
        assert!(Half::narrow(&[0.0; LANES]).widen().as_flattened().iter().all(|v| *v <= smallest));
        assert!(Half::narrow(&[1e9; LANES]).widen().as_flattened().iter().all(|v| (1.99..2.0).contains(v)));
        assert_eq!(Half::narrow(&[1.0; LANES]).widen()[0], [1.0; HALF]);
    }
}
