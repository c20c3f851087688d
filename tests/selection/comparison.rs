//! The table of rankings, by hand.

use dipole::selection::Keep;
use dipole::selection::comparison::{Contender, agreement, compare};

fn contender(score: &[f64], weights: Option<&[f64]>, keeps_all: bool) -> Contender {
    Contender {
        name: "one",
        about: String::new(),
        score: score.to_vec(),
        weights: weights.map(<[f64]>::to_vec),
        keeps_all,
        seconds: 0.0,
    }
}

#[test]
fn overlap_order_and_figures_by_hand() {
    let contenders = [
        contender(&[4.0, 3.0, 2.0, 1.0], None, false),
        contender(&[4.0, 2.0, 3.0, 1.0], Some(&[1.0, 1.0, 1.0, 3.0]), false),
        contender(&[1.0, 2.0, 3.0, 4.0], Some(&[1.0, 1.0, 1.0, 1.0]), true),
        contender(&[0.0; 4], None, false),
    ];
    let labels = [Some(true), Some(false), Some(true), None];
    let table = compare(&contenders, Keep::Count(2), Some(&labels)).expect("compares");
    let lines: Vec<_> = table.iter().map(|line| (line.kept, line.overlap, line.correlation)).collect();
    // The first drops rows 0 and 1, the second rows 0 and 2: one of three. Order by ties: rows 0 and 1 go first.
    assert_eq!(lines[0], (2, Some(1.0), Some(1.0)));
    assert_eq!((lines[1].0, lines[1].1), (2, Some(1.0 / 3.0)));
    assert!((lines[1].2.expect("an order") - 0.8).abs() < 1e-12);
    assert_eq!(lines[2], (4, Some(0.0), Some(-1.0)));
    assert_eq!(lines[3], (2, Some(1.0), None));
    // Σv = 4, Σv² = 10.
    assert!((table[1].effective_rows - 1.6).abs() < 1e-12);
    let measured = |line: usize| table[line].measured.clone().expect("labels");
    // Positives 4 and 2 against the negative 3.
    assert_eq!(measured(0).auroc, Some(0.5));
    assert_eq!((measured(0).harmful_recall, measured(0).benign_retention), (Some(0.5), Some(0.0)));
    // Rows 1 (benign) and 3 (unlabelled) are left.
    assert_eq!((measured(1).contamination, measured(1).harmful_recall), (Some(0.0), Some(1.0)));
    assert_eq!((measured(2).harmful_recall, measured(2).contamination), (Some(0.0), Some(2.0 / 3.0)));
}

#[test]
fn any_two_agree_as_counted_by_hand() {
    let contenders = [
        contender(&[4.0, 3.0, 2.0, 1.0], None, false),
        contender(&[4.0, 2.0, 3.0, 1.0], None, false),
        contender(&[1.0, 2.0, 3.0, 4.0], None, true),
        contender(&[0.0; 4], None, false),
    ];
    let found = agreement(&contenders, Keep::Count(2)).expect("compares");
    // Dropped: {0, 1}, {0, 2}, none, {0, 1}.
    let third = Some(1.0 / 3.0);
    assert_eq!([found.of(0, 0), found.of(0, 1), found.of(1, 3), found.of(0, 3)], [Some(1.0), third, third, Some(1.0)]);
    assert_eq!((found.of(2, 0), found.of(2, 2), found.of(0, 9)), (Some(0.0), None, None));
    assert_eq!(found.places[..3], [vec![1, 2, 3, 4], vec![1, 3, 2, 4], vec![4, 3, 2, 1]]);
    // Of a tie the earlier row goes first, as in a cut.
    assert_eq!((found.places[3].clone(), found.is_flat), (vec![1, 2, 3, 4], vec![false, false, false, true]));
    assert!(agreement(&[contender(&[1.0], None, false), contender(&[], None, false)], Keep::Count(1)).is_err());
}

#[test]
fn rankings_of_other_rows_are_refused() {
    let contenders = [contender(&[1.0, 2.0], None, false), contender(&[1.0], None, false)];
    assert!(compare(&contenders, Keep::Share(0.5), None).is_err());
    assert!(compare(&contenders[..1], Keep::Share(0.5), Some(&[None])).is_err());
    assert!(compare(&[], Keep::Share(0.5), None).expect("nothing to compare").is_empty());
}
