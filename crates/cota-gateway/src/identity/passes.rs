//! Tickets and invitations: random tokens that are good once, and soon not any more.
//!
//! A ticket stands for an identity where no header can be sent: a browser's WebSocket and EventSource. An invitation lets
//! another identity into one conversation. The ledger has their SHA-256 alone.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use cota_core::ids::{ConversationKey, Owner, SenderId, Timestamp};
use cota_driver::ledger::Record;
use cota_protocol::problem::{Code, Problem};

use super::{Identities, hex, unauthorized};
use crate::access::{Identity, Known, Scopes, Speaker};
use crate::respond;

/// How long a ticket is good, in seconds.
pub(crate) const TICKET_SECONDS: u64 = 60;
/// How long an invitation is good, in seconds.
pub(crate) const INVITATION_SECONDS: u64 = 3_600;

/// The identity that a ticket stands for.
#[derive(Serialize, Deserialize)]
struct Ticket {
    owner: Owner,
    sender: SenderId,
    scopes: Scopes,
}

/// What kind of token it is: the beginning of its record's name.
const TICKET: &str = "ticket/";
const INVITATION: &str = "invitation/";

impl Identities {
    /// A ticket for this identity.
    pub(crate) async fn ticket(&self, identity: Identity) -> Result<String, Problem> {
        let Identity { owner, sender, scopes, address: _ } = identity;
        self.issue(TICKET, &Ticket { owner, sender, scopes }, TICKET_SECONDS).await
    }

    /// Whose ticket it is. It is good no more after that.
    pub(crate) async fn redeem(&self, ticket: &str) -> Result<Known, Problem> {
        let taken = self.ledger.take(&place(TICKET, ticket), self.now()).await.map_err(|error| respond::unreadable(&error))?;
        let record = taken.ok_or_else(|| unauthorized("the ticket is not valid, or was used; get a new one from POST /v1/tickets"))?;
        let Ticket { owner, sender, scopes } = read(&record)?;
        Ok(Known { speaker: Speaker::Person { owner, sender }, scopes })
    }

    /// An invitation into this conversation.
    pub(crate) async fn invite(&self, key: &ConversationKey) -> Result<String, Problem> {
        self.issue(INVITATION, key, INVITATION_SECONDS).await
    }

    /// Whose conversation the token invites to, if it is the one that is meant by `wanted` but for its owner. It is good no more
    /// after that; one for another conversation stays as it is.
    ///
    /// # Errors
    /// When the invitation is not good, or the ledger cannot be read.
    pub async fn accept(&self, token: &str, wanted: &ConversationKey) -> Result<Owner, Problem> {
        let refused =
            || Problem::new(Code::Forbidden, "the invitation is not for this session, was used, or has expired; ask for a new one");
        let place = place(INVITATION, token);
        let unreadable = |error| respond::unreadable(&error);
        let record = self.ledger.get(&place, self.now()).await.map_err(unreadable)?.ok_or_else(refused)?;
        let invited: ConversationKey = read(&record)?;
        if (&invited.bot, &invited.id) != (&wanted.bot, &wanted.id) {
            return Err(refused());
        }
        // Of several who come with it at once, one gets it.
        self.ledger.take(&place, self.now()).await.map_err(unreadable)?.ok_or_else(refused)?;
        Ok(invited.owner)
    }

    async fn issue(&self, kind: &str, content: &impl Serialize, seconds: u64) -> Result<String, Problem> {
        let internal = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a token could not be made");
            Problem::new(Code::Internal, "the token could not be made; the operator's log says why")
        };
        let mut secret = [0; 32];
        self.chance.fill(&mut secret).map_err(|error| internal(&error))?;
        let token = hex(&secret);
        let value = serde_json::to_vec(content).map_err(|error| internal(&error))?;
        let record = Record { value, expires_at: Some(self.now().plus_ms(seconds.saturating_mul(1000))) };
        let kept = self.ledger.replace(&place(kind, &token), None, record, self.now()).await;
        if kept.map_err(|error| respond::unreadable(&error))? { Ok(token) } else { Err(internal(&"it exists already")) }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn place(kind: &str, token: &str) -> String {
    format!("{kind}{}", hex(&Sha256::digest(token)))
}

fn read<T: DeserializeOwned>(record: &Record) -> Result<T, Problem> {
    serde_json::from_slice(&record.value).map_err(|error| {
        tracing::error!(%error, "a token's record cannot be read");
        Problem::new(Code::Internal, "the token's record cannot be read")
    })
}
