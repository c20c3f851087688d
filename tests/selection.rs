//! The cut, loss weights, decisions and figures, as a caller sees them.

#[path = "selection/baselines.rs"]
mod baselines;
#[path = "selection/cut.rs"]
mod cut;
#[path = "selection/figures.rs"]
mod figures;
#[path = "selection/settings.rs"]
mod settings;
