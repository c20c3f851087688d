//! Which commands the keys of a frame ask for.
//!
//! Constraint: a key that a text field or a focused control wants is left to it.

use egui::{Key, KeyboardShortcut, Modifiers};

use super::action::{Action, COMMANDS, Command};

/// The actions whose keys were pressed in this frame. While a text field has the focus, only keys with Ctrl and the
/// function keys count; while another control has it, Space and the arrows belong to that control.
pub fn from_keys(ctx: &egui::Context) -> Vec<Action> {
    let typing = ctx.text_edit_focused();
    let focused = ctx.memory(|memory| memory.focused().is_some());
    let mut actions = Vec::new();
    // In the order of the keys: "drop, next, drop" typed within one frame must stay that.
    ctx.input_mut(|input| {
        input.events.retain(|event| {
            let egui::Event::Key { key, modifiers, pressed: true, repeat, .. } = event else { return true };
            let Some(command) = command_for(*key, *modifiers, typing, focused) else { return true };
            let action = (command.action)();
            // A held key scrolls, but it decides once.
            if !(*repeat && matches!(action, Action::Decide(_))) {
                actions.push(action);
            }
            false
        });
    });
    actions
}

fn command_for(key: Key, modifiers: Modifiers, typing: bool, focused: bool) -> Option<&'static Command> {
    let fits = |shortcut: &&KeyboardShortcut| {
        let plain = !shortcut.modifiers.command && shortcut.logical_key != Key::F1;
        let of_controls = matches!(key, Key::Space | Key::ArrowDown | Key::ArrowUp | Key::Escape);
        let of_texts = matches!(key, Key::A | Key::Z | Key::Y);
        shortcut.logical_key == key
            && modifiers.matches_logically(shortcut.modifiers)
            && !(plain && (typing || focused && of_controls))
            && !(typing && of_texts)
    };
    // The most exact shortcut wins: Ctrl+Shift+Z is not Ctrl+Z.
    let all = COMMANDS.iter().flat_map(|command| command.shortcuts.iter().map(move |shortcut| (shortcut, command)));
    all.filter(|(shortcut, _)| fits(shortcut))
        .max_by_key(|(shortcut, _)| u8::from(shortcut.modifiers.shift) + u8::from(shortcut.modifiers.command))
        .map(|(_, command)| command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gui::action::{CTRL, CTRL_SHIFT, NONE};

    #[test]
    fn keys_find_the_most_exact_command_and_leave_text_fields_alone() {
        let name = |key, modifiers, typing| command_for(key, modifiers, typing, typing).map(|command| command.name);
        assert_eq!(name(Key::Z, CTRL, false), Some("Undo"));
        assert_eq!(name(Key::Z, CTRL_SHIFT, false), Some("Redo"));
        assert_eq!(name(Key::K, NONE, false), Some("Keep"));
        assert_eq!(name(Key::K, CTRL, false), Some("All commands…"));
        assert_eq!(name(Key::K, NONE, true), None);
        assert_eq!(name(Key::Z, CTRL, true), None);
        assert_eq!(name(Key::P, CTRL_SHIFT, true), Some("All commands…"));
    }
}
