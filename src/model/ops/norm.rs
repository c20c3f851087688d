//! y = w·x / √(mean(x²) + ε), row by row, w frozen.
//!
//! Source: Zhang, Sennrich: Root mean square layer normalization (2019).

use candle_core::{Result, Tensor};
use pulp::Arch;

use super::tape::{Op, Tape, apply};
use super::{fault, plain, with_floats};
use crate::model::kernels::sum;

/// The last dimension of `x` may hold several heads of the length of `weight` side by side.
pub(crate) fn rms_norm(tape: Option<&Tape>, x: &Tensor, weight: &Tensor, epsilon: f32) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return plain::rms_norm(x, weight, epsilon);
    }
    apply(tape, RmsNorm { weight: weight.clone(), epsilon }, &[x], x.shape())
}

struct RmsNorm {
    weight: Tensor,
    epsilon: f32,
}

impl RmsNorm {
    fn normed(&self, x: &[f32], weight: &[f32]) -> Result<Vec<f32>> {
        let width = width(x, weight)?;
        let mut y = x.to_vec();
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for row in y.chunks_exact_mut(width) {
                    let scale = 1.0 / (sum(row, |x| x * x) / width as f32 + self.epsilon).sqrt();
                    row.iter_mut().zip(weight).for_each(|(x, weight)| *x *= scale * weight);
                }
            },
        );
        Ok(y)
    }

    fn gradient(&self, x: &[f32], weight: &[f32], g: &[f32]) -> Result<Vec<f32>> {
        let width = width(x, weight)?;
        if g.len() != x.len() {
            return fault("a gradient does not fit the norm");
        }
        let mut dx: Vec<f32> = Vec::with_capacity(x.len());
        let mut weighted = vec![0f32; width];
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (x, g) in x.chunks_exact(width).zip(g.chunks_exact(width)) {
                    let scale = 1.0 / (sum(x, |x| x * x) / width as f32 + self.epsilon).sqrt();
                    let terms = weighted.iter_mut().zip(x).zip(g).zip(weight);
                    terms.for_each(|(((out, x), g), weight)| *out = x * g * weight);
                    let along = sum(&weighted, |x| x) * scale * scale * scale / width as f32;
                    let terms = x.iter().zip(g).zip(weight);
                    dx.extend(terms.map(|((x, g), weight)| scale * weight * g - x * along));
                }
            },
        );
        Ok(dx)
    }
}

fn width(x: &[f32], weight: &[f32]) -> Result<usize> {
    if weight.is_empty() || !x.len().is_multiple_of(weight.len()) {
        return fault("the input does not fit the norm");
    }
    Ok(weight.len())
}

impl Op for RmsNorm {
    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<f32>> {
        let [x] = inputs else { return fault("a norm has one input") };
        with_floats(&self.weight, |weight| self.normed(x, weight))
    }

    fn backward(&self, inputs: &[&[f32]], gradient: Vec<f32>) -> Result<Vec<Vec<f32>>> {
        let [x] = inputs else { return fault("a norm has one input") };
        Ok(vec![with_floats(&self.weight, |weight| self.gradient(x, weight, &gradient))?])
    }
}
