//! The live plots of a run: how far the weights still move, and how many rows they count like.

use egui::Ui;
use egui_plot::{GridMark, HLine, HoverPosition, Line, LineStyle, Plot, PlotPoints};

use super::widgets;
use crate::gui::theme::{palette, small_font};
use crate::transport::TracePoint;

/// The residual at which the weights count as settled.
const SETTLED: f64 = 1e-3;
const HEIGHT: f32 = 180.0;
/// Room for the highest label below the title, as a share of the range.
const HEADROOM: f64 = 0.1;
/// Wider than this, the plots stand side by side, in points.
const SIDE_BY_SIDE: f32 = 560.0;

/// Draws both plots; `share` is the effective share aimed at.
pub fn plots(ui: &mut Ui, trace: &[TracePoint], share: Option<f64>) {
    if ui.available_width() < SIDE_BY_SIDE {
        residual(ui, trace);
        ui.add_space(8.0);
        effective_share(ui, trace, share);
    } else {
        ui.columns(2, |columns| {
            if let [left, right] = columns {
                residual(left, trace);
                effective_share(right, trace, share);
            }
        });
    }
}

fn residual(ui: &mut Ui, trace: &[TracePoint]) {
    let colours = palette(ui.style());
    let now = trace.last().map_or(1.0, |point| point.residual);
    title(
        ui,
        "Change per step",
        &format!("{now:.1e}"),
        "The residual: how much the weights still move. Below 0.001 they are settled. The scale is logarithmic.",
    );
    // Zero has no logarithm; below this nothing is to be told apart.
    let points: PlotPoints<'_> =
        trace.iter().map(|point| [point.step as f64, point.residual.max(1e-9).log10()]).collect();
    let lowest = trace.iter().map(|point| point.residual).fold(SETTLED, f64::min).max(1e-9).log10().floor();
    let highest = trace.iter().map(|point| point.residual).fold(SETTLED, f64::max).min(1e9).log10().ceil();
    let highest = highest.max(lowest + 1.0);
    let plot = base(ui, "residual", trace)
        .include_y(lowest)
        .include_y(highest + (highest - lowest) * HEADROOM)
        .y_grid_spacer(|input| {
            let (low, high) = (input.bounds.0.ceil() as i64, input.bounds.1.floor() as i64);
            let step = ((high - low) / 5).max(1);
            let marks = (low..=high).filter(|place| place % step == 0);
            marks.map(|place| GridMark { value: place as f64, step_size: step as f64 }).collect()
        })
        .y_axis_formatter(|mark, _| power_of_ten(mark.value))
        .label_formatter(|hover| match hover {
            HoverPosition::NearDataPoint { position, .. } => {
                Some(format!("step {:.0}\n{:.1e}", position.x, 10f64.powf(position.y)))
            }
            HoverPosition::Elsewhere { .. } => None,
        });
    plot.show(ui, |plot| {
        plot.hline(HLine::new("settled", SETTLED.log10()).color(*colours.good).style(LineStyle::dashed_loose()));
        plot.line(Line::new("change per step", points).color(*colours.accent).width(2.0));
    });
}

fn effective_share(ui: &mut Ui, trace: &[TracePoint], share: Option<f64>) {
    let colours = palette(ui.style());
    let now = trace.last().map_or(0.0, |point| point.effective_share);
    title(
        ui,
        "Effective share of rows",
        &format!("{:.0} %", now * 100.0),
        "Effective sample size (ESS): how many equally weighted rows would inform a model as much, in per cent of all.",
    );
    let points: PlotPoints<'_> = trace.iter().map(|point| [point.step as f64, point.effective_share]).collect();
    let plot = base(ui, "effective share", trace)
        .include_y(0.0)
        .include_y(1.0 + HEADROOM)
        .y_axis_formatter(
            |mark, _| if mark.value > 1.0 { String::new() } else { format!("{:.0} %", mark.value * 100.0) },
        )
        .label_formatter(|hover| match hover {
            HoverPosition::NearDataPoint { position, .. } => {
                Some(format!("step {:.0}\n{:.1} %", position.x, position.y * 100.0))
            }
            HoverPosition::Elsewhere { .. } => None,
        });
    plot.show(ui, |plot| {
        if let Some(share) = share {
            plot.hline(HLine::new("aim", share).color(*colours.muted).style(LineStyle::dashed_loose()));
        }
        plot.line(Line::new("effective share", points).color(*colours.accent).width(2.0));
    });
}

fn base<'a>(ui: &Ui, id: &str, trace: &[TracePoint]) -> Plot<'a> {
    let last = trace.last().map_or(0, |point| point.step);
    Plot::new(id.to_owned())
        .height(HEIGHT)
        .include_x(0.0)
        .include_x(last.max(10) as f64)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_background(false)
        .grid_color(*palette(ui.style()).border_strong)
        .y_axis_min_width(44.0)
        .x_axis_formatter(|mark, _| format!("{:.0}", mark.value))
}

fn title(ui: &mut Ui, name: &str, now: &str, help: &str) {
    ui.horizontal(|ui| {
        widgets::caption(ui, name).on_hover_text(help);
        ui.label(egui::RichText::new(now).font(small_font()));
    });
}

/// `0.001`, `1`, `10`, and `1e-6` where zeros would pile up.
fn power_of_ten(place: f64) -> String {
    let place = place.round() as i32;
    match place {
        -3..=0 => format!("{:.*}", place.unsigned_abs() as usize, 10f64.powi(place)),
        1..=3 => format!("{:.0}", 10f64.powi(place)),
        _ => format!("1e{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::power_of_ten;

    #[test]
    fn powers_of_ten_are_written_short() {
        let written = [-6.0, -3.0, -1.0, 0.0, 2.0, 5.0].map(power_of_ten);
        assert_eq!(written, ["1e-6", "0.001", "0.1", "1", "100", "1e5"]);
    }
}
