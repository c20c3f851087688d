//! The tokens as an egui style.

use egui::{Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Theme, vec2};

use super::{Palette, tokens};

/// The family of headings and figures that matter.
pub fn semibold() -> FontFamily {
    FontFamily::Name("semibold".into())
}

pub fn heading_font() -> FontId {
    FontId::new(tokens().sizes.heading, semibold())
}

pub fn title_font() -> FontId {
    FontId::new(tokens().sizes.title, semibold())
}

pub fn small_font() -> FontId {
    FontId::proportional(tokens().sizes.small)
}

pub fn mono_font() -> FontId {
    FontId::monospace(tokens().sizes.mono)
}

/// Gives the context the fonts and both themes.
pub fn apply(ctx: &egui::Context) {
    ctx.set_fonts(super::fonts::definitions());
    ctx.set_style_of(Theme::Dark, style(&tokens().dark, true));
    ctx.set_style_of(Theme::Light, style(&tokens().light, false));
}

fn style(palette: &Palette, dark: bool) -> Style {
    let sizes = &tokens().sizes;
    let radius = CornerRadius::same(tokens().radius);
    let mut style = Style {
        text_styles: [
            (TextStyle::Small, FontId::proportional(sizes.small)),
            (TextStyle::Body, FontId::proportional(sizes.body)),
            (TextStyle::Button, FontId::proportional(sizes.body)),
            (TextStyle::Heading, FontId::new(sizes.heading, semibold())),
            (TextStyle::Monospace, FontId::monospace(sizes.mono)),
        ]
        .into(),
        visuals: if dark { egui::Visuals::dark() } else { egui::Visuals::light() },
        animation_time: 0.1,
        ..Style::default()
    };

    let spacing = &mut style.spacing;
    spacing.item_spacing = egui::Vec2::splat(2.0 * tokens().space);
    spacing.button_padding = vec2(12.0, 5.0);
    spacing.interact_size = vec2(32.0, 28.0);
    spacing.menu_margin = Margin::same(8);
    spacing.window_margin = Margin::same(16);
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 10.0;
    spacing.combo_width = 120.0;
    spacing.slider_width = 140.0;
    spacing.tooltip_width = 360.0;
    spacing.scroll.bar_width = 8.0;

    let visuals = &mut style.visuals;
    visuals.override_text_color = None;
    visuals.weak_text_color = Some(*palette.muted);
    visuals.panel_fill = *palette.panel;
    visuals.window_fill = *palette.raised;
    visuals.window_stroke = Stroke::new(1.0, *palette.border);
    visuals.window_corner_radius = CornerRadius::same(10);
    visuals.menu_corner_radius = CornerRadius::same(8);
    visuals.window_shadow = shadow(dark, 24);
    visuals.popup_shadow = shadow(dark, 12);
    visuals.extreme_bg_color = *palette.sunken;
    visuals.text_edit_bg_color = Some(*palette.sunken);
    visuals.faint_bg_color = *palette.sunken;
    visuals.code_bg_color = *palette.sunken;
    visuals.hyperlink_color = *palette.accent;
    visuals.warn_fg_color = *palette.stale;
    visuals.error_fg_color = *palette.error;
    visuals.selection.bg_fill = *palette.selection;
    visuals.selection.stroke = Stroke::new(1.0, *palette.text);
    visuals.interact_cursor = None;

    let widgets = &mut visuals.widgets;
    for (state, fill, border, ink) in [
        (&mut widgets.noninteractive, palette.panel, palette.border, palette.text),
        (&mut widgets.inactive, palette.raised, palette.border, palette.text),
        (&mut widgets.hovered, palette.hover, palette.border_strong, palette.text),
        (&mut widgets.active, palette.hover, palette.accent, palette.text),
        (&mut widgets.open, palette.hover, palette.border_strong, palette.text),
    ] {
        state.bg_fill = *fill;
        state.weak_bg_fill = *fill;
        state.bg_stroke = Stroke::new(1.0, *border);
        state.fg_stroke = Stroke::new(1.0, *ink);
        state.corner_radius = radius;
        state.expansion = 0.0;
    }
    // Slider rails and check boxes need to be seen on cards.
    widgets.inactive.bg_fill = *palette.border;
    style
}

fn shadow(dark: bool, blur: u8) -> Shadow {
    Shadow { offset: [0, 4], blur, spread: 0, color: Color32::from_black_alpha(if dark { 110 } else { 40 }) }
}
