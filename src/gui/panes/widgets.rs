//! Small widgets that several panes share.

use egui::{
    Align2, Button, Color32, Frame, Margin, Rect, Response, RichText, Sense, Stroke, StrokeKind, Ui, UiBuilder, Vec2,
    pos2, vec2,
};

use crate::gui::theme::{self, palette, tokens};

/// The one button of a pane that leads on. Disabled, its tooltip says why.
pub fn primary(ui: &mut Ui, icon: &str, text: &str, width: f32, enabled: &Result<(), String>, help: &str) -> Response {
    let colours = palette(ui.style());
    let ok = enabled.is_ok();
    let response = ui
        .scope(|ui| {
            let widgets = &mut ui.visuals_mut().widgets;
            widgets.inactive.weak_bg_fill = *colours.accent;
            widgets.hovered.weak_bg_fill = *colours.accent_hover;
            widgets.active.weak_bg_fill = *colours.accent_hover;
            for state in [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active] {
                state.bg_stroke = Stroke::NONE;
                state.fg_stroke.color = *colours.on_accent;
            }
            let label = if text.is_empty() { icon.to_owned() } else { format!("{icon}  {text}") };
            let ink = if ok { *colours.on_accent } else { *colours.muted };
            let mut button = Button::new(RichText::new(label).family(theme::semibold()).color(ink));
            button = button.min_size(vec2(width, 36.0));
            if !ok {
                button = button.fill(*colours.hover).stroke(Stroke::new(1.0, *colours.border));
            }
            ui.add_enabled(ok, button)
        })
        .inner;
    let name = if text.is_empty() { help } else { text };
    match enabled {
        Ok(()) => response.on_hover_text(help).accessible_name(name),
        Err(reason) => response.on_disabled_hover_text(reason).accessible_name(name),
    }
}

/// A plain button with an icon.
pub fn button(ui: &mut Ui, icon: &str, text: &str, help: &str) -> Response {
    ui.button(format!("{icon}  {text}")).on_hover_text(help).accessible_name(text)
}

/// A plain button that can be disabled with a reason.
pub fn button_if(ui: &mut Ui, icon: &str, text: &str, help: &str, enabled: &Result<(), String>) -> Response {
    let response = ui.add_enabled(enabled.is_ok(), Button::new(format!("{icon}  {text}")));
    let response = match enabled {
        Ok(()) => response.on_hover_text(help),
        Err(reason) => response.on_disabled_hover_text(reason),
    };
    response.accessible_name(text)
}

/// A button that is only an icon; its name is for tooltips and screen readers.
pub fn icon_button(ui: &mut Ui, icon: &str, name: &str) -> Response {
    ui.add(Button::new(icon).frame_when_inactive(false).min_size(vec2(28.0, 28.0)))
        .on_hover_text(name)
        .accessible_name(name)
}

/// A toggle in a row of filters.
pub fn chip(ui: &mut Ui, text: &str, on: bool, help: &str) -> Response {
    let colours = palette(ui.style());
    let ink = if on { *colours.text } else { *colours.muted };
    let mut button = Button::new(RichText::new(text).size(tokens().sizes.small).color(ink))
        .corner_radius(12)
        .min_size(vec2(0.0, 24.0));
    button = if on {
        button.fill(*colours.selection).stroke(Stroke::new(1.0, *colours.accent))
    } else {
        button.fill(Color32::TRANSPARENT).stroke(Stroke::new(1.0, *colours.border))
    };
    ui.add(button.selected(on)).on_hover_text(help).accessible_name(text)
}

/// Text of lesser weight.
pub fn muted(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = *palette(ui.style()).muted;
    ui.label(RichText::new(text).size(tokens().sizes.small).color(colour))
}

/// Text of lesser weight on one line, cut where the room ends; the tooltip has it all.
pub fn muted_line(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = *palette(ui.style()).muted;
    ui.add(egui::Label::new(RichText::new(text).size(tokens().sizes.small).color(colour)).truncate())
}

pub fn heading(ui: &mut Ui, text: &str) -> Response {
    ui.label(RichText::new(text).font(theme::heading_font()))
}

/// The small title over a group.
pub fn caption(ui: &mut Ui, text: &str) -> Response {
    let colour = *palette(ui.style()).muted;
    ui.label(RichText::new(text).font(egui::FontId::new(tokens().sizes.small, theme::semibold())).color(colour))
}

/// A raised surface.
pub fn card<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let colours = palette(ui.style());
    Frame::new()
        .fill(*colours.raised)
        .stroke(Stroke::new(1.0, *colours.border))
        .corner_radius(10)
        .inner_margin(Margin::same(16))
        .show(ui, |ui| {
            ui.set_min_width(ui.available_width());
            add(ui)
        })
        .inner
}

/// How a banner is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Error,
    Stale,
}

/// A strip that says what is the matter, and holds the way out.
pub fn banner<R>(ui: &mut Ui, tone: Tone, text: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    let colours = palette(ui.style());
    let (ground, ink, icon) = match tone {
        Tone::Error => (*colours.error_soft, *colours.error, theme::icons::ERROR),
        Tone::Stale => (*colours.stale_soft, *colours.stale, theme::icons::WARNING),
    };
    Frame::new()
        .fill(ground)
        .corner_radius(8)
        .inner_margin(Margin::symmetric(12, 8))
        .show(ui, |ui| {
            ui.set_min_width(ui.available_width());
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new(icon).color(ink).size(16.0));
                ui.label(text);
                add(ui)
            })
            .inner
        })
        .inner
}

/// A strip that only says what is the matter; its text wraps beside the icon.
pub fn notice(ui: &mut Ui, tone: Tone, text: &str) {
    let colours = palette(ui.style());
    let (ground, ink, icon) = match tone {
        Tone::Error => (*colours.error_soft, *colours.error, theme::icons::ERROR),
        Tone::Stale => (*colours.stale_soft, *colours.stale, theme::icons::WARNING),
    };
    Frame::new().fill(ground).corner_radius(8).inner_margin(Margin::symmetric(12, 8)).show(ui, |ui| {
        ui.set_min_width(ui.available_width());
        ui.horizontal_top(|ui| {
            ui.label(RichText::new(icon).color(ink).size(16.0));
            ui.add(egui::Label::new(text).wrap());
        });
    });
}

/// A progress bar with its words below: what, how far, rate, time left.
pub fn progress(ui: &mut Ui, snapshot: &crate::jobs::Snapshot, in_bytes: bool) {
    let colours = palette(ui.style());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 6.0), Sense::hover());
    ui.painter().rect_filled(rect, 3.0, *colours.border);
    let fraction = snapshot.fraction();
    let filled = match fraction {
        Some(fraction) => Rect::from_min_size(rect.min, vec2(rect.width() * fraction, rect.height())),
        // Nothing is known: a bar that wanders slowly.
        None => {
            let width = rect.width() * 0.25;
            let at = ((snapshot.stage_seconds * 0.4).fract() as f32) * (rect.width() - width);
            Rect::from_min_size(rect.min + vec2(at, 0.0), vec2(width, rect.height()))
        }
    };
    ui.painter().rect_filled(filled, 3.0, *colours.accent);
    let words = progress_words(snapshot, in_bytes);
    response.widget_info(|| {
        let mut info = egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, &words);
        info.value = fraction.map(f64::from);
        info
    });
    muted_line(ui, words);
}

/// `reading rows · 40 % · 120,000 of 300,000 · 61,000 a second · 3 s left`.
pub fn progress_words(snapshot: &crate::jobs::Snapshot, in_bytes: bool) -> String {
    use crate::gui::words;
    let amount = |value: u64| if in_bytes { words::bytes(value) } else { words::count(value) };
    let mut parts = vec![if snapshot.stage.is_empty() { "starting".to_owned() } else { snapshot.stage.clone() }];
    if let Some(fraction) = snapshot.fraction() {
        parts.push(format!("{:.0} %", fraction * 100.0));
    }
    match snapshot.total {
        Some(total) if total > 0 => parts.push(format!("{} of {}", amount(snapshot.done), amount(total))),
        _ if snapshot.done > 0 => parts.push(amount(snapshot.done)),
        _ => {}
    }
    let done = snapshot.done.saturating_sub(snapshot.from);
    if snapshot.stage_seconds > 0.5 && done as f64 >= snapshot.stage_seconds {
        parts.push(format!("{} a second", amount((done as f64 / snapshot.stage_seconds) as u64)));
    }
    if let Some(left) = snapshot.seconds_left() {
        parts.push(format!("{} left", words::duration(left)));
    }
    parts.join(" · ")
}

/// A figure with its name below.
pub fn stat(ui: &mut Ui, value: &str, name: &str, help: &str) {
    let colours = palette(ui.style());
    let response = ui
        .vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.label(RichText::new(value).font(theme::heading_font()));
            ui.label(RichText::new(name).size(tokens().sizes.small).color(*colours.muted));
        })
        .response;
    response.on_hover_text(help);
}

/// The histogram of lengths: bars over powers of two.
pub fn length_bars(ui: &mut Ui, counts: &[u64], size: Vec2) -> Response {
    let colours = palette(ui.style());
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let shown = counts.get(first..=last).unwrap_or_default();
    let most = shown.iter().copied().max().unwrap_or(0).max(1) as f32;
    let step = rect.width() / shown.len().max(4) as f32;
    ui.painter().hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, *colours.border));
    for (place, count) in shown.iter().enumerate() {
        let height = if *count == 0 { 0.0 } else { (*count as f32 / most * (rect.height() - 2.0)).max(2.0) };
        let left = rect.left() + step * place as f32;
        let bar = Rect::from_min_max(pos2(left + 1.0, rect.bottom() - height), pos2(left + step - 1.0, rect.bottom()));
        ui.painter().rect_filled(bar, 1.0, colours.muted.gamma_multiply(0.6));
    }
    let from = if first == 0 { 0 } else { 1u64 << first.min(62) };
    let to = 1u64 << (last + 1).min(62);
    let text = format!("Lengths from {from} to {to} tokens; each bar doubles the length.");
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &text));
    response.on_hover_text(text)
}

/// A mark for the fate of a row: shape first, colour second.
pub fn fate_mark(ui: &Ui, centre: egui::Pos2, kept: bool, by_hand: bool) {
    let colours = palette(ui.style());
    let painter = ui.painter();
    if kept {
        painter.circle_filled(centre, 3.5, *colours.good);
    } else {
        let stroke = Stroke::new(1.8, *colours.push);
        painter.line_segment([centre + vec2(-3.0, -3.0), centre + vec2(3.0, 3.0)], stroke);
        painter.line_segment([centre + vec2(-3.0, 3.0), centre + vec2(3.0, -3.0)], stroke);
    }
    if by_hand {
        painter.circle_stroke(centre, 7.0, Stroke::new(1.5, *colours.by_hand));
    }
}

/// An empty pane: what to do next, in the middle.
pub fn empty<R>(ui: &mut Ui, icon: &str, title: &str, text: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    let colours = palette(ui.style());
    let room = ui.available_rect_before_wrap();
    let width = room.width().min(440.0);
    let top = room.top() + (room.height() * 0.5 - 120.0).max(8.0);
    let rect = Rect::from_min_max(
        pos2(room.center().x - width / 2.0, top),
        pos2(room.center().x + width / 2.0, room.bottom()),
    );
    ui.scope_builder(UiBuilder::new().max_rect(rect).layout(egui::Layout::top_down(egui::Align::Center)), |ui| {
        ui.label(RichText::new(icon).size(36.0).color(*colours.muted));
        ui.label(RichText::new(title).font(theme::title_font()));
        ui.label(RichText::new(text).color(*colours.muted));
        ui.add_space(8.0);
        add(ui)
    })
    .inner
}

/// Paints a bar from the middle: left for negative, right for positive values of `unit` in [-1, 1].
pub fn force_bar(ui: &mut Ui, unit: f32, colour: Color32, size: Vec2) {
    let colours = palette(ui.style());
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let bar = Rect::from_center_size(rect.center(), vec2(rect.width(), 8.0));
    ui.painter().rect_filled(bar, 2.0, *colours.sunken);
    ui.painter().rect_stroke(bar, 2.0, Stroke::new(1.0, *colours.border), StrokeKind::Inside);
    let middle = bar.center().x;
    let end = middle + unit.clamp(-1.0, 1.0) * bar.width() / 2.0;
    ui.painter().rect_filled(Rect::from_x_y_ranges(middle.min(end)..=middle.max(end), bar.y_range()), 2.0, colour);
    ui.painter().vline(middle, rect.y_range(), Stroke::new(1.0, *colours.border_strong));
}

/// Paints text cut at the right edge, without becoming a widget.
pub fn paint_text(ui: &Ui, rect: Rect, align: Align2, text: &str, font: egui::FontId, colour: Color32, strike: bool) {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, colour);
    job.wrap.max_width = rect.width();
    job.wrap.max_rows = 1;
    job.wrap.break_anywhere = true;
    if strike {
        for section in &mut job.sections {
            section.format.strikethrough = Stroke::new(1.0, colour);
        }
    }
    let galley = ui.painter().layout_job(job);
    let at = align.align_size_within_rect(galley.size(), rect).min;
    ui.painter().with_clip_rect(rect.intersect(ui.clip_rect())).galley(at, galley, colour);
}
