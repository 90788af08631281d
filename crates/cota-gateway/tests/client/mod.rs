//! Asking the routes as a client does.
#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::response::Response;
use futures_util::StreamExt as _;
use http::{Request, StatusCode, header};
use serde_json::Value as Json;
use tokio::time::timeout;
use tower::ServiceExt as _;

use cota_protocol::sse::{Decoder, Event};

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

/// A stream being read.
pub(crate) struct Reading {
    body: BodyDataStream,
    decoder: Decoder,
}

impl Reading {
    pub(crate) async fn open(router: &Router, mut request: Request<Body>) -> Self {
        request.headers_mut().insert(header::ACCEPT, "text/event-stream".parse().unwrap());
        let response = ask(router, request).await;
        assert_eq!((response.status(), response.headers()[header::CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, "text/event-stream"));
        Self { body: response.into_body().into_data_stream(), decoder: Decoder::new(1024 * 1024) }
    }

    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.decoder.next_event().unwrap() {
                return Some(event);
            }
            let bytes = timeout(Duration::from_secs(60), self.body.next()).await.expect("the stream says nothing")?;
            self.decoder.feed(&bytes.unwrap());
        }
    }

    /// The next event's name, id and payload.
    pub(crate) async fn event(&mut self) -> (String, Option<u64>, Json) {
        let event = self.next().await.expect("the stream ended");
        let id = event.id.map(|id| id.parse().unwrap());
        (event.event.unwrap(), id, serde_json::from_str(&event.data).unwrap())
    }

    /// The names and ids of all events to the end.
    pub(crate) async fn rest(mut self) -> Vec<(String, Option<u64>)> {
        let mut rest = Vec::new();
        while let Some(event) = self.next().await {
            rest.push((event.event.unwrap(), event.id.map(|id| id.parse().unwrap())));
        }
        rest
    }
}
