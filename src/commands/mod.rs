//! The headless verbs, thin: arguments are checked, the library is called, the result is printed.
//!
//! Exit codes: 0 done (quarantined rows included), 1 failed, nothing usable or a verify mismatch, 2 usage,
//! 130 stopped by Ctrl-C.

mod arguments;
mod bench;
mod cache;
mod chat;
mod compare;
mod compare_rankings;
mod demo;
mod embed;
mod evaluate;
mod generate;
mod gpu;
mod inspect;
mod interrupt;
mod merge;
mod preflight;
mod purify;
mod speaking;
mod study;
mod terminal;
mod tune;
mod verify;
mod window;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use terminal::Terminal;

/// Runs the program with `arguments` (the first is the program's name).
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // A closed pipe is the only way this fails, and then there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    start_log(arguments.verbose);
    let terminal = Terminal::new(arguments.json, arguments.quiet);
    // The window ends as windows do, and what writes nothing and is soon done may end anywhere.
    if !matches!(
        arguments.command,
        None | Some(Command::Demo(_) | Command::Evaluate(_) | Command::Gpu(_) | Command::Cache(_))
    ) {
        terminal.catch_interrupts();
    }
    let result = match arguments.command {
        None => window::run(arguments.files),
        Some(Command::Demo(demo)) => demo::run(&demo, &terminal),
        Some(Command::Inspect(inspect)) => inspect::run(&inspect, &terminal),
        Some(Command::Purify(purify)) => purify::run(&purify, &terminal),
        Some(Command::Evaluate(evaluate)) => evaluate::run(&evaluate, &terminal),
        Some(Command::CompareRankings(compare)) => compare_rankings::run(&compare, &terminal),
        Some(Command::Study(study)) => study::run(&study, &terminal),
        Some(Command::Tune(tune)) => tune::run(&tune, &terminal),
        Some(Command::Merge(merge)) => merge::run(&merge, &terminal),
        Some(Command::Embed(embed)) => embed::run(&embed, &terminal),
        Some(Command::Chat(chat)) => chat::run(&chat, &terminal),
        Some(Command::Compare(compare)) => compare::run(&compare, &terminal),
        Some(Command::Generate(generate)) => generate::run(&generate, &terminal),
        Some(Command::Cache(cache)) => cache::run(&cache, &terminal),
        Some(Command::Gpu(gpu)) => gpu::run(&gpu, &terminal),
        Some(Command::Bench { what }) => bench::run(&what, &terminal),
        Some(Command::Verify(verify)) => verify::run(&verify, &terminal),
    };
    match result {
        Ok(code) => code,
        Err(error) => terminal.fail(&error),
    }
}

/// Threads that were asked for; 0 is one a core.
fn threads(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "error",
        1 => "dipole=info,warn",
        2 => "dipole=debug,info",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("DIPOLE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    // Tests in one process may start it twice; the first stays.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
