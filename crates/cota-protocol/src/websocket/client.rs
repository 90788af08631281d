use cota_core::ids::{ConversationId, MessageId, SenderId, Seq};
use cota_core::limits::IMAGE_BYTES;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::ServerFrame;
use crate::fields::{Fault, Fields};
use crate::problem::{Code, Problem};

/// Most bytes of one frame.
pub const FRAME_BYTES: usize = 64 * 1024;

const TYPES: &str = "`join`, `text`, `image`, `leave` or `ping`";
const IMAGE_SCHEMES: [&str; 3] = ["https://", "http://", "data:image/"];

/// What a client sends.
///
/// A frame's `sender_id` may be absent: the socket has one. Where it is there, it has to be the socket's, which the channel checks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// Enter a conversation's room.
    Join(JoinFrame),
    /// Say something.
    Text(TextFrame),
    /// Show something.
    Image(ImageFrame),
    /// Leave the room.
    Leave(LeaveFrame),
    /// Is anybody there?
    Ping,
}

/// Enter a conversation's room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JoinFrame {
    /// The conversation.
    pub session_id: ConversationId,
    /// Who enters.
    pub sender_id: Option<SenderId>,
    /// Whether pieces of a reply are wanted before it is committed.
    pub stream: bool,
    /// The last event the client has; what came after it is sent. Absent: nothing is replayed.
    pub after: Option<Seq>,
    /// An invitation to somebody else's conversation.
    pub token: Option<String>,
}

/// A message of text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextFrame {
    /// The conversation.
    pub session_id: ConversationId,
    /// Who speaks.
    pub sender_id: Option<SenderId>,
    /// Somebody other than the bot.
    pub receiver: Option<SenderId>,
    /// What is said, at most 16 KiB.
    pub text: String,
    /// The client's id for it, so that sending it twice says it once.
    pub message_id: Option<MessageId>,
    /// Whatever else the client sends along.
    pub metadata: Map<String, Json>,
}

/// A message that is an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageFrame {
    /// The conversation.
    pub session_id: ConversationId,
    /// Who shows it.
    pub sender_id: Option<SenderId>,
    /// Somebody other than the bot.
    pub receiver: Option<SenderId>,
    /// Its `http` or `https` URL, or the image itself as a `data:image/` URL; at most 24 KB.
    pub image: String,
    /// The client's id for it.
    pub message_id: Option<MessageId>,
    /// Whatever else the client sends along.
    pub metadata: Map<String, Json>,
}

/// Leave a conversation's room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaveFrame {
    /// The conversation.
    pub session_id: ConversationId,
    /// Who leaves.
    pub sender_id: Option<SenderId>,
}

/// Why a frame was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct FrameError {
    /// What kind of error.
    pub code: Code,
    /// What is wrong and how to mend it.
    pub message: String,
    /// The field at fault, if it is one field's fault.
    pub field: Option<&'static str>,
    /// The message it would have been, if its id could be read.
    pub message_id: Option<MessageId>,
    /// In how many seconds it may be tried again, where that is known.
    pub retry_after: Option<u64>,
}

impl FrameError {
    /// The frame that tells the client.
    #[must_use]
    pub fn answer(self) -> ServerFrame {
        ServerFrame::Error { code: self.code, message: self.message, message_id: self.message_id, retry_after: self.retry_after }
    }

    /// The refusal that a frame tells of, if it is an `error`.
    #[must_use]
    pub fn told(frame: &Map<String, Json>) -> Option<Self> {
        let text = |name| frame.get(name).and_then(Json::as_str);
        let is_error = text("type") == Some("error");
        is_error.then(|| Self {
            code: text("code").and_then(|code| code.parse().ok()).unwrap_or(Code::Internal),
            message: text("message").unwrap_or_default().to_owned(),
            field: None,
            message_id: text("message_id").and_then(|id| MessageId::new(id).ok()),
            retry_after: frame.get("retry_after").and_then(Json::as_u64),
        })
    }
}

impl From<FrameError> for Problem {
    fn from(error: FrameError) -> Self {
        let problem = Self::new(error.code, error.message);
        let problem = error.field.into_iter().fold(problem, |problem, field| problem.with("field", field));
        let problem = error.retry_after.into_iter().fold(problem, |problem, seconds| problem.with("retry_after", seconds));
        error.message_id.into_iter().fold(problem, |problem, id| problem.with("message_id", id.as_str()))
    }
}

impl ClientFrame {
    /// The frame as text, for who passes it on.
    #[must_use]
    pub fn encode(&self) -> String {
        // It is made of texts and numbers, for which JSON always has a form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Who sends it, where it says so.
    #[must_use]
    pub fn sender_id(&self) -> Option<&SenderId> {
        match self {
            Self::Join(frame) => frame.sender_id.as_ref(),
            Self::Text(frame) => frame.sender_id.as_ref(),
            Self::Image(frame) => frame.sender_id.as_ref(),
            Self::Leave(frame) => frame.sender_id.as_ref(),
            Self::Ping => None,
        }
    }

    /// Where something is said, and under which id, if it says something.
    pub fn said(&mut self) -> Option<(&ConversationId, &mut Option<MessageId>)> {
        match self {
            Self::Text(frame) => Some((&frame.session_id, &mut frame.message_id)),
            Self::Image(frame) => Some((&frame.session_id, &mut frame.message_id)),
            Self::Join(_) | Self::Leave(_) | Self::Ping => None,
        }
    }

    /// Reads one text frame.
    ///
    /// Unknown fields are skipped, and null is the same as absent.
    ///
    /// # Errors
    /// When the frame is larger than [`FRAME_BYTES`], is no JSON object, or breaks the rules of its `type`.
    pub fn decode(frame: &str) -> Result<Self, FrameError> {
        if frame.len() > FRAME_BYTES {
            let message = format!("the frame has {} bytes, at most {FRAME_BYTES} are allowed", frame.len());
            return Err(FrameError { code: Code::PayloadTooLarge, message, field: None, message_id: None, retry_after: None });
        }
        let fields = Fields::parse(frame.as_bytes()).map_err(|fault| refuse(&fault, None))?;
        Self::of(&fields)
    }

    /// The frame of these fields.
    pub(crate) fn of(fields: &Fields) -> Result<Self, FrameError> {
        let message_id = fields.optional_name("message_id");
        let known_id = message_id.as_ref().ok().cloned().flatten();
        Self::read(fields, message_id).map_err(|refusal| match refusal {
            Refusal::Fault(fault) => refuse(&fault, known_id),
            Refusal::UnknownType => FrameError {
                code: Code::UnknownType,
                message: format!("`type` is none that this channel knows; send {TYPES}"),
                field: Some("type"),
                message_id: known_id,
                retry_after: None,
            },
        })
    }

    fn read(fields: &Fields, message_id: Result<Option<MessageId>, Fault>) -> Result<Self, Refusal> {
        match fields.text("type")? {
            "join" => Ok(Self::Join(JoinFrame {
                session_id: fields.name("session_id")?,
                sender_id: fields.optional_name("sender_id")?,
                stream: fields.flag("stream")?,
                after: fields.optional_number("after")?.map(Seq),
                token: fields.optional_text("token")?.map(str::to_owned),
            })),
            "text" => Ok(Self::Text(TextFrame {
                session_id: fields.name("session_id")?,
                sender_id: fields.optional_name("sender_id")?,
                receiver: fields.receiver()?,
                text: fields.message_text()?,
                message_id: message_id?,
                metadata: fields.object("metadata")?,
            })),
            "image" => Ok(Self::Image(ImageFrame {
                session_id: fields.name("session_id")?,
                sender_id: fields.optional_name("sender_id")?,
                receiver: fields.receiver()?,
                image: image(fields)?,
                message_id: message_id?,
                metadata: fields.object("metadata")?,
            })),
            "leave" => {
                Ok(Self::Leave(LeaveFrame { session_id: fields.name("session_id")?, sender_id: fields.optional_name("sender_id")? }))
            }
            "ping" => Ok(Self::Ping),
            _ => Err(Refusal::UnknownType),
        }
    }
}

enum Refusal {
    Fault(Fault),
    UnknownType,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn refuse(fault: &Fault, message_id: Option<MessageId>) -> FrameError {
    FrameError {
        code: fault.code(Code::BadFrame),
        message: fault.describe("the frame"),
        field: fault.name(),
        message_id,
        retry_after: None,
    }
}

/// An image that any page can show as it is: other kinds of URL could run as code where a page opens them.
fn image(fields: &Fields) -> Result<String, Fault> {
    let image = fields.text("image")?;
    if image.len() > IMAGE_BYTES {
        return Err(Fault::TooLong { code: Code::ImageTooLarge, name: "image", bytes: image.len(), max: IMAGE_BYTES });
    }
    let is_url = |scheme: &&str| image.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !IMAGE_SCHEMES.iter().any(is_url) {
        return Err(Fault::field("image", "has to be an http, https or data:image/ URL"));
    }
    Ok(image.to_owned())
}
