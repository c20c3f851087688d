//! Stub.
use super::{Cx, Pane};

#[derive(Default)]
pub struct PurifyPane;

impl Pane for PurifyPane {
    fn title(&self) -> &'static str {
        "purify"
    }
    fn ui(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
