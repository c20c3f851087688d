//! What the user can do, and the one table that feeds menu, palette, shortcuts and cheat sheet.
//!
//! Constraint: widgets send actions; `apply.rs` alone carries them out.

use std::path::PathBuf;

use egui::{Key, KeyboardShortcut, Modifiers};

use super::app::App;
use super::compare::CompareAction;
pub use super::hints::Section;
use super::insight::{InsightAction, PurifyTab};
use super::map::{Class, MapLook, SelectMode, Shown as MapShown, Tool};
use super::roles::Role;
use super::state::{RunSettings, Step};
use super::tune::TuneAction;
use super::view::{Column, Filter, Shown};
use crate::data::Mapping;
use crate::selection::{Keep, Verdict};

pub use super::hints::{command_of, hint, key_words};

/// One wish of the user.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    GoTo(Step),
    // Data
    /// Opens files in a role.
    Open(Role, Vec<PathBuf>),
    /// Opens files in the roles that their names suggest.
    OpenAny(Vec<PathBuf>),
    Pick(Role),
    Remove(u64),
    MoveTo(u64, Role),
    StopReading(u64),
    ReadAgain(u64, Option<Mapping>),
    ShowRaw(u64, u64),
    /// Looks for near-duplicates, languages and shared rows in a file.
    LookInto(u64),
    StopLooking(u64),
    TrySample,
    // Run
    Purify,
    StopRun,
    SetRun(Box<RunSettings>),
    PaperPreset,
    DefaultSettings,
    SetKeep(Keep),
    PickModelFolder,
    ClearCache,
    // Review
    /// Moves the cursor by rows of the table.
    Step(isize),
    First,
    Last,
    ExtendTo(usize),
    Extend(isize),
    /// Puts the cursor on a row.
    Select(u32),
    ToggleRow(u32),
    SelectAll,
    ClearSelection,
    Decide(Option<Verdict>),
    DecideRow(u32, Option<Verdict>),
    Next,
    Undo,
    Redo,
    SortBy(Column),
    SetFilter(Filter),
    Show(Shown),
    RefreshView,
    FocusSearch,
    StopSearch,
    // Export
    PickFolder,
    SetExportFolder(String),
    SetLicences(String),
    Export,
    StopExport,
    // Fine-tuning
    Tune(TuneAction),
    /// What is known of the ranking: calibration, reasons, reference health, other rankings.
    Insight(InsightAction),
    // Window
    ToggleTheme,
    ToggleCover,
    ToggleMap,
    ShowWholeMap,
    SetMapLook(MapLook),
    SetMapTool(Tool),
    ToggleClass(Class),
    /// Selects the rows inside a polygon on the map's plane.
    SelectRegion(MapShown, Vec<[f32; 2]>, SelectMode),
    ArrangeRows,
    StopArranging,
    SaveMap(PathBuf),
    PickMapFile(PathBuf),
    OpenPalette,
    ToggleCheatSheet,
    ToggleSettings,
    SavePicture,
    Quit,
}

/// A row of the table.
pub struct Command {
    pub section: Section,
    pub name: &'static str,
    pub help: &'static str,
    pub shortcuts: &'static [KeyboardShortcut],
    /// `Err` says why it cannot be done now.
    pub enabled: fn(&App) -> Result<(), String>,
    pub action: fn() -> Action,
}

pub(super) const NONE: Modifiers = Modifiers::NONE;
pub(super) const CTRL: Modifiers = Modifiers::COMMAND;
pub(super) const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

const fn key(modifiers: Modifiers, key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(modifiers, key)
}

fn always(_: &App) -> Result<(), String> {
    Ok(())
}

macro_rules! command {
    ($section:ident, $name:literal, $help:literal, [$($shortcut:expr),*], $enabled:expr, $action:expr) => {
        Command {
            section: Section::$section,
            name: $name,
            help: $help,
            shortcuts: &[$($shortcut),*],
            enabled: $enabled,
            action: || $action,
        }
    };
}

/// Every command that needs no further words.
pub static COMMANDS: &[Command] = &[
    command!(
        Data,
        "Go to Data",
        "Show the three role cards.",
        [key(CTRL, Key::Num1)],
        always,
        Action::GoTo(Step::Data)
    ),
    command!(
        Data,
        "Add custom file…",
        "Choose the file to make safe.",
        [key(CTRL, Key::O)],
        always,
        Action::Pick(Role::Custom)
    ),
    command!(Data, "Add safe reference…", "Choose files with rows you trust.", [], always, Action::Pick(Role::Safe)),
    command!(
        Data,
        "Add harmful reference…",
        "Choose files with rows you never want to teach.",
        [],
        always,
        Action::Pick(Role::Harmful)
    ),
    command!(
        Data,
        "Try the sample data",
        "Open the built-in sample files in all three roles.",
        [],
        always,
        Action::TrySample
    ),
    command!(
        Run,
        "Go to Purify",
        "Show the run and its settings.",
        [key(CTRL, Key::Num2)],
        always,
        Action::GoTo(Step::Purify)
    ),
    command!(
        Run,
        "Purify",
        "Weigh every custom row by the two references.",
        [key(CTRL, Key::Enter)],
        App::can_purify,
        Action::Purify
    ),
    command!(
        Run,
        "Stop the run",
        "End the running purification; nothing is lost.",
        [],
        App::is_running,
        Action::StopRun
    ),
    command!(Run, "Settings", "Open the settings of the run.", [key(CTRL, Key::Comma)], always, Action::ToggleSettings),
    command!(
        Run,
        "Use the paper's setting",
        "Balance pull and push equally and weigh the kept rows as published.",
        [],
        always,
        Action::PaperPreset
    ),
    command!(
        Run,
        "Use the default settings",
        "Go back to the settings that worked best in our measurements.",
        [],
        always,
        Action::DefaultSettings
    ),
    command!(
        Run,
        "Go to Calibration",
        "Show what canaries say of λ, ε and the cut.",
        [],
        always,
        Action::Insight(InsightAction::ShowPurify(PurifyTab::Calibration))
    ),
    command!(
        Run,
        "Compare rankings",
        "Compute what simpler rankings would drop, on the same rows.",
        [],
        App::can_compare_rankings,
        Action::Insight(InsightAction::CompareRankings)
    ),
    command!(
        Data,
        "Check the references",
        "Look for what speaks against the references: overlap, coverage, rows on the wrong side.",
        [],
        App::can_check_references,
        Action::Insight(InsightAction::CheckReferences)
    ),
    command!(Run, "Go to Export", "Show the export form.", [key(CTRL, Key::Num4)], always, Action::GoTo(Step::Export)),
    command!(
        Run,
        "Export",
        "Write the purified data and its record to the chosen folder.",
        [key(CTRL, Key::E)],
        App::can_export,
        Action::Export
    ),
    command!(
        Tune,
        "Go to Tune",
        "Show fine-tuning and its runs.",
        [key(CTRL, Key::Num5)],
        always,
        Action::GoTo(Step::Tune)
    ),
    command!(
        Tune,
        "Fine-tune",
        "Train an adapter on the chosen rows with their weights.",
        [],
        App::can_tune,
        Action::Tune(TuneAction::Start)
    ),
    command!(
        Tune,
        "Pause or go on",
        "Hold the fine-tuning, or let it go on.",
        [],
        App::is_tuning,
        Action::Tune(TuneAction::Pause)
    ),
    command!(
        Tune,
        "Stop fine-tuning",
        "End it after this step, with a checkpoint and an adapter; it can go on later.",
        [],
        App::is_tuning,
        Action::Tune(TuneAction::Stop)
    ),
    command!(
        Tune,
        "Go to Compare",
        "Show answers with and without an adapter side by side.",
        [key(CTRL, Key::Num6)],
        always,
        Action::GoTo(Step::Compare)
    ),
    command!(
        Tune,
        "Compare answers",
        "Ask the model the prompts with and without the adapter.",
        [],
        App::can_compare,
        Action::Tune(TuneAction::Compare(CompareAction::Start))
    ),
    command!(
        Review,
        "Go to Review",
        "Show map, table and evidence.",
        [key(CTRL, Key::Num3)],
        always,
        Action::GoTo(Step::Review)
    ),
    command!(
        Review,
        "Keep",
        "Keep the selected rows, whatever the machine says.",
        [key(NONE, Key::K), key(NONE, Key::A)],
        App::can_decide,
        Action::Decide(Some(Verdict::Keep))
    ),
    command!(
        Review,
        "Drop",
        "Drop the selected rows, whatever the machine says.",
        [key(NONE, Key::X)],
        App::can_decide,
        Action::Decide(Some(Verdict::Drop))
    ),
    command!(
        Review,
        "Leave to the machine",
        "Take back your decision on the selected rows.",
        [key(NONE, Key::U)],
        App::can_decide,
        Action::Decide(None)
    ),
    command!(Review, "Next row", "Go on without a decision.", [key(NONE, Key::Space)], App::has_rows, Action::Next),
    command!(Review, "Undo", "Take the last decision back.", [key(CTRL, Key::Z)], App::can_undo, Action::Undo),
    command!(
        Review,
        "Redo",
        "Repeat the decision taken back.",
        [key(CTRL_SHIFT, Key::Z), key(CTRL, Key::Y)],
        App::can_redo,
        Action::Redo
    ),
    command!(Review, "Row down", "Select the next row.", [key(NONE, Key::ArrowDown)], App::has_rows, Action::Step(1)),
    command!(Review, "Row up", "Select the row before.", [key(NONE, Key::ArrowUp)], App::has_rows, Action::Step(-1)),
    command!(
        Review,
        "Extend down",
        "Add the next row to the selection.",
        [key(Modifiers::SHIFT, Key::ArrowDown)],
        App::has_rows,
        Action::Extend(1)
    ),
    command!(
        Review,
        "Extend up",
        "Add the row before to the selection.",
        [key(Modifiers::SHIFT, Key::ArrowUp)],
        App::has_rows,
        Action::Extend(-1)
    ),
    command!(Review, "Page down", "Go 20 rows down.", [key(NONE, Key::PageDown)], App::has_rows, Action::Step(20)),
    command!(Review, "Page up", "Go 20 rows up.", [key(NONE, Key::PageUp)], App::has_rows, Action::Step(-20)),
    command!(Review, "First row", "Go to the top of the table.", [key(NONE, Key::Home)], App::has_rows, Action::First),
    command!(Review, "Last row", "Go to the end of the table.", [key(NONE, Key::End)], App::has_rows, Action::Last),
    command!(
        Review,
        "Select all shown rows",
        "Select every row that the filter shows.",
        [key(CTRL, Key::A)],
        App::has_rows,
        Action::SelectAll
    ),
    command!(
        Review,
        "Clear selection and filter",
        "Show all rows, select none.",
        [key(NONE, Key::Escape)],
        always,
        Action::ClearSelection
    ),
    command!(
        Review,
        "Find text",
        "Show only rows that contain a text.",
        [key(CTRL, Key::F), key(NONE, Key::Slash)],
        App::has_rows,
        Action::FocusSearch
    ),
    command!(Review, "Show all rows", "Drop the filter by decision.", [], App::has_rows, Action::Show(Shown::All)),
    command!(
        Review,
        "Show kept rows",
        "Only rows that will be exported.",
        [],
        App::has_rows,
        Action::Show(Shown::Kept)
    ),
    command!(
        Review,
        "Show dropped rows",
        "Only rows that will be left out.",
        [],
        App::has_rows,
        Action::Show(Shown::Dropped)
    ),
    command!(
        Review,
        "Show rows decided by hand",
        "Only rows with your own decision.",
        [],
        App::has_rows,
        Action::Show(Shown::ByHand)
    ),
    command!(
        Review,
        "Map on or off",
        "Show or hide the map above the table.",
        [key(NONE, Key::M)],
        always,
        Action::ToggleMap
    ),
    command!(
        Review,
        "Show the whole map",
        "Fit all points into the map.",
        [key(NONE, Key::Num0)],
        always,
        Action::ShowWholeMap
    ),
    command!(
        Review,
        "Move the map",
        "Drag the map with the pointer.",
        [key(NONE, Key::H)],
        always,
        Action::SetMapTool(Tool::Hand)
    ),
    command!(
        Review,
        "Select with a box",
        "Drag a box around rows on the map; Shift adds, Alt takes away.",
        [key(NONE, Key::R)],
        always,
        Action::SetMapTool(Tool::Box)
    ),
    command!(
        Review,
        "Select with a lasso",
        "Draw around rows on the map; Shift adds, Alt takes away.",
        [key(NONE, Key::L)],
        always,
        Action::SetMapTool(Tool::Lasso)
    ),
    command!(
        Review,
        "Cover texts",
        "Hide row texts until the pointer is on them.",
        [key(NONE, Key::B)],
        always,
        Action::ToggleCover
    ),
    command!(
        Window,
        "All commands…",
        "Find and run any command.",
        [key(CTRL_SHIFT, Key::P), key(CTRL, Key::K)],
        always,
        Action::OpenPalette
    ),
    command!(
        Window,
        "Keys",
        "Show all keys.",
        [key(NONE, Key::F1), key(NONE, Key::Questionmark)],
        always,
        Action::ToggleCheatSheet
    ),
    command!(Window, "Light or dark", "Change the theme.", [key(CTRL_SHIFT, Key::L)], always, Action::ToggleTheme),
    command!(
        Window,
        "Save a picture of the window",
        "Write a PNG beside your exports; it shows what you see.",
        [key(CTRL_SHIFT, Key::S)],
        always,
        Action::SavePicture
    ),
    command!(
        Window,
        "Quit",
        "Close the window. Decisions are on disk already.",
        [key(CTRL, Key::Q)],
        always,
        Action::Quit
    ),
];
