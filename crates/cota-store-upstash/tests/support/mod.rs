//! A database for tests, and stores on it.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use cota_core::event::Event;
use cota_core::ids::{ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::turn::Commit;
use cota_driver::address::Reach;
use cota_driver::http::{HttpRequest, HttpSend as _};
use cota_driver::store::{
    AcceptTerms, Acceptance, Claim, ClaimOutcome, CommitError, CommitTerms, Committed, Holder, Loaded, NewMessage, Recorded, Renewed,
    Store, StoreError,
};
use cota_native::{LazyHttp, TokioClock};
use cota_store_upstash::UpstashStore;
use cota_testkit::services::upstash::Upstash;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use tokio::runtime::Runtime;

/// A database, and what reaches it.
pub(crate) struct Stage {
    pub(crate) upstash: Upstash,
    http: Arc<LazyHttp>,
    runtime: Runtime,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { upstash: Upstash::start(), http: Arc::default(), runtime: Runtime::new().unwrap() }
    }

    /// A store of its own: a new process, as far as the database can tell.
    pub(crate) fn store(&self, prefix: &str) -> UpstashStore {
        let address = format!("{}?prefix={prefix}", self.upstash.url()).parse().unwrap();
        UpstashStore::new(&address, Upstash::TOKEN, Arc::clone(&self.http) as _, Arc::new(TokioClock::new())).unwrap()
    }

    /// How many milliseconds each key of a pattern has left; -1 for one that has no end.
    pub(crate) fn times_to_live(&self, pattern: &str) -> Vec<i64> {
        let script =
            "local left = {} for n, key in ipairs(redis.call('KEYS', ARGV[1])) do left[n] = redis.call('PTTL', key) end return left";
        let mut request = HttpRequest::new(Method::POST, self.upstash.url().parse().unwrap(), Reach::Named).unwrap();
        request.headers.insert(AUTHORIZATION, format!("Bearer {}", Upstash::TOKEN).parse().unwrap());
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.body = serde_json::to_vec(&["EVAL", script, "0", pattern]).unwrap().into();
        let answer = self.run(async { self.http.send(request).await.unwrap().body.read(4096).await.unwrap() });
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        serde_json::from_value(answer["result"].clone()).unwrap()
    }

    pub(crate) fn run<T>(&self, test: impl Future<Output = T>) -> T {
        self.runtime.block_on(test)
    }
}

/// A store of which every call is made by a process that has seen nothing before.
pub(crate) struct Forgetful<F>(pub(crate) F);

#[async_trait]
impl<F: Fn() -> UpstashStore + Send + Sync> Store for Forgetful<F> {
    async fn accept(&self, key: &ConversationKey, message: NewMessage, terms: &AcceptTerms) -> Result<Acceptance, StoreError> {
        self.0().accept(key, message, terms).await
    }

    async fn claim(&self, key: &ConversationKey, holder: &Holder, now: Timestamp) -> Result<ClaimOutcome, StoreError> {
        self.0().claim(key, holder, now).await
    }

    async fn load(&self, key: &ConversationKey) -> Result<Option<Loaded>, StoreError> {
        self.0().load(key).await
    }

    async fn commit(&self, key: &ConversationKey, claim: &Claim, commit: &Commit, terms: &CommitTerms) -> Result<Committed, CommitError> {
        self.0().commit(key, claim, commit, terms).await
    }

    async fn renew(&self, key: &ConversationKey, claim: &Claim, lease_until: Timestamp) -> Result<Renewed, CommitError> {
        self.0().renew(key, claim, lease_until).await
    }

    async fn release(&self, key: &ConversationKey, claim: &Claim, now: Timestamp) -> Result<(), CommitError> {
        self.0().release(key, claim, now).await
    }

    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.0().events(key, after, limit).await
    }

    async fn recorded(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Recorded>, StoreError> {
        self.0().recorded(key, sender, message).await
    }

    async fn delete(&self, key: &ConversationKey) -> Result<(), StoreError> {
        self.0().delete(key).await
    }

    async fn unfinished(&self, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, StoreError> {
        self.0().unfinished(now).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.0().ready().await
    }
}
