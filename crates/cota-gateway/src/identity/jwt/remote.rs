//! A key set at an address: fetched when it is needed, kept for a while.
//!
//! Only one fetches at a time. The others do not wait for its answer but look again on their own clock: it may be dropped in the
//! midst of it, and on some platforms nothing that one request waits for may wake another.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::future::{self, Either};

use cota_core::ids::Timestamp;
use cota_driver::ports::Clock;
use cota_protocol::problem::{Code, Problem};

use super::key::{Algorithm, Keys};
use super::public::Signatures;

/// How long a set is taken to be current, in milliseconds.
const FRESH_MS: u64 = 600_000;
/// Least time between two fetches, in milliseconds: tokens with invented key names must not make this server a burden.
const PAUSE_MS: u64 = 30_000;
/// How long a fetch may take, in milliseconds. One that takes longer was dropped, and another may begin.
const FETCH_MS: u64 = 5_000;
/// How often whoever waits for the fetch of another looks whether it is done, in milliseconds.
const LOOK_MS: u64 = 25;

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
    signatures: Arc<dyn Signatures>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    keys: Option<Arc<Keys>>,
    /// When they were fetched.
    at: Timestamp,
    /// When that was tried last; `None` for never.
    tried: Option<Timestamp>,
    /// Whether who tried it last has no answer yet.
    is_fetching: bool,
}

/// What to do before a token is checked.
enum Next {
    Check,
    Fetch,
    /// Another fetches what this token needs.
    Look,
}

impl RemoteKeys {
    pub(super) fn new(fetch: Arc<dyn FetchKeys>, signatures: Arc<dyn Signatures>) -> Self {
        Self { fetch, signatures, kept: Mutex::default() }
    }

    /// The keys for such a token. Old ones serve on while no new ones can be had.
    pub(super) async fn current(&self, algorithm: Algorithm, kid: Option<&str>, clock: &dyn Clock) -> Result<Arc<Keys>, Problem> {
        loop {
            let now = clock.now();
            let next = self.kept().next(algorithm, kid, now);
            match next {
                Next::Check => break,
                Next::Fetch => self.refresh(now, clock).await,
                Next::Look => clock.sleep_until(now.plus_ms(LOOK_MS)).await,
            }
        }
        self.kept().keys.clone().ok_or_else(|| {
            let detail = "the keys that tokens are signed with cannot be had at the moment; try again later";
            Problem::new(Code::IdentityUnavailable, detail)
        })
    }

    async fn refresh(&self, now: Timestamp, clock: &dyn Clock) {
        let fetching = async {
            let json = self.fetch.fetch().await?;
            Keys::set(&json, self.signatures.as_ref()).await.map_err(|error| error.to_string())
        };
        let fetched = match future::select(pin!(fetching), clock.sleep_until(now.plus_ms(FETCH_MS))).await {
            Either::Left((fetched, _)) => fetched,
            Either::Right(_) => Err(format!("no answer within {FETCH_MS} ms")),
        };
        let mut kept = self.kept();
        kept.is_fetching = false;
        match fetched {
            Ok(keys) => {
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
    /// What to do for such a token now. Who is told to fetch is noted to do so.
    fn next(&mut self, algorithm: Algorithm, kid: Option<&str>, now: Timestamp) -> Next {
        let has = self.keys.as_ref().is_some_and(|keys| keys.has(algorithm, kid));
        let patience = if self.is_fetching { FETCH_MS } else { PAUSE_MS };
        let is_early = self.tried.is_some_and(|tried| now.since(tried) < patience);
        if has && (is_early || now.since(self.at) < FRESH_MS) {
            Next::Check
        } else if is_early {
            if self.is_fetching { Next::Look } else { Next::Check }
        } else {
            (self.tried, self.is_fetching) = (Some(now), true);
            Next::Fetch
        }
    }
}
