use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::scripts::{self, CHOOSE, FILL, Misbehaviour};
use super::*;

fn body(prompt: &str, stream: bool) -> String {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": prompt}]});
    if stream {
        body["stream"] = json!(true);
    }
    body.to_string()
}

/// The status line and the rest of a whole connection.
async fn post(server: &LlmServer, body: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut ends with an error after what came.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn page(answer: &str) -> Json {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn a_plain_call_gets_a_whole_completion() {
    let server = LlmServer::start(Settings::new(scripts::chat()).keep_calls()).await.unwrap();
    let answer = post(&server, &body(&format!("{CHOOSE}\nUserUtter:hello"), false)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let content = page(&answer)["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Json>(&content).unwrap()["action"], "BotUtter");
    let answer = post(&server, &body("# title\nUserUtter:my secret is #a-1, BotUtter: # \nwhat is it?", false)).await;
    assert!(answer.contains("It is #a-1."), "{answer}");
    assert_eq!(server.count(), 2);
    assert!(server.calls()[0].prompt().starts_with(CHOOSE));
}

#[tokio::test]
async fn a_streamed_answer_comes_in_pieces_that_make_the_whole() {
    let server = LlmServer::start(Settings::new(Arc::new(|_| Answer::say("Grüß Gott, Oslo"))).pieces(4, Duration::ZERO)).await.unwrap();
    let answer = post(&server, &body("hello", true)).await;
    let events: Vec<Json> = answer.lines().filter_map(|line| line.strip_prefix("data: ")?.parse().ok()).collect();
    let pieces: Vec<&str> = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(pieces, ["Grüß", " Got", "t, O", "slo"]);
    assert!(answer.contains("data: [DONE]"));
}

#[tokio::test]
async fn tools_are_called_once_and_then_spoken_of() {
    let script = scripts::weather();
    let server = LlmServer::start(Settings::new(script)).await.unwrap();
    let with = |messages: Json| json!({"messages": messages, "tools": [{"type": "function"}]}).to_string();
    let user = json!({"role": "user", "content": "the weather please"});
    let answer = page(&post(&server, &with(json!([user]))).await);
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "Weather");
    let answer = page(&post(&server, &with(json!([user, {"role": "tool", "content": "12 degrees"}]))).await);
    assert_eq!(answer["choices"][0]["message"]["content"], "That is all I know.");
}

#[tokio::test]
async fn the_weather_is_looked_up_once_for_each_wish() {
    let server = LlmServer::start(Settings::new(scripts::weather())).await.unwrap();
    for (prompt, says) in [
        (format!("{CHOOSE} UserUtter:weather?"), "Weather"),
        (format!("{CHOOSE} UserUtter:weather? Weather:12 degrees"), "BotUtter"),
        (format!("{CHOOSE} UserUtter:weather? Weather:12 degrees UserUtter:weather again"), "Weather"),
        (format!("{CHOOSE} UserUtter:hello"), "BotUtter"),
        (FILL.to_owned(), "Oslo"),
    ] {
        let answer = post(&server, &body(&prompt, false)).await;
        assert!(answer.contains(says), "{prompt}: {answer}");
    }
}

#[tokio::test]
async fn misbehaviour_reaches_the_wire() {
    for (misbehaviour, stream, sign) in [
        (Misbehaviour::ServerError, false, "HTTP/1.1 500"),
        (Misbehaviour::RateLimit, false, "retry-after: 1"),
        (Misbehaviour::UserUtter, false, "UserUtter"),
        (Misbehaviour::Huge, false, "content-length: 104"),
        (Misbehaviour::Cut, true, "text/event-stream"),
        (Misbehaviour::Cut, false, "chatcmpl"),
    ] {
        let server = LlmServer::start(Settings::new(misbehaviour.script())).await.unwrap();
        let answer = post(&server, &body(CHOOSE, stream)).await;
        assert!(answer.contains(sign), "{misbehaviour:?}: {answer}");
        if misbehaviour == Misbehaviour::Cut {
            assert!(!answer.contains("[DONE]") && !answer.contains("to its end"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_gate_holds_answers_back_until_it_is_opened() {
    let gate = Arc::new(Semaphore::new(0));
    let server = LlmServer::start(Settings::new(scripts::chat()).gate(Arc::clone(&gate))).await.unwrap();
    let body = body(CHOOSE, false);
    let answer = post(&server, &body);
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => panic!("answered through a closed gate: {answer}"),
        () = server.reached(1) => {}
    }
    gate.add_permits(1);
    assert!(answer.await.starts_with("HTTP/1.1 200"));
}
