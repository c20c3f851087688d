//! The command palette and the cheat sheet, both drawn from the one table of commands.

use egui::{
    Align2, Area, Frame, Id, Key, Margin, Modal, Modifiers, Order, RichText, ScrollArea, Sense, TextEdit, Ui, vec2,
};

use super::{Cx, Pane, widgets};
use crate::gui::action::{COMMANDS, Command, Section, key_words};
use crate::gui::theme::{self, icons, palette, tokens};

const ROW: f32 = 44.0;
/// Rows that Page Up and Page Down pass.
const PAGE: usize = 6;

/// Palette and cheat sheet.
#[derive(Default)]
pub struct CommandsPane {
    query: String,
    chosen: usize,
    fresh: bool,
    /// The choice moved by a key: bring it into view.
    scroll: bool,
    closed: bool,
}

impl Pane for CommandsPane {
    fn title(&self) -> &'static str {
        "Commands"
    }

    /// The palette: a search field over the commands that fit.
    fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let found = find(&self.query);
        self.keys(ui, cx, &found);
        let field = TextEdit::singleline(&mut self.query)
            .hint_text("Find a command")
            .prefix(icons::SEARCH)
            .min_size(vec2(0.0, 36.0))
            .margin(Margin::symmetric(12, 8))
            .desired_width(f32::INFINITY);
        let response = ui.add(field).accessible_name("Find a command");
        if std::mem::take(&mut self.fresh) {
            response.request_focus();
        }
        if response.changed() {
            (self.chosen, self.scroll) = (0, true);
        }
        ui.add_space(4.0);
        let found = find(&self.query);
        if found.is_empty() {
            widgets::muted(ui, "No command has these letters.");
            return;
        }
        self.chosen = self.chosen.min(found.len() - 1);
        let tallest = (ui.ctx().content_rect().height() - 220.0).clamp(ROW * 3.0, ROW * 9.0);
        let scroll = std::mem::take(&mut self.scroll);
        ScrollArea::vertical().max_height(tallest).auto_shrink([false, true]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (place, command) in found.iter().enumerate() {
                let enabled = (command.enabled)(cx.app);
                let response = command_row(ui, command, &enabled, place == self.chosen);
                if place == self.chosen && scroll {
                    response.scroll_to_me(None);
                }
                if response.clicked() && enabled.is_ok() {
                    self.run(cx, command);
                }
            }
        });
    }
}

impl CommandsPane {
    /// Draws what is open.
    pub fn show(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let screen = ui.ctx().content_rect();
        if cx.app.palette_open {
            let area = Area::new(Id::unique("command palette"))
                .kind(egui::UiKind::Modal)
                .sense(Sense::hover())
                .anchor(Align2::CENTER_TOP, vec2(0.0, 64.0))
                .order(Order::Foreground)
                .interactable(true);
            let response =
                Modal::new(Id::unique("command palette")).area(area).frame(frame(ui, 8)).show(ui.ctx(), |ui| {
                    ui.set_width((screen.width() - 64.0).min(600.0));
                    self.ui(ui, cx);
                });
            self.closed |= response.should_close();
        } else if cx.app.cheat_sheet_open {
            let (id, tallest) = (Id::unique("cheat sheet"), screen.height() - 136.0);
            // Without a height of its own an area begins low and scrolls for no reason.
            let area = Modal::default_area(id).default_size(vec2(960.0, tallest + 100.0));
            let close = ui.input(|input| input.key_pressed(Key::F1) || input.key_pressed(Key::Questionmark));
            let response = Modal::new(id).area(area).frame(frame(ui, 20)).show(ui.ctx(), |ui| {
                ui.set_width((screen.width() - 88.0).min(920.0));
                self.cheat_sheet(ui, tallest);
            });
            self.closed |= close || response.should_close();
        }
    }

    /// Begins with an empty search.
    pub fn open(&mut self) {
        self.query.clear();
        (self.chosen, self.fresh, self.scroll) = (0, true, true);
    }

    /// True once after the user closed what was open.
    pub fn take_closed(&mut self) -> bool {
        std::mem::take(&mut self.closed)
    }

    fn run(&mut self, cx: &mut Cx<'_>, command: &Command) {
        cx.send((command.action)());
        self.closed = true;
    }

    fn keys(&mut self, ui: &Ui, cx: &mut Cx<'_>, found: &[&'static Command]) {
        let last = found.len().saturating_sub(1);
        let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        let before = self.chosen;
        if pressed(Key::ArrowDown) {
            self.chosen = if before >= last { 0 } else { before + 1 };
        }
        if pressed(Key::ArrowUp) {
            self.chosen = if before == 0 { last } else { before - 1 };
        }
        if pressed(Key::PageDown) {
            self.chosen = (before + PAGE).min(last);
        }
        if pressed(Key::PageUp) {
            self.chosen = before.saturating_sub(PAGE);
        }
        self.scroll |= before != self.chosen;
        if pressed(Key::Enter)
            && let Some(command) = found.get(self.chosen)
            && (command.enabled)(cx.app).is_ok()
        {
            self.run(cx, command);
        }
    }

    fn cheat_sheet(&mut self, ui: &mut Ui, tallest: f32) {
        ui.horizontal(|ui| {
            ui.label(RichText::new("Keys").font(theme::title_font()));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if widgets::icon_button(ui, icons::CLOSE, "Close the keys").clicked() {
                    self.closed = true;
                }
            });
        });
        ui.add_space(4.0);
        ScrollArea::vertical().max_height(tallest).auto_shrink([false, true]).show(ui, |ui| {
            let (left, right): (&[Section], &[Section]) =
                (&[Section::Review], &[Section::Data, Section::Run, Section::Window]);
            // Room for the scroll bar beside the keys.
            ui.set_max_width(ui.available_width() - 12.0);
            ui.spacing_mut().item_spacing.x = 32.0;
            ui.columns(2, |columns| {
                for (ui, sections) in columns.iter_mut().zip([left, right]) {
                    ui.spacing_mut().item_spacing = vec2(8.0, 4.0);
                    sections.iter().for_each(|section| keys_of(ui, *section));
                }
            });
        });
    }
}

fn frame(ui: &Ui, margin: i8) -> Frame {
    Frame::popup(ui.style()).inner_margin(Margin::same(margin)).corner_radius(10)
}

/// The keys of one section.
fn keys_of(ui: &mut Ui, section: Section) {
    widgets::caption(ui, section.title());
    for command in COMMANDS.iter().filter(|command| command.section == section && !command.shortcuts.is_empty()) {
        ui.horizontal(|ui| {
            ui.add(egui::Label::new(command.name).truncate()).on_hover_text(command.help);
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                for shortcut in command.shortcuts.iter().rev() {
                    key_cap(ui, &key_words(ui.ctx(), shortcut));
                }
            });
        });
    }
    ui.add_space(12.0);
}

fn key_cap(ui: &mut Ui, text: &str) {
    let colours = palette(ui.style());
    Frame::new()
        .fill(*colours.sunken)
        .stroke(egui::Stroke::new(1.0, *colours.border))
        .corner_radius(4)
        .inner_margin(Margin::symmetric(6, 1))
        .show(ui, |ui| ui.label(RichText::new(text).size(tokens().sizes.small)));
}

fn command_row(ui: &mut Ui, command: &Command, enabled: &Result<(), String>, chosen: bool) -> egui::Response {
    let colours = palette(ui.style());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let ok = enabled.is_ok();
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::ListBoxOption, ok, chosen, command.name));
    let ground = match (chosen, response.hovered()) {
        (true, _) => Some(*colours.selection),
        (false, true) => Some(*colours.hover),
        (false, false) => None,
    };
    if let Some(ground) = ground {
        ui.painter().rect_filled(rect, tokens().radius, ground);
    }
    let inner = rect.shrink2(vec2(12.0, 4.0));
    let keys = command.shortcuts.first().map(|shortcut| key_words(ui.ctx(), shortcut)).unwrap_or_default();
    let small = egui::FontId::proportional(tokens().sizes.small);
    widgets::paint_text(ui, inner, Align2::RIGHT_CENTER, &keys, small.clone(), *colours.muted, false);
    let text = inner.with_max_x(inner.right() - if keys.is_empty() { 0.0 } else { 112.0 });
    let (name, below) = text.split_top_bottom_at_fraction(0.5);
    let ink = if ok { *colours.text } else { *colours.muted };
    let font = egui::FontId::proportional(tokens().sizes.body);
    widgets::paint_text(ui, name, Align2::LEFT_CENTER, command.name, font, ink, false);
    let (words, ink) = match enabled {
        Ok(()) => (command.help.to_owned(), *colours.muted),
        Err(reason) => (format!("Not now: {reason}"), *colours.stale),
    };
    widgets::paint_text(ui, below, Align2::LEFT_CENTER, &words, small, ink, false);
    response
}

/// The commands that fit the letters, the best first.
fn find(query: &str) -> Vec<&'static Command> {
    let query = query.trim().to_lowercase();
    let mut found: Vec<(u32, usize, &Command)> = COMMANDS
        .iter()
        .enumerate()
        .filter_map(|(place, command)| {
            let by_name = fit(&query, &command.name.to_lowercase());
            let by_help = command.help.to_lowercase().contains(&query).then_some(1);
            Some((by_name.max(by_help)?, place, command))
        })
        .collect();
    found.sort_by_key(|(fit, place, _)| (std::cmp::Reverse(*fit), *place));
    found.into_iter().map(|(_, _, command)| command).collect()
}

/// How well the letters fit a name, both in lower case: all of them must occur in order. Letters that begin a word
/// or follow each other count more.
fn fit(query: &str, name: &str) -> Option<u32> {
    if let Some(at) = name.find(query) {
        let begins = at == 0 || name.get(..at).is_some_and(|before| before.ends_with(' '));
        return Some(1000 + if begins { 500 } else { 0 } + 100u32.saturating_sub(at as u32));
    }
    let mut total = 2;
    let mut letters = name.chars();
    let mut before = ' ';
    for wanted in query.chars().filter(|c| !c.is_whitespace()) {
        let mut gap = 0;
        loop {
            let letter = letters.next()?;
            let begins = before == ' ';
            before = letter;
            if letter == wanted {
                total += if begins {
                    20
                } else if gap == 0 {
                    10
                } else {
                    1
                };
                break;
            }
            gap += 1;
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_by_few_letters() {
        assert_eq!(find("").len(), COMMANDS.len());
        assert_eq!(find("purify").first().map(|command| command.name), Some("Purify"));
        assert_eq!(find("lod").first().map(|command| command.name), Some("Light or dark"));
        assert_eq!(find("take the last").first().map(|command| command.name), Some("Undo"));
        assert!(find("qqqq").is_empty());
    }
}
