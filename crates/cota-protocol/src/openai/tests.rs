use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn decode(answer: &Json) -> Result<Completion, ResponseError> {
    decode_completion(answer.to_string().as_bytes())
}

fn message(message: &Json) -> Completion {
    decode(&json!({"choices": [{"message": message}]})).unwrap()
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

fn accumulate<'a>(chunks: impl IntoIterator<Item = &'a Json>) -> Result<(String, Completion), StreamError> {
    let mut answer = Accumulator::new(1000);
    let mut pieces = String::new();
    for chunk in chunks {
        let data = chunk.as_str().map_or_else(|| chunk.to_string(), str::to_owned);
        pieces.push_str(&answer.feed(&data)?.unwrap_or_default());
    }
    answer.finish().map(|completion| (pieces, completion))
}

fn delta(delta: &Json) -> Json {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

#[test]
fn a_request_has_only_the_keys_it_needs() {
    let request = ChatRequest {
        model: "m".to_owned(),
        messages: vec![ChatMessage::text(Role::System, "be kind"), ChatMessage::text(Role::User, "hi")],
        ..ChatRequest::default()
    };
    let plain = json!({
        "model": "m",
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
    });
    assert_eq!(serde_json::to_value(&request).unwrap(), plain);
}

#[test]
fn a_request_with_everything() {
    let function = FunctionDefinition { name: "Weather".into(), description: "asks".into(), parameters: json!({"type": "object"}) };
    let retrieval = Retrieval { knowledge_id: "k".into(), prompt_template: Some("{{question}}".into()) };
    let extra = json!({"temperature": 0.1, "top_p": 0.7, "model": "other", "stream": false, "max_tokens": 1});
    let request = ChatRequest {
        model: "m".into(),
        messages: vec![ChatMessage::calls(vec![call("c1", "Weather", "{\"city\":\"Oslo\"}")]), ChatMessage::tool_result("c1", "rain")],
        max_tokens: Some(500),
        response_format: Some(ResponseFormat::JsonObject),
        tools: vec![ToolDefinition::Function { function }, ToolDefinition::Retrieval { retrieval }],
        extra: extra.as_object().unwrap().clone(),
        ..ChatRequest::default()
    };
    let text = serde_json::to_string(&request.streamed()).unwrap();
    assert_eq!(text.matches("\"model\"").count(), 1, "an extra key does not repeat a key of the request");
    let expected = json!({
        "model": "m",
        "messages": [
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "Weather", "arguments": "{\"city\":\"Oslo\"}"}},
            ]},
            {"role": "tool", "content": "rain", "tool_call_id": "c1"},
        ],
        "max_tokens": 500,
        "response_format": {"type": "json_object"},
        "tools": [
            {"type": "function", "function": {"name": "Weather", "description": "asks", "parameters": {"type": "object"}}},
            {"type": "retrieval", "retrieval": {"knowledge_id": "k", "prompt_template": "{{question}}"}},
        ],
        "stream": true,
        "stream_options": {"include_usage": true},
        "temperature": 0.1,
        "top_p": 0.7,
    });
    assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), expected);
}

#[test]
fn a_complete_answer() {
    let answer = json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    });
    let expected = Completion {
        content: Some("hi".into()),
        tool_calls: vec![],
        finish_reason: Some(FinishReason::Stop),
        usage: Usage { prompt_tokens: 12, completion_tokens: 3 },
    };
    assert_eq!(decode(&answer), Ok(expected));
}

#[test]
fn content_in_every_shape() {
    for (content, text) in [
        (json!("a"), Some("a")),
        (json!(null), None),
        (json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), Some("ab")),
        (json!([{"type": "image_url", "image_url": {}}, {"type": "text", "text": {"value": "a"}}, "b"]), Some("ab")),
        (json!([]), None),
        (json!({"text": "a"}), Some("a")),
        (json!({"thought": "t", "action": "x"}), Some(r#"{"thought":"t","action":"x"}"#)),
        (json!(7), Some("7")),
    ] {
        assert_eq!(message(&json!({"content": content})).content.as_deref(), text, "{content}");
    }
    assert_eq!(message(&json!({})).content, None);
    assert_eq!(decode(&json!({"choices": [{"text": "old"}]})).unwrap().content.as_deref(), Some("old"));
}

#[test]
fn tool_calls_in_every_shape() {
    for (calls, expected) in [
        (
            json!({"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}),
            call("c", "f", r#"{"a":1}"#),
        ),
        (json!({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}), call("call_0", "f", r#"{"a":1}"#)),
        (json!({"tool_calls": [{"id": "", "function": {"name": "f", "arguments": ""}}]}), call("call_0", "f", "{}")),
        (json!({"tool_calls": [{"id": null, "name": "f"}]}), call("call_0", "f", "{}")),
        (json!({"function_call": {"name": "f", "arguments": "not json"}}), call("call_0", "f", "not json")),
        (json!({"tool_calls": [7]}), call("call_0", "", "{}")),
    ] {
        assert_eq!(message(&calls).tool_calls, [expected], "{calls}");
    }
    assert_eq!(message(&json!({"tool_calls": null, "function_call": null})).tool_calls, []);
}

#[test]
fn usage_in_every_shape() {
    for (usage, prompt, completion) in [
        (json!(null), 0, 0),
        (json!({"prompt_tokens": 5}), 5, 0),
        (json!({"input_tokens": 5, "output_tokens": 2}), 5, 2),
        (json!({"prompt_tokens": 5.0, "completion_tokens": null}), 5, 0),
        (json!({"prompt_tokens": -1, "completion_tokens": "2"}), 0, 0),
    ] {
        let answer = decode(&json!({"choices": [{"message": {}}], "usage": usage})).unwrap();
        assert_eq!(answer.usage, Usage { prompt_tokens: prompt, completion_tokens: completion }, "{usage}");
    }
}

#[test]
fn finish_reasons() {
    for (text, reason) in [
        (json!("length"), Some(FinishReason::Length)),
        (json!("tool_calls"), Some(FinishReason::ToolCalls)),
        (json!("content_filter"), Some(FinishReason::ContentFilter)),
        (json!("eos"), Some(FinishReason::Other("eos".into()))),
        (json!(""), None),
        (json!(null), None),
    ] {
        assert_eq!(decode(&json!({"choices": [{"finish_reason": text}]})).unwrap().finish_reason, reason, "{text}");
    }
}

#[test]
fn errors_in_every_shape() {
    for (body, text) in [
        (
            r#"{"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}"#,
            "no such model (model_not_found)",
        ),
        (r#"{"error": {"message": "slow down", "type": "rate_limit", "code": null}}"#, "slow down (rate_limit)"),
        (r#"{"error": {"message": "quota", "code": 429}}"#, "quota (429)"),
        (r#"{"error": "no such model"}"#, "no such model"),
        (r#"{"error": true, "message": "no"}"#, "no"),
        (r#"{"error": {"code": "odd"}}"#, "an error without a message (odd)"),
        (r#"[{"error": {"message": "in a list"}}]"#, "in a list"),
        (r#"{"errors": [{"message": "first"}, {"message": "second"}]}"#, "first"),
        (r#"{"object": "error", "message": "too long", "code": 400}"#, "too long (400)"),
        (r#"{"detail": "Not Found"}"#, "Not Found"),
        (r#"{"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}"#, "field required (missing)"),
        ("<html>\n502 Bad Gateway</html>", "<html> 502 Bad Gateway</html>"),
        (r#""no""#, "no"),
        ("", "an error without a message"),
        ("{}", "an error without a message"),
    ] {
        assert_eq!(ApiError::decode(body.as_bytes()).to_string(), text, "{body}");
    }
    assert_eq!(ApiError::decode("ü".repeat(9000).as_bytes()).message.chars().count(), 500);
}

#[test]
fn an_answer_that_is_none() {
    assert_eq!(decode_completion(b"<html>"), Err(ResponseError::NotJson));
    for answer in [json!({}), json!([]), json!("text"), json!({"choices": []}), json!({"choices": [null]}), json!({"choices": 1})] {
        assert_eq!(decode(&answer), Err(ResponseError::NoAnswer { wanted: "`choices`" }), "{answer}");
    }
    let refused = |answer: Json| matches!(decode(&answer), Err(ResponseError::Refused(_)));
    assert!(refused(json!({"error": "overloaded"})));
    assert!(refused(json!({"message": "overloaded"})));
    assert!(refused(json!({"error": {"message": "overloaded"}, "choices": [{"message": {"content": ""}}]})));
    assert!(!refused(json!({"error": null, "message": "ok", "choices": [{"message": {"content": "hi"}}]})));
    assert!(!refused(json!({"error": {}, "choices": [{"message": {"content": "hi"}}]})));
}

#[test]
fn a_custom_endpoint() {
    let request = ChatRequest {
        model: "m".into(),
        tools: vec![ToolDefinition::Retrieval { retrieval: Retrieval { knowledge_id: "k".into(), prompt_template: None } }],
        max_tokens: Some(9),
        ..ChatRequest::default()
    };
    let posted = serde_json::to_value(custom::request(request.streamed())).unwrap();
    assert_eq!(posted, json!({"model": "m", "messages": [], "max_tokens": 9}));

    let content = |body: &str| custom::decode(body.as_bytes()).map(|answer| answer.content);
    assert_eq!(content(r#"{"content": "hi"}"#), Ok(Some("hi".into())));
    assert_eq!(content(r#""hi""#), Ok(Some("hi".into())));
    assert_eq!(content(r#"{"content": null}"#), Ok(None));
    assert_eq!(content("hi"), Err(ResponseError::NotJson));
    assert!(matches!(content(r#"{"text": "hi"}"#), Err(ResponseError::NoAnswer { .. })));
    assert!(matches!(content(r#"{"error": "no"}"#), Err(ResponseError::Refused(_))));
    let counted = custom::decode(br#"{"content": "hi", "usage": {"prompt_tokens": 4}}"#).unwrap();
    assert_eq!(counted.usage.prompt_tokens, 4);
}

#[test]
fn a_streamed_text() {
    let (pieces, answer) = accumulate(&[
        delta(&json!({"role": "assistant", "content": ""})),
        delta(&json!({"content": "Hel"})),
        delta(&json!({"content": [{"type": "text", "text": "lo"}]})),
        json!({"choices": [{"index": 1, "delta": {"content": "another answer"}}]}),
        json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}),
        json!("[DONE]"),
        json!("after the end"),
    ])
    .unwrap();
    assert_eq!((pieces.as_str(), answer.content.as_deref()), ("Hello", Some("Hello")));
    assert_eq!(answer.finish_reason, Some(FinishReason::Stop));
    assert_eq!(answer.usage, Usage { prompt_tokens: 9, completion_tokens: 2 });
}

#[test]
fn streamed_tool_calls() {
    let piece = |fragment: Json| delta(&json!({ "tool_calls": [fragment] }));
    let with_index = [
        piece(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}})),
        piece(json!({"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}})),
        piece(json!({"index": 0, "function": {"arguments": "{\"x\":"}})),
        piece(json!({"index": 1, "id": "", "function": {"arguments": "}"}})),
        piece(json!({"index": 0, "id": "changes", "function": {"name": null, "arguments": "1}"}})),
    ];
    let same_index = [
        piece(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":"}})),
        piece(json!({"index": 0, "function": {"arguments": "1}"}})),
        piece(json!({"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}})),
    ];
    let no_index =
        [piece(json!({"id": "a", "function": {"name": "f", "arguments": {"x": 1}}})), piece(json!({"id": "b", "function": {"name": "g"}}))];
    let name_again = [
        piece(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\""}})),
        piece(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": ":1}"}})),
        piece(json!({"index": 1, "id": "b", "function": {"name": "g"}})),
    ];
    let at_once = [delta(&json!({"tool_calls": [
        {"id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}},
        {"id": "b", "function": {"name": "g", "arguments": "{}"}},
    ]}))];
    for chunks in [&with_index[..], &same_index, &no_index, &name_again, &at_once] {
        let (pieces, answer) = accumulate(chunks.iter().chain([&json!("[DONE]")])).unwrap();
        assert_eq!(pieces, "");
        assert_eq!(answer.content, None);
        assert_eq!(answer.tool_calls, [call("a", "f", r#"{"x":1}"#), call("b", "g", "{}")], "{chunks:?}");
    }
    let without_ids = [piece(json!({"function": {"name": "f", "arguments": {}}})), piece(json!({"function": {"name": "g"}}))];
    let (_, answer) = accumulate(without_ids.iter().chain([&json!("[DONE]")])).unwrap();
    assert_eq!(answer.tool_calls, [call("call_0", "f", "{}"), call("call_1", "g", "{}")]);
}

#[test]
fn a_whole_message_in_a_stream_counts_once() {
    let whole = json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]});
    assert_eq!(accumulate([&whole]).unwrap().0, "hi");
    assert_eq!(accumulate(&[delta(&json!({"content": "hi"})), whole]).unwrap().0, "hi");
}

#[test]
fn a_stream_that_fails() {
    let hi = delta(&json!({"content": "hi"}));
    let failure = |chunks: &[&Json]| accumulate(chunks.iter().copied()).unwrap_err();
    assert_eq!(failure(&[]), StreamError::Cut);
    assert_eq!(failure(&[&hi]), StreamError::Cut);
    assert_eq!(failure(&[&hi, &json!("{\"choices\": [{\"del")]), StreamError::NotJson);
    let error = json!({"error": {"message": "overloaded", "code": 503}});
    assert_eq!(failure(&[&hi, &error, &json!("[DONE]")]).to_string(), "the LLM server broke off its answer: overloaded (503)");
    assert!(matches!(failure(&[&json!({"error": null, "message": "no"})]), StreamError::Refused(_)));
    let long = delta(&json!({"content": "x".repeat(600)}));
    assert_eq!(failure(&[&long, &long]), StreamError::TooLarge { max_bytes: 1000 });
    let empty_calls: Vec<Json> = (0..100).map(|n| json!({"index": n})).collect();
    assert_eq!(failure(&[&delta(&json!({ "tool_calls": empty_calls }))]), StreamError::TooLarge { max_bytes: 1000 });
}

#[test]
fn either_end_makes_a_stream_complete() {
    let hi = delta(&json!({"content": "hi"}));
    let stop = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    assert_eq!(accumulate([&hi, &stop]).unwrap().1.content.as_deref(), Some("hi"));
    assert_eq!(accumulate([&hi, &json!(" [DONE] ")]).unwrap().1.finish_reason, None);
}

proptest! {
    #[test]
    fn a_stream_comes_to_the_same_as_the_whole_answer(
        pieces in prop::collection::vec("[a-zü\"\\\\ ]{0,5}", 0..8),
        arguments in prop::collection::vec("[a-z{}\"]{0,4}", 1..5),
    ) {
        let arguments_whole = arguments.concat();
        let mut chunks: Vec<Json> = pieces.iter().map(|piece| delta(&json!({"content": piece}))).collect();
        chunks.push(delta(&json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]})));
        chunks.extend(arguments.iter().map(|piece| delta(&json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}))));
        chunks.push(json!({"choices": [{"finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}));
        let content = Some(pieces.concat()).filter(|text| !text.is_empty());
        let whole = json!({
            "choices": [{"finish_reason": "tool_calls", "message": {
                "content": content, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": arguments_whole}}],
            }}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        });
        prop_assert_eq!(accumulate(&chunks).unwrap().1, decode(&whole).unwrap());
    }
}
