//! The parts of the window, one file each, and how they share the space.
//!
//! Constraint: a pane reads the app and sends actions; it keeps only what it alone needs (drafts, cameras).

mod calibration;
mod chrome;
pub mod commands;
mod compare;
mod compare_rows;
mod convergence;
pub mod data;
mod data_checks;
mod data_file;
mod data_mapping;
mod distribution;
mod evidence;
mod export;
mod health;
pub mod map;
mod map_legend;
mod purify;
mod rankings;
mod rankings_scatter;
mod reasons;
pub mod review;
mod row_widgets;
mod settings;
mod settings_cache;
mod settings_encoder;
mod settings_engine;
mod settings_field;
mod table;
mod tune;
mod tune_history;
mod tune_plots;
mod tune_preview;
mod tune_run;
mod tune_settings;
mod tune_setup;
mod widgets;

use egui::{CentralPanel, Frame, Margin, Panel, Ui, vec2};

use super::action::Action;
use super::app::App;
use super::state::Step;
use super::theme::palette;

/// What a pane sees and where its wishes go.
pub struct Cx<'a> {
    pub app: &'a App,
    pub out: &'a mut Vec<Action>,
}

impl Cx<'_> {
    pub fn send(&mut self, action: Action) {
        self.out.push(action);
    }
}

/// A part of the window.
pub trait Pane {
    fn title(&self) -> &'static str;
    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>);
}

/// All panes.
#[derive(Default)]
pub struct Panes {
    pub data: data::DataPane,
    purify: purify::PurifyPane,
    settings: settings::SettingsPane,
    pub review: review::ReviewPane,
    evidence: evidence::EvidencePane,
    distribution: distribution::DistributionPane,
    pub map: map::MapPane,
    export: export::ExportPane,
    tune: tune::TunePane,
    compare: compare::ComparePane,
    pub commands: commands::CommandsPane,
}

/// Narrower than this, the rail shows icons only, in points.
const NARROW: f32 = 1100.0;

impl Panes {
    /// Draws the window.
    pub fn show(&mut self, ui: &mut Ui, app: &mut App) {
        let mut out = Vec::new();
        let narrow = ui.available_width() < NARROW;
        let colours = palette(ui.style());
        let mut map_rect = None;
        let mut sizes = (app.state.map_height, app.state.evidence_width);
        {
            let mut cx = Cx { app, out: &mut out };
            let bar = |margin: Margin| Frame::new().fill(*colours.panel).inner_margin(margin);
            Panel::top("top bar")
                .exact_size(48.0)
                .frame(bar(Margin::symmetric(16, 8)))
                .show(ui, |ui| chrome::top_bar(ui, &mut cx));
            Panel::bottom("status")
                .exact_size(32.0)
                .frame(bar(Margin::symmetric(16, 4)))
                .show(ui, |ui| chrome::status_bar(ui, &mut cx));
            Panel::left("steps")
                .exact_size(if narrow { 64.0 } else { 208.0 })
                .resizable(false)
                .frame(bar(Margin::same(if narrow { 8 } else { 16 })))
                .show(ui, |ui| chrome::rail(ui, &mut cx, narrow));
            let ground = Frame::new().fill(*colours.background);
            match app.step {
                Step::Data => framed(ui, ground.inner_margin(20), &mut self.data, &mut cx),
                Step::Purify => framed(ui, ground.inner_margin(20), &mut self.purify, &mut cx),
                Step::Export => framed(ui, ground.inner_margin(20), &mut self.export, &mut cx),
                Step::Tune => framed(ui, ground.inner_margin(20), &mut self.tune, &mut cx),
                Step::Compare => framed(ui, ground.inner_margin(20), &mut self.compare, &mut cx),
                Step::Review => map_rect = self.show_review(ui, ground, &mut cx, &mut sizes),
            }
            self.settings.show(ui, &mut cx);
            self.commands.show(ui, &mut cx);
        }
        (app.state.map_height, app.state.evidence_width) = sizes;
        app.session.map.rect = map_rect;
        if app.step == Step::Review {
            app.session.table.scroll_to = None;
        }
        let size = ui.ctx().content_rect().size();
        if app.options.size.is_none() && size.x > 100.0 {
            app.state.window = size.into();
        }
        if self.commands.take_closed() {
            app.palette_open = false;
            app.cheat_sheet_open = false;
        }
        app.actions.extend(out);
    }

    /// Returns where the map is, if it is shown.
    fn show_review(
        &mut self,
        ui: &mut Ui,
        ground: Frame,
        cx: &mut Cx<'_>,
        sizes: &mut (f32, f32),
    ) -> Option<egui::Rect> {
        let colours = palette(ui.style());
        let whole = ui.available_size();
        let panel = Frame::new().fill(*colours.panel);
        if cx.app.session().solved.is_some() {
            Panel::bottom("distribution")
                .exact_size(if whole.y < 560.0 { 104.0 } else { 128.0 })
                .resizable(false)
                .frame(panel.inner_margin(Margin::symmetric(16, 8)))
                .show(ui, |ui| self.distribution.ui(ui, cx));
        }
        // Where there is no row, the table's pane alone says what to do next.
        if cx.app.session().rows() > 0 {
            let widest = (whole.x * 0.45).max(260.0);
            let resizing = hold_size(ui, "evidence", sizes.1.min(widest));
            let evidence = Panel::right("evidence")
                .default_size(sizes.1.min(widest))
                .size_range(240.0..=widest)
                .frame(panel.inner_margin(Margin::same(16)))
                .show(ui, |ui| self.evidence.ui(ui, cx));
            if resizing {
                sizes.1 = evidence.response.rect.width();
            }
        }
        let room = ui.available_height();
        let mut map_rect = None;
        if cx.app.state.show_map && room > 400.0 && cx.app.session().solved.is_some() {
            let tallest = room - 180.0;
            let resizing = hold_size(ui, "map", sizes.0.min(tallest));
            let map = Panel::top("map")
                .default_size(sizes.0.min(tallest))
                .size_range(120.0..=tallest)
                .resizable(true)
                .frame(ground)
                .show(ui, |ui| self.map.ui(ui, cx));
            map_rect = Some(map.response.rect);
            if resizing {
                sizes.0 = map.response.rect.height();
            }
        }
        framed(ui, ground, &mut self.review, cx);
        map_rect
    }
}

/// Gives a panel the size that the user chose, as far as the window has room for it now; a window that grows again
/// gives it back. True while the user drags its edge, the only time when its size is what she chose.
fn hold_size(ui: &Ui, name: &str, size: f32) -> bool {
    let id = ui.scope_id().with(name);
    // As egui names the edge of a panel.
    let edge = ui.ctx().read_response(id.with("__resize"));
    if edge.is_some_and(|edge| edge.dragged() || edge.drag_stopped()) {
        return true;
    }
    let outer_rect = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::Vec2::splat(size));
    ui.ctx().data_mut(|data| data.insert_persisted(id, egui::PanelState { outer_rect }));
    false
}

fn framed(ui: &mut Ui, frame: Frame, pane: &mut dyn Pane, cx: &mut Cx<'_>) {
    CentralPanel::default().frame(frame).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
        // What a pane remembers of its widgets is its own, whichever pane was there before.
        ui.push_id(pane.title(), |ui| pane.ui(ui, cx));
    });
}
