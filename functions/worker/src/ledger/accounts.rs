//! Accounts in the ledger's objects: an object draws on one by itself, so a count is one request.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use worker::send::SendFuture;

use cota_core::ids::Timestamp;
use cota_gateway::limits::{Accounts, Draw, Refused, Wait};

use super::{Ask, RemoteLedger, object_of};

/// Accounts of which one isolate remembers that nothing is on them.
const MOST_EMPTY: usize = 10_000;

/// Until when nothing is on an account, as far as this isolate was told: who asks too often keeps no object busy.
static EMPTY: LazyLock<Mutex<HashMap<String, Timestamp>>> = LazyLock::new(Mutex::default);

#[async_trait]
impl Accounts for RemoteLedger {
    async fn draw(&self, name: &str, draw: Draw, now: Timestamp) -> Result<(), Refused> {
        if draw.may_be_refused()
            && let Some(until) = empty().get(name).filter(|until| now < **until)
        {
            return Err(Refused::Wait(Wait(until.since(now))));
        }
        let ask = Ask::Draw { name: name.to_owned(), draw };
        let drawn: Result<(), Wait> = SendFuture::new(self.ask(object_of(name), now, ask)).await.map_err(Refused::Store)?;
        drawn.map_err(|wait| {
            let mut empty = empty();
            if empty.len() >= MOST_EMPTY {
                empty.clear();
            }
            empty.insert(name.to_owned(), now.plus_ms(wait.0));
            Refused::Wait(wait)
        })
    }
}

fn empty() -> MutexGuard<'static, HashMap<String, Timestamp>> {
    EMPTY.lock().unwrap_or_else(PoisonError::into_inner)
}
