//! `cota bundle`: a bot, or a task with its agents, as one JSON file.

use std::fs;
use std::path::Path;

use cota_config::{Bundle, Options, Target};
use cota_core::bot::Bot;

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::bots;
use crate::failure::Failure;
use crate::native::{BotPath, TaskPath};
use crate::output::print_line;

pub(super) const COMMAND: Command = Command {
    name: "bundle",
    summary: "write a bot or a task as one validated JSON file",
    help: "\
Usage: cota bundle [BOT] -o FILE

Checks a bot (default: the working directory), or a task and its agents, and writes it as one JSON file, the form in
which Lambda and Workers load it. Variables such as ${OPENAI_API_KEY} stay as they are and are filled in where it runs.

  -o, --output FILE  where to write it; an older bundle there is replaced
",
    takes: Takes { options: &["o|output"], switches: &[], words: 1 },
    run,
};

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let output = arguments.option("output").map(Path::new).ok_or_else(|| Failure::usage("name the file to write: -o FILE"))?;
    let folder = arguments.folder();
    let bundle = match TaskPath::at(&folder) {
        Some(task) => checked_task(&task)?,
        None => checked(&bots::find_one(&folder)?, "written")?.0,
    };
    let text = bundle.to_json();
    fs::write(output, &text).map_err(|error| Failure::service(format!("cannot write {}: {error}", output.display())))?;
    print_line(format_args!("{}: {} bytes, digest {}", output.display(), text.len(), bundle.digest().0))
}

fn checked_task(task: &TaskPath) -> Result<Bundle, Failure> {
    let (files, name) = (task.files()?, task.name());
    let options = Options { target: Target::Edge, variables_may_come_later: true, ..Options::new(&name) };
    let loaded = cota_config::load_task(&files, &|_| None, &options);
    bots::tell_diagnostics(task.path(), &loaded.diagnostics);
    if loaded.task.is_some() {
        return Ok(Bundle::of_task(&files, &name));
    }
    let summary = cota_config::summary(&loaded.diagnostics);
    Err(Failure::input(format!("no bundle was written, because the task does not load: {summary}")))
}

/// A bot's bundle and the bot that it is, if that loads where bundles are served; `done` says what else is not done.
pub(super) fn checked(bot: &BotPath, done: &str) -> Result<(Bundle, Bot), Failure> {
    if bot.path().is_file() {
        return Err(Failure::usage(format!("{} is a file; a bundle is made of a bot's folder", bot.path().display())));
    }
    let (files, name) = (bot.files()?, bot.folder_name());
    let options = Options { target: Target::Edge, variables_may_come_later: true, ..Options::new(&name) };
    let loaded = cota_config::load(&files, &|_| None, &options);
    bots::tell_diagnostics(bot.path(), &loaded.diagnostics);
    match loaded.bot {
        Some(bot) => Ok((Bundle::of(&files, &name), bot)),
        None => {
            let summary = cota_config::summary(&loaded.diagnostics);
            Err(Failure::input(format!("no bundle was {done}, because the bot does not load: {summary}")))
        }
    }
}
