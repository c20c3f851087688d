//! The background work behind the map: arranging rows by meaning, regions, partners, colours, pictures.
//!
//! Constraint: everything that looks at all rows happens in a job; a frame takes what is ready.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::app::{App, Found};
use super::map::{Hidden, MapLook, Placement, SelectMode, Shown, Tool, units};
use super::solved::Solved;
use crate::embedding::EmbeddingError;
use crate::embedding::projection::{LayoutObserver, Place, ProjectionSettings, neighbour_embedding, principal_plane};
use crate::jobs::{Job, JobContext, JobFailure, JobState, Progress, Snapshot};
use crate::transport::{Points, strongest_partners};

/// References that a row is tied to by lines, on each side.
const PARTNERS: usize = 6;
/// Partners with a smaller share of the row's mass are not drawn.
const LEAST_SHARE: f64 = 0.01;

/// The newest map by meaning, left by the job for the next frame.
type Newest = Arc<Mutex<Option<Arc<Placement>>>>;

/// The references that explain a row: point of the map and share of the row's mass.
#[derive(Debug, Clone, PartialEq)]
pub struct Partners {
    pub row: u32,
    pub safe: Vec<(u32, f64)>,
    pub harmful: Vec<(u32, f64)>,
}

/// What the map does and shows, apart from what is saved.
#[derive(Default)]
pub struct MapState {
    pub tool: Tool,
    pub hidden: Hidden,
    pub partners: Option<Partners>,
    /// Why the map by meaning is missing or not refined.
    pub note: Option<String>,
    arranging: Option<Job<(), ()>>,
    newest: Newest,
    finding: Option<(u32, Job<(), Partners>)>,
    colouring: Option<Job<(), ()>>,
    region: Option<Job<(), (Vec<u32>, SelectMode)>>,
    /// Where the map is on screen, for its picture.
    pub rect: Option<egui::Rect>,
    /// A picture is taken after so many frames, so that the question for its path is gone from the screen.
    picture: Option<(PathBuf, u8)>,
}

impl MapState {
    /// Progress of the map by meaning.
    pub fn progress(&self) -> Option<(String, Snapshot)> {
        self.arranging.as_ref().map(|job| (job.name().to_owned(), job.snapshot()))
    }

    /// True while anything here goes on.
    pub fn is_busy(&self) -> bool {
        self.arranging.is_some()
            || self.finding.is_some()
            || self.colouring.is_some()
            || self.region.is_some()
            || self.picture.is_some()
    }
}

/// Tells progress and leaves pictures, not more often than a window can take them.
struct Watcher<'a> {
    context: &'a JobContext<()>,
    newest: &'a Newest,
    last: Mutex<Instant>,
}

impl Progress for Watcher<'_> {
    fn tick(&self, stage: &str, done: u64, total: Option<u64>) {
        self.context.tick(stage, done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.context.is_cancelled()
    }
}

impl LayoutObserver for Watcher<'_> {
    fn layout(&self, places: &[Place]) {
        let mut last = self.last.lock();
        let due = Duration::from_millis(200) + Duration::from_micros(places.len() as u64);
        if last.elapsed() >= due {
            *self.newest.lock() = Some(Arc::new(Placement::new(places.to_vec())));
            *last = Instant::now();
        }
    }
}

fn arrange(solved: &Solved, threads: usize, newest: &Newest, context: &JobContext<()>) -> Result<(), EmbeddingError> {
    let sets = solved.purified.vectors.each_ref();
    let seed = solved.plan.settings.seed;
    let plane = principal_plane(&sets, seed, threads, context)?;
    *newest.lock() = Some(Arc::new(Placement::new(plane.clone())));
    let watcher = Watcher { context, newest, last: Mutex::new(Instant::now()) };
    let settings = ProjectionSettings { seed, threads, ..ProjectionSettings::default() };
    let places = neighbour_embedding(&sets, &plane, &settings, &watcher)?;
    *newest.lock() = Some(Arc::new(Placement::new(places)));
    Ok(())
}

impl App {
    /// Begins the map by meaning of a new result, or takes that of the same rows ranked otherwise.
    pub(super) fn start_map(&mut self, before: Option<&Arc<Solved>>) {
        let Some(solved) = self.session.solved.clone() else { return };
        if let Some(before) = before.filter(|before| Arc::ptr_eq(&before.purified, &solved.purified)) {
            if let Some(placed) = before.cloud.meaning() {
                solved.cloud.set_meaning(placed);
            }
            return;
        }
        self.session.map.partners = None;
        self.arrange_rows();
    }

    /// Arranges the rows by meaning, from the start.
    pub(super) fn arrange_rows(&mut self) {
        let Some(solved) = self.session.solved.clone() else { return };
        let newest = Newest::default();
        self.session.map.newest = newest.clone();
        self.session.map.note = None;
        self.session.map.arranging = None;
        if solved.cloud.total() == solved.cloud.len() {
            return;
        }
        // One core stays with the window.
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if self.options.threads == 0 { (cores - 1).max(1) } else { self.options.threads };
        self.session.map.arranging =
            Some(Job::spawn("Arranging the map", self.waker(), move |context: &JobContext<()>| {
                arrange(&solved, threads, &newest, context)
            }));
    }

    pub(super) fn stop_arranging(&mut self) {
        if let Some(job) = &self.session.map.arranging {
            job.cancel();
        }
    }

    /// Takes what the jobs of the map have finished. Never waits.
    pub(super) fn poll_map(&mut self) {
        let map = &mut self.session.map;
        if let Some(solved) = &self.session.solved
            && let Some(placed) = map.newest.lock().take()
        {
            solved.cloud.set_meaning(placed);
        }
        if let Some(job) = &mut map.arranging {
            match job.poll() {
                JobState::Running => {}
                JobState::Done(()) | JobState::Taken => map.arranging = None,
                JobState::Failed(failure) => {
                    map.note = Some(match failure {
                        JobFailure::Cancelled => "The map was stopped before it was settled.".to_owned(),
                        failure => format!("The map by meaning failed: {failure}"),
                    });
                    map.arranging = None;
                }
            }
        }
        if let Some(job) = &mut map.colouring
            && !matches!(job.poll(), JobState::Running)
        {
            map.colouring = None;
        }
        if let Some(job) = &mut map.region {
            match job.poll() {
                JobState::Running => {}
                JobState::Done((rows, mode)) => {
                    map.region = None;
                    self.select_rows(&rows, mode);
                }
                JobState::Failed(_) | JobState::Taken => map.region = None,
            }
        }
        self.poll_partners();
        self.poll_map_picture();
    }

    /// Looks for the partners of the row under the cursor, one row at a time.
    fn poll_partners(&mut self) {
        let wake = self.waker();
        let map = &mut self.session.map;
        if let Some((row, job)) = &mut map.finding {
            map.partners = Some(match job.poll() {
                JobState::Running => return,
                JobState::Done(partners) => partners,
                // It is not tried again: lines are a help, not a result.
                JobState::Failed(_) | JobState::Taken => Partners { row: *row, safe: Vec::new(), harmful: Vec::new() },
            });
            map.finding = None;
        }
        let (Some(solved), Some(row)) = (self.session.solved.clone(), self.session.table.cursor) else {
            map.partners = None;
            return;
        };
        let known = map.partners.as_ref().is_some_and(|partners| partners.row == row);
        if known || !self.state.show_map || solved.cloud.total() == solved.cloud.len() {
            return;
        }
        let work = move |_: &JobContext<()>| Ok::<_, String>(partners(&solved, row));
        map.finding = Some((row, Job::spawn("Looking for partners", wake, work)));
    }

    /// Takes new choices for the map.
    pub(super) fn set_map_look(&mut self, look: MapLook) {
        let before = std::mem::replace(&mut self.state.map, look);
        let Some(solved) = self.session.solved.clone() else { return };
        if before.colour_by != look.colour_by {
            let wake = self.waker();
            self.session.map.colouring = Some(Job::spawn("Colouring the map", wake, move |_: &JobContext<()>| {
                solved.cloud.recolour(&units(&solved.purified, &solved.ranking, look.colour_by));
                Ok::<_, String>(())
            }));
        }
    }

    /// Looks for the rows in a region of the map.
    pub(super) fn select_region(&mut self, shown: Shown, polygon: Vec<[f32; 2]>, mode: SelectMode) {
        let Some(solved) = self.session.solved.clone() else { return };
        let (hidden, dropped) = (self.session.map.hidden, self.session.dropped_by_machine());
        self.session.map.region = Some(Job::spawn("Selecting rows", self.waker(), move |_: &JobContext<()>| {
            let placed = solved.cloud.placement(shown);
            Ok::<_, String>((solved.cloud.rows_inside(&placed, &polygon, dropped, hidden), mode))
        }));
    }

    fn select_rows(&mut self, rows: &[u32], mode: SelectMode) {
        let table = &mut self.session.table;
        match mode {
            SelectMode::Replace => table.selected = rows.iter().copied().collect(),
            SelectMode::Add => table.selected.extend(rows.iter().copied()),
            SelectMode::Subtract => {
                for row in rows {
                    table.selected.remove(row);
                }
            }
        }
        if table.cursor.is_none_or(|cursor| !table.selected.contains(&cursor))
            && let Some(first) = rows.first().copied().filter(|first| table.selected.contains(first))
        {
            table.cursor = Some(first);
            if let Some(place) = table.rows.place_of(first, table.place) {
                (table.place, table.anchor, table.scroll_to) = (place, place, Some(place));
            }
        }
        self.session.mark_selection();
        let count = super::words::count(self.session.table.selected.len() as u64);
        self.say(&format!("{count} rows are selected. Keep (K) or drop (X) applies to all of them."));
    }

    /// Saves what the map shows, with its legend.
    pub(super) fn save_map(&mut self, path: PathBuf) {
        self.session.map.picture = Some((path, 2));
        self.ctx.request_repaint();
    }

    fn poll_map_picture(&mut self) {
        let Some((path, frames)) = self.session.map.picture.take() else { return };
        if frames > 0 {
            self.session.map.picture = Some((path, frames - 1));
            self.ctx.request_repaint();
            return;
        }
        let Some(rect) = self.session.map.rect else {
            self.say("Show the map first: there is nothing to save.");
            return;
        };
        let scale = self.ctx.pixels_per_point();
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let at = path.clone();
        self.take_picture(move |image| {
            // Nobody waits for it when the window has closed.
            let _ = sender.send(save_part(&image, rect, scale, &at));
        });
        self.small.push(Job::spawn("Saving the map", self.waker(), move |_: &JobContext<()>| {
            match receiver.recv_timeout(Duration::from_secs(10)) {
                Ok(Ok(())) => Ok(Found::Picture(path)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err("The picture was not taken: the window drew nothing.".to_owned()),
            }
        }));
    }
}

fn save_part(image: &egui::ColorImage, rect: egui::Rect, scale: f32, path: &Path) -> Result<(), String> {
    let whole = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(image.width() as f32, image.height() as f32));
    let part = (rect * scale).intersect(whole);
    if part.width() < 1.0 || part.height() < 1.0 {
        return Err("The map is not on the screen: there is nothing to save.".to_owned());
    }
    super::work::save_picture(&image.region(&part, None), path)
}

fn partners(solved: &Solved, row: u32) -> Partners {
    let [custom, safe, harmful] = solved.purified.vectors.as_ref();
    let outcome = &solved.purified.outcome;
    let of = |reference, side, is_harmful| {
        let found = strongest_partners(custom.row(row as usize), Points::from(reference), side, PARTNERS);
        let strong = found.into_iter().filter(|(_, share)| *share >= LEAST_SHARE);
        strong.map(|(at, share)| (solved.cloud.reference(is_harmful, at), share)).collect()
    };
    Partners { row, safe: of(safe, &outcome.safe, false), harmful: of(harmful, &outcome.harmful, true) }
}
