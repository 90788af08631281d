//! A reply reaches whoever wants it piece by piece, over both ways in, before it is committed.

use std::sync::Arc;
use std::time::Duration;

use cota_testkit::client::socket::is_from;
use cota_testkit::llm_server::{LlmServer, Script, Settings, scripts};
use cota_testkit::targets::bot;
use serde_json::{Value as Json, json};

use super::support::{self, Bundles, Deployment, Plan, Socket, http};

const TEXT: &str = "Grüße aus Oslo: \"12 degrees\", and a light breeze 🌤 from the south-west, all of the day and for most of the night.";
/// The model's pieces: so many characters, and so long between two of them.
const PIECE: usize = 2;
const PAUSE: Duration = Duration::from_millis(15);

async fn deployed() -> (Deployment, LlmServer) {
    let script: Script = Arc::new(|call| match scripts::asked(call) {
        scripts::Asked::Choose => scripts::choose("BotUtter"),
        scripts::Asked::Fill | scripts::Asked::Utter | scripts::Asked::Tools => scripts::utter(TEXT),
    });
    let llm = LlmServer::start(Settings::new(script).pieces(PIECE, PAUSE)).await.unwrap();
    let variables = vec![("COTA_TEST_LLM", llm.apibase())];
    (Deployment::start(Bundles::of(&[bot("chat")]), Plan { variables, ..Plan::default() }).await, llm)
}

/// The text that pieces make, each at its place.
fn joined(shown: &str, piece: &Json) -> String {
    let offset = usize::try_from(piece["offset"].as_u64().unwrap()).unwrap();
    shown.chars().take(offset).chain(piece["text"].as_str().unwrap().chars()).collect()
}

#[test]
fn a_socket_is_sent_pieces_together_and_then_the_whole() {
    support::run(async {
        let (deployment, _llm) = deployed().await;
        let mut plain = Socket::join(&deployment.sockets.address(), "bo", "s", &json!({})).await;
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "s", &json!({"stream": true})).await;
        socket.say("s", "m1", "hello").await;
        let (mut shown, mut frames) = (String::new(), 0);
        let last = loop {
            let frame = socket.next().await.unwrap();
            match frame["type"].as_str().unwrap() {
                "delta" => (shown, frames) = (joined(&shown, &frame), frames + 1),
                "reset" => shown.clear(),
                _ if is_from(&frame, "bot") => break frame,
                _ => {}
            }
        };
        // What the whole overtakes is left out.
        assert!(!shown.is_empty() && TEXT.starts_with(&shown), "{shown}");
        assert_eq!((&last["text"], &last["reply_to"]), (&json!(TEXT), &json!("m1")));
        assert!((2..=TEXT.chars().count() / PIECE / 2).contains(&frames), "{frames} frames");
        while !is_from(&plain.next().await.unwrap(), "bot") {}
        plain.send(&json!({"type": "ping"})).await;
        let mut early = plain.until(|frame| ["pong", "delta"].contains(&frame["type"].as_str().unwrap())).await;
        assert_eq!(early.take().unwrap()["type"], "pong", "who does not stream gets no pieces");
    });
}

#[test]
fn an_answer_over_http_streams_through_the_function_url() {
    support::run(async {
        let (deployment, _llm) = deployed().await;
        let body = json!({"text": "hello", "message_id": "m1"}).to_string();
        let accept = ["accept: text/event-stream"];
        let answer = http::post(&deployment.address(), "/v1/conversations/s/messages", &accept, body.as_bytes()).await.unwrap();
        let (mut shown, mut pieces) = (String::new(), 0);
        for event in answer.body.split("\n\n").filter(|event| event.contains("event: delta")) {
            let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            (shown, pieces) = (joined(&shown, &serde_json::from_str(data).unwrap()), pieces + 1);
        }
        assert_eq!((answer.status, shown.as_str()), (200, TEXT));
        assert!(pieces >= 10, "only {pieces} pieces");
        assert!(answer.body.contains("event: done"), "{}", answer.body);
    });
}
