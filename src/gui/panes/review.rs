//! Stub.
use super::{Cx, Pane};

#[derive(Default)]
pub struct ReviewPane;

impl Pane for ReviewPane {
    fn title(&self) -> &'static str {
        "review"
    }
    fn ui(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
impl ReviewPane {
    pub fn focus_search(&mut self) {}
}
