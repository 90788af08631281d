//! Answers that are good, in every form they come in.

use std::sync::{Arc, Mutex};

use cota_core::bot::{Llm, LlmKind, Safety};
use cota_core::turn::Completion;
use cota_driver::ports::{Effects as _, Pieces};
use serde_json::json;
use tokio::sync::Notify;

use crate::bots::{CANARY, ask, bot, completion, effects, job, llm, question};
use crate::server::{Reply, Server, Step};

fn chunk(text: &str) -> String {
    json!({"choices": [{"delta": {"content": text}}]}).to_string()
}

#[tokio::test]
async fn a_whole_answer_is_read_with_its_tool_calls_and_what_it_cost() {
    let answer = json!({
        "choices": [{"message": {"content": "hi", "tool_calls": [{"id": "1", "function": {"name": "Weather", "arguments": "{}"}}]}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 2},
    });
    let server = Server::always(Reply::json(200, &answer)).await;
    let (result, pieces) = ask(&effects(), llm(&server.url("/v1")), false).await;
    let completion = result.unwrap();
    assert_eq!((completion.content.as_str(), completion.prompt_tokens, completion.completion_tokens), ("hi", 11, 2));
    assert_eq!((completion.tool_calls[0].name.as_str(), completion.tool_calls[0].arguments.as_str()), ("Weather", "{}"));
    assert_eq!(pieces, Vec::<String>::new());
    let request = server.received().remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    assert_eq!(request.header("accept-encoding"), None);
    assert_eq!((request.json()["model"].as_str(), request.json().get("stream")), (Some("m"), None));
}

#[tokio::test]
async fn a_streams_pieces_are_passed_on_before_it_ends() {
    let go_on = Arc::new(Notify::new());
    let second = format!("data: {}\n\n", chunk("lo ü"));
    let (start, end) = second.as_bytes().split_at(second.find('ü').unwrap() + 1);
    let reply = Reply::events(&[&chunk("Hel")])
        .then(Step::Wait(Arc::clone(&go_on)))
        .send(start)
        .then(Step::Wait(Arc::clone(&go_on)))
        .send(end)
        .event(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#)
        .event("[DONE]")
        .then(Step::Hang);
    let server = Server::always(reply).await;
    let bot = bot(llm(&server.url("")), None, Safety::ReadOnly);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (pieces, release) = (Arc::clone(&taken), Arc::clone(&go_on));
    // The server goes on only once the first piece was passed on.
    let pieces = Pieces::to(move |piece| {
        pieces.lock().unwrap().push(piece);
        release.notify_one();
    });
    let effects = effects();
    let answer = effects.perform(job(&bot, question(true)), pieces);
    let unblock = async {
        while taken.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        tokio::task::yield_now().await;
        go_on.notify_one();
        std::future::pending::<()>().await;
    };
    let outcome = tokio::select! { outcome = answer => outcome, () = unblock => panic!("it never ends") };
    let expected = Completion { content: "Hello ü".to_owned(), prompt_tokens: 3, completion_tokens: 4, ..Completion::default() };
    assert_eq!(completion(outcome.unwrap()), expected);
    assert_eq!(*taken.lock().unwrap(), ["Hel", "lo ü"]);
    assert_eq!(server.received()[0].json()["stream_options"], json!({"include_usage": true}));
}

#[tokio::test]
async fn answers_are_understood_whatever_they_are_called() {
    let whole = json!({"choices": [{"message": {"content": "hello"}}]});
    let events = format!(": hi\n\ndata: {}\n\ndata: {}\n\ndata: [DONE]\n\n", chunk("hel"), chunk("lo"));
    let without_end = format!("data: {}\n\ndata: {}", chunk("hello"), json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}));
    for (what, stream, media_type, body) in [
        ("no stream though asked for one", true, "application/json", whole.to_string()),
        ("JSON under the wrong type", true, "text/event-stream", whole.to_string()),
        ("JSON under no good type", true, "text/plain", format!("\n {whole}")),
        ("a stream under the wrong type", true, "text/plain", events.clone()),
        ("a stream with a charset", true, "text/event-stream; charset=utf-8", events.clone()),
        ("a stream though not asked for", false, "text/event-stream", events),
        ("a stream whose last event is not ended", true, "text/event-stream", without_end),
    ] {
        let server = Server::always(Reply::head(200, &[("content-type", media_type)]).send(body)).await;
        let (result, pieces) = ask(&effects(), llm(&server.url("")), stream).await;
        assert_eq!(result.map(|completion| completion.content).as_deref(), Ok("hello"), "{what}");
        assert_eq!(pieces.concat(), if stream { "hello" } else { "" }, "{what}");
    }
}

#[tokio::test]
async fn slow_chunks_make_no_difference() {
    let body = json!({"choices": [{"message": {"content": "hello ü"}}]}).to_string();
    let stream = format!("data: {}\r\n\r\ndata: [DONE]\r\n\r\n", chunk("hello ü"));
    for (media_type, body) in [("application/json", body), ("text/event-stream", stream)] {
        let reply = body.bytes().fold(Reply::head(200, &[("content-type", media_type)]), |reply, byte| reply.send([byte]));
        let server = Server::always(reply).await;
        let (result, _) = ask(&effects(), llm(&server.url("")), true).await;
        assert_eq!(result.map(|completion| completion.content).as_deref(), Ok("hello ü"), "{media_type}");
    }
}

#[tokio::test]
async fn the_custom_kind_posts_to_the_address_itself() {
    for body in [json!({"content": "hello"}), json!("hello")] {
        let server = Server::always(Reply::json(200, &body)).await;
        let custom = Llm { kind: LlmKind::Custom, ..llm(&server.url("/ask?x=1")) };
        let (result, pieces) = ask(&effects(), custom, true).await;
        assert_eq!(result.map(|completion| completion.content).as_deref(), Ok("hello"));
        assert_eq!(pieces, ["hello"]);
        let request = server.received().remove(0);
        assert_eq!((request.target.as_str(), request.json().get("stream")), ("/ask?x=1", None));
        assert_eq!(request.json()["response_format"], json!({"type": "json_object"}));
    }
}

#[tokio::test]
async fn the_offline_model_answers_without_a_server() {
    let effects = effects();
    let offline = Llm { kind: LlmKind::Examples, ..llm("") };
    effects.warm(&bot(offline.clone(), None, Safety::ReadOnly));
    let (result, pieces) = ask(&effects, offline, true).await;
    let content = result.unwrap().content;
    assert!(serde_json::from_str::<serde_json::Value>(&content).unwrap()["text"].is_string(), "{content}");
    assert_eq!(pieces, [content]);
}
