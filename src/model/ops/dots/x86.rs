//! The loops over AVX512-BF16 instructions. `unsafe` is only what loads, stores and reinterprets whole operands.

use std::arch::x86_64::{
    __m512, __m512bh, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_reduce_add_ps, _mm512_set1_epi32,
    _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{COLUMNS, LANE, Rounded, Sizes};

/// Rows of a block whose sums are in registers, and registers of columns.
const TALL: usize = 6;
const WIDE: usize = COLUMNS / LANE;
/// Pairs along the sums that are made ready at once.
const PAIRS: usize = 256;
/// Of these, so many together: what they are gathered into stays in the first-level cache.
const GATHERED: usize = 16;

/// For each pair along the sums, that pair of every column.
type Columns = [[[u32; LANE]; WIDE]];

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn load(pairs: &[u32; LANE]) -> __m512bh {
    // SAFETY: 16 pairs of 32 bits are 64 bytes, and any bits are an operand.
    unsafe { std::mem::transmute(_mm512_loadu_si512(pairs.as_ptr().cast())) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn repeat(pair: u32) -> __m512bh {
    // SAFETY: both are 64 bytes, and any bits are an operand.
    unsafe { std::mem::transmute(_mm512_set1_epi32(pair.cast_signed())) }
}

fn pair(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

/// One row of x by rows of W, whose numbers are read once and in order.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn single(x: &Rounded, w: &[u16], inputs: usize, out: &mut [f32]) {
    let (whole, rest) = x.row(0).split_at(inputs / (2 * LANE));
    for (row, out) in w.chunks_exact(inputs).zip(out) {
        let (blocks, tail) = row.as_chunks::<{ 2 * LANE }>();
        let mut sums = [_mm512_setzero_ps(); 2];
        for (step, (x, w)) in whole.iter().zip(blocks).enumerate() {
            // SAFETY: 32 numbers of 16 bits are 64 bytes, and any bits are an operand.
            let w: __m512bh = unsafe { std::mem::transmute(_mm512_loadu_si512(w.as_ptr().cast())) };
            sums[step % 2] = _mm512_dpbf16_ps(sums[step % 2], load(x), w);
        }
        if let Some(x) = rest.first() {
            let mut filled = [0u32; LANE];
            filled.iter_mut().zip(tail.chunks(2)).for_each(|(to, numbers)| {
                *to = pair(numbers.first().copied().unwrap_or(0), numbers.get(1).copied().unwrap_or(0));
            });
            sums[0] = _mm512_dpbf16_ps(sums[0], load(x), load(&filled));
        }
        *out = _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
    }
}

/// `out` is rows of x × rows of W, at most 64.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn forward(x: &Rounded, w: &[u16], inputs: usize, out: &mut [f32]) {
    let width = w.len() / inputs;
    let gather = |first: usize, target: &mut Columns| {
        for (at, target) in target.chunks_mut(GATHERED).enumerate() {
            let from = 2 * (first + at * GATHERED);
            for (column, row) in w.chunks_exact(inputs).enumerate() {
                let row = row.get(from..).unwrap_or_default();
                let (pairs, rest) = row.as_chunks::<2>();
                let rest = rest.first().map(|last| [*last, 0]);
                for (target, [low, high]) in target.iter_mut().zip(pairs.iter().chain(&rest)) {
                    target[column / LANE][column % LANE] = pair(*low, *high);
                }
            }
        }
    };
    let add = |row: usize, sums: &[f32; COLUMNS]| {
        let target = out.get_mut(row * width..(row + 1) * width).unwrap_or_default();
        target.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
    };
    sum(x, inputs.div_ceil(2), gather, add);
}

/// dx += g·W.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn backward(g: &Rounded, w: &[u16], (outputs, inputs): Sizes, dx: &mut [f32]) {
    let row = |row: usize, from: usize, to: usize| w.get(row * inputs + from..row * inputs + to).unwrap_or_default();
    for from in (0..inputs).step_by(COLUMNS) {
        let to = (from + COLUMNS).min(inputs);
        let gather = |first: usize, target: &mut Columns| {
            for (at, target) in target.iter_mut().enumerate() {
                let lower = 2 * (first + at);
                let (low, high) =
                    (row(lower, from, to), if lower + 1 < outputs { row(lower + 1, from, to) } else { &[] });
                let target = target.as_flattened_mut();
                target.iter_mut().zip(low).for_each(|(to, low)| *to = u32::from(*low));
                target.iter_mut().zip(high).for_each(|(to, high)| *to |= u32::from(*high) << 16);
            }
        };
        let add = |row: usize, sums: &[f32; COLUMNS]| {
            let target = dx.get_mut(row * inputs + from..row * inputs + to).unwrap_or_default();
            target.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
        };
        sum(g, outputs.div_ceil(2), gather, add);
    }
}

/// Sums of products of the rows with up to 64 columns over `length` pairs, in parts: `gather` makes the columns' pairs
/// from a first one on ready, `add` takes each row's part.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn sum(
    rows: &Rounded,
    length: usize,
    gather: impl Fn(usize, &mut Columns),
    mut add: impl FnMut(usize, &[f32; COLUMNS]),
) {
    let mut columns = vec![[[0u32; LANE]; WIDE]; PAIRS.min(length)];
    for first in (0..length).step_by(PAIRS) {
        let count = PAIRS.min(length - first);
        let Some(columns) = columns.get_mut(..count) else { return };
        gather(first, columns);
        let of = |row: usize| rows.row(row).as_flattened().get(first..first + count).unwrap_or_default();
        let mut top = 0;
        while top + TALL <= rows.rows() {
            let parts = strip::<TALL>(std::array::from_fn(|at| of(top + at)), columns);
            parts.iter().enumerate().for_each(|(at, part)| add(top + at, part));
            top += TALL;
        }
        for row in top..rows.rows() {
            let [part] = strip::<1>([of(row)], columns);
            add(row, &part);
        }
    }
}

/// Some rows by 64 columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn strip<const R: usize>(rows: [&[u32]; R], columns: &Columns) -> [[f32; COLUMNS]; R] {
    let mut sums = [[_mm512_setzero_ps(); WIDE]; R];
    let count = rows.map(<[_]>::len).into_iter().min().unwrap_or(0).min(columns.len());
    let (rows, columns) = (rows.map(|row| row.split_at(count).0), columns.split_at(count).0);
    for (step, columns) in columns.iter().enumerate() {
        let columns = [load(&columns[0]), load(&columns[1]), load(&columns[2]), load(&columns[3])];
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let row = repeat(row[step]);
            for (sum, column) in sums.iter_mut().zip(&columns) {
                *sum = _mm512_dpbf16_ps(*sum, row, *column);
            }
        }
    }
    let mut out = [[0f32; COLUMNS]; R];
    for (out, sums) in out.iter_mut().zip(sums) {
        store(out, sums);
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn store(out: &mut [f32; COLUMNS], sums: [__m512; WIDE]) {
    for (out, sum) in out.as_chunks_mut::<LANE>().0.iter_mut().zip(sums) {
        // SAFETY: sixteen numbers are 64 bytes.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
    }
}
