//! What a client says: a `text` or an `image` frame, whichever way it comes.

use cota_core::event::MessageContent;
use cota_core::ids::{ConversationId, MessageId, SenderId};
use cota_protocol::websocket::{ImageFrame, Message, TextFrame};

/// Something that a client says.
#[derive(Clone, Debug)]
pub struct Saying {
    /// Where.
    pub session_id: ConversationId,
    /// As whom, where it is said.
    pub sender_id: Option<SenderId>,
    /// Under which id, where it is said.
    pub message_id: Option<MessageId>,
    /// What.
    pub content: MessageContent,
}

impl From<TextFrame> for Saying {
    fn from(frame: TextFrame) -> Self {
        let TextFrame { session_id, sender_id, receiver, text, message_id, metadata } = frame;
        let content = MessageContent { text, receiver, metadata, ..MessageContent::default() };
        Self { session_id, sender_id, message_id, content }
    }
}

impl From<ImageFrame> for Saying {
    fn from(frame: ImageFrame) -> Self {
        let ImageFrame { session_id, sender_id, receiver, image, message_id, metadata } = frame;
        let payload = Some(Message::image_payload(&image));
        let content = MessageContent { receiver, metadata, payload, ..MessageContent::default() };
        Self { session_id, sender_id, message_id, content }
    }
}
