//! The inner loops over the kernel: exponential, row sums, column sums.
//!
//! Purpose: one readable body per loop, compiled for several instruction sets and chosen at run time.
//! Constraints: bodies are plain Rust over fixed-size arrays, which the compiler vectorises; the only `unsafe` is
//! the call of a function whose features [`Level::detect`] has found. The order of additions depends on the
//! instruction set alone, never on the number of threads.

/// Columns per group: every row of a kernel is padded to whole groups.
pub(crate) const LANES: usize = 32;
const HALF: usize = LANES / 2;

/// The instruction sets with their own copy of each loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// What the target guarantees (SSE2, NEON).
    Baseline,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ, VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The widest set of this machine.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if fma && wide {
                return Self::Avx512;
            }
            if fma {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }
}

/// 32 neighbouring kernel entries of one row as they are stored.
pub(crate) trait Group: Copy + Send + Sync + 'static {
    const ZERO: Self;
    /// The first and the last 16 entries.
    fn widen(&self) -> [[f32; HALF]; 2];
    fn narrow(values: &[f32; LANES]) -> Self;
}

/// Full precision.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Single(pub [f32; LANES]);

impl Group for Single {
    const ZERO: Self = Self([0.0; LANES]);

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

/// Half the bytes: word k holds entry k in its low and entry 16 + k in its high half, both bfloat16.
///
/// The high entry is read with the low half left in place, so unpacking costs one shift for two entries. It is
/// rounded so that this whole word is nearest to the true value: the error stays within half a bfloat16 step, and
/// both half-steps of an iteration read the same number.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Brain(pub [u32; HALF]);

impl Group for Brain {
    const ZERO: Self = Self([0; HALF]);

    #[expect(clippy::needless_range_loop, reason = "no closure, which might stay out of the dispatched function")]
    #[inline(always)]
    fn widen(&self) -> [[f32; HALF]; 2] {
        let mut out = [[0.0; HALF]; 2];
        for k in 0..HALF {
            out[0][k] = f32::from_bits(self.0[k] << 16);
            out[1][k] = f32::from_bits(self.0[k]);
        }
        out
    }

    #[inline(always)]
    fn narrow(values: &[f32; LANES]) -> Self {
        let mut words = [0; HALF];
        for k in 0..HALF {
            let (low, high) = (values[k].to_bits(), values[HALF + k].to_bits());
            // Non-negative floats order as their bits; both roundings are to nearest.
            let low = low.wrapping_add(0x7fff + ((low >> 16) & 1)) >> 16;
            // The smallest normal number for zero: a low half alone would be a slow subnormal.
            let high = high.max(0x0080_0000).saturating_sub(low).wrapping_add(0x8000) & 0xffff_0000;
            words[k] = high | low;
        }
        Self(words)
    }
}

#[inline(always)]
fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// 2^y; 0 below -126, relative error 2e-7. Polynomial: degree 5, minimax of the relative error on [-½, ½].
#[inline(always)]
fn exp2<const FMA: bool>(y: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    let bounded = if y > 126.0 { 126.0 } else { y };
    let bounded = if bounded < -126.0 { -126.0 } else { bounded };
    let shifted = bounded + MAGIC;
    let fraction = bounded - (shifted - MAGIC);
    let mut p = 0.001_327_647_2;
    p = multiply_add::<FMA>(p, fraction, 0.009_675_541);
    p = multiply_add::<FMA>(p, fraction, 0.055_507_133);
    p = multiply_add::<FMA>(p, fraction, 0.240_221_2);
    p = multiply_add::<FMA>(p, fraction, 0.693_146_97);
    p = multiply_add::<FMA>(p, fraction, 1.0);
    let power = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if y < -126.0 { 0.0 } else { power }
}

/// One row of cosines to one row of kernel entries, K = 2^((cosine - reach)·rate + lift).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exponent<'a> {
    /// 1 - φ_i.
    pub reach: f32,
    /// log₂e / ε.
    pub rate: f32,
    /// γ_j·log₂e/ε; very negative in the padding.
    pub lift: &'a [[f32; LANES]],
}

#[inline(always)]
fn exponentials_body<G: Group, const FMA: bool>(cosines: &[[f32; LANES]], exponent: Exponent<'_>, out: &mut [G]) {
    for ((cosines, lift), out) in cosines.iter().zip(exponent.lift).zip(out) {
        let mut values = [0.0; LANES];
        for k in 0..LANES {
            values[k] = exp2::<FMA>(multiply_add::<FMA>(cosines[k] - exponent.reach, exponent.rate, lift[k]));
        }
        *out = G::narrow(&values);
    }
}

#[inline(always)]
fn sum_lanes(lanes: &[[f32; HALF]; 2]) -> f32 {
    let mut sums = [0.0f32; HALF];
    for k in 0..HALF {
        sums[k] = lanes[0][k] + lanes[1][k];
    }
    let mut width = HALF / 2;
    while width > 0 {
        for k in 0..width {
            sums[k] += sums[k + width];
        }
        width /= 2;
    }
    sums[0]
}

#[inline(always)]
fn row_sums_of<G: Group, const FMA: bool, const R: usize>(
    rows: [&[G]; R],
    columns: &[[f32; LANES]],
    out: &mut [f32; R],
) {
    let mut sums = [[[0.0f32; HALF]; 2]; R];
    for (j, scale) in columns.iter().enumerate() {
        for r in 0..R {
            let [low, high] = rows[r][j].widen();
            for k in 0..HALF {
                sums[r][0][k] = multiply_add::<FMA>(low[k], scale[k], sums[r][0][k]);
                sums[r][1][k] = multiply_add::<FMA>(high[k], scale[HALF + k], sums[r][1][k]);
            }
        }
    }
    for r in 0..R {
        out[r] = sum_lanes(&sums[r]);
    }
}

/// out_i = Σ_j K_ij x_j over the groups `from..from + columns.len()` of each row of `stride` groups.
#[inline(always)]
fn row_sums_body<G: Group, const FMA: bool>(
    tile: &[G],
    stride: usize,
    from: usize,
    columns: &[[f32; LANES]],
    out: &mut [f32],
) {
    let part = |row: &'_ usize| &tile[row * stride + from..][..columns.len()];
    let (quads, rest) = out.as_chunks_mut::<4>();
    let whole = quads.len() * 4;
    for (q, quad) in quads.iter_mut().enumerate() {
        let row = q * 4;
        row_sums_of::<G, FMA, 4>([part(&row), part(&(row + 1)), part(&(row + 2)), part(&(row + 3))], columns, quad);
    }
    for (r, out) in rest.iter_mut().enumerate() {
        let mut one = [0.0];
        row_sums_of::<G, FMA, 1>([part(&(whole + r))], columns, &mut one);
        *out = one[0];
    }
}

#[inline(always)]
fn column_sums_of<G: Group, const FMA: bool, const R: usize>(rows: [&[G]; R], y: [f32; R], sums: &mut [[f32; LANES]]) {
    for (j, sums) in sums.iter_mut().enumerate() {
        let mut local = *sums;
        for r in 0..R {
            let [low, high] = rows[r][j].widen();
            for k in 0..HALF {
                local[k] = multiply_add::<FMA>(low[k], y[r], local[k]);
                local[HALF + k] = multiply_add::<FMA>(high[k], y[r], local[HALF + k]);
            }
        }
        *sums = local;
    }
}

/// sums_j += Σ_i K_ij y_i over the groups `from..from + sums.len()` of each row.
#[inline(always)]
fn column_sums_body<G: Group, const FMA: bool>(
    tile: &[G],
    stride: usize,
    from: usize,
    y: &[f32],
    sums: &mut [[f32; LANES]],
) {
    let width = sums.len();
    let part = |row: usize| &tile[row * stride + from..][..width];
    let (octets, rest) = y.as_chunks::<8>();
    for (o, octet) in octets.iter().enumerate() {
        let rows: [&[G]; 8] = std::array::from_fn(|r| part(o * 8 + r));
        column_sums_of::<G, FMA, 8>(rows, *octet, sums);
    }
    for (r, y) in rest.iter().enumerate() {
        column_sums_of::<G, FMA, 1>([part(octets.len() * 8 + r)], [*y], sums);
    }
}

/// The largest cosine of a row.
#[inline(always)]
fn largest_body<const FMA: bool>(cosines: &[f32]) -> f32 {
    let (groups, rest) = cosines.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for group in groups {
        for k in 0..LANES {
            lanes[k] = if group[k] > lanes[k] { group[k] } else { lanes[k] };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a })
}

/// reach_j = max(reach_j, cosine_j - row): the negative column minimum of the cost less its row minimum.
#[inline(always)]
fn raise_body<const FMA: bool>(cosines: &[[f32; LANES]], row: f32, reach: &mut [[f32; LANES]]) {
    for (cosines, reach) in cosines.iter().zip(reach) {
        for k in 0..LANES {
            let value = cosines[k] - row;
            reach[k] = if value > reach[k] { value } else { reach[k] };
        }
    }
}

macro_rules! multiversion {
    ($(#[$doc:meta])* $name:ident, $body:ident, [$($group:ident)?], ($($arg:ident: $ty:ty),*) $(-> $ret:ty)?) => {
        $(#[$doc])*
        pub(crate) fn $name$(<$group: Group>)?(level: Level, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512$(<$group: Group>)?($($arg: $ty),*) $(-> $ret)? {
                    $body::<$($group,)? true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2$(<$group: Group>)?($($arg: $ty),*) $(-> $ret)? {
                    $body::<$($group,)? true>($($arg),*)
                }
                match level {
                    // SAFETY: `Level::detect` makes these values only where the features are present.
                    Level::Avx512 => return unsafe { avx512$(::<$group>)?($($arg),*) },
                    // SAFETY: as above.
                    Level::Avx2 => return unsafe { avx2$(::<$group>)?($($arg),*) },
                    Level::Baseline => {}
                }
            }
            let _ = level;
            $body::<$($group,)? { cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}

multiversion!(
    /// Kernel entries of one row from its cosines.
    exponentials, exponentials_body, [G], (cosines: &[[f32; LANES]], exponent: Exponent<'_>, out: &mut [G]));
multiversion!(
    /// out_i = Σ_j K_ij x_j over the groups `from..from + columns.len()` of rows of `stride` groups.
    row_sums, row_sums_body, [G], (tile: &[G], stride: usize, from: usize, columns: &[[f32; LANES]], out: &mut [f32]));
multiversion!(
    /// sums_j += Σ_i K_ij y_i over the groups `from..from + sums.len()` of rows of `stride` groups.
    column_sums, column_sums_body, [G], (tile: &[G], stride: usize, from: usize, y: &[f32], sums: &mut [[f32; LANES]]));
multiversion!(
    /// The largest of the values.
    largest, largest_body, [], (cosines: &[f32]) -> f32);
multiversion!(
    /// reach_j = max(reach_j, cosine_j - row).
    raise, raise_body, [], (cosines: &[[f32; LANES]], row: f32, reach: &mut [[f32; LANES]]));

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn levels() -> Vec<Level> {
        let mut levels = vec![Level::Baseline];
        #[cfg(target_arch = "x86_64")]
        match Level::detect() {
            Level::Avx512 => levels.extend([Level::Avx2, Level::Avx512]),
            Level::Avx2 => levels.push(Level::Avx2),
            Level::Baseline => {}
        }
        levels
    }

    #[test]
    fn the_exponential_is_right_to_single_precision_and_flushes_to_zero() {
        let lift = [[0.0; LANES]];
        for level in levels() {
            let mut x = 3.0f32;
            while x > -126.0 {
                let cosines: [f32; LANES] = std::array::from_fn(|k| x + k as f32 * 1e-3);
                let mut out = [Single::ZERO];
                exponentials(level, &[cosines], Exponent { reach: 0.0, rate: 1.0, lift: &lift }, &mut out);
                for (value, cosine) in out[0].0.iter().zip(cosines) {
                    let exact = f64::from(cosine).exp2();
                    assert!((f64::from(*value) / exact - 1.0).abs() < 3e-7, "{level:?} 2^{cosine}: {value}");
                }
                x -= 0.37;
            }
            let mut out = [Single::ZERO];
            exponentials(level, &[[-127.0; LANES]], Exponent { reach: 0.0, rate: 1.0, lift: &lift }, &mut out);
            assert_eq!(out[0].0, [0.0; LANES]);
        }
    }

    #[test]
    fn packing_errs_by_at_most_half_a_bfloat16_step_in_both_halves() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..2000 {
            let values: [f32; LANES] =
                std::array::from_fn(|_| random.random_range(-60.0f32..0.0).exp() * random.random_range(0.5..1.0));
            let [low, high] = Brain::narrow(&values).widen();
            for (wide, value) in low.iter().chain(&high).zip(&values) {
                assert!((wide / value - 1.0).abs() <= 1.0 / 256.0 * 1.001, "{value} became {wide}");
            }
        }
        assert!(Brain::narrow(&[0.0; LANES]).widen().as_flattened().iter().all(|v| *v < 1.2e-38));
        assert_eq!(Brain::narrow(&[1.0; LANES]).widen()[0], [1.0; HALF]);
    }

    #[test]
    fn sums_equal_plain_loops_at_every_level_and_height() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let (stride, from, width) = (7, 2, 4);
        for rows in [1, 3, 4, 8, 13] {
            let tile: Vec<Brain> = (0..rows * stride)
                .map(|_| Brain::narrow(&std::array::from_fn(|_| random.random_range(0.0..1.0))))
                .collect();
            let columns: Vec<[f32; LANES]> =
                (0..width).map(|_| std::array::from_fn(|_| random.random_range(0.0..1.0))).collect();
            let y: Vec<f32> = (0..rows).map(|_| random.random_range(0.0..1.0)).collect();
            let entry =
                |i: usize, j: usize| f64::from(tile[i * stride + from + j / LANES].widen()[j % LANES / HALF][j % HALF]);
            for level in levels() {
                let mut sums = vec![0.0; rows];
                row_sums(level, &tile, stride, from, &columns, &mut sums);
                for (i, sum) in sums.iter().enumerate() {
                    let exact: f64 =
                        (0..width * LANES).map(|j| entry(i, j) * f64::from(columns[j / LANES][j % LANES])).sum();
                    assert!((f64::from(*sum) / exact - 1.0).abs() < 1e-6);
                }
                let mut sums = vec![[1.0; LANES]; width];
                column_sums(level, &tile, stride, from, &y, &mut sums);
                for j in 0..width * LANES {
                    let exact: f64 = 1.0 + (0..rows).map(|i| entry(i, j) * f64::from(y[i])).sum::<f64>();
                    assert!((f64::from(sums[j / LANES][j % LANES]) / exact - 1.0).abs() < 1e-6);
                }
            }
        }
    }
}
