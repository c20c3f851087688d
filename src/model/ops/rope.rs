//! Turns the pairs (i, i + d/2) of every head by the angles of its token.

use candle_core::{Result, Tensor};

use super::tape::{Op, Tape, apply};
use super::{fault, plain, with_floats};

/// `x` is tokens × (heads·d), `cos` and `sin` tokens × d/2.
pub(crate) fn rope(tape: Option<&Tape>, x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return plain::rope(x, cos, sin);
    }
    apply(tape, Rope { cos: cos.clone(), sin: sin.clone() }, &[x], x.shape())
}

struct Rope {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// `direction` is 1, or -1 to turn back, which is also the way of the gradient.
    fn turn(&self, mut y: Vec<f32>, direction: f32) -> Result<Vec<f32>> {
        let (tokens, half) = self.cos.dims2()?;
        let width = y.len() / tokens.max(1);
        if half == 0
            || width * tokens != y.len()
            || !width.is_multiple_of(2 * half)
            || self.sin.dims2()? != (tokens, half)
        {
            return fault("the rotary tables do not fit");
        }
        with_floats(&self.cos, |cos| {
            with_floats(&self.sin, |sin| {
                let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
                for (row, (cos, sin)) in y.chunks_exact_mut(width).zip(angles) {
                    for head in row.chunks_exact_mut(2 * half) {
                        let (low, high) = head.split_at_mut(half);
                        let pairs = low.iter_mut().zip(high).zip(cos.iter().zip(sin));
                        pairs.for_each(|((low, high), (cos, sin))| {
                            let sin = direction * sin;
                            (*low, *high) = (*low * cos - *high * sin, *high * cos + *low * sin);
                        });
                    }
                }
                Ok(())
            })
        })?;
        Ok(y)
    }
}

impl Op for Rope {
    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<f32>> {
        let [x] = inputs else { return fault("a rotation has one input") };
        self.turn(x.to_vec(), 1.0)
    }

    fn backward(&self, _inputs: &[&[f32]], gradient: Vec<f32>) -> Result<Vec<Vec<f32>>> {
        Ok(vec![self.turn(gradient, -1.0)?])
    }
}
