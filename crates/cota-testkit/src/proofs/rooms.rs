//! A room is one room, whichever channel its people came by; and what a sender posts finds its event streams.

use serde_json::{Value as Json, json};

use super::{Server, Target, model};
use crate::client::events::{self, Events};
use crate::client::socketio::SocketIo;
use crate::client::{Record, Socket};
use crate::llm_server::{Settings, scripts};

/// One by an event stream, one by Socket.IO and one by a WebSocket hear of each other and of the bot.
pub async fn people_of_every_channel_meet_in_a_room(target: &impl Target) {
    let llm = model(Settings::new(scripts::chat())).await;
    let server = target.start("chat", &llm.apibase()).await;
    let address = server.address();
    let mut ann = Events::open(&address.http, "ann", "").await;
    let joined = events::post(&address.http, "ann", json!({"type": "join", "session_id": "room"})).await.json();
    assert_eq!((&joined["type"], &joined["room_info"]["users"]), (&json!("join_confirm"), &json!(["ann"])), "{joined}");
    assert_eq!(ann.next().await, joined);

    let mut ben = SocketIo::connect(&address.http, "ben").await;
    ben.emit("join", &json!({"session_id": "room"})).await;
    let joined = ben.until("join_confirm", |_| true).await;
    assert_eq!((users(&joined), &joined["room_info"]["user_count"]), (vec!["ann", "ben"], &json!(2)), "{joined}");
    let came = ann.until(|frame| frame["type"] == "user_joined").await;
    assert_eq!((&came["user_id"], users(&came)), (&json!("ben"), vec!["ann", "ben"]), "{came}");

    let mut cleo = Socket::join(&address.sockets, "cleo", "room", &json!({})).await;
    let came = ann.until(|frame| frame["type"] == "user_joined").await;
    assert_eq!(users(&came), ["ann", "ben", "cleo"]);
    assert_eq!(users(&ben.until("user_joined", |_| true).await), ["ann", "ben", "cleo"]);

    ben.emit("message", &json!({"session_id": "room", "text": "this is #1", "message_id": "m1"})).await;
    let said = ann.until(|frame| frame["message_id"] == "m1").await;
    assert_eq!((&said["sender_id"], said.get("seq")), (&json!("ben"), None), "{said}");
    let answer = ann.until(|frame| frame["reply_to"] == "m1").await;
    assert_eq!(answer["text"], "It is #1.");
    assert_eq!(cleo.answer_to("m1").await.unwrap(), answer);
    assert_eq!(ben.until("bot_uttered", |frame| frame["reply_to"] == "m1").await, answer);

    drop(ben);
    let left = ann.until(|frame| frame["type"] == "user_left").await;
    assert_eq!((&left["user_id"], users(&left)), (&json!("ben"), vec!["ann", "cleo"]), "{left}");
    let left = events::post(&address.http, "ann", json!({"type": "leave", "session_id": "room"})).await.json();
    assert_eq!(left["type"], "leave_confirm", "{left}");
    assert_eq!(ann.next().await, left);
    let left = cleo.until(|frame| frame["type"] == "user_left" && frame["user_id"] == "ann").await.unwrap();
    assert_eq!(users(&left), ["cleo"]);
}

/// Every stream of a sender gets everything, and one that comes back with its last id gets what it missed, and nothing else.
pub async fn an_event_stream_goes_on_behind_its_last_id(target: &impl Target) {
    let llm = model(Settings::new(scripts::chat())).await;
    let server = target.start("chat", &llm.apibase()).await;
    let address = server.address().http;
    let say = async |id: &str, n: u32| {
        let text = format!("this is #{n}");
        let said = events::post(&address, "ann", json!({"type": "text", "session_id": "talk", "message_id": id, "text": text})).await;
        assert_eq!((said.status, &said.json()["message_id"]), (200, &json!(id)), "{said:?}");
        said.json()
    };
    let mut streams = [Events::open(&address, "ann", "").await, Events::open(&address, "ann", "").await];
    assert_eq!(say("m1", 1).await["type"], "message_confirm");
    for stream in &mut streams {
        let kinds = [stream.next().await, stream.next().await].map(|frame| (frame["type"].clone(), frame["sender"].clone()));
        assert_eq!(kinds, [(json!("text"), json!("user")), (json!("text"), json!("bot"))]);
    }
    let [stream, other] = streams;
    assert_eq!((&stream.id, stream.id.is_empty()), (&other.id, false));
    let last_id = stream.id.clone();
    drop((stream, other));
    say("m2", 2).await;
    say("m3", 3).await;
    // Nobody was there to hear it; the record has it.
    let mut again = Events::open(&address, "ann", &last_id).await;
    assert_eq!(again.next().await["type"], "join_confirm");
    let mut missed = Vec::new();
    while missed.last().is_none_or(|frame: &Json| frame["reply_to"] != "m3") {
        missed.push(again.next().await);
    }
    let ids: Vec<&Json> = missed.iter().filter(|frame| frame["sender"] == "user").map(|frame| &frame["message_id"]).collect();
    assert_eq!(ids, ["m2", "m3"], "{missed:?}");
    assert_ne!(again.id, last_id);
    let left = events::post(&address, "ann", json!({"type": "leave", "session_id": "talk"})).await;
    assert_eq!(left.json()["type"], "leave_confirm", "{left:?}");
}

/// A stream that was cut off before anything was said comes back into the rooms it was in, and into no other.
pub async fn an_event_stream_that_only_joined_comes_back(target: &impl Target) {
    let llm = model(Settings::new(scripts::chat())).await;
    let server = target.start("chat", &llm.apibase()).await;
    let address = server.address();
    let mut ann = Events::open(&address.http, "ann", "").await;
    for (kind, session) in [("join", "left"), ("join", "room"), ("leave", "left")] {
        let confirmed = events::post(&address.http, "ann", json!({"type": kind, "session_id": session})).await.json();
        assert_eq!(ann.next().await, confirmed);
    }
    let last_id = ann.id.clone();
    drop(ann);
    let mut ben = Socket::join(&address.sockets, "ben", "left", &json!({})).await;
    ben.say("left", "m1", "this is #1").await;
    ben.answer_to("m1").await.unwrap();
    ben.say("room", "m2", "this is #2").await;
    ben.answer_to("m2").await.unwrap();
    let mut again = Events::open(&address.http, "ann", &last_id).await;
    let joined = again.next().await;
    assert_eq!((&joined["type"], &joined["session_id"]), (&json!("join_confirm"), &json!("room")), "{joined}");
    let heard = again.until(|frame| frame["type"] == "text").await;
    assert_eq!((&heard["session_id"], &heard["message_id"], heard["seq"].is_u64()), (&json!("room"), &json!("m2"), true), "{heard}");
    assert_eq!(again.until(|frame| frame["type"] == "text").await["reply_to"], "m2");
}

/// Who has no stream may speak, once, and is told where to open one.
pub async fn who_has_no_stream_may_speak_but_not_join(target: &impl Target) {
    let llm = model(Settings::new(scripts::chat())).await;
    let server = target.start("chat", &llm.apibase()).await;
    let address = server.address();
    let refused = events::post(&address.http, "ann", json!({"type": "join", "session_id": "room"})).await;
    assert_eq!((refused.status, refused.code().as_str()), (404, "not_found"), "{refused:?}");
    let mut ben = Socket::join(&address.sockets, "ben", "room", &json!({})).await;
    let say = async |text| {
        let frame = json!({"type": "text", "session_id": "room", "message_id": "m1", "text": text});
        events::post(&address.http, "ann", frame).await
    };
    for _ in 0..2 {
        let said = say("this is #1").await;
        assert_eq!((said.status, &said.json()["message_id"]), (200, &json!("m1")), "{said:?}");
    }
    ben.answer_to("m1").await.unwrap();
    let other = say("this is #2").await;
    assert_eq!((other.status, other.code().as_str(), &other.json()["message_id"]), (409, "id_reused", &json!("m1")), "{other:?}");
    // Who has no connection is in no room: nobody came, and nobody left.
    ben.say("room", "m2", "this is #2").await;
    let heard = ben.until(|frame| frame["reply_to"] == "m2" || frame["type"] == "user_joined" || frame["type"] == "user_left").await;
    assert_eq!(heard.unwrap()["reply_to"], "m2");
    assert_eq!(Record::read(&address.http, "room").await.answered_in_order(), ["m1", "m2"]);
}

fn users(frame: &Json) -> Vec<&str> {
    let mut users: Vec<&str> = frame["room_info"]["users"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    users.sort_unstable();
    users
}
