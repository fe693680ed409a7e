//! Starts the process: everything else is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Instant;

/// Measured on the serving path, small allocations are most of what a request costs outside of
/// its sandbox; this allocator keeps them on their own thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    belljar::cli::run(Instant::now())
}
