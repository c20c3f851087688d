//! The loop: rows → loss → gradients → step → events, checkpoints and, at the end, the adapter.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use candle_core::Tensor;
use parking_lot::Mutex;

use super::batches::{Plan, dropout_seed, parts};
use super::checkpoint::{Checkpoint, State};
use super::events::{Finish, Listener, StepReport, TrainEvent};
use super::freed::Freed;
use super::memory::{MemoryEstimate, resident};
use super::optimiser::{AdamW, clip};
use super::rows::{Prepared, TrainRow};
use super::{TrainError, TrainSettings};
use crate::jobs::{Cancelled, Progress};
use crate::model::decoder::{Example, Gradients, Pass};
use crate::model::{Adapter, Decoder, ModelError, is_gguf};

const ADAPTER: &str = "adapter";
/// How often a paused run looks whether it may go on.
const PAUSE: Duration = Duration::from_millis(20);

/// Pause, go on, stop: shared between whoever steers the run and the run itself. It acts within a layer.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    paused: AtomicBool,
    stopped: AtomicBool,
}

impl Control {
    /// Pauses, or goes on.
    pub fn pause(&self, paused: bool) {
        self.0.paused.store(paused, Ordering::Relaxed);
    }

    pub fn is_paused(&self) -> bool {
        self.0.paused.load(Ordering::Relaxed)
    }

    /// Ends the run after the last whole step, with a checkpoint and an adapter.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Relaxed)
    }
}

/// A finished or stopped run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Outcome {
    pub adapter: PathBuf,
    pub steps: u64,
    pub finish: Finish,
    pub first_loss: Option<f64>,
    pub last_loss: Option<f64>,
    /// Lowest held-out loss.
    pub evaluation: Option<f64>,
}

/// One run.
pub struct Trainer<'a> {
    decoder: &'a Decoder,
    settings: &'a TrainSettings,
    rows: Vec<TrainRow>,
    out: PathBuf,
    threads: usize,
}

/// Whether a model of this kind can be fine-tuned; looks at the path alone.
///
/// # Errors
/// It is a GGUF file.
pub fn check_base(model: &Path) -> Result<(), TrainError> {
    if is_gguf(model) {
        let reason = "a GGUF file cannot be fine-tuned; give the model as a Hugging Face directory";
        return Err(TrainError::Rows(format!("{}: {reason}", model.display())));
    }
    Ok(())
}

impl<'a> Trainer<'a> {
    /// `out` is made where it is not there. `threads` workers share the frozen weights; on a graphics processor there is one.
    ///
    /// # Errors
    /// A setting is out of range, or there are no rows.
    pub fn new(
        decoder: &'a Decoder,
        settings: &'a TrainSettings,
        prepared: Prepared,
        out: &Path,
        threads: usize,
    ) -> Result<Self, TrainError> {
        settings.check()?;
        check_base(decoder.path())?;
        if prepared.rows.len() < 2 && settings.evaluation_share > 0.0 {
            return Err(TrainError::Rows("one row cannot be both trained on and held out; give more rows".to_owned()));
        }
        if prepared.rows.is_empty() {
            return Err(TrainError::Rows("there is no row to train on".to_owned()));
        }
        // A graphics processor is filled by one large batch, not by many small ones side by side.
        let threads = if decoder.device().is_cpu() { threads.clamp(1, 256) } else { 1 };
        Ok(Self { decoder, settings, rows: prepared.rows, out: out.to_owned(), threads })
    }

    /// Trains. With `resume` it goes on from the checkpoint in the output folder, and from the beginning where
    /// there is none; without, a checkpoint that is there is an error.
    ///
    /// # Errors
    /// The output folder is of another run or cannot be written, numbers ran away, or the user cancelled.
    pub fn run(
        mut self,
        resume: bool,
        control: &Control,
        listener: &mut dyn Listener,
        progress: &dyn Progress,
    ) -> Result<Outcome, TrainError> {
        std::fs::create_dir_all(&self.out).map_err(|source| TrainError::Io { path: self.out.clone(), source })?;
        let mut plan = Plan::new(self.rows.len(), self.settings);
        self.scale_weights(&plan);
        let device = self.decoder.device();
        let adapter = Adapter::new(self.decoder.spec(), self.settings.lora(), self.settings.seed, device)
            .map_err(|error| self.fault(&error))?;
        let sizes: Vec<usize> = adapter.variables().map(|matrix| matrix.variable.elem_count()).collect();
        let run = self.identity();
        let mut at = match Checkpoint::read(&self.out, &run, &sizes)? {
            Some(found) if resume => found,
            Some(_) => {
                let path = super::checkpoint::path(&self.out);
                let reason = "a run was begun here; add --resume to go on, or give another --out".to_owned();
                return Err(TrainError::Resume { path, reason });
            }
            None => Checkpoint {
                state: State { step: 0, run, best: None, worse: 0, ended: false },
                values: values(&adapter).map_err(|error| self.fault(&error))?,
                optimiser: AdamW::new(sizes.iter().copied()),
                best: Vec::new(),
            },
        };
        self.load(&adapter, &at.values)?;
        let workers = Workers::new(self.threads)?;
        let _freed = Freed::kept();
        let steering = Steering { control, progress };
        self.begin(&plan, &at, listener, sizes.iter().sum::<usize>() as u64);
        self.probe(&adapter, &plan, &steering)?;
        let mut seen = Seen { began: Instant::now(), from: at.state.step, first: None, last: None };
        let mut finish = Finish::Complete;
        if at.state.ended {
            finish = Finish::EarlyStop;
        }
        while at.state.step < plan.steps && finish == Finish::Complete {
            match self.step(&adapter, &mut plan, &mut at, &workers, &steering, &mut seen, listener) {
                Ok(()) => {}
                Err(TrainError::Cancelled(_)) if control.is_stopped() && !progress.is_cancelled() => {
                    finish = Finish::Stopped;
                    break;
                }
                Err(error) => return Err(error),
            }
            if at.state.ended {
                finish = Finish::EarlyStop;
            }
            progress.tick("training", at.state.step, Some(plan.steps));
            if at.state.step.is_multiple_of(self.settings.checkpoint_every) {
                self.save(&at, listener)?;
            }
        }
        self.save(&at, listener)?;
        let best = at.state.best.filter(|_| finish != Finish::Stopped && !at.best.is_empty());
        self.load(&adapter, if best.is_some() { &at.best } else { &at.values })?;
        let folder = self.out.join(ADAPTER);
        adapter.write(&folder, self.decoder, self.settings.dropout)?;
        listener.event(&TrainEvent::End { step: at.state.step, finish, evaluation: at.state.best });
        Ok(Outcome {
            adapter: folder,
            steps: at.state.step,
            finish,
            first_loss: seen.first,
            last_loss: seen.last,
            evaluation: at.state.best,
        })
    }

    /// Training rows get mean weight 1; held-out rows count alike.
    fn scale_weights(&mut self, plan: &Plan) {
        let training = plan.training();
        let sum: f64 = training.iter().filter_map(|row| self.rows.get(*row)).map(|row| row.weight).sum();
        let scale = if sum > 0.0 { training.len() as f64 / sum } else { 1.0 };
        for row in training {
            if let Some(row) = self.rows.get_mut(*row) {
                row.weight *= scale;
            }
        }
    }

    /// A hash over everything that decides the adapter.
    fn identity(&self) -> String {
        let mut hash = blake3::Hasher::new();
        hash.update(b"dipole run 1");
        // How often it is written down decides nothing.
        let settings = TrainSettings { checkpoint_every: 1, ..self.settings.clone() };
        hash.update(&serde_json::to_vec(&settings).unwrap_or_default());
        hash.update(format!("{:?}", self.decoder.spec()).as_bytes());
        if !self.decoder.device().is_cpu() {
            // Another device rounds otherwise.
            hash.update(format!("{:?}", self.decoder.device().location()).as_bytes());
        }
        if self.decoder.rounds() {
            hash.update(b"products of bfloat16");
        }
        for row in &self.rows {
            hash.update(&(row.tokens.len() as u64).to_le_bytes()).update(&row.weight.to_le_bytes());
            row.tokens.iter().zip(&row.supervised).for_each(|(token, supervised)| {
                hash.update(&token.to_le_bytes()).update(&[u8::from(*supervised)]);
            });
        }
        hash.finalize().to_hex().to_string()
    }

    fn begin(&self, plan: &Plan, at: &Checkpoint, listener: &mut dyn Listener, parameters: u64) {
        let longest = self.rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0) as u64;
        let (spec, weights) = (self.decoder.spec(), self.decoder.weight_bytes());
        let memory = MemoryEstimate::new(spec, weights, self.settings, longest, self.threads as u64);
        listener.event(&TrainEvent::Begin {
            rows: plan.training().len() as u64,
            held_out: plan.held_out.len() as u64,
            steps: plan.steps,
            parameters,
            resumed_at: at.state.step,
            memory,
        });
        if memory.is_too_much() {
            let message = "the run may need more memory than there is; fewer micro_tokens or max_tokens, \
                           recompute, or fewer threads take less"
                .to_owned();
            listener.event(&TrainEvent::Warning { message });
        }
    }

    /// The longest row goes through once and is forgotten, so that running out of memory shows now.
    fn probe(&self, adapter: &Adapter, plan: &Plan, steering: &Steering<'_>) -> Result<(), TrainError> {
        let longest = plan.training().iter().filter_map(|row| self.rows.get(*row)).max_by_key(|row| row.tokens.len());
        let Some(row) = longest else { return Ok(()) };
        let example = example(row, 1.0);
        let pass = Pass { checkpoints: self.settings.recompute, dropout: 0.0, seed: 0 };
        match self.decoder.gradients(&[&example], adapter, pass, steering) {
            Ok(_) => Ok(()),
            // A stop before the first step still writes what there is.
            Err(ModelError::Cancelled(_)) if steering.control.is_stopped() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the loop's body; each is a part of its state")]
    fn step(
        &self,
        adapter: &Adapter,
        plan: &mut Plan,
        at: &mut Checkpoint,
        workers: &Workers,
        steering: &Steering<'_>,
        seen: &mut Seen,
        listener: &mut dyn Listener,
    ) -> Result<(), TrainError> {
        let number = at.state.step;
        let began = Instant::now();
        let (epoch, numbers) = plan.rows(number);
        let rows: Vec<&TrainRow> = numbers.iter().filter_map(|row| self.rows.get(*row)).collect();
        let (loss, mut gradients) = self.accumulate(adapter, &rows, number, workers, steering)?;
        let gradient_norm = clip(&mut gradients, self.settings.clip);
        if !loss.is_finite() || !gradient_norm.is_finite() {
            let reason = format!("the loss is {loss}, its gradient {gradient_norm}; a smaller learning_rate may help");
            return Err(TrainError::Diverged { step: number + 1, reason });
        }
        let warmup = (self.settings.warmup_share * plan.steps as f64).ceil() as u64;
        let rate = self.settings.learning_rate * self.settings.schedule.share(number, plan.steps, warmup);
        // A measurement that is stopped must not leave half a step behind.
        let mut next = at.clone();
        next.optimiser.step(&mut next.values, &gradients, rate, self.settings);
        next.state.step = number + 1;
        self.load(adapter, &next.values)?;
        let took = began.elapsed().as_secs_f64();
        let due = next.state.step.is_multiple_of(self.settings.evaluate_every) || next.state.step == plan.steps;
        let evaluation = if due && !plan.held_out.is_empty() {
            match self.evaluate(adapter, &plan.held_out, workers, steering) {
                Ok(loss) => Some(loss),
                Err(error) => {
                    self.load(adapter, &at.values)?;
                    return Err(error);
                }
            }
        } else {
            None
        };
        if let Some(loss) = evaluation {
            self.judge(&mut next, loss);
        }
        *at = next;
        let tokens: u64 = rows.iter().map(|row| row.tokens.len() as u64).sum();
        seen.first.get_or_insert(loss);
        seen.last = Some(loss);
        let done = (at.state.step - seen.from).max(1) as f64;
        listener.event(&TrainEvent::Step(StepReport {
            step: at.state.step,
            steps: plan.steps,
            epoch: epoch + 1,
            loss,
            evaluation,
            learning_rate: rate,
            gradient_norm,
            tokens,
            tokens_per_second: tokens as f64 / took.max(1e-9),
            memory: resident(),
            seconds_left: seen.began.elapsed().as_secs_f64() / done * (plan.steps - at.state.step) as f64,
        }));
        Ok(())
    }

    /// Loss of a step and its gradients. The divisor is fixed before anything is added.
    fn accumulate(
        &self,
        adapter: &Adapter,
        rows: &[&TrainRow],
        step: u64,
        workers: &Workers,
        steering: &Steering<'_>,
    ) -> Result<(f64, Vec<Vec<f32>>), TrainError> {
        let divisor = rows.len().max(1) as f64;
        let examples: Vec<Example> = rows.iter().map(|row| example(row, row.weight / divisor)).collect();
        let parts = parts(rows, self.settings.micro_tokens);
        let results = workers.run(parts.len(), |number| {
            let part: Vec<&Example> =
                parts.get(number).into_iter().flatten().filter_map(|row| examples.get(*row)).collect();
            let pass = Pass {
                checkpoints: self.settings.recompute,
                dropout: self.settings.dropout,
                seed: dropout_seed(self.settings.seed, step, number),
            };
            let Gradients { loss, matrices, .. } = self.decoder.gradients(&part, adapter, pass, steering)?;
            let each = matrices.iter().map(|matrix| matrix.flatten_all().and_then(|matrix| matrix.to_vec1::<f32>()));
            let gradients = each.collect::<candle_core::Result<Vec<_>>>().map_err(|error| self.fault(&error))?;
            Ok((loss, gradients))
        })?;
        let mut results = results.into_iter();
        let Some((mut loss, mut gradients)) = results.next() else {
            return Err(TrainError::Rows("a step has no rows".to_owned()));
        };
        for (more, part) in results {
            loss += more;
            for (sum, part) in gradients.iter_mut().zip(part) {
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
        Ok((loss, gradients))
    }

    /// Mean over held-out rows of their mean loss a supervised token.
    fn evaluate(
        &self,
        adapter: &Adapter,
        held_out: &[usize],
        workers: &Workers,
        steering: &Steering<'_>,
    ) -> Result<f64, TrainError> {
        let losses = workers.run(held_out.len(), |number| {
            let Some(row) = held_out.get(number).and_then(|row| self.rows.get(*row)) else { return Ok(0.0) };
            Ok(self.decoder.losses(&[&example(row, 1.0)], Some(adapter), steering)?.0)
        })?;
        Ok(losses.iter().sum::<f64>() / held_out.len().max(1) as f64)
    }

    fn judge(&self, at: &mut Checkpoint, loss: f64) {
        if at.state.best.is_none_or(|best| loss < best) {
            at.state.best = Some(loss);
            at.state.worse = 0;
            at.best.clone_from(&at.values);
        } else {
            at.state.worse += 1;
        }
        at.state.ended = self.settings.patience.is_some_and(|patience| at.state.worse >= patience);
    }

    fn save(&self, at: &Checkpoint, listener: &mut dyn Listener) -> Result<(), TrainError> {
        at.write(&self.out)?;
        listener.event(&TrainEvent::Checkpoint { step: at.state.step });
        Ok(())
    }

    fn load(&self, adapter: &Adapter, values: &[Vec<f32>]) -> Result<(), TrainError> {
        for (matrix, values) in adapter.variables().zip(values) {
            let (dims, device) = (matrix.variable.dims().to_vec(), self.decoder.device());
            let set = Tensor::from_slice(values, dims, device).and_then(|tensor| matrix.variable.set(&tensor));
            set.map_err(|error| self.fault(&error))?;
        }
        Ok(())
    }

    fn fault(&self, error: &candle_core::Error) -> TrainError {
        TrainError::Model(ModelError::Compute { path: self.decoder.path().to_owned(), reason: error.to_string() })
    }
}

pub(super) fn values(adapter: &Adapter) -> candle_core::Result<Vec<Vec<f32>>> {
    adapter.variables().map(|matrix| matrix.variable.flatten_all()?.to_vec1()).collect()
}

/// A row whose mean loss a supervised token counts `factor`.
pub(super) fn example(row: &TrainRow, factor: f64) -> Example {
    let supervised = row.supervised.iter().skip(1).filter(|supervised| **supervised).count().max(1);
    let each = (factor / supervised as f64) as f32;
    let weights = row.supervised.iter().map(|supervised| if *supervised { each } else { 0.0 }).collect();
    Example { tokens: row.tokens.clone(), weights }
}

struct Seen {
    began: Instant,
    from: u64,
    first: Option<f64>,
    last: Option<f64>,
}

/// Cancelling and stopping, and waiting while paused, for whatever is computed.
struct Steering<'a> {
    control: &'a Control,
    progress: &'a dyn Progress,
}

impl Progress for Steering<'_> {
    fn tick(&self, _stage: &str, _done: u64, _total: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        while self.control.is_paused() && !self.control.is_stopped() && !self.progress.is_cancelled() {
            std::thread::sleep(PAUSE);
        }
        self.control.is_stopped() || self.progress.is_cancelled()
    }
}

/// Threads that compute one micro-batch each. Each has a pool of one thread, so that what it calls stays on it.
pub(super) struct Workers(Vec<rayon::ThreadPool>);

impl Workers {
    pub(super) fn new(threads: usize) -> Result<Self, TrainError> {
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools = (0..threads).map(pool).collect::<Result<_, _>>();
        pools.map(Self).map_err(|error| TrainError::Rows(format!("cannot start {threads} threads: {error}")))
    }

    /// One result a task, in order. After an error no task is begun.
    pub(super) fn run<R: Send>(
        &self,
        tasks: usize,
        work: impl Fn(usize) -> Result<R, TrainError> + Sync,
    ) -> Result<Vec<R>, TrainError> {
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let done: Mutex<Vec<(usize, Result<R, TrainError>)>> = Mutex::new(Vec::with_capacity(tasks));
        std::thread::scope(|scope| {
            for pool in self.0.iter().take(tasks) {
                scope.spawn(|| {
                    pool.install(|| {
                        while !stop.load(Ordering::Relaxed) {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= tasks {
                                break;
                            }
                            let result = work(number);
                            if result.is_err() {
                                stop.store(true, Ordering::Relaxed);
                            }
                            done.lock().push((number, result));
                        }
                    });
                });
            }
        });
        let mut done = done.into_inner();
        done.sort_by_key(|(number, _)| *number);
        let results: Vec<R> = done.into_iter().map(|(_, result)| result).collect::<Result<_, _>>()?;
        if results.len() == tasks { Ok(results) } else { Err(Cancelled.into()) }
    }
}
