//! The engine that the settings ask for; with `auto`, the one that a short trial finds faster.
//!
//! Constraint: a trial costs a small part of the solve, and a software adapter never wins: it computes on the same
//! processor as the CPU engine, a hundred times slower.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;

use super::{
    CheckedSettings, CpuEngine, Engine, GpuEngine, Observer, Outcome, Points, Problem, Settings, SolverKind,
    TransportError,
};
use crate::gpu::{Adapter, adapters};
use crate::jobs::Progress;

/// Which engine computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineChoice {
    /// Whichever a short trial finds faster.
    #[default]
    Auto,
    /// A graphics processor; the CPU engine where there is none.
    Gpu,
    Cpu,
}

/// Operations below which a graphics processor cannot repay its start: a fraction of a second of two cores.
const SMALL: f64 = 3e10;
/// Operations of products in the longer of two trials, and how much shorter the other is.
const TRIAL: f64 = 3e10;
const SHORTER: usize = 4;
/// A trial takes at most one in so many rows.
const PART: usize = 4;
/// Operations that the sweeps of a solve are worth, an entry of the kernel.
const SWEEPS: f64 = 300.0;

/// Dispatches to an engine by `Settings::engine`.
#[derive(Debug, Default)]
pub struct ChosenEngine {
    gpu: Mutex<Option<(Option<String>, Arc<GpuEngine>)>>,
}

/// Hears cancels only.
struct Trial<'a>(&'a dyn Observer);

impl Progress for Trial<'_> {
    fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Observer for Trial<'_> {}

impl ChosenEngine {
    /// The engine on this adapter, with its open device if it was used before.
    fn gpu(&self, adapter: Option<&String>) -> Arc<GpuEngine> {
        let mut kept = self.gpu.lock();
        match kept.as_ref() {
            Some((name, engine)) if name.as_ref() == adapter => Arc::clone(engine),
            _ => {
                let engine = Arc::new(adapter.cloned().map_or_else(GpuEngine::new, GpuEngine::on));
                *kept = Some((adapter.cloned(), Arc::clone(&engine)));
                engine
            }
        }
    }

    /// Whether a graphics processor shall solve this, and why.
    fn judge(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        observer: &dyn Observer,
    ) -> Result<(bool, String), TransportError> {
        let columns = (problem.safe.rows + problem.harmful.rows) as f64;
        let row = columns * 2.0 * problem.custom.dim as f64;
        let n = problem.custom.rows;
        if n as f64 * (row + columns * SWEEPS) < SMALL {
            return Ok((false, "the problem is too small for a graphics processor to repay its start".to_owned()));
        }
        // Drivers take their time to answer, and a calibration solves many problems in a row.
        static FOUND: OnceLock<Vec<Adapter>> = OnceLock::new();
        let found = FOUND.get_or_init(adapters);
        let asked = settings.adapter.as_ref();
        let Some(adapter) = found.iter().find(|adapter| asked.is_none_or(|asked| *asked == adapter.name)) else {
            return Ok((false, "no graphics adapter was found".to_owned()));
        };
        if adapter.is_software() {
            return Ok((false, format!("{} is a software adapter: the processor itself, only slower", adapter.name)));
        }
        self.try_both(problem, settings, adapter, row, observer)
    }

    fn try_both(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        adapter: &Adapter,
        row: f64,
        observer: &dyn Observer,
    ) -> Result<(bool, String), TransportError> {
        let n = problem.custom.rows;
        let long = ((TRIAL / row) as usize).min(n / PART).clamp(256, n.max(256)).min(n);
        let short = (long / SHORTER).max(1);
        let one_shot = Settings { solver: SolverKind::OneShot, ..Settings::clone(settings) }.checked()?;
        let gpu = self.gpu(settings.adapter.as_ref());
        let time = |engine: &dyn Engine, rows: usize| -> Result<(f64, Outcome), TransportError> {
            let dim = problem.custom.dim;
            let data = problem.custom.data.get(..rows * dim).unwrap_or_default();
            let part = Problem { custom: Points { data, rows, dim }, ..*problem };
            let began = Instant::now();
            let outcome = engine.solve(&part, &one_shot, &Trial(observer))?;
            Ok((began.elapsed().as_secs_f64(), outcome))
        };
        // The first run opens the device and compiles.
        let (_, first) = time(gpu.as_ref(), short)?;
        if !first.engine.starts_with("gpu ") {
            return Ok((false, first.warnings.into_iter().next().unwrap_or_default()));
        }
        let whole = |engine: &dyn Engine| -> Result<f64, TransportError> {
            let (short_time, _) = time(engine, short)?;
            let (long_time, _) = time(engine, long)?;
            let slope = ((long_time - short_time) / (long - short).max(1) as f64).max(0.0);
            Ok(long_time + slope * (n - long) as f64)
        };
        let (theirs, ours) = (whole(&CpuEngine::new())?, whole(gpu.as_ref())?);
        let (winner, loser) = if ours < theirs { (ours, theirs) } else { (theirs, ours) };
        let reason = format!(
            "by a trial on {long} rows it takes {:.1} times as long on {}",
            loser / winner.max(1e-9),
            if ours < theirs { "the processor" } else { &adapter.name },
        );
        Ok((ours < theirs, reason))
    }
}

impl Engine for ChosenEngine {
    fn name(&self) -> String {
        "as in the settings".to_owned()
    }

    fn solve(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        observer: &dyn Observer,
    ) -> Result<Outcome, TransportError> {
        let (on_gpu, reason) = match settings.engine {
            EngineChoice::Cpu => (false, String::new()),
            EngineChoice::Gpu => (true, String::new()),
            EngineChoice::Auto => self.judge(problem, settings, observer)?,
        };
        let outcome = if on_gpu {
            self.gpu(settings.adapter.as_ref()).solve(problem, settings, observer)
        } else {
            CpuEngine::new().solve(problem, settings, observer)
        };
        outcome.map(|outcome| Outcome { engine_reason: reason, ..outcome })
    }
}
