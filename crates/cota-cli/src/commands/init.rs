//! `cota init`: an example bot to begin with.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::failure::Failure;
use crate::output::{print, print_line};

pub(super) const COMMAND: Command = Command {
    name: "init",
    summary: "write an example bot to begin with",
    help: "\
Usage: cota init [DIR] [--template NAME] [--list]

Writes an example bot into DIR (default: the working directory). No file is ever overwritten: if one is in the way,
nothing is written.

  --template NAME  the example to write (default: weather)
  --list           name the examples and write nothing
",
    takes: Takes { options: &["template"], switches: &["list"], words: 1 },
    run,
};

/// Written when no other is named.
const DEFAULT: &str = "weather";

/// A bot that comes with the command.
struct Template {
    name: &'static str,
    /// Paths below the bot's folder with their texts.
    files: &'static [(&'static str, &'static str)],
}

include!(concat!(env!("OUT_DIR"), "/templates.rs"));

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.has("list") {
        return print(TEMPLATES.iter().map(|template| format!("{}\n", template.name)).collect::<String>());
    }
    let name = arguments.option("template").unwrap_or(DEFAULT);
    let template = TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| {
        let known: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        Failure::usage(format!("there is no template `{name}`; there are {}", known.join(", ")))
    })?;
    let folder = arguments.folder();
    write(&folder, &contents(template))?;
    let place = folder.display();
    let bot = if arguments.words().is_empty() { String::new() } else { format!(" {place}") };
    print_line(format_args!(
        "Wrote the bot `{name}` to {place}.\n\nWhat to do next:\n  cota shell{bot}   talk to it\n  cota test{bot}    run its tests\n  cota check{bot}   see what is wrong after a change\n  cota run{bot}     serve it"
    ))
}

/// The files of a template and the schemas that they refer to, with the paths they have in a folder of their own.
fn contents(template: &Template) -> Vec<(PathBuf, String)> {
    let files = template.files.iter().map(|(path, text)| (PathBuf::from(path), text.replace("$schema=../../", "$schema=")));
    let schemas = SCHEMAS.iter().map(|(path, text)| (Path::new("schemas").join(path), (*text).to_owned()));
    files.chain(schemas).collect()
}

fn write(folder: &Path, files: &[(PathBuf, String)]) -> Result<(), Failure> {
    let in_the_way: Vec<String> =
        files.iter().map(|(path, _)| folder.join(path)).filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
    if !in_the_way.is_empty() {
        let list = in_the_way.join("\n  ");
        return Err(Failure::input(format!("nothing was written, because these files are there already:\n  {list}\nname another folder")));
    }
    for (path, text) in files {
        let path = folder.join(path);
        write_new(&path, text).map_err(|error| Failure::service(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}

/// Writes a file that does not exist yet, also where somebody makes one at the same moment.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
