//! SEAL on a tiny model and rows of two kinds.

use std::path::Path;

use dipole::jobs::{CancelToken, Progress};
use dipole::selection::auroc;
use dipole::training::{SealSettings, TrainError, TrainSettings, seal};
use serde_json::json;

use super::common;

/// Half of the rows are of the kind that the safe reference has.
fn rows(folder: &Path, name: &str, count: usize, is_like_safe: impl Fn(usize) -> bool) -> std::path::PathBuf {
    let path = folder.join(name);
    let line = |number: usize| {
        let answer = if is_like_safe(number) { "boil eggs in water and wait" } else { "zz qq xx jj kk vv zz qq" };
        json!({ "prompt": format!("How to cook {number}?"), "completion": answer }).to_string()
    };
    let text: Vec<String> = (0..count).map(line).collect();
    std::fs::write(&path, text.join("\n") + "\n").expect("writes");
    path
}

fn settings() -> SealSettings {
    // All rows in every batch: the sign of the selector's gradient is that of a row's loss beside the mean.
    let training = TrainSettings { steps: Some(60), learning_rate: 2e-2, batch_rows: 12, ..common::settings() };
    SealSettings { training, selector_rate: 2e-2, ..SealSettings::default() }
}

struct Count(CancelToken);

impl Progress for Count {
    fn tick(&self, _: &str, done: u64, _: Option<u64>) {
        if done >= 3 {
            self.0.cancel();
        }
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

#[test]
fn rows_like_the_safe_reference_are_kept_whatever_the_number_of_threads() {
    let home = tempfile::tempdir().expect("folder");
    let decoder = common::decoder();
    let settings = settings();
    let prepared = |path: std::path::PathBuf| common::prepared(&decoder, &path, &settings.training).expect("rows");
    let custom = prepared(rows(home.path(), "custom.jsonl", 12, |number| number % 2 == 0));
    let run = |is_eggs: bool, threads, progress: &dyn Progress| {
        let safe = prepared(rows(home.path(), "safe.jsonl", 12, |_| is_eggs));
        seal(&decoder, &custom, &safe, 13, &settings, threads, progress)
    };
    // The same rows are judged by what the safe reference is.
    let eggs = run(true, 1, &dipole::jobs::Silent).expect("learns");
    let letters = run(false, 1, &dipole::jobs::Silent).expect("learns");
    let separation = |score: &[f64], is_safe: fn(usize) -> bool| {
        let items: Vec<(f64, bool)> = score.iter().take(12).copied().zip((0..12).map(|row| !is_safe(row))).collect();
        auroc(&items).expect("both kinds")
    };
    assert!(separation(&eggs, |row| row % 2 == 0) > 0.95, "{eggs:?}");
    assert!(separation(&letters, |row| row % 2 == 1) > 0.95, "{letters:?}");
    assert_eq!((eggs.len(), eggs[12]), (13, 0.0), "a row that was not trained on keeps its place");
    assert_eq!(run(true, 3, &dipole::jobs::Silent).expect("learns"), eggs);
    let stopped = run(true, 1, &Count(CancelToken::default())).expect_err("stops");
    assert!(matches!(stopped, TrainError::Cancelled(_)), "{stopped}");
    let nothing = dipole::training::Prepared::default();
    assert!(seal(&decoder, &custom, &nothing, 13, &settings, 1, &dipole::jobs::Silent).is_err());
}
