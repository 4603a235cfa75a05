//! The binary `tidings`. What it does stands in the library beside it.

use std::process::ExitCode;

/// Notifications come as many small pieces of memory, made on one thread and freed on another, which costs the system's
/// allocator more than anything else here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    ExitCode::from(tidings_cli::run(&words, variables))
}
