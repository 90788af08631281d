//! Both vocabularies of Socket.IO, spoken to connections without any socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt as _;
use http::Request;
use serde_json::{Value as Json, json};
use tokio::time::{Instant, timeout};

use cota_core::bot::OnBusy;
use cota_driver::ledger::MemoryLedger;
use cota_gateway::identity::{Chance, Identities, NoChance, keys};
use cota_gateway::limits::{Limiter, Limits};
use cota_gateway::socketio::{Connection, Names};
use cota_gateway::{Access, Scopes};
use cota_protocol::socketio::engine::{Data, Transport};
use cota_protocol::socketio::{Arguments, Body as Said, Namespace, Packet, RequestError};
use support::{START, World, world, world_with};

/// A client on a socket.
struct Client(Connection);

fn names(name: &str) -> Names {
    Names { sid: format!("secret of {name}"), name: name.to_owned() }
}

impl Client {
    /// Opens a connection and enters the main namespace.
    async fn open(world: &World, name: &str) -> Self {
        Self::open_at(world, name, "/socket.io/?EIO=4&transport=websocket").await
    }

    async fn open_at(world: &World, name: &str, uri: &str) -> Self {
        let mut client = Self::knock(world, name, uri, "").await;
        assert_eq!(client.text().await, format!("40{{\"sid\":\"{name}\"}}"));
        client
    }

    /// Opens a connection and asks to enter the main namespace.
    async fn knock(world: &World, name: &str, uri: &str, auth: &str) -> Self {
        let parts = Request::get(uri).body(Body::empty()).unwrap().into_parts().0;
        let mut client = Self(world.gateway.open_socketio(&parts, Transport::WebSocket, names(name)).unwrap());
        assert!(client.text().await.starts_with('0'));
        client.send(&format!("40{auth}")).await;
        client
    }

    async fn send(&mut self, text: &str) {
        self.0.receive_frame(Data::Text(text.to_owned())).await;
    }

    async fn emit(&mut self, name: &str, content: Json) {
        self.send(&format!("42{}", json!([name, content]))).await;
    }

    /// Emits an event and takes the answer.
    async fn ask(&mut self, name: &str, content: Json) -> Json {
        self.send(&format!("427{}", json!([name, content]))).await;
        let text = self.text().await;
        let answer = text.strip_prefix("437").unwrap_or_else(|| panic!("{text} is no answer"));
        serde_json::from_str::<Json>(answer).unwrap()[0].clone()
    }

    async fn text(&mut self) -> String {
        let frame = timeout(Duration::from_secs(10), async {
            loop {
                if let Some(frame) = self.0.engine().next_frame() {
                    return frame;
                }
                self.0.next().await;
            }
        });
        let Data::Text(text) = frame.await.expect("no frame came") else { panic!("a binary frame") };
        text
    }

    /// The next event: its name and content.
    async fn event(&mut self) -> (String, Json) {
        let text = self.text().await;
        let (packet, _) = Packet::decode(text.strip_prefix('4').unwrap()).unwrap();
        let Said::Event { name, arguments: Arguments { values, .. }, ack: None } = packet.body else { panic!("{text} is no event") };
        (name, values.into_iter().next().unwrap())
    }

    /// The next events in short.
    async fn events(&mut self, count: usize) -> Vec<String> {
        let mut events = Vec::new();
        for _ in 0..count {
            let (name, content) = self.event().await;
            let part = |name: &str| content.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
            let parts = ["user_id", "sender", "text", "code"].map(part);
            events.push(std::iter::once(name).chain(parts.into_iter().flatten()).collect::<Vec<_>>().join(" "));
        }
        events
    }
}

#[tokio::test]
async fn a_conversation_in_cotas_words() {
    let world = world();
    let mut ana = Client::open(&world, "a").await;
    assert_eq!(ana.ask("login", json!({"user_id": "ana"})).await, json!({"status": "ok"}));
    assert_eq!(ana.events(1).await, ["login ana"]);
    let joined = ana.ask("join", json!({"session_id": "s1", "sender_id": "ana"})).await;
    assert_eq!(joined, json!({"status": "ok", "session_id": "s1"}));
    let (name, content) = ana.event().await;
    assert_eq!((name.as_str(), &content["session_id"], &content["room_info"]["user_count"]), ("join_confirm", &json!("s1"), &json!(1)));
    let mut bo = Client::open(&world, "b").await;
    bo.emit("join", json!({"session_id": "s1", "sender_id": "bo"})).await;
    assert_eq!(bo.events(2).await, ["login bo", "join_confirm"]);
    assert_eq!(ana.events(1).await, ["user_joined bo"]);
    let accepted =
        bo.ask("message", json!({"type": "text", "session_id": "s1", "sender_id": "bo", "text": "hi", "message_id": "m1"})).await;
    assert_eq!(accepted, json!({"status": "ok", "message_id": "m1", "session_id": "s1"}));
    for client in [&mut ana, &mut bo] {
        assert_eq!(client.events(2).await, ["bot_uttered user hi", "bot_uttered bot you said: hi"]);
    }
    bo.emit("session_leave", Json::Null).await;
    assert_eq!(bo.events(1).await, ["leave_confirm"]);
    assert_eq!(ana.events(1).await, ["user_left bo"]);
}

#[tokio::test]
async fn a_conversation_in_rasas_words() {
    let world = world();
    let mut client = Client::open(&world, "made-by-chance").await;
    client.emit("session_request", json!({"session_id": "s1"})).await;
    let login = client.event().await;
    assert_eq!((login.0.as_str(), &login.1["user_id"]), ("login", &json!("user")));
    assert_eq!(client.event().await, ("session_confirm".to_owned(), json!("s1")), "a bare string");
    let accepted = client.ask("user_uttered", json!({"message": "hi", "session_id": "s1"})).await;
    assert_eq!((&accepted["status"], &accepted["session_id"]), (&json!("ok"), &json!("s1")));
    assert!(accepted["message_id"].is_string(), "{accepted}");
    let (name, content) = client.event().await;
    let reply_to = &content["metadata"]["cota"]["reply_to"];
    assert_eq!((name.as_str(), &content["text"], reply_to), ("bot_uttered", &json!("you said: hi"), &accepted["message_id"]));
    assert_eq!(content.as_object().unwrap().len(), 2, "text and nothing else to show: {content}");
    client.emit("session_request", Json::Null).await;
    assert_eq!(client.event().await, ("session_confirm".to_owned(), json!("made-by-chance-1")));
    client.emit("user_uttered", json!({"message": "again"})).await;
    let (_, content) = client.event().await;
    assert_eq!((&content["text"], &content["metadata"]["cota"]["session_id"]), (&json!("you said: again"), &json!("made-by-chance-1")));
}

#[tokio::test]
async fn both_vocabularies_meet_in_one_room() {
    let world = world();
    let mut rasa = Client::open_at(&world, "r", "/socket.io/?sender_id=rosa&EIO=4&transport=websocket").await;
    rasa.emit("session_request", json!({"session_id": "s1"})).await;
    assert_eq!(rasa.events(2).await, ["login rosa", "session_confirm"]);
    let mut cota = Client::open(&world, "c").await;
    cota.emit("join", json!({"session_id": "s1", "sender_id": "cora"})).await;
    assert_eq!(cota.events(2).await, ["login cora", "join_confirm"]);
    assert_eq!(rasa.events(1).await, ["user_joined cora"]);
    rasa.emit("user_uttered", json!({"message": "hi", "session_id": "s1"})).await;
    assert_eq!(rasa.events(1).await, ["bot_uttered you said: hi"], "the own words are shown already");
    assert_eq!(cota.events(2).await, ["bot_uttered user hi", "bot_uttered bot you said: hi"]);
    cota.emit("message", json!({"session_id": "s1", "text": "ho"})).await;
    assert_eq!(rasa.events(2).await, ["bot_uttered ho", "bot_uttered you said: ho"]);
    assert_eq!(cota.events(2).await, ["bot_uttered user ho", "bot_uttered bot you said: ho"]);
}

#[tokio::test]
async fn a_failed_event_answers_its_ack_or_emits_an_error() {
    let world = world();
    let mut ana = Client::open(&world, "a").await;
    ana.emit("login", json!({"user_id": 7})).await;
    ana.emit("join", json!({})).await;
    ana.emit("message", json!({"session_id": "s1", "message_id": "m1"})).await;
    ana.emit("dance", json!({})).await;
    let expected = ["login_error bad_frame", "join_error bad_frame", "error bad_frame", "error unknown_type"];
    assert_eq!(ana.events(4).await, expected);
    let refused = ana.ask("message", json!({"session_id": "s1", "message_id": "m1"})).await;
    let message = "`text` is missing, it has to be a string";
    assert_eq!(refused, json!({"status": "error", "code": "bad_frame", "message": message, "message_id": "m1"}));
    ana.emit("login", json!({"user_id": "ana"})).await;
    assert_eq!(ana.events(1).await, ["login ana"]);
    assert_eq!(ana.ask("login", json!({"user_id": "bo"})).await["code"], "forbidden");
    assert_eq!(ana.ask("login", json!({"user_id": "ana"})).await, json!({"status": "ok"}));
    ana.emit("join", json!({"session_id": "s1", "sender_id": "bo"})).await;
    assert_eq!(ana.events(1).await, ["join_error forbidden"]);
    assert_eq!(ana.ask("session_leave", Json::Null).await["code"], "bad_frame");
}

#[tokio::test]
async fn an_error_is_emitted_behind_what_was_said_before() {
    let world = world();
    let mut ana = Client::open(&world, "a").await;
    ana.emit("join", json!({"session_id": "s1", "sender_id": "ana"})).await;
    ana.emit("message", json!({"session_id": "s1", "message_id": "m1"})).await;
    assert_eq!(ana.events(3).await, ["login ana", "join_confirm", "error bad_frame"]);
}

#[tokio::test]
async fn binary_values_are_refused_and_the_connection_goes_on() {
    let world = world();
    let mut ana = Client::open(&world, "a").await;
    ana.send("451-[\"message\",{\"_placeholder\":true,\"num\":0}]").await;
    ana.0.receive_frame(Data::Binary(vec![1, 2, 3])).await;
    assert_eq!(ana.events(1).await, ["error bad_frame"]);
    ana.send("451-9[\"message\",{\"_placeholder\":true,\"num\":0}]").await;
    ana.0.receive_frame(Data::Binary(vec![1, 2, 3])).await;
    assert!(ana.text().await.starts_with("439[{\"status\":\"error\",\"code\":\"bad_frame\""));
}

#[tokio::test]
async fn who_leaves_or_breaks_off_is_out_of_the_room() {
    let world = world();
    let mut ana = Client::open(&world, "a").await;
    ana.emit("join", json!({"session_id": "s1", "sender_id": "ana"})).await;
    ana.events(2).await;
    for farewell in ["41", "1"] {
        let mut bo = Client::open(&world, "b").await;
        bo.emit("join", json!({"session_id": "s1", "sender_id": "bo"})).await;
        bo.events(2).await;
        bo.send(farewell).await;
        assert_eq!(ana.events(2).await, ["user_joined bo", "user_left bo"]);
    }
}

#[tokio::test]
async fn only_the_main_namespace_and_the_bots_of_the_deployment_are_there() {
    let world = world();
    let mut ana = Client::open(&world, "a").await;
    ana.send("40/admin,").await;
    assert_eq!(ana.text().await, "44/admin,{\"message\":\"Invalid namespace\"}");
    let parts = Request::get("/socket.io/?bot=nobody").body(Body::empty()).unwrap().into_parts().0;
    let refused = world.gateway.open_socketio(&parts, Transport::Polling, names("a")).err();
    assert!(matches!(refused, Some(RequestError::BadRequest(detail)) if detail.contains("no bot of this name")));
}

#[tokio::test]
async fn who_does_not_read_is_asked_for_no_more() {
    let world = world();
    let parts = Request::get("/socket.io/").body(Body::empty()).unwrap().into_parts().0;
    let mut connection = world.gateway.open_socketio(&parts, Transport::WebSocket, names("a")).unwrap();
    connection.receive_frame(Data::Text("40".to_owned())).await;
    while connection.engine().has_room() {
        connection.engine().emit(&Namespace::main(), "filler", vec![json!("x".repeat(1000))].into());
    }
    connection.receive_frame(Data::Text("42[\"login\",{\"user_id\":\"ana\"}]".to_owned())).await;
    assert!(connection.next().now_or_never().is_none(), "the login waits in the session");
    while connection.engine().next_frame().is_some() {}
    connection.next().await;
    let Some(Data::Text(login)) = connection.engine().next_frame() else { panic!("the login did not come") };
    assert!(login.starts_with("42[\"login\""));
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_is_said_ends_however_well_its_heart_beats() {
    let world = world_with(OnBusy::Queue, |options| {
        let limits = Limits { idle_ms: Some(60_000), ..Limits::default() };
        options.limiter = Limiter::new(limits, Arc::<MemoryLedger>::default(), options.clock.clone());
    });
    let mut client = Client::open(&world, "a").await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let said = Instant::now();
    assert_eq!(client.ask("login", json!({"user_id": "ana"})).await["status"], "ok");
    assert_eq!(client.events(1).await, ["login ana"]);
    let mut beats = 0;
    while !client.0.engine().is_closed() {
        match client.0.engine().next_frame() {
            Some(Data::Text(ping)) if ping == "2" => {
                beats += 1;
                client.send("3").await;
            }
            Some(other) => panic!("{other:?}"),
            None => client.0.next().await,
        }
    }
    // Looked at with each beat: after 15, 40 and 65 seconds.
    assert_eq!((beats, said.elapsed().as_secs()), (2, 65));
}

/// The same bytes again and again.
struct Certain;

impl Chance for Certain {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance> {
        bytes.fill(7);
        Ok(())
    }
}

#[tokio::test]
async fn where_callers_are_identified_a_token_says_who_enters() {
    let ledger = Arc::<MemoryLedger>::default();
    let world = world_with(OnBusy::Queue, |options| {
        options.access = Access::On(Arc::new(Identities::new(ledger.clone(), options.clock.clone(), Arc::new(Certain))));
    });
    let key = keys::create(ledger.as_ref(), &Certain, "test", Scopes::CHAT, START, None).await.ok().unwrap().text;
    for (auth, detail) in [("", "`auth.token`"), ("{\"token\":\"no\"}", "API key"), ("{\"token\":7}", "`auth.token`")] {
        let mut client = Client::knock(&world, "a", "/socket.io/", auth).await;
        let text = client.text().await;
        let refusal: Json = serde_json::from_str(text.strip_prefix("44").unwrap()).unwrap();
        assert_eq!(refusal["data"]["code"], "unauthorized");
        assert!(refusal["message"].as_str().unwrap().contains(detail), "{refusal}");
        client.emit("session_request", json!({"session_id": "s1"})).await;
        assert!(client.0.engine().next_frame().is_none(), "who was not let in is not heard");
    }
    let auth = json!({ "token": key }).to_string();
    let mut client = Client::knock(&world, "a", "/socket.io/", &auth).await;
    assert_eq!(client.text().await, "40{\"sid\":\"a\"}");
    let refused = client.ask("session_request", json!({"session_id": "s1"})).await;
    assert_eq!(refused["code"], "missing_sender", "a backend says for whom it speaks");
    client.emit("login", json!({"user_id": "ana"})).await;
    assert_eq!(client.events(1).await, ["login ana"]);
    assert_eq!(client.ask("session_request", json!({"session_id": "s1"})).await["status"], "ok");
}
