//! The OpenAI-compatible endpoint.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod support;

use axum::Router;
use axum::body::Body;
use futures_util::StreamExt as _;
use http::{Request, StatusCode, header};
use serde_json::{Value as Json, json};

use client::{ask, body, get, post, post_raw};
use cota_core::bot::OnBusy;
use cota_protocol::sse::Decoder;
use support::{World, world, world_with};

const COMPLETIONS: &str = "/v1/chat/completions";

fn hears(text: &str) -> Json {
    json!({"model": "parrot", "messages": [{"role": "user", "content": text}]})
}

fn streamed(text: &str) -> Json {
    let mut request = hears(text);
    request["stream"] = json!(true);
    request["stream_options"] = json!({"include_usage": true});
    request
}

fn kept(request: &Json) -> Request<Body> {
    let mut request = post(COMPLETIONS, request);
    request.headers_mut().insert("x-conversation-id", "c1".parse().unwrap());
    request
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, Json) {
    let response = ask(router, request).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    (response.status(), serde_json::from_str(&body(response).await).unwrap())
}

/// The chunks of a stream; what is no JSON as a string.
async fn chunks(router: &Router, request: Request<Body>) -> Vec<Json> {
    let response = ask(router, request).await;
    assert_eq!((response.status(), response.headers()[header::CONTENT_TYPE].as_bytes()), (StatusCode::OK, b"text/event-stream".as_slice()));
    decoded(body(response).await.as_bytes())
}

fn decoded(bytes: &[u8]) -> Vec<Json> {
    let mut decoder = Decoder::new(1024 * 1024);
    decoder.feed(bytes);
    let events = std::iter::from_fn(|| decoder.next_event().unwrap());
    events.map(|event| serde_json::from_str(&event.data).unwrap_or(Json::String(event.data))).collect()
}

/// The text of all chunks.
fn text(chunks: &[Json]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

async fn events(world: &World) -> Vec<Json> {
    let (_, page) = client::answer(&world.gateway.router(), get("/v1/conversations/c1/events")).await;
    page["events"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_bot_answers_as_a_model_does_and_keeps_nothing() {
    let world = world();
    let (status, completion) = answer(&world.gateway.router(), post(COMPLETIONS, &hears("hi"))).await;
    assert_eq!((status, &completion["object"], &completion["model"]), (StatusCode::OK, &json!("chat.completion"), &json!("parrot")));
    let expected = json!({"role": "assistant", "content": "you said: hi", "refusal": null});
    assert_eq!((&completion["choices"][0]["message"], &completion["choices"][0]["finish_reason"]), (&expected, &json!("stop")));
    assert_eq!(completion["usage"], json!({"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}));
    assert!(completion["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(completion["created"], 1_772_366_400);
}

#[tokio::test]
async fn without_a_header_the_messages_are_the_past() {
    let router = world().gateway.router();
    let request = json!({"model": "parrot", "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "my name is Ana"},
        {"role": "assistant", "content": "hello Ana"},
        {"role": "user", "content": "what did I say first?"}
    ]});
    let (_, completion) = answer(&router, post(COMPLETIONS, &request)).await;
    assert_eq!(completion["choices"][0]["message"]["content"], "first you said: my name is Ana");
}

#[tokio::test]
async fn with_the_header_the_record_is_the_past() {
    let world = world();
    let router = world.gateway.router();
    let mut request = hears("my name is Ana");
    request["user"] = json!("ana");
    assert_eq!(answer(&router, kept(&request)).await.0, StatusCode::OK);
    let request = json!({"model": "parrot", "messages": [
        {"role": "user", "content": "something else"},
        {"role": "user", "content": "what did I say first?"}
    ]});
    let (_, completion) = answer(&router, kept(&request)).await;
    assert_eq!(completion["choices"][0]["message"]["content"], "first you said: my name is Ana");
    let said: Vec<_> = events(&world)
        .await
        .iter()
        .filter(|event| event["data"]["name"] == "UserUtter")
        .map(|event| event["data"]["sender_id"].clone())
        .collect();
    assert_eq!(said, ["ana", "user"]);
}

#[tokio::test]
async fn an_idempotency_key_says_it_once() {
    let world = world();
    let router = world.gateway.router();
    let request = || {
        let mut request = kept(&hears("hi"));
        request.headers_mut().insert("idempotency-key", "k1".parse().unwrap());
        request
    };
    let first = answer(&router, request()).await;
    assert_eq!(answer(&router, request()).await, first);
    assert_eq!(events(&world).await.iter().filter(|event| event["kind"] == "turn_end").count(), 1);
}

#[tokio::test]
async fn a_stream_has_the_text_once_and_ends_with_what_it_cost() {
    let router = world().gateway.router();
    for request in [post(COMPLETIONS, &streamed("stream")), kept(&streamed("stream")), post(COMPLETIONS, &streamed("plain"))] {
        let chunks = chunks(&router, request).await;
        assert!(text(&chunks).starts_with("you said: "), "{chunks:?}");
        assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        let [.., end, usage, done] = chunks.as_slice() else { panic!("{chunks:?}") };
        assert_eq!((&end["choices"][0]["finish_reason"], &end["choices"][0]["delta"]), (&json!("stop"), &json!({})));
        assert_eq!((&usage["usage"]["total_tokens"], &usage["choices"]), (&json!(10), &json!([])));
        assert_eq!(done, &json!("[DONE]"));
    }
}

#[tokio::test]
async fn pieces_come_before_the_turn_is_over() {
    let world = world();
    let router = world.gateway.router();
    for request in [post(COMPLETIONS, &streamed("stream and wait")), kept(&streamed("stream and wait"))] {
        let mut body = ask(&router, request).await.into_body().into_data_stream();
        let mut read = Vec::new();
        while !text(&decoded(&read)).contains("you said") {
            read.extend(body.next().await.unwrap().unwrap());
        }
        world.model.may_answer.add_permits(1);
        while let Some(bytes) = body.next().await {
            read.extend(bytes.unwrap());
        }
        assert_eq!(text(&decoded(&read)), "you said: stream and wait");
    }
}

#[tokio::test]
async fn a_turn_that_fails_in_the_middle_of_a_stream_is_an_error_in_it() {
    let world = world_with(OnBusy::Latest, |_| {});
    let router = world.gateway.router();
    let mut body = ask(&router, kept(&streamed("stream and wait"))).await.into_body().into_data_stream();
    let mut read = body.next().await.unwrap().unwrap().to_vec();
    let other = tokio::spawn({
        let router = router.clone();
        async move { answer(&router, kept(&hears("another"))).await }
    });
    while let Some(bytes) = body.next().await {
        read.extend(bytes.unwrap());
    }
    let chunks = decoded(&read);
    assert_eq!(chunks.last().unwrap()["error"]["code"], "superseded", "{chunks:?}");
    assert_eq!(other.await.unwrap().1["choices"][0]["message"]["content"], "you said: another");
}

#[tokio::test]
async fn what_takes_too_long_is_a_timeout() {
    let world = world_with(OnBusy::Queue, |options| options.request_ms = 20);
    let router = world.gateway.router();
    for request in [post(COMPLETIONS, &hears("wait")), kept(&hears("wait")), post(COMPLETIONS, &streamed("wait"))] {
        let (status, error) = answer(&router, request).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::GATEWAY_TIMEOUT, &json!("timeout")));
    }
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_in_openais_shape() {
    let router = world().gateway.router();
    let with = |name: &str, value: Json| {
        let mut request = hears("hi");
        request[name] = value;
        post(COMPLETIONS, &request)
    };
    let mut bad_header = post(COMPLETIONS, &hears("hi"));
    bad_header.headers_mut().insert("x-conversation-id", "a b".parse().unwrap());
    for (request, status, param, code) in [
        (post_raw(COMPLETIONS, "{"), 400, Json::Null, "bad_json"),
        (post(COMPLETIONS, &json!({"model": "parrot"})), 400, json!("messages"), "bad_request"),
        (with("tools", json!([{"type": "function"}])), 400, json!("tools"), "bad_request"),
        (with("n", json!(2)), 400, json!("n"), "bad_request"),
        (with("model", json!("gpt-4o")), 404, json!("model"), "model_not_found"),
        (with("user", json!("a\nb")), 400, json!("user"), "bad_request"),
        (bad_header, 400, Json::Null, "bad_request"),
        (post(COMPLETIONS, &hears(&"x".repeat(20_000))), 413, json!("messages"), "text_too_long"),
        (with("extra", json!("x".repeat(1024 * 1024))), 413, Json::Null, "payload_too_large"),
        (Request::post(COMPLETIONS).body(Body::from("{}")).unwrap(), 415, Json::Null, "unsupported_media_type"),
    ] {
        let (found, error) = answer(&router, request).await;
        assert_eq!((found.as_u16(), &error["error"]["param"], &error["error"]["code"]), (status, &param, &json!(code)), "{error}");
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_body_may_have_a_whole_conversation_in_it() {
    let router = world().gateway.router();
    let past = (0..60).map(|n| json!({"role": if n % 2 == 0 { "user" } else { "assistant" }, "content": "x".repeat(15_000)}));
    let messages: Vec<_> = past.chain([json!({"role": "user", "content": "hi"})]).collect();
    let (status, completion) = answer(&router, post(COMPLETIONS, &json!({"messages": messages}))).await;
    assert_eq!((status, &completion["choices"][0]["message"]["content"]), (StatusCode::OK, &json!("you said: hi")));
}

#[tokio::test]
async fn the_models_are_the_bots() {
    let (status, models) = answer(&world().gateway.router(), get("/v1/models")).await;
    let names: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!((status, names), (StatusCode::OK, vec!["parrot", "other", "rehearsal"]));
}
