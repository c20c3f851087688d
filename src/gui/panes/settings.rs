//! The settings of the run, in a panel over the right side of the window.
//!
//! Constraint: every change applies at once and is saved; the window says where it makes a result stale.

use egui::{
    Align, Area, ComboBox, Frame, Id, Layout, Margin, Order, Rect, RichText, ScrollArea, Slider, Stroke, Ui, pos2,
};

use super::settings_encoder::EncoderField;
use super::settings_field::{Drafts, change, group, label, number, segments};
use super::{Cx, Pane, widgets};
use crate::embedding::Views;
use crate::gui::action::{Action, hint};
use crate::gui::roles::Role;
use crate::gui::state::RunSettings;
use crate::gui::theme::{icons, palette};
use crate::selection::calibration::CalibrationSettings;
use crate::selection::{RankBy, WeightMode};
use crate::transport::{Regularisation, SolverKind};

const WIDTH: f32 = 376.0;
/// Heights of the top bar and the status line, in points.
const TOP: f32 = 48.0;
const BOTTOM: f32 = 32.0;

const BY_HAND: &str = "The values below are used as they stand.";
const BY_CANARIES: &str = "Part of the harmful reference is planted among the rows; it shows which settings find it and how much a cut finds.";
pub const LAMBDA: &str = "λ: how much distance from the harmful rows counts beside closeness to the safe rows.";
pub const EPSILON: &str =
    "ε: how blurred the comparison is, as a multiple of the typical distance; small is sharp but slow.";
pub const ESS: &str =
    "ESS: the effective sample size, the share of equally weighted rows that would inform a model as much.";
pub const TAU: &str =
    "τ: how strongly the weights are held near equal, in the unit of distance; large keeps them even.";

/// The settings panel.
#[derive(Default)]
pub struct SettingsPane {
    drafts: Drafts,
    encoder: EncoderField,
    open: bool,
}

impl Pane for SettingsPane {
    fn title(&self) -> &'static str {
        "Settings"
    }

    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        header(ui, cx);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            // Room for the scroll bar beside the fields.
            ui.set_max_width(ui.available_width() - 12.0);
            ui.spacing_mut().item_spacing.y = 6.0;
            widgets::heading(ui, "How texts are compared");
            self.encoder.ui(ui, cx);
            views(ui, cx);
            group(ui, "How weights are learned");
            self.learning(ui, cx);
            group(ui, "What is kept");
            self.keeping(ui, cx);
            group(ui, "What computes");
            super::settings_engine::ui(ui, cx);
            group(ui, "All at once");
            self.presets(ui, cx);
            group(ui, "Vector cache");
            super::settings_cache::ui(ui, cx);
            ui.add_space(8.0);
        });
    }
}

impl SettingsPane {
    /// Draws the panel over the window while it is open.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        if std::mem::replace(&mut self.open, cx.app.settings_open) != self.open {
            self.drafts.clear();
        }
        if !self.open {
            return;
        }
        let colours = palette(ui.style());
        let screen = ui.ctx().content_rect();
        let left = (screen.right() - WIDTH).max(screen.left());
        let rect = Rect::from_min_max(pos2(left, screen.top() + TOP), pos2(screen.right(), screen.bottom() - BOTTOM));
        Area::new(Id::unique("settings panel"))
            .order(Order::Middle)
            .fixed_pos(rect.min)
            .constrain(false)
            .fade_in(false)
            .show(ui.ctx(), |ui| {
                Frame::new()
                    .fill(*colours.panel)
                    .stroke(Stroke::new(1.0, *colours.border_strong))
                    .shadow(ui.visuals().window_shadow)
                    .inner_margin(Margin::same(16))
                    .show(ui, |ui| {
                        ui.set_width(rect.width() - 34.0);
                        ui.set_height(rect.height() - 34.0);
                        self.ui(ui, cx);
                    });
            });
    }

    fn learning(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let run = cx.app.state().run.clone();
        let method = label(ui, "Method", "How the weights are found.");
        let mut solver = run.solver.solver;
        let solvers = [
            (SolverKind::Scaling, "Learn until settled (default)"),
            (SolverKind::Adam, "Gradient steps (as in the paper)"),
            (SolverKind::OneShot, "One shot (fast preview)"),
        ];
        combo(ui, method, "Method", &mut solver, &solvers);
        if solver != run.solver.solver {
            change(cx, |run| run.solver.solver = solver);
        }
        let by_canaries = run.calibration.is_some();
        label(ui, "How λ and ε are found", "By hand as below, or by planting a part of the harmful reference.");
        let choices = [(true, "By canaries (default)", BY_CANARIES), (false, "By hand", BY_HAND)];
        if let Some(by_canaries) = segments(ui, by_canaries, &choices) {
            change(cx, |run| run.calibration = by_canaries.then(CalibrationSettings::default));
        }
        if by_canaries {
            let text = match cx.app.session().of_role(Role::Harmful).next() {
                Some(_) if !cx.app.session().can_calibrate() => super::calibration::TOO_FEW,
                _ => "λ and ε below are not used while canaries find them.",
            };
            widgets::muted(ui, text);
        }
        let balance = label(ui, "Balance of pull and push (λ)", LAMBDA);
        let mut lambda = run.solver.lambda;
        ui.horizontal(|ui| {
            ui.spacing_mut().slider_width = (ui.available_width() - 64.0).max(80.0);
            let slider = Slider::new(&mut lambda, 0.0..=1.0).step_by(0.01).fixed_decimals(2);
            let response = ui.add(slider).labelled_by(balance);
            response.on_hover_text("0 only pulls towards the safe rows, 1 only pushes from the harmful ones.");
        });
        if (lambda - run.solver.lambda).abs() > 1e-9 {
            change(cx, |run| run.solver.lambda = lambda);
        }
        self.drafts.field(ui, cx, "Blur (ε)", EPSILON, format!("{}", run.solver.epsilon), |run, text| {
            run.solver.epsilon = number(text)?;
            Ok(())
        });
        let by_share = matches!(run.solver.regularisation, Regularisation::EffectiveShare(_));
        label(ui, "Evenness of the weights", "Even weights learn from all rows, uneven ones from the best.");
        let choices = [(true, "Effective share", ESS), (false, "Strength (τ)", TAU)];
        if let Some(by_share) = segments(ui, by_share, &choices) {
            let tau = cx.app.session().solved.as_ref().map_or(0.05, |solved| solved.purified.outcome.tau);
            self.drafts.clear();
            change(cx, |run| {
                run.solver.regularisation =
                    if by_share { Regularisation::EffectiveShare(0.7) } else { Regularisation::Tau(tau) };
            });
        }
        match run.solver.regularisation {
            Regularisation::EffectiveShare(share) => {
                self.drafts.field(ui, cx, "Share of rows", ESS, share.to_string(), |run, text| {
                    run.solver.regularisation = Regularisation::EffectiveShare(share_of(text)?);
                    Ok(())
                });
            }
            Regularisation::Tau(tau) => self.drafts.field(ui, cx, "τ", TAU, tau.to_string(), |run, text| {
                run.solver.regularisation = Regularisation::Tau(number(text)?);
                Ok(())
            }),
        }
        let help = "Equal seeds and settings give equal results.";
        self.drafts.field(ui, cx, "Seed", help, run.solver.seed.to_string(), |run, text| {
            run.solver.seed = text.trim().parse().map_err(|_| "the seed is a whole number, 0 or more".to_owned())?;
            Ok(())
        });
    }

    fn keeping(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let run = cx.app.state().run.clone();
        let help = "How many rows the machine keeps: a share such as 80%, or a count such as 4000.";
        self.drafts.field(ui, cx, "Keep", help, keep_text(&run), |run, text| {
            run.selection.keep = text.parse().map_err(|error| format!("{error}"))?;
            Ok(())
        });
        let rows = cx.app.session().of_role(Role::Custom).filter_map(|file| file.facts.as_ref()).map(|f| f.stats.rows);
        let rows: u64 = rows.sum();
        if rows > 0 {
            widgets::muted(ui, super::purify::keep_words(&run, rows));
        }
        label(ui, "Rank by", "What decides which rows go first.");
        let choices = [
            (RankBy::Score, "Suspicion", "The lowest score is kept first (default)."),
            (RankBy::Weight, "Weight", "The heaviest row is kept first, as in the paper."),
        ];
        if let Some(by) = segments(ui, run.selection.rank_by, &choices) {
            change(cx, |run| run.selection.rank_by = by);
        }
        let name =
            label(ui, "Weights in the export", "How much each kept row counts in training. Their mean is always 1.");
        let temperature = match run.selection.weights {
            WeightMode::Tempered { temperature } => temperature,
            _ => 2.0,
        };
        let modes = [
            (WeightMode::Proportional, "As learned (default)"),
            (WeightMode::Tempered { temperature }, "Softened"),
            (WeightMode::Paper, "As in the paper, nearly equal"),
            (WeightMode::Uniform, "All equal"),
        ];
        let mut mode = run.selection.weights;
        combo(ui, name, "Weights in the export", &mut mode, &modes);
        if mode != run.selection.weights {
            change(cx, |run| run.selection.weights = mode);
        }
        if let WeightMode::Tempered { temperature } = run.selection.weights {
            let help = "1 leaves the weights as learned; larger is nearer to equal.";
            self.drafts.field(ui, cx, "Softness", help, temperature.to_string(), |run, text| {
                run.selection.weights = WeightMode::Tempered { temperature: number(text)? };
                Ok(())
            });
        }
    }

    fn presets(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        for (action, icon, text) in [
            (Action::DefaultSettings, icons::UNDO, "Use the default settings"),
            (Action::PaperPreset, icons::FILE, "Use the paper's setting"),
        ] {
            let help = hint(ui.ctx(), &action);
            if widgets::button(ui, icon, text, &help).clicked() {
                self.drafts.clear();
                cx.send(action);
            }
        }
    }
}

fn header(ui: &mut Ui, cx: &mut Cx<'_>) {
    let colours = palette(ui.style());
    ui.horizontal(|ui| {
        ui.label(RichText::new(icons::SETTINGS).size(18.0).color(*colours.muted));
        widgets::heading(ui, "Settings of the run");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if widgets::icon_button(ui, icons::CLOSE, "Close the settings").clicked() {
                cx.send(Action::ToggleSettings);
            }
        });
    });
    let app = cx.app;
    match app.session().stale(&app.state().run, app.options.threads) {
        Some(what) => drop(ui.label(RichText::new(what).color(*colours.stale))),
        None => drop(widgets::muted(ui, "Changes apply at once, to the next run.")),
    }
    ui.separator();
}

fn views(ui: &mut Ui, cx: &mut Cx<'_>) {
    let run = &cx.app.state().run;
    let name = label(ui, "Part of a row", "Which text of a row is compared.");
    let mut views = run.views;
    let choices = [
        (None, "What measured best (default)"),
        (Some(Views::Row), "The whole row"),
        (Some(Views::RowAndResponse), "The whole row and the answer"),
        (Some(Views::RowResponsePrompt), "The whole row, the answer and the question"),
    ];
    combo(ui, name, "Part of a row", &mut views, &choices);
    if views != run.views {
        change(cx, |run| run.views = views);
    }
}

/// A list of choices over the whole width.
fn combo<T: PartialEq + Copy>(ui: &mut Ui, label: Id, name: &str, value: &mut T, choices: &[(T, &str)]) {
    let now = choices.iter().find(|(choice, _)| choice == value).map_or("", |(_, text)| *text);
    ComboBox::from_id_salt(name)
        .width(ui.available_width())
        .selected_text(now)
        .truncate()
        .show_ui(ui, |ui| {
            for (choice, text) in choices {
                ui.selectable_value(value, *choice, *text);
            }
        })
        .response
        .labelled_by(label);
}

fn keep_text(run: &RunSettings) -> String {
    run.selection.keep.to_string()
}

/// A share such as `0.7` or `70%`.
fn share_of(text: &str) -> Result<f64, String> {
    match text.trim().strip_suffix('%') {
        Some(percent) => Ok(number::<f64>(percent)? / 100.0),
        None => number(text),
    }
}

#[cfg(test)]
mod tests {
    use super::share_of;

    #[test]
    fn shares_are_read_as_figures_and_per_cent() {
        assert_eq!(share_of("0.7"), Ok(0.7));
        assert_eq!(share_of(" 70 %"), Ok(0.7));
        assert!(share_of("most").is_err());
    }
}
