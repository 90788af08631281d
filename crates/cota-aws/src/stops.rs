//! Turns of a task's agents that are to stop, wherever they run.
//!
//! The function that hears of it is seldom the one that drives the turn, so it is written down, and whoever drives looks.

use std::convert::Infallible;
use std::sync::Arc;

use cota_core::ids::{ConversationKey, MessageId};
use cota_driver::Signals;
use cota_driver::ledger::{Ledger, Record};
use cota_driver::ports::Clock;
use cota_driver::store::StoreError;

/// How often whoever drives a turn looks, in milliseconds.
const LOOK_MS: u64 = 1_000;
/// How long it is kept, in milliseconds: a day, as a turn that is parked may go on later.
const KEEP_MS: u64 = 24 * 3600 * 1000;

/// What is written down of turns that are to stop.
pub(crate) struct Stops {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Stops {
    /// Asks whoever drives the turn that answers a message to stop it. An agent does one thing at a time, so the latest counts.
    pub(crate) async fn ask(&self, key: &ConversationKey, message: &MessageId) -> Result<(), StoreError> {
        let (name, now) = (name_of(key), self.clock.now());
        let record = Record { value: message.as_str().as_bytes().to_vec(), expires_at: Some(now.plus_ms(KEEP_MS)) };
        loop {
            let before = self.ledger.get(&name, now).await?.map(|record| record.value);
            if self.ledger.replace(&name, before.as_deref(), record.clone(), now).await? {
                return Ok(());
            }
        }
    }

    /// Passes on what is asked, each time once, as long as the conversation is driven.
    pub(crate) async fn pass_on(&self, key: &ConversationKey, signals: &Signals) -> Infallible {
        let name = name_of(key);
        let mut heard = None;
        loop {
            let now = self.clock.now();
            match self.ledger.get(&name, now).await {
                Ok(asked) => {
                    let asked = asked.and_then(|record| MessageId::new(String::from_utf8(record.value).ok()?).ok());
                    if let Some(message) = asked.filter(|message| heard.as_ref() != Some(message)) {
                        signals.cancel(&message);
                        heard = Some(message);
                    }
                }
                Err(error) => tracing::warn!(%error, "whether a turn is to stop could not be read"),
            }
            self.clock.sleep_until(now.plus_ms(LOOK_MS)).await;
        }
    }
}

fn name_of(key: &ConversationKey) -> String {
    format!("stop/{}", key.hashed())
}
