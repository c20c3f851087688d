//! `dipole cache`: how much the vector cache takes, and emptying it.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;

use super::arguments::Cache as Arguments;
use super::terminal::{Terminal, thousands};
use crate::embedding::Cache;
use crate::project::Folders;

pub fn run(arguments: &Arguments, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let folder = arguments.cache.clone().or_else(|| Folders::of_user().cache);
    let folder = folder.context("this system names no cache folder; give one with --cache DIR")?;
    let (size, verb) =
        if arguments.clear { (Cache::clear(&folder)?, "freed") } else { (Cache::size(&folder)?, "hold") };
    let text = format!(
        "{}\n{} files of vectors {verb} {} bytes\n",
        folder.display(),
        thousands(size.files),
        thousands(size.bytes)
    );
    let json = json!({ "folder": folder, "files": size.files, "bytes": size.bytes, "cleared": arguments.clear });
    terminal.result(&json, &text)?;
    Ok(ExitCode::SUCCESS)
}
