//! Which rows the table shows, and in which order.
//!
//! Constraint: computed in the background over up to millions of rows; the table reads the finished list.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::backend::Handle;
pub use super::filter::{Filter, Listed, Shown};
use super::solved::Solved;
use crate::jobs::Progress;
use crate::selection::{Decision, Verdict};

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    Row,
    Text,
    Score,
    Weight,
    Pull,
    Push,
    Decision,
}

/// The order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub column: Column,
    pub descending: bool,
}

/// The decisions in force, by row index.
pub type Verdicts = Arc<HashMap<u32, Decision>>;

/// What a view is computed from.
#[derive(Clone)]
pub struct ViewInput {
    pub source: Handle,
    pub rows: usize,
    pub solved: Option<Arc<Solved>>,
    /// Rows that the machine keeps.
    pub kept: usize,
    pub verdicts: Verdicts,
    pub filter: Filter,
    pub sort: Sort,
}

/// The rows of the table, in order.
#[derive(Debug, Clone)]
pub enum ViewRows {
    /// Every row in file order.
    All(usize),
    List(Arc<[u32]>),
}

impl ViewRows {
    pub fn len(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::List(rows) => rows.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, place: usize) -> Option<u32> {
        match self {
            Self::All(rows) => (place < *rows).then_some(place as u32),
            Self::List(rows) => rows.get(place).copied(),
        }
    }

    pub fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Self::All(rows) => Box::new(0..*rows as u32),
            Self::List(rows) => Box::new(rows.iter().copied()),
        }
    }

    /// The place of a row, looked for near `hint` first.
    pub fn place_of(&self, row: u32, hint: usize) -> Option<usize> {
        match self {
            Self::All(rows) => ((row as usize) < *rows).then_some(row as usize),
            Self::List(rows) if rows.get(hint) == Some(&row) => Some(hint),
            Self::List(rows) => rows.iter().position(|other| *other == row),
        }
    }
}

/// Computes a view.
///
/// # Errors
/// A row cannot be read for the text search, or the user cancelled.
pub fn compute(input: &ViewInput, progress: &dyn Progress) -> Result<ViewRows, String> {
    let plain = Sort { column: Column::Row, descending: false };
    if input.filter.is_empty() && input.sort == plain {
        return Ok(ViewRows::All(input.rows));
    }
    let mut rows: Vec<u32> = match &input.solved {
        // The usual order is at hand.
        Some(solved) if input.sort.column == Column::Score && solved.ranking.len() == input.rows => {
            sorted_by_score(solved, input.sort.descending)
        }
        _ => (0..input.rows as u32).collect(),
    };
    rows.retain(|row| is_shown(input, *row));
    if !input.filter.text.is_empty() {
        rows = search(input, &rows, progress)?;
    }
    if input.sort.column != Column::Score {
        sort(input, &mut rows);
    }
    progress.check().map_err(|cancelled| cancelled.to_string())?;
    Ok(ViewRows::List(rows.into()))
}

fn sorted_by_score(solved: &Solved, descending: bool) -> Vec<u32> {
    let score = &solved.purified.outcome.score;
    let key = |row: &u32| score.get(*row as usize).copied().unwrap_or(0.0);
    let mut rows: Vec<u32> = (0..score.len() as u32).collect();
    if descending {
        rows.par_sort_by(|a, b| key(b).total_cmp(&key(a)).then(a.cmp(b)));
    } else {
        rows.par_sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.cmp(b)));
    }
    rows
}

fn is_kept(input: &ViewInput, row: u32) -> bool {
    match input.verdicts.get(&row) {
        Some(decision) => decision.verdict == Verdict::Keep,
        None => input.solved.as_ref().is_none_or(|solved| solved.ranking.machine_keeps(row, input.kept)),
    }
}

fn is_shown(input: &ViewInput, row: u32) -> bool {
    if input.filter.only.as_ref().is_some_and(|only| only.rows.binary_search(&row).is_err()) {
        return false;
    }
    match input.filter.shown {
        Shown::All => true,
        Shown::Kept => is_kept(input, row),
        Shown::Dropped => !is_kept(input, row),
        Shown::ByHand => input.verdicts.contains_key(&row),
    }
}

fn search(input: &ViewInput, rows: &[u32], progress: &dyn Progress) -> Result<Vec<u32>, String> {
    let needle = input.filter.text.to_lowercase();
    let mut found = Vec::new();
    for (chunk_number, chunk) in rows.chunks(4096).enumerate() {
        progress.check().map_err(|cancelled| cancelled.to_string())?;
        progress.tick("searching", (chunk_number * 4096) as u64, Some(rows.len() as u64));
        let hits: Result<Vec<Option<u32>>, String> = chunk
            .par_iter()
            .map(|row| {
                let text = input.source.row(*row as usize)?.text();
                Ok(text.to_lowercase().contains(&needle).then_some(*row))
            })
            .collect();
        found.extend(hits?.into_iter().flatten());
    }
    Ok(found)
}

fn sort(input: &ViewInput, rows: &mut [u32]) {
    let figures = |row: u32| input.solved.as_ref().and_then(|solved| solved.figures(row));
    let key = |row: u32| -> f64 {
        match input.sort.column {
            Column::Row | Column::Text => f64::from(row),
            // Dropped before kept, and by hand after the machine's.
            Column::Decision => {
                f64::from(u8::from(is_kept(input, row)) * 2 + u8::from(input.verdicts.contains_key(&row)))
            }
            Column::Score => figures(row).map_or(0.0, |figures| figures.score),
            Column::Weight => figures(row).map_or(0.0, |figures| figures.weight),
            Column::Pull => figures(row).map_or(0.0, |figures| figures.pull),
            Column::Push => figures(row).map_or(0.0, |figures| figures.push),
        }
    };
    if input.sort.descending {
        rows.par_sort_by(|a, b| key(*b).total_cmp(&key(*a)).then(a.cmp(b)));
    } else {
        rows.par_sort_by(|a, b| key(*a).total_cmp(&key(*b)).then(a.cmp(b)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::backend::{Backend as _, Facts, RowSource};
    use super::super::map::PointCloud;
    use super::super::solved::Ranking;
    use super::*;
    use crate::data::{Quarantined, Row, RowId, Speaker, Turn};
    use crate::jobs::Silent;
    use crate::project::{Plan, Purified, Timing};
    use crate::selection::RankBy;
    use crate::transport::{Outcome, SideOutcome, Stop};

    struct Words(Vec<&'static str>);

    impl RowSource for Words {
        fn index(&self, _progress: &dyn Progress) -> Result<(), String> {
            Ok(())
        }

        fn facts(&self) -> Facts {
            unreachable!("a view asks for rows only")
        }

        fn len(&self) -> usize {
            self.0.len()
        }

        fn number(&self, index: usize) -> Option<u64> {
            Some(index as u64)
        }

        fn id(&self, index: usize) -> Option<RowId> {
            Some(RowId(index.to_string()))
        }

        fn row(&self, index: usize) -> Result<Row, String> {
            let text = self.0.get(index).copied().filter(|text| *text != "torn").ok_or("row cannot be read")?;
            let turns = vec![Turn { speaker: Speaker::None, text: text.to_owned() }];
            Ok(Row { number: index as u64, line: 1, turns, rejected: Vec::new() })
        }

        fn quarantined_raw(&self, _record: &Quarantined) -> Result<Vec<u8>, String> {
            Err("there is none".to_owned())
        }
    }

    fn solved(score: &[f64], weights: &[f64], by: RankBy) -> Solved {
        let side = SideOutcome {
            epsilon: 0.1,
            median_cost: 1.0,
            row_potential: Vec::new(),
            column_potential: Vec::new(),
            cost: 0.0,
            marginal_error: 0.0,
        };
        let outcome = Outcome {
            weights: weights.to_vec(),
            score: score.to_vec(),
            pull: score.iter().map(|s| s * 0.5).collect(),
            push: score.iter().map(|s| 1.0 - s).collect(),
            safe: side.clone(),
            harmful: side,
            tau: 1.0,
            effective_rows: 1.0,
            divergence: 0.0,
            residual: 0.0,
            objective: 0.0,
            trace: Vec::new(),
            stop: Stop::Converged,
            iterations: 1,
            warnings: Vec::new(),
            kernel: String::new(),
            engine: String::new(),
            engine_reason: String::new(),
        };
        let fingerprint =
            crate::embedding::Fingerprint { encoder: String::new(), hash: String::new(), details: Default::default() };
        let timing = Timing::default();
        let vectors = Arc::new(std::array::from_fn(|_| crate::embedding::Embeddings::empty()));
        let purified = Purified {
            outcome,
            calibration: None,
            vectors,
            fingerprint,
            timing,
            cached: 0,
            computed: 0,
            truncated: [0; 3],
        };
        let library = super::super::backend::Library {
            engine: Arc::new(crate::transport::CpuEngine::new()),
            cache_dir: None,
            project_root: Default::default(),
            sample: Default::default(),
        };
        let numbers: Vec<u64> = (0..score.len() as u64).collect();
        let ranked = library.rank(&purified.outcome, by, &numbers).expect("ranked");
        let ranking = Ranking::new(&purified, by, ranked);
        let cloud = Arc::new(PointCloud::new(&purified, &ranking, Default::default()));
        let plan = Plan {
            custom: Default::default(),
            safe: Vec::new(),
            harmful: Vec::new(),
            mapping: None,
            encoder: crate::embedding::EncoderChoice::Lexical,
            views: None,
            settings: Default::default(),
            calibration: None,
            selection: Default::default(),
        };
        Solved { plan, files: Vec::new(), purified: Arc::new(purified), ranking, cloud, recall_curve: Arc::default() }
    }

    const TEXTS: [&str; 9] = ["Bread", "bread and salt", "", "SALT", "ÄPFEL", "äpfel", "salt", "Bread", "ﬁsh"];
    const SCORES: [f64; 9] = [0.5, -1.0, 0.5, 3.0, 0.0, -0.0, 2.0, -4.0, 0.5];

    fn input(by: RankBy) -> ViewInput {
        let weights: Vec<f64> = SCORES.iter().map(|score| (-score).exp() / 100.0).collect();
        let decision = |row: u32, verdict| {
            let at = String::new();
            (row, Decision { row: row.into(), id: RowId(row.to_string()), verdict, note: None, at })
        };
        ViewInput {
            source: Arc::new(Words(TEXTS.to_vec())),
            rows: TEXTS.len(),
            solved: Some(Arc::new(solved(&SCORES, &weights, by))),
            kept: 6,
            verdicts: Arc::new([decision(3, Verdict::Keep), decision(7, Verdict::Drop)].into_iter().collect()),
            filter: Filter::default(),
            sort: Sort { column: Column::Row, descending: false },
        }
    }

    /// One row at a time, straight from the definitions.
    fn oracle(input: &ViewInput) -> Vec<u32> {
        let solved = input.solved.as_ref();
        let kept = |row: u32| match (input.verdicts.get(&row), solved) {
            (Some(decision), _) => decision.verdict == Verdict::Keep,
            (None, None) => true,
            (None, Some(solved)) => {
                let more_suspicious = |other: u32| {
                    let of = |row: u32| match solved.ranking.by {
                        RankBy::Score => solved.purified.outcome.score[row as usize],
                        RankBy::Weight => -solved.purified.outcome.weights[row as usize],
                    };
                    of(other) > of(row) || of(other) == of(row) && other < row
                };
                (0..input.rows as u32).filter(|other| more_suspicious(*other)).count() >= input.rows - input.kept
            }
        };
        let mut shown = Vec::new();
        for row in 0..input.rows as u32 {
            let by_fate = match input.filter.shown {
                Shown::All => true,
                Shown::Kept => kept(row),
                Shown::Dropped => !kept(row),
                Shown::ByHand => input.verdicts.contains_key(&row),
            };
            let text = TEXTS[row as usize].to_lowercase();
            let is_listed = input.filter.only.as_ref().is_none_or(|only| only.rows.contains(&row));
            if is_listed && by_fate && text.contains(&input.filter.text.to_lowercase()) {
                shown.push(row);
            }
        }
        let key = |row: u32| {
            let figures = solved.and_then(|solved| solved.figures(row));
            let figure = |of: fn(super::super::solved::RowFigures) -> f64| figures.map_or(0.0, of);
            match input.sort.column {
                Column::Row | Column::Text => f64::from(row),
                Column::Score => figure(|figures| figures.score),
                Column::Weight => figure(|figures| figures.weight),
                Column::Pull => figure(|figures| figures.pull),
                Column::Push => figure(|figures| figures.push),
                Column::Decision => match (kept(row), input.verdicts.contains_key(&row)) {
                    (false, false) => 0.0,
                    (false, true) => 1.0,
                    (true, false) => 2.0,
                    (true, true) => 3.0,
                },
            }
        };
        // Insertion sort keeps equal rows in file order.
        for from in 1..shown.len() {
            let mut at = from;
            while at > 0 {
                let (before, after) = (key(shown[at - 1]), key(shown[at]));
                let wrong = if input.sort.descending {
                    before.total_cmp(&after).is_lt()
                } else {
                    before.total_cmp(&after).is_gt()
                };
                if !wrong {
                    break;
                }
                shown.swap(at - 1, at);
                at -= 1;
            }
        }
        shown
    }

    #[test]
    fn every_order_and_filter_agrees_with_the_slow_way() {
        let columns =
            [Column::Row, Column::Text, Column::Score, Column::Weight, Column::Pull, Column::Push, Column::Decision];
        let mut seen = 0;
        for (by, is_solved) in [(RankBy::Score, true), (RankBy::Weight, true), (RankBy::Score, false)] {
            for column in columns {
                for descending in [false, true] {
                    for shown in [Shown::All, Shown::Kept, Shown::Dropped, Shown::ByHand] {
                        for text in ["", "salt", "Ä", "nowhere", "only"] {
                            let mut input = input(by);
                            input.solved = input.solved.filter(|_| is_solved);
                            input.sort = Sort { column, descending };
                            let only = (text == "only").then(|| Listed { name: "these", rows: [1, 3, 6].into() });
                            let text = if only.is_some() { "" } else { text };
                            input.filter = Filter { shown, only, text: text.to_owned() };
                            let rows = compute(&input, &Silent).expect("computed");
                            let found: Vec<u32> = rows.iter().collect();
                            assert_eq!(found, oracle(&input), "{:?} {:?} {by:?} {is_solved}", input.sort, input.filter);
                            for (place, row) in found.iter().enumerate() {
                                assert_eq!(rows.get(place), Some(*row));
                                assert_eq!(rows.place_of(*row, 0), Some(place));
                            }
                            seen += found.len();
                        }
                    }
                }
            }
        }
        assert!(seen > 1000, "{seen} rows in all views");
    }

    #[test]
    fn ranking_needs_no_ids_and_no_decisions() {
        for by in [RankBy::Score, RankBy::Weight] {
            let input = input(by);
            let solved = input.solved.as_ref().expect("solved");
            let outcome = &solved.purified.outcome;
            let numbers: Vec<u64> = (0..9).collect();
            let ids: Vec<RowId> = (0..9).map(|row: u32| RowId(row.to_string())).collect();
            for keep in [1, 4, 9] {
                let settings = crate::selection::SelectionSettings {
                    keep: crate::selection::Keep::Count(keep),
                    rank_by: by,
                    ..Default::default()
                };
                let decisions = crate::selection::Decisions(
                    input.verdicts.values().map(|decision| (decision.row, decision.clone())).collect(),
                );
                let full = crate::selection::Selection::from(outcome, &settings, &numbers, &ids, &decisions)
                    .expect("selected");
                assert_eq!(full.ranks, *solved.ranking.ranks, "{by:?}");
                assert_eq!(full.order, *solved.ranking.order, "{by:?}");
                assert_eq!(full.machine_keep, solved.ranking.machine_keep(settings.keep));
                let input = ViewInput { kept: full.machine_keep, ..input.clone() };
                for row in 0..9 {
                    assert_eq!(is_kept(&input, row), full.states[row as usize].is_kept(), "row {row}, {keep} kept");
                }
            }
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_fails_the_search_and_nothing_else() {
        let mut input = input(RankBy::Score);
        input.source = Arc::new(Words(vec!["salt", "torn", "salt"]));
        (input.rows, input.solved) = (3, None);
        assert_eq!(compute(&input, &Silent).expect("no text is read").len(), 3);
        input.filter.text = "salt".to_owned();
        assert_eq!(compute(&input, &Silent).expect_err("torn"), "row cannot be read");
    }
}
