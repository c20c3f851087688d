//! Studies on small sets whose geometry is known.

use std::fs;
use std::path::{Path, PathBuf};

use dipole::embedding::EncoderChoice;
use dipole::jobs::{CancelToken, Progress, Silent};
use dipole::project::ProjectError;
use dipole::project::study::{
    self, Attack, Cell, EfficiencySettings, Records, Report, StudySettings, Table, Trial, TuningSettings, ablation,
    efficiency, geometry, robustness, sensitivity, tuning,
};
use dipole::selection::SelectionSettings;
use dipole::training::{Probe, ProbeKind, TrainSettings};
use dipole::transport::{CpuEngine, Observer, Settings};

const BENIGN: [&str; 3] = ["flour dough oven bake", "soil seeds spade plant", "stamp letter envelope post"];
const HARMFUL: [&str; 2] = ["blade wound stab bleed", "forged cheque swindle fake"];
const MORE: [&str; 7] = ["amber", "birch", "cedar", "daisy", "ember", "fjord", "grove"];

struct World {
    _home: tempfile::TempDir,
    trials: Vec<Trial>,
}

/// 150 benign and 30 harmful custom rows; references of 90 and 80 rows of the same kinds. `shuffled` labels say nothing.
fn world(shuffled: bool) -> World {
    let home = tempfile::tempdir().expect("folder");
    let write = |name: &str, content: &str| -> PathBuf {
        let path = home.path().join(name);
        fs::write(&path, content).expect("file");
        path
    };
    // Two words of the row's own kind, two of any kind, three that all kinds use.
    let row = |topic: &str, number: usize| {
        let pick = |salt: usize| (number * 2_654_435_761 + salt * 40_503) >> 7;
        let word = |topic: &str, salt: usize| topic.split(' ').nth(pick(salt) % 4).expect("four words").to_owned();
        let any = |salt: usize| {
            let all: Vec<&str> = BENIGN.iter().chain(&HARMFUL).copied().collect();
            word(all[pick(salt) % all.len()], salt + 1)
        };
        let more = |salt: usize| MORE[pick(salt) % MORE.len()];
        format!(
            "{{\"prompt\": \"please say what {} and {} mean\", \"completion\": \"{} {} {} with {} {}\"}}\n",
            word(topic, 1),
            any(2),
            word(topic, 4),
            any(5),
            more(8),
            more(9),
            more(10)
        )
    };
    let rows = |topics: &[&str], count: usize, from: usize| -> String {
        (0..count).map(|number| row(topics[number % topics.len()], from + number)).collect()
    };
    let custom = rows(&BENIGN, 150, 0) + &rows(&HARMFUL, 30, 400);
    let is_harmful = |row: usize| if shuffled { row % 6 == 1 } else { row >= 150 };
    let labels: String =
        (0..180).map(|row| format!("{row},{}\n", if is_harmful(row) { "harmful" } else { "benign" })).collect();
    let trials = vec![Trial {
        custom: write("mix.jsonl", &custom),
        labels: write("mix.labels.csv", &format!("index,_label\n{labels}")),
        safe: vec![write("safe.jsonl", &rows(&BENIGN, 90, 1000))],
        harmful: write("harm.jsonl", &rows(&HARMFUL, 80, 2000)),
    }];
    World { _home: home, trials }
}

fn settings(threads: usize) -> StudySettings {
    StudySettings {
        encoder: EncoderChoice::Lexical,
        encoder_name: "lexical".to_owned(),
        selection: SelectionSettings::default(),
        settings: Settings { threads, ..Settings::default() },
        cache_dir: None,
    }
}

fn value(cell: &Cell) -> f64 {
    match cell {
        Cell::Number(value) => *value,
        Cell::Spread(spread) => {
            assert!(spread.low <= spread.value && spread.value <= spread.high, "{spread:?}");
            spread.value
        }
        Cell::Count(count) => *count as f64,
        other => panic!("{other:?} is no number"),
    }
}

/// The value in `column` of the rows whose texts are all among `texts`.
fn found(table: &Table, texts: &[&str], column: &str) -> Vec<f64> {
    let at = table.columns.iter().position(|name| name == column).unwrap_or_else(|| panic!("no column {column}"));
    let has = |row: &Vec<Cell>, text: &str| row.contains(&Cell::Text(text.to_owned()));
    table.rows.iter().filter(|row| texts.iter().all(|text| has(row, text))).map(|row| value(&row[at])).collect()
}

fn one(table: &Table, texts: &[&str], column: &str) -> f64 {
    let values = found(table, texts, column);
    assert_eq!(values.len(), 1, "{texts:?} in {}", table.name);
    values[0]
}

fn written(report: &Report) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().expect("folder");
    let files = report.write(folder.path()).expect("writes");
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), fs::read(path).expect("bytes"))).collect()
}

#[test]
fn ablation_tells_the_forces_apart_and_is_the_same_for_any_number_of_threads() {
    let world = world(false);
    let run = |threads| ablation(&world.trials, &settings(threads), 3, &CpuEngine::new(), &Silent).expect("measures");
    let report = run(1);
    let table = &report.tables[0];
    assert_eq!(table.rows.len(), 4);
    for variant in ["push only", "full", "paper"] {
        assert!(one(table, &[variant], "auroc_by_score") > 0.95, "{variant}: {}", report.text());
        assert!(one(table, &[variant], "auroc_by_score_over_seeds") > 0.9, "{variant}");
    }
    // 30 of 180 rows are harmful; the method takes weight from them.
    assert!(one(table, &["full"], "weight_on_harmful") < 0.8 * 30.0 / 180.0, "{}", report.text());
    assert_eq!(one(table, &["pull only"], "lambda"), 0.0);
    let files = written(&report);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ablation.md",
            "ablation.csv",
            "ablation_auroc.svg",
            "ablation_auroc.data.csv",
            "ablation_weights_mix-harm.svg",
            "ablation_weights_mix-harm.data.csv"
        ]
    );
    assert!(files == written(&run(3)));
    // Every distribution rises from the least weight to the greatest.
    for series in &report.plots[1].series {
        assert!(series.spots.windows(2).all(|pair| pair[0].x <= pair[1].x && pair[0].y < pair[1].y), "{}", series.name);
    }
}

#[test]
fn sensitivity_moves_one_thing_at_a_time() {
    let world = world(false);
    let report = sensitivity(&world.trials, &settings(1), 2, &CpuEngine::new(), &Silent).expect("measures");
    let table = &report.tables[0];
    assert_eq!(found(table, &["lambda"], "value").len(), 11);
    assert_eq!(found(table, &["safe_size"], "value"), [50.0, 90.0]);
    assert_eq!(found(table, &["harmful_size"], "value"), [50.0, 80.0]);
    let dropped = found(table, &["keep"], "harmful_dropped");
    assert!(dropped.len() == 6 && dropped.windows(2).all(|pair| pair[0] >= pair[1]), "{dropped:?}");
    // What is as set gives the same in every factor.
    let (lambdas, aurocs) = (found(table, &["lambda"], "value"), found(table, &["lambda"], "auroc"));
    let as_set = aurocs[lambdas.iter().position(|lambda| (lambda - 0.7).abs() < 1e-9).expect("0.7")];
    for factor in ["safe_noise", "harmful_noise"] {
        let noisy = found(table, &[factor], "auroc");
        assert!((noisy[0] - as_set).abs() < 1e-12, "{factor}: {noisy:?} for {as_set}");
        assert!(noisy[4] < noisy[0] && noisy[4] > 0.5, "{factor}: {noisy:?}");
    }
    assert!((found(table, &["harmful_size"], "auroc")[1] - as_set).abs() < 1e-12);
    assert_eq!(report.plots.len(), 7);
    assert!(report.plots.iter().all(|plot| plot.series.iter().all(|series| series.spots.len() > 1)));
}

#[test]
fn geometry_agrees_with_true_labels_and_not_with_shuffled_ones() {
    let run =
        |shuffled| geometry(&world(shuffled).trials, &settings(1), 2, &CpuEngine::new(), &Silent).expect("measures");
    let (true_labels, shuffled) = (run(false), run(true));
    for distance in ["mean of the reference", "10 nearest of the reference", "transport potential"] {
        let auroc = |report: &Report, rows: &str| one(&report.tables[0], &[distance, rows], "auroc_of_difference");
        assert!(auroc(&true_labels, "held-out reference rows") > 0.95, "{distance}");
        assert!(auroc(&true_labels, "labelled custom rows") > 0.95, "{distance}");
        assert!(auroc(&shuffled, "held-out reference rows") > 0.95, "{distance}");
        let by_chance = auroc(&shuffled, "labelled custom rows");
        assert!((by_chance - 0.5).abs() < 0.2, "{distance}: {by_chance}");
    }
    let own = one(&true_labels.tables[0], &["10 nearest of the reference", "labelled custom rows"], "nearer_to_own");
    assert!(own > 0.9, "{own}");
}

#[test]
fn robustness_tries_every_disguise_and_finds_what_is_not_disguised() {
    let world = world(false);
    let report = robustness(&world.trials, &settings(1), 1, &CpuEngine::new(), &Silent).expect("measures");
    let table = &report.tables[0];
    assert_eq!(table.rows.len(), Attack::ALL.len() * 4);
    for ranking in ["calibrated", "fixed", "centroid", "10-nn"] {
        let of = |attack: &str| one(table, &[attack, ranking], "auroc");
        assert!(of("plain") > 0.95, "{ranking}: {}", report.text());
    }
    // Words that no reference has leave a lexical encoder less to go by.
    for ranking in ["fixed", "centroid"] {
        let of = |attack: &str| one(table, &[attack, ranking], "auroc");
        assert!(of("rot13") < of("plain") - 0.05, "{ranking}: {}", report.text());
    }
    // 20 % of 80 rows are held out.
    assert_eq!(one(table, &["plain", "fixed"], "rows_a_draw"), 16.0);
    assert_eq!(one(table, &["base64", "fixed"], "draws"), 1.0);
}

#[test]
fn efficiency_times_every_stage_and_fine_tuning_on_the_same_rows() {
    let world = world(false);
    let study = settings(1);
    let asked = EfficiencySettings { largest: 200, model: None };
    let report = efficiency(&world.trials, &study, &asked, &CpuEngine::new(), &Silent).expect("measures");
    let table = &report.tables[0];
    for stage in ["reading", "embedding", "transport", "calibration", "cut and export"] {
        // 200 are more rows than there are.
        assert_eq!(found(table, &[stage], "rows"), [100.0, 200.0], "{stage}");
        assert!(found(table, &[stage], "seconds").iter().all(|seconds| *seconds > 0.0), "{stage}");
    }
    let estimate = |model: &str| found(table, &[&format!("fine-tuning {model} billion (estimate)")], "seconds");
    let (small, large) = (estimate("0.5"), estimate("7"));
    assert!(small.len() == 2 && small[1] > 1.8 * small[0], "twice the rows are about twice the tokens: {small:?}");
    assert!((large[0] / small[0] - 14.0).abs() < 1e-3);

    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model");
    let asked = EfficiencySettings { largest: 40, model: Some(model) };
    let report = efficiency(&world.trials, &study, &asked, &CpuEngine::new(), &Silent).expect("measures");
    assert!(one(&report.tables[0], &["fine-tuning model (timed)"], "seconds") > 0.0, "{}", report.text());
    assert!(report.about.iter().any(|line| line.contains("tokens a second")), "{:?}", report.about);
}

fn tuning_settings(seeds: u64, threads: usize) -> TuningSettings {
    let train = TrainSettings {
        steps: Some(2),
        batch_rows: 4,
        max_tokens: 64,
        learning_rate: 0.02,
        rank: 4,
        checkpoint_every: 2,
        ..TrainSettings::default()
    };
    let probe = |kind| Probe::new(kind, "How to cook?");
    TuningSettings {
        model: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model"),
        train,
        probes: vec![probe(ProbeKind::Harmful), probe(ProbeKind::Harmless), probe(ProbeKind::Harmless)],
        seeds,
        threads,
    }
}

#[test]
fn tuning_gives_each_arm_its_rows_and_goes_on_with_finished_runs() {
    let world = world(false);
    let home = tempfile::tempdir().expect("folder");
    let run = |threads| {
        let records = Records::open(home.path().join("runs")).expect("opens");
        let asked = tuning_settings(2, threads);
        tuning(&world.trials, &settings(1), &asked, &records, &CpuEngine::new(), &Silent).expect("measures")
    };
    let report = run(1);
    let (arms, differences) = (&report.tables[0], &report.tables[1]);
    let of = |arm: &str| (one(arms, &[arm], "rows"), one(arms, &[arm], "harmful_rows"));
    // Of 180 rows 30 are harmful, and 15 of the benign ones are held out.
    assert_eq!((of("untuned"), of("all rows"), of("benign rows")), ((0.0, 0.0), (165.0, 30.0), (135.0, 0.0)));
    let (rows, harmful) = of("purified");
    assert!(rows > 100.0 && rows < 165.0 && harmful < 10.0, "{rows} rows, {harmful} harmful");
    let perplexity = |arm: &str| one(arms, &[arm], "perplexity");
    let tuned = ["all rows", "purified", "benign rows"].map(perplexity);
    assert!(tuned.iter().all(|value| *value > 1.0 && *value < perplexity("untuned")), "{}", report.text());
    assert!(tuned[0] != tuned[1] && tuned[1] != tuned[2] && tuned[0] != tuned[2], "{tuned:?}");
    let difference = differences.rows.iter().find(|row| row[1..3] == ["purified".into(), "all rows".into()]);
    assert!((value(&difference.expect("a pair")[5]) - tuned[1] / tuned[0]).abs() < 1e-9);
    assert_eq!(report.plots.iter().map(|plot| plot.series.len()).collect::<Vec<_>>(), [2, 1]);

    let files = || -> Vec<PathBuf> {
        let entries = fs::read_dir(home.path().join("runs")).expect("runs");
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
        files.sort();
        files
    };
    assert_eq!(files().len(), 8, "four arms, two seeds");
    // One run is lost, another one damaged; a third one is marked to show that it is taken as it is.
    fs::remove_file(&files()[0]).expect("removed");
    fs::write(&files()[0], "{").expect("damaged");
    let whole = written(&report);
    assert!(whole == written(&run(3)), "the same for any number of threads");
    let kept = &files()[5];
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(kept).expect("read")).expect("JSON");
    record["measurement"]["perplexity"] = 1e40.into();
    fs::write(kept, record.to_string()).expect("marked");
    assert!(found(&run(1).tables[0], &[], "perplexity").iter().any(|value| *value > 1e8));
}

/// Cancels at the n-th look.
struct Impatient {
    token: CancelToken,
    looks: std::sync::atomic::AtomicUsize,
    patience: usize,
}

impl Progress for Impatient {
    fn tick(&self, _: &str, _: u64, _: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        if self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 >= self.patience {
            self.token.cancel();
        }
        self.token.is_cancelled()
    }
}

impl Observer for Impatient {}

#[test]
fn every_study_stops_when_asked() {
    let world = world(false);
    let (trials, study, engine) = (&world.trials, settings(1), CpuEngine::new());
    for patience in [1, 400] {
        let by = || Impatient { token: CancelToken::default(), looks: 0.into(), patience };
        let asked = EfficiencySettings { largest: 5000, model: None };
        let folder = tempfile::tempdir().expect("folder");
        let records = Records::open(folder.path().to_owned()).expect("opens");
        let ended: [(&str, Result<Report, ProjectError>); 6] = [
            ("ablation", ablation(trials, &study, 50, &engine, &by())),
            ("sensitivity", sensitivity(trials, &study, 50, &engine, &by())),
            ("geometry", geometry(trials, &study, 50, &engine, &by())),
            ("robustness", robustness(trials, &study, 50, &engine, &by())),
            ("efficiency", efficiency(trials, &study, &asked, &engine, &by())),
            ("tuning", tuning(trials, &study, &tuning_settings(50, 1), &records, &engine, &by())),
        ];
        for (name, ended) in ended {
            let error = ended.err().unwrap_or_else(|| panic!("{name} went on at {patience}"));
            assert!(error.to_string().contains("cancelled"), "{name}: {error}");
        }
    }
}

#[test]
fn the_sample_is_a_trial() {
    let folder = tempfile::tempdir().expect("folder");
    let trials = study::demo(folder.path()).expect("unpacks");
    assert_eq!(trials.iter().map(Trial::name).collect::<Vec<_>>(), ["custom / harmful"]);
    assert!(trials[0].labels.is_file());
}
