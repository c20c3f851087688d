//! What table, evidence, distribution and map share about one row: its colour, its words, its speakers, its cover.
//!
//! Constraint: nothing here looks at more than the rows it is given.

use egui::text::{LayoutJob, TextFormat};
use egui::{Color32, FontId, Rect, Stroke, Ui};

use crate::data::Speaker;
use crate::gui::session::{Fate, Session};
use crate::gui::text_cache::Line;
use crate::gui::theme::{palette, tokens};

/// Where the cut lies on the colour scale, in [0, 1].
pub fn cut_unit(session: &Session) -> f32 {
    let Some(solved) = &session.solved else { return 0.5 };
    solved.ranking.histogram.unit(solved.ranking.cut_key(session.counts.machine_keep))
}

/// Bends the scale so that its middle lies at the cut: one half of the colours for each side.
pub fn bent(unit: f32, cut: f32) -> f32 {
    if unit <= cut { 0.5 * unit / cut.max(1e-6) } else { 0.5 + 0.5 * (unit - cut) / (1.0 - cut).max(1e-6) }
}

/// The row's number as findings and `weights.csv` give it: its 0-based record in the file.
pub fn number(session: &Session, row: u32) -> u64 {
    let numbers = session.numbers.as_ref();
    numbers.and_then(|numbers| numbers.get(row as usize)).copied().unwrap_or(u64::from(row))
}

/// What becomes of a row and who says so.
pub fn fate_words(fate: Fate) -> &'static str {
    match (fate.known, fate.kept, fate.by_hand) {
        (_, true, true) => "kept by hand",
        (_, false, true) => "dropped by hand",
        (false, ..) => "not purified yet",
        (true, true, false) => "kept",
        (true, false, false) => "dropped",
    }
}

/// What a pull means, against the average row.
pub fn pull_meaning(pull: f64) -> &'static str {
    if pull > 0.0 {
        "Farther from the safe reference than the average row."
    } else {
        "Closer to the safe reference than the average row."
    }
}

/// What a push means, against the average row.
pub fn push_meaning(push: f64) -> &'static str {
    if push < 0.0 {
        "Closer to the harmful reference than the average row."
    } else {
        "Farther from the harmful reference than the average row."
    }
}

pub fn speaker_name(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::System => "System",
        Speaker::User => "User",
        Speaker::Assistant => "Assistant",
        Speaker::Tool => "Tool",
        Speaker::None => "Text",
    }
}

/// A row's line: an arrow leads to an answer, a small word names any other change of speaker.
pub fn line_job(line: &Line, font: FontId, ink: Color32, mark: Color32, strike: bool) -> LayoutJob {
    // The line is fainter than the letters: the text stays readable.
    let stroke = if strike { Stroke::new(1.0, ink.gamma_multiply(0.6)) } else { Stroke::NONE };
    let text = TextFormat { font_id: font.clone(), color: ink, strikethrough: stroke, ..TextFormat::default() };
    let marks = TextFormat { font_id: FontId::proportional(tokens().sizes.small), color: mark, ..text.clone() };
    let marks = TextFormat { strikethrough: Stroke::NONE, ..marks };
    let mut job = LayoutJob::default();
    for (place, (speaker, part)) in line.0.iter().enumerate() {
        let name = match speaker {
            Speaker::Assistant => "\u{2192} ",
            Speaker::System => "system ",
            Speaker::Tool => "tool ",
            Speaker::User if place > 0 => "user ",
            Speaker::User | Speaker::None => "",
        };
        let gap = if place > 0 { 8.0 } else { 0.0 };
        if name.is_empty() {
            job.append(part, gap, text.clone());
        } else {
            job.append(name, gap, marks.clone());
            job.append(part, 0.0, text.clone());
        }
    }
    job.wrap.max_rows = 1;
    job.wrap.break_anywhere = true;
    job
}

/// Paints one cut line of text into `rect`, vertically centred.
pub fn paint_job(ui: &Ui, rect: Rect, mut job: LayoutJob) {
    job.wrap.max_width = rect.width();
    let galley = ui.painter().layout_job(job);
    let at = egui::Align2::LEFT_CENTER.align_size_within_rect(galley.size(), rect).min;
    ui.painter().with_clip_rect(rect.intersect(ui.clip_rect())).galley(at, galley, Color32::PLACEHOLDER);
}

/// A bar where a text is hidden or not there yet.
pub fn cover(ui: &Ui, rect: Rect) {
    ui.painter().rect_filled(rect, 4.0, *palette(ui.style()).cover);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_is_the_middle_of_the_bent_scale() {
        for cut in [0.0, 0.3, 1.0] {
            assert!((0.0..=1.0).contains(&bent(0.0, cut)) && (0.0..=1.0).contains(&bent(1.0, cut)));
        }
        assert_eq!([bent(0.0, 0.8), bent(0.8, 0.8), bent(1.0, 0.8)], [0.0, 0.5, 1.0]);
        assert!(bent(0.81, 0.8) > 0.5 && bent(0.79, 0.8) < 0.5);
    }

    #[test]
    fn a_line_tells_answers_from_questions() {
        let line = Line(vec![(Speaker::User, "why".to_owned()), (Speaker::Assistant, "because".to_owned())]);
        let job = line_job(&line, FontId::default(), Color32::WHITE, Color32::GRAY, true);
        assert_eq!(job.text, "why\u{2192} because");
        assert_eq!(job.sections[1].format.strikethrough, Stroke::NONE, "marks are not struck");
        assert_ne!(job.sections[2].format.strikethrough, Stroke::NONE);
    }
}
