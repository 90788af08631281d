//! Answers and records as Server-Sent Events.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod support;

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::json;

use client::{MESSAGES, Reading, answer, ask, get, post};
use cota_core::bot::OnBusy;
use support::{world, world_with};

fn whole_turn(first: u64) -> Vec<(String, Option<u64>)> {
    [("action", 0), ("action", 1), ("action", 2), ("message", 2), ("done", 3)]
        .map(|(name, place)| (name.to_owned(), Some(first + place)))
        .to_vec()
}

fn from(last_event_id: u64, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("last-event-id", last_event_id.into());
    request
}

#[tokio::test]
async fn a_turn_is_streamed_to_its_end() {
    let world = world();
    let router = world.gateway.router();
    let request = post(MESSAGES, &json!({"text": "stream and wait", "message_id": "m1"}));
    let mut reading = Reading::open(&router, request).await;
    let mut shown = String::new();
    while shown != "you said" {
        let (name, id, delta) = reading.event().await;
        assert_eq!((name.as_str(), id), ("delta", None));
        assert_eq!(delta["offset"], shown.chars().count());
        shown.push_str(delta["text"].as_str().unwrap());
    }
    world.model.may_answer.add_permits(1);
    let (name, id, taken_back) = reading.event().await;
    assert_eq!((name.as_str(), id), ("reset", None));
    for seq in 1..=3 {
        let (name, id, action) = reading.event().await;
        assert_eq!((name.as_str(), id), ("action", Some(seq)), "{action}");
    }
    let (name, id, message) = reading.event().await;
    assert_eq!((name.as_str(), id, &message["text"]), ("message", Some(3), &json!("you said: stream and wait")));
    assert_eq!(taken_back["message_id"], message["message_id"]);
    let (name, id, done) = reading.event().await;
    assert_eq!((name.as_str(), id), ("done", Some(4)));
    assert_eq!(done, answer(&router, get("/v1/conversations/c1/messages/m1")).await.1);
    assert!(reading.next().await.is_none());
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_that_was_received() {
    let router = world().gateway.router();
    answer(&router, post(MESSAGES, &json!({"text": "before"}))).await;
    let request = || post(MESSAGES, &json!({"text": "hi", "message_id": "m1"}));
    assert_eq!(Reading::open(&router, request()).await.rest().await, whole_turn(5));
    assert_eq!(Reading::open(&router, request()).await.rest().await, whole_turn(5));
    for (last, skipped) in [(3, 0), (5, 0), (6, 1), (7, 2), (8, 4)] {
        assert_eq!(Reading::open(&router, from(last, request())).await.rest().await, whole_turn(5)[skipped..], "after {last}");
    }
}

#[tokio::test]
async fn a_stream_that_was_cut_in_the_middle_of_a_turn_is_resumed() {
    let world = world();
    let router = world.gateway.router();
    let request = || post(MESSAGES, &json!({"text": "stream and wait", "message_id": "m1"}));
    let mut cut = Reading::open(&router, request()).await;
    assert_eq!(cut.event().await.0, "delta");
    drop(cut);
    world.model.waiting.acquire().await.unwrap().forget();
    let mut again = Reading::open(&router, request()).await;
    let (name, _, delta) = again.event().await;
    assert_eq!((name.as_str(), &delta["offset"]), ("delta", &json!(0)));
    world.model.may_answer.add_permits(1);
    let rest = again.rest().await;
    assert_eq!(rest.last().unwrap(), &("done".to_owned(), Some(4)));
}

#[tokio::test]
async fn a_turn_that_outlasts_the_request_or_is_superseded_says_so_in_the_stream() {
    let world = world_with(OnBusy::Latest, |options| options.request_ms = 20);
    let router = world.gateway.router();
    let request = || post(MESSAGES, &json!({"text": "wait", "message_id": "m1"}));
    let mut reading = Reading::open(&router, request()).await;
    let (name, id, pending) = reading.event().await;
    assert_eq!((name.as_str(), id, pending), ("pending", None, json!({"status": "running", "message_id": "m1"})));
    assert!(reading.next().await.is_none());

    assert_eq!(answer(&router, post(MESSAGES, &json!({"text": "hi"}))).await.0, StatusCode::OK);
    let rest = Reading::open(&router, request()).await.rest().await;
    assert_eq!(rest.last().unwrap(), &("error".to_owned(), None));
}

#[tokio::test]
async fn the_record_is_followed_from_any_place_on() {
    let router = world().gateway.router();
    answer(&router, post(MESSAGES, &json!({"text": "one"}))).await;
    let mut all = Reading::open(&router, get("/v1/conversations/c1/events")).await;
    let mut some = Reading::open(&router, get("/v1/conversations/c1/events?after=2")).await;
    let mut resumed = Reading::open(&router, from(3, get("/v1/conversations/c1/events?after=0"))).await;
    answer(&router, post(MESSAGES, &json!({"text": "two"}))).await;
    for (reading, first) in [(&mut all, 1), (&mut some, 3), (&mut resumed, 4)] {
        for seq in first..=8 {
            let (name, id, event) = reading.event().await;
            assert_eq!((id, &event["seq"], &event["kind"]), (Some(seq), &json!(seq), &json!(name)));
        }
    }
    let delete = Request::delete("/v1/conversations/c1").body(Body::empty()).unwrap();
    assert_eq!(ask(&router, delete).await.status(), StatusCode::NO_CONTENT);
    assert!(all.next().await.is_none());
}
