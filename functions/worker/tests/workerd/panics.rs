//! A panic in one object: the instance of the script begins anew. Whoever waits for it is told to ask again, and what was
//! acknowledged is done once.

use std::sync::Arc;
use std::time::Duration;

use cota_testkit::llm_server::{LlmServer, Settings, scripts};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::support::{self, Record, Socket, SocketIo, Workerd, http, model};

/// What the platform logs, so that an operator finds it.
const LOGGED: &str = "the isolate panicked and begins anew";
/// Within this time of a panic every acknowledged message is answered.
const TAKEN_UP: Duration = Duration::from_secs(30);
/// Within this time of a panic a client knows that its connection is over: long before its heartbeat would tell.
const NOTICED: Duration = Duration::from_secs(5);
/// More calls than any of these turns makes.
const MANY: usize = 100;

#[test]
fn whoever_asks_an_object_that_panics_is_told_to_ask_again_while_another_streams_on() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat()).pieces(2, Duration::from_millis(50))).await;
        let workerd = Workerd::start("chat", &llm.apibase()).await;
        let mut socket = Socket::join(&workerd.address, "ann", "streams", &json!({"stream": true})).await;
        socket.say("streams", "m1", "this is #m1").await;
        socket.until(|frame| frame["type"] == "delta").await.unwrap();
        let refused = http::get(&workerd.address, "/tried/store/panic").await.unwrap();
        is_told_to_ask_again(&refused);
        assert_eq!((refused.header("x-content-type-options"), refused.header("access-control-allow-origin")), (Some("nosniff"), None));
        assert!(workerd.logged().contains(LOGGED));
        let answer = socket.answer_to("m1").await.unwrap();
        assert_eq!(answer["text"], "It is #m1.", "{answer}");
        let record = Record::read(&workerd.address, "streams").await;
        assert_eq!((record.answered_in_order(), record.replies()), (vec!["m1".to_owned()], vec!["It is #m1.".to_owned()]));
    });
}

#[test]
fn whoever_waits_for_another_object_is_told_so_too_and_hears_the_answer_when_it_asks_again() {
    support::run(async {
        let (llm, gate) = gated().await;
        let workerd = Workerd::start("chat", &llm.apibase()).await;
        let address = workerd.address.clone();
        let said = json!({"text": "this is #m1", "message_id": "m1"});
        let asking = {
            let (address, said) = (address.clone(), said.clone());
            tokio::spawn(async move { http::say(&address, "waits", &said).await })
        };
        llm.reached(1).await;
        let mut following = follow(&address, "waits").await;
        http::get(&workerd.address, "/tried/store/panic").await.unwrap();
        is_told_to_ask_again(&asking.await.unwrap());
        let mut rest = Vec::new();
        // The connection may end in any way.
        let _ = following.read_to_end(&mut rest).await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "a stream of events is not whole");
        gate.add_permits(MANY);
        let answer = workerd.say("waits", &said).await;
        assert_eq!(answer.replies(), ["It is #m1."], "{answer:?}");
        assert_eq!(Record::read(&workerd.address, "waits").await.answered_in_order(), ["m1"]);
    });
}

#[test]
fn a_page_that_may_use_the_worker_may_read_why_it_is_to_ask_again() {
    support::run(async {
        let variables =
            [("COTA_TEST_LLM", support::NO_MODEL), ("COTA_DEFAULT_BOT", "weather"), ("COTA_ALLOW_HOSTS", "shop.example, b.example")];
        let workerd = Workerd::start_with(&variables).await;
        let own = format!("http://{}", workerd.address);
        for (origin, may_read) in [
            (own.as_str(), true),
            ("https://shop.example", true),
            ("http://localhost:3000", true),
            ("https://evil.example", false),
            ("http://localhost.evil.example", false),
            ("null", false),
        ] {
            let header = format!("origin: {origin}");
            let refused = http::exchange(&workerd.address, "GET", "/tried/store/panic", &[&header], b"").await.unwrap();
            is_told_to_ask_again(&refused);
            assert_eq!(refused.header("access-control-allow-origin"), Some(origin).filter(|_| may_read), "{refused:?}");
        }
    });
}

#[test]
fn a_client_whose_frame_makes_its_object_panic_is_sent_an_error_on_the_same_socket() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        let mut socket = Socket::join(&workerd.address, "ann", "frames", &json!({})).await;
        socket.send_raw(r#"{"type":"panic","message_id":"m1"}"#).await;
        let error = socket.until(|frame| frame["type"] == "error").await.unwrap();
        assert_eq!((&error["code"], &error["message_id"]), (&json!("store_unavailable"), &json!("m1")), "{error}");
        socket.say("frames", "m2", "hello").await;
        socket.answer_to("m2").await.unwrap();
    });
}

#[test]
fn a_socket_io_connection_ends_with_its_script_and_its_client_goes_on_with_another() {
    support::run(async {
        let workerd = Workerd::start("weather", support::NO_MODEL).await;
        let mut ben = Socket::join(&workerd.address, "ben", "room", &json!({})).await;
        let mut ann = SocketIo::connect(&workerd.address, "ann").await;
        ann.emit("join", &json!({"session_id": "room"})).await;
        ann.until("join_confirm", |_| true).await;
        ann.emit("message", &json!({"session_id": "room", "text": "hello", "message_id": "m1"})).await;
        let seen = ann.until("bot_uttered", |frame| frame["reply_to"] == "m1").await["seq"].clone();
        http::get(&workerd.address, "/tried/store/panic").await.unwrap();
        tokio::time::timeout(NOTICED, ann.ended()).await.expect("its client learns of it at once");
        ben.say("room", "m2", "agent please").await;
        ben.answer_to("m2").await.unwrap();
        let mut again = SocketIo::connect(&workerd.address, "ann").await;
        again.emit("join", &json!({"session_id": "room", "after": seen})).await;
        assert_eq!(again.until("bot_uttered", |frame| frame["sender"] == "bot").await["reply_to"], "m2");
        again.emit("message", &json!({"session_id": "room", "text": "thanks", "message_id": "m3"})).await;
        again.until("bot_uttered", |frame| frame["reply_to"] == "m3").await;
        assert_eq!(Record::read(&workerd.address, "room").await.answered_in_order(), ["m1", "m2", "m3"]);
    });
}

#[test]
fn a_turn_that_an_alarm_goes_on_with_is_ended_by_the_next_alarm() {
    support::run(async {
        let (llm, gate) = gated().await;
        let variables = [("COTA_TEST_LLM", llm.apibase()), ("COTA_DEFAULT_BOT", "chat".to_owned()), ("COTA_MOST_EFFECTS", "1".to_owned())];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let workerd = Workerd::start_with(&variables).await;
        let mut socket = Socket::join(&workerd.address, "ann", "parked", &json!({})).await;
        gate.add_permits(1);
        socket.say("parked", "m1", "this is #m1").await;
        llm.reached(2).await;
        http::get(&workerd.address, "/tried/store/panic").await.unwrap();
        gate.add_permits(MANY);
        // Nobody asks for it meanwhile, which would wake the object.
        let answer = tokio::time::timeout(TAKEN_UP, socket.answer_to("m1")).await.expect("the turn is taken up").unwrap();
        assert_eq!(answer["text"], "It is #m1.", "{answer}");
        assert_eq!(Record::read(&workerd.address, "parked").await.answered_in_order(), ["m1"]);
    });
}

/// A model that answers one call for each permit.
async fn gated() -> (LlmServer, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    (model(Settings::new(scripts::chat()).gate(Arc::clone(&gate))).await, gate)
}

fn is_told_to_ask_again(refused: &http::Response) {
    let problem = refused.json();
    assert_eq!((refused.status, refused.header("content-type")), (503, Some(cota_protocol::problem::CONTENT_TYPE)), "{refused:?}");
    assert_eq!((&problem["title"], &problem["status"]), (&json!("Service Unavailable"), &json!(503)), "{problem}");
    assert_eq!((&problem["code"], &problem["retry_after"]), (&json!("store_unavailable"), &json!(1)), "{problem}");
}

/// A stream of a conversation's events, which is open once its head is there.
async fn follow(address: &str, conversation: &str) -> TcpStream {
    let head = format!("GET /v1/conversations/{conversation}/events HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answered = Vec::new();
    while !answered.ends_with(b"\r\n\r\n") {
        answered.push(stream.read_u8().await.unwrap());
    }
    assert!(answered.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answered));
    stream
}
