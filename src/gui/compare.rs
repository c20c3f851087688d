//! A model beside its adapter in the window: what is chosen, what was answered. Data only; `compare_work.rs` moves it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::jobs::{Job, Snapshot};
use crate::training::{Answer, ComparisonEvent, Figures, Perplexity, Probe, ProbeKind};

/// The untuned model, and the one with the adapter.
pub const SIDES: usize = 2;

/// Where the prompts come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptsFrom {
    #[default]
    BuiltIn,
    File,
    Typed,
}

/// What is remembered between two starts. Typed prompts are not: they may be texts that nobody wants to find again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompareChoices {
    pub base: String,
    pub adapter: String,
    pub prompts: PromptsFrom,
    pub file: String,
    /// What the user's own prompts are.
    pub kind: ProbeKind,
    pub max_tokens: usize,
    /// 0 always takes the likeliest token.
    pub temperature: f64,
}

impl Default for CompareChoices {
    fn default() -> Self {
        Self {
            base: String::new(),
            adapter: String::new(),
            prompts: PromptsFrom::BuiltIn,
            file: String::new(),
            kind: ProbeKind::Unlabelled,
            max_tokens: 96,
            temperature: 0.0,
        }
    }
}

/// A wish about a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum CompareAction {
    Set(Box<CompareChoices>),
    /// The user's own prompts, one a line.
    SetTyped(String),
    /// Takes model and adapter of a run, and shows the pane.
    Of(PathBuf),
    PickBase,
    PickAdapter,
    PickPrompts,
    Start,
    Stop,
}

/// What the job tells.
#[derive(Debug, Clone)]
pub enum CompareEvent {
    /// The prompts that are asked, in order.
    Probes(Vec<Probe>),
    Said(ComparisonEvent),
    Perplexity(usize, Perplexity),
}

/// What a whole comparison gives; events may be lost when the window lags, this is not.
#[derive(Debug, Clone)]
pub struct Compared {
    /// A list a side, in the order of the prompts.
    pub answers: Vec<Vec<Answer>>,
    /// One a side, or why none is measured.
    pub perplexity: Result<Vec<Perplexity>, String>,
}

/// What one side says so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Column {
    pub text: String,
    pub answer: Option<Answer>,
}

/// One prompt and its answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub probe: Probe,
    pub sides: [Column; SIDES],
}

/// A comparison that goes on or ended.
#[derive(Default)]
pub struct CompareState {
    pub typed: String,
    pub job: Option<Job<CompareEvent, Compared>>,
    pub rows: Vec<Row>,
    pub figures: [Figures; SIDES],
    pub perplexity: [Option<Perplexity>; SIDES],
    pub no_perplexity: Option<String>,
    pub error: Option<String>,
    /// It was stopped before every prompt was answered.
    pub is_partial: bool,
    /// What was compared: names of model and adapter.
    pub title: Option<(String, String)>,
}

impl CompareState {
    pub fn running(&self) -> Option<(String, Snapshot)> {
        self.job.as_ref().map(|job| (job.name().to_owned(), job.snapshot()))
    }

    /// Takes what the job told.
    pub fn hear(&mut self, event: CompareEvent) {
        match event {
            CompareEvent::Probes(probes) => {
                let row = |probe| Row { probe, sides: Default::default() };
                self.rows = probes.into_iter().map(row).collect();
            }
            CompareEvent::Said(ComparisonEvent::Text { probe, side, text }) => {
                if let Some(column) = self.rows.get_mut(probe).and_then(|row| row.sides.get_mut(side)) {
                    column.text.push_str(&text);
                }
            }
            CompareEvent::Said(ComparisonEvent::Answer { probe, side, answer }) => {
                if let Some(column) = self.rows.get_mut(probe).and_then(|row| row.sides.get_mut(side)) {
                    column.text.clone_from(&answer.text);
                    column.answer = Some(answer);
                }
                self.count();
            }
            CompareEvent::Perplexity(side, perplexity) => {
                if let Some(slot) = self.perplexity.get_mut(side) {
                    *slot = Some(perplexity);
                }
            }
        }
    }

    /// True while a prompt is not answered by every side.
    pub fn lacks_answers(&self) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|row| row.sides.iter().any(|side| side.answer.is_none()))
    }

    fn count(&mut self) {
        for (side, figures) in self.figures.iter_mut().enumerate() {
            let answers = self.rows.iter().map(|row| row.sides.get(side).and_then(|column| column.answer.as_ref()));
            let probes = self.rows.iter().map(|row| &row.probe);
            *figures = Figures::of(probes, answers);
        }
    }
}
