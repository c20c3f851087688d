//! The fonts in the binary, and those of the system for scripts these lack.
//!
//! Constraint: no frame reads a font file. A character without a glyph is asked for by a background thread, and the
//! text is laid out again when a font was found.

use std::collections::BTreeSet;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use egui::epaint::text::{FallbackRequest, FontInsert, FontPriority, FontProvider, InsertFontFamily};
use egui::{FontData, FontDefinitions, FontFamily};
use parking_lot::Mutex;
use skrifa::MetadataProvider as _;

/// The embedded faces.
pub fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    for (name, bytes) in [
        ("Inter", include_bytes!("../../../assets/fonts/Inter-Regular.ttf").as_slice()),
        ("Inter SemiBold", include_bytes!("../../../assets/fonts/Inter-SemiBold.ttf")),
        ("JetBrains Mono", include_bytes!("../../../assets/fonts/JetBrainsMono-Regular.ttf")),
    ] {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    }
    let mut icons = FontData::from_static(include_bytes!("../../../assets/fonts/Phosphor.ttf"));
    // The glyphs fill a 1 em box; this centres them on the x-height of Inter.
    icons.tweak.y_offset_factor = 0.0;
    icons.tweak.scale = 1.1;
    fonts.font_data.insert("Phosphor".to_owned(), Arc::new(icons));
    // egui's own faces stay as fallbacks for symbols and emoji.
    let symbols = ["egui-icons", "NotoEmoji-Regular", "emoji-icon-font"];
    for (family, first) in [
        (FontFamily::Proportional, "Inter"),
        (FontFamily::Monospace, "JetBrains Mono"),
        (super::semibold(), "Inter SemiBold"),
    ] {
        let mut chain = vec![first.to_owned(), "Phosphor".to_owned()];
        if first != "Inter" {
            chain.push("Inter".to_owned());
        }
        chain.extend(symbols.iter().filter(|name| fonts.font_data.contains_key(**name)).map(|name| (*name).to_owned()));
        fonts.families.insert(family, chain);
    }
    fonts
}

/// Fonts of the system, found on demand.
pub struct SystemFonts {
    state: Mutex<Found>,
    asked: Sender<char>,
}

#[derive(Default)]
struct Found {
    loaded: Vec<LoadedFace>,
    /// Characters that no font of this system has.
    missing: BTreeSet<char>,
}

struct LoadedFace {
    name: String,
    bytes: Arc<Vec<u8>>,
    index: u32,
}

impl SystemFonts {
    /// Starts the background search and installs it in the context.
    pub fn install(ctx: &egui::Context) -> Arc<Self> {
        let (asked, requests) = unbounded();
        let fonts = Arc::new(Self { state: Mutex::default(), asked });
        ctx.add_font_provider(fonts.clone());
        let (weak, ctx) = (Arc::downgrade(&fonts), ctx.clone());
        let search = move || {
            let mut database = fontdb::Database::new();
            database.load_system_fonts();
            while let Some(wanted) = next_batch(&requests) {
                let Some(fonts) = weak.upgrade() else { return };
                if fonts.find(&database, &wanted) {
                    ctx.set_font_providers(vec![fonts]);
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("system fonts".to_owned()).spawn(search) {
            tracing::warn!("system fonts are not available: {error}");
        }
        fonts
    }

    /// The scripts of the characters that no font has, in words.
    pub fn missing_scripts(&self) -> Vec<&'static str> {
        let mut scripts: Vec<_> = self.state.lock().missing.iter().map(|c| script(*c)).collect();
        scripts.dedup();
        scripts.sort_unstable();
        scripts.dedup();
        scripts
    }

    /// Loads a face for every wanted character that has one; true when something was loaded.
    fn find(&self, database: &fontdb::Database, wanted: &BTreeSet<char>) -> bool {
        let mut any = false;
        for &character in wanted {
            if self.state.lock().loaded.iter().any(|face| face.has(character)) {
                any = true;
                continue;
            }
            let face = best_face(database, character);
            let mut state = self.state.lock();
            match face {
                Some(face) => {
                    state.loaded.push(face);
                    any = true;
                }
                None => {
                    state.missing.insert(character);
                }
            }
        }
        any
    }
}

impl LoadedFace {
    fn has(&self, character: char) -> bool {
        covers(&self.bytes, self.index, character)
    }
}

impl FontProvider for SystemFonts {
    fn font_for(&self, request: &FallbackRequest<'_>) -> Option<FontInsert> {
        let character = request.cluster.chars().next()?;
        let state = self.state.lock();
        if state.missing.contains(&character) {
            return None;
        }
        let Some(face) = state.loaded.iter().find(|face| face.has(character)) else {
            // The thread ends with the window only.
            let _ = self.asked.send(character);
            return None;
        };
        Some(FontInsert {
            name: face.name.clone(),
            data: FontData::from_blob(face.bytes.clone(), face.index),
            families: vec![InsertFontFamily { family: request.family.clone(), priority: FontPriority::Lowest }],
        })
    }
}

/// Waits for a request and takes what else has arrived; `None` when nobody can ask any more.
fn next_batch(requests: &Receiver<char>) -> Option<BTreeSet<char>> {
    let first = requests.recv().ok()?;
    Some(std::iter::once(first).chain(requests.try_iter()).collect())
}

/// The upright regular face that has the character, sans before serif.
fn best_face(database: &fontdb::Database, character: char) -> Option<LoadedFace> {
    let mut faces: Vec<_> = database.faces().collect();
    faces.sort_by_key(|face| {
        let name = face.families.first().map_or("", |(name, _)| name.as_str());
        (
            face.style != fontdb::Style::Normal,
            face.weight.0.abs_diff(400),
            face.monospaced,
            !name.contains("Sans"),
            name.to_owned(),
        )
    });
    faces.into_iter().find_map(|face| {
        database.with_face_data(face.id, |bytes, index| {
            covers(bytes, index, character).then(|| LoadedFace {
                name: format!("system {}", face.post_script_name),
                bytes: Arc::new(bytes.to_vec()),
                index,
            })
        })?
    })
}

/// True when the face has an outline for the character.
fn covers(bytes: &[u8], index: u32, character: char) -> bool {
    skrifa::FontRef::from_index(bytes, index).is_ok_and(|font| {
        font.outline_glyphs().format().is_some()
            && font.charmap().map(character).is_some_and(|glyph| glyph.to_u32() > 0)
    })
}

/// The name of a character's script, as far as a message needs it.
fn script(character: char) -> &'static str {
    match u32::from(character) {
        0x0530..=0x058f => "Armenian",
        0x0590..=0x05ff => "Hebrew",
        0x0600..=0x06ff | 0x0750..=0x077f | 0x08a0..=0x08ff | 0xfb50..=0xfdff | 0xfe70..=0xfeff => "Arabic",
        0x0900..=0x097f => "Devanagari",
        0x0980..=0x09ff => "Bengali",
        0x0a00..=0x0a7f => "Gurmukhi",
        0x0a80..=0x0aff => "Gujarati",
        0x0b80..=0x0bff => "Tamil",
        0x0c00..=0x0c7f => "Telugu",
        0x0c80..=0x0cff => "Kannada",
        0x0d00..=0x0d7f => "Malayalam",
        0x0e00..=0x0e7f => "Thai",
        0x10a0..=0x10ff => "Georgian",
        0x1100..=0x11ff | 0xac00..=0xd7af => "Korean",
        0x1200..=0x139f => "Ethiopic",
        0x1780..=0x17ff => "Khmer",
        0x3040..=0x30ff => "Japanese",
        0x2e80..=0x2fdf | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff => "Chinese",
        0x2190..=0x2bff | 0x1f000..=0x1faff => "symbols",
        _ => "other scripts",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_text_face_have_equal_width() {
        for bytes in [
            include_bytes!("../../../assets/fonts/Inter-Regular.ttf").as_slice(),
            include_bytes!("../../../assets/fonts/Inter-SemiBold.ttf"),
        ] {
            let font = skrifa::FontRef::new(bytes).expect("an embedded font");
            let metrics =
                font.glyph_metrics(skrifa::instance::Size::unscaled(), skrifa::instance::LocationRef::default());
            let widths: BTreeSet<u32> = ('0'..='9')
                .map(|figure| font.charmap().map(figure).expect("a figure"))
                .map(|glyph| metrics.advance_width(glyph).expect("a width") as u32)
                .collect();
            assert_eq!(widths.len(), 1, "{widths:?}");
        }
    }

    #[test]
    fn a_character_that_no_font_has_is_told_by_its_script() {
        let (asked, _requests) = unbounded();
        let fonts = SystemFonts { state: Mutex::default(), asked };
        let found = fonts.find(&fontdb::Database::new(), &BTreeSet::from(['न', '漢', '字']));
        assert!(!found);
        assert_eq!(fonts.missing_scripts(), ["Chinese", "Devanagari"]);
    }
}
