//! `dipole merge`: an adapter worked into the weights.

use std::path::PathBuf;
use std::process::ExitCode;

use super::terminal::{Terminal, thousands};
use crate::model;
use crate::project::{Folders, model_folder};

#[derive(Debug, clap::Args)]
pub struct Merge {
    /// The model that the adapter was made for: a Hugging Face directory
    #[arg(long, visible_alias = "base", value_name = "DIR")]
    pub model: PathBuf,
    /// The adapter, as peft saves it
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Where the merged model goes; a new or empty folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

pub fn run(arguments: &Merge, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let merged = model::merge(
        &model_folder(&arguments.model, &Folders::of_user().starter)?,
        &arguments.adapter,
        &arguments.out,
        terminal,
    )?;
    let text = format!(
        "merged {} matrices, copied {} tensors, {} bytes\nmodel: {}\n",
        thousands(merged.adapted),
        thousands(merged.copied),
        thousands(merged.bytes),
        arguments.out.display()
    );
    terminal.result(&merged, &text)?;
    Ok(ExitCode::SUCCESS)
}
