//! The command line of the workspace's own tasks: `cargo xtask <command>`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use xtask::benchmark;
use xtask::lambda;
use xtask::metadata::workspace_root;
use xtask::soak;
use xtask::suite::{self, Extent};
use xtask::tidy;
use xtask::worker::{self, Build};

const HELP: &str = "\
Usage: cargo xtask <command>

  test           everything a change has to pass; installs or names what is missing
  test --quick   the part for every day, under ten minutes on two cores
  bench          speed and memory beside a bare proxy; writes docs/benchmarks.md
  bench --quick  the same in two minutes, or with `--only PART` one part; nothing is written
  bench lambda   what the Lambda functions take and cost; writes docs/benchmarks-lambda.md
  bench tasks    what a step of a task takes; writes docs/benchmarks-tasks.md
  bench workers  the same for the Worker in workerd; writes docs/benchmarks-workers.md
  soak lambda    a hundred kills of the Lambda functions while people talk to them
  soak workers   the same of workerd
  worker         builds the Cloudflare Worker into functions/worker/build, with the bots that COTA_BOT names
  worker --test  the same for its tests, quickly; `worker --tools` only installs what that needs
  lambda         builds the Lambda functions for arm64, with the bots that COTA_BOT names
  lambda FUNCTION FOLDER
                 the same, and puts one of them into a folder; `sam build` calls it
  tidy           the house rules that no lint checks";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match arguments.as_slice() {
        ["test"] => Ok(suite::run(&workspace_root(), Extent::Full)),
        ["test", "--quick"] => Ok(suite::run(&workspace_root(), Extent::Quick)),
        ["bench", words @ ..] => benchmark::run(&workspace_root(), words),
        ["soak", "lambda"] => soak::lambda(&workspace_root()).map(|()| true),
        ["soak", "workers"] => soak::workers(&workspace_root()).map(|()| true),
        ["worker"] => worker::build(&workspace_root(), Build::wanted()).map(|()| true),
        ["worker", "--test"] => worker::build(&workspace_root(), Build::Tested).map(|()| true),
        ["worker", "--tools"] => worker::prepare(&workspace_root()).map(|()| true),
        ["lambda"] => lambda::build(&workspace_root()).map(|folder| {
            println!("built: {}", folder.display());
            true
        }),
        ["lambda", function, folder] => lambda::place(&workspace_root(), function, Path::new(folder)).map(|()| true),
        ["tidy"] => run_tidy(),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(true)
        }
        [] => {
            eprintln!("{HELP}");
            Ok(false)
        }
        unknown => {
            eprintln!("unknown command: {}\n\n{HELP}", unknown.join(" "));
            Ok(false)
        }
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_tidy() -> Result<bool> {
    let violations = tidy::check(&workspace_root())?;
    for violation in &violations {
        eprintln!("{violation}");
    }
    println!("tidy: {} violations", violations.len());
    Ok(violations.is_empty())
}
