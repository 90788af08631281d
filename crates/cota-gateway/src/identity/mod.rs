//! How callers prove who they are: API keys, JSON Web Tokens, and the tickets and invitations that stand for them.
//!
//! What a proof allows is [`Access`](crate::Access)'s; here it is only checked. Neither proofs nor what they claim are ever
//! logged or told in an error.

mod given;
mod jwt;
pub mod keys;
mod passes;

use std::sync::Arc;

use cota_driver::ledger::Ledger;
use cota_driver::ports::Clock;
use cota_driver::store::StoreError;
use cota_protocol::problem::{Code, Problem};

pub use given::{GivenKeys, NoKeys};
#[cfg(feature = "signatures")]
pub use jwt::ComputedSignatures;
pub use jwt::{FetchKeys, InvalidKeys, PublicKey, Signatures, Tokens, VerifyingKey};
pub(crate) use passes::{INVITATION_SECONDS, TICKET_SECONDS};

use crate::access::Known;
use keys::{Keys, KnownKeys};

/// Randomness that nobody can guess: the operating system's, or the platform's.
pub trait Chance: Send + Sync {
    /// Fills the bytes.
    ///
    /// # Errors
    /// When there is none to be had; nothing secret may be made then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance>;
}

/// There is no randomness to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no randomness to give")]
pub struct NoChance;

/// What a deployment knows its callers by.
pub struct Identities {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    keys: Keys,
    tokens: Option<Arc<Tokens>>,
}

impl Identities {
    /// Callers that come with an API key of this ledger. Tickets and invitations are made of `chance`.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        Self { ledger, clock, chance, keys: Keys::Kept(KnownKeys::default()), tokens: None }
    }

    /// With these API keys, instead of the ledger's.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<GivenKeys>) -> Self {
        self.keys = Keys::Given(keys);
        self
    }

    /// And callers that come with such a JWT.
    #[must_use]
    pub fn with_tokens(mut self, tokens: impl Into<Arc<Tokens>>) -> Self {
        self.tokens = Some(tokens.into());
        self
    }

    /// Whether there are API keys.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub(crate) async fn has_keys(&self) -> Result<bool, StoreError> {
        self.keys.are_there(self.ledger.as_ref(), self.clock.now()).await
    }

    /// Who comes with this bearer token.
    pub(crate) async fn identify(&self, token: &str) -> Result<Known, Problem> {
        if keys::is_key(token) {
            return self.keys.check(self.ledger.as_ref(), token, self.clock.now()).await;
        }
        match &self.tokens {
            Some(tokens) => tokens.check(token, self.clock.as_ref()).await,
            None => Err(unauthorized("the token is no API key of this server; `cota key create` makes one")),
        }
    }
}

/// A proof that proves nothing. `detail` says no more than its sender may know.
pub(crate) fn unauthorized(detail: impl Into<String>) -> Problem {
    Problem::new(Code::Unauthorized, detail)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
