//! Rasa's REST channel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod support;

use cota_core::bot::OnBusy;
use http::{StatusCode, header};
use serde_json::json;

use client::{answer, ask, body, get, post, post_raw};
use support::{world, world_with};

const WEBHOOK: &str = "/webhooks/rest/webhook";

#[tokio::test]
async fn the_sender_is_the_conversation_and_gets_what_the_bot_says() {
    let router = world().gateway.router();
    let request = json!({"sender": "ana", "message": "hi", "metadata": {"page": "/home"}});
    let expected = json!([{"recipient_id": "ana", "text": "you said: hi"}]);
    assert_eq!(answer(&router, post(WEBHOOK, &request)).await, (StatusCode::OK, expected));
    let (_, page) = answer(&router, get("/v1/conversations/ana/events?sender_id=ana")).await;
    let said = &page["events"][0]["data"]["result"][0];
    assert_eq!((&said["text"], &said["sender_id"], &said["metadata"]), (&json!("hi"), &json!("ana"), &json!({"page": "/home"})));
    assert_eq!(answer(&router, get("/webhooks/rest/")).await, (StatusCode::OK, json!({"status": "ok"})));
}

#[tokio::test]
async fn a_stream_has_a_message_on_each_line() {
    let router = world().gateway.router();
    let response = ask(&router, post(&format!("{WEBHOOK}?stream=true"), &json!({"sender": "ana", "message": "hi"}))).await;
    assert_eq!((response.status(), response.headers()[header::CONTENT_TYPE].as_bytes()), (StatusCode::OK, b"text/event-stream".as_slice()));
    assert_eq!(body(response).await, "{\"recipient_id\":\"ana\",\"text\":\"you said: hi\"}\n");
}

#[tokio::test]
async fn what_cannot_be_taken_is_a_problem() {
    let router = world().gateway.router();
    for (request, status, code) in [
        (post(WEBHOOK, &json!({"message": "hi"})), 400, "bad_request"),
        (post(WEBHOOK, &json!({"sender": "ana maria", "message": "hi"})), 400, "bad_request"),
        (post(WEBHOOK, &json!({"sender": "ana"})), 400, "bad_request"),
        (post_raw(WEBHOOK, "{"), 400, "bad_json"),
        (post(WEBHOOK, &json!({"sender": "ana", "message": "x".repeat(20_000)})), 413, "text_too_long"),
        (post(&format!("{WEBHOOK}?bot=nobody"), &json!({"sender": "ana", "message": "hi"})), 404, "unknown_bot"),
    ] {
        let (found, problem) = answer(&router, request).await;
        assert_eq!((found.as_u16(), problem["code"].as_str().unwrap()), (status, code), "{problem}");
    }
}

#[tokio::test]
async fn a_turn_that_outlasts_the_request_is_a_timeout_and_goes_on() {
    let world = world_with(OnBusy::Queue, |options| options.request_ms = 20);
    let router = world.gateway.router();
    let (status, problem) = answer(&router, post(WEBHOOK, &json!({"sender": "ana", "message": "wait"}))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::GATEWAY_TIMEOUT, &json!("timeout")));
    let (_, state) = answer(&router, get("/v1/conversations/ana")).await;
    assert_eq!(state["running"], json!(true));
}
