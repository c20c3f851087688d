//! The tokens: named colours for dark and light, type sizes, the spacing unit.

use std::sync::LazyLock;

use egui::Color32;
use serde::{Deserialize, Deserializer, de::Error as _};

/// A colour written `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub Color32);

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Color32::from_hex(&text).map(Self).map_err(|_| D::Error::custom(format!("{text} is not a #rrggbb colour")))
    }
}

impl std::ops::Deref for Colour {
    type Target = Color32;

    fn deref(&self) -> &Color32 {
        &self.0
    }
}

impl From<Colour> for Color32 {
    fn from(colour: Colour) -> Self {
        colour.0
    }
}

/// The named colours of one theme.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Palette {
    pub background: Colour,
    pub panel: Colour,
    pub raised: Colour,
    pub sunken: Colour,
    pub hover: Colour,
    pub border: Colour,
    pub border_strong: Colour,
    pub text: Colour,
    pub muted: Colour,
    pub accent: Colour,
    pub accent_hover: Colour,
    pub on_accent: Colour,
    pub selection: Colour,
    pub pull: Colour,
    pub push: Colour,
    pub by_hand: Colour,
    pub stale: Colour,
    pub stale_soft: Colour,
    pub error: Colour,
    pub error_soft: Colour,
    pub good: Colour,
    pub grid: Colour,
    /// Covers a hidden text.
    pub cover: Colour,
    /// From least to most suspicious.
    pub score: [Colour; 5],
}

impl Palette {
    /// The colour of a score at `unit` in [0, 1], 1 the most suspicious.
    pub fn score_at(&self, unit: f32) -> Color32 {
        let place = unit.clamp(0.0, 1.0) * (self.score.len() - 1) as f32;
        let low = (place.floor() as usize).min(self.score.len() - 2);
        let (from, to) = (*self.score[low], *self.score[low + 1]);
        from.lerp_to_gamma(to, place - low as f32)
    }
}

/// Type sizes in points.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeSizes {
    pub body: f32,
    pub small: f32,
    pub heading: f32,
    pub title: f32,
    pub mono: f32,
}

/// The whole token file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    pub dark: Palette,
    pub light: Palette,
    #[serde(rename = "type")]
    pub sizes: TypeSizes,
    /// The grid that spacing follows, in points.
    pub space: f32,
    pub radius: u8,
}

static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    // The file is part of the binary, and a test reads it.
    serde_json::from_str(include_str!("../../../assets/theme/tokens.json")).expect("the embedded theme is valid")
});

/// The tokens of the window.
pub fn tokens() -> &'static Tokens {
    &TOKENS
}

/// The colours of the theme in use.
pub fn palette(style: &egui::Style) -> &'static Palette {
    if style.visuals.dark_mode { &TOKENS.dark } else { &TOKENS.light }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast as WCAG 2 defines them.
    fn contrast(a: Color32, b: Color32) -> f64 {
        let luminance = |c: Color32| {
            let channel = |v: u8| {
                let v = f64::from(v) / 255.0;
                if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(c.r()) + 0.7152 * channel(c.g()) + 0.0722 * channel(c.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_has_a_contrast_of_at_least_four_and_a_half() {
        for (name, theme) in [("dark", &tokens().dark), ("light", &tokens().light)] {
            let inks = [
                ("text", theme.text),
                ("muted", theme.muted),
                ("accent", theme.accent),
                ("pull", theme.pull),
                ("push", theme.push),
                ("by_hand", theme.by_hand),
                ("stale", theme.stale),
                ("error", theme.error),
                ("good", theme.good),
            ];
            let grounds = [
                ("background", theme.background),
                ("panel", theme.panel),
                ("raised", theme.raised),
                ("sunken", theme.sunken),
            ];
            for (ink_name, ink) in inks {
                for (ground_name, ground) in grounds {
                    let found = contrast(*ink, *ground);
                    assert!(found >= 4.5, "{name}: {ink_name} on {ground_name} has {found:.2}");
                }
            }
            for (ink_name, ink, ground) in [
                ("text on selection", theme.text, theme.selection),
                ("text on hover", theme.text, theme.hover),
                ("muted on selection", theme.muted, theme.selection),
                ("on_accent", theme.on_accent, theme.accent),
                ("on_accent hovered", theme.on_accent, theme.accent_hover),
                ("error on error_soft", theme.error, theme.error_soft),
                ("text on error_soft", theme.text, theme.error_soft),
                ("stale on stale_soft", theme.stale, theme.stale_soft),
                ("text on stale_soft", theme.text, theme.stale_soft),
            ] {
                let found = contrast(*ink, *ground);
                assert!(found >= 4.5, "{name}: {ink_name} has {found:.2}");
            }
        }
    }

    #[test]
    fn the_score_scale_meets_its_ends() {
        let theme = &tokens().dark;
        assert_eq!(theme.score_at(0.0), *theme.score[0]);
        assert_eq!(theme.score_at(1.0), *theme.score[4]);
        assert_eq!(theme.score_at(f32::NAN.max(2.0)), *theme.score[4]);
    }
}
