//! Text from a decoder, token by token: greedy, or sampled.
//!
//! Constraint: equal prompt, settings and model give equal tokens; the user can stop it between layers.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::adapter::Adapter;
use super::decoder::Decoder;
use super::{ChatTokenizer, ModelError};
use crate::jobs::Progress;

/// How tokens are chosen.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// 0 always takes the likeliest token.
    pub temperature: f64,
    /// Only the likeliest tokens that together have this probability.
    pub top_p: f64,
    /// Only so many of the likeliest tokens; 0 is all.
    pub top_k: usize,
    pub max_tokens: usize,
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_p: 1.0, top_k: 0, max_tokens: 256, seed: 0 }
    }
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    EndToken,
    Length,
}

/// A finished text.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Generated {
    /// Without the end token.
    pub tokens: Vec<u32>,
    pub stop: Stop,
}

/// Continues `prompt`. `on_token` is told each token as it comes.
///
/// # Errors
/// The prompt is empty or has an unknown token, or the user cancelled.
pub fn generate(
    decoder: &Decoder,
    adapter: Option<&Adapter>,
    prompt: &[u32],
    ends: &[u32],
    sampling: &Sampling,
    on_token: &mut dyn FnMut(u32),
    progress: &dyn Progress,
) -> Result<Generated, ModelError> {
    let mut random = ChaCha8Rng::seed_from_u64(sampling.seed);
    let mut cache = decoder.cache();
    let mut tokens = Vec::new();
    let mut next = prompt.to_vec();
    while tokens.len() < sampling.max_tokens {
        let logits = decoder.step(&next, &mut cache, adapter, progress)?;
        let token = choose(&logits, sampling, &mut random);
        if ends.contains(&token) {
            return Ok(Generated { tokens, stop: Stop::EndToken });
        }
        tokens.push(token);
        on_token(token);
        next = vec![token];
    }
    Ok(Generated { tokens, stop: Stop::Length })
}

fn choose(logits: &[f32], sampling: &Sampling, random: &mut ChaCha8Rng) -> u32 {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let logit = |token: &u32| logits.get(*token as usize).copied().unwrap_or(f32::NEG_INFINITY);
    // Equal logits go by token number, as an arg-max does.
    let by_logit = |a: &u32, b: &u32| logit(b).total_cmp(&logit(a)).then(a.cmp(b));
    if sampling.temperature <= 0.0 {
        return order.into_iter().min_by(by_logit).unwrap_or(0);
    }
    order.sort_unstable_by(by_logit);
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k);
    }
    let peak = order.first().map_or(0.0, |token| f64::from(logit(token)));
    let mut shares: Vec<f64> =
        order.iter().map(|token| ((f64::from(logit(token)) - peak) / sampling.temperature).exp()).collect();
    let total: f64 = shares.iter().sum();
    let mut sum = 0.0;
    let kept = shares.iter().position(|share| {
        sum += share / total;
        sum >= sampling.top_p
    });
    shares.truncate(kept.map_or(shares.len(), |last| last + 1));
    let mut at = random.random::<f64>() * shares.iter().sum::<f64>();
    let chosen = shares.iter().position(|share| {
        at -= share;
        at < 0.0
    });
    order.get(chosen.unwrap_or(shares.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// Turns tokens into text as they come: a character that needs several tokens waits until it is whole.
#[derive(Debug)]
pub struct Stream<'a> {
    tokenizer: &'a ChatTokenizer,
    tokens: Vec<u32>,
    told: usize,
}

impl<'a> Stream<'a> {
    pub fn new(tokenizer: &'a ChatTokenizer) -> Self {
        Self { tokenizer, tokens: Vec::new(), told: 0 }
    }

    /// The text that this token completes.
    pub fn push(&mut self, token: u32) -> String {
        self.tokens.push(token);
        let text = self.tokenizer.decode(&self.tokens);
        let whole = text.trim_end_matches('\u{FFFD}');
        let more = whole.get(self.told..).unwrap_or_default().to_owned();
        self.told = self.told.max(whole.len());
        more
    }

    /// What was held back.
    pub fn finish(self) -> String {
        self.tokenizer.decode(&self.tokens).get(self.told..).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_keeps_to_its_bounds() {
        let logits = [0.0, 3.0, 1.0, 2.0, -5.0];
        let counts = |sampling: &Sampling| {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let mut counts = [0usize; 5];
            (0..4000).for_each(|_| counts[choose(&logits, sampling, &mut random) as usize] += 1);
            counts
        };
        let sampled = |top_k, top_p| Sampling { temperature: 1.0, top_k, top_p, ..Sampling::default() };
        assert_eq!(counts(&Sampling::default()), [0, 4000, 0, 0, 0]);
        let two = counts(&sampled(2, 1.0));
        assert_eq!(two[1] + two[3], 4000);
        let share = two[1] as f64 / 4000.0;
        assert!((share - 0.731).abs() < 0.03, "{share}");
        assert_eq!(counts(&sampled(0, 0.5))[1], 4000);
        assert!(counts(&sampled(0, 1.0)).iter().filter(|count| **count > 0).count() >= 4);
    }
}
