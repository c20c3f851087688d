//! Where projects live on disk: a folder each, with `project.json` (the plan) and `journal.jsonl`.
//!
//! Constraints: `project.json` is replaced atomically; a project belongs to the content of its custom file, so it
//! is found again when the file was moved or renamed.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Journal, Plan, ProjectError, atomic};

const PROJECT_FILE: &str = "project.json";
const JOURNAL_FILE: &str = "journal.jsonl";
const LAST_FILE: &str = "last.json";
const VERSION: u32 = 1;

/// A project folder in use.
pub struct Project {
    pub folder: PathBuf,
    pub plan: Option<Plan>,
    pub journal: Journal,
    custom_hash: Option<String>,
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct ProjectFile {
    dipole_project: u32,
    /// BLAKE3 of the custom file, in hex.
    #[serde(default)]
    custom_hash: Option<String>,
    #[serde(default)]
    plan: Option<Plan>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Last {
    folder: String,
}

impl Project {
    /// Opens or creates a project folder.
    ///
    /// # Errors
    /// Another process has it open, or a file in it is malformed or cannot be read or written.
    pub fn open(folder: &Path) -> Result<Self, ProjectError> {
        fs::create_dir_all(folder).map_err(ProjectError::io(folder))?;
        let journal = Journal::open(&folder.join(JOURNAL_FILE))?;
        let file = read_project_file(folder)?.unwrap_or_default();
        Ok(Self { folder: folder.to_owned(), plan: file.plan, journal, custom_hash: file.custom_hash })
    }

    /// Saves the plan atomically. Relative paths are saved as absolute ones: the next start may be elsewhere.
    ///
    /// # Errors
    /// A path is not UTF-8, or writing failed; the old plan stays.
    pub fn save_plan(&mut self, plan: &Plan) -> Result<(), ProjectError> {
        let plan = absolute(plan)?;
        let file =
            ProjectFile { dipole_project: VERSION, custom_hash: self.custom_hash.clone(), plan: Some(plan.clone()) };
        write_json(&self.folder.join(PROJECT_FILE), &file)?;
        self.plan = Some(plan);
        Ok(())
    }
}

/// The folder that holds all projects of this user.
pub struct ProjectStore {
    pub root: PathBuf,
}

impl ProjectStore {
    /// The project for a custom file: found again by the file's content hash, else created. It becomes the one
    /// used last. `name` (the file's name) only makes the folder readable.
    ///
    /// # Errors
    /// Another process has it open, or a file in it is malformed or cannot be read or written.
    pub fn for_custom(&self, file_hash: &[u8; 32], name: &str) -> Result<Project, ProjectError> {
        fs::create_dir_all(&self.root).map_err(ProjectError::io(&self.root))?;
        let hash = blake3::Hash::from_bytes(*file_hash).to_hex().to_string();
        let suffix = format!("-{}", hash.get(..16).unwrap_or(&hash));
        let folder_name = match self.find(&suffix, &hash)? {
            Some(found) => found,
            None => format!("{}{suffix}", readable(name)),
        };
        let folder = self.root.join(&folder_name);
        let mut project = Project::open(&folder)?;
        if project.custom_hash.is_none() {
            project.custom_hash = Some(hash.clone());
            let file = ProjectFile { dipole_project: VERSION, custom_hash: Some(hash), plan: project.plan.clone() };
            write_json(&folder.join(PROJECT_FILE), &file)?;
        }
        write_json(&self.root.join(LAST_FILE), &Last { folder: folder_name })?;
        Ok(project)
    }

    /// The project used last, if any and if it is still there.
    ///
    /// # Errors
    /// Another process has it open, or a file in it is malformed or cannot be read or written.
    pub fn last(&self) -> Result<Option<Project>, ProjectError> {
        let path = self.root.join(LAST_FILE);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        let last: Last = serde_json::from_slice(&bytes).map_err(|error| not_json(&path, &error))?;
        let folder = self.root.join(&last.folder);
        // The name is data from outside: it must not lead out of the store.
        let is_inside = Path::new(&last.folder).components().count() == 1 && folder.parent() == Some(&self.root);
        if !is_inside || !folder.join(PROJECT_FILE).is_file() {
            return Ok(None);
        }
        Project::open(&folder).map(Some)
    }

    fn find(&self, suffix: &str, hash: &str) -> Result<Option<String>, ProjectError> {
        let mut names: Vec<String> = fs::read_dir(&self.root)
            .map_err(ProjectError::io(&self.root))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(suffix))
            .collect();
        names.sort();
        for name in names {
            let file = read_project_file(&self.root.join(&name))?;
            // A folder without a project file was left by a crash between its creation and its first save.
            if file.is_none_or(|file| file.custom_hash.as_deref().is_none_or(|found| found == hash)) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

fn read_project_file(folder: &Path) -> Result<Option<ProjectFile>, ProjectError> {
    let path = folder.join(PROJECT_FILE);
    let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
    let file: ProjectFile = serde_json::from_slice(&bytes).map_err(|error| not_json(&path, &error))?;
    if file.dipole_project != VERSION {
        let reason = format!(
            "field dipole_project: has version {} and this Dipole reads version {VERSION}; use a newer Dipole",
            file.dipole_project
        );
        return Err(ProjectError::Malformed { path, reason });
    }
    Ok(Some(file))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, ProjectError> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > 64 << 20 => {
            Err(ProjectError::malformed(path, "is larger than 64 MiB; it is no file of Dipole's"))
        }
        Ok(_) => fs::read(path).map(Some).map_err(ProjectError::io(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ProjectError::Io { path: path.to_owned(), source }),
    }
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), ProjectError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| ProjectError::malformed(path, format!("cannot be saved: {error}")))?;
    bytes.push(b'\n');
    atomic::write(path, &bytes)
}

fn not_json(path: &Path, error: &serde_json::Error) -> ProjectError {
    ProjectError::malformed(path, format!("cannot be read ({error}); move it away to start afresh"))
}

fn absolute(plan: &Plan) -> Result<Plan, ProjectError> {
    let one = |path: &PathBuf| std::path::absolute(path).map_err(ProjectError::io(path));
    let all = |paths: &[PathBuf]| paths.iter().map(one).collect::<Result<Vec<_>, _>>();
    use crate::embedding::EncoderChoice;
    let encoder = match &plan.encoder {
        EncoderChoice::Lexical => EncoderChoice::Lexical,
        EncoderChoice::Sentence(folder) => EncoderChoice::Sentence(one(folder)?),
        EncoderChoice::Language(language) => EncoderChoice::Language(crate::embedding::LanguageChoice {
            folder: one(&language.folder)?,
            ..language.clone()
        }),
        EncoderChoice::Precomputed(files) => EncoderChoice::Precomputed(all(files)?),
    };
    Ok(Plan {
        custom: one(&plan.custom)?,
        safe: all(&plan.safe)?,
        harmful: all(&plan.harmful)?,
        encoder,
        ..plan.clone()
    })
}

fn readable(name: &str) -> String {
    let stem = name.split('.').next().unwrap_or(name);
    let short: String =
        stem.chars().take(40).map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    if short.trim_matches('-').is_empty() { "project".to_owned() } else { short.trim_matches('-').to_owned() }
}
