//! The inner loops over the kernel: exponential, row sums, column sums.
//!
//! Purpose: one readable body per loop, compiled for several instruction sets and chosen at run time.
//! Constraints: bodies are plain Rust over fixed-size arrays, which the compiler vectorises; the only `unsafe` is
//! the call of a function whose features [`Level::detect`] has found. The order of additions depends on the
//! instruction set alone, never on the number of threads.

pub(crate) use super::entries::LANES;
use super::entries::{Group, HALF};

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

/// out_i = Σ_j K_ij x_j, divided by [`Group::SCALE`], over the groups `from..from + columns.len()` of each row of
/// `stride` groups.
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
fn column_sums_of<G: Group, const FMA: bool, const R: usize>(
    rows: [&[G]; R],
    next: Option<[*const G; R]>,
    y: [f32; R],
    sums: &mut [[f32; LANES]],
) {
    for (j, sums) in sums.iter_mut().enumerate() {
        let mut local = *sums;
        for r in 0..R {
            if let Some(next) = next {
                prefetch(next[r].wrapping_add(j));
            }
            let [low, high] = rows[r][j].widen();
            for k in 0..HALF {
                local[k] = multiply_add::<FMA>(low[k], y[r], local[k]);
                local[HALF + k] = multiply_add::<FMA>(high[k], y[r], local[HALF + k]);
            }
        }
        *sums = local;
    }
}

/// Where the rows lie that are read next: an address that is only ever asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Next {
    pub address: usize,
    pub rows: usize,
}

impl Next {
    pub(crate) fn of<G>(tile: &[G], rows: usize) -> Self {
        Self { address: tile.as_ptr().addr(), rows }
    }

    #[inline(always)]
    fn row<G>(self, row: usize, stride: usize, from: usize) -> *const G {
        std::ptr::without_provenance::<G>(self.address).wrapping_add(row * stride + from)
    }
}

/// Asks for an entry to be brought into the second-level cache; any address may be asked for.
#[inline(always)]
fn prefetch<G>(entry: *const G) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults; SSE is part of the target.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(entry.cast());
        if size_of::<G>() > 64 {
            _mm_prefetch::<_MM_HINT_T1>(entry.cast::<i8>().wrapping_add(64));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = entry;
}

/// sums_j += Σ_i K_ij y_i, divided by [`Group::SCALE`], over the groups `from..from + sums.len()` of each row; the rows of
/// `next` are fetched
/// meanwhile.
#[inline(always)]
fn column_sums_body<G: Group, const FMA: bool>(
    tile: &[G],
    next: Next,
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
        let ahead = (o * 8 + 8 <= next.rows).then(|| std::array::from_fn(|r| next.row::<G>(o * 8 + r, stride, from)));
        column_sums_of::<G, FMA, 8>(rows, ahead, *octet, sums);
    }
    for (r, y) in rest.iter().enumerate() {
        column_sums_of::<G, FMA, 1>([part(octets.len() * 8 + r)], None, [*y], sums);
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

/// The largest of cosine_j · rate + lift_j.
#[inline(always)]
fn highest_body<const FMA: bool>(cosines: &[[f32; LANES]], rate: f32, lift: &[[f32; LANES]]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for (cosines, lift) in cosines.iter().zip(lift) {
        for k in 0..LANES {
            let value = multiply_add::<FMA>(cosines[k], rate, lift[k]);
            lanes[k] = if value > lanes[k] { value } else { lanes[k] };
        }
    }
    lanes.iter().fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a })
}

/// reach_j = max(reach_j, cosine_j - row): the negative column minimum of the cost less its row minimum.
#[inline(always)]
fn raise_body<const FMA: bool>(cosines: &[[f32; LANES]], row: f32, reach: &mut [[f32; LANES]]) {
    // Flat: over arrays of 32 the compiler gathers and scatters.
    for (cosine, reach) in cosines.as_flattened().iter().zip(reach.as_flattened_mut()) {
        let value = cosine - row;
        *reach = if value > *reach { value } else { *reach };
    }
}

/// A function `$name(level, …)` that calls `$body` compiled for that level.
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

pub(super) use multiversion;

multiversion!(
    /// Kernel entries of one row from its cosines.
    exponentials, exponentials_body, [G], (cosines: &[[f32; LANES]], exponent: Exponent<'_>, out: &mut [G]));
multiversion!(
    /// out_i = Σ_j K_ij x_j, divided by [`Group::SCALE`], over the groups `from..from + columns.len()` of rows of `stride` groups.
    row_sums, row_sums_body, [G], (tile: &[G], stride: usize, from: usize, columns: &[[f32; LANES]], out: &mut [f32]));
multiversion!(
    /// sums_j += Σ_i K_ij y_i, divided by [`Group::SCALE`], over the groups `from..from + sums.len()` of rows of `stride`
    /// groups, while the cache fills with the rows of `next`.
    column_sums, column_sums_body, [G], (tile: &[G], next: Next, stride: usize, from: usize, y: &[f32], sums: &mut [[f32; LANES]]));
multiversion!(
    /// The largest of the values.
    largest, largest_body, [], (cosines: &[f32]) -> f32);
multiversion!(
    /// The largest of cosine_j · rate + lift_j: the exponent of a row's largest entry, less what belongs to the row.
    highest, highest_body, [], (cosines: &[[f32; LANES]], rate: f32, lift: &[[f32; LANES]]) -> f32);
multiversion!(
    /// reach_j = max(reach_j, cosine_j - row).
    raise, raise_body, [], (cosines: &[[f32; LANES]], row: f32, reach: &mut [[f32; LANES]]));

#[cfg(test)]
pub(super) mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::entries::{Half, Single};
    use super::*;

    pub(in super::super) fn levels() -> Vec<Level> {
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
                let mut out = [Single::EMPTY];
                exponentials(level, &[cosines], Exponent { reach: 0.0, rate: 1.0, lift: &lift }, &mut out);
                for (value, cosine) in out[0].0.iter().zip(cosines) {
                    let exact = f64::from(cosine).exp2();
                    assert!((f64::from(*value) / exact - 1.0).abs() < 3e-7, "{level:?} 2^{cosine}: {value}");
                }
                x -= 0.37;
            }
            let mut out = [Single::EMPTY];
            exponentials(level, &[[-127.0; LANES]], Exponent { reach: 0.0, rate: 1.0, lift: &lift }, &mut out);
            assert_eq!(out[0].0, [0.0; LANES]);
        }
    }

    #[test]
    fn sums_equal_plain_loops_at_every_level_and_height() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let (stride, from, width) = (7, 2, 4);
        for rows in [1, 3, 4, 8, 13] {
            let tile: Vec<Half> = (0..rows * stride)
                .map(|_| Half::narrow(&std::array::from_fn(|_| random.random_range(0.0..1.0))))
                .collect();
            let columns: Vec<[f32; LANES]> =
                (0..width).map(|_| std::array::from_fn(|_| random.random_range(0.0..1.0))).collect();
            let y: Vec<f32> = (0..rows).map(|_| random.random_range(0.0..1.0)).collect();
            let entry =
                |i: usize, j: usize| f64::from(tile[i * stride + from + j / LANES].widen()[j % LANES / HALF][j % HALF]);
            let scale = f64::from(Half::SCALE);
            for level in levels() {
                let mut sums = vec![0.0; rows];
                row_sums(level, &tile, stride, from, &columns, &mut sums);
                for (i, sum) in sums.iter().enumerate() {
                    let exact: f64 = (0..width * LANES)
                        .map(|j| scale * entry(i, j) * f64::from(columns[j / LANES][j % LANES]))
                        .sum();
                    assert!((scale * f64::from(*sum) / exact - 1.0).abs() < 1e-6);
                }
                // Rows that do not exist are only asked for.
                let next = Next { address: 1 << 40, rows };
                let mut sums = vec![[1.0 / Half::SCALE; LANES]; width];
                column_sums(level, &tile, next, stride, from, &y, &mut sums);
                for j in 0..width * LANES {
                    let exact: f64 = 1.0 + (0..rows).map(|i| scale * entry(i, j) * f64::from(y[i])).sum::<f64>();
                    assert!((scale * f64::from(sums[j / LANES][j % LANES]) / exact - 1.0).abs() < 1e-6);
                }
            }
        }
    }
}
