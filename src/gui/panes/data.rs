//! Stub.
use super::{Cx, Pane};

#[derive(Default)]
pub struct DataPane;

impl Pane for DataPane {
    fn title(&self) -> &'static str {
        "data"
    }
    fn ui(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
impl DataPane {
    pub fn role_at(&self, _at: Option<egui::Pos2>) -> Option<crate::gui::roles::Role> {
        None
    }
}
