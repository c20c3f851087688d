//! Where a command stands in the menu, how it is found by its action, and how its key is written.

use egui::KeyboardShortcut;

use super::action::{Action, COMMANDS, Command};

/// Where a command stands in the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Data,
    Run,
    Review,
    Tune,
    Window,
}

impl Section {
    pub const ALL: [Self; 5] = [Self::Data, Self::Run, Self::Review, Self::Tune, Self::Window];

    pub fn title(self) -> &'static str {
        match self {
            Self::Data => "Data",
            Self::Run => "Purify and export",
            Self::Review => "Review",
            Self::Tune => "Fine-tune",
            Self::Window => "Window",
        }
    }
}

/// The command whose action this is.
pub fn command_of(action: &Action) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| (command.action)() == *action)
}

/// A shortcut as keyboards name it: `Ctrl+,`, `Page Down`.
pub fn key_words(ctx: &egui::Context, shortcut: &KeyboardShortcut) -> String {
    let text = ctx.format_shortcut(shortcut);
    let names = [("Comma", ","), ("Questionmark", "?"), ("Slash", "/"), ("Page", "Page "), ("Escape", "Esc")];
    names.iter().fold(text, |text, (name, sign)| text.replace(name, sign))
}

/// `Keep (K)`: a label's help with the first shortcut.
pub fn hint(ctx: &egui::Context, action: &Action) -> String {
    let Some(command) = command_of(action) else { return String::new() };
    match command.shortcuts.first() {
        Some(shortcut) => format!("{} ({})", command.help, key_words(ctx, shortcut)),
        None => command.help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_shortcut_is_given_twice_and_every_command_explains_itself() {
        let mut seen = Vec::new();
        for command in COMMANDS {
            assert!(command.help.ends_with('.'), "{}", command.name);
            for shortcut in command.shortcuts {
                assert!(!seen.contains(shortcut), "{}: {shortcut:?} is taken", command.name);
                seen.push(*shortcut);
            }
        }
    }

    #[test]
    fn an_action_finds_its_command() {
        assert_eq!(command_of(&Action::Undo).map(|command| command.name), Some("Undo"));
        assert!(command_of(&Action::Remove(3)).is_none());
    }
}
