use serde::{Deserialize, Serialize};

use cota_core::ids::{ConversationKey, Timestamp};

use crate::connections::ConnectionId;

/// One ring of the doorbell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ring {
    /// For whom.
    #[serde(flatten)]
    pub(crate) whom: Whom,
    /// Not before.
    pub(crate) at: Timestamp,
}

/// For whom a doorbell rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whom {
    /// A conversation that may have something to do.
    Conversation(ConversationKey),
    /// A connection that is to be told that it is open.
    Connection(ConnectionId),
}

/// A message of the queue that is no ring.
#[derive(Debug, thiserror::Error)]
#[error("this is no doorbell: {0}")]
pub(crate) struct BadRing(#[from] serde_json::Error);

impl Ring {
    /// Reads a message's body.
    ///
    /// # Errors
    /// When somebody else has written it.
    pub(crate) fn decode(body: &str) -> Result<Self, BadRing> {
        Ok(serde_json::from_str(body)?)
    }

    /// A message's body.
    #[must_use]
    pub(crate) fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use cota_core::ids::{BotName, ConversationId, Owner};

    use super::*;

    #[test]
    fn a_ring_is_a_key_and_a_time() {
        let (bot, id) = (BotName::new("weather").unwrap(), ConversationId::new("c1").unwrap());
        let key = ConversationKey { bot, owner: Owner::public(), id };
        for whom in [Whom::Conversation(key), Whom::Connection(ConnectionId::new("JKJaXmPLvHcESHA="))] {
            let ring = Ring { whom, at: Timestamp(1_700_000_000_000) };
            assert_eq!(Ring::decode(&ring.encode()).unwrap(), ring);
        }
        let ring = Ring { whom: Whom::Connection(ConnectionId::new("a=")), at: Timestamp(7) };
        assert_eq!(ring.encode(), r#"{"connection":"a=","at":7}"#);
    }

    #[test]
    fn what_somebody_else_wrote_is_refused() {
        for body in ["", "{}", "hello", r#"{"conversation":{"bot":"","owner":"o","id":"i"},"at":1}"#, r#"{"connection":"a="}"#] {
            assert!(Ring::decode(body).is_err(), "{body}");
        }
    }
}
