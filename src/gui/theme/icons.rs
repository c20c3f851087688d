//! The Phosphor glyphs in use, by name.

pub const ADD_FILE: &str = "\u{e236}";
pub const FOLDER: &str = "\u{e256}";
pub const TRASH: &str = "\u{e4a6}";
pub const CLOSE: &str = "\u{e4f6}";
pub const CHECK: &str = "\u{e182}";
pub const WARNING: &str = "\u{e4e0}";
pub const ERROR: &str = "\u{e4e2}";
pub const INFO: &str = "\u{e2ce}";
pub const UNDO: &str = "\u{e08a}";
pub const REDO: &str = "\u{e08c}";
pub const AGAIN: &str = "\u{e036}";
pub const STOP: &str = "\u{e46e}";
pub const SETTINGS: &str = "\u{e434}";
pub const SEARCH: &str = "\u{e30c}";
pub const SAFE: &str = "\u{e40c}";
pub const HARMFUL: &str = "\u{e412}";
pub const DATA: &str = "\u{e1de}";
pub const TABLE: &str = "\u{e476}";
pub const MAP: &str = "\u{eaac}";
pub const EXPORT: &str = "\u{eaf0}";
pub const SUN: &str = "\u{e472}";
pub const MOON: &str = "\u{e330}";
pub const KEYBOARD: &str = "\u{e2d8}";
pub const EYE: &str = "\u{e220}";
pub const EYE_OFF: &str = "\u{e224}";
pub const DOWN: &str = "\u{e136}";
pub const RIGHT: &str = "\u{e13a}";
pub const UP: &str = "\u{e13c}";
pub const FILE: &str = "\u{e23a}";
pub const CLEAR: &str = "\u{e21e}";
pub const SAMPLE: &str = "\u{e79e}";
pub const MOVE: &str = "\u{e83c}";
pub const MENU: &str = "\u{e2f0}";
pub const PURIFY: &str = "\u{e6a2}";
pub const FRAME: &str = "\u{e1d6}";
pub const MORE: &str = "\u{e1fe}";
pub const HAND: &str = "\u{e298}";
pub const BOX: &str = "\u{e69a}";
pub const LASSO: &str = "\u{edc6}";
pub const SAVE: &str = "\u{e248}";
pub const LEFT: &str = "\u{e138}";
pub const CHART: &str = "\u{e154}";
pub const PLAY: &str = "\u{e3d0}";
pub const PAUSE: &str = "\u{e39e}";
pub const CHATS: &str = "\u{e17c}";
pub const TUNE: &str = "\u{e62c}";
pub const HISTORY: &str = "\u{e1a0}";
pub const MERGE: &str = "\u{e280}";
pub const COPY: &str = "\u{e1ca}";
pub const REFUSED: &str = "\u{e3de}";

#[cfg(test)]
mod tests {
    use skrifa::MetadataProvider as _;

    /// Text faces come first in the chain, so a private character of theirs would hide an icon.
    #[test]
    fn every_icon_is_in_phosphor_and_in_no_text_face() {
        let has = |font: &[u8], character: char| {
            skrifa::FontRef::new(font).expect("a font").charmap().map(character).is_some_and(|glyph| glyph.to_u32() > 0)
        };
        let source = include_str!("icons.rs");
        let codes: Vec<u32> = source
            .lines()
            .filter(|line| line.starts_with("pub const"))
            .filter_map(|line| line.split_once("\\u{")?.1.split_once('}').map(|(hex, _)| hex.to_owned()))
            .map(|hex| u32::from_str_radix(&hex, 16).expect("hexadecimal"))
            .collect();
        assert!(codes.len() > 20, "only {} icons found", codes.len());
        for icon in codes.into_iter().filter_map(char::from_u32) {
            assert!(has(include_bytes!("../../../assets/fonts/Phosphor.ttf"), icon), "{icon:?} is not in Phosphor");
            for (name, face) in [
                ("Inter", include_bytes!("../../../assets/fonts/Inter-Regular.ttf").as_slice()),
                ("Inter SemiBold", include_bytes!("../../../assets/fonts/Inter-SemiBold.ttf")),
                ("JetBrains Mono", include_bytes!("../../../assets/fonts/JetBrainsMono-Regular.ttf")),
            ] {
                assert!(!has(face, icon), "{name} has a character of its own at {icon:?}");
            }
        }
    }
}
