//! The cut, loss weights, decisions and figures, as a caller sees them.

#[path = "selection/baselines.rs"]
mod baselines;
#[path = "selection/calibration.rs"]
mod calibration;
#[path = "selection/comparison.rs"]
mod comparison;
#[path = "selection/cut.rs"]
mod cut;
#[path = "selection/explanation.rs"]
mod explanation;
#[path = "selection/figures.rs"]
mod figures;
#[path = "selection/health.rs"]
mod health;
#[path = "selection/settings.rs"]
mod settings;
