use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use cota_driver::ledger::{Ledger, MemoryLedger};
use cota_driver::memory::MemoryStore;
use cota_driver::store::{Holder, Store};
use cota_store_sqlite::{Durability, OpenError, Options, SqliteStore};

/// Where conversations are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// In one SQLite file.
    Sqlite(PathBuf),
    /// In memory, gone with the process.
    Memory,
}

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
            Some((kind @ ("dynamodb" | "upstash"), _)) => {
                Err(format!("this build has no {kind} store; use sqlite:PATH or memory, or serve the bot where {kind} is"))
            }
            Some(_) | None => Err(format!("`{text}` is no store; use sqlite:PATH or memory")),
        }
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory"),
        }
    }
}

impl StorePlace {
    /// Opens it for the process that `holder` names.
    ///
    /// # Errors
    /// When the file cannot be used, with the way out.
    pub fn open(&self, durability: Durability, holder: &Holder) -> Result<Stores, OpenError> {
        match self {
            Self::Sqlite(path) => {
                let store = Arc::new(SqliteStore::open(path, &Options { durability, holder: holder.clone() })?);
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
        assert_eq!(StorePlace::default().to_string(), "sqlite:.cota/cota.db");
    }

    #[test]
    fn a_store_that_this_build_does_not_have_is_refused_with_the_ones_it_has() {
        for text in ["dynamodb:table", "upstash:https://x", "sqlite:", "sqlite", "redis:x", ""] {
            let refused = text.parse::<StorePlace>().unwrap_err();
            assert!(refused.contains("sqlite:PATH or memory"), "{refused}");
        }
    }
}
