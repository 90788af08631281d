//! Accounts: the states of rates, wherever they are kept.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use cota_core::ids::Timestamp;
use cota_driver::ledger::Record;
use cota_driver::store::StoreError;

use super::gcra::{PaidAt, Rate, Wait};

/// Where the states of rates are kept, each under a name.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Draws on the account of this name: atomically, for all processes of a deployment together.
    ///
    /// # Errors
    /// When there is not enough on it, or that cannot be told.
    async fn draw(&self, name: &str, draw: Draw, now: Timestamp) -> Result<(), Refused>;
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    rate: Rate,
    sum: Sum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sum {
    /// One, if there is one.
    One,
    /// Nothing, if there is one.
    Nothing,
    /// So much, whether there is so much or not.
    Used(u64),
}

/// Why nothing was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is not enough.
    Wait(Wait),
    /// What keeps the account does not answer.
    Store(StoreError),
}

impl Draw {
    /// One, if there is one.
    pub(super) fn one(rate: Rate) -> Self {
        Self { rate, sum: Sum::One }
    }

    /// Nothing: only whether there is one.
    pub(super) fn nothing(rate: Rate) -> Self {
        Self { rate, sum: Sum::Nothing }
    }

    /// What was used, whether there was so much or not.
    pub(super) fn used(rate: Rate, count: u64) -> Self {
        Self { rate, sum: Sum::Used(count) }
    }

    /// Whether the account stays as it is.
    pub(super) fn only_looks(self) -> bool {
        matches!(self.sum, Sum::Nothing)
    }

    /// Whether it may be refused. A draw of the same account that may will be, too, until as long as it was told to wait.
    #[must_use]
    pub fn may_be_refused(self) -> bool {
        !matches!(self.sum, Sum::Used(_))
    }

    /// The record of the account after this, where it changes; `before` is what the record said.
    ///
    /// # Errors
    /// When there is not enough.
    pub fn on(self, before: Option<&[u8]>, now: Timestamp) -> Result<Option<Record>, Wait> {
        let after = self.after(before.map(PaidAt::from_bytes).unwrap_or_default(), now)?;
        Ok((!self.only_looks()).then(|| after.record()))
    }

    pub(super) fn after(self, before: PaidAt, now: Timestamp) -> Result<PaidAt, Wait> {
        match self.sum {
            Sum::One => self.rate.take(before, 1, now),
            Sum::Nothing => self.rate.take(before, 1, now).map(|_| before),
            Sum::Used(count) => Ok(self.rate.charge(before, count, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn an_account_is_what_its_record_says() {
        let rate: Rate = "60:2".parse().unwrap();
        let first = Draw::one(rate).on(None, NOW).unwrap().unwrap();
        assert_eq!(first.expires_at, Some(NOW.plus_ms(1_000)));
        let second = Draw::one(rate).on(Some(&first.value), NOW).unwrap().unwrap();
        for draw in [Draw::one(rate), Draw::nothing(rate)] {
            assert_eq!(draw.on(Some(&second.value), NOW), Err(Wait(1_000)));
        }
        assert_eq!(Draw::nothing(rate).on(Some(&first.value), NOW), Ok(None));
        let used = Draw::used(rate, 10).on(Some(&second.value), NOW).unwrap().unwrap();
        assert_eq!(used.expires_at, Some(NOW.plus_ms(12_000)));
        let told: Draw = serde_json::from_slice(&serde_json::to_vec(&Draw::used(rate, 10)).unwrap()).unwrap();
        assert_eq!(told, Draw::used(rate, 10));
    }
}
