use serde::de::DeserializeOwned;
use worker::{Env, Headers, Method, ObjectNamespace, Request, RequestInit, Response};

use cota_core::ids::ConversationKey;
use cota_driver::store::StoreError;

use super::lines::Lines;
use crate::wire::{Ask, Call, answered};

/// The binding of the conversations' objects in wrangler.toml.
const BINDING: &str = "CONVERSATIONS";
/// Where an object hears a call. Nobody else reaches it.
const ADDRESS: &str = "https://object/call";

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
        let mut response = self.call(key, ask).await?;
        answered(&mut response).await
    }

    /// Asks a conversation for something that comes in lines.
    pub(super) async fn lines(&self, key: &ConversationKey, ask: Ask) -> Result<Lines, StoreError> {
        let mut response = self.call(key, ask).await?;
        response.stream().map(Lines::new).map_err(|error| unreachable_now(&error))
    }

    async fn call(&self, key: &ConversationKey, ask: Ask) -> Result<Response, StoreError> {
        let call = Call { key: key.clone(), ask };
        let body = serde_json::to_string(&call).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let response = post(&self.0, &key.hashed(), body).await.map_err(|error| unreachable_now(&error))?;
        match response.status_code() {
            200 => Ok(response),
            status => Err(StoreError::Unavailable(format!("its object answers with {status}"))),
        }
    }
}

/// Posts JSON to the object of a name.
pub(crate) async fn post(objects: &ObjectNamespace, name: &str, body: String) -> worker::Result<Response> {
    tracing::trace!("an object is asked");
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_headers(Headers::new()).with_body(Some(body.into()));
    let request = Request::new_with_init(ADDRESS, &init)?;
    objects.get_by_name(name)?.fetch_with_request(request).await
}

/// An object that is moved, restarted or overloaded: it is there again in a moment.
fn unreachable_now(error: &worker::Error) -> StoreError {
    StoreError::Unavailable(format!("its object cannot be reached: {error}"))
}
