//! The element-wise steps of a transformer layer on float32 slices.
//!
//! Constraints: each body is plain Rust that the compiler vectorises for the widest instruction set of the
//! machine; the order of additions depends on the width of a row alone. Absolute errors against float64 are
//! below 1e-6 for activations of ordinary size (tested).

use pulp::Arch;

use super::spec::Activation;
use super::weights::Norm;

/// Partial sums of a row.
const LANES: usize = 16;

/// e^x to a relative error of 3e-7 for |x| ≤ 2; 0 below -87, and never more than 2^126. Polynomial: degree 5,
/// minimax of the relative error of 2^f on [-½, ½].
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let y = x * std::f32::consts::LOG2_E;
    let y = if y > 126.0 { 126.0 } else { y };
    let bounded = if y < -126.0 { -126.0 } else { y };
    let shifted = bounded + ROUND;
    let fraction = bounded - (shifted - ROUND);
    let mut p = 0.001_327_647_2;
    p = p * fraction + 0.009_675_541;
    p = p * fraction + 0.055_507_133;
    p = p * fraction + 0.240_221_2;
    p = p * fraction + 0.693_146_97;
    p = p * fraction + 1.0;
    let power = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if y < -126.0 { 0.0 } else { power }
}

/// The error function to an absolute error of 3e-7: Abramowitz and Stegun, Handbook of Mathematical Functions,
/// 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152_1;
    p = p * t + 1.421_413_8;
    p = p * t - 0.284_496_72;
    p = p * t + 0.254_829_6;
    (1.0 - p * t * exp(-a * a)).copysign(x)
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const SCALE: f32 = 0.797_884_6;
    let inner = SCALE * (x + 0.044_715 * x * x * x);
    // ½(1 + tanh z) = 1 - 1/(e^{2z} + 1)
    x * (1.0 - 1.0 / (exp(2.0 * inner) + 1.0))
}

/// Adds `bias` to every row.
pub(super) fn add_bias(arch: Arch, rows: &mut [f32], bias: &[f32]) {
    map(arch, rows, bias, |x| x);
}

/// Adds `bias` to every row and applies the activation.
pub(super) fn activate(arch: Arch, rows: &mut [f32], bias: &[f32], activation: Activation) {
    match activation {
        Activation::Gelu => map(arch, rows, bias, gelu),
        Activation::GeluTanh => map(arch, rows, bias, gelu_tanh),
        Activation::Relu => map(arch, rows, bias, |x| if x > 0.0 { x } else { 0.0 }),
    }
}

#[inline(always)]
fn map(arch: Arch, rows: &mut [f32], bias: &[f32], of: impl Fn(f32) -> f32) {
    arch.dispatch(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(bias.len().max(1)) {
                row.iter_mut().zip(bias).for_each(|(x, bias)| *x = of(*x + bias));
            }
        },
    );
}

/// `rows = norm(rows + update + bias)`, row by row; an empty `update` or `bias` adds nothing.
pub(super) fn add_and_norm(arch: Arch, rows: &mut [f32], update: &[f32], bias: &[f32], norm: &Norm, epsilon: f32) {
    let width = norm.weight.len().max(1);
    arch.dispatch(
        #[inline(always)]
        || {
            let mut updates = update.chunks_exact(width);
            for row in rows.chunks_exact_mut(width) {
                if let Some(update) = updates.next() {
                    row.iter_mut().zip(update).zip(bias).for_each(|((x, update), bias)| *x += update + bias);
                }
                let mean = sum(row, |x| x) / width as f32;
                let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
                let scale = 1.0 / (variance + epsilon).sqrt();
                let shape = norm.weight.iter().zip(&norm.bias);
                row.iter_mut().zip(shape).for_each(|(x, (weight, bias))| *x = (*x - mean) * scale * weight + bias);
            }
        },
    );
}

#[inline(always)]
pub(super) fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0f32; LANES];
    for block in blocks {
        for k in 0..LANES {
            lanes[k] += of(block[k]);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|&x| of(x)).sum::<f32>()
}

#[inline(always)]
pub(super) fn largest(row: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for k in 0..LANES {
            lanes[k] = if block[k] > lanes[k] { block[k] } else { lanes[k] };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// Softmax of every row of a square matrix of scores. `relative(i)` is what is added to row i first; empty for
/// nothing.
pub(super) fn softmax<'a>(arch: Arch, scores: &mut [f32], width: usize, relative: impl Fn(usize) -> &'a [f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            for (i, row) in scores.chunks_exact_mut(width.max(1)).enumerate() {
                row.iter_mut().zip(relative(i)).for_each(|(x, relative)| *x += relative);
                let peak = largest(row);
                row.iter_mut().for_each(|x| *x = exp(*x - peak));
                let scale = 1.0 / sum(row, |x| x);
                row.iter_mut().for_each(|x| *x *= scale);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f32> {
        (-4000..=4000).map(|i| i as f32 * 0.005)
    }

    #[test]
    fn exponential_and_error_function_agree_with_float64() {
        for x in grid() {
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 4e-6 * exact, "exp({x})");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-200.0), 0.0);
        assert!(exp(f32::INFINITY).is_finite());
        for x in grid() {
            assert!((f64::from(erf(x)) - exact_erf(f64::from(x))).abs() < 4e-7, "erf({x})");
        }
    }

    /// Taylor series near zero, continued fraction far from it.
    fn exact_erf(x: f64) -> f64 {
        let a = x.abs();
        let value = if a < 3.0 {
            let (mut term, mut sum, mut n) = (a, a, 0.0);
            while term.abs() > 1e-18 {
                n += 1.0;
                term *= -a * a / n;
                sum += term / (2.0 * n + 1.0);
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        } else {
            let fraction = (1..60).rev().fold(a, |below, k| a + 0.5 * f64::from(k) / below);
            1.0 - (-a * a).exp() / (fraction * std::f64::consts::PI.sqrt())
        };
        value.copysign(x)
    }

    #[test]
    fn activations_agree_with_float64() {
        let inputs: Vec<f32> = grid().collect();
        let bias = vec![0.25; inputs.len()];
        let exact = |activation: Activation, x: f64| match activation {
            Activation::Gelu => 0.5 * x * (1.0 + exact_erf(x / 2f64.sqrt())),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
            }
            Activation::Relu => x.max(0.0),
        };
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
            let mut rows = inputs.clone();
            activate(Arch::new(), &mut rows, &bias, activation);
            for (&x, &got) in inputs.iter().zip(&rows) {
                let want = exact(activation, f64::from(x + 0.25));
                assert!((f64::from(got) - want).abs() < 4e-6, "{activation:?}({x}): {got} for {want}");
            }
        }
    }

    #[test]
    fn norm_and_softmax_agree_with_float64_at_every_width() {
        for width in [1, 2, 15, 16, 17, 40, 384] {
            let value = |i: usize| ((i * 2_654_435_761) % 1009) as f32 / 300.0 - 1.7;
            let rows: Vec<f32> = (0..3 * width).map(value).collect();
            let update: Vec<f32> = (0..3 * width).map(|i| value(i + 7)).collect();
            let bias: Vec<f32> = (0..width).map(|i| value(i + 3)).collect();
            let norm = Norm {
                weight: (0..width).map(|i| value(i + 1)).collect(),
                bias: (0..width).map(|i| value(i + 2)).collect(),
            };
            let mut got = rows.clone();
            add_and_norm(Arch::new(), &mut got, &update, &bias, &norm, 1e-5);
            let mut soft = rows.clone();
            softmax(Arch::new(), &mut soft, width, |_| &update[..width]);
            for r in 0..3 {
                let wide = |i: usize| f64::from(rows[r * width + i]);
                let x: Vec<f64> =
                    (0..width).map(|i| wide(i) + f64::from(update[r * width + i]) + f64::from(bias[i])).collect();
                let mean = x.iter().sum::<f64>() / width as f64;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let total: f64 = (0..width).map(|i| (wide(i) + f64::from(update[i])).exp()).sum();
                for i in 0..width {
                    let want =
                        (x[i] - mean) / (variance + 1e-5).sqrt() * f64::from(norm.weight[i]) + f64::from(norm.bias[i]);
                    assert!((f64::from(got[r * width + i]) - want).abs() < 2e-5, "norm, width {width}");
                    let want = (wide(i) + f64::from(update[i])).exp() / total;
                    assert!((f64::from(soft[r * width + i]) - want).abs() < 1e-6, "softmax, width {width}");
                }
            }
        }
    }
}
