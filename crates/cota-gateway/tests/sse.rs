//! COTA's SSE channel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod support;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode, header};
use serde_json::{Value as Json, json};

use client::{Reading, answer, get, post};
use support::world;

const MESSAGE: &str = "/sse/message";

/// A stream of frames, and the id of the last one that had one.
struct Stream {
    reading: Reading,
    last_id: Option<String>,
}

impl Stream {
    /// Opens a stream and takes its login.
    async fn open(router: &Router, sender: &str) -> Self {
        Self::reopen(router, sender, "").await
    }

    async fn reopen(router: &Router, sender: &str, last_id: &str) -> Self {
        let mut request = from_localhost(&format!("/sse?sender_id={sender}"));
        request.headers_mut().insert("last-event-id", last_id.parse().unwrap());
        let mut stream = Self { reading: Reading::open(router, request).await, last_id: None };
        let login = stream.frame().await;
        assert_eq!((&login["type"], &login["sender_id"]), (&json!("login"), &json!(sender)));
        stream
    }

    async fn frame(&mut self) -> Json {
        let event = self.reading.next().await.expect("the stream ended");
        assert_eq!(event.event, None);
        self.last_id = event.id.or(self.last_id.take());
        serde_json::from_str(&event.data).unwrap()
    }

    /// The frames up to the bot's next message.
    async fn until_answered(&mut self) -> Vec<Json> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await;
            frames.push(frame.clone());
            if frame["type"] == "text" && frame["sender"] == "bot" {
                return frames;
            }
        }
    }
}

fn from_localhost(uri: &str) -> Request<Body> {
    let mut request = get(uri);
    request.headers_mut().insert(header::HOST, "localhost".parse().unwrap());
    request
}

async fn send(router: &Router, frame: Json) -> Json {
    let (status, confirmed) = answer(router, post(MESSAGE, &frame)).await;
    assert_eq!(status, StatusCode::OK, "{confirmed}");
    confirmed
}

fn types(frames: &[Json]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn frames_go_one_way_each_and_requests_are_confirmed() {
    let router = world().gateway.router();
    let mut ana = Stream::open(&router, "ana").await;
    let confirmed = send(&router, json!({"type": "join", "session_id": "s1", "sender_id": "ana", "stream": true})).await;
    assert_eq!((&confirmed["type"], &confirmed["room_info"]["users"]), (&json!("join_confirm"), &json!(["ana"])));
    assert_eq!(ana.frame().await["type"], "join_confirm");

    let confirmed = send(&router, json!({"type": "text", "session_id": "s1", "sender_id": "ana", "text": "hi", "message_id": "m1"})).await;
    assert_eq!(
        (&confirmed["type"], &confirmed["session_id"], &confirmed["message_id"]),
        (&json!("message_confirm"), &json!("s1"), &json!("m1"))
    );
    let frames = ana.until_answered().await;
    assert_eq!((&frames[0]["text"], &frames[0]["seq"]), (&json!("hi"), &Json::Null));
    let reply = frames.last().unwrap();
    assert_eq!((&reply["text"], &reply["reply_to"]), (&json!("you said: hi"), &json!("m1")));

    let (_, pong) = answer(&router, post(&format!("{MESSAGE}?sender_id=ana"), &json!({"type": "ping"}))).await;
    assert_eq!((&pong["type"], &ana.frame().await["type"]), (&json!("pong"), &json!("pong")));
    let confirmed = send(&router, json!({"type": "leave", "session_id": "s1", "sender_id": "ana"})).await;
    assert_eq!(confirmed["type"], "leave_confirm");
    assert_eq!(ana.frame().await["type"], "leave_confirm");
}

#[tokio::test]
async fn pieces_come_before_the_commit() {
    let world = world();
    let router = world.gateway.router();
    let mut ana = Stream::open(&router, "ana").await;
    send(&router, json!({"type": "join", "session_id": "s1", "sender_id": "ana", "stream": true})).await;
    send(&router, json!({"type": "text", "session_id": "s1", "sender_id": "ana", "text": "stream and wait"})).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&"delta".to_owned()) {
        seen.push(ana.frame().await["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["join_confirm", "text", "delta"]);
    world.model.may_answer.add_permits(1);
    assert_eq!(ana.until_answered().await.last().unwrap()["text"], "you said: stream and wait");
}

#[tokio::test]
async fn every_stream_of_a_sender_gets_everything_and_others_get_what_is_in_their_rooms() {
    let router = world().gateway.router();
    let (mut first, mut second, mut other) =
        (Stream::open(&router, "ana").await, Stream::open(&router, "ana").await, Stream::open(&router, "bo").await);
    send(&router, json!({"type": "join", "session_id": "s1", "sender_id": "bo"})).await;
    send(&router, json!({"type": "text", "session_id": "s1", "sender_id": "ana", "text": "hi"})).await;
    for stream in [&mut first, &mut second] {
        let frames = stream.until_answered().await;
        assert_eq!(types(&frames), ["text", "text"]);
    }
    let frames = other.until_answered().await;
    assert_eq!(types(&frames), ["join_confirm", "user_joined", "text", "text"]);
    assert_eq!(frames[2]["sender_id"], "ana");
}

#[tokio::test]
async fn a_browser_that_comes_back_goes_on_where_it_was() {
    let router = world().gateway.router();
    let mut ana = Stream::open(&router, "ana").await;
    send(&router, json!({"type": "join", "session_id": "s1", "sender_id": "ana"})).await;
    send(&router, json!({"type": "text", "session_id": "s1", "sender_id": "ana", "text": "one"})).await;
    ana.until_answered().await;
    let last_id = ana.last_id.clone().unwrap();
    drop(ana);
    let confirmed = send(&router, json!({"type": "text", "session_id": "s1", "sender_id": "ana", "text": "two"})).await;
    assert_eq!(confirmed["type"], "message_confirm");
    let mut ana = Stream::reopen(&router, "ana", &last_id).await;
    let frames = ana.until_answered().await;
    let texts: Vec<_> = frames.iter().filter_map(|frame| frame["text"].as_str()).collect();
    assert_eq!(texts, ["two", "you said: two"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_pings() {
    let router = world().gateway.router();
    let mut ana = Stream::open(&router, "ana").await;
    let ping = ana.frame().await;
    assert_eq!((&ping["type"], &ping["timestamp"]), (&json!("ping"), &json!("2026-03-01T12:00:30.000Z")));
}

#[tokio::test]
async fn a_stream_that_is_over_is_forgotten() {
    let router = world().gateway.router();
    let ana = Stream::open(&router, "ana").await;
    let ping = || post(&format!("{MESSAGE}?sender_id=ana"), &json!({"type": "ping"}));
    assert_eq!(answer(&router, ping()).await.0, StatusCode::OK);
    drop(ana);
    let (status, problem) = answer(&router, ping()).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
}

#[tokio::test]
async fn what_cannot_be_taken_is_a_problem() {
    let router = world().gateway.router();
    let (status, problem) = answer(&router, from_localhost("/sse")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("missing_sender")));
    let _ana = Stream::open(&router, "ana").await;
    for (frame, status, code) in [
        (json!({"type": "text", "session_id": "s1", "sender_id": "ana"}), 400, "bad_frame"),
        (json!({"type": "dance"}), 400, "unknown_type"),
        (json!([]), 400, "bad_frame"),
        (json!({"type": "join", "session_id": "s1", "sender_id": "nobody"}), 404, "not_found"),
        (json!({"type": "text", "session_id": "s1", "sender_id": "ana", "text": "x".repeat(20_000)}), 413, "text_too_long"),
    ] {
        let (found, problem) = answer(&router, post(MESSAGE, &frame)).await;
        assert_eq!((found.as_u16(), problem["code"].as_str().unwrap()), (status, code), "{problem}");
    }
}
