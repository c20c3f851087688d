//! What operations computed on the CPU, and the gradient of it.
//!
//! candle's own backward pass fills every gradient with zeros before it adds to it, on a pool of threads for which all
//! callers wait in turn. A tape adds only where gradients meet, on the calling thread. Constraints: sums have one order;
//! a step's inputs are let go as soon as its gradients are made.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use candle_core::{Result, Shape, Tensor, TensorId};

use super::{fault, tensor, with_all_floats};

/// An operation on float32 numbers.
pub(crate) trait Op {
    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<f32>>;
    /// The gradient of each input, from that of the result.
    fn backward(&self, inputs: &[&[f32]], gradient: Vec<f32>) -> Result<Vec<Vec<f32>>>;
}

struct Step {
    op: Box<dyn Op>,
    inputs: Vec<Tensor>,
    output: TensorId,
}

/// The steps from some inputs on, in order.
#[derive(Default)]
pub(crate) struct Tape {
    steps: RefCell<Vec<Step>>,
    /// What gradients are wanted of.
    known: RefCell<HashSet<TensorId>>,
}

/// Gradients by what they belong to.
pub(crate) struct Slopes(HashMap<TensorId, Vec<f32>>);

impl Slopes {
    /// The gradient of an input of the tape, in its shape.
    pub(crate) fn take(&mut self, of: &Tensor) -> Result<Option<Tensor>> {
        self.0.remove(&of.id()).map(|gradient| tensor(gradient, of.dims())).transpose()
    }

    fn add(&mut self, to: TensorId, gradient: Vec<f32>) -> Result<()> {
        let Some(sum) = self.0.get_mut(&to) else {
            self.0.insert(to, gradient);
            return Ok(());
        };
        if sum.len() != gradient.len() {
            return fault("gradients of one tensor differ in size");
        }
        sum.iter_mut().zip(&gradient).for_each(|(sum, gradient)| *sum += gradient);
        Ok(())
    }
}

impl Tape {
    /// A tape that gives the gradients of these tensors.
    pub(crate) fn from<'a>(inputs: impl IntoIterator<Item = &'a Tensor>) -> Self {
        let known = inputs.into_iter().map(Tensor::id).collect();
        Self { steps: RefCell::default(), known: RefCell::new(known) }
    }

    /// Gradients of the tape's inputs for the gradient of `y`, which was computed with it.
    pub(crate) fn backward(self, y: &Tensor, gradient: &Tensor) -> Result<Slopes> {
        if y.dims() != gradient.dims() {
            return fault("a gradient of another shape than its tensor");
        }
        let mut slopes = Slopes(HashMap::new());
        slopes.add(y.id(), gradient.flatten_all()?.to_vec1()?)?;
        let (mut steps, known) = (self.steps.into_inner(), self.known.into_inner());
        while let Some(Step { op, inputs, output }) = steps.pop() {
            // A step whose result nothing used.
            let Some(gradient) = slopes.0.remove(&output) else { continue };
            let gradients = with_all_floats(&inputs, |values| op.backward(values, gradient))?;
            for (input, gradient) in inputs.iter().zip(gradients) {
                if known.contains(&input.id()) {
                    slopes.add(input.id(), gradient)?;
                }
            }
        }
        Ok(slopes)
    }
}

/// The result of an operation on the CPU, recorded where a gradient may be asked of it.
pub(super) fn apply(
    tape: Option<&Tape>,
    op: impl Op + 'static,
    inputs: &[&Tensor],
    shape: impl Into<Shape>,
) -> Result<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().map(|input| (*input).clone()).collect();
    let output = tensor(with_all_floats(&inputs, |values| op.forward(values))?, shape)?;
    if let Some(tape) = tape {
        let mut known = tape.known.borrow_mut();
        if inputs.iter().any(|input| known.contains(&input.id())) {
            known.insert(output.id());
            tape.steps.borrow_mut().push(Step { op: Box::new(op), inputs, output: output.id() });
        }
    }
    Ok(output)
}
