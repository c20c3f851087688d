//! Carries actions out. The one place that changes what the window works on at the user's wish.

use std::path::PathBuf;

use super::action::Action;
use super::app::{App, Found};
use super::pick;
use super::roles::{FileState, Role, RoleFile, name_of};
use super::selected::Selected;
use super::session::ProjectState;
use super::state::{RunSettings, Step};
use super::view::{Column, Filter, Shown, Sort, ViewRows};
use super::writer::Change;
use crate::data::Mapping;
use crate::jobs::{Job, JobContext};
use crate::selection::{SelectionSettings, WeightMode};
use crate::transport::Settings;

impl App {
    pub(super) fn apply_all(&mut self) {
        if self.actions.is_empty() {
            return;
        }
        while let Some(action) = self.actions.pop_front() {
            self.apply(action);
        }
        self.session.mark_selection();
    }

    fn apply(&mut self, action: Action) {
        // What the table of commands forbids now, no key and no click does.
        if let Some(command) = super::action::command_of(&action)
            && let Err(reason) = (command.enabled)(self)
        {
            if !matches!(action, Action::Step(_) | Action::Next | Action::Extend(_)) {
                self.say(&reason);
            }
            return;
        }
        match action {
            Action::GoTo(step) => self.step = step,
            Action::Open(role, paths) => paths.into_iter().for_each(|path| self.open_file(role, path, None)),
            Action::OpenAny(paths) => paths.into_iter().for_each(|path| {
                let role = self.role_for(&path);
                self.open_file(role, path, None);
            }),
            Action::Pick(role) => self.pick_files(role),
            Action::Remove(id) => self.remove_file(id),
            Action::MoveTo(id, role) => self.move_file(id, role),
            Action::StopReading(id) => {
                if let Some(file) = self.session.file(id) {
                    file.cancel();
                }
            }
            Action::ReadAgain(id, mapping) => self.read_again(id, mapping),
            Action::ShowRaw(file, record) => self.show_raw(file, record),
            Action::LookInto(id) => self.session.checks.ask(id),
            Action::StopLooking(id) => self.session.checks.stop(id),
            Action::TrySample => {
                let backend = self.backend.clone();
                self.small.push(Job::spawn("Opening the sample data", self.waker(), move |_: &JobContext<()>| {
                    backend.sample().map(Found::Sample)
                }));
            }
            Action::Purify => self.start_run(),
            Action::StopRun => {
                if let Some(job) = &self.session.run.job {
                    job.cancel();
                }
            }
            Action::SetRun(run) => self.set_run(*run),
            Action::PaperPreset => {
                let solver = Settings { lambda: Settings::paper().lambda, ..self.state.run.solver.clone() };
                let selection = SelectionSettings { weights: WeightMode::Paper, ..self.state.run.selection };
                self.set_run(RunSettings { solver, selection, calibration: None, ..self.state.run.clone() });
            }
            Action::DefaultSettings => self.set_run(RunSettings::default()),
            Action::SetKeep(keep) => {
                let mut run = self.state.run.clone();
                run.selection.keep = keep;
                self.set_run(run);
            }
            Action::PickModelFolder => {
                let start = None;
                self.small.push(pick::folder("Choose a model folder", start, self.waker(), Found::of_model));
            }
            Action::ClearCache => self.clear_cache(),
            Action::PickFolder => {
                let start = Some(PathBuf::from(&self.state.export_folder));
                self.small.push(pick::folder("Choose an export folder", start, self.waker(), Found::ExportFolder));
            }
            Action::SetExportFolder(folder) => self.state.export_folder = folder,
            Action::SetLicences(licences) => self.state.licences = licences,
            Action::Export => self.start_export(),
            Action::StopExport => {
                if let Some(job) = &self.session.export.job {
                    job.cancel();
                }
            }
            Action::Insight(action) => self.apply_insight(action),
            Action::ToggleTheme => {
                self.state.dark = !self.state.dark;
                self.ctx.set_theme(if self.state.dark { egui::Theme::Dark } else { egui::Theme::Light });
            }
            Action::ToggleCover => self.state.cover_texts = !self.state.cover_texts,
            Action::ToggleMap => self.state.show_map = !self.state.show_map,
            Action::SetMapLook(look) => self.set_map_look(look),
            Action::SetMapTool(tool) => self.session.map.tool = tool,
            Action::ToggleClass(class) => self.session.map.hidden.toggle(class),
            Action::SelectRegion(shown, polygon, mode) => self.select_region(shown, polygon, mode),
            Action::ArrangeRows => self.arrange_rows(),
            Action::StopArranging => self.stop_arranging(),
            Action::SaveMap(path) => self.save_map(path),
            Action::PickMapFile(start) => self.small.push(pick::picture(start, self.waker())),
            Action::ShowWholeMap => {
                if let Some(panes) = &mut self.panes {
                    panes.map.show_whole();
                }
            }
            Action::OpenPalette => {
                self.palette_open = true;
                if let Some(panes) = &mut self.panes {
                    panes.commands.open();
                }
            }
            Action::ToggleCheatSheet => self.cheat_sheet_open = !self.cheat_sheet_open,
            Action::ToggleSettings => {
                self.settings_open = !self.settings_open;
                if self.settings_open {
                    self.measure_cache();
                    self.list_adapters();
                }
            }
            Action::Tune(action) => self.apply_tune(action),
            Action::SavePicture => self.save_picture(),
            Action::Quit => self.ctx.send_viewport_cmd(egui::ViewportCommand::Close),
            review => self.apply_review(review),
        }
    }

    fn apply_review(&mut self, action: Action) {
        match action {
            Action::Decide(verdict) => {
                let rows = self.session.chosen_rows();
                self.record(Change::Decide { rows, verdict });
            }
            Action::DecideRow(row, verdict) => self.record(Change::Decide { rows: vec![row], verdict }),
            Action::Undo => self.record(Change::Undo),
            Action::Redo => self.record(Change::Redo),
            Action::Next => self.move_cursor(1),
            Action::Step(by) => self.move_cursor(by),
            Action::First => self.move_cursor(isize::MIN / 2),
            Action::Last => self.move_cursor(isize::MAX / 2),
            Action::Extend(by) => {
                let place = self.session.table.place.saturating_add_signed(by);
                self.extend_to(place);
            }
            Action::ExtendTo(place) => self.extend_to(place),
            Action::Select(row) => self.select(row),
            Action::ToggleRow(row) => {
                let table = &mut self.session.table;
                if !table.selected.remove(&row) {
                    table.selected.insert(row);
                    table.cursor = Some(row);
                    table.place = table.rows.place_of(row, table.place).unwrap_or(table.place);
                    table.anchor = table.place;
                }
            }
            Action::SelectAll => {
                let table = &mut self.session.table;
                table.selected = match &table.rows {
                    ViewRows::All(rows) => Selected::all(*rows),
                    ViewRows::List(rows) => rows.iter().copied().collect(),
                };
            }
            Action::ClearSelection => {
                if self.settings_open {
                    self.settings_open = false;
                    return;
                }
                let table = &mut self.session.table;
                table.selected = table.cursor.into_iter().collect();
                if !table.filter.is_empty() {
                    table.filter = Filter::default();
                    self.refresh_view();
                }
            }
            Action::SortBy(column) => {
                let sort = &mut self.session.table.sort;
                let first = matches!(column, Column::Score | Column::Weight | Column::Pull | Column::Push);
                let descending = if sort.column == column { !sort.descending } else { first };
                *sort = Sort { column, descending };
                self.refresh_view();
            }
            Action::SetFilter(filter) => {
                if self.session.table.filter != filter {
                    self.session.table.filter = filter;
                    self.refresh_view();
                }
            }
            Action::Show(shown) => {
                self.step = Step::Review;
                let filter = Filter { shown, ..self.session.table.filter.clone() };
                self.apply_review(Action::SetFilter(filter));
            }
            Action::RefreshView => self.refresh_view(),
            Action::FocusSearch => {
                self.step = Step::Review;
                if let Some(panes) = &mut self.panes {
                    panes.review.focus_search();
                }
            }
            Action::StopSearch => {
                self.session.table.job = None;
                self.session.table.filter.text.clear();
                self.refresh_view();
            }
            other => tracing::error!("no one carries out {other:?}"),
        }
    }

    fn record(&mut self, change: Change) {
        match &mut self.session.project {
            ProjectState::Open(writer) => writer.send(change),
            _ => {
                if let Err(reason) = self.can_decide() {
                    self.say(&reason);
                }
            }
        }
    }

    /// Moves the cursor; it stays within the table.
    fn move_cursor(&mut self, by: isize) {
        let table = &mut self.session.table;
        let last = table.rows.len().saturating_sub(1);
        let place = table.place.saturating_add_signed(by).min(last);
        if let Some(row) = table.rows.get(place) {
            table.place = place;
            table.anchor = place;
            table.cursor = Some(row);
            table.selected = [row].into();
            table.scroll_to = Some(place);
        }
    }

    fn extend_to(&mut self, place: usize) {
        let table = &mut self.session.table;
        let place = place.min(table.rows.len().saturating_sub(1));
        let (from, to) = (table.anchor.min(place), table.anchor.max(place));
        table.selected = (from..=to).filter_map(|at| table.rows.get(at)).collect();
        table.place = place;
        table.cursor = table.rows.get(place);
        table.scroll_to = Some(place);
    }

    fn select(&mut self, row: u32) {
        let table = &mut self.session.table;
        table.cursor = Some(row);
        table.selected = [row].into();
        if let Some(place) = table.rows.place_of(row, table.place) {
            table.place = place;
            table.anchor = place;
            table.scroll_to = Some(place);
        }
    }

    /// The role that a file most likely has: by its name, else the first empty card.
    fn role_for(&self, path: &std::path::Path) -> Role {
        let empty = |role: &Role| self.session.of_role(*role).next().is_none();
        match Role::guess(path) {
            Some(role) if role != Role::Custom || empty(&Role::Custom) => role,
            guessed => Role::ALL.into_iter().find(empty).or(guessed).unwrap_or(Role::Custom),
        }
    }

    pub(super) fn open_file(&mut self, role: Role, path: PathBuf, mapping: Option<Mapping>) {
        if self.session.of_role(role).any(|file| file.path == path && !matches!(file.state, FileState::Failed(_))) {
            self.say(&format!("{} is open in this role already.", name_of(&path)));
            return;
        }
        self.session.files.retain(|file| !(file.role == role && file.path == path));
        if role == Role::Custom {
            // One custom file: a new one takes its place.
            self.session.files.retain(|file| file.role != Role::Custom);
            self.session.forget_custom();
        }
        let id = self.session.next_id;
        self.session.next_id += 1;
        let file = RoleFile::open(id, role, path, mapping, self.backend.clone(), self.waker());
        self.session.files.push(file);
    }

    fn remove_file(&mut self, id: u64) {
        let was_custom = self.session.file(id).is_some_and(|file| file.role == Role::Custom);
        self.session.files.retain(|file| file.id != id);
        self.session.raw.retain(|(file, _), _| *file != id);
        if was_custom {
            self.session.forget_custom();
        }
    }

    fn move_file(&mut self, id: u64, role: Role) {
        let Some(at) = self.session.files.iter().position(|file| file.id == id) else { return };
        let from = self.session.files[at].role;
        if from == role {
            return;
        }
        if from == Role::Custom || role == Role::Custom {
            // Both files are read already, but decisions and texts belong to the custom one.
            let (path, mapping) = (self.session.files[at].path.clone(), self.session.files[at].mapping.clone());
            self.remove_file(id);
            self.open_file(role, path, mapping);
        } else if let Some(file) = self.session.files.get_mut(at) {
            file.role = role;
        }
    }

    fn read_again(&mut self, id: u64, mapping: Option<Mapping>) {
        let Some(file) = self.session.file(id) else { return };
        let (role, path) = (file.role, file.path.clone());
        let place = self.session.files.iter().position(|file| file.id == id);
        self.remove_file(id);
        self.open_file(role, path, mapping);
        // It keeps its place on the card.
        if let (Some(place), Some(file)) = (place, self.session.files.pop()) {
            self.session.files.insert(place.min(self.session.files.len()), file);
        }
    }

    fn show_raw(&mut self, file: u64, record: u64) {
        let Some(found) = self.session.file(file) else { return };
        let quarantined = found.facts.as_ref().and_then(|f| f.quarantine.iter().find(|q| q.row == record).cloned());
        let (Some(handle), Some(quarantined)) = (found.handle.clone(), quarantined) else { return };
        self.small.push(Job::spawn("Reading a raw record", self.waker(), move |_: &JobContext<()>| {
            Ok::<_, String>(Found::Raw(file, record, super::work::raw_text(&handle, &quarantined)))
        }));
    }

    fn pick_files(&mut self, role: Role) {
        self.step = Step::Data;
        self.small.push(pick::files(role, self.waker()));
    }

    /// Takes new settings; what depends on them follows.
    fn set_run(&mut self, run: RunSettings) {
        let before = std::mem::replace(&mut self.state.run, run);
        let (was, is) = (before.selection, self.state.run.selection);
        if was.rank_by != is.rank_by {
            self.rank_again();
        } else if was.keep != is.keep {
            self.session.recount(&self.state.run);
            let by_fate =
                self.session.table.filter.shown != Shown::All || self.session.table.sort.column == Column::Decision;
            if by_fate {
                self.refresh_view();
            }
        }
    }

    fn save_picture(&mut self) {
        let stamp = time::OffsetDateTime::now_utc().unix_timestamp();
        let folder = PathBuf::from(self.state.export_folder.trim());
        let folder = if folder.is_dir() { folder } else { std::env::temp_dir() };
        let path = folder.join(format!("dipole-{stamp}.png"));
        let (sender, receiver) = crossbeam_channel::bounded(1);
        let at = path.clone();
        self.take_picture(move |image| {
            // Nobody waits for it when the window has closed.
            let _ = sender.send(super::work::save_picture(&image, &at));
        });
        self.small.push(Job::spawn("Saving a picture", self.waker(), move |_: &JobContext<()>| {
            match receiver.recv_timeout(std::time::Duration::from_secs(10)) {
                Ok(Ok(())) => Ok(Found::Picture(path)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err("The picture was not taken: the window drew nothing.".to_owned()),
            }
        }));
    }

    /// Files dropped on the window go to the card under the pointer, else by their names.
    pub(super) fn take_dropped_files(&mut self, ctx: &egui::Context) {
        let dropped: Vec<PathBuf> =
            ctx.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect());
        if dropped.is_empty() {
            return;
        }
        let at = ctx.pointer_latest_pos();
        let role = self.panes.as_ref().and_then(|panes| panes.data.role_at(at)).filter(|_| self.step == Step::Data);
        self.step = Step::Data;
        match role {
            Some(role) => self.actions.push_back(Action::Open(role, dropped)),
            None => self.actions.push_back(Action::OpenAny(dropped)),
        }
    }
}
