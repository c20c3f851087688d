//! Rotary position tables.
//!
//! Source: Su et al., RoFormer (2021); the scalings are those that Hugging Face configurations call `linear` and
//! `llama3`. Constraint: always float32, computed from float64 frequencies.

use candle_core::{Device, Result, Tensor};

/// How one kind of layer turns its queries and keys.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSpec {
    pub theta: f64,
    pub scaling: RopeScaling,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    None,
    /// All frequencies divided by `factor`.
    Linear {
        factor: f64,
    },
    /// Low frequencies divided by `factor`, high ones kept, a smooth passage between.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
    /// Each frequency divided by its own factor, `head_dim / 2` of them.
    Factors(Vec<f32>),
}

impl RopeSpec {
    /// Angular frequencies, `head_dim / 2` of them.
    fn frequencies(&self, head_dim: usize) -> Vec<f64> {
        (0..head_dim / 2)
            .map(|pair| {
                // PyTorch's own tables are made from float32 frequencies.
                let frequency = f64::from(1.0 / (self.theta.powf(2.0 * pair as f64 / head_dim as f64)) as f32);
                match &self.scaling {
                    RopeScaling::None => frequency,
                    RopeScaling::Linear { factor } => frequency / factor,
                    RopeScaling::Factors(of) => frequency / of.get(pair).copied().map_or(1.0, f64::from),
                    &RopeScaling::Llama3 { factor, low, high, original } => {
                        let wave = 2.0 * std::f64::consts::PI / frequency;
                        if wave < original / high {
                            frequency
                        } else if wave > original / low {
                            frequency / factor
                        } else {
                            let smooth = (original / wave - low) / (high - low);
                            (1.0 - smooth) * frequency / factor + smooth * frequency
                        }
                    }
                }
            })
            .collect()
    }

    /// Cosines and sines of the given positions, each positions × `head_dim / 2`.
    pub(crate) fn tables(&self, head_dim: usize, positions: &[u32], device: &Device) -> Result<(Tensor, Tensor)> {
        let frequencies: Vec<f32> = self.frequencies(head_dim).into_iter().map(|frequency| frequency as f32).collect();
        let angles = |of: fn(f64) -> f64| {
            let values = positions.iter().flat_map(|&position| {
                // The product is rounded to float32 as the reference does; far positions differ visibly otherwise.
                frequencies.iter().map(move |&frequency| of(f64::from(position as f32 * frequency)) as f32)
            });
            Tensor::from_iter(values, device)?.reshape((positions.len(), frequencies.len()))
        };
        Ok((angles(f64::cos)?, angles(f64::sin)?))
    }
}
