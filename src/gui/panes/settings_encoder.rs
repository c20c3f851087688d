//! The choice of the encoder: built in, a model in a folder, or vectors in files.
//!
//! Constraint: a path is looked at by a job, never by a frame; only what is there becomes a setting.

use std::path::{Path, PathBuf};

use egui::{TextEdit, Ui, vec2};

use super::settings_field::{Drafts, change, field_error, label, number, segments};
use super::tune_setup::recent_menu;
use super::{Cx, widgets};
use crate::embedding::{EncoderChoice, LanguageChoice, Pool};
use crate::gui::action::Action;
use crate::gui::theme::icons;
use crate::jobs::{Job, JobContext, JobState};
use crate::model::{DecoderFacts, is_decoder};
use crate::project::unpack_starter;

/// What a sentence model's folder must hold.
const MODEL_FILES: [&str; 3] = ["config.json", TOKENIZER, "model.safetensors"];
const TOKENIZER: &str = "tokenizer.json";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Words,
    Model,
    Vectors,
}

impl Kind {
    fn of(choice: &EncoderChoice) -> Self {
        match choice {
            EncoderChoice::Lexical => Self::Words,
            EncoderChoice::Sentence(_) | EncoderChoice::Language(_) => Self::Model,
            EncoderChoice::Precomputed(_) => Self::Vectors,
        }
    }
}

/// The encoder being chosen.
#[derive(Default)]
pub struct EncoderField {
    /// The setting that the draft began with; another one ends the draft.
    seen: Option<EncoderChoice>,
    kind: Option<Kind>,
    text: Option<String>,
    check: Option<Job<(), EncoderChoice>>,
    error: Option<String>,
    drafts: Drafts,
}

impl EncoderField {
    pub fn ui(&mut self, ui: &mut Ui, cx: &mut Cx<'_>) {
        let now = cx.app.state().run.encoder.clone();
        if self.seen.as_ref() != Some(&now) {
            *self = Self { seen: Some(now.clone()), ..Self::default() };
        }
        self.poll(cx);
        label(ui, "Encoder", "What turns each text into numbers that can be compared.");
        let kind = self.kind.unwrap_or(Kind::of(&now));
        let choices = [
            (Kind::Words, "Words", "Compares words and parts of words. Built in, fast, needs no model."),
            (
                Kind::Model,
                "Model",
                "Compares meaning with a sentence model or a language model from a folder on this machine.",
            ),
            (Kind::Vectors, "Vectors", "Takes vectors that you computed elsewhere (.npy or .safetensors)."),
        ];
        if let Some(kind) = segments(ui, kind, &choices) {
            (self.kind, self.text, self.error, self.check) = (Some(kind), None, None, None);
            if kind == Kind::Words {
                change(cx, |run| run.encoder = EncoderChoice::Lexical);
            }
        }
        match kind {
            Kind::Words => {}
            Kind::Model => {
                self.path(ui, cx, kind, &now, "Model folder", "the folder of the model");
                if let EncoderChoice::Language(language) = &now {
                    self.language(ui, cx, language);
                }
            }
            Kind::Vectors => self.path(ui, cx, kind, &now, "Vector files", "custom.npy, safe.npy, harmful.npy"),
        }
        if kind != Kind::Words {
            match &self.error {
                Some(error) => field_error(ui, error),
                None if self.check.is_some() => drop(widgets::muted(ui, "Looking …")),
                None if Kind::of(&now) != kind => {
                    widgets::muted(ui, "Until this is filled, words are compared as before.");
                }
                None => {}
            }
        }
    }

    fn path(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, kind: Kind, now: &EncoderChoice, name: &str, example: &str) {
        let kept = match now {
            _ if Kind::of(now) != kind => String::new(),
            EncoderChoice::Language(language) => language.folder.display().to_string(),
            now => now.to_string(),
        };
        let mut text = self.text.clone().unwrap_or(kept);
        ui.horizontal(|ui| {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if kind == Kind::Model && widgets::icon_button(ui, icons::FOLDER, "Choose the model folder").clicked() {
                    cx.send(Action::PickModelFolder);
                }
                let starter = cx.app.options.starter.as_deref();
                let used = cx.app.state().encoders.iter().filter(|path| Some(path.as_path()) != starter);
                let known = used.map(PathBuf::as_path).chain(starter);
                let recent: Vec<PathBuf> =
                    known.filter(|path| path.display().to_string() != text).map(Path::to_owned).collect();
                let used = if kind == Kind::Model { recent_menu(ui, "Model folder", &recent, starter) } else { None };
                if let Some(path) = used {
                    self.error = None;
                    self.look_at(ui.ctx(), kind, path.clone(), starter);
                    self.text = Some(path);
                    return;
                }
                let field = TextEdit::singleline(&mut text)
                    .hint_text(example.to_owned())
                    .min_size(vec2(0.0, 28.0))
                    .desired_width(ui.available_width());
                if ui.add(field).accessible_name(name).changed() {
                    self.error = None;
                    self.look_at(ui.ctx(), kind, text.clone(), starter);
                    self.text = Some(text);
                }
            });
        });
    }

    /// What is taken of the inner states of a language model.
    fn language(&mut self, ui: &mut Ui, cx: &mut Cx<'_>, now: &LanguageChoice) {
        label(ui, "Vector of a row", "Which inner states of the language model stand for a row.");
        let choices = [
            (Pool::Last, "Last token", "The state of the last token, as in the paper (default)."),
            (Pool::Mean, "Mean", "The mean over all tokens."),
        ];
        if let Some(pool) = segments(ui, now.pool, &choices) {
            let choice = LanguageChoice { pool, ..now.clone() };
            change(cx, |run| run.encoder = EncoderChoice::Language(choice));
        }
        let help = "Behind how many layers the states are taken; empty is behind the last one and the final norm.";
        let value = now.layer.map_or_else(String::new, |layer| layer.to_string());
        self.drafts.text(ui, "Layer", help, value, |text| {
            let layer = if text.trim().is_empty() { None } else { Some(number(text)?) };
            let choice = EncoderChoice::Language(LanguageChoice { layer, ..now.clone() });
            self.seen = Some(choice.clone());
            change(cx, |run| run.encoder = choice);
            Ok(())
        });
    }

    /// Looks at what was typed in the background; a newer text cancels the older look.
    fn look_at(&mut self, ctx: &egui::Context, kind: Kind, text: String, starter: Option<&Path>) {
        let ctx = ctx.clone();
        let is_starter = kind == Kind::Model && starter == Some(Path::new(text.trim()));
        self.check = Some(Job::spawn(
            "Looking at the encoder",
            move || ctx.request_repaint(),
            move |_: &JobContext<()>| {
                if is_starter {
                    unpack_starter(Path::new(text.trim())).map_err(|error| error.to_string())?;
                }
                if kind == Kind::Model { model(text.trim()) } else { vectors(text.trim()) }
            },
        ));
    }

    fn poll(&mut self, cx: &mut Cx<'_>) {
        let Some(job) = &mut self.check else { return };
        match job.poll() {
            JobState::Running | JobState::Taken => return,
            JobState::Done(choice) => {
                // The draft lives on while the same field is being typed in.
                self.seen = Some(choice.clone());
                change(cx, |run| run.encoder = choice);
            }
            JobState::Failed(failure) => self.error = Some(failure.to_string()),
        }
        self.check = None;
    }
}

fn model(text: &str) -> Result<EncoderChoice, String> {
    let folder = Path::new(text);
    if text.is_empty() {
        return Err("type or choose the folder of the model".to_owned());
    }
    if !folder.is_dir() {
        return Err("there is no such folder".to_owned());
    }
    if is_decoder(folder).map_err(|error| error.to_string())? {
        DecoderFacts::read(folder).map_err(|error| error.to_string())?;
        if !folder.join(TOKENIZER).is_file() {
            return Err(format!("this folder lacks {TOKENIZER}; save the model with its fast tokenizer"));
        }
        let choice = LanguageChoice { folder: folder.to_owned(), pool: Pool::Last, layer: None };
        return Ok(EncoderChoice::Language(choice));
    }
    match MODEL_FILES.iter().find(|name| !folder.join(name).is_file()) {
        Some(missing) => Err(format!("this folder lacks {missing}, so it is no sentence model")),
        None => Ok(EncoderChoice::Sentence(folder.to_owned())),
    }
}

fn vectors(text: &str) -> Result<EncoderChoice, String> {
    let whole = PathBuf::from(text);
    let files: Vec<PathBuf> = if whole.is_file() {
        vec![whole]
    } else {
        text.split(',').map(|part| PathBuf::from(part.trim())).filter(|part| !part.as_os_str().is_empty()).collect()
    };
    if files.is_empty() {
        return Err("type the paths of the vector files, separated by commas".to_owned());
    }
    for file in &files {
        let name = file.display();
        if !EncoderChoice::is_vector_file(file) {
            return Err(format!("{name} is neither .npy nor .safetensors"));
        }
        if !file.is_file() {
            return Err(format!("there is no file {name}"));
        }
    }
    Ok(EncoderChoice::Precomputed(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_folder_is_told_from_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = folder.path().display().to_string();
        assert!(model(&text).expect_err("empty").contains("config.json"));
        for name in MODEL_FILES {
            std::fs::write(folder.path().join(name), "{}").expect("written");
        }
        assert_eq!(model(&text), Ok(EncoderChoice::Sentence(folder.path().to_owned())));
        assert!(model("/no/such/folder").is_err());
    }

    #[test]
    fn a_language_model_is_known_by_its_configuration() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoder/mistral");
        assert!(model(&fixture.display().to_string()).expect_err("no tokenizer").contains(TOKENIZER));
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat/model");
        let choice = LanguageChoice { folder: fixture.clone(), pool: Pool::Last, layer: None };
        assert_eq!(model(&fixture.display().to_string()), Ok(EncoderChoice::Language(choice)));
    }

    #[test]
    fn vector_files_must_exist_and_be_such() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("v.npy");
        std::fs::write(&file, "").expect("written");
        let text = file.display().to_string();
        assert_eq!(vectors(&format!("{text}, {text}")), Ok(EncoderChoice::Precomputed(vec![file.clone(), file])));
        assert!(vectors("a.csv").expect_err("no vectors").contains("neither"));
        assert!(vectors("none.npy").expect_err("absent").contains("no file"));
    }
}
