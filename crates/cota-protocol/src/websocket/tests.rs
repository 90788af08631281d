use cota_core::ids::{ConversationId, MessageId, SenderId, Seq, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::problem::Code;

const NOON: Timestamp = Timestamp(1_772_366_400_000);

fn decode(frame: &Json) -> Result<ClientFrame, FrameError> {
    ClientFrame::decode(&frame.to_string())
}

fn session() -> ConversationId {
    ConversationId::new("s1").unwrap()
}

fn sender() -> SenderId {
    SenderId::new("Zoë").unwrap()
}

fn message_id(id: &str) -> MessageId {
    MessageId::new(id).unwrap()
}

#[test]
fn the_frames_of_a_client() {
    let join = JoinFrame { session_id: session(), sender_id: Some(sender()), stream: false, after: None, token: None };
    let text = TextFrame {
        session_id: session(),
        sender_id: Some(sender()),
        receiver: None,
        text: "hi".into(),
        message_id: None,
        metadata: Map::new(),
    };
    for (frame, expected) in [
        (json!({"type": "join", "session_id": "s1", "sender_id": "Zoë"}), ClientFrame::Join(join.clone())),
        (
            json!({"type": "join", "session_id": "s1", "sender_id": null, "stream": true, "after": 7, "token": "t"}),
            ClientFrame::Join(JoinFrame { sender_id: None, stream: true, after: Some(Seq(7)), token: Some("t".into()), ..join }),
        ),
        (json!({"type": "text", "session_id": "s1", "sender_id": "Zoë", "text": "hi", "more": 1}), ClientFrame::Text(text.clone())),
        (
            json!({"type": "text", "session_id": "s1", "sender_id": "Zoë", "text": "hi", "receiver": "bot", "message_id": "m1"}),
            ClientFrame::Text(TextFrame { message_id: Some(message_id("m1")), ..text.clone() }),
        ),
        (
            json!({"type": "text", "session_id": "s1", "sender_id": "Zoë", "text": "hi", "receiver": "Ana", "metadata": {"a": 1}}),
            ClientFrame::Text(TextFrame {
                receiver: Some(SenderId::new("Ana").unwrap()),
                metadata: json!({"a": 1}).as_object().unwrap().clone(),
                ..text
            }),
        ),
        (
            json!({"type": "image", "session_id": "s1", "image": "HTTPS://example.org/a.png"}),
            ClientFrame::Image(ImageFrame {
                session_id: session(),
                sender_id: None,
                receiver: None,
                image: "HTTPS://example.org/a.png".into(),
                message_id: None,
                metadata: Map::new(),
            }),
        ),
        (json!({"type": "leave", "session_id": "s1"}), ClientFrame::Leave(LeaveFrame { session_id: session(), sender_id: None })),
        (json!({"type": "ping"}), ClientFrame::Ping),
    ] {
        assert_eq!(ClientFrame::decode(&expected.encode()).as_ref(), Ok(&expected), "who passes it on changes nothing");
        assert_eq!(decode(&frame), Ok(expected), "{frame}");
    }
}

#[test]
fn a_refusal_is_the_same_when_it_is_read_from_its_frame() {
    let plain = FrameError { code: Code::Busy, message: "wait".into(), field: None, message_id: None, retry_after: None };
    let whole = FrameError { message_id: Some(message_id("m1")), retry_after: Some(2), ..plain.clone() };
    for refusal in [plain, whole] {
        assert_eq!(FrameError::told(&refusal.clone().answer().fields()), Some(refusal));
    }
    assert_eq!(FrameError::told(&ServerFrame::Pong.fields()), None);
}

#[test]
fn a_refusal_names_the_fault() {
    for (frame, code, message) in [
        ("", Code::BadJson, "the frame is not valid JSON, see line 1, column 0"),
        ("{\"type\": \"ping\"", Code::BadJson, "the frame is not valid JSON, see line 1, column 15"),
        ("[1]", Code::BadFrame, "the frame has to be a JSON object"),
        ("{}", Code::BadFrame, "`type` is missing, it has to be a string"),
        (r#"{"type": 1}"#, Code::BadFrame, "`type` has to be a string, not a number"),
        (
            r#"{"type": "dance"}"#,
            Code::UnknownType,
            "`type` is none that this channel knows; send `join`, `text`, `image`, `leave` or `ping`",
        ),
        (r#"{"type": "join"}"#, Code::BadFrame, "`session_id` is missing, it has to be a string"),
        (r#"{"type": "join", "session_id": ""}"#, Code::BadFrame, "`session_id` is empty"),
        (r#"{"type": "join", "session_id": "a b"}"#, Code::BadFrame, "`session_id` has a character other than visible ASCII"),
        (r#"{"type": "join", "session_id": "s", "after": -1}"#, Code::BadFrame, "`after` has to be a whole number from 0 on, not a number"),
        (r#"{"type": "join", "session_id": "s", "stream": "yes"}"#, Code::BadFrame, "`stream` has to be true or false, not a string"),
        (r#"{"type": "leave", "session_id": "s", "sender_id": "a\nb"}"#, Code::BadFrame, "`sender_id` has a control character"),
        (r#"{"type": "text", "session_id": "s"}"#, Code::BadFrame, "`text` is missing, it has to be a string"),
        (r#"{"type": "text", "session_id": "s", "text": ["a"]}"#, Code::BadFrame, "`text` has to be a string, not a list"),
        (
            r#"{"type": "text", "session_id": "s", "text": "a", "message_id": "ü"}"#,
            Code::BadFrame,
            "`message_id` has a character other than visible ASCII",
        ),
        (
            r#"{"type": "text", "session_id": "s", "text": "a", "metadata": "x"}"#,
            Code::BadFrame,
            "`metadata` has to be an object, not a string",
        ),
        (
            r#"{"type": "image", "session_id": "s", "image": "javascript:alert(1)"}"#,
            Code::BadFrame,
            "`image` has to be an http, https or data:image/ URL",
        ),
    ] {
        let error = ClientFrame::decode(frame).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (code, message), "{frame}");
        if let Some(field) = error.field {
            assert!(message.starts_with(&format!("`{field}`")), "{frame}");
        }
    }
}

#[test]
fn a_refusal_says_which_message_it_was() {
    for frame in [
        json!({"type": "text", "message_id": "m1"}),
        json!({"type": "dance", "message_id": "m1"}),
        json!({"message_id": "m1"}),
        json!({"type": "text", "session_id": "s1", "text": "x".repeat(16 * 1024 + 1), "message_id": "m1"}),
    ] {
        assert_eq!(decode(&frame).unwrap_err().message_id, Some(message_id("m1")));
    }
    let error = decode(&json!({"type": "text", "message_id": "m1"})).unwrap_err();
    let answer = r#"{"type":"error","code":"bad_frame","message":"`session_id` is missing, it has to be a string","message_id":"m1"}"#;
    assert_eq!(error.answer().encode(), answer);
    let answer = r#"{"type":"error","code":"bad_json","message":"the frame is not valid JSON, see line 1, column 2"}"#;
    assert_eq!(ClientFrame::decode("no").unwrap_err().answer().encode(), answer);
}

#[test]
fn the_limits_are_bytes_of_utf8() {
    let text = |text: String| decode(&json!({"type": "text", "session_id": "s1", "text": text})).map_err(|e| (e.code, e.field));
    assert!(text("ü".repeat(8 * 1024)).is_ok());
    assert_eq!(text("ü".repeat(8 * 1024) + "x"), Err((Code::TextTooLong, Some("text"))));
    let image = |bytes: usize| {
        let image = format!("{:x<bytes$}", "data:image/png;base64,");
        decode(&json!({"type": "image", "session_id": "s1", "image": image})).map_err(|e| (e.code, e.field))
    };
    assert!(image(24 * 1024).is_ok());
    assert_eq!(image(24 * 1024 + 1), Err((Code::ImageTooLarge, Some("image"))));
    let error = ClientFrame::decode(&" ".repeat(FRAME_BYTES + 1)).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (Code::PayloadTooLarge, "the frame has 65537 bytes, at most 65536 are allowed"));
}

#[test]
fn the_frames_of_a_server() {
    let room = RoomInfo::new("r1", vec![sender(), SenderId::new("Ana").unwrap()]);
    let said = Message {
        text: "hi".into(),
        sender: Actor::User,
        sender_id: "Zoë".into(),
        receiver: Actor::Bot,
        receiver_id: "weather".into(),
        session_id: session(),
        message_id: message_id("m1"),
        reply_to: None,
        seq: None,
        metadata: Map::new(),
        payload: None,
    };
    let answered = Message {
        text: "hello".into(),
        sender: Actor::Bot,
        sender_id: "weather".into(),
        receiver: Actor::User,
        receiver_id: "Zoë".into(),
        message_id: message_id("run.0"),
        reply_to: Some(message_id("m1")),
        seq: Some(Seq(3)),
        ..said.clone()
    };
    let shown = Message { text: String::new(), payload: Some(Message::image_payload("https://example.org/a.png")), ..said.clone() };
    for (frame, text) in [
        (
            ServerFrame::Login { sender_id: sender(), timestamp: NOON },
            r#"{"type":"login","sender_id":"Zoë","timestamp":"2026-03-01T12:00:00.000Z"}"#,
        ),
        (
            ServerFrame::JoinConfirm { session_id: session(), room_id: "r1".into(), timestamp: NOON, room_info: room.clone() },
            r#"{"type":"join_confirm","session_id":"s1","room_id":"r1","timestamp":"2026-03-01T12:00:00.000Z","room_info":{"room_id":"r1","user_count":2,"users":["Zoë","Ana"]}}"#,
        ),
        (
            ServerFrame::UserJoined { user_id: sender(), room_info: room.clone() },
            r#"{"type":"user_joined","user_id":"Zoë","room_info":{"room_id":"r1","user_count":2,"users":["Zoë","Ana"]}}"#,
        ),
        (
            ServerFrame::UserLeft { user_id: sender(), room_info: RoomInfo::new("r1", vec![]) },
            r#"{"type":"user_left","user_id":"Zoë","room_info":{"room_id":"r1","user_count":0,"users":[]}}"#,
        ),
        (
            ServerFrame::LeaveConfirm { session_id: session(), room_id: "r1".into(), timestamp: NOON },
            r#"{"type":"leave_confirm","session_id":"s1","room_id":"r1","timestamp":"2026-03-01T12:00:00.000Z"}"#,
        ),
        (
            said.frame(),
            r#"{"type":"text","text":"hi","sender":"user","sender_id":"Zoë","receiver":"bot","receiver_id":"weather","session_id":"s1","message_id":"m1","metadata":{}}"#,
        ),
        (
            answered.frame(),
            r#"{"type":"text","text":"hello","sender":"bot","sender_id":"weather","receiver":"user","receiver_id":"Zoë","session_id":"s1","message_id":"run.0","reply_to":"m1","seq":3,"metadata":{}}"#,
        ),
        (
            shown.frame(),
            r#"{"type":"image","text":"","sender":"user","sender_id":"Zoë","receiver":"bot","receiver_id":"weather","session_id":"s1","message_id":"m1","metadata":{},"payload":{"src":"https://example.org/a.png"}}"#,
        ),
        (
            ServerFrame::Delta { message_id: message_id("run.0"), offset: 4, text: "o\n".into() },
            r#"{"type":"delta","message_id":"run.0","offset":4,"text":"o\n"}"#,
        ),
        (ServerFrame::Reset { message_id: message_id("run.0") }, r#"{"type":"reset","message_id":"run.0"}"#),
        (ServerFrame::Pong, r#"{"type":"pong"}"#),
    ] {
        assert_eq!(frame.encode(), text);
    }
}

proptest! {
    #[test]
    fn the_room_sees_what_the_client_sent(text in ".{0,40}", id in "[!-~]{1,128}") {
        let frame = json!({"type": "text", "session_id": id, "sender_id": "u", "text": text, "message_id": id});
        let Ok(ClientFrame::Text(sent)) = decode(&frame) else {
            return Err(TestCaseError::fail("a good frame was refused"));
        };
        let seen = Message {
            text: sent.text,
            sender: Actor::User,
            sender_id: sent.sender_id.unwrap().to_string(),
            receiver: Actor::Bot,
            receiver_id: "bot".into(),
            session_id: sent.session_id,
            message_id: sent.message_id.unwrap(),
            reply_to: None,
            seq: None,
            metadata: sent.metadata,
            payload: None,
        };
        let seen: Json = serde_json::from_str(&seen.frame().encode()).unwrap();
        for field in ["type", "session_id", "sender_id", "text", "message_id"] {
            prop_assert_eq!(&seen[field], &frame[field]);
        }
    }
}
