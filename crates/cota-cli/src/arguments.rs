//! What stands behind a command's name on the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::{Arg, Parser, ValueExt as _};

use crate::failure::Failure;
use crate::native::StorePlace;

/// What a command takes.
pub(crate) struct Takes {
    /// Options with a value, without their dashes; `o|output` has a short name too.
    pub(crate) options: &'static [&'static str],
    /// Options without a value.
    pub(crate) switches: &'static [&'static str],
    /// Most words that are no options.
    pub(crate) words: usize,
}

/// A command's arguments, sorted.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    options: BTreeMap<&'static str, String>,
    switches: BTreeSet<&'static str>,
    words: Vec<String>,
    asks_for_help: bool,
}

impl Arguments {
    pub(crate) fn read(parser: &mut Parser, takes: &Takes) -> Result<Self, Failure> {
        let mut read = Self::default();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("help") | Arg::Short('h') => read.asks_for_help = true,
                Arg::Value(word) if read.words.len() < takes.words => read.words.push(word.string()?),
                Arg::Value(word) => return Err(Failure::usage(format!("unexpected argument `{}`", word.to_string_lossy()))),
                Arg::Long(_) | Arg::Short(_) => {
                    if let Some(name) = takes.switches.iter().find(|name| is_called(name, &arg)) {
                        read.switches.insert(long(name));
                    } else if let Some(name) = takes.options.iter().find(|name| is_called(name, &arg)) {
                        read.options.insert(long(name), parser.value()?.string()?);
                    } else {
                        return Err(unknown_option(&arg, takes));
                    }
                }
            }
        }
        Ok(read)
    }

    pub(crate) fn asks_for_help(&self) -> bool {
        self.asks_for_help
    }

    pub(crate) fn has(&self, switch: &str) -> bool {
        self.switches.contains(switch)
    }

    /// An option's value.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// An option's value, else that of its environment variable: `COTA_` and the option's name.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        let variable = || format!("COTA_{}", name.replace('-', "_").to_uppercase());
        self.option(name).map(ToOwned::to_owned).or_else(|| std::env::var(variable()).ok().filter(|value| !value.is_empty()))
    }

    /// A setting that is read as `T`; `expected` says what it may be.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Failure> {
        self.setting(name)
            .map(|value| value.parse().map_err(|_| Failure::usage(format!("`{value}` is no value for --{name}: it takes {expected}"))))
            .transpose()
    }

    /// One of several named choices.
    pub(crate) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)], default: T) -> Result<T, Failure> {
        let Some(value) = self.setting(name) else { return Ok(default) };
        choices.iter().find(|(choice, _)| *choice == value).map(|(_, meaning)| *meaning).ok_or_else(|| {
            let known: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            Failure::usage(format!("`{value}` is no value for --{name}: it takes {}", known.join(" or ")))
        })
    }

    /// Where conversations are kept, if that is said.
    pub(crate) fn store(&self) -> Result<Option<StorePlace>, Failure> {
        self.setting("store").map(|text| text.parse().map_err(Failure::usage)).transpose()
    }

    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// The words as paths.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.words.iter().map(PathBuf::from).collect()
    }

    /// The only word as a path, else the working directory.
    pub(crate) fn folder(&self) -> PathBuf {
        self.words.first().map_or_else(|| PathBuf::from("."), PathBuf::from)
    }
}

fn is_called(name: &'static str, arg: &Arg<'_>) -> bool {
    match arg {
        Arg::Long(given) => long(name) == *given,
        Arg::Short(given) => name.split_once('|').is_some_and(|(short, _)| short.starts_with(*given)),
        Arg::Value(_) => false,
    }
}

/// The long name in `o|output`.
fn long(name: &'static str) -> &'static str {
    name.split_once('|').map_or(name, |(_, long)| long)
}

fn unknown_option(arg: &Arg<'_>, takes: &Takes) -> Failure {
    let given = match arg {
        Arg::Long(name) => format!("--{name}"),
        Arg::Short(name) => format!("-{name}"),
        Arg::Value(value) => value.to_string_lossy().into_owned(),
    };
    let known: Vec<String> = takes.options.iter().chain(takes.switches).map(|name| format!("--{}", long(name))).collect();
    let way_out = if known.is_empty() { "this command has none".to_owned() } else { format!("this command has {}", known.join(", ")) };
    Failure::usage(format!("unknown option `{given}`: {way_out}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKES: Takes = Takes { options: &["format", "o|output"], switches: &["debug"], words: 1 };

    fn read(line: &[&str]) -> Result<Arguments, Failure> {
        Arguments::read(&mut Parser::from_args(line), &TAKES)
    }

    #[test]
    fn options_come_in_every_usual_spelling() {
        for line in [
            ["--output", "x", "bot", "--debug"].as_slice(),
            &["bot", "--output=x", "--debug"],
            &["--debug", "-o", "x", "bot"],
            &["-ox", "--debug", "bot"],
        ] {
            let read = read(line).unwrap();
            assert_eq!(read.option("output"), Some("x"), "{line:?}");
            assert_eq!(read.words(), ["bot"]);
            assert!(read.has("debug"));
        }
    }

    #[test]
    fn what_a_command_does_not_take_is_refused_by_name() {
        for (line, message) in [
            (["--port", "1"].as_slice(), "unknown option `--port`: this command has --format, --output, --debug"),
            (&["-x"], "unknown option `-x`: this command has --format, --output, --debug"),
            (&["one", "two"], "unexpected argument `two`"),
        ] {
            assert_eq!(read(line).unwrap_err(), Failure::usage(message));
        }
        assert!(matches!(read(&["--format"]), Err(Failure::Usage(_))));
    }

    #[test]
    fn a_choice_names_what_it_may_be() {
        let choices = [("text", 1), ("json", 2)];
        assert_eq!(read(&["--format", "json"]).unwrap().choice("format", &choices, 1), Ok(2));
        let refused = read(&["--format", "xml"]).unwrap().choice("format", &choices, 1);
        assert_eq!(refused, Err(Failure::usage("`xml` is no value for --format: it takes text or json")));
    }
}
