//! What streams to a client before the turn is committed.

use std::time::Duration;

use cota_testkit::llm_server::{Settings, scripts};
use serde_json::json;

use super::support::{self, Cota, Socket, Store, http, model, socket};

const TEXT: &str = "Grüße aus Oslo: \"12 degrees\", and a light breeze 🌤 from the south-west.";

#[test]
fn the_text_of_a_json_answer_reaches_the_client_piece_by_piece_and_its_thought_never() {
    support::run(async {
        let llm = model(talking()).await;
        let cota = Cota::start(&["chat"], &Store::Memory, &llm.apibase());
        let mut socket = Socket::join(&cota.address, "ann", "stream", &json!({"stream": true})).await;
        socket.say("stream", "m1", "hello").await;
        let (mut shown, mut pieces) = (String::new(), 0);
        let last = loop {
            let frame = socket.next().await.unwrap();
            assert!(!frame.to_string().contains("nobody may see"), "a thought was shown: {frame}");
            if frame["type"] == "delta" {
                let offset = usize::try_from(frame["offset"].as_u64().unwrap()).unwrap();
                shown = shown.chars().take(offset).chain(frame["text"].as_str().unwrap().chars()).collect();
                pieces += 1;
            } else if frame["type"] == "reset" {
                shown.clear();
            } else if socket::is_from(&frame, "bot") {
                break frame;
            }
        };
        assert_eq!((shown.as_str(), &last["text"]), (TEXT, &json!(TEXT)));
        assert!(pieces >= 3, "only {pieces} pieces");
    });
}

#[test]
fn the_same_over_server_sent_events() {
    support::run(async {
        let llm = model(talking()).await;
        let cota = Cota::start(&["chat"], &Store::Memory, &llm.apibase());
        let accept = ["accept: text/event-stream"];
        let body = json!({"text": "hello", "message_id": "m1"}).to_string();
        let answer = http::post(&cota.address, "/v1/conversations/sse/messages", &accept, body.as_bytes()).await.unwrap();
        let events: Vec<(&str, serde_json::Value)> = answer.body.split("\n\n").filter_map(event).collect();
        let deltas: String = events.iter().filter(|(name, _)| *name == "delta").filter_map(|(_, data)| data["text"].as_str()).collect();
        assert_eq!(deltas, TEXT);
        assert!(events.iter().filter(|(name, _)| *name == "delta").count() >= 3, "{}", answer.body);
        assert_eq!(events.last().map(|(name, _)| *name), Some("done"), "{}", answer.body);
        let provisional = answer.body.split("event: done").next().unwrap();
        let deltas_only: Vec<&str> = provisional.split("\n\n").filter(|event| event.contains("event: delta")).collect();
        assert!(!deltas_only.concat().contains("nobody may see"), "a thought was streamed");
    });
}

/// A model that says [`TEXT`], slowly.
fn talking() -> Settings {
    let script: cota_testkit::llm_server::Script = std::sync::Arc::new(|call| match scripts::asked(call) {
        scripts::Asked::Choose => scripts::choose("BotUtter"),
        scripts::Asked::Fill | scripts::Asked::Utter | scripts::Asked::Tools => scripts::utter(TEXT),
    });
    Settings::new(script).pieces(5, Duration::from_millis(15))
}

fn event(text: &str) -> Option<(&str, serde_json::Value)> {
    let name = text.lines().find_map(|line| line.strip_prefix("event: "))?;
    let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
    Some((name, serde_json::from_str(data).unwrap()))
}
