//! Stub.
use super::{Cx, Pane};

#[derive(Default)]
pub struct SettingsPane;

impl Pane for SettingsPane {
    fn title(&self) -> &'static str {
        "settings"
    }
    fn ui(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
impl SettingsPane {
    pub fn show(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
