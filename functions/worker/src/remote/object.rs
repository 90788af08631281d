use http::StatusCode;
use serde::de::DeserializeOwned;
use worker::{Env, ObjectNamespace};

use cota_core::ids::ConversationKey;
use cota_driver::store::StoreError;

use super::lines::Lines;
use crate::platform::{Answer, ask_object};
use crate::wire::{Ask, Call, answered};

/// The binding of the conversations' objects in wrangler.toml.
const BINDING: &str = "CONVERSATIONS";

/// The objects that keep conversations.
#[derive(Clone)]
pub(crate) struct Objects(ObjectNamespace);

impl Objects {
    /// Those of the deployment.
    ///
    /// # Errors
    /// When wrangler.toml does not bind them.
    pub(crate) fn of(env: &Env) -> worker::Result<Self> {
        env.durable_object(BINDING).map(Self)
    }

    /// Asks a conversation for one thing.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, key: &ConversationKey, ask: Ask) -> Result<T, StoreError> {
        answered(self.call(key, ask).await?)
    }

    /// Asks a conversation for something that comes in lines.
    pub(super) async fn lines(&self, key: &ConversationKey, ask: Ask) -> Result<Lines, StoreError> {
        self.call(key, ask).await.map(|answer| Lines::new(answer.content))
    }

    async fn call(&self, key: &ConversationKey, ask: Ask) -> Result<Answer, StoreError> {
        let call = Call { key: key.clone(), ask };
        let body = serde_json::to_string(&call).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let answer = ask_object(&self.0, &key.hashed(), &body).await.map_err(|error| unreachable_now(&error))?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            status => Err(StoreError::Unavailable(format!("its object answers with {status}"))),
        }
    }
}

/// An object that is moved, restarted or overloaded: it is there again in a moment.
fn unreachable_now(error: &worker::Error) -> StoreError {
    StoreError::Unavailable(format!("its object cannot be reached: {error}"))
}
