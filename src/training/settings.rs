//! Everything that decides a run, with defaults and a sentence for each.

use crate::model::{LoraShape, Module, Precision};

use super::{Schedule, TrainError};

/// Raw settings; [`TrainSettings::check`] says whether they can be used.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    pub rank: usize,
    pub alpha: f64,
    pub rank_stabilised: bool,
    pub dropout: f32,
    pub targets: Vec<Module>,
    pub learning_rate: f64,
    pub schedule: Schedule,
    pub warmup_share: f64,
    pub weight_decay: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub clip: f64,
    pub batch_rows: usize,
    pub micro_tokens: usize,
    pub max_tokens: usize,
    pub epochs: u64,
    pub steps: Option<u64>,
    pub use_weights: bool,
    pub evaluation_share: f64,
    pub evaluate_every: u64,
    pub patience: Option<u64>,
    pub checkpoint_every: u64,
    pub recompute: bool,
    pub precision: Precision,
    pub seed: u64,
}

/// A setting's name and what it means, for the window and the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Help {
    pub name: &'static str,
    pub text: &'static str,
}

/// Rows or tokens at once beyond which a setting is a slip.
const LARGEST_BATCH: u64 = 1 << 24;

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 16.0,
            rank_stabilised: false,
            dropout: 0.0,
            targets: vec![Module::Query, Module::Value],
            learning_rate: 2e-4,
            schedule: Schedule::Cosine,
            warmup_share: 0.03,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            clip: 1.0,
            batch_rows: 8,
            micro_tokens: 1024,
            max_tokens: 1024,
            epochs: 2,
            steps: None,
            use_weights: true,
            evaluation_share: 0.0,
            evaluate_every: 50,
            patience: None,
            checkpoint_every: 50,
            recompute: true,
            precision: Precision::Stored,
            seed: 0,
        }
    }
}

impl TrainSettings {
    /// One entry a field, in the order of the fields.
    pub const HELP: [Help; 26] = [
        Help { name: "rank", text: "Width of the adapter: more can learn more and takes more memory" },
        Help { name: "alpha", text: "Strength of the adapter; it acts with alpha / rank" },
        Help { name: "rank_stabilised", text: "Act with alpha / √rank instead (rsLoRA), for large ranks" },
        Help { name: "dropout", text: "Share of adapter inputs that are zeroed at random" },
        Help { name: "targets", text: "Linear maps that get an adapter" },
        Help { name: "learning_rate", text: "Highest step size of the optimiser" },
        Help { name: "schedule", text: "How the step size falls after the warm-up" },
        Help { name: "warmup_share", text: "Share of all steps in which the step size rises from zero" },
        Help { name: "weight_decay", text: "Pull of the matrices toward zero, apart from the gradient (AdamW)" },
        Help { name: "beta1", text: "Memory of the mean gradient" },
        Help { name: "beta2", text: "Memory of the squared gradient" },
        Help { name: "epsilon", text: "What keeps the division by the squared gradient finite" },
        Help { name: "clip", text: "Largest norm of a step's gradient; 0 does not clip" },
        Help { name: "batch_rows", text: "Rows of one optimiser step" },
        Help { name: "micro_tokens", text: "Tokens that go through the model at once, about; bounds the memory" },
        Help { name: "max_tokens", text: "Longer rows are cut to so many tokens" },
        Help { name: "epochs", text: "How often every row is seen" },
        Help { name: "steps", text: "Optimiser steps, instead of epochs" },
        Help { name: "use_weights", text: "Scale each row's loss by its weight" },
        Help { name: "evaluation_share", text: "Share of rows that are held out to measure the loss on" },
        Help { name: "evaluate_every", text: "Steps between two such measurements" },
        Help {
            name: "patience",
            text: "Stop after so many measurements without a better one, and keep the best adapter",
        },
        Help { name: "checkpoint_every", text: "Steps between two checkpoints, from which a run can be resumed" },
        Help {
            name: "recompute",
            text: "Compute activations again instead of keeping them: much less memory, a little slower",
        },
        Help { name: "precision", text: "Number format of the frozen weights in memory: stored, f32, bf16 or f16" },
        Help { name: "seed", text: "Decides the first adapter, the order of rows and the dropout" },
    ];

    /// What the paper says of its set-up; what it does not say stays at the default.
    pub fn paper() -> Self {
        Self {
            rank: 16,
            alpha: 16.0,
            targets: vec![Module::Query, Module::Value],
            epochs: 2,
            precision: Precision::Bf16,
            ..Self::default()
        }
    }

    /// A short look at whether rows and model go together: some minutes where the model is small.
    pub fn quick_trial() -> Self {
        Self {
            rank: 8,
            learning_rate: 1e-3,
            max_tokens: 256,
            micro_tokens: 512,
            steps: Some(60),
            evaluation_share: 0.1,
            evaluate_every: 10,
            checkpoint_every: 20,
            ..Self::default()
        }
    }

    /// What the field `name` means.
    pub fn help(name: &str) -> &'static str {
        Self::HELP.iter().find(|help| help.name == name).map_or("", |help| help.text)
    }

    pub fn lora(&self) -> LoraShape {
        LoraShape {
            rank: self.rank,
            alpha: self.alpha,
            rank_stabilised: self.rank_stabilised,
            targets: self.targets.clone(),
        }
    }

    /// # Errors
    /// The first setting that is out of range.
    pub fn check(&self) -> Result<(), TrainError> {
        let fail = |name, value: String, reason| Err(TrainError::Setting { name, value, reason });
        let share = |value: f64| (0.0..1.0).contains(&value);
        if !(1..=1024).contains(&self.rank) {
            return fail("rank", self.rank.to_string(), "it must be from 1 to 1024");
        }
        if self.targets.is_empty() {
            return fail("targets", "empty".to_owned(), "name at least one linear map, such as q_proj");
        }
        for (name, value) in [("alpha", self.alpha), ("learning_rate", self.learning_rate), ("epsilon", self.epsilon)] {
            if !(value > 0.0 && value.is_finite()) {
                return fail(name, value.to_string(), "it must be above 0");
            }
        }
        for (name, value) in [("weight_decay", self.weight_decay), ("clip", self.clip)] {
            if !(value >= 0.0 && value.is_finite()) {
                return fail(name, value.to_string(), "it must be 0 or more");
            }
        }
        for (name, value) in [
            ("dropout", f64::from(self.dropout)),
            ("warmup_share", self.warmup_share),
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("evaluation_share", self.evaluation_share),
        ] {
            if !share(value) {
                return fail(name, value.to_string(), "it must be 0 or more and below 1");
            }
        }
        for (name, value) in [
            ("batch_rows", self.batch_rows as u64),
            ("micro_tokens", self.micro_tokens as u64),
            ("epochs", self.epochs),
            ("steps", self.steps.unwrap_or(1)),
            ("evaluate_every", self.evaluate_every),
            ("checkpoint_every", self.checkpoint_every),
            ("patience", self.patience.unwrap_or(1)),
        ] {
            if value == 0 {
                return fail(name, value.to_string(), "it must be 1 or more");
            }
        }
        for (name, value) in [
            ("batch_rows", self.batch_rows as u64),
            ("micro_tokens", self.micro_tokens as u64),
            ("max_tokens", self.max_tokens as u64),
        ] {
            if value > LARGEST_BATCH {
                return fail(name, value.to_string(), "it must be at most 16,777,216");
            }
        }
        if self.max_tokens < 2 {
            return fail("max_tokens", self.max_tokens.to_string(), "it must be 2 or more");
        }
        if self.patience.is_some() && self.evaluation_share == 0.0 {
            return fail("patience", "set".to_owned(), "it needs an evaluation_share above 0");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_default_and_a_help_text() {
        let default = serde_json::to_value(TrainSettings::default()).expect("JSON");
        let fields: Vec<&String> = default.as_object().expect("an object").keys().collect();
        assert_eq!(fields, TrainSettings::HELP.iter().map(|help| help.name).collect::<Vec<_>>());
        assert!(TrainSettings::HELP.iter().all(|help| help.text.len() > 10));
        let empty: TrainSettings = serde_json::from_str("{}").expect("defaults");
        assert_eq!(empty, TrainSettings::default());
        assert!(serde_json::from_str::<TrainSettings>(r#"{"rnak": 3}"#).is_err());
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let named = |change: fn(&mut TrainSettings)| {
            let mut settings = TrainSettings::default();
            for preset in [settings.clone(), TrainSettings::paper(), TrainSettings::quick_trial()] {
                preset.check().expect("presets can be used");
            }
            change(&mut settings);
            settings.check().expect_err("refused").to_string()
        };
        assert!(named(|s| s.rank = 0).starts_with("rank is 0"));
        assert!(named(|s| s.dropout = 1.0).starts_with("dropout is 1"));
        assert!(named(|s| s.learning_rate = f64::NAN).starts_with("learning_rate is NaN"));
        assert!(named(|s| s.batch_rows = 0).starts_with("batch_rows is 0"));
        assert!(named(|s| s.targets.clear()).starts_with("targets is empty"));
        assert!(named(|s| s.patience = Some(2)).contains("evaluation_share"));
    }
}
