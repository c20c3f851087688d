//! Arguments become a window or a headless command; nothing else happens here.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dipole::commands::run(std::env::args_os())
}
