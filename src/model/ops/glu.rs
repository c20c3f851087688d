//! act(gate)·up, element by element.
//!
//! Source: Shazeer, GLU variants improve transformer (2020).

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use pulp::Arch;

use super::{fault, floats, plain, tensor, with_floats};
use crate::model::decoder::GateActivation;
use crate::model::kernels::exp;

pub(crate) fn glu(gate: &Tensor, up: &Tensor, activation: GateActivation) -> Result<Tensor> {
    if !gate.device().is_cpu() {
        return plain::glu(gate, up, activation);
    }
    gate.contiguous()?.apply_op2(&up.contiguous()?, Glu { activation })
}

struct Glu {
    activation: GateActivation,
}

/// √(2/π) and the cubic coefficient of the tanh form.
const SCALE: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// The activation and its derivative.
#[inline(always)]
fn gate(x: f32, activation: GateActivation) -> (f32, f32) {
    match activation {
        GateActivation::Silu => {
            let s = 1.0 / (1.0 + exp(-x));
            (x * s, s * (1.0 + x * (1.0 - s)))
        }
        GateActivation::GeluTanh => {
            // ½(1 + tanh z) = σ(2z)
            let s = 1.0 / (1.0 + exp(-2.0 * SCALE * (x + CUBIC * x * x * x)));
            (x * s, s + x * s * (1.0 - s) * 2.0 * SCALE * (1.0 + 3.0 * CUBIC * x * x))
        }
    }
}

impl CustomOp2 for Glu {
    fn name(&self) -> &'static str {
        "glu"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, up) = (floats(s1, l1)?, floats(s2, l2)?);
        if x.len() != up.len() {
            return fault("gate and value differ in size");
        }
        let mut y = up.to_vec();
        let activation = self.activation;
        Arch::new().dispatch(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, &x)| *y *= gate(x, activation).0),
        );
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dgate, dup) = with_floats(grad_res, |g| {
            with_floats(arg1, |x| {
                with_floats(arg2, |up| {
                    let (mut dgate, mut dup) = (g.to_vec(), g.to_vec());
                    let activation = self.activation;
                    Arch::new().dispatch(
                        #[inline(always)]
                        || {
                            let both = dgate.iter_mut().zip(dup.iter_mut()).zip(x.iter().zip(up));
                            both.for_each(|((dgate, dup), (&x, up))| {
                                let (value, slope) = gate(x, activation);
                                *dgate *= up * slope;
                                *dup *= value;
                            });
                        },
                    );
                    Ok((dgate, dup))
                })
            })
        })?;
        Ok((Some(tensor(dgate, arg1.dims())?), Some(tensor(dup, arg2.dims())?)))
    }
}
