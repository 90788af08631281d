//! Which address' account pays for which turn, too.
//!
//! It is in the ledger, and so known to whoever runs the turn; and apart from the conversation, whose record says nothing of
//! addresses. A run and an account are both hashes by name, and the ledger has them for as long as turns take.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cota_core::ids::Timestamp;
use cota_driver::ledger::{Ledger, Record};

use super::FOLDER;

/// Runs of which a process remembers who pays.
const MOST_KNOWN: usize = 10_000;
/// How long the ledger knows it, in milliseconds: longer than a full queue of turns takes.
const KEPT_MS: u64 = 60 * 60 * 1000;

/// Who pays.
pub(super) struct Payers {
    ledger: Arc<dyn Ledger>,
    known: Mutex<Known>,
}

/// What this process knows; that the ledger knows nothing of a run is knowledge, too.
#[derive(Default)]
struct Known {
    accounts: HashMap<String, Option<String>>,
    order: VecDeque<String>,
}

impl Payers {
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger, known: Mutex::default() }
    }

    /// Notes which account pays for a run. The first one stays: who asks for the same again pays nothing. That it could not be
    /// noted keeps nobody from an answer.
    pub(super) async fn note(&self, run: &str, account: String, now: Timestamp) {
        let record = Record { value: account.clone().into_bytes(), expires_at: Some(now.plus_ms(KEPT_MS)) };
        match self.ledger.replace(&place(run), None, record, now).await {
            Ok(true) => self.lock().learn(run, Some(account)),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "who pays for a turn could not be noted"),
        }
    }

    /// The account that pays for a run, where one does.
    pub(super) async fn of(&self, run: &str, now: Timestamp) -> Option<String> {
        if let Some(known) = self.lock().accounts.get(run) {
            return known.clone();
        }
        match self.ledger.get(&place(run), now).await {
            Ok(record) => {
                let account = record.and_then(|record| String::from_utf8(record.value).ok());
                self.lock().learn(run, account.clone());
                account
            }
            Err(error) => {
                tracing::warn!(%error, "who pays for a turn could not be read");
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn learn(&mut self, run: &str, account: Option<String>) {
        if self.order.len() >= MOST_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.accounts.remove(&oldest);
        }
        if self.accounts.insert(run.to_owned(), account).is_none() {
            self.order.push_back(run.to_owned());
        }
    }
}

/// Where the ledger has it. Names begin with the run, so that a ledger in parts spreads them.
fn place(run: &str) -> String {
    format!("{FOLDER}{run}/payer")
}
