use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use cota_driver::ledger::{Ledger, MemoryLedger};
use cota_driver::memory::MemoryStore;
use cota_driver::store::{Holder, Store, StoreError};
use cota_native::{LazyHttp, TokioClock};
use cota_store_dynamodb::{DynamoStore, client_from_environment, create_table};
use cota_store_sqlite::{Durability, OpenError, Options, SqliteStore};
use cota_store_upstash::{Address, AddressError, UpstashStore};

/// Where conversations are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// In one SQLite file.
    Sqlite(PathBuf),
    /// In Upstash Redis.
    Upstash(Address),
    /// In a DynamoDB table.
    DynamoDb(cota_store_dynamodb::Address),
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
    /// The account is not said.
    #[error(transparent)]
    DynamoDb(#[from] cota_store_dynamodb::AccessError),
    /// The table could not be made.
    #[error(transparent)]
    Table(#[from] cota_store_dynamodb::TableError),
    /// It cannot be reached, or is not there.
    #[error(transparent)]
    Unready(#[from] StoreError),
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
            Some(("dynamodb", table)) => {
                table.parse().map(Self::DynamoDb).map_err(|error: cota_store_dynamodb::AddressError| error.to_string())
            }
            Some(_) | None => Err(format!("`{text}` is no store; use sqlite:PATH, upstash:URL, dynamodb:TABLE or memory")),
        }
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Upstash(address) => write!(f, "upstash:{address}"),
            Self::DynamoDb(address) => write!(f, "dynamodb:{address}"),
            Self::Memory => f.write_str("memory"),
        }
    }
}

impl StorePlace {
    /// Opens it for the process that `holder` names.
    ///
    /// # Errors
    /// When the file cannot be used, or there is no token or account, with the way out.
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
            Self::DynamoDb(address) => {
                // The doorbells of this process end with it, so it sweeps.
                let options = cota_store_dynamodb::Options { retention: address.retention(), sweeps: true };
                let store = Arc::new(DynamoStore::new(client_from_environment(Arc::<LazyHttp>::default())?, address.table(), &options));
                Ok(Stores { conversations: Arc::clone(&store) as _, ledger: store })
            }
            Self::Memory => Ok(Stores { conversations: Arc::new(MemoryStore::new()), ledger: Arc::<MemoryLedger>::default() }),
        }
    }
}

impl StorePlace {
    /// Sees that what is not made by opening it is there; with `create`, makes it.
    ///
    /// # Errors
    /// When it is not there or cannot be made, with the way out.
    pub async fn prepare(&self, create: bool, stores: &Stores) -> Result<(), OpenStoreError> {
        match self {
            Self::DynamoDb(address) => {
                if create {
                    create_table(&client_from_environment(Arc::<LazyHttp>::default())?, address.table()).await?;
                }
                Ok(stores.conversations.ready().await?)
            }
            Self::Sqlite(_) | Self::Upstash(_) | Self::Memory => Ok(()),
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
        assert_eq!("dynamodb:cota?days=30".parse::<StorePlace>().map(|place| place.to_string()), Ok("dynamodb:cota?days=30".to_owned()));
        assert_eq!(StorePlace::default().to_string(), "sqlite:.cota/cota.db");
    }

    #[test]
    fn a_store_that_this_build_does_not_have_is_refused_with_the_ones_it_has() {
        for text in ["sqlite:", "sqlite", "redis:x", ""] {
            let refused = text.parse::<StorePlace>().unwrap_err();
            assert!(refused.contains("sqlite:PATH, upstash:URL, dynamodb:TABLE or memory"), "{refused}");
        }
    }
}
