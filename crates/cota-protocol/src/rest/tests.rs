use cota_core::event::{Reply, Usage};
use cota_core::ids::{ConversationId, MessageId, Seq};
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::problem::{Code, Problem};
use crate::sse::Decoder;

fn decode(body: &Json) -> Result<MessageRequest, Problem> {
    MessageRequest::decode(body.to_string().as_bytes())
}

fn message_id(id: &str) -> MessageId {
    MessageId::new(id).unwrap()
}

fn reply() -> Reply {
    Reply { message_id: message_id("run.0"), text: "rain\nand wind".into(), metadata: Map::new() }
}

fn answer() -> MessageAnswer {
    MessageAnswer {
        conversation_id: ConversationId::new("c1").unwrap(),
        message_id: message_id("m1"),
        replies: vec![reply()],
        actions: vec![json!({"name": "Weather"})],
        slots: json!({"city": "Oslo"}).as_object().unwrap().clone(),
        form: None,
        usage: Usage { llm_calls: 2, prompt_tokens: 100, completion_tokens: 20, ms: 7 },
    }
}

#[test]
fn a_message_needs_nothing_but_text() {
    let sparse = decode(&json!({"text": "hi", "sender_id": null, "receiver": "bot"})).unwrap();
    let expected = MessageRequest { text: "hi".into(), sender_id: None, message_id: None, receiver: None, metadata: Map::new() };
    assert_eq!(sparse, expected);
    let full = json!({"text": "", "sender_id": "Zoë", "message_id": "m1", "receiver": "Ana", "metadata": {"a": [1]}, "more": 1});
    let full = decode(&full).unwrap();
    assert_eq!((full.sender_id.unwrap().as_str(), full.receiver.unwrap().as_str()), ("Zoë", "Ana"));
    assert_eq!((full.message_id, full.metadata.get("a")), (Some(message_id("m1")), Some(&json!([1]))));
}

#[test]
fn a_refusal_is_a_problem_that_names_the_field() {
    for (body, code, field) in [
        (json!("hi"), Code::BadRequest, None),
        (json!({}), Code::BadRequest, Some("text")),
        (json!({"text": 1}), Code::BadRequest, Some("text")),
        (json!({"text": "x".repeat(16 * 1024 + 1)}), Code::TextTooLong, Some("text")),
        (json!({"text": "x".repeat(64 * 1024)}), Code::PayloadTooLarge, None),
        (json!({"text": "hi", "sender_id": ""}), Code::BadRequest, Some("sender_id")),
        (json!({"text": "hi", "message_id": "a b"}), Code::BadRequest, Some("message_id")),
        (json!({"text": "hi", "metadata": []}), Code::BadRequest, Some("metadata")),
    ] {
        let problem = decode(&body).unwrap_err();
        assert_eq!((problem.code, problem.extra.get("field").and_then(Json::as_str)), (code, field), "{}", problem.detail);
    }
    for body in [&b"{"[..], b"", b"{\"text\": \"\xFF\"}"] {
        assert_eq!(MessageRequest::decode(body).unwrap_err().code, Code::BadJson);
    }
}

#[test]
fn the_bodies_of_the_answers() {
    let pending = PendingAnswer::running(message_id("m1"));
    assert_eq!(serde_json::to_string(&pending).unwrap(), r#"{"status":"running","message_id":"m1"}"#);
    let expected = json!({
        "conversation_id": "c1",
        "message_id": "m1",
        "replies": [{"message_id": "run.0", "text": "rain\nand wind"}],
        "actions": [{"name": "Weather"}],
        "slots": {"city": "Oslo"},
        "form": null,
        "usage": {"llm_calls": 2, "prompt_tokens": 100, "completion_tokens": 20, "ms": 7},
    });
    assert_eq!(serde_json::to_value(answer()).unwrap(), expected);
    assert_eq!(serde_json::from_value::<MessageAnswer>(expected).unwrap(), answer());
    let conversation_id = ConversationId::new("c1").unwrap();
    let state = ConversationState {
        conversation_id: conversation_id.clone(),
        seq: Seq(4),
        form: None,
        slots: Map::new(),
        running: true,
        waiting: 2,
    };
    let expected = json!({"conversation_id": "c1", "seq": 4, "form": null, "slots": {}, "running": true, "waiting": 2});
    assert_eq!(serde_json::to_value(state).unwrap(), expected);
    let page = EventsPage { conversation_id, events: vec![json!({"seq": 5})], next_after: Seq(5), more: false };
    let expected = json!({"conversation_id": "c1", "events": [{"seq": 5}], "next_after": 5, "more": false});
    assert_eq!(serde_json::to_value(page).unwrap(), expected);
}

#[test]
fn committed_events_of_a_stream_have_their_place_as_id() {
    let events = [
        TurnEvent::Delta { message_id: message_id("run.0"), offset: 0, text: "ra".into() },
        TurnEvent::Reset { message_id: message_id("run.0") },
        TurnEvent::Action { seq: Seq(2), event: json!({"name": "Weather"}) },
        TurnEvent::Message { seq: Seq(3), reply: reply() },
        TurnEvent::Pending(PendingAnswer::running(message_id("m1"))),
        TurnEvent::Done { seq: Seq(4), answer: answer() },
        TurnEvent::Error(Problem::new(Code::Superseded, "a later message came")),
    ];
    let mut decoder = Decoder::new(4096);
    let mut seen = Vec::new();
    for event in &events {
        decoder.feed(event.to_sse().encode().as_bytes());
        seen.extend(decoder.next_event().unwrap());
    }
    let shape: Vec<_> = seen.iter().map(|event| (event.event.as_deref().unwrap(), event.id.as_deref())).collect();
    let expected = [
        ("delta", None),
        ("reset", None),
        ("action", Some("2")),
        ("message", Some("3")),
        ("pending", None),
        ("done", Some("4")),
        ("error", None),
    ];
    assert_eq!(shape, expected);
    assert_eq!(seen[0].data, r#"{"message_id":"run.0","offset":0,"text":"ra"}"#);
    assert_eq!(serde_json::from_str::<MessageAnswer>(&seen[5].data).unwrap(), answer());
    assert!(seen[6].data.contains(r#""code":"superseded""#));
}
