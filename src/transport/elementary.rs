//! Exponential and logarithm of many float64 at once.
//!
//! Purpose: a sweep takes them once a row and once a column, one at a time as long as half of its products with a small
//! kernel. Range reduction and polynomials as in any library of such functions (Muller, Elementary Functions, 2016,
//! chapters 6 and 11), in plain Rust that the compiler vectorises; relative error below 1.6e-15 (tested against the
//! standard library, which is the oracle). Constraint: infinities, NaN and zero give what the standard library gives;
//! results below the smallest normal number become 0.

use super::simd::{Level, multiversion};

/// 1.5 · 2^52: added to a number below 2^51 it leaves the nearest integer in the low bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts; the first has zeros enough to be exact times any exponent.
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Arguments of exp outside of this have no normal result.
const LARGEST: f64 = 709.0;
const SMALLEST: f64 = -708.0;
/// Bits of √½.
const ROOT: u64 = 0x3fe6_a09e_667f_3bcd;

#[inline(always)]
fn multiply_add<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn exp_body<const FMA: bool>(values: &mut [f64]) {
    for value in values {
        let x = *value;
        let bounded = if x > LARGEST { LARGEST } else { x };
        let bounded = if bounded < SMALLEST { SMALLEST } else { bounded };
        let shifted = multiply_add::<FMA>(bounded, std::f64::consts::LOG2_E, MAGIC);
        let whole = shifted - MAGIC;
        let r = multiply_add::<FMA>(-whole, LN2_LOW, multiply_add::<FMA>(-whole, LN2_HIGH, bounded));
        let mut p = 1.0 / 479_001_600.0;
        p = multiply_add::<FMA>(p, r, 1.0 / 39_916_800.0);
        p = multiply_add::<FMA>(p, r, 1.0 / 3_628_800.0);
        p = multiply_add::<FMA>(p, r, 1.0 / 362_880.0);
        p = multiply_add::<FMA>(p, r, 1.0 / 40_320.0);
        p = multiply_add::<FMA>(p, r, 1.0 / 5_040.0);
        p = multiply_add::<FMA>(p, r, 1.0 / 720.0);
        p = multiply_add::<FMA>(p, r, 1.0 / 120.0);
        p = multiply_add::<FMA>(p, r, 1.0 / 24.0);
        p = multiply_add::<FMA>(p, r, 1.0 / 6.0);
        p = multiply_add::<FMA>(p, r, 0.5);
        p = multiply_add::<FMA>(p, r, 1.0);
        p = multiply_add::<FMA>(p, r, 1.0);
        let power = f64::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 52));
        // The last 0.78 before the overflow belong to infinity, too: no potential comes near.
        let power = if x > LARGEST { f64::INFINITY } else { power };
        let power = if x < SMALLEST { 0.0 } else { power };
        *value = if x.is_nan() { x } else { power };
    }
}

#[inline(always)]
fn ln_body<const FMA: bool>(values: &mut [f64]) {
    for value in values {
        let x = *value;
        let shift = (x.to_bits().wrapping_sub(ROOT) as i64 >> 52) as u64;
        let exponent = f64::from_bits(MAGIC.to_bits().wrapping_add(shift)) - MAGIC;
        let m = f64::from_bits(x.to_bits().wrapping_sub(shift << 52));
        let s = (m - 1.0) / (m + 1.0);
        let z = s * s;
        let mut p = 2.0 / 21.0;
        p = multiply_add::<FMA>(p, z, 2.0 / 19.0);
        p = multiply_add::<FMA>(p, z, 2.0 / 17.0);
        p = multiply_add::<FMA>(p, z, 2.0 / 15.0);
        p = multiply_add::<FMA>(p, z, 2.0 / 13.0);
        p = multiply_add::<FMA>(p, z, 2.0 / 11.0);
        p = multiply_add::<FMA>(p, z, 2.0 / 9.0);
        p = multiply_add::<FMA>(p, z, 2.0 / 7.0);
        p = multiply_add::<FMA>(p, z, 2.0 / 5.0);
        p = multiply_add::<FMA>(p, z, 2.0 / 3.0);
        let small = multiply_add::<FMA>(p, z * s, multiply_add::<FMA>(exponent, LN2_LOW, 2.0 * s));
        let log = multiply_add::<FMA>(exponent, LN2_HIGH, small);
        let log = if x == f64::INFINITY { x } else { log };
        let log = if x < f64::MIN_POSITIVE { f64::NEG_INFINITY } else { log };
        *value = if x < 0.0 || x.is_nan() { f64::NAN } else { log };
    }
}

multiversion!(
    /// e^x in place.
    exp, exp_body, [], (values: &mut [f64]));
multiversion!(
    /// ln x in place; of numbers below the smallest normal one it is -∞.
    ln, ln_body, [], (values: &mut [f64]));

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::simd::tests::levels;
    use super::*;

    #[test]
    fn both_are_the_standard_librarys_to_rounding() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let arguments: Vec<f64> = (0..20_000)
            .map(|k| random.random_range(-1.0..1.0) * [1e-9, 1e-3, 1.0, 30.0, 700.0][k % 5])
            .chain([0.0, 0.5 * std::f64::consts::LN_2, -708.0, 709.0])
            .collect();
        for level in levels() {
            let mut powers = arguments.clone();
            exp(level, &mut powers);
            for (x, power) in arguments.iter().zip(&powers) {
                assert!((power / x.exp() - 1.0).abs() < 1.6e-15, "{level:?} e^{x}: {power}");
            }
            let mut logs = powers.clone();
            ln(level, &mut logs);
            for (x, log) in powers.iter().zip(&logs) {
                let exact = x.ln();
                assert!((log - exact).abs() <= 1.6e-15 * exact.abs().max(1e-3), "{level:?} ln {x}: {log}, {exact}");
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_so_and_what_is_too_large_or_small_says_so() {
        for level in levels() {
            let mut values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9, -1e9];
            exp(level, &mut values);
            assert!(values[0].is_nan());
            assert_eq!(values[1..], [f64::INFINITY, 0.0, f64::INFINITY, 0.0]);
            let mut values = [f64::NAN, -1.0, f64::INFINITY, 0.0, 5e-324];
            ln(level, &mut values);
            assert!(values[0].is_nan() && values[1].is_nan());
            assert_eq!(values[2..], [f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY]);
        }
    }
}
