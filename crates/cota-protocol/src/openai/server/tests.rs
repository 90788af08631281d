use cota_core::event::Usage;
use cota_core::ids::{BotName, Timestamp};
use serde_json::{Value as Json, json};

use super::super::{Accumulator, Completion, FinishReason, decode_completion};
use super::*;
use crate::problem::{Code, Problem};

fn decode(body: &Json) -> Result<CompletionRequest, Problem> {
    CompletionRequest::decode(body.to_string().as_bytes())
}

fn said(by: Speaker, text: &str) -> Said {
    Said { by, text: text.to_owned() }
}

fn answer() -> Answer {
    Answer { id: "chatcmpl-1".to_owned(), created: Timestamp(1_772_366_400_123), model: BotName::new("weather").unwrap() }
}

const USAGE: Usage = Usage { llm_calls: 2, prompt_tokens: 100, completion_tokens: 20, ms: 7 };

#[test]
fn the_last_message_is_answered_and_those_before_it_are_the_past() {
    let request = decode(&json!({
        "model": "weather",
        "messages": [
            {"role": "system", "content": "You are a pirate."},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": [{"type": "text", "text": "in "}, {"type": "text", "text": "Oslo?"}]},
            {"role": "tool", "content": "7", "tool_call_id": "c"}
        ],
        "user": "ana", "stream": true, "stream_options": {"include_usage": true}, "n": 1, "tools": [],
        "temperature": 0.2, "top_p": 1, "seed": 7, "max_tokens": 5, "response_format": {"type": "text"}
    }))
    .unwrap();
    let expected = CompletionRequest {
        model: Some("weather".to_owned()),
        past: vec![said(Speaker::User, "hi"), said(Speaker::Assistant, "hello")],
        message: "in Oslo?".to_owned(),
        user: Some("ana".to_owned()),
        stream: true,
        include_usage: true,
    };
    assert_eq!(request, expected);
    let sparse = decode(&json!({"messages": [{"role": "user", "content": "hi"}], "model": "", "stream": null})).unwrap();
    assert_eq!((sparse.model, sparse.user, sparse.stream, sparse.include_usage), (None, None, false, false));
}

#[test]
fn a_refusal_names_the_field_in_openais_shape() {
    let hi = json!([{"role": "user", "content": "hi"}]);
    for (body, field) in [
        (json!({}), "messages"),
        (json!({"messages": "hi"}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}), "messages"),
        (json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}), "messages"),
        (json!({"messages": hi, "n": 2}), "n"),
        (json!({"messages": hi, "tools": [{"type": "function"}]}), "tools"),
        (json!({"messages": hi, "functions": [{"name": "f"}]}), "functions"),
        (json!({"messages": hi, "model": 1}), "model"),
        (json!({"messages": hi, "stream": "yes"}), "stream"),
    ] {
        let error = error_body(&decode(&body).unwrap_err());
        assert_eq!((&error["error"]["type"], &error["error"]["param"]), (&json!("invalid_request_error"), &json!(field)), "{error}");
    }
    let long = decode(&json!({"messages": [{"role": "user", "content": "x".repeat(20_000)}]})).unwrap_err();
    assert_eq!(long.code, Code::TextTooLong);
    for (code, kind, told) in [
        (Code::UnknownBot, "invalid_request_error", "model_not_found"),
        (Code::Unauthorized, "authentication_error", "unauthorized"),
        (Code::Forbidden, "permission_error", "forbidden"),
        (Code::RateLimited, "rate_limit_error", "rate_limited"),
        (Code::Timeout, "server_error", "timeout"),
    ] {
        let expected = json!({"error": {"message": "no", "type": kind, "param": null, "code": told}});
        assert_eq!(error_body(&Problem::new(code, "no")), expected);
    }
}

#[test]
fn a_client_reads_what_is_answered() {
    let whole = answer().completion("rain", USAGE);
    assert_eq!((&whole["created"], &whole["usage"]["total_tokens"]), (&json!(1_772_366_400), &json!(120)));
    let read = decode_completion(whole.to_string().as_bytes()).unwrap();
    let mut stream = Accumulator::new(1024);
    let chunks = [answer().begin(), answer().piece("ra"), answer().piece("in"), answer().end(), answer().usage(USAGE)];
    for chunk in chunks {
        assert_eq!((&chunk["id"], &chunk["object"]), (&json!("chatcmpl-1"), &json!("chat.completion.chunk")));
        stream.feed(&chunk.to_string()).unwrap();
    }
    stream.feed(DONE).unwrap();
    assert_eq!(stream.finish().unwrap(), read);
    let Completion { content, finish_reason, usage, .. } = read;
    assert_eq!((content.as_deref(), finish_reason), (Some("rain"), Some(FinishReason::Stop)));
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (100, 20));
}

#[test]
fn models_are_the_bots() {
    let bots = ["weather", "helpdesk"].map(|name| BotName::new(name).unwrap());
    let models = models(&bots);
    assert_eq!(
        (&models["object"], &models["data"][1]["id"], &models["data"][1]["object"]),
        (&json!("list"), &json!("helpdesk"), &json!("model"))
    );
}
