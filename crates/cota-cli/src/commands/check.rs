//! `cota check`: everything that is wrong with a bot.

use cota_config::{Diagnostic, Severity};
use serde::Serialize;

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::bots;
use crate::failure::Failure;
use crate::native::{BotPath, TaskPath};
use crate::output::{FORMATS, Format, Paint, print_json, print_line};

pub(super) const COMMAND: Command = Command {
    name: "check",
    summary: "tell everything that is wrong with a bot",
    help: "\
Usage: cota check [BOT...] [--format text|json]

Tells every problem of each bot, its tests included, as file:line:column: severity: message. A BOT is a bot's folder, a
folder of bots, or a bundle (default: the working directory). Exits with 1 if there is an error, with 0 if there are
only warnings.

  --format text|json  how to tell it (default: text)
",
    takes: Takes { options: &["format"], switches: &[], words: usize::MAX },
    run,
};

/// A bot and what is wrong with it.
#[derive(Serialize)]
struct Checked {
    path: String,
    diagnostics: Vec<Diagnostic>,
}

/// What is told as JSON.
#[derive(Serialize)]
struct Report {
    bots: Vec<Checked>,
    errors: usize,
    warnings: usize,
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let format = arguments.choice("format", &FORMATS, Format::Text)?;
    let (tasks, places) = bots::split_tasks(arguments.paths());
    let bots = if tasks.is_empty() || !places.is_empty() { bots::find(&places)? } else { Vec::new() };
    let checked = tasks.iter().map(check_task).chain(bots.iter().map(check)).collect::<Result<Vec<_>, _>>()?;
    let count = |severity| checked.iter().flat_map(|bot| &bot.diagnostics).filter(|diagnostic| diagnostic.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match format {
        Format::Json => print_json(&Report { bots: checked, errors, warnings })?,
        Format::Text => print_text(&checked)?,
    }
    if errors > 0 { Err(Failure::Reported) } else { Ok(()) }
}

fn check_task(task: &TaskPath) -> Result<Checked, Failure> {
    let diagnostics = task.load()?.diagnostics;
    Ok(Checked { path: task.path().display().to_string(), diagnostics: bots::placed_in(task.path(), &diagnostics) })
}

fn check(bot: &BotPath) -> Result<Checked, Failure> {
    let mut diagnostics = bot.load()?.diagnostics;
    diagnostics.extend(cota_config::tests::read(&bot.files()?).1);
    Ok(Checked { path: bot.path().display().to_string(), diagnostics: bots::placed(bot, &diagnostics) })
}

fn print_text(checked: &[Checked]) -> Result<(), Failure> {
    let paint = Paint::for_stdout();
    for Checked { path, diagnostics } in checked {
        for diagnostic in diagnostics {
            print_line(format_args!("{}\n", bots::painted(diagnostic, paint)))?;
        }
        print_line(format_args!("{path}: {}", cota_config::summary(diagnostics)))?;
    }
    Ok(())
}
