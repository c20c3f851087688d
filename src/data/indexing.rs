//! Fills a data set: the course of [`Dataset::index`] from the stream to the last finding.
//!
//! Constraint: while one block of records is read on the pool, the outcomes of the block before are appended, so
//! appending costs no time of its own; the order of the file is kept.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::blocks::{Block, Blocks};
use super::dataset::MAX_RECORD_BYTES;
use super::reading::{self, Batch, Cut, Identity};
use super::record::Issue;
use super::sniff::Layout;
use super::source::Stamp;
use super::{Container, DataError, Dataset, FindingKind, Severity};
use crate::jobs::Progress;

/// Records set aside beyond this number stop the reading: then it is the wrong file, not a few bad records.
const MAX_ASIDE: u64 = 2_000_000;

/// How long a slow stream is waited for between two looks at the user's wish to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// How far the reading came.
struct Filling {
    identity: Identity,
    is_first: bool,
    /// Outcomes that are not appended yet.
    pending: Vec<Batch>,
}

impl Filling {
    fn new(identity: Identity) -> Self {
        Self { identity, is_first: true, pending: Vec::new() }
    }
}

impl Dataset {
    /// Indexes to the end of the file. Rows become visible in batches while it runs. A second call after the end
    /// does nothing.
    ///
    /// # Errors
    /// Reading failed, the file changed meanwhile, the user cancelled (open the file again to go on), or nothing in
    /// it is a usable row; findings and quarantine can be looked at even then.
    pub fn index(&self, progress: &dyn Progress) -> Result<(), DataError> {
        self.fill(Identity::Hash, progress)
    }

    /// [`Dataset::index`] without content hashes, so that the benchmark can tell the cost of reading from the cost
    /// of hashing. All rows have the same identity then.
    #[doc(hidden)]
    pub fn index_without_hashes(&self, progress: &dyn Progress) -> Result<(), DataError> {
        self.fill(Identity::None, progress)
    }

    /// [`Dataset::index`] without a thread of its own: the calling thread cuts the records too.
    pub(super) fn index_here(&self) -> Result<(), DataError> {
        let Some(mut blocks) = self.blocks(Arc::default())? else { return self.usable() };
        let mut filling = Filling::new(Identity::Hash);
        let mut block = Some(Block::default());
        while let Some(used) = block {
            block = self.take(reading::next_cut(&mut blocks, used), &mut filling, || true)?;
        }
        self.complete()
    }

    fn fill(&self, identity: Identity, progress: &dyn Progress) -> Result<(), DataError> {
        let stop = Arc::new(AtomicBool::new(false));
        let Some(blocks) = self.blocks(stop.clone())? else { return self.usable() };
        let (cuts_in, cuts) = reading::channel();
        let (used, used_out) = reading::channel();
        std::thread::scope(|scope| {
            let cutter = std::thread::Builder::new()
                .name("cut records".to_owned())
                .spawn_scoped(scope, move || reading::cut(blocks, &cuts_in, &used_out))
                .map_err(|source| self.failed(source))?;
            let result = self.append_all(&cuts, &used, identity, progress);
            // Without a listener, and without more to read, the cutter ends.
            stop.store(true, Ordering::Relaxed);
            drop(cuts);
            match cutter.join() {
                Ok(()) => result,
                Err(_) => Err(self.failed(std::io::Error::other("the reading thread failed; please report it"))),
            }
        })?;
        self.complete()
    }

    /// The records of the stream, once; `None` when all were read.
    fn blocks(&self, stop: Arc<AtomicBool>) -> Result<Option<Blocks<impl Read + use<>>>, DataError> {
        let stream = self.0.stream.lock().take();
        let Some(mut stream) = stream else {
            return if self.is_complete() {
                Ok(None)
            } else {
                Err(self.unusable("is being read already, or reading it was stopped; open it again"))
            };
        };
        let mut mark = (&mut stream).take(self.0.mark as u64);
        std::io::copy(&mut mark, &mut std::io::sink()).map_err(|source| self.failed(source))?;
        Ok(Some(Blocks::new(
            reading::Stoppable { stream, stop },
            self.0.layout.splitter(),
            reading::BLOCK,
            self.0.options.max_record_bytes.clamp(1, MAX_RECORD_BYTES),
            self.0.mark as u64,
            1,
        )))
    }

    /// The end was reached.
    fn complete(&self) -> Result<(), DataError> {
        if Stamp::of(&self.0.file).map_err(|source| self.failed(source))? != self.0.stamp {
            return Err(DataError::Changed { path: self.0.path.clone() });
        }
        self.0.complete.store(true, Ordering::Release);
        self.usable()
    }

    fn append_all(
        &self,
        cuts: &Receiver<Cut>,
        used: &Sender<Block>,
        identity: Identity,
        progress: &dyn Progress,
    ) -> Result<(), DataError> {
        let stage = format!("reading {}", self.name());
        let total = Some(self.0.stamp.bytes);
        let tick = || progress.tick(&stage, self.0.consumed.load(Ordering::Relaxed).min(self.0.stamp.bytes), total);
        let mut filling = Filling::new(identity);
        tick();
        loop {
            progress.check()?;
            let cut = match cuts.recv_timeout(PATIENCE) {
                Ok(cut) => cut,
                Err(RecvTimeoutError::Timeout) => {
                    tick();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let Some(block) = self.take(cut, &mut filling, || cuts.is_empty())? else { break };
            let _ = used.try_send(block);
            tick();
        }
        progress.tick(&stage, self.0.stamp.bytes, total);
        Ok(())
    }

    /// Reads what was cut and appends what came out of the block before. Returns the used block, `None` at the end.
    fn take(&self, cut: Cut, filling: &mut Filling, is_idle: impl Fn() -> bool) -> Result<Option<Block>, DataError> {
        let before = std::mem::take(&mut filling.pending);
        match cut {
            Cut::Block(mut block) => {
                if std::mem::replace(&mut filling.is_first, false) {
                    self.first_block(&mut block)?;
                }
                let plan = self.0.plan.read().clone();
                let limit = self.0.options.max_record_bytes;
                let read = || reading::read_block(&block, &plan, self.0.layout, limit, filling.identity);
                let (batches, appended) = rayon::join(read, || self.append(before));
                appended?;
                filling.pending = batches;
                if is_idle() {
                    // Nothing to do meanwhile: the rows become visible now.
                    self.append(std::mem::take(&mut filling.pending))?;
                }
                Ok(Some(block))
            }
            Cut::End(remarks) => {
                self.append(before)?;
                let mut index = self.0.index.write();
                remarks.into_iter().for_each(|remark| index.findings.add_for_file(remark));
                Ok(None)
            }
            Cut::Failed(error, rest) => {
                self.append(before)?;
                self.stopped_early(error, rest)?;
                Ok(None)
            }
        }
    }

    fn append(&self, batches: Vec<Batch>) -> Result<(), DataError> {
        let (rows, aside) = {
            let mut index = self.0.index.write();
            for batch in batches {
                reading::append(&mut index, batch);
            }
            (index.stats.rows, index.stats.quarantined)
        };
        if aside > MAX_ASIDE {
            return Err(self.unusable(&format!(
                "more than {MAX_ASIDE} records cannot be read, this may be the wrong file; the first: {}",
                self.first_reason()
            )));
        }
        if rows >= u64::from(u32::MAX) {
            return Err(self.unusable("has more than 4 billion rows; split it"));
        }
        Ok(())
    }

    /// Takes the header off a table, and detects what the first MiB could not tell.
    fn first_block(&self, block: &mut Block) -> Result<(), DataError> {
        let plan = self.0.plan.read().clone();
        let plan =
            reading::complete_plan(&plan, block, self.0.layout, self.0.options.mapping.as_ref()).map_err(|issue| {
                let reason = format!("the header cannot be read: {}", issue.message);
                self.0.index.write().findings.add_for_file(issue);
                self.unusable(&reason)
            })?;
        *self.0.plan.write() = Arc::new(plan);
        Ok(())
    }

    /// Reading failed before the end: damaged compression leaves what was read, anything else is an error.
    fn stopped_early(&self, error: std::io::Error, rest: Option<(u64, u64, u64)>) -> Result<(), DataError> {
        use std::io::ErrorKind as Kind;
        let of_the_disk = matches!(
            error.kind(),
            Kind::StorageFull | Kind::FileTooLarge | Kind::QuotaExceeded | Kind::PermissionDenied | Kind::OutOfMemory
        );
        if self.0.reads_file || of_the_disk {
            return Err(self.failed(error));
        }
        let what = if self.0.format.container == Container::Parquet { "Parquet" } else { "compressed" };
        let message = format!(
            "the {what} data is damaged from here on ({error}) and nothing after it can be read; fetch it again"
        );
        let issue = Issue::fault(FindingKind::DecompressionFailed, None, message);
        let mut index = self.0.index.write();
        match rest {
            Some(place) => index.push_aside(place, issue, None),
            None => index.findings.add_for_file(issue),
        }
        Ok(())
    }

    /// Ok when there is a row.
    fn usable(&self) -> Result<(), DataError> {
        let stats = self.stats();
        if stats.rows > 0 {
            return Ok(());
        }
        let is_table = matches!(self.0.layout, Layout::Table { .. });
        Err(match stats.records {
            0 if self.0.stamp.bytes == 0 => self.unusable("the file is empty"),
            0 if is_table => self.unusable("the table has a header but no rows"),
            0 => match self.findings().into_iter().find(|finding| finding.severity == Severity::Error) {
                Some(finding) => self.unusable(&finding.message),
                None => self.unusable("there are no records in the file"),
            },
            1 => self.unusable(&format!("its only record cannot be used: {}", self.first_reason())),
            records => {
                self.unusable(&format!("none of its {records} records can be used; the first: {}", self.first_reason()))
            }
        })
    }

    fn first_reason(&self) -> String {
        self.0.index.read().first_reason().unwrap_or_default()
    }
}
