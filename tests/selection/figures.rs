//! Figures against labels, with values computed by hand.

use std::path::PathBuf;

use dipole::selection::{auroc, average_precision, evaluate};

fn close(found: Option<f64>, expected: f64) {
    let found = found.expect("a figure");
    assert!((found - expected).abs() < 1e-15, "{found} {expected}");
}

#[test]
fn auroc_counts_ties_as_half() {
    // Pairs (positive, negative): 0.8>0.4, 0.8>0.4', 0.4=0.4, 0.4=0.4' → (2 + 2·½) / 4.
    close(auroc(&[(0.8, true), (0.4, true), (0.4, false), (0.4, false)]), 0.75);
    close(auroc(&[(1.0, true), (1.0, false), (1.0, false)]), 0.5);
    close(auroc(&[(3.0, false), (2.0, true), (1.0, true)]), 0.0);
    close(auroc(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]), 0.75);
    assert_eq!(auroc(&[(1.0, true)]), None);
    assert_eq!(auroc(&[(1.0, true), (f64::NAN, false)]), None);
    assert_eq!(auroc(&[]), None);
}

#[test]
fn average_precision_is_that_of_scikit_learn() {
    // The example of its documentation: 1·½ + ⅔·½.
    close(average_precision(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]), 0.5 + 1.0 / 3.0);
    // All tied: the precision of the whole.
    close(average_precision(&[(1.0, true), (1.0, false), (1.0, false), (1.0, true)]), 0.5);
    // 0.9 first (precision 1), then two tied of which one counts (precision 2/3).
    close(average_precision(&[(0.9, true), (0.5, true), (0.5, false), (0.1, false)]), 0.5 + 1.0 / 3.0);
    assert_eq!(average_precision(&[(0.9, false)]), None);
}

#[test]
fn figures_agree_with_pair_counting_on_random_scores() {
    let mut state = 3_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 40
    };
    let items: Vec<(f64, bool)> = (0..400).map(|_| ((next() % 37) as f64, next() % 5 == 0)).collect();
    let (mut wins, mut pairs) = (0.0, 0.0);
    for positive in items.iter().filter(|item| item.1) {
        for negative in items.iter().filter(|item| !item.1) {
            pairs += 1.0;
            wins += if positive.0 > negative.0 {
                1.0
            } else if positive.0 == negative.0 {
                0.5
            } else {
                0.0
            };
        }
    }
    assert!((auroc(&items).expect("both classes") - wins / pairs).abs() < 1e-12);
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(weights: &str, labels: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("weights.csv"), weights).expect("writes");
        std::fs::write(folder.path().join("labels.csv"), labels).expect("writes");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn error(&self) -> String {
        let error = evaluate(&self.path("weights.csv"), &self.path("labels.csv")).expect_err("must fail").to_string();
        error.replace(&self.folder.path().display().to_string(), "…")
    }
}

const WEIGHTS: &str = "\
row,id,score,pull,push,weight,loss_weight,rank,decision
0,a,0.9,0,0,0.1,0,1,dropped
1,b,0.5,0,0,0.5,1,2,kept
3,c,0.5,0,0,0.7,1,3,kept-by-hand
4,d,0.1,0,0,1.7,0,4,dropped-by-hand
5,e,-2e-1,0,0,2,1,5,kept
";

#[test]
fn the_cut_is_measured_over_labelled_rows() {
    let files =
        Files::new(WEIGHTS, "index,_label,_src\n0,harmful,x\n1,harmful,x\n2,harmful,x\n3,benign,x\n4,safe_refusal,\n");
    let figures = evaluate(&files.path("weights.csv"), &files.path("labels.csv")).expect("evaluates");
    assert_eq!((figures.rows, figures.harmful, figures.unlabelled, figures.unmatched), (4, 2, 1, 1));
    assert_eq!(figures.kept, 2);
    // 0.9 beats both; 0.5 ties with row 3 and beats row 4.
    close(figures.auroc_score, 3.5 / 4.0);
    close(figures.auroc_weight, 1.0);
    close(figures.average_precision_score, 0.5 + 1.0 / 3.0);
    close(figures.average_precision_weight, 1.0);
    close(figures.harmful_recall, 0.5);
    close(figures.residual_contamination, 0.5);
    close(figures.benign_retention, 0.5);
}

#[test]
fn one_class_has_no_ranking_figures() {
    let files = Files::new(WEIGHTS, "index,_label\n0,benign\n");
    let figures = evaluate(&files.path("weights.csv"), &files.path("labels.csv")).expect("evaluates");
    assert_eq!((figures.auroc_score, figures.average_precision_score, figures.harmful_recall), (None, None, None));
    assert_eq!((figures.kept, figures.residual_contamination, figures.benign_retention), (0, None, Some(0.0)));
}

#[test]
fn errors_name_file_line_and_column() {
    for (labels, expected) in [
        ("idx,_label\n0,harmful\n", "…/labels.csv: line 1, column index: this column is missing from the header"),
        (
            "index,_label\n0,harmful\nx,benign\n",
            "…/labels.csv: line 3, column index: must be a whole number of at least 0, not `x`",
        ),
        ("index,_label\n0,harmful\n0,benign\n", "…/labels.csv: line 3, column index: row 0 has a label already"),
        ("index,_label\n0,\n", "…/labels.csv: line 2, column _label: the label is empty"),
        ("index,_label\n0,harmful,x\n", "…/labels.csv: line 2: has 3 fields where the header has 2"),
        ("", "…/labels.csv: line 1, column index: this column is missing from the header"),
    ] {
        assert_eq!(Files::new(WEIGHTS, labels).error(), expected);
    }
    for (weights, expected) in [
        (
            "row,score,weight,decision\n0,NaN,1,kept\n",
            "…/weights.csv: line 2, column score: must be a number, not `NaN`",
        ),
        (
            "row,score,weight,decision\n0,1,1,perhaps\n",
            "…/weights.csv: line 2, column decision: must be kept, dropped, kept-by-hand or dropped-by-hand",
        ),
        (
            "row,score,weight,decision\n1,1,1,kept\n1,1,1,kept\n",
            "…/weights.csv: line 3, column row: row 1 does not ascend",
        ),
    ] {
        assert_eq!(Files::new(weights, "index,_label\n0,harmful\n").error(), expected);
    }
    let strangers = Files::new(WEIGHTS, "index,_label\n77,harmful\n").error();
    assert!(strangers.contains("have no row in common"), "{strangers}");
    let folder = tempfile::tempdir().expect("a folder");
    let missing = evaluate(&folder.path().join("w.csv"), &folder.path().join("l.csv")).expect_err("must fail");
    assert!(missing.to_string().contains("l.csv"), "{missing}");
}
