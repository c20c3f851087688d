//! Stub.
use super::{Cx, Pane};

#[derive(Default)]
pub struct EvidencePane;

impl Pane for EvidencePane {
    fn title(&self) -> &'static str {
        "evidence"
    }
    fn ui(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
