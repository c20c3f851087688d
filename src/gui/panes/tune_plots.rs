//! The curves of a run: loss, held-out loss, learning rate, gradient norm, tokens a second.
//!
//! Constraint: a long run is thinned to so many points that a frame costs the same for any number of steps.

use egui::Ui;
use egui_plot::{GridInput, GridMark, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoints, Points};

use super::widgets;
use crate::gui::theme::{palette, small_font};
use crate::training::StepReport;

const HEIGHT: f32 = 150.0;
/// Points of a curve at most.
const MOST: usize = 600;
/// Wider than this, two plots stand side by side, in points.
const SIDE_BY_SIDE: f32 = 520.0;
/// Steps that the smooth line looks back on, as a share of all.
const SMOOTHING: f64 = 0.05;

pub fn ui(ui: &mut Ui, steps: &[StepReport]) {
    let plots: [fn(&mut Ui, &[StepReport]); 4] = [loss, gradient, rate, speed];
    if ui.available_width() < SIDE_BY_SIDE {
        plots.iter().for_each(|plot| plot(ui, steps));
        return;
    }
    for pair in plots.chunks(2) {
        ui.columns(2, |columns| {
            for (column, plot) in columns.iter_mut().zip(pair) {
                plot(column, steps);
            }
        });
    }
}

fn loss(ui: &mut Ui, steps: &[StepReport]) {
    let colours = palette(ui.style());
    let held: Vec<[f64; 2]> = steps.iter().filter_map(|step| Some([step.step as f64, step.evaluation?])).collect();
    let now = steps.last().map_or(0.0, |step| step.loss);
    let mut value = format!("{now:.3}");
    if let Some([_, held]) = held.last() {
        value.push_str(&format!(" · held out {held:.3}"));
    }
    title(ui, "Loss", &value, "The weighted loss of each step's rows, its running mean, and the held-out loss (dots).");
    let raw = curve(steps, |step| step.loss);
    let smooth = smoothed(&raw);
    base(ui, "loss", steps).show(ui, |plot| {
        plot.line(Line::new("loss of a step", points(&raw)).color(colours.accent.gamma_multiply(0.35)).width(1.0));
        plot.line(Line::new("running mean", points(&smooth)).color(*colours.accent).width(2.0));
        if !held.is_empty() {
            let line = Line::new("held out", points(&held)).color(*colours.push).style(LineStyle::dashed_loose());
            plot.line(line);
            let marks = Points::new("held out", points(&held)).color(*colours.push).shape(MarkerShape::Circle);
            plot.points(marks.radius(3.0));
        }
    });
}

fn gradient(ui: &mut Ui, steps: &[StepReport]) {
    let now = steps.last().map_or(0.0, |step| step.gradient_norm);
    let help = "How strongly a step pulls at the adapter, before clipping. Sudden peaks mean an unruly run.";
    single(ui, "Gradient norm", &format!("{now:.3}"), help, steps, |step| step.gradient_norm);
}

fn rate(ui: &mut Ui, steps: &[StepReport]) {
    let now = steps.last().map_or(0.0, |step| step.learning_rate);
    let help = "The step size: it rises in the warm-up and then falls by the schedule.";
    single(ui, "Learning rate", &format!("{now:.1e}"), help, steps, |step| step.learning_rate);
}

fn speed(ui: &mut Ui, steps: &[StepReport]) {
    let now = steps.last().map_or(0.0, |step| step.tokens_per_second);
    let help = "Tokens of each step by its time.";
    single(ui, "Tokens a second", &format!("{now:.0}"), help, steps, |step| step.tokens_per_second);
}

fn single(ui: &mut Ui, name: &str, now: &str, help: &str, steps: &[StepReport], of: fn(&StepReport) -> f64) {
    let colours = palette(ui.style());
    title(ui, name, now, help);
    let curve = curve(steps, of);
    base(ui, name, steps).include_y(0.0).show(ui, |plot| {
        plot.line(Line::new(name, points(&curve)).color(*colours.accent).width(1.5));
    });
}

fn points(curve: &[[f64; 2]]) -> PlotPoints<'static> {
    curve.iter().copied().collect()
}

/// One value a step; of many steps, means over equal stretches.
fn curve(steps: &[StepReport], of: impl Fn(&StepReport) -> f64) -> Vec<[f64; 2]> {
    let stretch = steps.len().div_ceil(MOST).max(1);
    let mean = |chunk: &[StepReport]| {
        let count = chunk.len().max(1) as f64;
        let (x, y) = chunk.iter().fold((0.0, 0.0), |(x, y), step| (x + step.step as f64, y + of(step)));
        [x / count, y / count]
    };
    steps.chunks(stretch).map(mean).collect()
}

/// The mean of what came before, fading with distance.
fn smoothed(curve: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let span = (curve.len() as f64 * SMOOTHING).max(2.0);
    let keep = 1.0 - 1.0 / span;
    // The weights so far sum to less than one: divided by their sum, the first value stands for itself.
    let (mut sum, mut mass) = (0.0, 0.0);
    curve
        .iter()
        .map(|[x, y]| {
            sum = keep * sum + (1.0 - keep) * y;
            mass = keep * mass + (1.0 - keep);
            [*x, sum / mass]
        })
        .collect()
}

fn base<'a>(ui: &Ui, id: &str, steps: &[StepReport]) -> Plot<'a> {
    let last = steps.last().map_or(0, |step| step.steps.min(step.step.max(10)));
    Plot::new(format!("tune {id}"))
        .height(HEIGHT)
        .include_x(0.0)
        .include_x(last as f64)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_background(false)
        .grid_color(*palette(ui.style()).border_strong)
        .x_grid_spacer(|input| marks(&input, 6.0, 1.0))
        .y_grid_spacer(|input| marks(&input, 4.0, 0.0))
        .y_axis_min_width(48.0)
        .x_axis_formatter(|mark, _| if mark.value < 0.0 { String::new() } else { format!("{:.0}", mark.value) })
        .y_axis_formatter(|mark, _| short(mark.value))
        .label_formatter(|hover| match hover {
            HoverPosition::NearDataPoint { position, .. } => {
                Some(format!("step {:.0}\n{}", position.x, short(position.y)))
            }
            HoverPosition::Elsewhere { .. } => None,
        })
}

/// About `wanted` marks at round values, `least` apart at the least.
fn marks(input: &GridInput, wanted: f64, least: f64) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let step = round_step((high - low) / wanted).max(least);
    if !(step > 0.0 && step.is_finite()) {
        return Vec::new();
    }
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last.min(first + 50)).map(|place| GridMark { value: place as f64 * step, step_size: step }).collect()
}

/// The next of 1, 2, 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|times| times * power).find(|round| *round >= step).unwrap_or(10.0 * power)
}

/// A figure in few characters: `0.0002` is `2e-4`.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 0.001 => format!("{value:.1e}").replace(".0e", "e"),
        v if v < 1.0 => trimmed(format!("{value:.4}")),
        v if v < 100.0 => trimmed(format!("{value:.2}")),
        _ => format!("{value:.0}"),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn title(ui: &mut Ui, name: &str, now: &str, help: &str) {
    ui.horizontal(|ui| {
        widgets::caption(ui, name).on_hover_text(help);
        ui.label(egui::RichText::new(now).font(small_font()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(count: u64) -> Vec<StepReport> {
        let step = |step| StepReport {
            step,
            steps: count,
            epoch: 1,
            loss: 2.0,
            evaluation: None,
            learning_rate: 1e-4,
            gradient_norm: 1.0,
            tokens: 10,
            tokens_per_second: 5.0,
            memory: None,
            seconds_left: 0.0,
        };
        (1..=count).map(step).collect()
    }

    #[test]
    fn long_runs_are_thinned_and_keep_their_mean() {
        for count in [1, 5, 600, 601, 100_000] {
            let curve = curve(&steps(count), |step| step.loss);
            assert!(curve.len() <= MOST && !curve.is_empty(), "{count}: {}", curve.len());
            assert!(curve.iter().all(|[_, y]| *y == 2.0));
            assert!(smoothed(&curve).iter().all(|[_, y]| (*y - 2.0).abs() < 1e-9), "a flat line stays flat");
        }
    }

    #[test]
    fn marks_stand_at_round_values() {
        assert_eq!([0.03, 0.7, 1.0, 11.0].map(round_step), [0.05, 1.0, 1.0, 20.0]);
        assert_eq!(round_step(0.0), 0.0);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([0.0, 2e-4, 0.25, 4.0, 12.5, 4711.0].map(short), ["0", "2e-4", "0.25", "4", "12.5", "4711"]);
    }
}
