use cota_core::ids::BotName;
use cota_driver::store::StoreError;
use cota_driver::task::RelayError;

use crate::aws::CallError;
use crate::bundles::BundlesError;
use crate::doorbell::BadRing;
use crate::task::EngineError;

/// Why a function cannot start, or an invocation came to nothing. Its name is what Lambda calls the error's type.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A setting is missing or wrong.
    #[error("{0}")]
    Settings(String),
    /// No bot can be served.
    #[error(transparent)]
    Bundles(#[from] BundlesError),
    /// A secret could not be read.
    #[error("the secret that {variable} names could not be read: {source}")]
    Secret {
        /// The environment variable.
        variable: String,
        /// Why not.
        source: CallError,
    },
    /// The store cannot serve.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message of the queue is no doorbell.
    #[error(transparent)]
    BadRing(#[from] BadRing),
    /// A doorbell that was to wake somebody later was lost.
    #[error("the queue did not take a doorbell; this one is to come again")]
    LostBell,
    /// The queue did not take a doorbell.
    #[error("a doorbell could not be rung: {0}")]
    Doorbell(CallError),
    /// There is no such task.
    #[error("there is no task named `{0}`")]
    UnknownTask(BotName),
    /// Another invocation drives the task.
    #[error("{0}")]
    Held(RelayError),
    /// Machine and driver of a task disagree.
    #[error("the driver broke the task's contract: {0}")]
    Broken(RelayError),
    /// The state machine could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What an event is answered with cannot be written.
    #[error("the answer cannot be written as JSON: {0}")]
    Answer(#[from] serde_json::Error),
    /// The invocation's own event has another shape than its source promises.
    #[error("the event is none of {source_name}: {fault}")]
    Event {
        /// Where it should have come from.
        source_name: &'static str,
        /// What is wrong with it.
        fault: String,
    },
}

impl Failure {
    /// The name of its kind, for whoever matches on it.
    #[must_use]
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Settings(_) => "Cota.Settings",
            Self::Bundles(_) => "Cota.Bundles",
            Self::Secret { .. } => "Cota.Secret",
            Self::Store(_) => "Cota.Store",
            Self::BadRing(_) => "Cota.BadRing",
            Self::LostBell => "Cota.LostBell",
            Self::Doorbell(_) => "Cota.Doorbell",
            Self::UnknownTask(_) => "Cota.UnknownTask",
            Self::Held(_) => "Cota.Held",
            Self::Broken(_) => "Cota.Broken",
            Self::Engine(_) => "Cota.Engine",
            Self::Answer(_) => "Cota.Answer",
            Self::Event { .. } => "Cota.Event",
        }
    }
}

impl From<RelayError> for Failure {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Store(error) => error.into(),
            RelayError::Held => Self::Held(error),
            RelayError::Broken(_) => Self::Broken(error),
        }
    }
}
