//! What can go wrong between here and the database, and what the caller is told.

use cota_driver::address::Forbidden;
use cota_driver::http::HttpError;
use cota_driver::store::{CommitError, StoreError};

/// Why an operation was not carried out, or perhaps not. Says neither what was sent nor with which token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("Upstash: {0}")]
    Http(#[from] HttpError),
    #[error("Upstash: {0}")]
    Forbidden(#[from] Forbidden),
    #[error("Upstash did not answer within {0} ms")]
    Slow(u64),
    #[error("Upstash refuses the token: check UPSTASH_REDIS_REST_TOKEN against the database's page")]
    Token,
    #[error("Upstash says: {0}")]
    Refused(String),
    #[error("Upstash answers with status {0} and no result; is this the REST address of a database?")]
    NoResult(u16),
    #[error("the write has {bytes} bytes and Upstash takes {most}: shorten the bot's replies or its executors' answers")]
    TooLarge { bytes: usize, most: usize },
    #[error("others changed the conversation each time before the write arrived")]
    Contended,
    #[error("{what} cannot be read: {why}")]
    Unreadable { what: &'static str, why: String },
    #[error("{what} cannot be written: {why}")]
    Unwritable { what: &'static str, why: String },
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let text = fault.to_string();
        match fault {
            Fault::Unreadable { .. } => Self::Corrupt(text),
            Fault::Http(_)
            | Fault::Forbidden(_)
            | Fault::Slow(_)
            | Fault::Token
            | Fault::Refused(_)
            | Fault::NoResult(_)
            | Fault::TooLarge { .. }
            | Fault::Contended
            | Fault::Unwritable { .. } => Self::Unavailable(text),
        }
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(fault.to_string())
    }
}
