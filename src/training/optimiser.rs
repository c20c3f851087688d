//! AdamW with decoupled weight decay.
//!
//! Source: Loshchilov, Hutter: Decoupled weight decay regularization (2019). Moments are float32, the corrections of
//! their bias float64, as PyTorch has it.

use super::TrainSettings;

/// Moments of every matrix, and how many steps they have seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AdamW {
    pub step: u64,
    pub first: Vec<Vec<f32>>,
    pub second: Vec<Vec<f32>>,
}

impl AdamW {
    pub(super) fn new(sizes: impl Iterator<Item = usize>) -> Self {
        let first: Vec<Vec<f32>> = sizes.map(|size| vec![0.0; size]).collect();
        Self { step: 0, second: first.clone(), first }
    }

    /// Moves `values` against `gradients`.
    pub(super) fn step(
        &mut self,
        values: &mut [Vec<f32>],
        gradients: &[Vec<f32>],
        rate: f64,
        settings: &TrainSettings,
    ) {
        self.step += 1;
        let (beta1, beta2) = (settings.beta1, settings.beta2);
        let power = i32::try_from(self.step).unwrap_or(i32::MAX);
        let (bias1, bias2) = (1.0 - beta1.powi(power), 1.0 - beta2.powi(power));
        let size = (rate / bias1) as f32;
        let root = bias2.sqrt() as f32;
        let keep = (1.0 - rate * settings.weight_decay) as f32;
        let (new1, new2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
        let (beta2, epsilon) = (beta2 as f32, settings.epsilon as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((values, gradients), (first, second)) in values.iter_mut().zip(gradients).zip(moments) {
            let each = values.iter_mut().zip(gradients).zip(first.iter_mut().zip(second));
            each.for_each(|((value, gradient), (first, second))| {
                *first += (gradient - *first) * new1;
                *second = *second * beta2 + gradient * gradient * new2;
                *value = *value * keep - size * *first / (second.sqrt() / root + epsilon);
            });
        }
    }
}

/// The norm of all gradients together; they are scaled down to `most` where it is larger (0 scales nothing).
pub(super) fn clip(gradients: &mut [Vec<f32>], most: f64) -> f64 {
    let norm = gradients.iter().flatten().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    let scale = most / (norm + 1e-6);
    if most > 0.0 && scale < 1.0 {
        gradients.iter_mut().flatten().for_each(|x| *x *= scale as f32);
    }
    norm
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::{Device, Tensor};

    use super::*;
    use crate::jobs::Silent;
    use crate::model::decoder::{Example, Pass};
    use crate::model::{Adapter, Decoder, Precision, TensorFile};

    /// Ten steps with clipping, beside `torch.optim.AdamW` and `clip_grad_norm_` on the same adapters. Tolerances:
    /// losses 1e-5 of their size, matrices 1e-4.
    #[test]
    fn ten_steps_are_those_of_torch() {
        for family in ["llama", "mistral", "qwen2", "qwen3", "gemma3"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoder").join(family);
            let decoder = Decoder::open(&folder, Precision::Stored, &Device::Cpu, &Silent).expect("a decoder");
            let adapter = Adapter::read(&folder.join("adapter"), &decoder).expect("an adapter");
            let mut expected = TensorFile::open(&folder.join("expected.safetensors")).expect("the fixture");
            let examples: Vec<Example> = (0..4)
                .map(|text| {
                    let mut get = |name: &str| expected.read(&format!("{name}.{text}")).expect("numbers");
                    let tokens = get("ids").into_iter().map(|id| id as u32).collect();
                    Example { tokens, weights: get("weights").into_iter().map(|weight| weight / 4.0).collect() }
                })
                .collect();
            let examples: Vec<&Example> = examples.iter().collect();
            let flat = |tensor: &Tensor| tensor.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
            let mut values: Vec<Vec<f32>> = adapter.variables().map(|matrix| flat(matrix.variable)).collect();
            let mut optimiser = AdamW::new(values.iter().map(Vec::len));
            let settings = TrainSettings { weight_decay: 0.01, ..TrainSettings::default() };
            let pass = Pass { checkpoints: true, dropout: 0.0, seed: 0 };
            for step in expected.read("steps").expect("steps").chunks_exact(2) {
                let got = decoder.gradients(&examples, &adapter, pass, &Silent).expect("gradients");
                let mut gradients: Vec<Vec<f32>> = got.matrices.iter().map(flat).collect();
                let norm = clip(&mut gradients, 1.0);
                let (loss, want_norm) = (f64::from(step[0]), f64::from(step[1]));
                assert!((got.loss - loss).abs() < 2e-5 * loss, "{family}: loss {} for {loss}", got.loss);
                assert!((norm - want_norm).abs() < 1e-3 * want_norm, "{family}: norm {norm} for {want_norm}");
                optimiser.step(&mut values, &gradients, 2e-3, &settings);
                for (matrix, values) in adapter.variables().zip(&values) {
                    let dims = matrix.variable.dims().to_vec();
                    matrix.variable.set(&Tensor::from_slice(values, dims, &Device::Cpu).expect("tensor")).expect("set");
                }
            }
            for (matrix, values) in adapter.variables().zip(&values) {
                let want = expected.read(&format!("after.model.{}", matrix.name())).expect("matrix");
                let worst = values.iter().zip(&want).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
                assert!(worst < 2e-4, "{family} {}: off by {worst}", matrix.name());
            }
        }
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let mut gradients = vec![vec![3.0, 0.0], vec![4.0]];
        assert_eq!(clip(&mut gradients, 0.0), 5.0);
        assert_eq!(gradients, [vec![3.0, 0.0], vec![4.0]]);
        assert_eq!(clip(&mut gradients, 1.0), 5.0);
        assert!((gradients[0][0] - 0.6).abs() < 1e-6 && (gradients[1][0] - 0.8).abs() < 1e-6);
    }
}
