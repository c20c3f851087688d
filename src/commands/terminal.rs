//! What the user of the terminal sees: progress on standard error, results on standard output.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

use super::interrupt::{EXIT_CODE, Interrupt};
use crate::jobs::{Cancelled, Progress};
use crate::transport::{Observer, TracePoint};

/// Progress, results and errors on a terminal or for a machine.
pub struct Terminal {
    json: bool,
    bar: ProgressBar,
    plain: bool,
    interrupt: Interrupt,
    /// That it stops was said.
    told: AtomicBool,
    state: Mutex<State>,
}

struct State {
    stage: String,
    began: Instant,
    said: Instant,
}

/// Without a terminal one line is said for a stage and then at most one every so often.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

impl Terminal {
    pub fn new(json: bool, quiet: bool) -> Self {
        let attended = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            None,
            if attended && !quiet { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() },
        );
        let now = Instant::now();
        Self {
            json,
            bar,
            plain: !attended && !quiet && !json,
            interrupt: Interrupt::default(),
            told: AtomicBool::new(false),
            state: Mutex::new(State { stage: String::new(), began: now, said: now }),
        }
    }

    /// From now on Ctrl-C stops the work instead of ending the program.
    pub fn catch_interrupts(&self) {
        self.interrupt.listen();
    }

    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Prints a result: `value` for machines, `text` for people.
    pub fn result(&self, value: &impl serde::Serialize, text: &str) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        // A list may have a million lines; standard output alone would write each by itself.
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        if self.json {
            serde_json::to_writer_pretty(&mut out, value)?;
            writeln!(out)?;
        } else {
            out.write_all(text.as_bytes())?;
        }
        out.flush()?;
        Ok(())
    }

    /// Results are for machines.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Says something to people only.
    pub fn say(&self, text: &str) {
        if !self.json {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }

    /// Prints an error and gives the exit code 1, or that of a stop where the user asked for one.
    pub fn fail(&self, error: &anyhow::Error) -> ExitCode {
        self.bar.finish_and_clear();
        // The errors of the library pass a stop on as it is, with its own words.
        let is_stop = error.chain().any(|cause| cause.to_string() == Cancelled.to_string());
        if self.interrupt.is_asked() && is_stop {
            if self.json {
                println!("{}", serde_json::json!({ "error": "stopped", "stopped": true }));
            }
            eprintln!("dipole: stopped; nothing half-done was left ({})", in_full(error));
            return ExitCode::from(EXIT_CODE);
        }
        // A reader that went away (`dipole … | head`) is not a failure worth words.
        let pipe_closed =
            error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
        if !pipe_closed {
            if self.json {
                println!("{}", serde_json::json!({ "error": in_full(error) }));
            }
            eprintln!("dipole: {}", in_full(error));
        }
        ExitCode::FAILURE
    }
}

impl Progress for Terminal {
    fn is_cancelled(&self) -> bool {
        let asked = self.interrupt.is_asked();
        if asked && !self.told.swap(true, Ordering::Relaxed) {
            self.say("stopping; once more ends it at once");
        }
        asked
    }

    fn tick(&self, stage: &str, done: u64, total: Option<u64>) {
        let mut state = self.state.lock();
        let new_stage = state.stage != stage;
        if new_stage {
            state.stage = stage.to_owned();
            state.began = Instant::now();
            self.bar.reset();
            self.bar.set_style(style(total.is_some()));
            self.bar.set_message(stage.to_owned());
        }
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
        if self.plain && (new_stage || state.said.elapsed() >= PLAIN_INTERVAL) {
            state.said = Instant::now();
            match total.filter(|_| !new_stage) {
                Some(total) if total > 0 => eprintln!("{stage}: {} %", done.saturating_mul(100) / total),
                _ => eprintln!("{stage}"),
            }
        }
    }
}

impl Observer for Terminal {
    fn step(&self, point: &TracePoint) {
        tracing::debug!(step = point.step, residual = point.residual, objective = point.objective, "outer step");
    }

    fn warn(&self, message: &str) {
        self.say(&format!("warning: {message}"));
    }
}

fn style(known_total: bool) -> ProgressStyle {
    let template = if known_total {
        "{msg:32} {wide_bar} {percent:>3} %  {eta} left"
    } else {
        "{msg:32} {spinner} {human_pos}  {elapsed}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The error and its causes, each told once: many of ours name their cause already.
pub fn in_full(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// A figure with thousands separated by commas.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{in_full, thousands};

    #[test]
    fn a_cause_is_told_once() {
        let told = anyhow::anyhow!("a.jsonl: no such file");
        assert_eq!(in_full(&told), "a.jsonl: no such file");
        let source = std::io::Error::other("disk full");
        let error = anyhow::Error::new(crate::project::ProjectError::Io { path: "b".into(), source });
        assert_eq!(in_full(&error), "b: disk full");
        assert_eq!(in_full(&error.context("the export was not written")), "the export was not written: b: disk full");
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
