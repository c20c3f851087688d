//! Where the assistant speaks in a rendered chat.
//!
//! The chat is rendered up to before each answer, with the words that ask for one, and up to behind it: what lies
//! between is the answer. Templates that write earlier turns otherwise once later ones are there (they drop
//! thoughts) break this; then the answer's own words are looked for, and the end token behind them.

use std::ops::Range;

use super::template::{Message, Template};

/// The whole text, and the bytes of each answer in it, in order.
pub(super) fn spans(template: &Template, messages: &[Message]) -> Result<(String, Vec<Range<usize>>), String> {
    let whole = template.render(messages, false)?;
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    for (number, message) in messages.iter().enumerate() {
        if message.role != "assistant" {
            continue;
        }
        let upto = |count: usize, ask: bool| {
            messages.get(..count).and_then(|part| template.render(part, ask).ok()).filter(|text| !text.is_empty())
        };
        let begins = upto(number, true).filter(|text| text.len() >= from && whole.starts_with(text.as_str()));
        let Some(start) = begins.map(|text| text.len()).or_else(|| Some(find(&whole, from, &message.content)?.start))
        else {
            continue;
        };
        let last = number + 1 == messages.len();
        let ends = if last { Some(whole.clone()) } else { upto(number + 1, false) };
        let ends = ends.filter(|text| text.len() > start && whole.starts_with(text.as_str()));
        let end = match (ends, find(&whole, start, &message.content)) {
            (Some(text), _) => text.len(),
            (None, Some(found)) => behind_end_token(&whole, found.end, &template.eos),
            (None, None) => continue,
        };
        from = end.max(start);
        if !message.content.trim().is_empty() && start < end {
            spans.push(start..end);
        }
    }
    Ok((whole, spans))
}

/// The words of an answer at or behind `from`.
fn find(whole: &str, from: usize, content: &str) -> Option<Range<usize>> {
    let words = content.trim();
    let at = whole.get(from..)?.find(words)? + from;
    Some(at..at + words.len())
}

fn behind_end_token(whole: &str, end: usize, eos: &str) -> usize {
    let rest = whole.get(end..).unwrap_or_default();
    let blank = rest.len() - rest.trim_start().len();
    if !eos.is_empty() && rest.get(blank..).is_some_and(|rest| rest.starts_with(eos)) {
        return end + blank + eos.len();
    }
    end
}
