//! What a look at every text found, on the card of its file: near-duplicates, languages, rows shared with the custom set.
//!
//! Constraint: lists are bounded, and closed until the user opens them.

use egui::{CollapsingHeader, Ui};

use super::data_file::{Note, sentence};
use super::{Cx, widgets};
use crate::data::Severity;
use crate::data::analysis::{Analysis, Leakage, Overlap};
use crate::gui::action::Action;
use crate::gui::checks::Look;
use crate::gui::roles::{Role, RoleFile};
use crate::gui::theme::icons;
use crate::gui::words;

/// Groups and pairs listed at most.
const MOST_LISTED: usize = 20;
/// Rows of a group that are named.
const MOST_ROWS: usize = 8;
/// Languages that are named.
const MOST_LANGUAGES: usize = 4;

/// The notes for the list of findings.
pub fn notes(cx: &Cx<'_>, file: &RoleFile) -> Vec<Note> {
    let mut notes = Vec::new();
    if let Some(leakage) = leakage(cx, file) {
        notes.extend(shared(leakage));
    }
    if let Some(Ok(analysis)) = cx.app.session().checks.set(file.id) {
        notes.extend(near_duplicates(analysis));
    }
    notes
}

fn leakage<'a>(cx: &Cx<'a>, file: &RoleFile) -> Option<&'a Leakage> {
    let session = cx.app.session();
    let found = session.checks.overlap(session.custom()?.id, file.id)?;
    found.as_ref().ok().map(std::convert::AsRef::as_ref)
}

fn shared(leakage: &Leakage) -> Vec<Note> {
    let ways = [
        (Some(&leakage.exact), Severity::Warning, "stands here word for word", "stand here word for word"),
        (
            leakage.near.as_ref(),
            Severity::Warning,
            "is nearly the same as a row here",
            "are nearly the same as rows here",
        ),
        (leakage.prompt.as_ref(), Severity::Info, "has the prompt of a row here", "have the prompts of rows here"),
    ];
    let found = ways.into_iter().filter_map(|(overlap, severity, one, many)| {
        let overlap = overlap.filter(|overlap| overlap.custom_rows > 0)?;
        let text = match overlap.custom_rows {
            1 => format!("1 custom row {one}."),
            rows => format!("{} custom rows {many}.", words::count(rows)),
        };
        Some(Note { severity, text, detail: format!("{}.", both_sides(overlap)) })
    });
    let mut notes: Vec<Note> = found.collect();
    // Said once, after what it is about.
    if let Some(last) = notes.iter_mut().rfind(|note| note.severity == Severity::Warning) {
        last.detail.push_str(" A reference should not hold what it judges: take them out of it.");
    }
    notes
}

/// `Custom rows 3, 17 · rows 1, 5 here`.
fn both_sides(overlap: &Overlap) -> String {
    let list = |row: fn(&crate::data::analysis::RowPair) -> u64| {
        let mut rows: Vec<u64> = overlap.pairs.iter().map(row).take(5).collect();
        rows.dedup();
        let shown: Vec<String> = rows.iter().map(|row| words::count(*row)).collect();
        let more = if overlap.custom_rows > 5 { ", …" } else { "" };
        format!("{} {}{more}", if shown.len() == 1 { "row" } else { "rows" }, shown.join(", "))
    };
    format!("Custom {} like {} here", list(|pair| pair.custom), list(|pair| pair.reference))
}

fn near_duplicates(analysis: &Analysis) -> Option<Note> {
    let near = &analysis.near;
    let largest = near.listed.first()?.size;
    // What equal content says already is said by the note on repeated rows.
    if near.rows == analysis.exact.rows && near.groups == analysis.exact.groups {
        return None;
    }
    let text = match near.groups {
        1 => format!("1 group of equal or nearly equal rows, {} in all.", words::count(near.rows)),
        groups => format!(
            "{} groups of equal or nearly equal rows, {} rows in all.",
            words::count(groups),
            words::count(near.rows)
        ),
    };
    let detail = format!(
        "The largest has {}. Keeping one of each would leave out {}.",
        words::rows(largest),
        words::rows(near.surplus)
    );
    Some(Note { severity: Severity::Info, text, detail })
}

/// The lists behind the notes, what goes on, and the button that asks for it.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>, file: &RoleFile) {
    let app = cx.app;
    let checks = &app.session().checks;
    if let Some(leakage) = leakage(cx, file) {
        pairs(ui, file, leakage);
    }
    match checks.set(file.id) {
        Some(Ok(analysis)) => {
            groups(ui, file, analysis);
            widgets::muted(ui, languages(analysis));
        }
        Some(Err(error)) => failed(ui, cx, file, error),
        None => {}
    }
    let custom = app.session().custom().filter(|custom| file.role != Role::Custom && custom.is_ready());
    let overlap = custom.and_then(|custom| checks.overlap(custom.id, file.id));
    if let Some(Err(error)) = overlap {
        failed(ui, cx, file, error);
    }
    if let Some((look, snapshot)) = checks.running().filter(|(look, _)| look.file() == file.id) {
        widgets::caption(
            ui,
            match look {
                Look::Into(_) => "Looking for near-duplicates and languages…",
                Look::Between { .. } => "Comparing with the custom set…",
            },
        );
        widgets::progress(ui, &snapshot, false);
        let stop = widgets::button(
            ui,
            icons::STOP,
            "Stop looking",
            "What was found so far stays; nothing else waits for this.",
        );
        if stop.accessible_name(format!("Stop looking into {}", file.name())).clicked() {
            cx.send(Action::StopLooking(file.id));
        }
        return;
    }
    let limit = app.options.unasked_rows();
    let alone = checks.set(file.id).is_none() && !checks.is_wanted(file, limit);
    let beside = custom.is_some_and(|custom| {
        let compared = overlap.and_then(|found| found.as_ref().ok()).is_some_and(|found| found.near.is_some());
        !compared && !checks.is_comparison_wanted(custom, file, limit)
    });
    let (text, help) = match (alone, beside) {
        (true, _) => ("Look for near-duplicates and languages", "Reads every text once more, in the background."),
        (false, true) => {
            ("Compare texts with the custom set", "Reads every text of both once more, in the background.")
        }
        (false, false) => return,
    };
    if beside {
        widgets::muted(ui, "Only rows that are word for word the same were looked for in the custom set.");
    }
    if widgets::button(ui, icons::SEARCH, text, help).accessible_name(format!("{text}: {}", file.name())).clicked() {
        cx.send(Action::LookInto(file.id));
    }
}

fn failed(ui: &mut Ui, cx: &mut Cx<'_>, file: &RoleFile, error: &str) {
    widgets::notice(ui, widgets::Tone::Error, &sentence(error));
    let again = widgets::button(ui, icons::AGAIN, "Look again", "Compare the rows once more.");
    if again.accessible_name(format!("Look again into {}", file.name())).clicked() {
        cx.send(Action::LookInto(file.id));
    }
}

/// `Languages (guessed): English 98 %, German 1 %`, and whether no rows are alike.
fn languages(analysis: &Analysis) -> String {
    let rows: u64 = analysis.languages.iter().map(|count| count.rows).sum();
    let share = |part: u64| match part * 100 / rows.max(1) {
        0 => "under 1 %".to_owned(),
        percent => format!("{percent} %"),
    };
    let named = analysis.languages.iter().take(MOST_LANGUAGES);
    let mut parts: Vec<String> =
        named.map(|count| format!("{} {}", count.language.name(), share(count.rows))).collect();
    let others: u64 = analysis.languages.iter().skip(MOST_LANGUAGES).map(|count| count.rows).sum();
    if others > 0 {
        parts.push(format!("others {}", share(others)));
    }
    let alike = if analysis.near.groups == 0 { " No rows are nearly the same." } else { "" };
    format!("Languages (guessed): {}.{alike}", parts.join(", "))
}

fn groups(ui: &mut Ui, file: &RoleFile, analysis: &Analysis) {
    let near = &analysis.near;
    if near.groups == 0 {
        return;
    }
    let title = format!(
        "Rows that are alike: {}",
        match near.groups {
            1 => "1 group".to_owned(),
            groups => format!("{} groups", words::count(groups)),
        }
    );
    CollapsingHeader::new(title).id_salt((file.id, "alike")).show_unindented(ui, |ui| {
        for group in near.listed.iter().take(MOST_LISTED) {
            let shown: Vec<String> = group.rows.iter().take(MOST_ROWS).map(|row| words::count(*row)).collect();
            let more = if group.size > shown.len() as u64 { ", …" } else { "" };
            let alike = if group.similarity >= 1.0 {
                "equal".to_owned()
            } else {
                format!("at least {:.0} % alike", (group.similarity * 100.0).floor())
            };
            widgets::muted(ui, format!("{}, {alike}: {}{more}", words::rows(group.size), shown.join(", ")));
        }
        rest(ui, near.groups, near.listed.len().min(MOST_LISTED));
    });
}

fn pairs(ui: &mut Ui, file: &RoleFile, leakage: &Leakage) {
    let overlaps = || [Some(&leakage.exact), leakage.near.as_ref()].into_iter().flatten();
    let all: u64 = overlaps().map(|overlap| overlap.custom_rows).sum();
    if all == 0 {
        return;
    }
    let title = format!("Shared with the custom set: {}", words::rows(all));
    CollapsingHeader::new(title).id_salt((file.id, "shared")).show_unindented(ui, |ui| {
        let mut shown = 0;
        for pair in overlaps().flat_map(|overlap| &overlap.pairs).take(MOST_LISTED) {
            let alike = if pair.similarity >= 1.0 {
                "the same".to_owned()
            } else {
                format!("{:.0} % alike", (pair.similarity * 100.0).floor())
            };
            let (custom, here) = (words::count(pair.custom), words::count(pair.reference));
            widgets::muted(ui, format!("custom row {custom} and row {here} here, {alike}"));
            shown += 1;
        }
        rest(ui, all, shown);
    });
}

fn rest(ui: &mut Ui, all: u64, shown: usize) {
    let left = all.saturating_sub(shown as u64);
    if left > 0 {
        widgets::muted(ui, format!("… and {} more.", words::count(left)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::analysis::RowPair;

    fn overlap(rows: u64, pairs: &[(u64, u64)]) -> Overlap {
        let pair =
            |(custom, reference): &(u64, u64)| RowPair { custom: *custom, reference: *reference, similarity: 0.9 };
        Overlap { custom_rows: rows, pairs: pairs.iter().map(pair).collect() }
    }

    #[test]
    fn shared_rows_are_named_on_both_sides() {
        assert_eq!(both_sides(&overlap(1, &[(1234, 7)])), "Custom row 1,234 like row 7 here");
        assert_eq!(both_sides(&overlap(2, &[(1, 9), (4, 9)])), "Custom rows 1, 4 like row 9 here");
        let many: Vec<(u64, u64)> = (0..9).map(|n| (n, n + 100)).collect();
        let text = both_sides(&overlap(9, &many));
        assert_eq!(text, "Custom rows 0, 1, 2, 3, 4, … like rows 100, 101, 102, 103, 104, … here");
    }

    #[test]
    fn equal_and_similar_rows_warn_and_equal_prompts_inform() {
        let leakage = Leakage {
            reference: "safe.jsonl".to_owned(),
            exact: overlap(1, &[(2, 3)]),
            near: Some(overlap(2, &[(4, 5), (6, 7)])),
            prompt: Some(overlap(1, &[(8, 9)])),
        };
        let found: Vec<(Severity, String)> = shared(&leakage).into_iter().map(|n| (n.severity, n.text)).collect();
        assert_eq!(
            found,
            [
                (Severity::Warning, "1 custom row stands here word for word.".to_owned()),
                (Severity::Warning, "2 custom rows are nearly the same as rows here.".to_owned()),
                (Severity::Info, "1 custom row has the prompt of a row here.".to_owned()),
            ]
        );
    }
}
