//! Harmful rows in disguise: does a ranking still find them?
//!
//! Purpose: rows of the harmful reference are held out, disguised, and put among the custom rows; the ranking sees only
//! the rest of the reference, undisguised. Constraint: every ranking has the same rows and vectors; rows that labels call
//! harmful count neither for nor against.

use super::attacks::Attack;
use super::sample::{Potentials, Quiet, cut, draw, gather, labelled, others, points};
use super::{Ground, Plot, Report, Scale, Series, Shape, Spot, Spread, StudySettings, Table, Trial};
use crate::embedding::{EmbedSettings, EmbeddingError, Embeddings, Texts, View, embed};
use crate::jobs::Progress;
use crate::project::ProjectError;
use crate::project::pipeline::texts;
use crate::selection::auroc;
use crate::selection::baselines::{self, Baseline, Material};
use crate::selection::calibration::{CalibrationSettings, calibrate};
use crate::transport::{CheckedSettings, Engine, Observer, Points, Problem};

/// Share of the harmful reference that is disguised.
const HELD_OUT: f64 = 0.2;
/// Of the custom rows at most this share is put among them.
const MOST_OF_CUSTOM: f64 = 0.1;
const RANKINGS: [&str; 4] = ["calibrated", "fixed", "centroid", "10-nn"];

/// Rows made here.
struct Disguised {
    /// Prompt and response.
    rows: Vec<[String; 2]>,
}

impl Texts for Disguised {
    fn name(&self) -> String {
        "disguised rows".to_owned()
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn text(&self, index: usize, view: View) -> Result<String, EmbeddingError> {
        let Some([prompt, response]) = self.rows.get(index) else {
            return Err(EmbeddingError::Set { set: self.name(), reason: format!("there is no row {index}") });
        };
        Ok(match view {
            View::Row => format!("{prompt}\n{response}"),
            View::Response => response.clone(),
            View::Prompt => prompt.clone(),
        })
    }
}

/// Figures of every attack and ranking, one a seed.
#[derive(Default)]
struct Figures {
    planted: usize,
    auroc: Vec<f64>,
    dropped: Vec<f64>,
}

/// Runs the study on every trial; each of `seeds` draws other rows.
///
/// # Errors
/// As [`super::measure`], and where a harmful reference is too small to be calibrated with.
pub fn robustness(
    trials: &[Trial],
    study: &StudySettings,
    seeds: u64,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Report, ProjectError> {
    let base = study.settings.clone().checked()?;
    let mut table = Table::new(
        "robustness",
        "Harmful rows in disguise",
        &["trial", "attack", "ranking", "rows_a_draw", "draws", "auroc", "dropped"],
    );
    let attacks = || Attack::ALL.iter().map(|attack| attack.name());
    let mut plots = Vec::new();
    let total = trials.len() as u64 * seeds.max(1) * Attack::ALL.len() as u64;
    for (at, trial) in trials.iter().enumerate() {
        let ground = Ground::open(trial, study, observer)?;
        let mut figures: Vec<Figures> = Vec::new();
        figures.resize_with(Attack::ALL.len() * RANKINGS.len(), Figures::default);
        for seed in 0..seeds.max(1) {
            let draw = Draw::new(&ground, study, base.seed.wrapping_add(seed), observer)?;
            for (number, _) in Attack::ALL.iter().enumerate() {
                let done = (at as u64 * seeds.max(1) + seed) * Attack::ALL.len() as u64 + number as u64;
                observer.tick("robustness", done, Some(total));
                let found = draw.rank(number, &ground, study, &base, engine, observer)?;
                for (ranking, found) in found.into_iter().enumerate() {
                    let Some((auroc, dropped)) = found else { continue };
                    if let Some(figures) = figures.get_mut(number * RANKINGS.len() + ranking) {
                        figures.planted = draw.planted;
                        figures.auroc.push(auroc);
                        figures.dropped.push(dropped);
                    }
                }
            }
        }
        let mut series: Vec<Series> = RANKINGS
            .iter()
            .enumerate()
            .map(|(colour, name)| Series { name: (*name).to_owned(), shape: Shape::Marks, colour, spots: Vec::new() })
            .collect();
        for (number, attack) in Attack::ALL.iter().enumerate() {
            for (ranking, name) in RANKINGS.iter().enumerate() {
                let Some(found) = figures.get(number * RANKINGS.len() + ranking) else { continue };
                let mean = |values: &[f64]| Spread::mean(values).map(Spread::within_unit);
                table.rows.push(vec![
                    ground.name.as_str().into(),
                    attack.name().into(),
                    (*name).into(),
                    found.planted.into(),
                    found.auroc.len().into(),
                    mean(&found.auroc).into(),
                    mean(&found.dropped).into(),
                ]);
                if let (Some(series), Some(mean)) = (series.get_mut(ranking), mean(&found.auroc)) {
                    series.spots.push(Spot::of(number as f64, mean));
                }
            }
        }
        plots.push(Plot {
            name: format!("robustness_{}", super::sample::slug(&ground.name)),
            title: format!("Disguised rows against other rows, {}", ground.name),
            x_label: "disguise".to_owned(),
            x: Scale::Names(attacks().map(str::to_owned).collect()),
            y_label: "AUROC (95 % interval over draws)".to_owned(),
            y: Scale::Linear,
            series,
        });
    }
    observer.tick("robustness", total, Some(total));
    Ok(Report {
        name: "robustness".to_owned(),
        about: vec![
            format!(
                "Encoder {}; λ = {}, ε = {} × median cost where fixed; {} kept; {seeds} draws from seed {}, mean and Student's 95 % interval.",
                study.encoder_name, base.lambda, base.epsilon, study.selection.keep, base.seed
            ),
            "20 % of the harmful reference, at most a tenth of the custom rows, is held out, disguised one way at a time, and put among the custom rows; the rest of the reference stays as it is.".to_owned(),
            "auroc: disguised rows against custom rows that no label calls harmful. dropped: share of the disguised rows that the cut drops.".to_owned(),
            "The disguises are made by this program from word lists and rules; people who attack do better.".to_owned(),
        ],
        tables: vec![table],
        plots,
    })
}

/// One draw of held-out rows with the vectors of everything.
struct Draw {
    /// Rows of one disguise.
    planted: usize,
    custom: Embeddings,
    disguised: Embeddings,
    safe: Embeddings,
    /// The harmful references that are left.
    harmful: Vec<f32>,
}

impl Draw {
    fn new(ground: &Ground, study: &StudySettings, seed: u64, observer: &dyn Observer) -> Result<Self, ProjectError> {
        let [custom, safe, harmful] = texts(&ground.sets);
        let most = ((MOST_OF_CUSTOM * custom.len() as f64) as usize).max(1);
        let count = ((HELD_OUT * harmful.len() as f64).round() as usize).clamp(1, most);
        let held = draw(harmful.len(), count, seed);
        let mut rows = Vec::with_capacity(Attack::ALL.len() * held.len());
        for attack in Attack::ALL {
            for (number, row) in held.iter().enumerate() {
                observer.check()?;
                let (prompt, response) = (harmful.text(*row, View::Prompt)?, harmful.text(*row, View::Response)?);
                rows.push(attack.apply(&prompt, &response, number));
            }
        }
        let disguised = Disguised { rows };
        let threads = match study.settings.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let settings = EmbedSettings {
            encoder: study.encoder.clone(),
            views: None,
            cache_dir: study.cache_dir.clone(),
            threads,
            seed: study.settings.seed,
        };
        let sets: [&dyn Texts; 4] = [&custom, &disguised, &safe, &harmful];
        let mut embedded = embed(&sets, &settings, observer as &dyn Progress)?.sets;
        embedded.iter_mut().for_each(give_direction);
        let Ok([custom, disguised, safe, harmful]) = <[Embeddings; 4]>::try_from(embedded) else {
            return Err(ProjectError::Inconsistent(
                "the encoder did not return four sets; please report it".to_owned(),
            ));
        };
        let harmful = gather(Points::from(&harmful), &others(harmful.rows(), &held));
        Ok(Self { planted: held.len(), custom, disguised, safe, harmful })
    }

    /// AUROC and the dropped share of disguise `number` by every ranking; `None` where there is no answer.
    fn rank(
        &self,
        number: usize,
        ground: &Ground,
        study: &StudySettings,
        base: &CheckedSettings,
        engine: &dyn Engine,
        observer: &dyn Observer,
    ) -> Result<[Option<(f64, f64)>; 4], ProjectError> {
        let dim = self.custom.dim();
        let own: Vec<usize> = (number * self.planted..(number + 1) * self.planted).collect();
        let mut data = self.custom.data().to_vec();
        data.extend(gather(Points::from(&self.disguised), &own));
        let problem = Problem {
            custom: points(&data, dim)?,
            safe: Points::from(&self.safe),
            harmful: points(&self.harmful, dim)?,
        };
        // Custom rows that are harmful by their labels are nobody's.
        let custom_labels = ground.labels.iter().map(|label| if *label == Some(true) { None } else { Some(false) });
        let labels: Vec<Option<bool>> = custom_labels.chain(own.iter().map(|_| Some(true))).collect();
        let judged = |score: &[f64]| -> Result<Option<(f64, f64)>, ProjectError> {
            let dropped = cut(score, &labels, study.selection.keep)?.recall;
            Ok(auroc(&labelled(score, &labels)).zip(dropped.map(|dropped| dropped.value)))
        };
        let all = 0..problem.harmful.rows;
        let grid = CalibrationSettings::default();
        let calibrated = calibrate(engine, &problem, std::slice::from_ref(&all), &grid, base, &Quiet(observer))?;
        let fixed = Potentials::solve(engine, &problem, base, base.epsilon, observer)?;
        let no_texts: Vec<String> = Vec::new();
        let material = Material { problem, custom_texts: &no_texts, safe_texts: &no_texts, seed: base.seed };
        let control = |baseline| baselines::score(baseline, &material, observer as &dyn Progress);
        Ok([
            judged(&calibrated.score)?,
            fixed.map(|found| judged(&found.score(base.lambda))).transpose()?.flatten(),
            judged(&control(Baseline::Centroid)?)?,
            judged(&control(Baseline::Neighbours)?)?,
        ])
    }
}

/// Rows that are empty to the encoder take the mean direction of their set and say nothing.
fn give_direction(vectors: &mut Embeddings) {
    let dim = vectors.dim();
    let mut mean = vec![0.0_f64; dim];
    for row in 0..vectors.rows() {
        mean.iter_mut().zip(vectors.row(row)).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let norm = mean.iter().map(|value| value * value).sum::<f64>().sqrt();
    if norm.is_nan() || norm <= 0.0 {
        return;
    }
    for row in vectors.data_mut().chunks_exact_mut(dim.max(1)).filter(|row| row.iter().all(|value| *value == 0.0)) {
        row.iter_mut().zip(&mean).for_each(|(value, sum)| *value = (sum / norm) as f32);
    }
}
