//! Puts bots and tasks into the Worker: the folders that `COTA_BOT` names.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The bot that is put in where nobody says.
const DEFAULT: &str = "examples/weather";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let place = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("bundles.json");
    match cota_embed::write(&root, DEFAULT, &place) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
