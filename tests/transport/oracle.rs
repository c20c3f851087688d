//! The push-pull iteration in float64 and the log domain, in plain loops.
//!
//! It follows the same rules as the engine (order of updates, damping, temperature) and shares no code with it.

use dipole::transport::{Points, Problem, Regularisation, Settings};

/// C_ij = 1 - cos(x_i, y_j).
pub fn cosine_costs(x: Points<'_>, y: Points<'_>) -> Vec<Vec<f64>> {
    let row = |p: Points<'_>, i: usize| -> Vec<f64> {
        let row: Vec<f64> = p.data[i * p.dim..(i + 1) * p.dim].iter().map(|v| f64::from(*v)).collect();
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter().map(|v| v / norm).collect()
    };
    let ys: Vec<Vec<f64>> = (0..y.rows).map(|j| row(y, j)).collect();
    (0..x.rows)
        .map(|i| {
            let x = row(x, i);
            ys.iter().map(|y| 1.0 - x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>()).collect()
        })
        .collect()
}

pub fn median(costs: &[Vec<f64>]) -> f64 {
    let mut all: Vec<f64> = costs.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let half = all.len() / 2;
    if all.len() % 2 == 1 { all[half] } else { (all[half - 1] + all[half]) / 2.0 }
}

fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + values.map(|v| (v - largest).exp()).sum::<f64>().ln()
}

/// f_i = -ε LSE_j[ln b_j + (g_j - C_ij)/ε], b uniform.
pub fn row_update(costs: &[Vec<f64>], epsilon: f64, g: &[f64]) -> Vec<f64> {
    let log_b = -(g.len() as f64).ln();
    costs
        .iter()
        .map(|costs| -epsilon * log_sum_exp(costs.iter().zip(g).map(|(c, g)| log_b + (g - c) / epsilon)))
        .collect()
}

/// g_j = -ε LSE_i[ln a_i + (f_i - C_ij)/ε].
pub fn column_update(costs: &[Vec<f64>], epsilon: f64, log_a: &[f64], f: &[f64]) -> Vec<f64> {
    (0..costs[0].len())
        .map(|j| -epsilon * log_sum_exp((0..f.len()).map(|i| log_a[i] + (f[i] - costs[i][j]) / epsilon)))
        .collect()
}

/// One reference with its potentials.
#[derive(Clone)]
pub struct Reference {
    pub costs: Vec<Vec<f64>>,
    pub epsilon: f64,
    pub f: Vec<f64>,
    pub g: Vec<f64>,
    /// g that f was computed from.
    pub used: Vec<f64>,
}

impl Reference {
    pub fn new(x: Points<'_>, y: Points<'_>, rho: f64) -> Self {
        let costs = cosine_costs(x, y);
        let epsilon = rho * median(&costs);
        Self { f: vec![0.0; x.rows], g: vec![0.0; y.rows], used: vec![0.0; y.rows], costs, epsilon }
    }

    fn rows(&mut self) {
        self.f = row_update(&self.costs, self.epsilon, &self.g);
    }

    fn columns(&mut self, log_w: &[f64]) {
        self.used = std::mem::replace(&mut self.g, column_update(&self.costs, self.epsilon, log_w, &self.f));
    }

    /// OT_ε(w, b) by the dual, at fixed w, from scratch, to convergence.
    pub fn solved(&self, log_w: &[f64], sweeps: usize) -> Self {
        let mut copy = self.clone();
        for _ in 0..sweeps {
            copy.rows();
            copy.columns(log_w);
        }
        copy.rows();
        copy.used = copy.g.clone();
        copy
    }

    pub fn dual(&self, log_w: &[f64]) -> f64 {
        log_w.iter().zip(&self.f).map(|(w, f)| w.exp() * f).sum::<f64>()
            + self.used.iter().sum::<f64>() / self.used.len() as f64
    }
}

/// What the oracle found.
pub struct Answer {
    pub safe: Reference,
    pub harmful: Reference,
    pub log_w: Vec<f64>,
    pub scores: Vec<f64>,
    pub tau: f64,
}

fn share(scores: &[f64], tau: f64) -> f64 {
    let smallest = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let p: Vec<f64> = scores.iter().map(|g| (-(g - smallest) / tau).exp()).collect();
    p.iter().sum::<f64>().powi(2) / p.iter().map(|p| p * p).sum::<f64>() / scores.len() as f64
}

pub fn temperature(scores: &[f64], regularisation: Regularisation) -> f64 {
    match regularisation {
        Regularisation::Tau(tau) => tau,
        Regularisation::EffectiveShare(target) => {
            let (mut low, mut high) = (-60.0f64, 20.0f64);
            for _ in 0..200 {
                let middle = 0.5 * (low + high);
                if share(scores, middle.exp()) < target { low = middle } else { high = middle }
            }
            high.exp()
        }
    }
}

fn normalised(log_w: &mut [f64]) {
    let total = log_sum_exp(log_w.iter().copied());
    log_w.iter_mut().for_each(|w| *w -= total);
}

/// The scaling solver for `steps` outer steps, then `settling` sweeps with frozen weights.
pub fn scaling(problem: &Problem<'_>, settings: &Settings, steps: usize, settling: usize) -> Answer {
    let n = problem.custom.rows;
    let lambda = settings.lambda;
    let mut safe = Reference::new(problem.custom, problem.safe, settings.epsilon);
    let mut harmful = Reference::new(problem.custom, problem.harmful, settings.epsilon);
    let mut log_w = vec![-(n as f64).ln(); n];
    let score = |safe: &Reference, harmful: &Reference| -> Vec<f64> {
        safe.f.iter().zip(&harmful.f).map(|(q, m)| (1.0 - lambda) * q - lambda * m).collect()
    };
    safe.rows();
    harmful.rows();
    let mut scores = score(&safe, &harmful);
    safe.columns(&log_w);
    harmful.columns(&log_w);
    let mut tau = temperature(&scores, settings.regularisation);
    let (mut alpha, mut best, mut since) = (settings.alpha, f64::INFINITY, 0);
    for _ in 0..steps {
        safe.rows();
        harmful.rows();
        scores = score(&safe, &harmful);
        let mut next: Vec<f64> = log_w.iter().zip(&scores).map(|(w, g)| (1.0 - alpha) * w - alpha * g / tau).collect();
        normalised(&mut next);
        safe.columns(&next);
        harmful.columns(&next);
        tau = temperature(&scores, settings.regularisation);
        let mut p: Vec<f64> = scores.iter().map(|g| -g / tau).collect();
        normalised(&mut p);
        let residual: f64 = p.iter().zip(&log_w).map(|(p, w)| (p.exp() - w.exp()).abs()).sum();
        log_w = next;
        if residual < 0.9 * best {
            (best, since) = (residual, 0);
        } else {
            since += 1;
        }
        if since >= 20 {
            alpha = f64::max(alpha / 2.0, 0.02);
            (best, since) = (residual, 0);
        }
    }
    for _ in 0..settling {
        safe.rows();
        harmful.rows();
        scores = score(&safe, &harmful);
        safe.columns(&log_w);
        harmful.columns(&log_w);
        tau = temperature(&scores, settings.regularisation);
    }
    Answer { safe, harmful, log_w, scores, tau }
}

/// rms and maximum of (f - f*) centred by its w-mean, over the w-weighted standard deviation of f*.
pub fn potential_error(f: &[f64], exact: &[f64], weights: &[f64]) -> (f64, f64) {
    let mean = |values: &[f64]| -> f64 { values.iter().zip(weights).map(|(v, w)| v * w).sum() };
    let difference: Vec<f64> = f.iter().zip(exact).map(|(a, b)| a - b).collect();
    let (shift, centre) = (mean(&difference), mean(exact));
    let spread = mean(&exact.iter().map(|f| (f - centre).powi(2)).collect::<Vec<_>>()).sqrt();
    let errors: Vec<f64> = difference.iter().map(|d| (d - shift) / spread).collect();
    let rms = mean(&errors.iter().map(|e| e * e).collect::<Vec<_>>()).sqrt();
    (rms, errors.iter().fold(0.0, |a: f64, e| a.max(e.abs())))
}

/// TV = ½‖a - b‖₁.
pub fn total_variation(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}
