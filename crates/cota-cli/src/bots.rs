//! Bots for commands: found, loaded, and what is wrong with them told.

use std::path::{Path, PathBuf};

use cota_config::{Diagnostic, Severity};

use crate::failure::Failure;
use crate::native::{BotPath, Folders, OpenBotsError, OpenTaskError, Opened, OpenedTask, ReadError, TaskFolders, TaskPath};
use crate::output::{Paint, tell};

/// The bots at these places; at none, those in the working directory.
pub(crate) fn find(places: &[PathBuf]) -> Result<Vec<BotPath>, Failure> {
    let here = [PathBuf::from(".")];
    let places = if places.is_empty() { &here } else { places };
    let mut found: Vec<BotPath> = Vec::new();
    for place in places {
        for bot in BotPath::find(place)? {
            // A bot that is named twice is one bot.
            if !found.contains(&bot) {
                found.push(bot);
            }
        }
    }
    Ok(found)
}

/// The tasks among these places, and the other places. At none, the working directory is looked at.
pub(crate) fn split_tasks(places: Vec<PathBuf>) -> (Vec<TaskPath>, Vec<PathBuf>) {
    let places = if places.is_empty() { vec![PathBuf::from(".")] } else { places };
    let (tasks, others): (Vec<PathBuf>, Vec<PathBuf>) = places.into_iter().partition(|place| TaskPath::at(place).is_some());
    (tasks.iter().filter_map(|place| TaskPath::at(place)).collect(), others)
}

/// The one bot at a place.
pub(crate) fn find_one(place: &Path) -> Result<BotPath, Failure> {
    let found = BotPath::find(place)?;
    match found.as_slice() {
        [bot] => Ok(bot.clone()),
        bots => {
            let names: Vec<String> = bots.iter().map(|bot| bot.path().display().to_string()).collect();
            Err(Failure::usage(format!("there are several bots at {}; name one: {}", place.display(), names.join(", "))))
        }
    }
}

/// Loads tasks and their agents. What is wrong with each is passed to `tell`.
pub(crate) fn open_tasks(paths: Vec<TaskPath>, tell: Tell) -> Result<(TaskFolders, Vec<OpenedTask>), Failure> {
    let (folders, opened) = TaskFolders::open(paths).map_err(|error| {
        tell_problems_of_task(&error, tell);
        Failure::input(error.to_string())
    })?;
    for OpenedTask { path, diagnostics, .. } in &opened {
        tell(path.path(), diagnostics);
    }
    Ok((folders, opened))
}

/// Loads bots to talk to. What is wrong with each is passed to `tell`.
pub(crate) fn open(paths: Vec<BotPath>, tell: Tell) -> Result<(Folders, Vec<Opened>), Failure> {
    let (folders, opened) = Folders::open(paths).map_err(|error| {
        tell_problems(&error, tell);
        failure(&error)
    })?;
    for Opened { path, diagnostics, .. } in &opened {
        tell(path.path(), diagnostics);
    }
    Ok((folders, opened))
}

/// Tells what is wrong with the bot or the task at a place.
pub(crate) type Tell = fn(&Path, &[Diagnostic]);

/// Tells the warnings and errors of a bot on standard error.
pub(crate) fn tell_diagnostics(path: &Path, diagnostics: &[Diagnostic]) {
    for diagnostic in placed_in(path, diagnostics).iter().filter(|diagnostic| diagnostic.severity != Severity::Notice) {
        tell(format_args!("{diagnostic}\n"));
    }
}

/// Logs the warnings and errors of a bot, for programs that read a log line by line.
pub(crate) fn log_diagnostics(path: &Path, diagnostics: &[Diagnostic]) {
    for Diagnostic { severity, code, file, line, column, message, snippet: _, help } in placed_in(path, diagnostics) {
        match severity {
            Severity::Error => tracing::error!(code, file, line, column, help, "{message}"),
            Severity::Warning => tracing::warn!(code, file, line, column, help, "{message}"),
            Severity::Notice => {}
        }
    }
}

/// Tells what is wrong with the bot that cannot be served, where it is the bot that is at fault.
pub(crate) fn tell_problems(error: &OpenBotsError, tell: Tell) {
    match error {
        OpenBotsError::Broken { path, diagnostics } => tell(path.path(), diagnostics),
        OpenBotsError::Read(_) | OpenBotsError::SameName { .. } => {}
    }
}

/// Tells what is wrong with the task that cannot be served, where it is the task that is at fault.
pub(crate) fn tell_problems_of_task(error: &OpenTaskError, tell: Tell) {
    match error {
        OpenTaskError::Broken { path, diagnostics } => tell(path.path(), diagnostics),
        OpenTaskError::Read(_) => {}
    }
}

/// The diagnostics with their files as they are reached from the working directory.
pub(crate) fn placed(path: &BotPath, diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    placed_in(path.path(), diagnostics)
}

/// The same for a folder.
pub(crate) fn placed_in(path: &Path, diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    let place = |diagnostic: &Diagnostic| {
        let file = match path {
            folder if folder == Path::new(".") || folder.is_file() => diagnostic.file.clone(),
            folder => folder.join(&diagnostic.file).display().to_string(),
        };
        Diagnostic { file, ..diagnostic.clone() }
    };
    diagnostics.iter().map(place).collect()
}

/// A diagnostic as it is printed, its severity in colour.
pub(crate) fn painted(diagnostic: &Diagnostic, paint: Paint) -> String {
    let text = diagnostic.to_string();
    let severity = format!(": {}: ", diagnostic.severity);
    let painted = match diagnostic.severity {
        Severity::Error => paint.red(diagnostic.severity),
        Severity::Warning => paint.yellow(diagnostic.severity),
        Severity::Notice => paint.dim(diagnostic.severity),
    };
    text.replacen(&severity, &format!(": {painted}: "), 1)
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::input(error.to_string())
    }
}

fn failure(error: &OpenBotsError) -> Failure {
    match error {
        OpenBotsError::Read(_) | OpenBotsError::SameName { .. } => Failure::input(error.to_string()),
        OpenBotsError::Broken { path, diagnostics } => {
            let summary = cota_config::summary(diagnostics);
            Failure::input(format!("the bot at {} does not load: {summary}", path.path().display()))
        }
    }
}
