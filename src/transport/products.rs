//! Products of unit rows by micro-kernels: in float32, and in 16-bit integers at nearly twice the rate.
//!
//! Purpose: x·y of custom rows with all reference rows where the processor has AVX-512 (elsewhere `faer` multiplies).
//! The integer form is Σ x̂ ŷ / s² with x̂ = round(s x); sums of a chunk of dimensions are exact in 32 bits as long as
//! s² |x| |y| < 2³¹ within it, so that the only error is that of the rounded entries: 2^-½ 3^-½ / s rms whatever the
//! dimension, some 5·10⁻⁶ (bfloat16 products err by 8·10⁻⁵). Constraints: instructions are chosen at run time; an
//! entry's additions have one order, whatever strip it is computed in.

use rayon::prelude::*;

use super::entries::LANES;

/// Rows of a micro-kernel: 12 × 2 accumulators of 16 columns leave registers for the operands.
pub(super) const TALL: usize = 12;
/// Rows whose words stay in the cache while all columns pass.
pub(super) const STRIP: usize = 48;

/// One entry per row and column of a micro-kernel.
type Sums = [[[f32; 16]; 2]; TALL];

/// How entries are held and multiplied.
pub(crate) trait Arithmetic: Copy + Send + Sync {
    /// One dimension, or two.
    type Word: Copy + Default + Send + Sync;
    const DIMENSIONS: usize;
    /// Words of a row whose products are summed before they join the sum of the row.
    const CHUNK: usize;
    /// Fills `words` with a row; what it lacks of whole words is 0.
    fn pack<'a>(self, row: &[f32], words: impl Iterator<Item = &'a mut Self::Word>)
    where
        Self::Word: 'a;
    /// Adds a chunk's products of 12 rows with 32 columns. The features of [`detected`] must be there.
    fn add(self, x: &[[Self::Word; TALL]], y: &[[[Self::Word; 16]; 2]], sums: &mut Sums);
}

/// float32 products.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Float;

/// Products of two pairs of 16-bit integers, the entries times `scale`, rounded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Integer {
    scale: f32,
}

/// Whether this processor has the instructions of `Float`, and those of `Integer` too.
pub(crate) fn detected() -> (bool, bool) {
    #[cfg(target_arch = "x86_64")]
    {
        let float = is_x86_feature_detected!("avx512f");
        (float, float && is_x86_feature_detected!("avx512vnni"))
    }
    #[cfg(not(target_arch = "x86_64"))]
    (false, false)
}

impl Arithmetic for Float {
    type Word = f32;
    const DIMENSIONS: usize = 1;
    const CHUNK: usize = 512;

    #[inline(always)]
    fn pack<'a>(self, row: &[f32], words: impl Iterator<Item = &'a mut f32>) {
        for (word, value) in words.zip(row) {
            *word = *value;
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn add(self, x: &[[f32; TALL]], y: &[[[f32; 16]; 2]], sums: &mut Sums) {
        use std::arch::x86_64::{_mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps};

        #[target_feature(enable = "avx512f")]
        fn tile(x: &[[f32; TALL]], y: &[[[f32; 16]; 2]], out: &mut Sums) {
            let mut sums = [[_mm512_setzero_ps(); 2]; TALL];
            for (x, y) in x.iter().zip(y) {
                // SAFETY: each reads the 64 bytes of an array of sixteen float32.
                let y = unsafe { [_mm512_loadu_ps(y[0].as_ptr()), _mm512_loadu_ps(y[1].as_ptr())] };
                for (sums, x) in sums.iter_mut().zip(x) {
                    let x = _mm512_set1_ps(*x);
                    sums[0] = _mm512_fmadd_ps(x, y[0], sums[0]);
                    sums[1] = _mm512_fmadd_ps(x, y[1], sums[1]);
                }
            }
            for (out, sum) in out.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                // SAFETY: `out` is an array of sixteen float32, which a vector has, too.
                unsafe { store(out, _mm512_add_ps(_mm512_loadu_ps(out.as_ptr()), *sum)) }
            }
        }
        // SAFETY: `Packed` exists only where the feature was detected.
        unsafe { tile(x, y, sums) }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn add(self, x: &[[f32; TALL]], y: &[[[f32; 16]; 2]], sums: &mut Sums) {
        for (x, y) in x.iter().zip(y) {
            for (sums, x) in sums.iter_mut().zip(x) {
                for (sum, y) in sums.as_flattened_mut().iter_mut().zip(y.as_flattened()) {
                    *sum += x * y;
                }
            }
        }
    }
}

/// # Safety
/// Needs AVX-512 F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn store(out: &mut [f32; 16], vector: std::arch::x86_64::__m512) {
    // SAFETY: writes the 64 bytes of the array.
    unsafe { std::arch::x86_64::_mm512_storeu_ps(out.as_mut_ptr(), vector) }
}

impl Integer {
    const LARGEST_ENTRY: f32 = 32_767.0;
    /// What a chunk's sum may reach, less what rounding adds to it.
    const LARGEST_SUM: f32 = 2.1e9;

    /// The largest scale at which nothing overflows for the rows that were surveyed.
    pub(crate) fn new(x: &Survey, y: &Survey) -> Self {
        let entry = x.entry.max(y.entry);
        let chunk = x.chunks.iter().zip(&y.chunks).map(|(x, y)| x * y).fold(0.0, f32::max).sqrt();
        Self { scale: (Self::LARGEST_ENTRY / entry).min((Self::LARGEST_SUM / chunk).sqrt()) }
    }
}

/// What bounds the integers of a set of rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Survey {
    /// The largest |entry|.
    entry: f32,
    /// For each chunk of dimensions the largest Σ entry² of a row.
    chunks: Vec<f32>,
}

impl Survey {
    pub(crate) fn of(rows: &[f32], dim: usize) -> Self {
        let width = Integer::CHUNK * Integer::DIMENSIONS;
        let mut survey = Self { entry: 0.0, chunks: vec![0.0; dim.div_ceil(width)] };
        for row in rows.chunks_exact(dim) {
            for (part, chunk) in row.chunks(width).zip(&mut survey.chunks) {
                let (mut largest, mut squares) = ([0.0f32; 16], [0.0f32; 16]);
                let (whole, rest) = part.as_chunks::<16>();
                for values in whole {
                    for k in 0..16 {
                        squares[k] += values[k] * values[k];
                        largest[k] = if values[k].abs() > largest[k] { values[k].abs() } else { largest[k] };
                    }
                }
                let square = squares.iter().sum::<f32>() + rest.iter().map(|v| v * v).sum::<f32>();
                *chunk = chunk.max(square);
                survey.entry = largest.iter().copied().chain(rest.iter().map(|v| v.abs())).fold(survey.entry, f32::max);
            }
        }
        survey
    }

    pub(crate) fn join(mut self, other: Self) -> Self {
        self.entry = self.entry.max(other.entry);
        if self.chunks.len() < other.chunks.len() {
            return Self { entry: self.entry, chunks: other.chunks };
        }
        for (chunk, other) in self.chunks.iter_mut().zip(other.chunks) {
            *chunk = chunk.max(other);
        }
        self
    }
}

impl Arithmetic for Integer {
    /// Two 16-bit integers.
    type Word = i32;
    const DIMENSIONS: usize = 2;
    /// Short enough that the largest scale is that of an entry and seldom that of a chunk's sum.
    const CHUNK: usize = 24;

    #[inline(always)]
    fn pack<'a>(self, row: &[f32], words: impl Iterator<Item = &'a mut i32>) {
        let entry = |value: f32| i32::from((value * self.scale).round_ties_even() as i16);
        let (pairs, rest) = row.as_chunks::<2>();
        let rest = rest.first().map(|last| [*last, 0.0]);
        for (word, pair) in words.zip(pairs.iter().chain(&rest)) {
            *word = entry(pair[0]) & 0xffff | entry(pair[1]) << 16;
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn add(self, x: &[[i32; TALL]], y: &[[[i32; 16]; 2]], sums: &mut Sums) {
        use std::arch::x86_64::{
            _mm512_cvtepi32_ps, _mm512_dpwssd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
            _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512,
        };

        #[target_feature(enable = "avx512f,avx512vnni")]
        fn tile(x: &[[i32; TALL]], y: &[[[i32; 16]; 2]], unit: f32, out: &mut Sums) {
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
            let unit = _mm512_set1_ps(unit);
            for (out, sum) in out.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                // SAFETY: `out` is an array of sixteen float32, which a vector has, too.
                unsafe {
                    let before = _mm512_loadu_ps(out.as_ptr());
                    store(out, _mm512_fmadd_ps(_mm512_cvtepi32_ps(*sum), unit, before));
                }
            }
        }
        // SAFETY: `Packed` exists only where the features were detected.
        unsafe { tile(x, y, 1.0 / (self.scale * self.scale), sums) }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn add(self, x: &[[i32; TALL]], y: &[[[i32; 16]; 2]], sums: &mut Sums) {
        let unit = 1.0 / (self.scale * self.scale);
        for r in 0..TALL {
            for (column, sum) in sums[r].as_flattened_mut().iter_mut().enumerate() {
                let products = x.iter().zip(y).map(|(x, y)| {
                    let (x, y) = (x[r], y[column / 16][column % 16]);
                    i32::from(x as i16) * i32::from(y as i16) + (x >> 16) * (y >> 16)
                });
                *sum += products.sum::<i32>() as f32 * unit;
            }
        }
    }
}

/// The reference rows in the order of the micro-kernel: for each group of 32 columns, word by word, 32 words.
pub(crate) struct Packed<A: Arithmetic> {
    words: Vec<[[A::Word; 16]; 2]>,
    /// Words of a row.
    steps: usize,
    arithmetic: A,
}

impl<A: Arithmetic> Packed<A> {
    /// Packs reference rows: whole groups of 32, row-major.
    pub(crate) fn new(y: &[f32], dim: usize, arithmetic: A) -> Self {
        let steps = dim.div_ceil(A::DIMENSIONS);
        let mut words = vec![[[A::Word::default(); 16]; 2]; y.len() / dim / LANES * steps];
        y.par_chunks_exact(LANES * dim).zip(words.par_chunks_exact_mut(steps)).for_each(|(rows, words)| {
            for (column, row) in rows.chunks_exact(dim).enumerate() {
                pack(arithmetic, row, words.iter_mut().map(|words| &mut words[column / 16][column % 16]));
            }
        });
        Self { words, steps, arithmetic }
    }

    /// Products of the rows of `x` with all columns, row after row of whole groups.
    pub(crate) fn product(&self, x: &[f32], dim: usize, out: &mut [[f32; LANES]]) {
        let groups = self.words.len() / self.steps;
        let mut packed = vec![[A::Word::default(); TALL]; STRIP / TALL * self.steps];
        for (x, out) in x.chunks(STRIP * dim).zip(out.chunks_mut(STRIP * groups)) {
            let rows = x.len() / dim;
            for (panel, x) in packed.chunks_exact_mut(self.steps).zip(x.chunks(TALL * dim)) {
                for (r, row) in x.chunks_exact(dim).enumerate() {
                    pack(self.arithmetic, row, panel.iter_mut().map(|words| &mut words[r]));
                }
            }
            for (group, words) in self.words.chunks_exact(self.steps).enumerate() {
                for (panel, packed) in packed.chunks_exact(self.steps).enumerate().take(rows.div_ceil(TALL)) {
                    let mut sums = [[[0.0; 16]; 2]; TALL];
                    for (x, y) in packed.chunks(A::CHUNK).zip(words.chunks(A::CHUNK)) {
                        self.arithmetic.add(x, y, &mut sums);
                    }
                    for (r, sums) in sums.iter().enumerate().take(rows - panel * TALL) {
                        out[(panel * TALL + r) * groups + group].copy_from_slice(sums.as_flattened());
                    }
                }
            }
        }
    }
}

/// [`Arithmetic::pack`] with the instructions that round a float.
fn pack<'a, A: Arithmetic>(arithmetic: A, row: &[f32], words: impl Iterator<Item = &'a mut A::Word>)
where
    A::Word: 'a,
{
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        fn wide<'a, A: Arithmetic>(arithmetic: A, row: &[f32], words: impl Iterator<Item = &'a mut A::Word>)
        where
            A::Word: 'a,
        {
            arithmetic.pack(row, words);
        }
        // SAFETY: `Packed` is made only where the feature was detected.
        unsafe { wide(arithmetic, row, words) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    arithmetic.pack(row, words);
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

    /// Calls `check` with random x, y and the name of the case.
    fn cases(check: impl Fn(&[f32], &[f32], usize)) {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        for (rows, groups, dim) in [(1, 1, 1), (5, 1, 2), (12, 2, 7), (49, 3, 384), (131, 2, 65), (7, 1, 1031)] {
            check(&unit(&mut random, rows, dim), &unit(&mut random, groups * LANES, dim), dim);
        }
    }

    fn cosine(x: &[f32], y: &[f32]) -> f64 {
        x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    }

    #[test]
    fn float_products_are_the_cosines() {
        if !detected().0 {
            return;
        }
        cases(|x, y, dim| {
            let mut out = vec![[0.0; LANES]; x.len() / dim * (y.len() / dim / LANES)];
            Packed::new(y, dim, Float).product(x, dim, &mut out);
            let columns = y.len() / dim;
            for (k, found) in out.as_flattened().iter().enumerate() {
                let exact = cosine(&x[k / columns * dim..][..dim], &y[k % columns * dim..][..dim]);
                assert!((f64::from(*found) - exact).abs() < 4e-7, "{dim}: {found} for {exact}");
            }
        });
    }

    #[test]
    fn integer_products_are_exact_sums_of_the_rounded_entries_and_near_the_cosines() {
        if !detected().1 {
            return;
        }
        cases(|x, y, dim| {
            let integer = Integer::new(&Survey::of(x, dim), &Survey::of(y, dim));
            let columns = y.len() / dim;
            let mut out = vec![[0.0; LANES]; x.len() / dim * columns / LANES];
            Packed::new(y, dim, integer).product(x, dim, &mut out);
            let mut square = 0.0;
            for (k, found) in out.as_flattened().iter().enumerate() {
                let (x, y) = (&x[k / columns * dim..][..dim], &y[k % columns * dim..][..dim]);
                let rounded = |v: &f32| i64::from((v * integer.scale).round_ties_even() as i32);
                let width = Integer::CHUNK * Integer::DIMENSIONS;
                let mut sum = 0.0;
                for (x, y) in x.chunks(width).zip(y.chunks(width)) {
                    let exact: i64 = x.iter().zip(y).map(|(x, y)| rounded(x) * rounded(y)).sum();
                    assert!(exact.abs() < 1 << 31);
                    sum = (exact as f32).mul_add(1.0 / (integer.scale * integer.scale), sum);
                }
                assert_eq!(*found, sum, "{dim}");
                square += (f64::from(*found) - cosine(x, y)).powi(2);
            }
            let error = (square / (x.len() / dim * columns) as f64).sqrt();
            assert!(error < 2e-5 && (dim < 384 || error < 5e-6), "{dim}: {error:e}");
        });
    }

    #[test]
    fn no_chunk_of_extreme_rows_overflows() {
        if !detected().1 {
            return;
        }
        // All of a row's length in one entry, in one chunk, or spread evenly.
        let dim = 200;
        let mut rows = vec![0.0f32; LANES * dim];
        for (r, row) in rows.chunks_exact_mut(dim).enumerate() {
            match r % 3 {
                0 => row[r * 5 % dim] = 1.0,
                1 => row[64..128].fill(1.0 / 8.0),
                _ => row.fill(1.0 / (dim as f32).sqrt()),
            }
        }
        let survey = Survey::of(&rows, dim);
        let mut out = vec![[0.0; LANES]; LANES];
        Packed::new(&rows, dim, Integer::new(&survey, &survey)).product(&rows, dim, &mut out);
        for (k, found) in out.as_flattened().iter().enumerate() {
            let exact = cosine(&rows[k / LANES * dim..][..dim], &rows[k % LANES * dim..][..dim]);
            assert!((f64::from(*found) - exact).abs() < 1e-4, "{found} for {exact}");
        }
    }

    #[test]
    fn surveys_join_to_the_survey_of_all_rows() {
        let mut random = ChaCha8Rng::seed_from_u64(8);
        let rows = unit(&mut random, 20, 131);
        let (a, b) = rows.split_at(7 * 131);
        assert_eq!(Survey::of(&rows, 131), Survey::of(a, 131).join(Survey::of(b, 131)));
        assert_eq!(Survey::of(&rows, 131), Survey::default().join(Survey::of(&rows, 131)));
    }
}
