//! Who speaks, and sending what is said: what every channel passes, so that no limit and no scope can be gone round.

use cota_core::ids::{ConversationKey, Owner, SenderId};
use cota_driver::host::Sent;
use cota_driver::store::NewMessage;
use cota_protocol::problem::Problem;

use crate::access::{Caller, Identity, Scope};
use crate::answer::Question;
use crate::gateway::Gateway;
use crate::identity::unauthorized;
use crate::respond;
use crate::websocket::Saying;

impl Gateway {
    /// The identity with which a caller makes a request: as `sender` where the body names one, else as the address says.
    ///
    /// # Errors
    /// When it may not speak so, or has made too many requests.
    pub(crate) async fn speaker(&self, caller: Caller, sender: Option<SenderId>) -> Result<Identity, Problem> {
        let identity = caller.speaking_as(sender)?;
        self.limiter().request_of(&identity.owner).await?;
        Ok(identity)
    }

    /// Whether somebody may join or say something on a connection that is open: it counts as a request.
    ///
    /// # Errors
    /// When there were too many, or it was opened before this server wanted to know its callers.
    pub async fn permit(&self, identity: &Identity) -> Result<(), Problem> {
        if identity.owner == Owner::public() && self.options().access.identities().is_some() {
            return Err(unauthorized("this server wants to know its callers now: connect again with an API key, a JWT or a ticket"));
        }
        self.limiter().request_from(identity.address).await?;
        self.limiter().request_of(&identity.owner).await
    }

    /// Whether an identity may open a connection beside those that it has open. Who keeps connections through processes asks it; a
    /// [session](crate::websocket::Session) counts itself.
    ///
    /// # Errors
    /// When these are too many already.
    pub fn has_place(&self, identity: &Identity, open: usize) -> Result<(), Problem> {
        self.limiter().has_place(&identity.owner, open)
    }

    /// Says something in a conversation: the message, and what became of it.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn offer(&self, key: &ConversationKey, saying: Saying, by: &Identity) -> Result<(NewMessage, Sent), Problem> {
        let Saying { session_id: _, sender_id: _, message_id, content } = saying;
        let message_id = self.message_id(message_id)?;
        let message = NewMessage { sender: by.sender.clone(), message_id, at: self.now(), content };
        let sent = self.send(key, message.clone(), by).await?;
        Ok((message, sent))
    }

    /// Sends a message into a conversation.
    ///
    /// # Errors
    /// When this identity may not, or the message was not accepted.
    pub async fn send(&self, key: &ConversationKey, message: NewMessage, by: &Identity) -> Result<Sent, Problem> {
        let question = Question::new(key.clone(), message.sender.clone(), message.message_id.clone());
        self.may_ask(&question, by).await?;
        self.conversations().send(key, message).await.map_err(|error| respond::not_accepted(&error))
    }

    /// Whether a turn may begin for this question. A bot that plays its user as well goes on by itself, so only an operator sets
    /// it going.
    ///
    /// # Errors
    /// When it may not, or there are no tokens left for it.
    pub(crate) async fn may_ask(&self, question: &Question, by: &Identity) -> Result<(), Problem> {
        let bot = self.conversations().bot(Some(&question.key.bot));
        if bot.is_some_and(|bot| bot.settings().use_proxy_user) {
            by.scopes.require(Scope::Operator)?;
        }
        self.limiter().may_spend(&question.key.owner, by.address).await?;
        self.limiter().note(&question.run, by.address).await;
        Ok(())
    }
}
