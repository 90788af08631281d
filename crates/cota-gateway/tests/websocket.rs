//! COTA's frames, spoken to sessions without any socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod support;

use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, StatusCode, header};
use serde_json::{Value as Json, json};
use tokio::time::timeout;

use cota_core::bot::OnBusy;
use cota_gateway::problem;
use cota_gateway::websocket::{Opening, Session};
use support::{FLOOD, World, two_processes, world, world_with};

/// A client with its session.
struct Client(Session);

fn opening(world: &World, uri: &str, origin: Option<&str>, host: &str) -> Opening {
    let request = Request::get(uri).header(header::HOST, host);
    let request = origin.into_iter().fold(request, |request, origin| request.header(header::ORIGIN, origin));
    let mut parts = request.body(Body::empty()).unwrap().into_parts().0;
    match world.gateway.admit(&mut parts).now_or_never().expect("without identity there is nothing to wait for") {
        Ok(()) => world.gateway.open(&parts),
        Err(refused) => Opening::Refused(problem(&refused)),
    }
}

impl Client {
    /// Opens a session and takes its login.
    async fn open(world: &World, sender: &str) -> Self {
        let Opening::Session(session) = opening(world, &format!("/websocket?sender_id={sender}"), None, "localhost:5005") else {
            panic!("the session was refused");
        };
        let mut client = Self(*session);
        let login = client.frame().await;
        assert_eq!((&login["type"], &login["sender_id"]), (&json!("login"), &json!(sender)));
        client
    }

    /// A session that has joined `s1`.
    async fn joined(world: &World, sender: &str, stream: bool) -> Self {
        let mut client = Self::open(world, sender).await;
        client.send(json!({"type": "join", "session_id": "s1", "sender_id": sender, "stream": stream})).await;
        assert_eq!(client.frame().await["type"], "join_confirm");
        client
    }

    async fn send(&mut self, frame: Json) {
        self.0.handle(&frame.to_string()).await;
    }

    async fn say(&mut self, text: &str, id: &str) {
        self.send(json!({"type": "text", "session_id": "s1", "text": text, "message_id": id})).await;
    }

    async fn frame(&mut self) -> Json {
        let frame = timeout(Duration::from_secs(10), self.0.next()).await.expect("no frame came");
        serde_json::from_str(&frame.encode()).unwrap()
    }

    /// The next frames as their type, sender, text and place in the record.
    async fn frames(&mut self, count: usize) -> Vec<String> {
        let mut frames = Vec::new();
        for _ in 0..count {
            let frame = self.frame().await;
            let part = |name: &str| frame.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
            let parts = ["type", "user_id", "sender", "text", "code", "seq"].map(part);
            frames.push(parts.into_iter().flatten().collect::<Vec<_>>().join(" "));
        }
        frames
    }

    fn has_nothing(&mut self) -> bool {
        self.0.ready().is_none()
    }
}

#[tokio::test]
async fn a_message_is_echoed_and_answered() {
    let world = world();
    let mut ana = Client::joined(&world, "ana", false).await;
    ana.say("hi", "m1").await;
    let echo = ana.frame().await;
    let expected = json!({
        "type": "text", "text": "hi", "sender": "user", "sender_id": "ana", "receiver": "bot", "receiver_id": "bot",
        "session_id": "s1", "message_id": "m1", "metadata": {}
    });
    assert_eq!(echo, expected);
    let reply = ana.frame().await;
    let id = reply["message_id"].as_str().unwrap().to_owned();
    assert!(id.ends_with(".0"), "{id}");
    let expected = json!({
        "type": "text", "text": "you said: hi", "sender": "bot", "sender_id": "parrot", "receiver": "user", "receiver_id": "ana",
        "session_id": "s1", "message_id": id, "reply_to": "m1", "seq": 3, "metadata": {}
    });
    assert_eq!(reply, expected);
}

#[tokio::test]
async fn the_whole_room_sees_messages_answers_and_who_comes_and_goes() {
    let world = world();
    let mut ana = Client::joined(&world, "ana", false).await;
    let mut again = Client::joined(&world, "ana", false).await;
    assert!(ana.has_nothing(), "a second socket of a user is nobody new");
    let mut bo = Client::joined(&world, "bo", false).await;
    for client in [&mut ana, &mut again] {
        let joined = client.frame().await;
        let room = json!({"room_id": "s1", "user_count": 2, "users": ["ana", "bo"]});
        assert_eq!(joined, json!({"type": "user_joined", "user_id": "bo", "room_info": room}));
    }
    bo.say("hi", "m1").await;
    for client in [&mut ana, &mut again, &mut bo] {
        assert_eq!(client.frames(2).await, ["text user hi", "text bot you said: hi 3"]);
    }
    drop(again);
    assert!(bo.has_nothing(), "the user is still there");
    bo.send(json!({"type": "leave", "session_id": "s1", "sender_id": "bo"})).await;
    assert_eq!(bo.frames(1).await, ["leave_confirm"]);
    assert_eq!(ana.frames(1).await, ["user_left bo"]);
    ana.say("anybody?", "m2").await;
    assert_eq!(ana.frames(2).await, ["text user anybody?", "text bot you said: anybody? 7"]);
    assert!(bo.has_nothing(), "who left hears nothing");
}

#[tokio::test]
async fn a_replay_brings_what_came_after_and_goes_on_without_gap_or_double() {
    let world = world();
    let mut ana = Client::joined(&world, "ana", false).await;
    for (text, id) in [("one", "m1"), ("two", "m2"), ("wait", "m3")] {
        ana.say(text, id).await;
    }
    world.model.waiting.acquire().await.unwrap().forget();
    for (after, replayed) in [
        (Some(0), vec!["text user one 1", "text bot you said: one 3", "text user two 5", "text bot you said: two 7"]),
        (Some(3), vec!["text user two 5", "text bot you said: two 7"]),
        (Some(8), vec![]),
        (Some(99), vec![]),
        (None, vec![]),
    ] {
        let mut late = Client::open(&world, "late").await;
        late.send(json!({"type": "join", "session_id": "s1", "after": after})).await;
        assert_eq!(late.frames(1).await, ["join_confirm"]);
        assert_eq!(late.frames(replayed.len()).await, replayed, "after {after:?}");
        assert!(late.has_nothing(), "after {after:?}");
    }
    let mut late = Client::open(&world, "late").await;
    late.send(json!({"type": "join", "session_id": "s1", "after": 7})).await;
    world.model.may_answer.add_permits(1);
    assert_eq!(late.frames(3).await, ["join_confirm", "text user wait 9", "text bot you said: wait 11"]);
}

#[tokio::test]
async fn a_message_is_shown_once_whether_the_record_or_the_news_of_it_comes_first() {
    let world = world();
    let mut ana = Client::joined(&world, "ana", false).await;
    ana.say("one", "m1").await;
    assert_eq!(ana.frames(2).await, ["text user one", "text bot you said: one 3"]);
    let mut late = Client::open(&world, "bo").await;
    late.send(json!({"type": "join", "session_id": "s1", "after": 0})).await;
    ana.say("two", "m2").await;
    assert_eq!(ana.frames(3).await, ["user_joined bo", "text user two", "text bot you said: two 7"]);
    // Only now does the late one read: the record holds what its queue holds too.
    let expected = ["join_confirm", "text user one 1", "text bot you said: one 3", "text user two 5", "text bot you said: two 7"];
    assert_eq!(late.frames(5).await, expected);
    assert!(late.has_nothing());
}

#[tokio::test]
async fn only_who_asks_for_it_gets_a_reply_piece_by_piece() {
    let world = world();
    let mut streams = Client::joined(&world, "ana", true).await;
    let mut whole = Client::joined(&world, "bo", false).await;
    assert_eq!(streams.frames(1).await, ["user_joined bo"]);
    whole.say("stream and wait", "m1").await;
    world.model.waiting.acquire().await.unwrap().forget();
    assert_eq!(streams.frames(1).await, ["text user stream and wait"]);
    let mut shown = String::new();
    while shown != "you said" {
        let delta = streams.frame().await;
        assert_eq!((&delta["type"], &delta["offset"]), (&json!("delta"), &json!(shown.chars().count())));
        shown.push_str(delta["text"].as_str().unwrap());
    }
    let mut late = Client::open(&world, "cy").await;
    late.send(json!({"type": "join", "session_id": "s1", "stream": true})).await;
    assert_eq!(late.frames(2).await, ["join_confirm", "delta you said"]);
    world.model.may_answer.add_permits(1);
    assert_eq!(streams.frames(3).await, ["user_joined cy", "reset", "text bot you said: stream and wait 3"]);
    assert_eq!(whole.frames(3).await, ["user_joined cy", "text user stream and wait", "text bot you said: stream and wait 3"]);
}

#[tokio::test]
async fn a_slow_reader_gets_a_reset_and_the_whole() {
    let world = world();
    let mut slow = Client::joined(&world, "ana", true).await;
    slow.say("stream, wait and flood", "m1").await;
    world.model.waiting.acquire().await.unwrap().forget();
    assert_eq!(slow.frames(2).await, ["text user stream, wait and flood", "delta you said"]);
    world.model.may_answer.add_permits(1);
    world.model.waiting.acquire().await.unwrap().forget();
    assert_eq!(slow.frames(2).await, ["reset".to_owned(), format!("delta you said{}", "!".repeat(FLOOD))]);
    world.model.may_answer.add_permits(1);
    assert_eq!(slow.frames(2).await, ["reset", "text bot you said: stream, wait and flood 3"]);
}

#[tokio::test]
async fn a_repeated_message_is_acknowledged_and_answered_to_its_sender_alone() {
    let world = world();
    let mut ana = Client::joined(&world, "ana", false).await;
    ana.say("hi", "m1").await;
    assert_eq!(ana.frames(2).await, ["text user hi", "text bot you said: hi 3"]);
    let mut other = Client::joined(&world, "ana", false).await;
    ana.say("hi", "m1").await;
    assert_eq!(ana.frames(2).await, ["text user hi", "text bot you said: hi 3"]);
    assert!(other.has_nothing());
    ana.say("bye", "m1").await;
    let error = ana.frame().await;
    assert_eq!((&error["type"], &error["code"], &error["message_id"]), (&json!("error"), &json!("id_reused"), &json!("m1")));
}

#[tokio::test]
async fn five_messages_at_once_are_answered_in_order() {
    let world = world_with(OnBusy::Queue, |_| {});
    let mut ana = Client::joined(&world, "ana", false).await;
    ana.say("wait", "m0").await;
    world.model.waiting.acquire().await.unwrap().forget();
    for n in 1..=3 {
        ana.say(&format!("text {n}"), &format!("m{n}")).await;
    }
    assert_eq!(ana.frames(4).await, ["error queue_full", "text user wait", "text user text 1", "text user text 2"]);
    world.model.may_answer.add_permits(1);
    assert_eq!(ana.frames(3).await, ["text bot you said: wait 3", "text bot you said: text 1 7", "text bot you said: text 2 11"]);
}

#[tokio::test]
async fn a_superseded_message_ends_with_an_error_for_the_room() {
    let world = world_with(OnBusy::Latest, |_| {});
    let mut ana = Client::joined(&world, "ana", false).await;
    ana.say("wait", "m1").await;
    world.model.waiting.acquire().await.unwrap().forget();
    ana.say("never mind", "m2").await;
    assert_eq!(ana.frames(2).await, ["text user wait", "text user never mind"]);
    let error = ana.frame().await;
    assert_eq!((&error["code"], &error["message_id"]), (&json!("superseded"), &json!("m1")));
    assert!(ana.frames(1).await[0].starts_with("text bot you said: never mind"));
}

#[tokio::test]
async fn a_message_needs_no_join_and_an_image_is_shown_to_the_room() {
    let world = world();
    let mut bo = Client::joined(&world, "bo", false).await;
    let mut ana = Client::open(&world, "ana").await;
    let image = "https://example.org/a.png";
    ana.send(json!({"type": "image", "session_id": "s1", "image": image, "message_id": "m1"})).await;
    assert_eq!(bo.frames(1).await, ["user_joined ana"]);
    for client in [&mut ana, &mut bo] {
        let frame = client.frame().await;
        assert_eq!((&frame["type"], &frame["payload"]), (&json!("image"), &json!({"src": image})));
        assert!(client.frames(1).await[0].starts_with("text bot"));
    }
    ana.send(json!({"type": "text", "session_id": "s1", "text": "psst", "receiver": "bo", "message_id": "m2"})).await;
    let relayed = bo.frame().await;
    assert_eq!((&relayed["receiver"], &relayed["receiver_id"]), (&json!("user"), &json!("bo")));
}

#[tokio::test]
async fn what_cannot_be_taken_is_an_error_and_the_session_goes_on() {
    let world = world();
    let mut ana = Client::open(&world, "ana").await;
    for (frame, code) in [
        ("{\"type\": ".to_owned(), "bad_json"),
        ("[]".to_owned(), "bad_frame"),
        (json!({"type": "dance"}).to_string(), "unknown_type"),
        (json!({"type": "join"}).to_string(), "bad_frame"),
        (json!({"type": "join", "session_id": "s1", "sender_id": "bo"}).to_string(), "forbidden"),
        (json!({"type": "leave", "session_id": "s1", "sender_id": "bo"}).to_string(), "forbidden"),
        (json!({"type": "text", "session_id": "s1", "sender_id": "bo", "text": "hi"}).to_string(), "forbidden"),
        (json!({"type": "text", "session_id": "s1", "text": "x".repeat(16 * 1024 + 1)}).to_string(), "text_too_long"),
        (json!({"type": "ping", "more": "x".repeat(64 * 1024)}).to_string(), "payload_too_large"),
    ] {
        ana.0.handle(&frame).await;
        assert_eq!(ana.frames(1).await, [format!("error {code}")]);
    }
    ana.0.refuse_binary();
    assert_eq!(ana.frames(1).await, ["error bad_frame"]);
    for n in 0..33 {
        ana.send(json!({"type": "join", "session_id": format!("s{n}")})).await;
        assert_eq!(ana.frames(1).await, [if n < 32 { "join_confirm" } else { "error bad_frame" }]);
    }
    ana.send(json!({"type": "ping"})).await;
    assert_eq!(ana.frames(1).await, ["pong"]);
}

#[tokio::test]
async fn a_forgotten_session_begins_anew() {
    let world = world();
    let mut ana = Client::joined(&world, "ana", false).await;
    ana.say("one", "m1").await;
    assert_eq!(ana.frames(2).await, ["text user one", "text bot you said: one 3"]);
    world.forget("s1").await;
    assert_eq!(ana.frames(1).await, ["error not_found"]);
    ana.say("one", "m1").await;
    assert_eq!(ana.frames(2).await, ["text user one", "text bot you said: one 3"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_another_process_is_found_in_the_record() {
    let [here, there] = two_processes();
    let mut bo = Client::joined(&there, "bo", false).await;
    bo.say("wait", "m1").await;
    assert_eq!(bo.frames(1).await, ["text user wait"]);
    here.model.waiting.acquire().await.unwrap().forget();
    let mut ana = Client::joined(&here, "ana", false).await;
    ana.say("hi", "m2").await;
    assert_eq!(ana.frames(1).await, ["text user hi"]);
    here.model.may_answer.add_permits(1);
    assert_eq!(ana.frames(3).await, ["text user wait 1", "text bot you said: wait 3", "text bot you said: hi 7"]);
    assert_eq!(bo.frames(3).await, ["text bot you said: wait 3", "text user hi 5", "text bot you said: hi 7"]);
}

#[tokio::test]
async fn who_may_open_a_session() {
    let world = world();
    for (uri, origin, host, status) in [
        ("/websocket?sender_id=ana", Some("https://evil.example"), "localhost", StatusCode::FORBIDDEN),
        ("/websocket?sender_id=ana", None, "evil.example", StatusCode::FORBIDDEN),
        ("/websocket?sender_id=ana&bot=nobody", None, "localhost", StatusCode::NOT_FOUND),
        ("/websocket?sender_id=a%0Ab", None, "localhost", StatusCode::BAD_REQUEST),
    ] {
        let Opening::Refused(response) = opening(&world, uri, origin, host) else { panic!("{uri} from {origin:?} was let in") };
        assert_eq!(response.status(), status, "{uri}");
    }
    assert!(matches!(opening(&world, "/websocket", None, "localhost"), Opening::MissingSender));
    assert!(matches!(
        opening(&world, "/websocket?sender_id=ana&bot=other", Some("http://localhost:3000"), "localhost"),
        Opening::Session(_)
    ));
}
