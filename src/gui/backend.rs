//! The seam between the window and the rest of the library.
//!
//! Purpose: the window calls data and project through these two traits only, always from a background job, so that
//! tests can bring synthetic data sets. Errors arrive as the sentence that the user reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::analysis::{Analysis, AnalysisSettings, Leakage, analyse, exact_leakage, leakage};
use crate::data::{Dataset, Finding, Format, Mapping, OpenOptions, Quarantined, Row, RowId, Stats};
use crate::embedding::{Cache, CacheSize, Embeddings};
use crate::gpu::Adapter;
use crate::jobs::Progress;
use crate::project::{
    Beside, Demo, Explaining, Export, ExportContext, ExportReport, HealthReport, Journal, Past, Plan, Project,
    ProjectStore, Purified, RowReasons, Sets, compare_beside, export as export_folder, health, prepare, purify,
};
use crate::selection::{Decisions, Keep, RankBy, Selection, SelectionSettings, Verdict};
use crate::transport::{Engine, Observer, Outcome};

/// Records that are looked at for the names of their fields.
const FIELD_ROWS: usize = 8;
/// Field names offered at most.
const MOST_FIELDS: usize = 200;
/// Quarantined records that the window lists; `stats` counts them all.
const MOST_QUARANTINED: usize = 200;

/// What is known of a file, read off in one go.
#[derive(Debug, Clone)]
pub struct Facts {
    pub path: PathBuf,
    /// Size on disk, in bytes.
    pub bytes: u64,
    pub format: Format,
    pub mapping: Mapping,
    pub complete: bool,
    pub stats: Stats,
    pub findings: Vec<Finding>,
    /// The first records set aside; `stats.quarantined` counts all.
    pub quarantine: Vec<Quarantined>,
}

/// An opened file.
pub trait RowSource: Send + Sync {
    fn index(&self, progress: &dyn Progress) -> Result<(), String>;
    fn facts(&self) -> Facts;
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn number(&self, index: usize) -> Option<u64>;
    fn id(&self, index: usize) -> Option<RowId>;
    fn row(&self, index: usize) -> Result<Row, String>;
    fn quarantined_raw(&self, record: &Quarantined) -> Result<Vec<u8>, String>;
    /// The names of the fields in the first records, for a mapping by hand. Reads the file.
    fn fields(&self) -> Vec<String> {
        Vec::new()
    }
    /// The data set itself, where there is one.
    fn dataset(&self) -> Option<&Dataset> {
        None
    }
}

/// A shared opened file.
pub type Handle = Arc<dyn RowSource>;

/// The opened sets of a run.
#[derive(Clone)]
pub struct OpenSets {
    pub custom: Handle,
    pub safe: Vec<Handle>,
    pub harmful: Vec<Handle>,
}

/// Decisions on disk. Every call returns when the change is on disk.
pub trait DecisionLog: Send {
    fn decisions(&self) -> Decisions;
    fn decide(&mut self, rows: &[(u64, RowId)], verdict: Option<Verdict>) -> Result<(), String>;
    fn undo(&mut self) -> Result<bool, String>;
    fn redo(&mut self) -> Result<bool, String>;
    fn can_undo(&self) -> bool;
    fn can_redo(&self) -> bool;
    fn save_plan(&mut self, plan: &Plan) -> Result<(), String>;
    /// The hash that fixes every line of the record, where there is one.
    fn head(&self) -> Option<String> {
        None
    }
    /// The record on disk, which [`Backend::past`] reads.
    fn journal(&self) -> Option<PathBuf> {
        None
    }
}

/// Explains rows of a result.
pub trait Explain: Send + Sync {
    fn row(&self, row: u32) -> Result<RowReasons, String>;
}

/// The rows from most to least suspicious.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// 1 = most suspicious, one per row.
    pub ranks: Vec<u32>,
    /// Row indices, most suspicious first.
    pub order: Vec<u32>,
}

/// Everything an export needs.
pub struct ExportRequest {
    pub sets: OpenSets,
    pub plan: Plan,
    pub purified: Arc<Purified>,
    pub numbers: Arc<[u64]>,
    pub decisions: Decisions,
    /// [`DecisionLog::head`] of the record that the decisions were read from.
    pub journal_head: Option<String>,
    pub licences: Vec<String>,
    /// As [`ExportContext::skip_explanations`].
    pub skip_explanations: bool,
}

/// What the window asks of the library.
pub trait Backend: Send + Sync + 'static {
    /// The engine's name for the status line.
    fn engine(&self) -> String;
    /// Graphics adapters that can compute, the likely fastest first.
    fn adapters(&self) -> Vec<Adapter>;
    /// Sniffs the file; [`RowSource::index`] reads it.
    fn open(&self, path: &Path, mapping: Option<Mapping>, progress: &dyn Progress) -> Result<Handle, String>;
    /// The project that belongs to a custom file.
    fn project(&self, custom: &Handle, progress: &dyn Progress) -> Result<Box<dyn DecisionLog>, String>;
    /// Repeats, near-duplicates and languages of a set that was read to its end. Reads every text.
    fn analyse(&self, set: &Handle, progress: &dyn Progress) -> Result<Analysis, String>;
    /// What a reference shares with the custom set; with `texts` every text of both is read.
    fn overlap(
        &self,
        custom: &Handle,
        reference: &Handle,
        texts: bool,
        progress: &dyn Progress,
    ) -> Result<Leakage, String>;
    /// What the vector cache takes on disk; `None` where no cache is kept.
    fn cache_size(&self) -> Result<Option<CacheSize>, String>;
    /// Empties the vector cache.
    fn clear_cache(&self) -> Result<(), String>;
    /// The plan of the project used last.
    fn last_plan(&self) -> Result<Option<Plan>, String>;
    fn purify(&self, sets: &OpenSets, plan: &Plan, observer: &dyn Observer) -> Result<Purified, String>;
    /// Ranks all rows; the cut itself is `rank <= n - K`.
    fn rank(&self, outcome: &Outcome, by: RankBy, numbers: &[u64]) -> Result<Ranked, String>;
    fn export(&self, folder: &Path, what: &ExportRequest, progress: &dyn Progress) -> Result<ExportReport, String>;
    /// Groups the references of a result, ready to explain its rows.
    fn explain(
        &self,
        sets: &OpenSets,
        purified: &Arc<Purified>,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Arc<dyn Explain>, String>;
    /// Looks at the references; without `vectors` the sets are embedded first.
    fn health(
        &self,
        sets: &OpenSets,
        plan: &Plan,
        vectors: Option<Arc<[Embeddings; 3]>>,
        observer: &dyn Observer,
    ) -> Result<HealthReport, String>;
    /// Every other ranking of the rows of a result.
    fn compare(
        &self,
        sets: &OpenSets,
        plan: &Plan,
        purified: &Purified,
        observer: &dyn Observer,
    ) -> Result<Beside, String>;
    /// What was decided on a record before, by every sitting.
    fn past(&self, journal: &Path, row: u64) -> Result<Vec<Past>, String>;
    /// The sample files: custom, safe, harmful.
    fn sample(&self) -> Result<[PathBuf; 3], String>;
}

/// The library itself.
pub struct Library {
    pub engine: Arc<dyn Engine>,
    /// Folder of the vector cache.
    pub cache_dir: Option<PathBuf>,
    pub project_root: PathBuf,
    /// Where the sample files are unpacked.
    pub sample: PathBuf,
}

impl RowSource for Dataset {
    fn index(&self, progress: &dyn Progress) -> Result<(), String> {
        Dataset::index(self, progress).map_err(say)
    }

    fn facts(&self) -> Facts {
        let complete = self.is_complete();
        Facts {
            path: self.path().to_path_buf(),
            bytes: self.file_bytes(),
            format: self.format(),
            mapping: self.mapping(),
            complete,
            stats: self.stats(),
            findings: self.findings(),
            quarantine: if complete { first_quarantined(self, MOST_QUARANTINED) } else { Vec::new() },
        }
    }

    fn len(&self) -> usize {
        Dataset::len(self)
    }

    fn number(&self, index: usize) -> Option<u64> {
        Dataset::number(self, index)
    }

    fn id(&self, index: usize) -> Option<RowId> {
        Dataset::id(self, index)
    }

    fn row(&self, index: usize) -> Result<Row, String> {
        Dataset::row(self, index).map_err(say)
    }

    fn quarantined_raw(&self, record: &Quarantined) -> Result<Vec<u8>, String> {
        Dataset::quarantined_raw(self, record).map_err(say)
    }

    fn fields(&self) -> Vec<String> {
        if let Some(header) = self.header() {
            return header;
        }
        let readable = (0..Dataset::len(self).min(FIELD_ROWS)).filter_map(|index| self.record_json(index).ok());
        let aside = first_quarantined(self, FIELD_ROWS).into_iter();
        let aside = aside.filter_map(|record| Dataset::quarantined_raw(self, &record).ok());
        let mut names = indexmap::IndexSet::new();
        for record in readable.chain(aside) {
            let keys = serde_json::from_slice::<indexmap::IndexMap<String, serde::de::IgnoredAny>>(&record);
            names.extend(keys.unwrap_or_default().into_keys().take(MOST_FIELDS));
        }
        names.into_iter().take(MOST_FIELDS).collect()
    }

    fn dataset(&self) -> Option<&Dataset> {
        Some(self)
    }
}

impl DecisionLog for Project {
    fn decisions(&self) -> Decisions {
        self.journal.decisions().clone()
    }

    fn decide(&mut self, rows: &[(u64, RowId)], verdict: Option<Verdict>) -> Result<(), String> {
        self.journal.decide(rows, verdict, None).map_err(say)
    }

    fn undo(&mut self) -> Result<bool, String> {
        self.journal.undo().map_err(say)
    }

    fn redo(&mut self) -> Result<bool, String> {
        self.journal.redo().map_err(say)
    }

    fn can_undo(&self) -> bool {
        self.journal.can_undo()
    }

    fn can_redo(&self) -> bool {
        self.journal.can_redo()
    }

    fn save_plan(&mut self, plan: &Plan) -> Result<(), String> {
        Project::save_plan(self, plan).map_err(say)
    }

    fn head(&self) -> Option<String> {
        Some(self.journal.head().to_owned())
    }

    fn journal(&self) -> Option<PathBuf> {
        Some(self.journal.path().to_owned())
    }
}

impl Explain for Explaining {
    fn row(&self, row: u32) -> Result<RowReasons, String> {
        Explaining::row(self, row).map_err(say)
    }
}

impl Backend for Library {
    fn engine(&self) -> String {
        self.engine.name()
    }

    fn adapters(&self) -> Vec<Adapter> {
        crate::gpu::adapters()
    }

    fn open(&self, path: &Path, mapping: Option<Mapping>, progress: &dyn Progress) -> Result<Handle, String> {
        let options = OpenOptions { mapping, ..OpenOptions::default() };
        Ok(Arc::new(Dataset::begin_watched(path, &options, progress).map_err(say)?))
    }

    fn project(&self, custom: &Handle, progress: &dyn Progress) -> Result<Box<dyn DecisionLog>, String> {
        let custom = real(custom)?;
        let hash = custom.file_hash(progress).map_err(say)?;
        let name = custom.path().file_stem().map_or_else(|| "data".to_owned(), |n| n.to_string_lossy().into_owned());
        let store = ProjectStore { root: self.project_root.clone() };
        Ok(Box::new(store.for_custom(&hash, &name).map_err(say)?))
    }

    fn analyse(&self, set: &Handle, progress: &dyn Progress) -> Result<Analysis, String> {
        analyse(real(set)?, &AnalysisSettings::default(), progress).map_err(say)
    }

    fn overlap(
        &self,
        custom: &Handle,
        reference: &Handle,
        texts: bool,
        progress: &dyn Progress,
    ) -> Result<Leakage, String> {
        let (custom, reference) = (real(custom)?, real(reference)?);
        if texts {
            leakage(custom, reference, &AnalysisSettings::default(), progress).map_err(say)
        } else {
            Ok(exact_leakage(custom, reference))
        }
    }

    fn cache_size(&self) -> Result<Option<CacheSize>, String> {
        self.cache_dir.as_deref().map(Cache::size).transpose().map_err(say)
    }

    fn clear_cache(&self) -> Result<(), String> {
        self.cache_dir.as_deref().map_or(Ok(()), |root| Cache::clear(root).map(drop).map_err(say))
    }

    fn last_plan(&self) -> Result<Option<Plan>, String> {
        let store = ProjectStore { root: self.project_root.clone() };
        Ok(store.last().map_err(say)?.and_then(|project| project.plan))
    }

    fn purify(&self, sets: &OpenSets, plan: &Plan, observer: &dyn Observer) -> Result<Purified, String> {
        purify(&real_sets(sets)?, plan, self.engine.as_ref(), self.cache_dir.clone(), observer).map_err(say)
    }

    fn rank(&self, outcome: &Outcome, by: RankBy, numbers: &[u64]) -> Result<Ranked, String> {
        let settings = SelectionSettings { keep: Keep::Share(1.0), rank_by: by, ..SelectionSettings::default() };
        let selection =
            Selection::from(outcome, &settings, numbers, &Vec::new(), &Decisions::default()).map_err(say)?;
        Ok(Ranked { ranks: selection.ranks, order: selection.order })
    }

    fn export(&self, folder: &Path, what: &ExportRequest, progress: &dyn Progress) -> Result<ExportReport, String> {
        let sets = real_sets(&what.sets)?;
        let selection =
            Selection::from(&what.purified.outcome, &what.plan.selection, &what.numbers, &sets.custom, &what.decisions)
                .map_err(say)?;
        let context = ExportContext {
            licences: what.licences.clone(),
            origin: "window".to_owned(),
            journal_head: what.journal_head.clone(),
            skip_explanations: what.skip_explanations,
        };
        let export = Export {
            sets: &sets,
            plan: &what.plan,
            purified: &what.purified,
            selection: &selection,
            decisions: &what.decisions,
            context: &context,
        };
        export_folder(folder, &export, progress).map_err(say)
    }

    fn explain(
        &self,
        sets: &OpenSets,
        purified: &Arc<Purified>,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Arc<dyn Explain>, String> {
        Ok(Arc::new(Explaining::new(real_sets(sets)?, purified.clone(), seed, progress).map_err(say)?))
    }

    fn health(
        &self,
        sets: &OpenSets,
        plan: &Plan,
        vectors: Option<Arc<[Embeddings; 3]>>,
        observer: &dyn Observer,
    ) -> Result<HealthReport, String> {
        let sets = real_sets(sets)?;
        let vectors = match vectors {
            Some(vectors) => vectors,
            None => prepare(&sets, plan, self.cache_dir.clone(), observer).map_err(say)?.vectors(),
        };
        health(&sets, Some(&vectors), plan.settings.seed, observer).map_err(say)
    }

    fn compare(
        &self,
        sets: &OpenSets,
        plan: &Plan,
        purified: &Purified,
        observer: &dyn Observer,
    ) -> Result<Beside, String> {
        compare_beside(&real_sets(sets)?, plan, purified, self.engine.as_ref(), observer).map_err(say)
    }

    fn past(&self, journal: &Path, row: u64) -> Result<Vec<Past>, String> {
        Journal::past(journal, row).map_err(say)
    }

    fn sample(&self) -> Result<[PathBuf; 3], String> {
        let demo = Demo::unpack(&self.sample).map_err(say)?;
        Ok([demo.custom, demo.safe, demo.harmful])
    }
}

fn first_quarantined(set: &Dataset, most: usize) -> Vec<Quarantined> {
    (0..most).map_while(|place| set.quarantined(place)).collect()
}

fn real(handle: &Handle) -> Result<&Dataset, String> {
    handle.dataset().ok_or_else(|| "This set is not a file.".to_owned())
}

fn real_sets(sets: &OpenSets) -> Result<Sets, String> {
    let all = |handles: &[Handle]| handles.iter().map(|handle| real(handle).cloned()).collect::<Result<Vec<_>, _>>();
    Ok(Sets { custom: real(&sets.custom)?.clone(), safe: all(&sets.safe)?, harmful: all(&sets.harmful)? })
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}
