use cota_core::ids::{ConversationId, MessageId, SenderId, Seq, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::problem::Code;
use crate::time;

/// Stands in for a frame that has no JSON form, so that a client never waits in silence.
const NO_FRAME: &str = r#"{"type":"error","code":"internal","message":"the answer could not be written"}"#;

/// What a client is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The socket is open.
    Login {
        /// Whose it is.
        sender_id: SenderId,
        /// When.
        #[serde(serialize_with = "time::serialize")]
        timestamp: Timestamp,
    },
    /// The client is in the room.
    JoinConfirm {
        /// The conversation.
        session_id: ConversationId,
        /// Its room.
        room_id: String,
        /// When.
        #[serde(serialize_with = "time::serialize")]
        timestamp: Timestamp,
        /// Who is there.
        room_info: RoomInfo,
    },
    /// Somebody else came.
    UserJoined {
        /// Who.
        user_id: SenderId,
        /// Who is there now.
        room_info: RoomInfo,
    },
    /// Somebody else left.
    UserLeft {
        /// Who.
        user_id: SenderId,
        /// Who is there now.
        room_info: RoomInfo,
    },
    /// The client is out of the room.
    LeaveConfirm {
        /// The conversation.
        session_id: ConversationId,
        /// Its room.
        room_id: String,
        /// When.
        #[serde(serialize_with = "time::serialize")]
        timestamp: Timestamp,
    },
    /// A message of text, to the whole room.
    Text(Message),
    /// A message that is an image, to the whole room.
    Image(Message),
    /// A piece of a reply that is not committed yet.
    Delta {
        /// The reply.
        message_id: MessageId,
        /// Unicode code points of the reply before this piece. One not past what the client has replaces from there.
        offset: u32,
        /// The piece.
        text: String,
    },
    /// Drop what was shown of a reply.
    Reset {
        /// The reply.
        message_id: MessageId,
    },
    /// Somebody is there.
    Pong,
    /// A frame or a message was refused, or came to nothing.
    Error {
        /// What kind of error.
        code: Code,
        /// What is wrong and how to mend it.
        message: String,
        /// Which message.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<MessageId>,
        /// In how many seconds it may be tried again.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
}

impl ServerFrame {
    /// The frame as text.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| NO_FRAME.to_owned())
    }

    /// The place in the record of what is said, where it has one.
    #[must_use]
    pub fn place(&self) -> Option<(&ConversationId, Seq)> {
        match self {
            Self::Text(message) | Self::Image(message) => Some((&message.session_id, message.seq?)),
            Self::Login { .. }
            | Self::JoinConfirm { .. }
            | Self::UserJoined { .. }
            | Self::UserLeft { .. }
            | Self::LeaveConfirm { .. }
            | Self::Delta { .. }
            | Self::Reset { .. }
            | Self::Pong
            | Self::Error { .. } => None,
        }
    }

    /// The frame as a client reads it.
    #[must_use]
    pub fn fields(&self) -> Map<String, Json> {
        match serde_json::to_value(self) {
            Ok(Json::Object(fields)) => fields,
            Ok(_) | Err(_) => Map::new(),
        }
    }
}

/// Who is in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomInfo {
    room_id: String,
    user_count: usize,
    users: Vec<SenderId>,
}

impl RoomInfo {
    /// A room with these people in it.
    #[must_use]
    pub fn new(room_id: impl Into<String>, users: Vec<SenderId>) -> Self {
        Self { room_id: room_id.into(), user_count: users.len(), users }
    }
}

/// Who says or gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// A person.
    User,
    /// The bot.
    Bot,
}

/// A message as the room sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// What it says; empty for an image.
    pub text: String,
    /// Whether a person or the bot says it.
    pub sender: Actor,
    /// Who says it.
    pub sender_id: String,
    /// Whether it is for a person or the bot.
    pub receiver: Actor,
    /// For whom it is.
    pub receiver_id: String,
    /// The conversation.
    pub session_id: ConversationId,
    /// Its id.
    pub message_id: MessageId,
    /// The user's message that a bot's message answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Its place in the record; absent while it is only accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// Whatever came with it.
    pub metadata: Map<String, Json>,
    /// What it carries beside text: an image's `{src}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
}

impl Message {
    /// The frame for this message: `image` where it carries one, else `text`.
    #[must_use]
    pub fn frame(self) -> ServerFrame {
        if self.is_image() { ServerFrame::Image(self) } else { ServerFrame::Text(self) }
    }

    /// Whether it carries an image.
    #[must_use]
    pub fn is_image(&self) -> bool {
        self.payload.as_ref().is_some_and(|payload| payload.get("src").is_some())
    }

    /// The payload of an image.
    #[must_use]
    pub fn image_payload(src: &str) -> Json {
        json!({ "src": src })
    }
}
