//! The loops over AVX512-BF16 instructions. `unsafe` is only what loads, stores and reinterprets whole operands.

use std::arch::x86_64::{
    __m128, __m512, __m512bh, _mm_add_ps, _mm_storeu_ps, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd,
    _mm512_dpbf16_ps, _mm512_extractf32x4_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use half::bf16;

use super::{LANE, Rounded, Rows, Sizes};

/// A row in whole lanes, and what is left of it, padded with zeros.
type Row<'a> = (&'a [[u16; LANE]], Option<&'a [u16; LANE]>);

/// Rows of x, and rows of W, of a block whose sums are in registers.
const TALL: usize = 6;
const WIDE: usize = 4;
/// Float32 numbers of a register.
const REGISTER: usize = 16;
/// Columns of a block of the backward pass.
const COLUMNS: usize = WIDE * REGISTER;
/// Pairs of rows of W that are interleaved at once.
const PAIRS: usize = 256;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn load(numbers: &[u16; LANE]) -> __m512bh {
    // SAFETY: 32 numbers of 16 bits are 64 bytes, and any bits are an operand.
    unsafe { std::mem::transmute(_mm512_loadu_si512(numbers.as_ptr().cast())) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn load_pairs(pairs: &[u32; REGISTER]) -> __m512bh {
    // SAFETY: 16 pairs of 32 bits are 64 bytes, and any bits are an operand.
    unsafe { std::mem::transmute(_mm512_loadu_si512(pairs.as_ptr().cast())) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn repeat(pair: u32) -> __m512bh {
    // SAFETY: both are 64 bytes, and any bits are an operand.
    unsafe { std::mem::transmute(_mm512_set1_epi32(pair.cast_signed())) }
}

/// The sums of four registers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn sums([a, b, c, d]: [__m512; WIDE]) -> [f32; WIDE] {
    let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    let all = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)), _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
    let low = _mm_add_ps(_mm512_extractf32x4_ps::<0>(all), _mm512_extractf32x4_ps::<1>(all));
    let high = _mm_add_ps(_mm512_extractf32x4_ps::<2>(all), _mm512_extractf32x4_ps::<3>(all));
    let sum: __m128 = _mm_add_ps(low, high);
    let mut out = [0f32; WIDE];
    // SAFETY: four numbers are 16 bytes.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), sum) };
    out
}

/// Some rows of x by four rows of W.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn block<const R: usize>(x: [&[[u16; LANE]]; R], w: [Row<'_>; WIDE]) -> [[f32; WIDE]; R] {
    let mut sum = [[_mm512_setzero_ps(); WIDE]; R];
    let steps = w.map(|(whole, _)| whole.len()).into_iter().min().unwrap_or(0);
    let steps = x.map(<[_]>::len).into_iter().min().unwrap_or(0).min(steps);
    let (head, tail) = (x.map(|x| x.split_at(steps).0), x.map(|x| x.split_at(steps).1));
    let whole = w.map(|(whole, _)| whole.split_at(steps).0);
    for step in 0..steps {
        let w = whole.map(|w| load(&w[step]));
        for (sums, x) in sum.iter_mut().zip(&head) {
            let x = load(&x[step]);
            for (sum, w) in sums.iter_mut().zip(&w) {
                *sum = _mm512_dpbf16_ps(*sum, x, *w);
            }
        }
    }
    for (sums, x) in sum.iter_mut().zip(&tail) {
        for (sum, (_, rest)) in sums.iter_mut().zip(&w) {
            if let (Some(x), Some(rest)) = (x.first(), rest) {
                *sum = _mm512_dpbf16_ps(*sum, load(x), load(rest));
            }
        }
    }
    sum.map(|row| sums(row))
}

/// `out` is rows of x × `width`, the rows of W.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn panel(x: &Rounded, w: &Rows<'_>, width: usize, out: &mut [f32]) {
    for (number, out) in out.chunks_mut(TALL * width).enumerate() {
        let first = number * TALL;
        for column in (0..width).step_by(WIDE) {
            // Beyond the last row of W stands the last once more, and is not stored.
            let w = std::array::from_fn(|at| w.row((column + at).min(width - 1)));
            let mut store = |row: usize, sums: &[f32; WIDE]| {
                let end = ((row + 1) * width).min(row * width + column + WIDE);
                let target = out.get_mut(row * width + column..end).unwrap_or_default();
                target.iter_mut().zip(sums).for_each(|(to, from)| *to = *from);
            };
            if first + TALL <= x.rows() {
                let sums = block::<TALL>(std::array::from_fn(|at| x.row(first + at)), w);
                sums.iter().enumerate().for_each(|(row, sums)| store(row, sums));
            } else {
                for row in first..x.rows() {
                    let [sums] = block::<1>([x.row(row)], w);
                    store(row - first, &sums);
                }
            }
        }
    }
}

/// dx += g·W. Pairs of rows of W are interleaved, so that one instruction takes two of them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn backward(g: &Rounded, w: &[bf16], (outputs, inputs): Sizes, dx: &mut [f32]) {
    let w: &[u16] = bytemuck::cast_slice(w);
    let row = |row: usize, from: usize, to: usize| w.get(row * inputs + from..row * inputs + to).unwrap_or_default();
    let pairs: Vec<u32> = (0..g.rows())
        .flat_map(|row| g.row(row).as_flattened().as_chunks::<2>().0)
        .map(|[low, high]| u32::from(*low) | u32::from(*high) << 16)
        .collect();
    let stride = g.steps * LANE / 2;
    let mut interleaved = vec![[[0u32; REGISTER]; WIDE]; PAIRS];
    for from in (0..inputs).step_by(COLUMNS) {
        let to = (from + COLUMNS).min(inputs);
        for first in (0..outputs.div_ceil(2)).step_by(PAIRS) {
            let count = PAIRS.min(outputs.div_ceil(2) - first);
            for (at, target) in interleaved.iter_mut().take(count).enumerate() {
                let lower = 2 * (first + at);
                let (low, high) =
                    (row(lower, from, to), if lower + 1 < outputs { row(lower + 1, from, to) } else { &[] });
                let target = target.as_flattened_mut();
                target.iter_mut().zip(low).for_each(|(to, low)| *to = u32::from(*low));
                target.iter_mut().zip(high).for_each(|(to, high)| *to |= u32::from(*high) << 16);
            }
            let of = |row: usize| pairs.get(row * stride + first..row * stride + first + count).unwrap_or_default();
            let w = interleaved.get(..count).unwrap_or_default();
            for (number, dx) in dx.chunks_mut(TALL * inputs).enumerate() {
                let top = number * TALL;
                let mut add = |row: usize, sums: &[f32]| {
                    let target = dx.get_mut(row * inputs + from..row * inputs + to).unwrap_or_default();
                    target.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
                };
                if top + TALL <= g.rows() {
                    let sums = strip::<TALL>(std::array::from_fn(|at| of(top + at)), w);
                    sums.iter().enumerate().for_each(|(row, sums)| add(row, sums));
                } else {
                    for row in top..g.rows() {
                        let [sums] = strip::<1>([of(row)], w);
                        add(row - top, &sums);
                    }
                }
            }
        }
    }
}

/// Some rows of pairs of g by 64 columns of pairs of rows of W.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn strip<const R: usize>(g: [&[u32]; R], w: &[[[u32; REGISTER]; WIDE]]) -> [[f32; COLUMNS]; R] {
    let mut sum = [[_mm512_setzero_ps(); WIDE]; R];
    let count = g.map(<[_]>::len).into_iter().min().unwrap_or(0).min(w.len());
    let (g, w) = (g.map(|g| g.split_at(count).0), w.split_at(count).0);
    for (step, w) in w.iter().enumerate() {
        let w = [load_pairs(&w[0]), load_pairs(&w[1]), load_pairs(&w[2]), load_pairs(&w[3])];
        for (sums, g) in sum.iter_mut().zip(&g) {
            let g = repeat(g[step]);
            for (sum, w) in sums.iter_mut().zip(&w) {
                *sum = _mm512_dpbf16_ps(*sum, g, *w);
            }
        }
    }
    let mut out = [[0f32; COLUMNS]; R];
    for (out, sums) in out.iter_mut().zip(sum) {
        for (out, sum) in out.as_chunks_mut::<REGISTER>().0.iter_mut().zip(sums) {
            // SAFETY: sixteen numbers are 64 bytes.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
        }
    }
    out
}
