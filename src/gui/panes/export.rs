//! Stub.
use super::{Cx, Pane};

#[derive(Default)]
pub struct ExportPane;

impl Pane for ExportPane {
    fn title(&self) -> &'static str {
        "export"
    }
    fn ui(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
