//! The routes of a conversation, asked as a client asks them.

mod support;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;

use cota_core::bot::OnBusy;
use support::{World, world, world_with};

const MESSAGES: &str = "/v1/conversations/c1/messages";

fn post(uri: &str, body: &Json) -> Request<Body> {
    post_raw(uri, body.to_string())
}

fn post_raw(uri: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(uri).header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}

async fn ask(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

async fn body(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, Json) {
    let response = ask(router, request).await;
    let status = response.status();
    let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let expected = if status.is_success() { "application/json" } else { "application/problem+json" };
    assert_eq!(content_type, expected);
    (status, serde_json::from_str(&body(response).await).unwrap())
}

/// The status and the stable code of a refusal.
async fn refusal(router: &Router, request: Request<Body>) -> (u16, String) {
    let (status, problem) = answer(router, request).await;
    assert_eq!(problem["status"], status.as_u16(), "{problem}");
    (status.as_u16(), problem["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_message_is_answered_with_the_whole_turn() {
    let router = world().gateway.router();
    let (status, answer) = answer(&router, post(MESSAGES, &json!({"text": "hi", "message_id": "m1"}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["conversation_id"], &answer["message_id"]), (&json!("c1"), &json!("m1")));
    assert_eq!(answer["replies"][0]["text"], "you said: hi");
    let actions: Vec<_> = answer["actions"].as_array().unwrap().iter().map(|action| action["name"].as_str().unwrap()).collect();
    assert_eq!(actions, ["UserUtter", "Selector", "BotUtter"]);
    assert_eq!((&answer["form"], &answer["slots"]), (&Json::Null, &json!({})));
    assert_eq!((&answer["usage"]["llm_calls"], &answer["usage"]["prompt_tokens"]), (&json!(2), &json!(6)));
}
