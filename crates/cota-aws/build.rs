//! Puts bots and tasks into the functions: the folders that `COTA_BOT` names.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cota_embed::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")) {
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
