//! The GPU engine: the same solvers as on the processor, in WGSL, on a device of its own.
//!
//! Purpose: cosines by a tiled product, kept on the device or made again strip by strip; the whole iteration stays
//! there, and a few numbers come back every few sweeps. Constraints: exponentials are taken at the newest potentials, so
//! that no ε is too small for float32; only this engine polls its device; whatever a driver does, the solve goes on
//! with the CPU engine from the last state, and the user is told.

mod check;
mod format;
mod layout;
mod machine;
mod memory;
mod pacer;
mod solver;
mod stages;
mod state;

use parking_lot::Mutex;

pub use check::{GpuCheck, check_adapter};
pub use format::GpuKernel;

use self::pacer::Pacer;
use self::solver::Solver;
use self::stages::Stages;
use super::cost::Clouds;
use super::cpu::Checkpoint;
use super::push_pull::Wrapped;
use super::{CheckedSettings, CpuEngine, Engine, Observer, Outcome, Problem, TransportError, assemble};
use crate::gpu::{Device, GpuError};
use crate::jobs::Cancelled;

/// A failure for tests, at the first look at the device after this many outer steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// There is no adapter.
    NoAdapter,
    /// The device is destroyed.
    Lost { after: usize },
    /// The driver tells that memory ran out.
    OutOfMemory { after: usize },
    /// A command that the driver refuses.
    Refused { after: usize },
    /// There is no memory for kept cosines.
    NoRoom,
}

/// An open device with the stages for each format, compiled when first needed.
#[derive(Debug)]
struct Session {
    device: Device,
    single: Option<Stages>,
    packed: Option<Stages>,
    pacer: Pacer,
}

/// Push-pull transport on a graphics processor.
#[derive(Debug, Default)]
pub struct GpuEngine {
    adapter: Option<String>,
    kernel: Option<GpuKernel>,
    injection: Option<Injection>,
    subgroups: Option<bool>,
    session: Mutex<Option<Session>>,
}

/// Why the device gave no outcome.
enum Failure {
    /// The problem has no answer, on any engine.
    Problem(TransportError),
    /// The device failed.
    Device(GpuError),
    /// The numbers left the range of float32.
    Numbers,
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::Problem(error)
    }
}

impl From<Cancelled> for Failure {
    fn from(cancelled: Cancelled) -> Self {
        Self::Problem(cancelled.into())
    }
}

impl From<GpuError> for Failure {
    fn from(error: GpuError) -> Self {
        match error {
            GpuError::Cancelled(cancelled) => cancelled.into(),
            other => Self::Device(other),
        }
    }
}

impl GpuEngine {
    /// On the likely fastest adapter; the device is opened by the first solve.
    pub fn new() -> Self {
        Self::default()
    }

    /// On the adapter of this name.
    pub fn on(adapter: String) -> Self {
        Self { adapter: Some(adapter), ..Self::default() }
    }

    /// For tests and measurements: this format whatever the problem; the budget still holds.
    pub fn with_kernel(self, kernel: GpuKernel) -> Self {
        Self { kernel: Some(kernel), ..self }
    }

    /// For tests: this failure.
    pub fn with_injection(self, injection: Injection) -> Self {
        Self { injection: Some(injection), ..self }
    }

    /// For tests and measurements: sums over workgroups by subgroups where the adapter has them, or not by them.
    pub fn with_subgroups(self, subgroups: bool) -> Self {
        Self { subgroups: Some(subgroups), ..self }
    }

    fn open(&self) -> Result<Session, GpuError> {
        if self.injection == Some(Injection::NoAdapter) {
            return Err(GpuError::NoAdapter);
        }
        let device = Device::open(self.adapter.as_deref())?;
        Ok(Session { device, single: None, packed: None, pacer: Pacer::new() })
    }

    fn on_device(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        checkpoint: &mut Checkpoint,
        observer: &dyn Observer,
    ) -> Result<Outcome, Failure> {
        let progress = &Wrapped(observer);
        let mut session = self.session.lock();
        if session.as_ref().is_none_or(|open| open.device.is_broken()) {
            *session = None;
            *session = Some(self.open()?);
        }
        let Some(Session { device, single, packed, pacer }) = session.as_mut() else {
            return Err(GpuError::NoAdapter.into());
        };
        if self.injection == Some(Injection::NoRoom) {
            device.refuse("cosines");
        }
        observer.tick("building kernel", 0, Some(problem.custom.rows as u64));
        let clouds = Clouds::new(problem.custom, &[("safe", problem.safe), ("harmful", problem.harmful)])?;
        let medians = assemble::medians(&clouds, settings.seed, progress)?;
        let epsilon = medians.map(|median| settings.epsilon * median);
        let kernel = self.kernel.unwrap_or_else(|| GpuKernel::choose(&clouds, epsilon, settings.seed));
        let slot = if kernel == GpuKernel::Packed { packed } else { single };
        if slot.is_none() {
            // On a processor that plays an adapter the order of additions stays that of the tree.
            let subgroups = self.subgroups.unwrap_or(!device.adapter.is_software());
            *slot = Some(Stages::compile(device, kernel == GpuKernel::Packed, subgroups)?);
        }
        let Some(stages) = slot.as_ref() else { return Err(GpuError::NoAdapter.into()) };
        let solver = Solver::new(device, stages, &clouds, kernel, settings, medians, self.injection, pacer, observer)?;
        solver.solve(checkpoint)
    }

    /// The whole solve on the calling thread's pool, which only checks and medians use.
    fn solve_here(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        observer: &dyn Observer,
    ) -> Result<Outcome, TransportError> {
        let mut checkpoint = Checkpoint::default();
        let reason = match self.on_device(problem, settings, &mut checkpoint, observer) {
            Ok(outcome) => return Ok(outcome),
            Err(Failure::Problem(error)) => return Err(error),
            Err(Failure::Device(error)) => error.to_string(),
            Err(Failure::Numbers) => "the numbers left the range of float32".to_owned(),
        };
        let begun = checkpoint.ranking.is_some();
        let place = checkpoint.scaling.as_ref().map_or(0, |reached| reached.trace.len());
        let warning = if begun {
            format!("The graphics processor stopped: {reason}. The CPU engine goes on from step {place}.")
        } else {
            format!("The graphics processor cannot be used: {reason}. The CPU engine solves instead.")
        };
        observer.warn(&warning);
        let mut outcome = CpuEngine::new().resume(problem, settings, Some(checkpoint), observer)?;
        outcome.warnings.insert(0, warning);
        if begun {
            outcome.engine = format!("{}, then {}", self.name(), outcome.engine);
        }
        Ok(outcome)
    }
}

impl Engine for GpuEngine {
    fn name(&self) -> String {
        let open = self.session.try_lock().and_then(|session| Some(session.as_ref()?.device.adapter.name.clone()));
        match open.or_else(|| self.adapter.clone()) {
            Some(adapter) => format!("gpu {adapter}"),
            None => "gpu".to_owned(),
        }
    }

    fn solve(
        &self,
        problem: &Problem<'_>,
        settings: &CheckedSettings,
        observer: &dyn Observer,
    ) -> Result<Outcome, TransportError> {
        super::cpu::pool(settings.threads)?.install(|| self.solve_here(problem, settings, observer))
    }
}
