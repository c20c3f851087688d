//! Ranks, cuts, decisions and loss weights.

use dipole::data::RowId;
use dipole::selection::{
    Decision, Decisions, Keep, RankBy, RowState, Selection, SelectionError, SelectionSettings, Verdict, WeightMode,
};
use dipole::transport::{Outcome, SideOutcome, Stop};

fn outcome(score: &[f64], weights: &[f64]) -> Outcome {
    let side = || SideOutcome {
        epsilon: 0.1,
        median_cost: 1.0,
        row_potential: vec![0.0; score.len()],
        column_potential: vec![0.0],
        cost: 0.5,
        marginal_error: 0.0,
    };
    Outcome {
        weights: weights.to_vec(),
        score: score.to_vec(),
        pull: vec![0.0; score.len()],
        push: vec![0.0; score.len()],
        safe: side(),
        harmful: side(),
        tau: 0.1,
        effective_rows: 1.0,
        divergence: 0.0,
        residual: 0.0,
        objective: 0.0,
        trace: Vec::new(),
        stop: Stop::Converged,
        iterations: 1,
        warnings: Vec::new(),
        kernel: "kept-f32".to_owned(),
        engine: "fake".to_owned(),
        engine_reason: String::new(),
    }
}

fn settings(keep: Keep, rank_by: RankBy, weights: WeightMode) -> SelectionSettings {
    SelectionSettings { keep, rank_by, weights }
}

fn decision(row: u64, id: &str, verdict: Verdict) -> Decision {
    Decision { row, id: RowId(id.to_owned()), verdict, note: None, at: String::new() }
}

fn decisions(list: &[(u64, Verdict)]) -> Decisions {
    Decisions(list.iter().map(|&(row, verdict)| (row, decision(row, "id", verdict))).collect())
}

fn numbers(rows: usize) -> Vec<u64> {
    (0..rows as u64).collect()
}

/// Calls the selection for rows that are all called `id`.
fn select(
    outcome: &Outcome,
    settings: &SelectionSettings,
    numbers: &[u64],
    decisions: &Decisions,
) -> Result<Selection, SelectionError> {
    Selection::from(outcome, settings, numbers, &vec![RowId("id".to_owned()); numbers.len()], decisions)
}

const EQUAL: [f64; 5] = [0.2; 5];

#[test]
fn the_highest_scores_go_first_and_ties_by_row() {
    let outcome = outcome(&[0.1, 0.7, -0.3, 0.7, -0.0], &[0.3, 0.1, 0.4, 0.1, 0.1]);
    let by_score = settings(Keep::Count(2), RankBy::Score, WeightMode::Uniform);
    let cut = select(&outcome, &by_score, &numbers(5), &Decisions::default()).expect("selects");
    assert_eq!(cut.order, [1, 3, 0, 4, 2]);
    assert_eq!(cut.ranks, [3, 1, 5, 2, 4]);
    assert_eq!(cut.cut, 0.0);
    assert_eq!((cut.kept, cut.machine_keep), (2, 2));
    use RowState::{Dropped, Kept};
    assert_eq!(cut.states, [Dropped, Dropped, Kept, Dropped, Kept]);
    assert_eq!(cut.loss_weights, [0.0, 0.0, 1.0, 0.0, 1.0]);

    let by_weight = settings(Keep::Share(0.4), RankBy::Weight, WeightMode::Uniform);
    let cut = select(&outcome, &by_weight, &numbers(5), &Decisions::default()).expect("selects");
    assert_eq!(cut.order, [1, 3, 4, 0, 2]);
    assert_eq!(cut.cut, 0.3);
    assert_eq!(cut.states, [Kept, Dropped, Kept, Dropped, Dropped]);
}

#[test]
fn minus_zero_ties_with_zero() {
    let outcome = outcome(&[-0.0, 0.0, -0.0], &[0.3, 0.3, 0.4]);
    let cut = select(&outcome, &SelectionSettings::default(), &numbers(3), &Decisions::default());
    assert_eq!(cut.expect("selects").order, [0, 1, 2]);
}

#[test]
fn ranks_agree_with_a_plain_sort_on_random_scores() {
    let mut state = 7_u64;
    let scores: Vec<f64> = (0..3000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % 500) as f64 / 17.0 - 12.0
        })
        .collect();
    let outcome = outcome(&scores, &vec![1.0 / 3000.0; 3000]);
    let cut = select(&outcome, &SelectionSettings::default(), &numbers(3000), &Decisions::default()).expect("selects");
    let mut plain: Vec<u32> = (0..3000).collect();
    plain.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b)));
    assert_eq!(cut.order, plain);
    assert!(plain.iter().enumerate().all(|(place, &row)| cut.ranks[row as usize] == place as u32 + 1));
    assert_eq!(cut.states.iter().filter(|state| state.is_kept()).count(), 2400);
}

#[test]
fn every_mode_has_mean_one_over_the_kept_rows() {
    let weights = [0.05, 0.15, 0.2, 0.25, 0.35];
    let outcome = outcome(&[5.0, 4.0, 3.0, 2.0, 1.0], &weights);
    let cut = |mode| {
        select(&outcome, &settings(Keep::Count(3), RankBy::Score, mode), &numbers(5), &Decisions::default())
            .expect("selects")
            .loss_weights
    };
    let sum = 0.2 + 0.25 + 0.35;
    let root = 0.2_f64.sqrt() + 0.25_f64.sqrt() + 0.35_f64.sqrt();
    let exponential = 0.2_f64.exp() + 0.25_f64.exp() + 0.35_f64.exp();
    for (mode, expected) in [
        (WeightMode::Uniform, [1.0, 1.0, 1.0]),
        (WeightMode::Proportional, [3.0 * 0.2 / sum, 3.0 * 0.25 / sum, 3.0 * 0.35 / sum]),
        (
            WeightMode::Tempered { temperature: 2.0 },
            [3.0 * 0.2_f64.sqrt() / root, 3.0 * 0.5 / root, 3.0 * 0.35_f64.sqrt() / root],
        ),
        (WeightMode::Paper, [0.2_f64, 0.25, 0.35].map(|weight| 3.0 * weight.exp() / exponential)),
    ] {
        let found = cut(mode);
        assert_eq!(found[..2], [0.0, 0.0], "{mode}");
        for (found, expected) in found[2..].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{mode}: {found} {expected}");
        }
        assert!((found.iter().sum::<f64>() / 3.0 - 1.0).abs() < 1e-14, "{mode}");
    }
}

#[test]
fn tiny_weights_keep_their_ratios() {
    let outcome = outcome(&[0.0, 0.0, 0.0], &[1e-300, 3e-300, 0.0]);
    let all = settings(Keep::Share(1.0), RankBy::Score, WeightMode::Proportional);
    let cut = select(&outcome, &all, &numbers(3), &Decisions::default()).expect("selects");
    assert!((cut.loss_weights[0] - 0.75).abs() < 1e-12 && (cut.loss_weights[1] - 2.25).abs() < 1e-12);
    assert_eq!(cut.loss_weights[2], 0.0);
    let cold = settings(Keep::Share(1.0), RankBy::Score, WeightMode::Tempered { temperature: 1e-300 });
    let cut = select(&outcome, &cold, &numbers(3), &Decisions::default()).expect("selects");
    assert_eq!(cut.loss_weights, [0.0, 3.0, 0.0]);
}

#[test]
fn decisions_overrule_the_machine() {
    let outcome = outcome(&[5.0, 4.0, 3.0, 2.0, 1.0], &EQUAL);
    // Record 2 is in quarantine, so row index 2 is record 3.
    let numbers = [0, 1, 3, 4, 5];
    let decisions = decisions(&[(0, Verdict::Keep), (4, Verdict::Drop), (5, Verdict::Keep), (2, Verdict::Drop)]);
    let three = settings(Keep::Count(3), RankBy::Score, WeightMode::Proportional);
    let cut = select(&outcome, &three, &numbers, &decisions).expect("selects");
    use RowState::{Dropped, DroppedByHand, Kept, KeptByHand};
    assert_eq!(cut.states, [KeptByHand, Dropped, Kept, DroppedByHand, KeptByHand]);
    assert_eq!((cut.kept, cut.kept_by_hand, cut.dropped_by_hand, cut.machine_keep), (3, 2, 1, 3));
    assert_eq!(cut.loss_weights, [1.0, 0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn all_rows_may_be_dropped_by_hand() {
    let outcome = outcome(&[1.0, 2.0], &[0.5, 0.5]);
    let all = decisions(&[(0, Verdict::Drop), (1, Verdict::Drop)]);
    let cut = select(&outcome, &SelectionSettings::default(), &numbers(2), &all).expect("selects");
    assert_eq!((cut.kept, cut.loss_weights), (0, vec![0.0, 0.0]));
}

#[test]
fn one_row_is_kept_with_weight_one() {
    for mode in [WeightMode::Uniform, WeightMode::Paper, WeightMode::Proportional] {
        let one = settings(Keep::Share(0.1), RankBy::Weight, mode);
        let cut = select(&outcome(&[3.0], &[1.0]), &one, &[9], &Decisions::default()).expect("selects");
        assert_eq!((cut.kept, cut.loss_weights, cut.ranks), (1, vec![1.0], vec![1]));
    }
}

#[test]
fn what_cannot_be_selected_is_an_error_that_names_it() {
    let error = |score: &[f64], weights: &[f64], numbers: &[u64], mode| {
        let settings = settings(Keep::Share(0.5), RankBy::Score, mode);
        select(&outcome(score, weights), &settings, numbers, &Decisions::default()).expect_err("must fail").to_string()
    };
    let plain = WeightMode::Proportional;
    assert_eq!(error(&[], &[], &[], plain), "there are no rows to select from");
    assert_eq!(error(&[1.0, f64::NAN], &[0.5, 0.5], &[4, 7], plain), "the score of row 7 is not a number");
    assert_eq!(error(&[1.0, 2.0], &[0.5, -0.5], &[4, 7], plain), "the weight of row 7 is not a number of at least 0");
    assert!(error(&[1.0, 2.0], &[0.5, 0.5], &[4], plain).contains("2 weights but 1 record numbers"));
    assert!(error(&[1.0, 2.0], &[0.5, 0.5], &[4, 4], plain).contains("do not ascend"));
    assert!(error(&[1.0, 2.0], &[0.0, 1.0], &[0, 1], plain).contains("every kept row has learned weight 0"));
    let cold = WeightMode::Tempered { temperature: 0.0 };
    assert!(error(&[1.0, 2.0], &[0.5, 0.5], &[0, 1], cold).starts_with("temperature must be a number above 0"));
}

#[test]
fn a_decision_holds_only_where_number_and_id_agree() {
    let numbers = [0, 2, 3, 8];
    let ids = ["aa", "bb", "cc", "dd"].map(|id| RowId(id.to_owned()));
    let list = [
        decision(0, "aa", Verdict::Drop),
        decision(1, "xx", Verdict::Drop),
        decision(2, "old", Verdict::Drop),
        decision(3, "", Verdict::Drop),
        decision(9, "bb", Verdict::Keep),
    ];
    let decisions = Decisions(list.into_iter().map(|decision| (decision.row, decision)).collect());
    let matched = decisions.matched(&numbers, ids.as_slice());
    let in_force: Vec<_> = matched.in_force.0.values().map(|decision| (decision.row, decision.id.0.as_str())).collect();
    assert_eq!(in_force, [(0, "aa"), (3, "cc")]);
    let rows_of = |list: &[Decision]| list.iter().map(|decision| decision.row).collect::<Vec<_>>();
    assert_eq!(rows_of(&matched.stale), [1, 2, 9]);

    let all = settings(Keep::Share(1.0), RankBy::Score, WeightMode::Uniform);
    let cut =
        Selection::from(&outcome(&[0.0; 4], &[0.25; 4]), &all, &numbers, ids.as_slice(), &decisions).expect("selects");
    use RowState::{DroppedByHand, Kept};
    assert_eq!(cut.states, [DroppedByHand, Kept, DroppedByHand, Kept]);
    assert_eq!(rows_of(&cut.stale), [1, 2, 9]);
}

#[test]
fn a_million_rows_can_be_selected() {
    let rows = 1_000_000;
    let score: Vec<f64> = (0..rows).map(|row| f64::from((row as u32).wrapping_mul(2_654_435_761))).collect();
    let outcome = outcome(&score, &vec![1.0 / rows as f64; rows]);
    let cut = select(&outcome, &SelectionSettings::default(), &numbers(rows), &Decisions::default()).expect("selects");
    assert_eq!(cut.kept, 800_000);
}
