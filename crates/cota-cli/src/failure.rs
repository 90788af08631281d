//! Why a command did not do what it was asked, and the exit code that says so.

use std::io;
use std::process::ExitCode;

/// A command that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The input is at fault: 1.
    Input(String),
    /// The input is at fault, and what is wrong with it has been printed: 1.
    Reported,
    /// The command was called wrongly: 2.
    Usage(String),
    /// A service, a disk or a network failed: 3.
    Service(String),
    /// Nobody reads the output any more: 0, as a pipe that is full is no fault.
    NobodyReads,
}

impl Failure {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn service(message: impl Into<String>) -> Self {
        Self::Service(message.into())
    }

    /// What to print, if anything.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Input(message) | Self::Usage(message) | Self::Service(message) => Some(message),
            Self::Reported | Self::NobodyReads => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NobodyReads => 0,
            Self::Input(_) | Self::Reported => 1,
            Self::Usage(_) => 2,
            Self::Service(_) => 3,
        })
    }

    /// A failure to write to a terminal or a pipe.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        match error.kind() == io::ErrorKind::BrokenPipe {
            true => Self::NobodyReads,
            false => Self::service(format!("cannot write the output: {error}")),
        }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(error.to_string())
    }
}
