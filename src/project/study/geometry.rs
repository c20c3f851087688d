//! Do distances to the two references agree with labels?
//!
//! Purpose: the method stands on the geometry of the vectors, so that is looked at by itself: rows of each reference that
//! were held out, and the labelled custom rows, by three distances to the two references. Constraint: strips of fixed
//! size, no n×m matrix.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::sample::{Potentials, draw, gather, others, points, slug};
use super::{Cell, Ground, Plot, Report, Scale, Series, Shape, Spot, Spread, StudySettings, Table, Trial, delong};
use crate::jobs::Progress;
use crate::project::ProjectError;
use crate::transport::{CheckedSettings, Engine, Observer, Points, Problem};

/// Share of each reference that is held out.
const HELD_OUT: f64 = 0.2;
const NEIGHBOURS: usize = 10;
const STRIP: usize = 64;
const DISTANCES: [&str; 3] = ["mean of the reference", "10 nearest of the reference", "transport potential"];
const ROWS: [&str; 2] = ["held-out reference rows", "labelled custom rows"];

/// Distances of rows to the safe and to the harmful reference.
struct Distances {
    safe: Vec<f64>,
    harmful: Vec<f64>,
}

/// Runs the study on every trial; each of `seeds` holds out 20 % of both references.
///
/// # Errors
/// As [`super::measure`].
pub fn geometry(
    trials: &[Trial],
    study: &StudySettings,
    seeds: u64,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<Report, ProjectError> {
    let base = study.settings.clone().checked()?;
    let pool = crate::transport::pool(base.threads)?;
    let mut table = Table::new(
        "geometry",
        "How far distances agree with labels",
        &[
            "trial",
            "distance",
            "rows",
            "count",
            "auroc_of_difference",
            "auroc_over_seeds",
            "auroc_to_safe",
            "auroc_to_harmful",
            "nearer_to_own",
        ],
    );
    let mut plots = Vec::new();
    let total = (trials.len() as u64) * seeds.max(1);
    let mut overview: Vec<Series> = Vec::new();
    for (at, trial) in trials.iter().enumerate() {
        let ground = Ground::open(trial, study, observer)?;
        let prepared = ground.prepare(study, observer)?;
        let problem = prepared.problem();
        // AUROC of every distance and kind of rows, one a seed.
        let mut over_seeds = vec![Vec::new(); DISTANCES.len() * ROWS.len()];
        let mut first: Vec<Vec<Cell>> = Vec::new();
        for seed in 0..seeds.max(1) {
            observer.tick("geometry", at as u64 * seeds.max(1) + seed, Some(total));
            let split = Split::new(&problem, base.seed.wrapping_add(seed));
            let all = pool.install(|| split.distances(&problem, engine, &base, observer))?;
            let labels = split.labels(&ground.labels);
            for (distance, found) in all.iter().enumerate() {
                for (kind, labels) in labels.iter().enumerate() {
                    let Some(found) = found else { continue };
                    let figures = Figures::new(found, labels);
                    if let (Some(auroc), Some(values)) =
                        (figures.difference, over_seeds.get_mut(distance * ROWS.len() + kind))
                    {
                        values.push(auroc.value);
                    }
                    if seed == 0 {
                        first.push(figures.row(&ground.name, distance, kind));
                    }
                }
            }
            if let (0, Some(Some(nearest))) = (seed, all.get(1)) {
                plots.push(scatter(&ground, nearest));
            }
        }
        for row in first {
            let mut row = row;
            let place =
                |names: &[&str], cell: Option<&Cell>| names.iter().position(|name| cell == Some(&Cell::from(*name)));
            let at_seeds = place(&DISTANCES, row.get(1)).zip(place(&ROWS, row.get(2)));
            let mean =
                at_seeds.and_then(|(distance, kind)| Spread::mean(over_seeds.get(distance * ROWS.len() + kind)?));
            if let Some(cell) = row.get_mut(5) {
                *cell = mean.map(Spread::within_unit).into();
            }
            table.rows.push(row);
        }
        for (distance, name) in DISTANCES.iter().enumerate() {
            for (kind, _) in ROWS.iter().enumerate() {
                let number = distance * ROWS.len() + kind;
                if overview.len() <= number {
                    let name = format!(
                        "{}: {}",
                        if kind == 0 { "held out" } else { "custom" },
                        name.replace(" of the reference", "")
                    );
                    overview.push(Series { name, shape: Shape::Marks, colour: number, spots: Vec::new() });
                }
                let mean = over_seeds.get(number).and_then(|values| Spread::mean(values)).map(Spread::within_unit);
                if let (Some(series), Some(mean)) = (overview.get_mut(number), mean) {
                    series.spots.push(Spot::of(at as f64, mean));
                }
            }
        }
    }
    observer.tick("geometry", total, Some(total));
    let overview = Plot {
        name: "geometry_auroc".to_owned(),
        title: "Nearer to the harmful than to the safe reference".to_owned(),
        x_label: "custom set / harmful reference".to_owned(),
        x: Scale::Names(trials.iter().map(Trial::name).collect()),
        y_label: "AUROC (95 % interval over seeds)".to_owned(),
        y: Scale::Linear,
        series: overview,
    };
    plots.insert(0, overview);
    Ok(Report {
        name: "geometry".to_owned(),
        about: vec![
            format!("Encoder {}; {seeds} seeds from {}, each holds out 20 % of both references.", study.encoder_name, base.seed),
            "auroc_of_difference: distance to the safe less distance to the harmful reference, the first seed, DeLong's 95 % interval; over_seeds: mean and Student's interval.".to_owned(),
            "auroc_to_safe and auroc_to_harmful: one distance alone. nearer_to_own: share of rows that are nearer to the reference of their own label (cosine distances; potentials have no common zero).".to_owned(),
        ],
        tables: vec![table],
        plots,
    })
}

/// Which rows of each reference are held out.
struct Split {
    safe_out: Vec<usize>,
    harmful_out: Vec<usize>,
}

impl Split {
    fn new(problem: &Problem<'_>, seed: u64) -> Self {
        let out = |rows: usize, seed: u64| {
            draw(rows, ((HELD_OUT * rows as f64).round() as usize).clamp(1, rows.max(2) - 1), seed)
        };
        Self {
            safe_out: out(problem.safe.rows, seed.wrapping_mul(2)),
            harmful_out: out(problem.harmful.rows, seed.wrapping_mul(2).wrapping_add(1)),
        }
    }

    /// Labels of the queries: custom rows, then held-out safe and harmful rows; one list counts the held-out rows, the
    /// other the custom ones.
    fn labels(&self, custom: &[Option<bool>]) -> [Vec<Option<bool>>; 2] {
        let held = self.safe_out.iter().map(|_| Some(false)).chain(self.harmful_out.iter().map(|_| Some(true)));
        let no_custom = vec![None; custom.len()];
        [
            no_custom.into_iter().chain(held.clone()).collect(),
            custom.iter().copied().chain(held.map(|_| None)).collect(),
        ]
    }

    /// By every distance; `None` where the potentials cannot be found.
    fn distances(
        &self,
        problem: &Problem<'_>,
        engine: &dyn Engine,
        base: &CheckedSettings,
        observer: &dyn Observer,
    ) -> Result<[Option<Distances>; 3], ProjectError> {
        let dim = problem.custom.dim;
        let mut queries = problem.custom.data.to_vec();
        queries.extend(gather(problem.safe, &self.safe_out));
        queries.extend(gather(problem.harmful, &self.harmful_out));
        let safe = gather(problem.safe, &others(problem.safe.rows, &self.safe_out));
        let harmful = gather(problem.harmful, &others(problem.harmful.rows, &self.harmful_out));
        let split =
            Problem { custom: points(&queries, dim)?, safe: points(&safe, dim)?, harmful: points(&harmful, dim)? };
        let by = |of: &dyn Fn(Points<'_>) -> Result<Vec<f64>, ProjectError>| -> Result<_, ProjectError> {
            Ok(Some(Distances { safe: of(split.safe)?, harmful: of(split.harmful)? }))
        };
        let to_mean = by(&|reference| Ok(to_mean(split.custom, reference)))?;
        let to_nearest = by(&|reference| to_nearest(split.custom, reference, observer as &dyn Progress))?;
        let potentials = Potentials::solve(engine, &split, base, base.epsilon, observer)?
            .map(|found| Distances { safe: found.pull, harmful: found.push });
        Ok([to_mean, to_nearest, potentials])
    }
}

/// 1 - z·mean of the reference.
fn to_mean(rows: Points<'_>, reference: Points<'_>) -> Vec<f64> {
    let mut mean = vec![0.0_f64; reference.dim];
    for row in reference.data.chunks_exact(reference.dim.max(1)) {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    mean.iter_mut().for_each(|sum| *sum /= reference.rows.max(1) as f64);
    let of_row = |row: &[f32]| 1.0 - row.iter().zip(&mean).map(|(value, mean)| f64::from(*value) * mean).sum::<f64>();
    rows.data.chunks_exact(rows.dim.max(1)).map(of_row).collect()
}

/// 1 - the mean cosine of the ten nearest references.
fn to_nearest(rows: Points<'_>, reference: Points<'_>, progress: &dyn Progress) -> Result<Vec<f64>, ProjectError> {
    let count = NEIGHBOURS.min(reference.rows).max(1);
    let strips: Vec<Vec<f64>> = rows
        .data
        .par_chunks(STRIP * rows.dim.max(1))
        .map(|strip| {
            progress.check()?;
            let number = strip.len() / rows.dim.max(1);
            let mut cosines = vec![0.0f32; number * reference.rows];
            matmul(
                MatMut::from_row_major_slice_mut(&mut cosines, number, reference.rows),
                Accum::Replace,
                MatRef::from_row_major_slice(strip, number, rows.dim),
                MatRef::from_row_major_slice(reference.data, reference.rows, reference.dim).transpose(),
                1.0,
                Par::Seq,
            );
            let of_row = |cosines: &mut [f32]| {
                cosines.sort_unstable_by(|a, b| b.total_cmp(a));
                1.0 - cosines.iter().take(count).map(|cosine| f64::from(*cosine)).sum::<f64>() / count as f64
            };
            Ok(cosines.chunks_exact_mut(reference.rows.max(1)).map(of_row).collect())
        })
        .collect::<Result<_, ProjectError>>()?;
    Ok(strips.concat())
}

/// What one distance says of one kind of rows.
struct Figures {
    count: usize,
    difference: Option<Spread>,
    to_safe: Option<Spread>,
    to_harmful: Option<Spread>,
    own: Spread,
}

impl Figures {
    fn new(found: &Distances, labels: &[Option<bool>]) -> Self {
        let rows: Vec<(f64, f64, bool)> = found
            .safe
            .iter()
            .zip(&found.harmful)
            .zip(labels)
            .filter_map(|((safe, harmful), label)| label.map(|label| (*safe, *harmful, label)))
            .collect();
        let by = |of: fn(f64, f64) -> f64| {
            delong(&rows.iter().map(|(safe, harmful, label)| (of(*safe, *harmful), *label)).collect::<Vec<_>>())
        };
        let own = rows.iter().filter(|(safe, harmful, label)| (harmful < safe) == *label).count();
        Self {
            count: rows.len(),
            difference: by(|safe, harmful| safe - harmful),
            to_safe: by(|safe, _| safe),
            to_harmful: by(|_, harmful| -harmful),
            own: Spread::share(own, rows.len()),
        }
    }

    fn row(&self, trial: &str, distance: usize, kind: usize) -> Vec<Cell> {
        // Potentials are centred, each by itself.
        let own = if distance == 2 { Cell::Nothing } else { Cell::Spread(self.own) };
        vec![
            trial.into(),
            DISTANCES.get(distance).copied().unwrap_or_default().into(),
            ROWS.get(kind).copied().unwrap_or_default().into(),
            self.count.into(),
            self.difference.into(),
            Cell::Nothing,
            self.to_safe.into(),
            self.to_harmful.into(),
            own,
        ]
    }
}

/// Custom rows by their distances to both references.
fn scatter(ground: &Ground, nearest: &Distances) -> Plot {
    let of = |wanted: bool| {
        let rows = nearest.safe.iter().zip(&nearest.harmful).zip(&ground.labels);
        rows.filter(|(_, label)| **label == Some(wanted))
            .map(|((safe, harmful), _)| Spot::exact(*safe, *harmful))
            .collect()
    };
    let series =
        |name: &str, colour, wanted| Series { name: name.to_owned(), shape: Shape::Dots, colour, spots: of(wanted) };
    Plot {
        name: format!("geometry_{}", slug(&ground.name)),
        title: format!("Custom rows, {}", ground.name),
        x_label: "cosine distance to the 10 nearest safe references".to_owned(),
        x: Scale::Linear,
        y_label: "cosine distance to the 10 nearest harmful ones".to_owned(),
        y: Scale::Linear,
        series: vec![series("other rows", 0, false), series("harmful rows", 6, true)],
    }
}
