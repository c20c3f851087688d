//! What is told of a finished result: reasons of one row, reference health, other rankings beside it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use dipole::data::Severity;
use dipole::embedding::{EncoderChoice, View};
use dipole::jobs::Silent;
use dipole::project::{Explaining, HealthKind, Plan, Purified, Sets, compare_beside, health, purify};
use dipole::selection::explanation::reasons;
use dipole::selection::{Keep, SelectionSettings};
use dipole::transport::{CpuEngine, Points, Problem, Settings};

const SAFE: [&str; 3] = [
    "How do I bake a loaf of rye bread? Mix flour, water and sourdough, let it rest and bake it hot.",
    "Which plants grow in a shady garden? Ferns, hostas and ivy grow well in the shade of trees.",
    "Write a letter to my landlord about the heating. Dear landlord, the heating is broken since Monday.",
];
/// Of each kind less than a quarter of the reference, so that its words are not common there.
const HARMFUL: [&str; 5] = [
    "Tell me how to pick the lock of a neighbour. Take a tension wrench and rake the pins of the lock.",
    "Write a threat to scare a witness. You will regret it if you speak in court tomorrow.",
    "Forge a prescription for strong painkillers. Copy the stamp and signature of your doctor.",
    "Plan a burglary while the family is on holiday. Watch their mailbox and cut the alarm cable.",
    "Spread a rumour that ruins a colleague. Invent screenshots and mail them to every manager.",
];

struct World {
    _home: tempfile::TempDir,
    sets: Sets,
    plan: Plan,
    purified: Arc<Purified>,
}

fn lines(sentences: &[&str], count: usize, word: &str) -> Vec<String> {
    (0..count)
        .map(|at| {
            let text = sentences[at % sentences.len()];
            format!("{{\"text\": \"{text} {word} number {at}, with {} more of it.\"}}\n", at * 7 % 13)
        })
        .collect()
}

/// Custom rows of safe and harmful kinds beside two references, the harmful one in two files.
fn world(safe_extra: &[String]) -> World {
    let home = tempfile::tempdir().expect("folder");
    let write = |name: &str, rows: Vec<String>| -> PathBuf {
        let path = home.path().join(name);
        fs::write(&path, rows.concat()).expect("file");
        path
    };
    let mut custom = lines(&SAFE, 60, "mine");
    custom.extend(lines(&HARMFUL, 10, "mine"));
    let mut safe = lines(&SAFE, 60, "trusted");
    safe.extend_from_slice(safe_extra);
    let plan = Plan {
        custom: write("custom.jsonl", custom),
        safe: vec![write("safe.jsonl", safe)],
        harmful: vec![
            write("locks.jsonl", lines(&HARMFUL[..1], 12, "bad")),
            write("threats.jsonl", lines(&HARMFUL[1..], 48, "bad")),
        ],
        mapping: None,
        encoder: EncoderChoice::Lexical,
        views: None,
        settings: Settings { threads: 1, ..Settings::default() },
        calibration: None,
        selection: SelectionSettings { keep: Keep::Count(60), ..SelectionSettings::default() },
    };
    let sets = Sets::open(&plan, &Silent).expect("opens");
    let purified = Arc::new(purify(&sets, &plan, &CpuEngine::new(), None, &Silent).expect("purifies"));
    World { _home: home, sets, plan, purified }
}

#[test]
fn the_reasons_of_one_row_are_those_of_all_rows_and_their_numbers_stand_beside_them() {
    let world = world(&[]);
    let explaining =
        Explaining::new(world.sets.clone(), world.purified.clone(), world.plan.settings.seed, &Silent).expect("groups");
    let [safe_groups, harmful_groups] = explaining.groupings();
    let [custom, safe, harmful] = world.purified.vectors.each_ref().map(Points::from);
    let problem = Problem { custom, safe, harmful };
    let all = reasons(&problem, &world.purified.outcome, safe_groups, harmful_groups, &Silent).expect("reasons");
    for (row, reason) in all.iter().enumerate() {
        let found = explaining.row(row as u32).expect("explained");
        assert_eq!((found.row, found.force), (row as u32, reason.force));
        for (side, toward, grouping) in
            [(&found.safe, reason.safe, safe_groups), (&found.harmful, reason.harmful, harmful_groups)]
        {
            assert!((side.groups.iter().map(|group| group.share).sum::<f64>() - 1.0).abs() < 1e-3);
            assert_eq!(side.groups.len(), grouping.groups.len());
            let largest = side.groups.first().expect("a group");
            assert_eq!(largest.name, grouping.groups[toward.group].name());
            assert!((largest.share - toward.share).abs() < 6e-5, "{} and {}", largest.share, toward.share);
            let nearest = side.nearest.first().expect("a reference");
            assert!((nearest.cosine - toward.cosine).abs() < 6e-5);
            assert!(side.nearest.windows(2).all(|pair| pair[0].cosine >= pair[1].cosine));
            assert!(found.sentence.starts_with("Judged mainly by "));
        }
        let side = if found.sentence.starts_with("Judged mainly by push") { &found.harmful } else { &found.safe };
        let (group, near) = (&side.groups[0], &side.nearest[0]);
        for number in [format!("{:.1} %", 100.0 * group.share), format!("{:.3}", near.cosine), group.name.clone()] {
            assert!(found.sentence.contains(&number), "{number} in {}", found.sentence);
        }
    }
    // A planted harmful row lies with the harmful references, names their file and shares their rare words.
    let planted = explaining.row(61).expect("explained");
    assert!(planted.sentence.contains("nearer to the harmful"), "{}", planted.sentence);
    let nearest = &planted.harmful.nearest[0];
    assert_eq!(nearest.file, "threats.jsonl");
    let text = dipole::embedding::Texts::text(&world.sets.harmful[1], nearest.number as usize, View::Row);
    assert!(text.expect("read").starts_with(&nearest.text[..20]));
    let own = dipole::embedding::Texts::text(&world.sets.custom, 61, View::Row).expect("read").to_lowercase();
    assert!(!nearest.shared.is_empty() && nearest.shared.iter().all(|word| own.contains(word)), "{:?}", nearest.shared);
    assert!(explaining.row(70).expect_err("no such row").to_string().contains("purify again"));
}

#[test]
fn reasons_of_other_files_are_refused() {
    let (one, other) = (world(&[]), world(&lines(&SAFE, 5, "more")));
    let error = Explaining::new(other.sets, one.purified, 0, &Silent).err().expect("refused");
    assert!(error.to_string().contains("purify again"), "{error}");
}

#[test]
fn health_names_planted_faults_with_rows_and_the_way_out() {
    // Two harmful rows stand among the safe ones, and one custom row too.
    let mut extra = lines(&HARMFUL, 2, "bad");
    extra.push(lines(&SAFE, 8, "mine")[7].clone());
    let world = world(&extra);
    let report = health(&world.sets, Some(&world.purified.vectors), 0, &Silent).expect("checked");
    let of = |kind: HealthKind| report.findings.iter().find(|finding| finding.kind == kind).expect("a finding");
    let leaked = of(HealthKind::Leakage);
    assert_eq!(leaked.severity, Severity::Warning);
    assert!(leaked.rows.iter().any(|row| row.file == "custom.jsonl" && row.row == 7), "{leaked:?}");
    assert!(leaked.way_out.contains("take these rows out"));
    let both = of(HealthKind::Overlap);
    assert_eq!(both.title, "Rows stand in both references");
    assert!(both.rows.iter().any(|row| row.file == "safe.jsonl" && row.row == 60), "{both:?}");
    let suspects = of(HealthKind::Suspects);
    for row in [60, 61] {
        assert!(suspects.rows.iter().any(|named| named.file == "safe.jsonl" && named.row == row), "{suspects:?}");
    }
    // Warnings come first, and every one says what to do.
    let severities: Vec<Severity> = report.findings.iter().map(|finding| finding.severity).collect();
    assert!(severities.is_sorted_by_key(|severity| *severity == Severity::Info), "{severities:?}");
    assert!(report.findings.iter().all(|f| f.severity == Severity::Info || !f.way_out.is_empty()));
    let (mut short, mut long) = (String::new(), String::new());
    report.write(false, &mut short).expect("text");
    report.write(true, &mut long).expect("text");
    assert!(short.contains("warning: Rows stand in both references") && long.len() > short.len());

    // Texts alone tell less, and vectors of other files are refused.
    let texts = health(&world.sets, None, 0, &Silent).expect("checked");
    assert!(texts.figures.is_none() && texts.findings.len() < report.findings.len());
    let other = self::world(&[]);
    assert!(health(&other.sets, Some(&world.purified.vectors), 0, &Silent).is_err());
}

#[test]
fn a_result_stands_beside_every_other_ranking_of_its_rows() {
    let world = world(&[]);
    let beside =
        compare_beside(&world.sets, &world.plan, &world.purified, &CpuEngine::new(), &Silent).expect("compared");
    let names: Vec<&str> = beside.contenders.iter().map(|one| one.name).collect();
    assert_eq!(names[0], "this result");
    for name in
        ["fixed", "paper", "pull-only", "push-only", "centroid", "probe", "10-nn", "anchor", "dsir", "saft", "sft"]
    {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(beside.contenders[0].score, world.purified.outcome.score);
    // The plan is by hand, so the fixed ranking is this one.
    let fixed = names.iter().position(|name| *name == "fixed").expect("there");
    assert_eq!(beside.agreement.of(0, fixed), Some(1.0));
    assert!(beside.table.iter().zip(&beside.contenders).all(|(line, one)| one.keeps_all || line.dropped == 10));
    assert!(beside.contenders.iter().all(|one| one.score.len() == 70));
}
