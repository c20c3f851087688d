//! Cosines by 16-bit integer products: twice the rate of float32 where the processor multiplies integers in pairs.
//!
//! Purpose: x·y of unit rows as Σ x̂ ŷ / s² with x̂ = round(s x). Sums are exact in 32 bits as long as s² |x| |y| < 2³¹,
//! which holds by Cauchy-Schwarz for s = 46,000, so the only error is that of the rounded entries: 9·10⁻⁶ rms whatever
//! the dimension (bfloat16 products err by 8·10⁻⁵). Constraints: AVX-512 VNNI, chosen at run time; integer sums have the
//! same bits in any order.

use super::entries::LANES;

/// s where every entry fits: |s x| ≤ 32,767.
const SCALE: f32 = 46_000.0;
const LARGEST_ENTRY: f32 = 32_767.0;
/// Rows of a micro-kernel: 12 × 2 accumulators of 16 columns leave registers for the operands.
const TALL: usize = 12;
/// Rows whose integers stay in the cache while all columns pass.
const STRIP: usize = 48;

/// The reference rows in the order of the micro-kernel: for each group of 32 columns and each pair of dimensions, 32
/// words of two 16-bit integers.
pub(crate) struct FixedPoint {
    words: Vec<[[i32; 16]; 2]>,
    /// Pairs of dimensions.
    pairs: usize,
    scale: f32,
}

impl FixedPoint {
    /// Packs reference rows (whole groups of 32, row-major, unit or zero); `None` where the processor lacks the
    /// instructions. `largest` is the largest |entry| of any custom row.
    pub(crate) fn new(y: &[f32], dim: usize, largest: f32) -> Option<Self> {
        if !detected() {
            return None;
        }
        let largest = y.iter().fold(largest, |a, v| a.max(v.abs()));
        let scale = SCALE.min(LARGEST_ENTRY / largest);
        let pairs = dim.div_ceil(2);
        let mut words = vec![[[0; 16]; 2]; y.len() / dim / LANES * pairs];
        for (rows, words) in y.chunks_exact(LANES * dim).zip(words.chunks_exact_mut(pairs)) {
            for (column, row) in rows.chunks_exact(dim).enumerate() {
                for (pair, words) in row.chunks(2).zip(words.iter_mut()) {
                    words[column / 16][column % 16] = word(pair, scale);
                }
            }
        }
        Some(Self { words, pairs, scale })
    }

    /// Cosines of the rows of `x` with all columns, as `Clouds::cosines`.
    pub(crate) fn product(&self, x: &[f32], dim: usize, out: &mut [[f32; LANES]]) {
        let groups = self.words.len() / self.pairs;
        let unit = 1.0 / (self.scale * self.scale);
        let mut packed = vec![[0i32; TALL]; STRIP / TALL * self.pairs];
        for (x, out) in x.chunks(STRIP * dim).zip(out.chunks_mut(STRIP * groups)) {
            let rows = x.len() / dim;
            for (panel, x) in x.chunks(TALL * dim).enumerate() {
                let panel = &mut packed[panel * self.pairs..][..self.pairs];
                for (r, row) in x.chunks_exact(dim).enumerate() {
                    for (pair, panel) in row.chunks(2).zip(panel.iter_mut()) {
                        panel[r] = word(pair, self.scale);
                    }
                }
            }
            for (group, words) in self.words.chunks_exact(self.pairs).enumerate() {
                for (panel, packed) in packed.chunks_exact(self.pairs).enumerate().take(rows.div_ceil(TALL)) {
                    let sums = sums(packed, words);
                    for (r, sums) in sums.iter().enumerate().take(rows - panel * TALL) {
                        let out = &mut out[(panel * TALL + r) * groups + group];
                        for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
                            *out = *sum as f32 * unit;
                        }
                    }
                }
            }
        }
    }
}

fn word(pair: &[f32], scale: f32) -> i32 {
    let entry = |k: usize| pair.get(k).map_or(0, |v| i32::from((v * scale).round_ties_even() as i16));
    entry(0) & 0xffff | entry(1) << 16
}

fn detected() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Σ over pairs of dimensions of 12 rows with 32 columns.
#[cfg(target_arch = "x86_64")]
fn sums(x: &[[i32; TALL]], y: &[[[i32; 16]; 2]]) -> [[[i32; 16]; 2]; TALL] {
    use std::arch::x86_64::{_mm512_dpwssd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512};

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn tile(x: &[[i32; TALL]], y: &[[[i32; 16]; 2]]) -> [[[i32; 16]; 2]; TALL] {
        let mut sums = [[_mm512_setzero_si512(); 2]; TALL];
        for (x, y) in x.iter().zip(y) {
            // SAFETY: each reads the 64 bytes of an array of sixteen 32-bit integers.
            let y = unsafe { [_mm512_loadu_si512(y[0].as_ptr().cast()), _mm512_loadu_si512(y[1].as_ptr().cast())] };
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = _mm512_set1_epi32(*x);
                sums[0] = _mm512_dpwssd_epi32(sums[0], x, y[0]);
                sums[1] = _mm512_dpwssd_epi32(sums[1], x, y[1]);
            }
        }
        // SAFETY: a 512-bit vector and sixteen 32-bit integers have the same size, and any bits are integers.
        unsafe { std::mem::transmute(sums) }
    }
    // SAFETY: a `FixedPoint` exists only where the features were detected.
    unsafe { tile(x, y) }
}

#[cfg(not(target_arch = "x86_64"))]
fn sums(x: &[[i32; TALL]], y: &[[[i32; 16]; 2]]) -> [[[i32; 16]; 2]; TALL] {
    let mut sums = [[[0; 16]; 2]; TALL];
    for (x, y) in x.iter().zip(y) {
        for (sums, x) in sums.iter_mut().zip(x) {
            for (sum, y) in sums.as_flattened_mut().iter_mut().zip(y.as_flattened()) {
                *sum += i32::from(*x as i16) * i32::from(*y as i16) + (x >> 16) * (y >> 16);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn unit(random: &mut ChaCha8Rng, rows: usize, dim: usize) -> Vec<f32> {
        let mut data = Vec::new();
        for _ in 0..rows {
            let row: Vec<f32> = (0..dim).map(|_| random.random_range(-1.0..1.0)).collect();
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            data.extend(row.iter().map(|v| v / norm));
        }
        data
    }

    #[test]
    fn products_are_exact_sums_of_the_rounded_entries_and_near_the_cosines() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        for (rows, groups, dim) in [(1, 1, 1), (5, 1, 2), (12, 2, 7), (49, 3, 384), (131, 2, 65)] {
            let (x, y) = (unit(&mut random, rows, dim), unit(&mut random, groups * LANES, dim));
            let largest = x.iter().fold(0.0f32, |a, v| a.max(v.abs()));
            let Some(fixed) = FixedPoint::new(&y, dim, largest) else { return };
            let mut out = vec![[0.0; LANES]; rows * groups];
            fixed.product(&x, dim, &mut out);
            let mut square = 0.0;
            for i in 0..rows {
                for j in 0..groups * LANES {
                    let (x, y) = (&x[i * dim..][..dim], &y[j * dim..][..dim]);
                    let rounded = |v: &f32| i64::from((v * fixed.scale).round_ties_even() as i32);
                    let exact: i64 = x.iter().zip(y).map(|(x, y)| rounded(x) * rounded(y)).sum();
                    assert!(exact.abs() < 1 << 31);
                    let found = out[i * groups + j / LANES][j % LANES];
                    assert_eq!(found, exact as f32 * (1.0 / (fixed.scale * fixed.scale)), "{rows} {groups} {dim}");
                    let cosine: f64 = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                    square += (f64::from(found) - cosine).powi(2);
                }
            }
            let error = (square / (rows * groups * LANES) as f64).sqrt();
            assert!(error < 2e-5 && (dim < 65 || error < 1.1e-5), "{dim}: {error:e}");
        }
    }
}
