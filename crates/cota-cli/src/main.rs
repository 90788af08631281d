//! The `cota` command.

use std::process::ExitCode;

/// A turn is many small allocations on several threads; the system's allocator spends a third of a turn's time on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cota_cli::main()
}
