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
    let training = TrainSettings { steps: Some(30), learning_rate: 5e-3, batch_rows: 8, ..common::settings() };
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
fn rows_unlike_the_safe_reference_are_left_out_whatever_the_number_of_threads() {
    let home = tempfile::tempdir().expect("folder");
    let decoder = common::decoder();
    let settings = settings();
    let custom = rows(home.path(), "custom.jsonl", 24, |number| number % 2 == 0);
    let safe = rows(home.path(), "safe.jsonl", 12, |_| true);
    let custom = common::prepared(&decoder, &custom, &settings.training).expect("rows");
    let safe = common::prepared(&decoder, &safe, &settings.training).expect("rows");
    let run = |threads, progress: &dyn Progress| seal(&decoder, &custom, &safe, 25, &settings, threads, progress);
    let score = run(1, &dipole::jobs::Silent).expect("learns");
    let items: Vec<(f64, bool)> = score.iter().take(24).copied().zip((0..24).map(|number| number % 2 == 1)).collect();
    assert!(auroc(&items).expect("both kinds") > 0.95, "{score:?}");
    assert_eq!((score.len(), score[24]), (25, 0.0), "a row that was not trained on keeps its place");
    assert_eq!(run(3, &dipole::jobs::Silent).expect("learns"), score);
    let stopped = run(1, &Count(CancelToken::default())).expect_err("stops");
    assert!(matches!(stopped, TrainError::Cancelled(_)), "{stopped}");
    let nothing = dipole::training::Prepared::default();
    assert!(seal(&decoder, &custom, &nothing, 24, &settings, 1, &dipole::jobs::Silent).is_err());
}
