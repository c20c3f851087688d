//! Stub.
use super::{Cx, Pane};

#[derive(Default)]
pub struct CommandsPane;

impl Pane for CommandsPane {
    fn title(&self) -> &'static str {
        "commands"
    }
    fn ui(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
}
impl CommandsPane {
    pub fn show(&mut self, _ui: &mut egui::Ui, _cx: &mut Cx<'_>) {}
    pub fn open(&mut self) {}
    pub fn take_closed(&mut self) -> bool {
        false
    }
}
