//! `cota export`: the annotated examples as documents.

use std::fs;
use std::path::Path;

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::bots;
use crate::failure::Failure;
use crate::output::print_line;

pub(super) const COMMAND: Command = Command {
    name: "export",
    summary: "write the annotated examples as Markdown, for an LLM's knowledge base",
    help: "\
Usage: cota export [BOT] -o DIR

Writes one Markdown document for each action that an example of the bot (default: the working directory) has a thought
for. An LLM that has them in its knowledge base can serve an `llm` policy.

  -o, --output DIR  the folder to write to; documents of the same name are replaced
",
    takes: Takes { options: &["o|output"], switches: &[], words: 1 },
    run,
};

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = arguments.option("output").map(Path::new).ok_or_else(|| Failure::usage("name the folder to write to: -o DIR"))?;
    let (folders, _) = bots::open(vec![bots::find_one(&arguments.folder())?], bots::tell_diagnostics)?;
    let bots = folders.all();
    let documents: Vec<(String, String)> = bots.iter().flat_map(|bot| cota_config::export::documents(bot.source())).collect();
    if documents.is_empty() {
        return Err(Failure::input("nothing was written, because no example of the bot has a thought"));
    }
    let failed = |path: &Path, error: std::io::Error| Failure::service(format!("cannot write {}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, text) in documents {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
        print_line(path.display())?;
    }
    Ok(())
}
