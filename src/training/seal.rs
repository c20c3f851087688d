//! SEAL: a ranking of rows learnt while a language model is tuned.
//!
//! Source: Shen, Chen, Das, Chen 2024, arXiv 2410.07471: the bilevel problem min over ω of ℓ_safe(θ*(ω)) with θ*(ω)
//! the model tuned on Σ σ_i(ω) ℓ_i, σ = n·softmax(ω), by its memory-efficient penalty method (Algorithm 2): each step moves θ
//! on γ·mean ℓ_safe + (1-γ)·mean σ_i ℓ_i and then ω on mean σ_i·ℓ_i with ℓ_i held fixed; γ begins at 1 and falls by a fixed
//! amount an epoch. Rates and γ are those of the authors' published script. Constraint: the same rows, settings and seed
//! give the same bits for any number of threads.

use candle_core::Tensor;

use super::batches::{Plan, dropout_seed, parts};
use super::optimiser::{AdamW, clip};
use super::trainer::{Workers, example, values};
use super::{Prepared, Schedule, TrainError, TrainRow, TrainSettings};
use crate::jobs::Progress;
use crate::model::decoder::{Example, Pass};
use crate::model::{Adapter, Decoder, ModelError};

/// How SEAL is run.
#[derive(Debug, Clone, PartialEq)]
pub struct SealSettings {
    /// Of the model's own steps. Its schedule is not used: the rate is constant.
    pub training: TrainSettings,
    /// Rate of ω.
    pub selector_rate: f64,
    /// γ of the first epoch, in [0, 1].
    pub safe_share: f64,
    /// What γ loses an epoch.
    pub safe_share_decay: f64,
}

impl Default for SealSettings {
    fn default() -> Self {
        Self {
            training: TrainSettings {
                learning_rate: 1e-5,
                schedule: Schedule::Constant,
                batch_rows: 64,
                epochs: 3,
                use_weights: false,
                ..TrainSettings::default()
            },
            selector_rate: 5e-3,
            safe_share: 1.0,
            safe_share_decay: 0.03,
        }
    }
}

/// The suspicion -ω of each of the `rows` rows that `custom` was prepared from; a row that cannot be trained on keeps 0,
/// where ω begins.
///
/// # Errors
/// A setting is out of range, a set has no rows to train on, numbers ran away, or the user cancelled.
pub fn seal(
    decoder: &Decoder,
    custom: &Prepared,
    safe: &Prepared,
    rows: usize,
    settings: &SealSettings,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Vec<f64>, TrainError> {
    let training = &settings.training;
    training.check()?;
    for (name, set) in [("custom", custom), ("safe", safe)] {
        if set.rows.is_empty() {
            return Err(TrainError::Rows(format!("the {name} set has no row to train on")));
        }
    }
    let fault = |error: &candle_core::Error| {
        TrainError::Model(ModelError::Compute { path: decoder.path().to_owned(), reason: error.to_string() })
    };
    let adapter = Adapter::new(decoder.spec(), training.lora(), training.seed, decoder.device())
        .map_err(|error| fault(&error))?;
    let mut model = values(&adapter).map_err(|error| fault(&error))?;
    let mut optimiser = AdamW::new(model.iter().map(Vec::len));
    let mut omega = vec![vec![0.0f32; custom.rows.len()]];
    let mut selector = AdamW::new(std::iter::once(custom.rows.len()));
    // AdamW's own decay would pull ω to where it began.
    let free = TrainSettings { weight_decay: 0.0, ..training.clone() };
    let workers = Workers::new(threads.clamp(1, 256))?;
    let mut custom_plan = Plan::new(custom.rows.len(), &TrainSettings { evaluation_share: 0.0, ..training.clone() });
    let of_safe = TrainSettings { evaluation_share: 0.0, seed: training.seed.wrapping_add(1), ..training.clone() };
    let mut safe_plan = Plan::new(safe.rows.len(), &of_safe);
    for step in 0..custom_plan.steps {
        progress.check()?;
        progress.tick("learning the SEAL selector", step, Some(custom_plan.steps));
        let (epoch, drawn) = custom_plan.rows(step);
        let drawn = drawn.to_vec();
        let share = (settings.safe_share - settings.safe_share_decay * epoch as f64).clamp(0.0, 1.0);
        let batch: Vec<&TrainRow> = drawn.iter().filter_map(|row| custom.rows.get(*row)).collect();
        let beside: Vec<&TrainRow> = safe_plan.rows(step).1.iter().filter_map(|row| safe.rows.get(*row)).collect();
        let losses = workers.run(batch.len(), |number| {
            let Some(row) = batch.get(number) else { return Ok(0.0) };
            Ok(decoder.losses(&[&example(row, 1.0)], Some(&adapter), progress)?.0)
        })?;
        let selected = omega.first().map(Vec::as_slice).unwrap_or_default();
        let sigma = emphasis(selected);

        let of_rows = |rows: &[&TrainRow], share: f64, count: &dyn Fn(usize) -> f64| -> Vec<Example> {
            let each = share / rows.len().max(1) as f64;
            rows.iter().enumerate().map(|(at, row)| example(row, each * count(at))).collect()
        };
        let (mut texts, mut examples) = (beside.clone(), of_rows(&beside, share, &|_| 1.0));
        if share < 1.0 {
            let of = |at: usize| drawn.get(at).and_then(|row| sigma.get(*row)).copied().unwrap_or(1.0);
            texts.extend(&batch);
            examples.extend(of_rows(&batch, 1.0 - share, &of));
        }
        let parts = parts(&texts, training.micro_tokens);
        let gradients = workers.run(parts.len(), |number| {
            let part: Vec<&Example> =
                parts.get(number).into_iter().flatten().filter_map(|row| examples.get(*row)).collect();
            let pass = Pass {
                checkpoints: training.recompute,
                dropout: training.dropout,
                seed: dropout_seed(training.seed, step, number),
            };
            let found = decoder.gradients(&part, &adapter, pass, progress)?;
            let each = found.matrices.iter().map(|matrix| matrix.flatten_all().and_then(|m| m.to_vec1::<f32>()));
            each.collect::<candle_core::Result<Vec<_>>>().map_err(|error| fault(&error))
        })?;
        let mut gradients = gradients.into_iter();
        let Some(mut sum) = gradients.next() else { continue };
        for part in gradients {
            for (sum, part) in sum.iter_mut().zip(part) {
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
        let norm = clip(&mut sum, training.clip);
        if !norm.is_finite() || losses.iter().any(|loss| !loss.is_finite()) {
            let reason = "losses or gradients are no longer numbers; a smaller learning_rate may help".to_owned();
            return Err(TrainError::Diverged { step: step + 1, reason });
        }
        optimiser.step(&mut model, &sum, training.learning_rate, &free);
        let of_selector: Vec<f32> =
            selector_gradient(&sigma, &drawn, &losses).into_iter().map(|value| value as f32).collect();
        selector.step(&mut omega, &[of_selector], settings.selector_rate, &free);
        for (matrix, values) in adapter.variables().zip(&model) {
            let dims = matrix.variable.dims().to_vec();
            let set =
                Tensor::from_slice(values, dims, decoder.device()).and_then(|tensor| matrix.variable.set(&tensor));
            set.map_err(|error| fault(&error))?;
        }
    }
    let mut score = vec![0.0; rows];
    for (row, omega) in custom.rows.iter().zip(omega.iter().flatten()) {
        if let Some(slot) = score.get_mut(row.index) {
            *slot = -f64::from(*omega);
        }
    }
    Ok(score)
}

/// σ = n·softmax(ω).
fn emphasis(omega: &[f32]) -> Vec<f64> {
    let largest = omega.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let raw: Vec<f64> = omega.iter().map(|omega| f64::from(omega - largest).exp()).collect();
    let scale = omega.len() as f64 / raw.iter().sum::<f64>();
    raw.into_iter().map(|value| value * scale).collect()
}

/// The gradient of mean_B σ_i ℓ_i in ω: for each k, (σ_k ℓ_k [k in B] - (σ_k/n) Σ_B σ_i ℓ_i) / B.
fn selector_gradient(sigma: &[f64], batch: &[usize], losses: &[f64]) -> Vec<f64> {
    let size = batch.len().max(1) as f64;
    let emphasised = |row: &usize, loss: &f64| sigma.get(*row).copied().unwrap_or(0.0) * loss;
    let sum: f64 = batch.iter().zip(losses).map(|(row, loss)| emphasised(row, loss)).sum();
    let n = sigma.len().max(1) as f64;
    let mut gradient: Vec<f64> = sigma.iter().map(|sigma| -sigma / n * sum / size).collect();
    for (row, loss) in batch.iter().zip(losses) {
        if let Some(slot) = gradient.get_mut(*row) {
            *slot += emphasised(row, loss) / size;
        }
    }
    gradient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_the_selector_is_that_of_finite_differences() {
        let omega = [0.3f32, -0.7, 1.1, 0.0, 0.4];
        let (batch, losses) = ([2, 0, 3], [1.5, 0.2, 2.7]);
        let value = |omega: &[f32]| {
            let sigma = emphasis(omega);
            batch.iter().zip(losses).map(|(row, loss)| sigma[*row] * loss).sum::<f64>() / 3.0
        };
        let found = selector_gradient(&emphasis(&omega), &batch, &losses);
        for k in 0..omega.len() {
            let (mut up, mut down) = (omega, omega);
            up[k] += 1e-2;
            down[k] -= 1e-2;
            let slope = (value(&up) - value(&down)) / f64::from(up[k] - down[k]);
            assert!((found[k] - slope).abs() < 1e-4, "{k}: {} for {slope}", found[k]);
        }
        assert!((emphasis(&omega).iter().sum::<f64>() - 5.0).abs() < 1e-9, "σ has mean 1");
    }
}
