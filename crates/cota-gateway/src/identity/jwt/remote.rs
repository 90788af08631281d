//! A key set at an address: fetched when it is needed, kept for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::future::{self, Either};
use futures_util::lock;

use cota_core::ids::Timestamp;
use cota_driver::ports::Clock;
use cota_protocol::problem::{Code, Problem};

use super::key::{Algorithm, Keys};

/// How long a set is taken to be current, in milliseconds.
const FRESH_MS: u64 = 600_000;
/// Least time between two fetches, in milliseconds: tokens with invented key names must not make this server a burden.
const PAUSE_MS: u64 = 30_000;
/// How long a fetch may take, in milliseconds.
const FETCH_MS: u64 = 5_000;

/// Fetches the key set of an issuer. The host of the gateway knows how, and from where.
#[async_trait]
pub trait FetchKeys: Send + Sync {
    /// The set's JSON as it is now. It may be dropped when it takes too long.
    ///
    /// # Errors
    /// When it cannot be had; the text is for the operator's log.
    async fn fetch(&self) -> Result<Vec<u8>, String>;
}

pub(super) struct RemoteKeys {
    fetch: Arc<dyn FetchKeys>,
    kept: Mutex<Kept>,
    /// Held by who fetches, so that the others wait for the same answer.
    fetching: lock::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    keys: Option<Arc<Keys>>,
    /// When they were fetched.
    at: Timestamp,
    /// When that was tried last; `None` for never.
    tried: Option<Timestamp>,
}

impl RemoteKeys {
    pub(super) fn new(fetch: Arc<dyn FetchKeys>) -> Self {
        Self { fetch, kept: Mutex::default(), fetching: lock::Mutex::new(()) }
    }

    /// The keys for such a token. Old ones serve on while no new ones can be had.
    pub(super) async fn current(&self, algorithm: Algorithm, kid: Option<&str>, clock: &dyn Clock) -> Result<Arc<Keys>, Problem> {
        if self.kept().is_due(algorithm, kid, clock.now()) {
            let _alone = self.fetching.lock().await;
            if self.kept().is_due(algorithm, kid, clock.now()) {
                self.refresh(clock).await;
            }
        }
        self.kept().keys.clone().ok_or_else(|| {
            let detail = "the keys that tokens are signed with cannot be had at the moment; try again later";
            Problem::new(Code::IdentityUnavailable, detail)
        })
    }

    async fn refresh(&self, clock: &dyn Clock) {
        let now = clock.now();
        self.kept().tried = Some(now);
        let fetched = match future::select(self.fetch.fetch(), clock.sleep_until(now.plus_ms(FETCH_MS))).await {
            Either::Left((fetched, _)) => fetched.and_then(|json| Keys::set(&json).map_err(|error| error.to_string())),
            Either::Right(_) => Err(format!("no answer within {FETCH_MS} ms")),
        };
        match fetched {
            Ok(keys) => {
                let mut kept = self.kept();
                kept.keys = Some(Arc::new(keys));
                kept.at = now;
            }
            Err(error) => tracing::warn!(%error, "the key set of the tokens' issuer could not be fetched"),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Whether the set is to be fetched before a token is checked.
    fn is_due(&self, algorithm: Algorithm, kid: Option<&str>, now: Timestamp) -> bool {
        let lacks = self.keys.as_ref().is_none_or(|keys| now.since(self.at) >= FRESH_MS || !keys.has(algorithm, kid));
        lacks && self.tried.is_none_or(|tried| now.since(tried) >= PAUSE_MS)
    }
}
