use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use cota_driver::ledger::{Ledger, MemoryLedger};
use cota_driver::memory::MemoryStore;
use cota_driver::store::{Holder, Store};
use cota_native::{LazyHttp, TokioClock};
use cota_store_sqlite::{Durability, OpenError, Options, SqliteStore};
use cota_store_upstash::{Address, AddressError, UpstashStore};

/// Where conversations are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// In one SQLite file.
    Sqlite(PathBuf),
    /// In Upstash Redis.
    Upstash(Address),
    /// In memory, gone with the process.
    Memory,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The file is none.
    #[error(transparent)]
    Sqlite(#[from] OpenError),
    /// There is no token for the database.
    #[error("set the variable {UPSTASH_TOKEN} to the token of the database; its page shows it beside the address")]
    NoToken,
    /// The token is none.
    #[error(transparent)]
    Upstash(#[from] AddressError),
}

/// The variable with the token of an Upstash database; it has no option, as others can read a command line.
const UPSTASH_TOKEN: &str = "UPSTASH_REDIS_REST_TOKEN";

/// What is kept in one place.
pub struct Stores {
    /// The conversations.
    pub conversations: Arc<dyn Store>,
    /// The small records beside them: API keys and the like.
    pub ledger: Arc<dyn Ledger>,
}

impl Default for StorePlace {
    fn default() -> Self {
        Self::Sqlite(PathBuf::from(".cota/cota.db"))
    }
}

impl FromStr for StorePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("upstash", address)) => address.parse().map(Self::Upstash).map_err(|error: AddressError| error.to_string()),
            Some(("dynamodb", _)) => {
                Err("this build has no dynamodb store; use sqlite:PATH, upstash:URL or memory, or serve the bot where dynamodb is"
                    .to_owned())
            }
            Some(_) | None => Err(format!("`{text}` is no store; use sqlite:PATH, upstash:URL or memory")),
        }
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Upstash(address) => write!(f, "upstash:{address}"),
            Self::Memory => f.write_str("memory"),
        }
    }
}

impl StorePlace {
    /// Opens it for the process that `holder` names.
    ///
    /// # Errors
    /// When the file cannot be used, or there is no token, with the way out.
    pub fn open(&self, durability: Durability, holder: &Holder) -> Result<Stores, OpenStoreError> {
        match self {
            Self::Sqlite(path) => {
                let store = Arc::new(SqliteStore::open(path, &Options { durability, holder: holder.clone() })?);
                Ok(Stores { conversations: Arc::clone(&store) as _, ledger: store })
            }
            Self::Upstash(address) => {
                let token = std::env::var(UPSTASH_TOKEN).ok().filter(|token| !token.is_empty()).ok_or(OpenStoreError::NoToken)?;
                let http = Arc::<LazyHttp>::default();
                let store = Arc::new(UpstashStore::new(address, &token, http, Arc::new(TokioClock::new()))?);
                Ok(Stores { conversations: Arc::clone(&store) as _, ledger: store })
            }
            Self::Memory => Ok(Stores { conversations: Arc::new(MemoryStore::new()), ledger: Arc::<MemoryLedger>::default() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_kind_and_place() {
        assert_eq!("memory".parse(), Ok(StorePlace::Memory));
        assert_eq!("sqlite:a/b.db".parse(), Ok(StorePlace::Sqlite(PathBuf::from("a/b.db"))));
        let upstash = "upstash:https://x.upstash.io?prefix=shop&days=30";
        assert_eq!(upstash.parse::<StorePlace>().map(|place| place.to_string()), Ok(upstash.to_owned()));
        assert_eq!(StorePlace::default().to_string(), "sqlite:.cota/cota.db");
    }

    #[test]
    fn a_store_that_this_build_does_not_have_is_refused_with_the_ones_it_has() {
        for text in ["dynamodb:table", "sqlite:", "sqlite", "redis:x", ""] {
            let refused = text.parse::<StorePlace>().unwrap_err();
            assert!(refused.contains("sqlite:PATH, upstash:URL or memory"), "{refused}");
        }
    }
}
