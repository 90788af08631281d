//! What can go wrong between a store and its table, and what the caller is told.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use cota_driver::store::{CommitError, StoreError};

/// Why an operation was not carried out, or perhaps not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("there is no DynamoDB table `{table}` in this account and region: `cota run --store dynamodb:{table} --create-table` makes it")]
    NoTable { table: String },
    #[error("DynamoDB does not do its part ({0})")]
    Service(String),
    #[error("others write the same conversation all the time; nothing was written")]
    Contended,
    #[error("{what} cannot be read: {why}")]
    Unreadable { what: &'static str, why: String },
    #[error("{what} cannot be written: {why}")]
    Unwritable { what: &'static str, why: String },
}

impl Fault {
    /// What a call failed with, said without what the call was about.
    pub(crate) fn of<E, R>(table: &str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        match error.as_service_error() {
            Some(service) if service.code() == Some("ResourceNotFoundException") => Self::NoTable { table: table.to_owned() },
            Some(service) => {
                Self::Service(format!("{}: {}", service.code().unwrap_or("an error"), service.message().unwrap_or("no message")))
            }
            None => Self::Service(DisplayErrorContext(error).to_string()),
        }
    }

    pub(crate) fn unreadable(what: &'static str, why: impl ToString) -> Self {
        Self::Unreadable { what, why: why.to_string() }
    }

    pub(crate) fn unwritable(what: &'static str, why: impl ToString) -> Self {
        Self::Unwritable { what, why: why.to_string() }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let text = fault.to_string();
        match fault {
            Fault::Unreadable { .. } => Self::Corrupt(text),
            Fault::NoTable { .. } | Fault::Service(_) | Fault::Contended | Fault::Unwritable { .. } => Self::Unavailable(text),
        }
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.to_string())
    }
}
