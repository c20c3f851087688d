//! Stub.
use super::{Cx, Pane};

#[derive(Default)]
pub struct DistributionPane;

impl Pane for DistributionPane {
    fn title(&self) -> &'static str {
        "distribution"
    }
    fn ui(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
