//! Results on standard output, errors on standard error, colour where a person reads.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write as _};

use serde::Serialize;

use crate::failure::Failure;

/// How a command's results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one line of JSON.
    Json,
}

/// The formats that every command with results has.
pub(crate) const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

/// Prints text as it is, at once.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(|error| Failure::of_output(&error))
}

/// Prints text and a line break.
pub(crate) fn print_line(text: impl Display) -> Result<(), Failure> {
    print(format_args!("{text}\n"))
}

/// Prints a value as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(value).map_err(|error| Failure::service(format!("cannot write JSON: {error}")))?;
    print_line(line)
}

/// Tells the person at the terminal something that is no result. Where that cannot be told, nothing can.
pub(crate) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Colours for standard output, where it is a terminal and `NO_COLOR` is not set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    pub(crate) fn for_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_on: !refused && io::stdout().is_terminal() }
    }

    /// No colours at all.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { is_on: false }
    }

    pub(crate) fn red(self, text: impl Display) -> String {
        self.paint("31;1", text)
    }

    pub(crate) fn yellow(self, text: impl Display) -> String {
        self.paint("33;1", text)
    }

    pub(crate) fn green(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        if self.is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
