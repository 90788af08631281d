//! The `cota` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    cota_cli::main()
}
