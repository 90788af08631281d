//! COTA's own routes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod support;

use cota_core::event::MessageContent;
use cota_protocol::websocket::Message;
use http::StatusCode;
use serde_json::json;

use client::{answer, get, post};
use support::world;

const ADD: &str = "/add/message/c1/tracker";

#[tokio::test(start_paused = true)]
async fn a_message_is_answered_with_the_tracker_which_can_be_had_again() {
    let router = world().gateway.router();
    let request = json!({"text": "hi", "sender": "user", "sender_id": "ana", "meta_data": {"source": "web"}});
    let (status, tracker) = answer(&router, post(ADD, &request)).await;
    assert_eq!((status, &tracker["session_id"], &tracker["slots"]), (StatusCode::OK, &json!("c1"), &json!({})));
    let names: Vec<_> = tracker["actions"].as_array().unwrap().iter().map(|action| action["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["UserUtter", "Selector", "BotUtter"]);
    let said = &tracker["actions"][0];
    assert_eq!(said["timestamp"], "2026-03-01T12:00:00.000Z");
    let expected = json!({"text": "hi", "sender": "user", "sender_id": "ana", "type": "text"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&said["result"][0][name], value, "{name}");
    }
    let answered = &tracker["actions"][2]["result"][0];
    assert_eq!((&answered["text"], &answered["sender"], &answered["sender_id"]), (&json!("you said: hi"), &json!("bot"), &json!("parrot")));
    assert_eq!(answer(&router, get("/get/conversations/c1/tracker")).await, (StatusCode::OK, tracker));
}

#[tokio::test]
async fn messages_are_listed_for_one_conversation_and_the_latest_of_several() {
    let router = world().gateway.router();
    for (conversation, text) in [("c1", "hi"), ("c1", "how are you"), ("c2", "bye")] {
        let (status, _) = answer(&router, post(&format!("/add/message/{conversation}/tracker"), &json!({"text": text}))).await;
        assert_eq!(status, StatusCode::OK);
    }
    let (_, history) = answer(&router, get("/get/history/message/conversation/c1")).await;
    let told: Vec<_> =
        history["conversations"].as_array().unwrap().iter().map(|said| (said["sender"].as_str(), said["text"].as_str())).collect();
    let expected = [("user", "hi"), ("bot", "you said: hi"), ("user", "how are you"), ("bot", "you said: how are you")];
    assert_eq!(told, expected.map(|(sender, text)| (Some(sender), Some(text))));
    assert_eq!((&history["conversations"][0]["type"], &history["conversations"][0]["session_id"]), (&json!("text"), &json!("c1")));

    let latest = "/get/latest/utter/conversations?conversation_ids=%5B%22c1%22%2C%22nobody%22%2C%22c2%22%5D";
    let (_, latest) = answer(&router, get(latest)).await;
    let told: Vec<_> =
        latest["conversations"].as_array().unwrap().iter().map(|said| (said["session_id"].as_str(), said["text"].as_str())).collect();
    assert_eq!(told, [("c1", "you said: how are you"), ("c2", "you said: bye")].map(|(id, text)| (Some(id), Some(text))));
}

#[tokio::test]
async fn an_image_in_the_record_is_an_image_here() {
    let world = world();
    let payload = Some(Message::image_payload("https://example.org/cat.png"));
    world.say("c1", MessageContent { payload, ..MessageContent::default() }).await;
    let router = world.gateway.router();
    let request = json!({"text": "what do you see?"});
    assert_eq!(answer(&router, post(ADD, &request)).await.0, StatusCode::OK);
    let (_, history) = answer(&router, get("/get/history/message/conversation/c1")).await;
    let image = &history["conversations"][0];
    assert_eq!((&image["type"], &image["payload"]), (&json!("image"), &json!({"src": "https://example.org/cat.png"})));
    let (_, tracker) = answer(&router, get("/get/conversations/c1/tracker")).await;
    assert_eq!(tracker["actions"][0]["result"][0]["type"], "image");
}

#[tokio::test]
async fn what_cannot_be_taken_is_a_problem() {
    let router = world().gateway.router();
    let many = format!("/get/latest/utter/conversations?conversation_ids=[{}]", ["%22c%22"; 101].join(","));
    for (request, status, code) in [
        (post(ADD, &json!({})), 400, "bad_request"),
        (post(ADD, &json!({"text": "hi", "sender": "bot"})), 400, "bad_request"),
        (get("/get/conversations/c1/tracker"), 404, "not_found"),
        (get("/get/history/message/conversation/c1"), 404, "not_found"),
        (get("/get/latest/utter/conversations"), 400, "bad_request"),
        (get("/get/latest/utter/conversations?conversation_ids=c1"), 400, "bad_request"),
        (get("/get/latest/utter/conversations?conversation_ids=%5B%22a%20b%22%5D"), 400, "bad_request"),
        (get(&many), 400, "bad_request"),
    ] {
        let (found, problem) = answer(&router, request).await;
        assert_eq!((found.as_u16(), problem["code"].as_str().unwrap()), (status, code), "{problem}");
    }
}
