//! Limits: what is too much is refused, for each identity and each address apart, whichever way it comes.

use std::any::Any;
use std::time::Duration;

use cota_gateway::Scopes;
use cota_testkit::llm_server::{Settings, scripts};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::http::{self, Response};
use super::support::{self, Socket, Workerd, issue, model};

#[test]
fn requests_are_counted_for_each_identity_and_each_address_over_http_and_on_sockets() {
    support::run(async {
        let key = Key::new().await;
        let limits = [("COTA_LIMIT_REQUESTS", "1:3"), ("COTA_LIMIT_ADDRESS_REQUESTS", "1:7"), ("COTA_LOG_LEVEL", "trace")];
        let workerd = key.start(support::NO_MODEL, "weather", &limits).await;
        let address = workerd.address.clone();
        let look = |sender: &'static str, from: &'static str| look(&address, &key, sender, from);
        for sender in ["ann", "ben"] {
            for _ in 0..3 {
                assert_eq!(look(sender, "192.0.2.1").await.status, 404, "{sender}");
            }
        }
        let refused = look("ann", "192.0.2.1").await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"), "{refused:?}");
        assert!(refused.body.contains("one identity may have 1 a minute"), "{refused:?}");
        assert!(refused.header("retry-after").unwrap().parse::<u32>().is_ok_and(|seconds| (1..=60).contains(&seconds)), "{refused:?}");
        let refused = look("cleo", "192.0.2.1").await;
        assert!(refused.status == 429 && refused.body.contains("one address may have 1 a minute"), "{refused:?}");
        assert_eq!(look("cleo", "192.0.2.2").await.status, 404);

        let asked = || workerd.logged().matches("an object is asked").count();
        let before = asked();
        assert_eq!(look("cleo", "192.0.2.1").await.status, 429);
        assert_eq!(asked(), before, "who was refused is refused again without asking for it");

        let mut dan = join(&address, &key, "dan", "192.0.2.4").await;
        for (id, code) in [("m1", None), ("m2", None), ("m3", Some("one identity"))] {
            say(&mut dan, id, code).await;
        }
        let mut eve = join(&address, &key, "eve", "192.0.2.4").await;
        say(&mut eve, "m1", Some("one address")).await;
        eve.send_raw(r#"{"type":"ping"}"#).await;
        assert_eq!(eve.next().await.unwrap(), json!({"type": "pong"}), "a ping is free, and the socket is open");
    });
}

#[test]
fn connections_are_counted_for_each_identity_whether_they_are_sockets_or_streams() {
    support::run(async {
        let key = Key::new().await;
        let workerd = key.start(support::NO_MODEL, "weather", &[("COTA_LIMIT_CONNECTIONS", "2")]).await;
        let address = workerd.address.clone();
        let stream = async |sender: &str| Stream::open(&address, &key, sender).await;
        let first = join(&address, &key, "ann", "192.0.2.1").await;
        let second = stream("ann").await;
        assert_eq!((second.status.as_str(), stream("ann").await.status.as_str()), ("200", "429"));
        assert_eq!(stream("ben").await.status, "200");
        for gone in [Box::new(first) as Box<dyn Any>, Box::new(second)] {
            drop(gone);
            // It is noticed in a moment.
            while stream("ann").await.status != "200" {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
}

/// An event stream of which only the answer's status was read.
struct Stream {
    status: String,
    _open: TcpStream,
}

impl Stream {
    async fn open(address: &str, key: &Key, sender: &str) -> Self {
        let mut open = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /sse?sender_id={sender} HTTP/1.1\r\nhost: {address}\r\n{}\r\n\r\n", key.bearer);
        open.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        open.read_exact(&mut status).await.unwrap();
        Self { status: String::from_utf8_lossy(&status[9..]).into_owned(), _open: open }
    }
}

#[test]
fn a_turn_begins_as_long_as_there_are_tokens() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat())).await;
        let (key, apibase) = (Key::new().await, llm.apibase());
        let mut workerd = key.start(&apibase, "chat", &[("COTA_LIMIT_TOKENS", "10:100")]).await;
        let address = workerd.address.clone();
        let ask = async |sender: &str, id: &str| {
            let body = json!({"text": format!("this is #{id}"), "sender_id": sender, "message_id": id}).to_string();
            http::post(&address, "/v1/conversations/a/messages", &[&key.bearer], body.as_bytes()).await.unwrap()
        };
        assert_eq!(ask("ann", "m1").await.replies(), ["It is #m1."]);
        let refused = ask("ann", "m2").await;
        assert!(refused.status == 429 && refused.body.contains("too many tokens: one identity may have 10 a minute"), "{refused:?}");
        let mut socket = join(&address, &key, "ann", "192.0.2.1").await;
        say(&mut socket, "m3", Some("too many tokens")).await;
        assert_eq!(ask("ben", "m1").await.replies(), ["It is #m1."], "another one's tokens");
        workerd.kill();
        workerd.start_again().await;
        assert_eq!(ask("ann", "m4").await.status, 429, "the count lasts");
    });
}

#[test]
fn an_address_pays_for_the_turns_that_it_asks_for_in_whichever_object_they_run() {
    support::run(async {
        let llm = model(Settings::new(scripts::chat())).await;
        let key = Key::new().await;
        let workerd = key.start(&llm.apibase(), "chat", &[("COTA_LIMIT_ADDRESS_TOKENS", "10:100")]).await;
        let address = workerd.address.clone();
        let ask = async |from: &str, sender: &str, id: &str| {
            let body = json!({"text": format!("this is #{id}"), "sender_id": sender, "message_id": id}).to_string();
            let headers = [key.bearer.as_str(), &format!("cf-connecting-ip: {from}")];
            http::exchange(&address, "POST", "/v1/conversations/a/messages", &headers, body.as_bytes()).await.unwrap()
        };
        assert_eq!(ask("192.0.2.1", "ann", "m1").await.replies(), ["It is #m1."]);
        let refused = ask("192.0.2.1", "ben", "m1").await;
        assert!(refused.status == 429 && refused.body.contains("too many tokens: one address may have 10 a minute"), "{refused:?}");
        assert_eq!(ask("192.0.2.2", "ann", "m2").await.replies(), ["It is #m2."], "another one's tokens");
        let mut socket = join(&address, &key, "cleo", "192.0.2.3").await;
        say(&mut socket, "m1", None).await;
        say(&mut socket, "m2", Some("too many tokens: one address")).await;
    });
}

#[test]
fn a_limit_that_cannot_be_read_is_none_that_holds_so_nobody_is_served() {
    support::run(async {
        let variables = [("COTA_TEST_LLM", support::NO_MODEL), ("COTA_LIMIT_REQUESTS", "many")];
        let workerd = Workerd::start_with(&variables).await;
        let refused = http::get(&workerd.address, "/v1/models").await.unwrap();
        assert_eq!((refused.status, refused.code().as_str()), (500, "internal"), "{refused:?}");
        assert!(refused.body.contains("the variable COTA_LIMIT_REQUESTS has to be a number a minute"), "{refused:?}");
    });
}

/// A key that a Worker is given, and the header of who has it.
struct Key {
    record: String,
    bearer: String,
}

impl Key {
    async fn new() -> Self {
        let issued = issue(1, Scopes::CHAT, None).await;
        Self { record: serde_json::to_string(&[&issued.key]).unwrap(), bearer: format!("authorization: Bearer {}", issued.text) }
    }

    /// A Worker that knows the key, with these limits.
    async fn start(&self, model: &str, bot: &str, limits: &[(&str, &str)]) -> Workerd {
        let known = [("COTA_TEST_LLM", model), ("COTA_DEFAULT_BOT", bot), ("COTA_API_KEYS", self.record.as_str())];
        Workerd::start_with(&[&known[..], limits].concat()).await
    }
}

async fn look(address: &str, key: &Key, sender: &str, from: &str) -> Response {
    let path = format!("/v1/conversations/none?sender_id={sender}");
    http::exchange(address, "GET", &path, &[&key.bearer, &format!("cf-connecting-ip: {from}")], b"").await.unwrap()
}

async fn join(address: &str, key: &Key, sender: &str, from: &str) -> Socket {
    let headers = [("authorization", key.bearer.split_once(": ").unwrap().1), ("cf-connecting-ip", from)];
    Socket::join_with(address, "", &headers, sender, "a").await
}

/// Says something, which is answered, or refused for this reason.
async fn say(socket: &mut Socket, id: &str, refused: Option<&str>) {
    socket.say("a", id, &format!("hello, this is #{id}")).await;
    let Some(why) = refused else {
        socket.answer_to(id).await.unwrap();
        return;
    };
    let error: Json = socket.until(|frame| frame["type"] == "error").await.unwrap();
    assert_eq!((&error["code"], &error["message_id"]), (&json!("rate_limited"), &json!(id)), "{error}");
    assert!(error["retry_after"].as_u64() >= Some(1) && error["message"].as_str().unwrap().contains(why), "{error}");
}
