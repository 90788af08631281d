use serde::{Deserialize, Serialize};

use cota_core::ids::{BotName, ConversationId, ConversationKey, Owner, SenderId, Seq, Timestamp};
use cota_gateway::{ClientAddress, Identity, Scopes};

/// What API Gateway calls a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ConnectionId(String);

impl ConnectionId {
    /// The connection of this name.
    #[must_use]
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Its name.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A connection, and where it sits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Connection {
    /// The bot it talks to.
    pub(crate) bot: BotName,
    /// Whose conversations it reaches.
    pub(crate) owner: Owner,
    /// Who speaks.
    pub(crate) sender: SenderId,
    /// What it may do.
    #[serde(default = "talking")]
    pub(crate) scopes: Scopes,
    /// Since when.
    pub(crate) since: Timestamp,
    /// The rooms it sits in.
    #[serde(default)]
    pub(crate) rooms: Vec<Sitting>,
}

/// A room that a connection sits in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sitting {
    /// The conversation's id.
    pub(crate) session: ConversationId,
    /// Whose conversation it is, where an invitation let the connection in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Owner>,
}

/// A connection's seat in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    /// Who sits there.
    pub(crate) sender: SenderId,
    /// Whether pieces of a reply are wanted before it is committed.
    pub(crate) streams: bool,
    /// Events up to this one were sent when it was taken, or are not wanted.
    pub(crate) after: Seq,
    /// Since when the connection is open.
    pub(crate) connected: Timestamp,
    /// Since when the seat is taken.
    pub(crate) since: Timestamp,
}

/// What a connection may do whose record does not say.
fn talking() -> Scopes {
    Scopes::CHAT
}

impl Connection {
    /// Who sends a frame on it, from this address.
    #[must_use]
    pub(crate) fn identity(&self, address: Option<ClientAddress>) -> Identity {
        Identity { owner: self.owner.clone(), sender: self.sender.clone(), scopes: self.scopes, address }
    }

    /// The conversation that a session's name stands for on this connection.
    #[must_use]
    pub(crate) fn key(&self, session: &ConversationId) -> ConversationKey {
        let invited = self.rooms.iter().find(|sitting| sitting.session == *session).and_then(|sitting| sitting.owner.clone());
        let owner = invited.unwrap_or_else(|| self.owner.clone());
        ConversationKey { bot: self.bot.clone(), owner, id: session.clone() }
    }

    /// Whether it sits in this session's room.
    #[must_use]
    pub(crate) fn sits_in(&self, session: &ConversationId) -> bool {
        self.rooms.iter().any(|sitting| sitting.session == *session)
    }
}
