//! The commands, one module each: its help, its arguments, what it does.

mod bundle;
mod check;
mod export;
mod init;
mod key;
mod push;
mod run;
mod shell;
mod task;
mod test;
mod trace;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::arguments::{Arguments, Takes};
use crate::failure::Failure;
#[cfg(target_os = "linux")]
use crate::native::guard;
use crate::output::print;

/// One command.
struct Command {
    name: &'static str,
    summary: &'static str,
    help: &'static str,
    takes: Takes,
    run: fn(&Arguments) -> Result<(), Failure>,
}

/// Every command, in the order of the overview.
const COMMANDS: &[Command] = &[
    init::COMMAND,
    run::COMMAND,
    shell::COMMAND,
    task::COMMAND,
    check::COMMAND,
    test::COMMAND,
    trace::COMMAND,
    bundle::COMMAND,
    push::COMMAND,
    export::COMMAND,
    key::COMMAND,
];

/// Runs the command that the words behind `cota` name.
pub(crate) fn run(mut parser: Parser) -> Result<(), Failure> {
    let name = match parser.next()? {
        Some(Arg::Long("help") | Arg::Short('h')) => return print(overview()),
        Some(Arg::Long("version") | Arg::Short('V')) => return print(concat!("cota ", env!("CARGO_PKG_VERSION"), "\n")),
        Some(Arg::Value(name)) => name.string()?,
        Some(other) => return Err(other.unexpected().into()),
        None => return Err(Failure::usage(format!("a command is missing\n\n{}", overview()))),
    };
    if name == "help" {
        return help(&mut parser);
    }
    #[cfg(target_os = "linux")]
    if name == guard::WORD {
        std::process::exit(guard::watch(parser.raw_args()?));
    }
    let command = named(&name)?;
    let arguments = Arguments::read(&mut parser, &command.takes)?;
    if arguments.asks_for_help() { print(command.help) } else { (command.run)(&arguments) }
}

fn help(parser: &mut Parser) -> Result<(), Failure> {
    match parser.next()? {
        Some(Arg::Value(name)) => print(named(&name.string()?)?.help),
        Some(other) => Err(other.unexpected().into()),
        None => print(overview()),
    }
}

fn named(name: &str) -> Result<&'static Command, Failure> {
    COMMANDS.iter().find(|command| command.name == name).ok_or_else(|| {
        let known: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        Failure::usage(format!("there is no command `{name}`; there are {}", known.join(", ")))
    })
}

fn overview() -> String {
    let mut text = String::from("Usage: cota COMMAND [ARGUMENTS]\n\nCommands:\n");
    for Command { name, summary, .. } in COMMANDS {
        text.push_str(&format!("  {name:<8} {summary}\n"));
    }
    text.push_str("\n`cota COMMAND --help` tells more, `cota --version` tells the version.\n");
    text
}
