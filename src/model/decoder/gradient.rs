//! Loss of a batch, and its gradient with respect to every adapter matrix.
//!
//! The backward pass goes layer by layer: layer inputs are kept, each layer is run again and recorded, and its gradient
//! is handed down. Without checkpoints the whole network is recorded at once. Both give the same numbers. On the CPU a
//! [`Tape`] records, elsewhere candle.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::layer::Batch;
use super::{Decoder, Module};
use crate::jobs::Progress;
use crate::model::ModelError;
use crate::model::adapter::Adapter;
use crate::model::ops::{Dropout, Lora, Slopes, Span, Tape, cross_entropy, plain};

/// One text: token t+1 is predicted from tokens 0 … t.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub tokens: Vec<u32>,
    /// Of each token, what its own loss counts in the sum; 0 for tokens that are not supervised. The first token's
    /// is ignored, since nothing predicts it.
    pub weights: Vec<f32>,
}

/// How a batch is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pass {
    /// Keep layer inputs only and compute the rest again.
    pub checkpoints: bool,
    /// Share of adapter inputs that are zeroed, and the seed of which.
    pub dropout: f32,
    pub seed: u64,
}

/// What a batch gives.
#[derive(Debug)]
pub struct Gradients {
    /// Σ weight·(-log p) over all tokens.
    pub loss: f64,
    /// -log p of each supervised token of each text, in order.
    pub losses: Vec<Vec<f64>>,
    /// Of A and B of each adapted map, in the order of [`Adapter::matrices`].
    pub matrices: Vec<Tensor>,
}

impl Decoder {
    /// Losses alone: what evaluation needs.
    ///
    /// # Errors
    /// As [`Decoder::gradients`].
    pub fn losses(
        &self,
        examples: &[&Example],
        adapter: Option<&Adapter>,
        progress: &dyn Progress,
    ) -> Result<(f64, Vec<Vec<f64>>), ModelError> {
        let texts: Vec<&[u32]> = examples.iter().map(|example| example.tokens.as_slice()).collect();
        let hidden = self.hidden(&texts, super::Depth::Last, adapter, progress)?;
        let (targets, weights) = targets(examples);
        let head = cross_entropy(&hidden, &self.head, &targets, &weights, self.spec.logit_cap, false);
        let head = head.map_err(|error| self.compute(error))?;
        Ok((weighted(&head.losses, &weights), by_text(examples, &head.losses, &weights)))
    }

    /// Loss and gradients of a batch.
    ///
    /// # Errors
    /// A text is empty or has an unknown token, weights do not fit the tokens, a matrix got no gradient (a defect of
    /// ours, told rather than trained on), or the user cancelled; that is asked before every layer.
    pub fn gradients(
        &self,
        examples: &[&Example],
        adapter: &Adapter,
        pass: Pass,
        progress: &dyn Progress,
    ) -> Result<Gradients, ModelError> {
        if examples.iter().any(|example| example.tokens.len() != example.weights.len()) {
            return Err(self.fault("a text has more or fewer weights than tokens".to_owned()));
        }
        let spans: Vec<Span> =
            examples.iter().map(|example| Span { queries: example.tokens.len(), keys: example.tokens.len() }).collect();
        let batch = self.batch(&spans, 0)?;
        let tokens: Vec<u32> = examples.iter().flat_map(|example| &example.tokens).copied().collect();
        let run = Run { decoder: self, batch, adapter, pass, progress };
        let layers = self.spec.layers;
        // Nothing below the lowest adapted layer needs a graph.
        let lowest = adapter.lowest_layer().min(layers.saturating_sub(1));
        let mut parts: Vec<(usize, usize)> = vec![(0, lowest)];
        if pass.checkpoints {
            parts.extend((lowest..layers).map(|layer| (layer, layer + 1)));
        } else {
            parts.push((lowest, layers));
        }
        let mut inputs = Vec::with_capacity(parts.len());
        let mut x = self.embed(&tokens)?;
        let (last, before) = parts.split_last().map_or(((lowest, layers), &[][..]), |(last, before)| (*last, before));
        for &(from, to) in before {
            inputs.push(x.clone());
            x = run.layers(None, &x, from, to, true)?;
        }
        let (targets, weights) = targets(examples);
        let mut collected = Collected::new(adapter);
        // The last part ends in the norm, the head and the loss.
        let input = run.variable(&x)?;
        let tape = run.tape(&input, last);
        let hidden = run.layers(tape.as_ref(), input.as_tensor(), last.0, last.1, false)?;
        let hidden = self.normed(tape.as_ref(), &hidden)?;
        let head = cross_entropy(&hidden, &self.head, &targets, &weights, self.spec.logit_cap, true);
        let head = head.map_err(|error| self.compute(error))?;
        let Some(gradient) = head.gradient else { return Err(self.fault("the loss gave no gradient".to_owned())) };
        let mut gradient = run.backward(tape, &hidden, &gradient, &input, last, &mut collected)?;
        for (&(from, to), x) in before.iter().zip(&inputs).skip(1).rev() {
            progress.check()?;
            let input = run.variable(x)?;
            let tape = run.tape(&input, (from, to));
            let y = run.layers(tape.as_ref(), input.as_tensor(), from, to, false)?;
            gradient = run.backward(tape, &y, &gradient, &input, (from, to), &mut collected)?;
        }
        Ok(Gradients {
            loss: weighted(&head.losses, &weights),
            losses: by_text(examples, &head.losses, &weights),
            matrices: collected.whole().map_err(|reason| self.fault(reason))?,
        })
    }
}

struct Run<'a> {
    decoder: &'a Decoder,
    batch: Batch<'a>,
    adapter: &'a Adapter,
    pass: Pass,
    progress: &'a dyn Progress,
}

impl Run<'_> {
    fn layers(
        &self,
        tape: Option<&Tape>,
        x: &Tensor,
        from: usize,
        to: usize,
        frozen: bool,
    ) -> Result<Tensor, ModelError> {
        let mut x = x.clone();
        for number in from..to {
            self.progress.check()?;
            let lora = |module| self.lora(number, module, frozen);
            x = self.decoder.layer(number, tape, &x, &self.batch, &lora)?;
        }
        Ok(x)
    }

    fn lora(&self, layer: usize, module: Module, frozen: bool) -> Option<Lora> {
        let lora = if frozen { self.adapter.frozen(layer, module) } else { self.adapter.tracked(layer, module) };
        let mut lora = lora?;
        if self.pass.dropout > 0.0 {
            let place = (layer * Module::ALL.len() + module as usize) as u64;
            let seed = self.pass.seed.wrapping_add(place.wrapping_mul(0xD1B5_4A32_D192_ED03));
            lora.dropout = Some(Dropout { share: self.pass.dropout, seed });
        }
        Some(lora)
    }

    /// What records these layers, on the CPU.
    fn tape(&self, input: &Var, (from, to): (usize, usize)) -> Option<Tape> {
        let matrices = self.adapter.variables().filter(|matrix| (from..to).contains(&matrix.layer));
        let inputs = matrices.map(|matrix| matrix.variable.as_tensor()).chain([input.as_tensor()]);
        self.decoder.device.is_cpu().then(|| Tape::from(inputs))
    }

    fn variable(&self, x: &Tensor) -> Result<Var, ModelError> {
        Var::from_tensor(&x.detach()).map_err(|error| self.decoder.compute(error))
    }

    /// Stores the gradients of the matrices of these layers and gives that of the input.
    fn backward(
        &self,
        tape: Option<Tape>,
        y: &Tensor,
        gradient: &Tensor,
        input: &Var,
        (from, to): (usize, usize),
        collected: &mut Collected,
    ) -> Result<Tensor, ModelError> {
        let back = || {
            let mut found = match tape {
                Some(tape) => Found::Taped(tape.backward(y, gradient)?),
                None => Found::Stored(plain::backward(y, gradient)?),
            };
            for (slot, matrix) in collected.slots.iter_mut().zip(self.adapter.variables()) {
                if (from..to).contains(&matrix.layer) {
                    slot.1 = found.take(matrix.variable)?;
                }
            }
            match found.take(input)? {
                Some(gradient) => Ok(gradient),
                None => candle_core::bail!("the input of layer {from} got no gradient"),
            }
        };
        back().map_err(|error: candle_core::Error| self.decoder.compute(error))
    }
}

/// What a backward pass gave.
enum Found {
    Taped(Slopes),
    Stored(GradStore),
}

impl Found {
    fn take(&mut self, of: &Tensor) -> candle_core::Result<Option<Tensor>> {
        match self {
            Self::Taped(slopes) => slopes.take(of),
            Self::Stored(store) => Ok(store.remove(of).map(|gradient| gradient.detach())),
        }
    }
}

/// Gradients so far, with the names of their matrices.
struct Collected {
    slots: Vec<(String, Option<Tensor>)>,
}

impl Collected {
    fn new(adapter: &Adapter) -> Self {
        Self { slots: adapter.variables().map(|matrix| (matrix.name(), None)).collect() }
    }

    fn whole(self) -> Result<Vec<Tensor>, String> {
        let each = self.slots.into_iter();
        each.map(|(name, gradient)| gradient.ok_or_else(|| format!("the matrix {name} got no gradient"))).collect()
    }
}

/// Of each token its successor, and what the successor's loss counts; the last token of a text has none.
fn targets(examples: &[&Example]) -> (Vec<u32>, Vec<f32>) {
    let (mut targets, mut weights) = (Vec::new(), Vec::new());
    for example in examples {
        targets.extend(example.tokens.iter().skip(1).copied());
        weights.extend(example.weights.iter().skip(1).copied());
        if !example.tokens.is_empty() {
            targets.push(0);
            weights.push(0.0);
        }
    }
    (targets, weights)
}

fn weighted(losses: &[f64], weights: &[f32]) -> f64 {
    losses.iter().zip(weights).map(|(loss, weight)| loss * f64::from(*weight)).sum()
}

fn by_text(examples: &[&Example], losses: &[f64], weights: &[f32]) -> Vec<Vec<f64>> {
    let mut start = 0;
    let of = |example: &&Example| {
        let range = start..start + example.tokens.len();
        start = range.end;
        let losses = losses.get(range.clone()).unwrap_or_default().iter();
        let weights = weights.get(range).unwrap_or_default();
        losses.zip(weights).filter(|(_, weight)| **weight != 0.0).map(|(loss, _)| *loss).collect()
    };
    examples.iter().map(of).collect()
}
