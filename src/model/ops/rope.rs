//! Turns the pairs (i, i + d/2) of every head by the angles of its token.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{fault, floats, plain, tensor, with_floats};

/// `x` is tokens × (heads·d), `cos` and `sin` tokens × d/2.
pub(crate) fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return plain::rope(x, cos, sin);
    }
    x.contiguous()?.apply_op1(Rope { cos: cos.clone(), sin: sin.clone() })
}

struct Rope {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// `direction` is 1, or -1 to turn back, which is also the way of the gradient.
    fn turn(&self, x: &[f32], direction: f32) -> Result<Vec<f32>> {
        let (tokens, half) = self.cos.dims2()?;
        let width = x.len() / tokens.max(1);
        if half == 0
            || width * tokens != x.len()
            || !width.is_multiple_of(2 * half)
            || self.sin.dims2()? != (tokens, half)
        {
            return fault("the rotary tables do not fit");
        }
        let mut y = x.to_vec();
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

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.turn(floats(storage, layout)?, 1.0)?), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(tensor(with_floats(grad_res, |g| self.turn(g, -1.0))?, arg.dims())?))
    }
}
