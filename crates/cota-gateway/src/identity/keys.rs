//! API keys: `cota_<id>_<secret>`, for backends that speak for their own users.
//!
//! The ledger has a key's SHA-256 alone. The secret is 256 random bits, so its hash needs no salt and no slow function: it cannot
//! be guessed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use cota_core::ids::Timestamp;
use cota_driver::ledger::{Ledger, Record};
use cota_driver::store::StoreError;
use cota_protocol::problem::Problem;

use super::{Chance, GivenKeys, NoChance, hex, unauthorized};
use crate::access::{Known, Scopes, Speaker};
use crate::respond;

/// What every key begins with, so that people and scanners of leaked secrets know it for one.
const PREFIX: &str = "cota_";
/// Under which names the ledger has keys.
const FOLDER: &str = "key/";
/// How long a key that was read is taken to be as it was, in milliseconds: a revoked one ends within this time.
const KNOWN_MS: u64 = 5_000;
/// Keys that one process remembers.
const MOST_KNOWN: usize = 1024;

/// A key as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// What it is called by: the part of the key that is no secret.
    pub id: String,
    /// What it is for, in its maker's words.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// SHA-256 of the secret.
    hash: [u8; 32],
}

/// A key just made: the only time that it can be seen.
pub struct Issued {
    /// What is kept of it.
    pub key: ApiKey,
    /// The key itself.
    pub text: String,
}

/// Why a key could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// Nothing secret can be made.
    #[error(transparent)]
    NoChance(#[from] NoChance),
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a key that holds from `now` on.
///
/// # Errors
/// When there is no randomness, or the ledger does not answer.
pub async fn create(
    ledger: &dyn Ledger,
    chance: &dyn Chance,
    name: &str,
    scopes: Scopes,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<Issued, IssueError> {
    let (mut id, mut secret) = ([0; 8], [0; 32]);
    chance.fill(&mut id)?;
    chance.fill(&mut secret)?;
    let (id, secret) = (hex(&id), hex(&secret));
    let key = ApiKey { id, name: name.to_owned(), scopes, created_at: now, expires_at, hash: Sha256::digest(&secret).into() };
    let value = serde_json::to_vec(&key).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    if !ledger.replace(&place(&key.id), None, Record { value, expires_at }, now).await? {
        return Err(StoreError::Unavailable("another key has this id already; make it anew".to_owned()).into());
    }
    let text = format!("{PREFIX}{}_{secret}", key.id);
    Ok(Issued { key, text })
}

/// The keys that hold, by their ids.
///
/// # Errors
/// When the ledger does not answer, or has something else than keys in their place.
pub async fn list(ledger: &dyn Ledger, now: Timestamp) -> Result<Vec<ApiKey>, StoreError> {
    ledger.list(FOLDER, now).await?.into_iter().map(|(_, record)| read(&record)).collect()
}

/// Ends a key and returns it; `None` if there is none of this id. A running server takes a few seconds to notice.
///
/// # Errors
/// When the ledger does not answer, or has something else than a key in its place.
pub async fn revoke(ledger: &dyn Ledger, id: &str, now: Timestamp) -> Result<Option<ApiKey>, StoreError> {
    ledger.take(&place(id), now).await?.map(|record| read(&record)).transpose()
}

/// Whether a token is meant to be an API key.
pub(crate) fn is_key(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// Where a deployment has its keys.
pub(super) enum Keys {
    /// In its ledger.
    Kept(KnownKeys),
    /// In its settings.
    Given(Arc<GivenKeys>),
}

impl Keys {
    /// What a key allows. The answer to one that is unknown, revoked, ended or wrong is the same.
    pub(super) async fn check(&self, ledger: &dyn Ledger, text: &str, now: Timestamp) -> Result<Known, Problem> {
        let wrong = || unauthorized("this API key is not valid, or not any more");
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or_else(wrong)?;
        let key = match self {
            Self::Kept(known) => known.find(ledger, id, now).await.map_err(|error| respond::unreadable(&error))?,
            Self::Given(keys) => keys.find(id).cloned(),
        };
        key.and_then(|key| key.opened_with(secret, now)).ok_or_else(wrong)
    }

    /// Whether there are any.
    pub(super) async fn are_there(&self, ledger: &dyn Ledger, now: Timestamp) -> Result<bool, StoreError> {
        match self {
            Self::Kept(_) => Ok(!list(ledger, now).await?.is_empty()),
            Self::Given(keys) => Ok(!keys.is_empty()),
        }
    }
}

impl ApiKey {
    /// What it allows whoever has this secret.
    fn opened_with(&self, secret: &str, now: Timestamp) -> Option<Known> {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let is_right: bool = self.hash.ct_eq(&hash).into();
        let has_ended = self.expires_at.is_some_and(|end| now >= end);
        (is_right && !has_ended).then_some(Known { speaker: Speaker::Backend, scopes: self.scopes })
    }
}

/// The keys that were seen a moment ago, so that not every request asks the ledger.
#[derive(Default)]
pub(super) struct KnownKeys(Mutex<HashMap<String, (Arc<ApiKey>, Timestamp)>>);

impl KnownKeys {
    async fn find(&self, ledger: &dyn Ledger, id: &str, now: Timestamp) -> Result<Option<Arc<ApiKey>>, StoreError> {
        if let Some((key, seen)) = self.lock().get(id)
            && now.since(*seen) < KNOWN_MS
        {
            return Ok(Some(Arc::clone(key)));
        }
        let Some(record) = ledger.get(&place(id), now).await? else {
            self.lock().remove(id);
            return Ok(None);
        };
        let key = Arc::new(read(&record)?);
        let mut known = self.lock();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(id.to_owned(), (Arc::clone(&key), now));
        Ok(Some(key))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Arc<ApiKey>, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(id: &str) -> String {
    format!("{FOLDER}{id}")
}

fn read(record: &Record) -> Result<ApiKey, StoreError> {
    serde_json::from_slice(&record.value).map_err(|error| StoreError::Corrupt(format!("an API key's record: {error}")))
}

#[cfg(test)]
mod tests {
    use cota_driver::ledger::MemoryLedger;
    use futures_util::FutureExt as _;

    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Chance for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance> {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            Ok(())
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        future.now_or_never().expect("memory does not wait")
    }

    fn issue(ledger: &MemoryLedger, expires_at: Option<Timestamp>) -> Issued {
        let chance = Counting(std::sync::atomic::AtomicU8::new(1));
        now(create(ledger, &chance, "shop", Scopes::CHAT, Timestamp(1), expires_at)).ok().unwrap()
    }

    #[test]
    fn only_the_key_itself_is_let_in() {
        let ledger = MemoryLedger::default();
        let Issued { key, text } = issue(&ledger, None);
        let keys = Keys::Kept(KnownKeys::default());
        let check = |text: &str| now(keys.check(&ledger, text, Timestamp(2)));
        assert_eq!(check(&text), Ok(Known { speaker: Speaker::Backend, scopes: Scopes::CHAT }));
        let id = &key.id;
        let cut = text.get(..text.len() - 1).unwrap();
        for wrong in
            [cut, &format!("{text}0"), &text.to_uppercase(), "cota_", "cota__", &format!("cota_{id}"), &format!("cota_{id}_"), "cota_x_y"]
        {
            assert_eq!(check(wrong).unwrap_err().detail, "this API key is not valid, or not any more", "{wrong}");
        }
    }

    #[test]
    fn the_secret_is_not_kept() {
        let ledger = MemoryLedger::default();
        let Issued { text, .. } = issue(&ledger, None);
        let secret = text.rsplit('_').next().unwrap();
        let records = now(ledger.list("", Timestamp(2))).unwrap();
        assert_eq!(records.len(), 1);
        assert!(!String::from_utf8_lossy(&records[0].1.value).contains(secret));
    }

    #[test]
    fn a_key_ends_when_its_time_has_come_or_when_it_is_revoked() {
        let ledger = MemoryLedger::default();
        let Issued { key, text } = issue(&ledger, Some(Timestamp(100)));
        let keys = Keys::Kept(KnownKeys::default());
        let is_valid = |at| now(keys.check(&ledger, &text, Timestamp(at))).is_ok();
        assert!(is_valid(99) && !is_valid(100) && is_valid(98));
        assert_eq!(now(list(&ledger, Timestamp(99))).unwrap(), std::slice::from_ref(&key));
        assert_eq!(now(revoke(&ledger, &key.id, Timestamp(99))), Ok(Some(key.clone())));
        assert_eq!(now(revoke(&ledger, &key.id, Timestamp(99))), Ok(None));
        assert!(!is_valid(99 + KNOWN_MS));
    }
}
