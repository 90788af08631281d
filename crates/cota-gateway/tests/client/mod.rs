//! Asking the routes as a client does.
#![allow(dead_code, reason = "each test file uses its part")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{Request, StatusCode, header};
use serde_json::Value as Json;
use tower::ServiceExt as _;

pub(crate) const MESSAGES: &str = "/v1/conversations/c1/messages";

pub(crate) fn post(uri: &str, body: &Json) -> Request<Body> {
    post_raw(uri, body.to_string())
}

pub(crate) fn post_raw(uri: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(uri).header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

pub(crate) fn get(uri: &str) -> Request<Body> {
    Request::get(uri).body(Body::empty()).unwrap()
}

pub(crate) async fn ask(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

pub(crate) async fn body(response: Response) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

/// The status and the JSON of an answer or a problem.
pub(crate) async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, Json) {
    let response = ask(router, request).await;
    let status = response.status();
    let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let expected = if status.is_success() { "application/json" } else { "application/problem+json" };
    assert_eq!(content_type, expected);
    (status, serde_json::from_str(&body(response).await).unwrap())
}
