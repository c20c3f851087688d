//! The small chat model inside the program, unpacked to a Hugging Face directory so that it takes the way of any model.
//!
//! Constraint: a copy on disk is compared with the whole content, not with a hash of it, before it is used; files are
//! replaced atomically, so a reader that has one open keeps what it opened.

use std::path::{Path, PathBuf};

use super::ProjectError;

macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../assets/models/starter/", $name)))
    };
}

const FILES: [(&str, &[u8]); 6] = [
    file!("config.json"),
    file!("generation_config.json"),
    file!("tokenizer.json"),
    file!("tokenizer_config.json"),
    file!("model.safetensors"),
    file!("README.md"),
];

/// What stands for the model's folder where a folder is asked for.
pub const STARTER: &str = "starter";

/// Writes the model's files into `folder`, each atomically and only where its content differs, and gives the folder.
///
/// # Errors
/// The folder cannot be made or written.
pub fn unpack_starter(folder: &Path) -> Result<PathBuf, ProjectError> {
    std::fs::create_dir_all(folder).map_err(ProjectError::io(folder))?;
    for (name, content) in FILES {
        let path = folder.join(name);
        let is_there = std::fs::metadata(&path).is_ok_and(|found| found.len() == content.len() as u64)
            && std::fs::read(&path).is_ok_and(|present| present == content);
        if !is_there {
            super::atomic::write(&path, content)?;
        }
    }
    Ok(folder.to_owned())
}

/// The folder of a model that the user named: [`STARTER`] is unpacked, unless a folder of this name is there.
///
/// # Errors
/// As [`unpack_starter`].
pub fn model_folder(given: &Path, starter: &Path) -> Result<PathBuf, ProjectError> {
    if given == Path::new(STARTER) && !given.exists() {
        return unpack_starter(starter);
    }
    Ok(given.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_unpacks_once_and_mends_what_was_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("models/starter");
        assert_eq!(model_folder(Path::new(STARTER), &at).expect("unpacks"), at);
        let weights = at.join("model.safetensors");
        let written = std::fs::metadata(&weights).and_then(|found| found.modified()).expect("a time");
        std::fs::write(at.join("config.json"), "{}").expect("writes");
        unpack_starter(&at).expect("unpacks again");
        assert_eq!(std::fs::metadata(&weights).and_then(|found| found.modified()).expect("a time"), written);
        assert!(std::fs::read_to_string(at.join("config.json")).expect("reads").contains("LlamaForCausalLM"));
        // Damage that changes no length, and a copy that was cut short.
        let mut bytes = std::fs::read(&weights).expect("reads");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        for damaged in [&bytes[..], &bytes[..last / 2]] {
            std::fs::write(&weights, damaged).expect("writes");
            unpack_starter(&at).expect("unpacks again");
            let found = std::fs::read(&weights).expect("reads");
            assert!(FILES.iter().any(|(name, content)| *name == "model.safetensors" && *content == found));
        }
        let mut names: Vec<_> =
            std::fs::read_dir(&at).expect("lists").flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        let mut all = FILES.map(|(name, _)| std::ffi::OsString::from(name));
        all.sort();
        assert_eq!(names, all, "nothing half-written stays");
        let own = folder.path().join("own");
        assert_eq!(model_folder(&own, &at).expect("own"), own);
    }
}
