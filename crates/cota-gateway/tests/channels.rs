//! What nobody may have, over every channel there is: conversations of others, names of others, thoughts without the scope.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod client;
mod guarded;
mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use http::{HeaderValue, Request, StatusCode, header};
use serde_json::{Value as Json, json};
use tokio::time::timeout;

use cota_driver::host::Conversations as _;
use cota_gateway::socketio::{Connection, Names};
use cota_protocol::socketio::engine::{Data, Transport};

use client::{MESSAGES, ask, body, get, post};
use guarded::{Guarded, token, with_bearer};

/// Every request that shows something of the conversation `c1`, and the answers to the message `m1`.
fn reading() -> Vec<Request<Body>> {
    let listed = "/get/latest/utter/conversations?conversation_ids=%5B%22c1%22%5D";
    vec![
        get("/v1/conversations/c1"),
        get("/v1/conversations/c1/events"),
        get("/v1/conversations/c1/messages/m1"),
        get("/get/conversations/c1/tracker"),
        get("/get/history/message/conversation/c1"),
        get(listed),
    ]
}

/// Every request that says something in the conversation `c1` and is answered with the turn.
fn saying(text: &str) -> Vec<Request<Body>> {
    let mut streamed = post(MESSAGES, &json!({"text": text}));
    streamed.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    let asked = |stream| {
        let messages = json!([{"role": "user", "content": text}]);
        let mut asked = post("/v1/chat/completions", &json!({"messages": messages, "stream": stream}));
        asked.headers_mut().insert("x-conversation-id", HeaderValue::from_static("c1"));
        asked
    };
    vec![
        post(MESSAGES, &json!({"text": text})),
        streamed,
        asked(false),
        asked(true),
        post("/add/message/c1/tracker", &json!({"text": text})),
        post("/webhooks/rest/webhook", &json!({"sender": "ana", "message": text})),
    ]
}

fn name_of(request: &Request<Body>) -> String {
    format!("{} {}", request.method(), request.uri())
}

/// A Socket.IO connection that has proved who it is.
async fn connect(guarded: &Guarded, bearer: &str) -> Connection {
    let parts = get("/socket.io/?EIO=4&transport=websocket").into_parts().0;
    let names = Names { sid: format!("sid of {bearer}"), name: "guest".to_owned() };
    let mut connection = guarded.world.gateway.open_socketio(&parts, Transport::WebSocket, names).unwrap();
    connection.receive_frame(Data::Text(format!("40{}", json!({"token": bearer})))).await;
    connection
}

/// Everything that comes until there is an answer to event 7.
async fn emit(connection: &mut Connection, name: &str, content: Json) -> String {
    connection.receive_frame(Data::Text(format!("427{}", json!([name, content])))).await;
    let mut said = String::new();
    let answered = timeout(Duration::from_secs(10), async {
        while !said.contains("437[") {
            match connection.engine().next_frame() {
                Some(Data::Text(text)) => said.push_str(&text),
                Some(Data::Binary(_)) => panic!("a binary frame"),
                None => connection.next().await,
            }
        }
    });
    answered.await.expect("no answer came");
    said
}

/// What the next frames of a connection say, up to one with this text.
async fn hear(connection: &mut Connection, wanted: &str) -> String {
    let mut said = String::new();
    let heard = timeout(Duration::from_secs(10), async {
        while !said.contains(wanted) {
            match connection.engine().next_frame() {
                Some(Data::Text(text)) => said.push_str(&text),
                Some(Data::Binary(_)) => panic!("a binary frame"),
                None => connection.next().await,
            }
        }
    });
    heard.await.expect("it was not said");
    said
}

#[tokio::test]
async fn a_conversation_of_another_is_not_there() {
    let guarded = Guarded::new();
    let (ana, bo) = (token("ana", "chat inspect"), token("bo", "chat inspect"));
    let secret = post(MESSAGES, &json!({"text": "the safe is open", "message_id": "m1"}));
    assert_eq!(guarded.ask(&ana, secret).await.0, StatusCode::OK);
    for request in reading() {
        let what = name_of(&request);
        let mine = body(ask(&guarded.router, with_bearer(&ana, get(&request.uri().to_string()))).await).await;
        assert!(mine.contains("safe") || what.ends_with("/c1"), "{what}: {mine}");
        let told = body(ask(&guarded.router, with_bearer(&bo, request)).await).await;
        assert!(!told.contains("safe"), "{what}: {told}");
    }
    let mut socket = guarded.socket("bo").await;
    let joined = socket.send(json!({"type": "join", "session_id": "c1", "after": 0})).await;
    assert_eq!((&joined["type"], &joined["room_info"]["users"]), (&json!("join_confirm"), &json!(["bo"])));
    assert_eq!(socket.send(json!({"type": "ping"})).await["type"], "pong", "nothing is replayed");
    let mut connection = connect(&guarded, &bo).await;
    let joined = emit(&mut connection, "join", json!({"session_id": "c1", "after": 0})).await;
    assert!(joined.contains("\"ok\"") && !joined.contains("safe"), "{joined}");
    let ticket = guarded.ticket(&bo, "").await;
    let mut stream = get(&format!("/sse?ticket={ticket}"));
    stream.headers_mut().insert("last-event-id", HeaderValue::from_static("0:c1"));
    let mut stream = ask(&guarded.router, stream).await.into_body().into_data_stream();
    for wanted in ["login", "join_confirm"] {
        let said = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
        assert!(said.contains(wanted) && !said.contains("safe"), "{said}");
    }
}

#[tokio::test]
async fn an_invitation_is_for_one_conversation_and_one_guest_whichever_way_they_come() {
    let guarded = Guarded::new();
    let (ana, bo, cy) = (token("ana", "chat"), token("bo", "chat"), token("cy", "chat"));
    let secret = post(MESSAGES, &json!({"text": "the safe is open", "message_id": "m1"}));
    assert_eq!(guarded.ask(&ana, secret).await.0, StatusCode::OK);
    let invitation = guarded.invitation(&ana, "c1").await;
    let join = |session: &str, token: &str| json!({"type": "join", "session_id": session, "after": 0, "token": token});
    let mut guest = connect(&guarded, &bo).await;
    for (session, token) in [("c2", invitation.as_str()), ("c1", "none")] {
        let told = emit(&mut guest, "join", join(session, token)).await;
        assert!(told.contains("\"forbidden\"") && !told.contains("safe"), "{told}");
    }
    let told = emit(&mut guest, "join", join("c1", &invitation)).await;
    assert!(told.contains("\"ok\""), "{told}");
    hear(&mut guest, "the safe is open").await;
    let used = join("c1", &invitation);
    let told = emit(&mut connect(&guarded, &cy).await, "join", used.clone()).await;
    assert!(told.contains("\"forbidden\""), "{told}");
    assert_eq!(guarded.socket("cy").await.send(used.clone()).await["code"], "forbidden");
    let ticket = guarded.ticket(&cy, "").await;
    let mut stream = ask(&guarded.router, get(&format!("/sse?ticket={ticket}"))).await.into_body().into_data_stream();
    assert!(String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()).contains("login"));
    let (status, told) = guarded.ask(&cy, post("/sse/message", &used)).await;
    assert_eq!((status, &told["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
}

#[tokio::test]
async fn nobody_speaks_under_the_name_of_another() {
    let guarded = Guarded::new();
    let bo = token("bo", "chat");
    let mut asked = post("/v1/chat/completions", &json!({"user": "ana", "messages": [{"role": "user", "content": "hi"}]}));
    asked.headers_mut().insert("x-conversation-id", HeaderValue::from_static("c1"));
    for request in [
        post(MESSAGES, &json!({"text": "hi", "sender_id": "ana"})),
        post(&format!("{MESSAGES}?sender_id=ana"), &json!({"text": "hi"})),
        asked,
        post("/add/message/c1/tracker", &json!({"text": "hi", "sender_id": "ana"})),
        post("/webhooks/rest/webhook", &json!({"sender": "ana", "message": "hi"})),
        post("/sse/message", &json!({"type": "text", "session_id": "c1", "sender_id": "ana", "text": "hi"})),
        post("/v1/tickets?sender_id=ana", &json!({})),
        post("/v1/conversations/c1/invitations?sender_id=ana", &json!({})),
        get("/v1/conversations/c1?sender_id=ana"),
        get("/v1/conversations/c1/events?sender_id=ana"),
        get("/get/conversations/c1/tracker?sender_id=ana"),
        get("/get/history/message/conversation/c1?sender_id=ana"),
        get("/get/latest/utter/conversations?conversation_ids=%5B%22c1%22%5D&sender_id=ana"),
        get("/sse?sender_id=ana"),
    ] {
        let what = name_of(&request);
        assert_eq!(ask(&guarded.router, with_bearer(&bo, request)).await.status(), StatusCode::FORBIDDEN, "{what}");
    }
    let mut socket = guarded.socket("bo").await;
    for frame in [
        json!({"type": "join", "session_id": "c1", "sender_id": "ana"}),
        json!({"type": "text", "session_id": "c1", "sender_id": "ana", "text": "hi"}),
        json!({"type": "image", "session_id": "c1", "sender_id": "ana", "image": "https://example.org/a.png"}),
        json!({"type": "leave", "session_id": "c1", "sender_id": "ana"}),
    ] {
        assert_eq!(socket.send(frame.clone()).await["code"], "forbidden", "{frame}");
    }
    for (event, content) in [
        ("login", json!({"user_id": "ana"})),
        ("join", json!({"session_id": "c1", "sender_id": "ana"})),
        ("message", json!({"session_id": "c1", "sender_id": "ana", "text": "hi"})),
    ] {
        let mut connection = connect(&guarded, &bo).await;
        let told = emit(&mut connection, event, content).await;
        assert!(told.contains("\"forbidden\""), "{event}: {told}");
    }
    assert_eq!(guarded.world.host.metrics().accepted.load(Ordering::Relaxed), 0, "nothing was said");
}

#[tokio::test]
async fn thoughts_are_for_those_with_the_scope() {
    let guarded = Guarded::new();
    let (plain, inspecting) = (token("ana", "chat"), token("ana", "chat inspect"));
    let first = post(MESSAGES, &json!({"text": "hi", "message_id": "m1"}));
    assert_eq!(guarded.ask(&plain, first).await.0, StatusCode::OK);
    let is_secret = |told: &str| told.contains("a secret thought") || told.contains("\"llm_calls\":[");
    let mut seen = 0;
    for (bearer, may_see) in [(&plain, false), (&inspecting, true)] {
        let mut saying = saying("hello");
        let mut again = post(MESSAGES, &json!({"text": "hi", "message_id": "m1"}));
        again.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        saying.push(again);
        for request in reading().into_iter().chain(saying) {
            let what = name_of(&request);
            let told = body(ask(&guarded.router, with_bearer(bearer, request)).await).await;
            assert!(may_see || !is_secret(&told), "{what}: {told}");
            seen += usize::from(is_secret(&told));
        }
        let mut record = get("/v1/conversations/c1/events");
        record.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let mut stream = ask(&guarded.router, with_bearer(bearer, record)).await.into_body().into_data_stream();
        let mut told = String::new();
        while !told.contains("turn_end") {
            told.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
        assert_eq!(is_secret(&told), may_see, "{told}");
        let mut connection = connect(&guarded, bearer).await;
        let mut told = emit(&mut connection, "join", json!({"session_id": "c1", "after": 0, "stream": true})).await;
        told.push_str(&emit(&mut connection, "message", json!({"session_id": "c1", "text": "stream on"})).await);
        told.push_str(&hear(&mut connection, "you said: stream on").await);
        assert!(told.contains("you said: hi") && !is_secret(&told), "sockets carry what is said: {told}");
    }
    assert!(seen >= 5, "who may see them does: {seen}");
    let mut socket = guarded.socket("ana").await;
    let mut told = socket.send(json!({"type": "join", "session_id": "c1", "after": 0})).await.to_string();
    while !told.contains("you said: stream on") {
        told.push_str(&socket.next().await.to_string());
    }
    assert!(!is_secret(&told), "{told}");
    let only_inspecting = token("ana", "inspect");
    assert_eq!(guarded.ask(&only_inspecting, get("/v1/conversations/c1")).await.0, StatusCode::FORBIDDEN);
}
