//! COTA's SSE channel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod support;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode, header};
use serde_json::{Value as Json, json};
use tokio::time::{Instant, advance};

use cota_core::bot::OnBusy;
use cota_driver::ledger::MemoryLedger;
use cota_gateway::limits::{Limiter, Limits};

use client::{Reading, answer, get, post};
use support::{World, world, world_with};

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

#[tokio::test]
async fn a_browser_that_has_only_joined_comes_back_into_the_room_and_not_into_one_that_it_left() {
    let router = world().gateway.router();
    let mut ana = Stream::open(&router, "ana").await;
    for session in ["s1", "s2"] {
        send(&router, json!({"type": "join", "session_id": session, "sender_id": "ana", "stream": true})).await;
        assert_eq!(ana.frame().await["session_id"], session);
    }
    send(&router, json!({"type": "leave", "session_id": "s2", "sender_id": "ana"})).await;
    assert_eq!(ana.frame().await["type"], "leave_confirm");
    let last_id = ana.last_id.clone().unwrap();
    drop(ana);
    for session in ["s1", "s2"] {
        send(&router, json!({"type": "text", "session_id": session, "sender_id": "bo", "text": "hi"})).await;
    }
    let mut ana = Stream::reopen(&router, "ana", &last_id).await;
    let frames = ana.until_answered().await;
    assert_eq!(frames.iter().map(|frame| frame["session_id"].as_str().unwrap()).collect::<Vec<_>>(), ["s1"; 3]);
    send(&router, json!({"type": "leave", "session_id": "s1", "sender_id": "ana"})).await;
    assert_eq!(ana.frame().await["type"], "leave_confirm");
    let last_id = ana.last_id.clone().unwrap();
    drop(ana);
    let mut ana = Stream::reopen(&router, "ana", &last_id).await;
    answer(&router, post(&format!("{MESSAGE}?sender_id=ana"), &json!({"type": "ping"}))).await;
    assert_eq!(ana.frame().await["type"], "pong", "it is in no room");
}

#[tokio::test]
async fn a_browser_that_is_cut_off_before_the_first_answer_gets_it() {
    let world = world();
    let router = world.gateway.router();
    let mut ana = Stream::open(&router, "ana").await;
    send(&router, json!({"type": "text", "session_id": "s1", "sender_id": "ana", "text": "wait"})).await;
    assert_eq!(ana.frame().await["text"], "wait");
    let last_id = ana.last_id.clone().unwrap();
    drop(ana);
    world.model.may_answer.add_permits(1);
    let mut ana = Stream::reopen(&router, "ana", &last_id).await;
    assert_eq!(ana.until_answered().await.last().unwrap()["text"], "you said: wait");
}

#[tokio::test]
async fn who_speaks_without_a_stream_is_in_no_room() {
    let router = world().gateway.router();
    let mut bo = Stream::open(&router, "bo").await;
    send(&router, json!({"type": "join", "session_id": "s1", "sender_id": "bo"})).await;
    for sender in ["ana", "bo"] {
        send(&router, json!({"type": "text", "session_id": "s1", "sender_id": sender, "text": "hi"})).await;
    }
    let mut frames = bo.until_answered().await;
    frames.extend(bo.until_answered().await);
    let is_of_a_room = |frame: &&str| frame.starts_with("user_");
    assert_eq!(types(&frames).into_iter().find(is_of_a_room), None, "{frames:?}");
}

/// A world whose event streams end after a minute and forty seconds in which nothing is said.
fn impatient() -> World {
    world_with(OnBusy::Queue, |options| {
        let limits = Limits { idle_ms: Some(100_000), ..Limits::default() };
        options.limiter = Limiter::new(limits, Arc::<MemoryLedger>::default(), options.clock.clone());
    })
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_is_said_ends_and_goes_on_behind_its_last_id() {
    let router = impatient().gateway.router();
    let began = Instant::now();
    let mut ana = Stream::open(&router, "ana").await;
    send(&router, json!({"type": "join", "session_id": "s1", "sender_id": "ana"})).await;
    assert_eq!(ana.frame().await["type"], "join_confirm");
    let mut pings = 0;
    while let Some(event) = ana.reading.next().await {
        assert!(event.data.contains("\"ping\""), "{event:?}");
        pings += 1;
    }
    assert_eq!((pings, began.elapsed().as_secs()), (3, 100));
    let last_id = ana.last_id.clone().unwrap();
    drop(ana);
    send(&router, json!({"type": "text", "session_id": "s1", "sender_id": "bo", "text": "hi"})).await;
    let mut ana = Stream::reopen(&router, "ana", &last_id).await;
    assert_eq!(types(&ana.until_answered().await), ["join_confirm", "text", "text"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_sender_posts_keeps_its_stream_open() {
    let router = impatient().gateway.router();
    let mut ana = Stream::open(&router, "ana").await;
    for _ in 0..5 {
        advance(Duration::from_secs(90)).await;
        answer(&router, post(&format!("{MESSAGE}?sender_id=ana"), &json!({"type": "ping"}))).await;
        while ana.frame().await["type"] != "pong" {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_a_record_that_does_not_grow_ends_and_goes_on_where_it_was() {
    let router = impatient().gateway.router();
    let said = json!({"text": "hi"});
    assert_eq!(answer(&router, post("/v1/conversations/c1/messages", &said)).await.0, StatusCode::OK);
    let began = Instant::now();
    let mut record = Reading::open(&router, get("/v1/conversations/c1/events")).await;
    for seq in 1..=4 {
        assert_eq!(record.event().await.1, Some(seq));
    }
    assert_eq!((record.next().await, began.elapsed().as_secs()), (None, 100));
    answer(&router, post("/v1/conversations/c1/messages", &said)).await;
    let mut again = get("/v1/conversations/c1/events");
    again.headers_mut().insert("last-event-id", 4.into());
    assert_eq!(Reading::open(&router, again).await.event().await.1, Some(5));
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
