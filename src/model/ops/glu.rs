//! act(gate)·up, element by element.
//!
//! Source: Shazeer, GLU variants improve transformer (2020).

use candle_core::{Result, Tensor};
use pulp::Arch;

use super::tape::{Op, Tape, apply};
use super::{fault, plain};
use crate::model::decoder::GateActivation;
use crate::model::kernels::exp;

pub(crate) fn glu(tape: Option<&Tape>, gate: &Tensor, up: &Tensor, activation: GateActivation) -> Result<Tensor> {
    if !gate.device().is_cpu() {
        return plain::glu(gate, up, activation);
    }
    apply(tape, Glu { activation }, &[gate, up], gate.shape())
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

impl Op for Glu {
    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<f32>> {
        let (x, up) = both(inputs)?;
        let mut y = up.to_vec();
        let activation = self.activation;
        Arch::new().dispatch(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, &x)| *y *= gate(x, activation).0),
        );
        Ok(y)
    }

    fn backward(&self, inputs: &[&[f32]], gradient: Vec<f32>) -> Result<Vec<Vec<f32>>> {
        let (x, up) = both(inputs)?;
        let (mut dgate, mut dup) = (gradient.clone(), gradient);
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
        Ok(vec![dgate, dup])
    }
}

fn both<'a>(inputs: &[&'a [f32]]) -> Result<(&'a [f32], &'a [f32])> {
    match inputs {
        [x, up] if x.len() == up.len() => Ok((x, up)),
        _ => fault("gate and value differ in size"),
    }
}
