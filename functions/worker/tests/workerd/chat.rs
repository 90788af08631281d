//! A conversation with an example bot, and what lasts of it.

use std::time::Duration;

use cota_testkit::llm_server::{Settings, scripts};
use serde_json::json;

use super::support::{self, Record, Workerd, http, model};

#[test]
fn the_weather_bot_answers_and_remembers_after_a_restart() {
    support::run(async {
        let mut workerd = Workerd::start("weather", support::NO_MODEL).await;
        let answer = workerd.say("hello", &json!({"text": "what is the weather in Oslo tomorrow?", "message_id": "m1"})).await;
        assert_eq!(answer.replies(), ["Oslo, tomorrow: 12 degrees, light rain. Anything else?"], "{answer:?}");
        let record = Record::read(&workerd.address, "hello").await;
        assert_eq!(record.answered_in_order(), ["m1"]);
        workerd.kill();
        workerd.start_again().await;
        assert_eq!(Record::read(&workerd.address, "hello").await, record);
        let again = workerd.say("hello", &json!({"text": "what is the weather in Oslo tomorrow?", "message_id": "m1"})).await;
        assert_eq!(again.json(), answer.json(), "a repeat gets the recorded answer");
    });
}

/// An object that has waited for a turn's end for five seconds tells the rest as it comes.
#[test]
fn a_turn_that_outlasts_the_patience_of_its_object_is_answered_as_any_other() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat()).latency(Duration::from_millis(2_800))).await;
        let workerd = Workerd::start("chat", &llm.apibase()).await;
        let answer = workerd.say("slow", &json!({"text": "this is #m1", "message_id": "m1"})).await;
        assert_eq!(answer.replies(), ["It is #m1."], "{answer:?}");
        assert_eq!(llm.count(), 2, "no call is made twice");
    });
}

#[test]
fn a_reply_comes_piece_by_piece_and_a_conversation_is_forgotten_on_request() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat())).await;
        let workerd = Workerd::start("chat", &llm.apibase()).await;
        let path = "/v1/conversations/stream/messages";
        let body = json!({"text": "this is #m1", "message_id": "m1"}).to_string();
        let answer = http::post(&workerd.address, path, &["accept: text/event-stream"], body.as_bytes()).await.unwrap();
        for event in ["event: delta", "event: message", "event: done"] {
            assert!(answer.body.contains(event), "{event} is missing: {}", answer.body);
        }
        let forgotten = http::exchange(&workerd.address, "DELETE", "/v1/conversations/stream", &[], b"").await.unwrap();
        assert_eq!(forgotten.status, 204);
        assert_eq!(http::get(&workerd.address, "/v1/conversations/stream").await.unwrap().status, 404);
    });
}
