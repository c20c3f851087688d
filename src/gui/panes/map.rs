//! Stub.
use super::{Cx, Pane};

#[derive(Default)]
pub struct MapPane;

impl Pane for MapPane {
    fn title(&self) -> &'static str {
        "map"
    }
    fn ui(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
impl MapPane {
    pub fn show_whole(&mut self) {}
}
