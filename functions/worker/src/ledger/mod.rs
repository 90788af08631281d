//! The ledger in objects: small records such as tickets and the states of limits, spread over a few objects by the hash of their
//! names.

mod accounts;
mod object;

use async_trait::async_trait;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use worker::send::{SendFuture, SendWrapper};
use worker::{Env, ObjectNamespace};

use cota_core::ids::Timestamp;
use cota_core::sort::sort;
use cota_driver::ledger::{Ledger, Record};
use cota_driver::store::StoreError;
use cota_gateway::limits::Draw;

use crate::platform::ask_object;
use crate::wire::answered;
pub use object::LedgerObject;

/// The binding of the ledger's objects in wrangler.toml.
const BINDING: &str = "LEDGER";
/// How many objects share the records.
const OBJECTS: u8 = 16;

/// What is asked of one of the ledger's objects.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    Get { name: String },
    Replace { name: String, expected: Option<Vec<u8>>, record: Kept },
    Take { name: String },
    List { prefix: String },
    Draw { name: String, draw: Draw },
}

/// A question with the time it is asked at.
#[derive(Debug, Serialize, Deserialize)]
struct Call {
    now: Timestamp,
    ask: Ask,
}

/// A record on its way.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    value: Vec<u8>,
    expires_at: Option<Timestamp>,
}

/// The ledger of a deployment.
pub(crate) struct RemoteLedger {
    objects: SendWrapper<ObjectNamespace>,
    /// What the names of its objects begin with.
    name: String,
}

impl RemoteLedger {
    /// The ledger that wrangler.toml binds.
    pub(crate) fn of(env: &Env) -> worker::Result<Self> {
        Self::named(env, "ledger")
    }

    /// A ledger of its own.
    pub(crate) fn named(env: &Env, name: &str) -> worker::Result<Self> {
        Ok(Self { objects: SendWrapper(env.durable_object(BINDING)?), name: name.to_owned() })
    }

    async fn ask<T: DeserializeOwned>(&self, object: u8, now: Timestamp, ask: Ask) -> Result<T, StoreError> {
        let unavailable = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("the ledger cannot be reached: {error}"));
        let body = serde_json::to_string(&Call { now, ask }).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let answer = ask_object(&self.objects.0, &format!("{}-{object}", self.name), &body).await.map_err(|error| unavailable(&error))?;
        if answer.status != StatusCode::OK {
            return Err(unavailable(&answer.status));
        }
        answered(answer)
    }
}

#[async_trait]
impl Ledger for RemoteLedger {
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let kept: Option<Kept> = SendFuture::new(self.ask(object_of(name), now, Ask::Get { name: name.to_owned() })).await?;
        Ok(kept.map(Record::from))
    }

    async fn replace(&self, name: &str, expected: Option<&[u8]>, record: Record, now: Timestamp) -> Result<bool, StoreError> {
        let ask = Ask::Replace { name: name.to_owned(), expected: expected.map(<[u8]>::to_vec), record: record.into() };
        SendFuture::new(self.ask(object_of(name), now, ask)).await
    }

    async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let kept: Option<Kept> = SendFuture::new(self.ask(object_of(name), now, Ask::Take { name: name.to_owned() })).await?;
        Ok(kept.map(Record::from))
    }

    async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Record)>, StoreError> {
        let mut all = Vec::new();
        for object in 0..OBJECTS {
            let found: Vec<(String, Kept)> = SendFuture::new(self.ask(object, now, Ask::List { prefix: prefix.to_owned() })).await?;
            all.extend(found.into_iter().map(|(name, kept)| (name, kept.into())));
        }
        sort(&mut all, |(one, _): &(String, Record), (other, _)| one.cmp(other));
        Ok(all)
    }
}

/// The object that has the record of this name.
fn object_of(name: &str) -> u8 {
    let digest = Sha256::digest(name);
    digest.first().map_or(0, |byte| byte % OBJECTS)
}

impl From<Kept> for Record {
    fn from(kept: Kept) -> Self {
        Self { value: kept.value, expires_at: kept.expires_at }
    }
}

impl From<Record> for Kept {
    fn from(record: Record) -> Self {
        Self { value: record.value, expires_at: record.expires_at }
    }
}
