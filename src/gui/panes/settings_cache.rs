//! The vector cache in the settings: what it takes on disk, and the button that empties it.

use egui::Ui;

use super::data_file::sentence;
use super::{Cx, widgets};
use crate::gui::action::Action;
use crate::gui::theme::icons;
use crate::gui::words;

pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let cache = &cx.app.session().cache;
    widgets::muted(ui, "Vectors of a model are kept here for later runs. Cleared ones are computed again when needed.");
    let size = match (cache.size, &cache.job) {
        (Some(size), _) if size.files > 0 => format!("{} on disk", words::bytes(size.bytes)),
        (None, Some(_)) => "Measuring …".to_owned(),
        (None, None) if cache.error.is_some() => "Its size is not known".to_owned(),
        _ => "Nothing on disk".to_owned(),
    };
    ui.label(size);
    if let Some(error) = &cache.error {
        widgets::notice(ui, widgets::Tone::Error, &sentence(error));
    }
    let enabled = cx.app.can_clear_cache();
    let help = "Delete the kept vectors. Data, decisions and results stay.";
    let clear = widgets::button_if(ui, icons::TRASH, "Clear", help, &enabled);
    if clear.accessible_name("Clear the vector cache").clicked() {
        cx.send(Action::ClearCache);
    }
}
