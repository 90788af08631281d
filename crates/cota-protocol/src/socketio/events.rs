//! The two vocabularies of the channel: COTA's events, which are its frames, and Rasa's.

use cota_core::ids::{ConversationId, MessageId, SenderId};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::packet::Arguments;
use crate::fields::{Fault, Fields};
use crate::problem::Code;
use crate::websocket::{ClientFrame, FrameError};

/// How both vocabularies call what is said in a conversation.
const SAID: &str = "bot_uttered";
const EVENTS: &str = "`login`, `join`, `session_leave`, `message`, `session_request` or `user_uttered`";

/// What a client emits.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// COTA's `login`: says who speaks.
    Login {
        /// Who; absent where it is known otherwise.
        user_id: Option<SenderId>,
    },
    /// COTA's `join` and `message`: enter a conversation's room; say or show something.
    Frame(ClientFrame),
    /// COTA's `session_leave`: leave the room.
    Leave {
        /// The conversation; absent for the one entered last.
        session_id: Option<ConversationId>,
    },
    /// Rasa's `session_request`: enter a conversation, a new one where none is named.
    SessionRequest {
        /// The conversation.
        session_id: Option<ConversationId>,
    },
    /// Rasa's `user_uttered`: say something.
    UserUttered(Saying),
}

/// Something that is said in Rasa's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Saying {
    /// The conversation; absent for the one that was requested last.
    pub session_id: Option<ConversationId>,
    /// What is said, at most 16 KiB.
    pub text: String,
    /// The client's id for it.
    pub message_id: Option<MessageId>,
    /// Whatever else the client sends along.
    pub metadata: Map<String, Json>,
}

impl ClientEvent {
    /// Reads an event: its content is an object, its first argument.
    ///
    /// # Errors
    /// When the event is none of these, is binary, or breaks the rules of its kind.
    pub fn decode(name: &str, arguments: Arguments) -> Result<Self, FrameError> {
        if arguments.is_binary() {
            return Err(refuse(&Fault::field("attachments", "are not taken here: events carry JSON, no binary values")));
        }
        let mut content = match arguments.values.into_iter().next() {
            None | Some(Json::Null) => Map::new(),
            Some(Json::Object(content)) => content,
            Some(_) => return Err(refuse(&Fault::NotObject)),
        };
        match name {
            "join" => frame("join", content).map(Self::Frame),
            "message" => {
                let kind = if content.get("type").is_some_and(|kind| kind == "image") { "image" } else { "text" };
                frame(kind, content).map(Self::Frame)
            }
            "login" => Fields::of(content).optional_name("user_id").map(|user_id| Self::Login { user_id }).map_err(|fault| refuse(&fault)),
            "session_leave" => session_id(content).map(|session_id| Self::Leave { session_id }),
            "session_request" => session_id(content).map(|session_id| Self::SessionRequest { session_id }),
            "user_uttered" => {
                if let Some(custom) = content.remove("customData") {
                    content.entry("metadata").or_insert(custom);
                }
                let fields = Fields::of(content);
                let message_id = fields.optional_name("message_id");
                let known_id = message_id.as_ref().ok().cloned().flatten();
                let saying = message_id.and_then(|message_id| Saying::read(&fields, message_id));
                saying.map(Self::UserUttered).map_err(|fault| FrameError { message_id: known_id, ..refuse(&fault) })
            }
            _ => Err(FrameError {
                code: Code::UnknownType,
                message: format!("this channel does not know the event; emit {EVENTS}"),
                field: None,
                message_id: None,
                retry_after: None,
            }),
        }
    }

    /// Under which name a failure is told where the client asked for no answer.
    #[must_use]
    pub fn error_event(name: &str) -> &'static str {
        match name {
            "login" => "login_error",
            "join" => "join_error",
            _ => "error",
        }
    }
}

impl Saying {
    fn read(fields: &Fields, message_id: Option<MessageId>) -> Result<Self, Fault> {
        Ok(Self {
            session_id: fields.optional_name("session_id")?,
            text: fields.message_text_in("message")?,
            message_id,
            metadata: fields.object("metadata")?,
        })
    }
}

/// The answer to an event whose sender asks for one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Answer {
    /// It was done; a message was accepted.
    Ok {
        /// The message's id.
        #[serde(skip_serializing_if = "Option::is_none")]
        message_id: Option<MessageId>,
        /// The conversation.
        #[serde(skip_serializing_if = "Option::is_none")]
        session_id: Option<ConversationId>,
    },
    /// It was not.
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

impl Answer {
    /// The answer to an event that was refused.
    #[must_use]
    pub fn refusal(error: FrameError) -> Self {
        Self::Error { code: error.code, message: error.message, message_id: error.message_id, retry_after: error.retry_after }
    }

    /// The arguments of the acknowledgement.
    #[must_use]
    pub fn arguments(&self) -> Arguments {
        vec![json!(self)].into()
    }
}

/// A frame as an event: its name and its content.
///
/// What is said is `bot_uttered`, with the frame's `sender` telling persons and the bot apart; everything else is called as the
/// frame's type. An image has Rasa's `attachment` beside COTA's `payload`.
#[must_use]
pub fn server_event(mut frame: Map<String, Json>) -> (String, Json) {
    match frame.get("type").and_then(Json::as_str) {
        Some("text") => return (SAID.to_owned(), Json::Object(frame)),
        Some("image") => {
            let payload = frame.get("payload").cloned();
            frame.insert("attachment".to_owned(), json!({"type": "image", "payload": payload}));
            return (SAID.to_owned(), Json::Object(frame));
        }
        Some("login") => {
            let user = frame.get("sender_id").cloned().unwrap_or_default();
            frame.insert("user_id".to_owned(), user);
        }
        Some(_) | None => {}
    }
    let name = match frame.shift_remove("type") {
        Some(Json::String(kind)) => kind,
        Some(_) | None => "error".to_owned(),
    };
    (name, Json::Object(frame))
}

/// A frame as an event for a client that speaks Rasa's words. Such clients show a message as text only if it is nothing else, so all
/// else stands in its `metadata`, as `cota`.
#[must_use]
pub fn plain_server_event(frame: Map<String, Json>) -> (String, Json) {
    let (name, content) = server_event(frame);
    let Json::Object(mut content) = content else { return (name, content) };
    if name != SAID {
        return (name, Json::Object(content));
    }
    let mut plain = Map::new();
    let (text, attachment) = (content.remove("text"), content.remove("attachment"));
    match (text, attachment) {
        (_, Some(attachment)) => plain.insert("attachment".to_owned(), attachment),
        (Some(text), None) => plain.insert("text".to_owned(), text),
        (None, None) => None,
    };
    let mut metadata = match content.remove("metadata") {
        Some(Json::Object(metadata)) => metadata,
        Some(_) | None => Map::new(),
    };
    content.remove("payload");
    metadata.insert("cota".to_owned(), Json::Object(content));
    plain.insert("metadata".to_owned(), Json::Object(metadata));
    (name, Json::Object(plain))
}

fn frame(kind: &str, mut content: Map<String, Json>) -> Result<ClientFrame, FrameError> {
    content.insert("type".to_owned(), kind.into());
    ClientFrame::of(&Fields::of(content)).map_err(|error| FrameError { message: error.message.replacen("the frame", WHAT, 1), ..error })
}

fn session_id(content: Map<String, Json>) -> Result<Option<ConversationId>, FrameError> {
    Fields::of(content).optional_name("session_id").map_err(|fault| refuse(&fault))
}

/// What a client's object is called in a refusal.
const WHAT: &str = "the event's content";

fn refuse(fault: &Fault) -> FrameError {
    FrameError { code: fault.code(Code::BadFrame), message: fault.describe(WHAT), field: fault.name(), message_id: None, retry_after: None }
}

#[cfg(test)]
mod tests {
    use cota_core::ids::{Seq, Timestamp};

    use super::*;
    use crate::websocket::{Actor, ImageFrame, JoinFrame, Message, ServerFrame, TextFrame};

    fn session() -> ConversationId {
        ConversationId::new("s1").unwrap()
    }

    fn decode(name: &str, content: Json) -> Result<ClientEvent, FrameError> {
        ClientEvent::decode(name, vec![content].into())
    }

    #[test]
    fn events_of_both_vocabularies() {
        let ana = SenderId::new("ana").unwrap();
        let m1 = MessageId::new("m1").unwrap();
        let text = TextFrame {
            session_id: session(),
            sender_id: Some(ana.clone()),
            receiver: None,
            text: "hi".into(),
            message_id: None,
            metadata: Map::new(),
        };
        let image = ImageFrame {
            session_id: session(),
            sender_id: None,
            receiver: None,
            image: "https://example.org/a.png".into(),
            message_id: None,
            metadata: Map::new(),
        };
        let join = JoinFrame { session_id: session(), sender_id: Some(ana.clone()), stream: true, after: Some(Seq(3)), token: None };
        let saying = Saying { session_id: Some(session()), text: "hi".into(), message_id: None, metadata: Map::new() };
        for (name, content, event) in [
            ("login", json!({"user_id": "ana"}), ClientEvent::Login { user_id: Some(ana) }),
            ("login", json!(null), ClientEvent::Login { user_id: None }),
            (
                "join",
                json!({"session_id": "s1", "sender_id": "ana", "stream": true, "after": 3}),
                ClientEvent::Frame(ClientFrame::Join(join)),
            ),
            ("session_leave", json!({"session_id": "s1"}), ClientEvent::Leave { session_id: Some(session()) }),
            ("session_leave", json!({}), ClientEvent::Leave { session_id: None }),
            (
                "message",
                json!({"type": "text", "session_id": "s1", "sender_id": "ana", "text": "hi"}),
                ClientEvent::Frame(ClientFrame::Text(text.clone())),
            ),
            ("message", json!({"session_id": "s1", "sender_id": "ana", "text": "hi"}), ClientEvent::Frame(ClientFrame::Text(text))),
            (
                "message",
                json!({"type": "image", "session_id": "s1", "image": "https://example.org/a.png"}),
                ClientEvent::Frame(ClientFrame::Image(image)),
            ),
            ("session_request", json!({"session_id": "s1"}), ClientEvent::SessionRequest { session_id: Some(session()) }),
            ("session_request", json!({"session_id": null}), ClientEvent::SessionRequest { session_id: None }),
            ("user_uttered", json!({"message": "hi", "session_id": "s1"}), ClientEvent::UserUttered(saying.clone())),
            (
                "user_uttered",
                json!({"message": "hi", "message_id": "m1", "customData": {"language": "en"}}),
                ClientEvent::UserUttered(Saying {
                    session_id: None,
                    message_id: Some(m1),
                    metadata: json!({"language": "en"}).as_object().unwrap().clone(),
                    ..saying
                }),
            ),
        ] {
            assert_eq!(decode(name, content), Ok(event), "{name}");
        }
        assert_eq!(ClientEvent::decode("session_request", Arguments::default()), decode("session_request", json!({})));
    }

    #[test]
    fn a_refusal_names_the_fault() {
        for (name, content, code, message) in [
            (
                "dance",
                json!({}),
                Code::UnknownType,
                "this channel does not know the event; emit `login`, `join`, `session_leave`, `message`, `session_request` or `user_uttered`",
            ),
            ("join", json!("s1"), Code::BadFrame, "the event's content has to be a JSON object"),
            ("join", json!({}), Code::BadFrame, "`session_id` is missing, it has to be a string"),
            ("message", json!({"session_id": "s1"}), Code::BadFrame, "`text` is missing, it has to be a string"),
            ("login", json!({"user_id": 7}), Code::BadFrame, "`user_id` has to be a string, not a number"),
            ("user_uttered", json!({"session_id": "s1"}), Code::BadFrame, "`message` is missing, it has to be a string"),
            (
                "user_uttered",
                json!({"message": "x".repeat(16 * 1024 + 1)}),
                Code::TextTooLong,
                "`message` has 16385 bytes of UTF-8, at most 16384 are allowed",
            ),
            ("session_request", json!({"session_id": "a b"}), Code::BadFrame, "`session_id` has a character other than visible ASCII"),
        ] {
            let error = decode(name, content).unwrap_err();
            assert_eq!((error.code, error.message.as_str()), (code, message), "{name}");
        }
        let error = decode("user_uttered", json!({"message_id": "m1"})).unwrap_err();
        assert_eq!(error.message_id, MessageId::new("m1").ok());
        let binary = Arguments { values: vec![json!({"_placeholder": true, "num": 0})], attachments: vec![vec![1]] };
        let error = ClientEvent::decode("message", binary).unwrap_err();
        assert_eq!(error.message, "`attachments` are not taken here: events carry JSON, no binary values");
        assert_eq!(["login", "join", "message"].map(ClientEvent::error_event), ["login_error", "join_error", "error"]);
    }

    #[test]
    fn frames_as_events() {
        let said = Message {
            text: "hello".into(),
            sender: Actor::Bot,
            sender_id: "weather".into(),
            receiver: Actor::User,
            receiver_id: "ana".into(),
            session_id: session(),
            message_id: MessageId::new("run.0").unwrap(),
            reply_to: None,
            seq: Some(Seq(3)),
            metadata: Map::new(),
            payload: None,
        };
        let (name, content) = server_event(said.clone().frame().fields());
        assert_eq!(
            (name.as_str(), &content["text"], &content["sender"], &content["seq"]),
            (SAID, &json!("hello"), &json!("bot"), &json!(3))
        );
        let (name, content) = plain_server_event(said.clone().frame().fields());
        assert_eq!((name.as_str(), &content["text"], &content["metadata"]["cota"]["seq"]), (SAID, &json!("hello"), &json!(3)));
        assert_eq!(content.as_object().unwrap().keys().collect::<Vec<_>>(), ["text", "metadata"]);
        let src = "https://example.org/a.png";
        let image = Message { payload: Some(Message::image_payload(src)), ..said }.frame().fields();
        for (name, content) in [server_event(image.clone()), plain_server_event(image)] {
            assert_eq!((name.as_str(), &content["attachment"]), (SAID, &json!({"type": "image", "payload": {"src": src}})));
        }
        let login = ServerFrame::Login { sender_id: SenderId::new("ana").unwrap(), timestamp: Timestamp(0) };
        let content = json!({"sender_id": "ana", "timestamp": "1970-01-01T00:00:00.000Z", "user_id": "ana"});
        assert_eq!(server_event(login.fields()), ("login".to_owned(), content));
        let error = ServerFrame::Error { code: Code::Busy, message: "wait".into(), message_id: None, retry_after: Some(2) };
        let content = json!({"code": "busy", "message": "wait", "retry_after": 2});
        assert_eq!(server_event(error.fields()), ("error".to_owned(), content));
    }

    #[test]
    fn answers_say_whether_it_was_done() {
        let ok = Answer::Ok { message_id: MessageId::new("m1").ok(), session_id: None };
        assert_eq!(ok.arguments().values, [json!({"status": "ok", "message_id": "m1"})]);
        let error = decode("join", json!({})).unwrap_err();
        let expected = json!({"status": "error", "code": "bad_frame", "message": "`session_id` is missing, it has to be a string"});
        assert_eq!(Answer::refusal(error).arguments().values, [expected]);
    }
}
