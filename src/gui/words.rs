//! Figures in words, as the window says them.

use crate::selection::Verdict;

/// A count with thousands separated: `12,345`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2 rows`.
pub fn rows(value: u64) -> String {
    if value == 1 { "1 row".to_owned() } else { format!("{} rows", count(value)) }
}

/// A size in powers of 1,000: `3.2 MB`.
pub fn bytes(value: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut size = value as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < units.len() {
        size /= 1000.0;
        unit += 1;
    }
    let name = units.get(unit).unwrap_or(&"B");
    if unit == 0 { format!("{value} B") } else { format!("{size:.1} {name}") }
}

/// A time left or spent: `42 s`, `3 min`, `1 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A signed figure with a true minus: `+2.31`, `−0.40`.
pub fn signed(value: f64) -> String {
    // A value that rounds to zero carries no sign.
    let text = format!("{:.3}", value.abs());
    if text.trim_matches(['0', '.']).is_empty() {
        text
    } else if value < 0.0 {
        format!("\u{2212}{text}")
    } else {
        format!("+{text}")
    }
}

/// A row's weight n·w with three meaningful digits.
pub fn weight(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 0.01 => format!("{v:.2}"),
        v if v >= 0.001 => format!("{v:.3}"),
        v if v > 0.0 => "<0.001".to_owned(),
        _ => "0".to_owned(),
    }
}

/// What a weight n·w means.
pub fn weight_meaning(value: f64) -> String {
    if value <= 0.0 {
        "counts nothing".to_owned()
    } else if (0.95..1.05).contains(&value) {
        "counts like an average row".to_owned()
    } else if value > 1.0 {
        format!("counts {} times as much as an average row", times(value))
    } else {
        format!("counts {} times less than an average row", times(1.0 / value))
    }
}

fn times(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { count(value.round() as u64) }
}

/// What a rank means: `more suspicious than 99 % of the rows`.
pub fn rank_meaning(rank: u32, rows: usize) -> String {
    let share = 1.0 - f64::from(rank) / rows.max(1) as f64;
    let percent = (share * 100.0).clamp(0.0, 100.0);
    if rank == 1 {
        "the most suspicious row".to_owned()
    } else if percent >= 99.0 {
        format!("more suspicious than {percent:.1} % of the rows")
    } else {
        format!("more suspicious than {percent:.0} % of the rows")
    }
}

/// Which force decided a row's score.
///
/// `pull` > 0 is far from the safe reference, `push` < 0 is near the harmful one; λ weighs them.
pub fn main_force(pull: f64, push: f64, lambda: f64) -> &'static str {
    let (from_pull, from_push) = ((1.0 - lambda) * pull, -lambda * push);
    match (from_pull + from_push > 0.0, from_push > from_pull) {
        (true, true) => "Suspicious mainly because it is close to the harmful reference.",
        (true, false) => "Suspicious mainly because it is far from the safe reference.",
        (false, true) => "Unsuspicious mainly because it is close to the safe reference.",
        (false, false) => "Unsuspicious mainly because it is far from the harmful reference.",
    }
}

/// A decision in words.
pub fn verdict(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Keep) => "kept by hand",
        Some(Verdict::Drop) => "dropped by hand",
        None => "left to the machine",
    }
}

/// An RFC 3339 time without fractions and zone: `2026-11-24 14:03`.
pub fn moment(at: &str) -> String {
    at.get(..16).map_or_else(|| at.to_owned(), |head| head.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([rows(1), rows(1500)], ["1 row", "1,500 rows"]);
        assert_eq!([bytes(17), bytes(1500), bytes(2_340_000)], ["17 B", "1.5 kB", "2.3 MB"]);
        assert_eq!([duration(4.4), duration(61.0), duration(4800.0)], ["4 s", "1 min 01 s", "1 h 20 min"]);
        assert_eq!([signed(2.3104), signed(-0.4), signed(-0.0001)], ["+2.310", "\u{2212}0.400", "0.000"]);
        assert_eq!([weight(0.02), weight(0.0001), weight(1.5), weight(512.3)], ["0.02", "<0.001", "1.50", "512"]);
    }

    #[test]
    fn meanings_name_the_direction() {
        assert_eq!(weight_meaning(0.02), "counts 50 times less than an average row");
        assert_eq!(weight_meaning(2.5), "counts 2.5 times as much as an average row");
        assert_eq!(weight_meaning(1.01), "counts like an average row");
        assert_eq!(rank_meaning(1, 10), "the most suspicious row");
        assert_eq!(rank_meaning(2, 1000), "more suspicious than 99.8 % of the rows");
        assert!(main_force(0.1, -0.5, 0.7).contains("close to the harmful"));
        assert!(main_force(0.9, 0.1, 0.5).contains("far from the safe"));
        assert!(main_force(-0.9, 0.1, 0.5).contains("close to the safe"));
    }

    #[test]
    fn moments_survive_malformed_times() {
        assert_eq!(moment("2026-11-24T14:03:22.5Z"), "2026-11-24 14:03");
        assert_eq!(moment("now"), "now");
    }
}
