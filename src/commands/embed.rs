//! `dipole embed`: rows to a file of vectors.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use super::arguments::{encoder, field_role};
use super::terminal::{Terminal, thousands};
use crate::data::{Dataset, FieldRole, OpenOptions};
use crate::embedding::{EmbedSettings, Embeddings, EncoderChoice, Texts, Views, check_name, embed, write_vectors};
use crate::project::Folders;

#[derive(Debug, clap::Args)]
pub struct Embed {
    /// Rows to embed. Several files are embedded together and put under each other in this order: custom, safe,
    /// harmful is what `purify --encoder` reads back
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where the vectors go: .npy or .safetensors, float32, rows × dimensions, each row of unit length
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// lexical, a Hugging Face directory (DIR#mean, DIR#last:12 for language models), the built-in `starter`, or a vector
    /// file to convert
    #[arg(long, default_value = "lexical", value_parser = encoder)]
    pub encoder: EncoderChoice,
    /// What is embedded of each row [default: row+response+prompt for sentence encoders, row for others]
    #[arg(long, value_name = "row|row+response|row+response+prompt")]
    pub views: Option<Views>,
    /// Which field of the first file plays which role, for example question=prompt (repeat)
    #[arg(long, value_name = "FIELD=ROLE", value_parser = field_role)]
    pub map: Vec<(String, FieldRole)>,
    /// Worker threads; 0 takes all cores. It does not change the result
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// Folder of the vector cache [default: the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

pub fn run(arguments: &Embed, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    // Better told now than after an hour.
    check_name(&arguments.out)?;
    let mut sets = Vec::with_capacity(arguments.files.len());
    for (number, path) in arguments.files.iter().enumerate() {
        let mut options = OpenOptions::default();
        if number == 0 && !arguments.map.is_empty() {
            let corrected = Dataset::begin(path, &options)?.mapping().with_overrides(&arguments.map);
            options.mapping = Some(corrected.with_context(|| format!("{}: --map", path.display()))?);
        }
        sets.push(Dataset::open(path, &options, terminal)?);
    }
    let texts: Vec<&dyn Texts> = sets.iter().map(|set| set as &dyn Texts).collect();
    let settings = EmbedSettings {
        encoder: arguments.encoder.clone(),
        views: arguments.views,
        cache_dir: arguments.cache.clone().or_else(|| Folders::of_user().cache),
        threads: super::threads(arguments.threads),
        seed: arguments.seed,
    };
    let embedded = embed(&texts, &settings, terminal)?;
    let matrices: Vec<&Embeddings> = embedded.sets.iter().collect();
    write_vectors(&arguments.out, &matrices, &embedded.fingerprint)?;
    let rows: usize = matrices.iter().map(|matrix| matrix.rows()).sum();
    let dim = matrices.first().map_or(0, |matrix| matrix.dim());
    let mut text = String::new();
    writeln!(text, "{} rows, {dim} dimensions: {}", thousands(rows as u64), arguments.out.display())?;
    for ((path, matrix), cut) in arguments.files.iter().zip(&matrices).zip(&embedded.truncated) {
        let note =
            if *cut > 0 { format!(", {} longer than the encoder reads", thousands(*cut)) } else { String::new() };
        writeln!(text, "  {:>9}  {}{note}", thousands(matrix.rows() as u64), path.display())?;
    }
    let files: Vec<_> = (arguments.files.iter().zip(&matrices).zip(&embedded.truncated))
        .map(|((path, matrix), cut)| json!({ "path": path, "rows": matrix.rows(), "truncated": cut }))
        .collect();
    let value = json!({
        "out": arguments.out, "rows": rows, "dim": dim, "files": files, "encoder": embedded.fingerprint,
        "computed": embedded.computed, "cached": embedded.cached,
    });
    terminal.result(&value, &text)?;
    Ok(ExitCode::SUCCESS)
}
