//! A whole answer of the ordinary form, read without building the JSON value that the lenient reading needs.
//!
//! Nearly every answer has this form, and reading it so takes a fraction of the work. The types here are as narrow as can be:
//! whatever departs from them, an error among the rest, is left to the lenient reading, whose meaning is the one that counts.
//! What nobody reads is stepped over and not checked beyond its outline.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::lenient::{or_empty_object, or_made_id};
use super::{Completion, FinishReason, ToolCall, Usage};

/// The answer, if it has the ordinary form.
pub(super) fn read(body: &[u8]) -> Option<Completion> {
    let Object(answer) = serde_json::from_slice::<Object<Answer<'_>>>(body).ok()?;
    let Answer { choices: [Object(choice)], usage, error: None, errors: None } = answer else { return None };
    let Choice { message: Object(message), finish_reason, text: None } = choice else { return None };
    let Message { content, tool_calls, function_call: None } = message else { return None };
    let calls = tool_calls.unwrap_or_default().into_iter().enumerate();
    Some(Completion {
        content,
        tool_calls: calls.map(|(place, Object(call))| tool_call(call, place)).collect(),
        finish_reason: finish_reason.filter(|reason| !reason.is_empty()).map(FinishReason::named),
        usage: usage.map(|Object(count)| usage_of(count)).unwrap_or_default(),
    })
}

fn tool_call(call: Call, place: usize) -> ToolCall {
    let Call { id, function: Object(function) } = call;
    ToolCall {
        id: or_made_id(id.as_deref().filter(|id| !id.is_empty()), place),
        name: function.name.unwrap_or_default(),
        arguments: or_empty_object(function.arguments.unwrap_or_default()),
    }
}

fn usage_of(Count { prompt_tokens, completion_tokens }: Count) -> Usage {
    Usage { prompt_tokens, completion_tokens }
}

/// A JSON object. A derived struct alone would take an array as well, its fields in their order.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMap<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMap<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(OnlyMap(PhantomData))
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    choices: [Object<Choice<'a>>; 1],
    usage: Option<Object<Count>>,
    error: Option<IgnoredAny>,
    errors: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    message: Object<Message>,
    finish_reason: Option<&'a str>,
    text: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    tool_calls: Option<Vec<Object<Call>>>,
    function_call: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    function: Object<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Count {
    prompt_tokens: u64,
    completion_tokens: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::super::response::read_leniently;
    use super::*;

    /// Values that differ from what a field ordinarily holds.
    fn odd() -> impl Strategy<Value = Json> {
        let odd = r#"[null, false, 7, -1, 2.0, "", "a\"ü\n", [], {}, ["a"], [{"text": "a"}], [["a", "b"]], {"text": "a"}, {"message": "no"},
        {"name": "f", "arguments": {"a": 1}}]"#;
        prop::sample::select(serde_json::from_str::<Vec<Json>>(odd).unwrap())
    }

    /// One of these values, rarely an odd one.
    fn mostly(values: Vec<Json>) -> impl Strategy<Value = Json> {
        prop_oneof![6 => prop::sample::select(values), 1 => odd()]
    }

    /// An object of some of these fields, in this order; rarely their values alone, in an array.
    fn object(fields: Vec<(&'static str, BoxedStrategy<Json>)>) -> BoxedStrategy<Json> {
        let fields: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| (prop::bool::weighted(0.8), value).prop_map(move |(is, value)| is.then_some((name, value))))
            .collect();
        (fields, prop::bool::weighted(0.05))
            .prop_map(|(fields, array)| {
                let fields = fields.into_iter().flatten();
                if array {
                    fields.map(|(_, value)| value).collect()
                } else {
                    fields.map(|(name, value)| (name.to_owned(), value)).collect()
                }
            })
            .boxed()
    }

    fn list(item: BoxedStrategy<Json>, sizes: std::ops::Range<usize>) -> BoxedStrategy<Json> {
        prop_oneof![12 => prop::collection::vec(item, sizes).prop_map(Json::from), 1 => odd()].boxed()
    }

    /// Answers in and around the ordinary form.
    fn answer() -> BoxedStrategy<Json> {
        let text = || mostly(vec![json!("hello"), json!(""), json!("stop"), json!("a \"b\" \\ ü\n")]).boxed();
        let count = || mostly(vec![json!(0), json!(12), json!(u64::MAX)]).boxed();
        let rare = || prop_oneof![12 => Just(json!(null)), 1 => odd()].boxed();
        let function = object(vec![("name", text()), ("arguments", text())]);
        let call = object(vec![("id", text()), ("type", text()), ("function", function)]);
        let message = object(vec![("role", text()), ("content", text()), ("tool_calls", list(call, 0..3)), ("function_call", rare())]);
        let choice = object(vec![("index", count()), ("message", message), ("text", rare()), ("finish_reason", text())]);
        let usage = object(vec![("prompt_tokens", count()), ("input_tokens", count()), ("completion_tokens", count())]);
        object(vec![("id", text()), ("choices", list(choice, 1..3)), ("usage", usage), ("error", rare()), ("errors", rare())])
    }

    #[test]
    fn the_ordinary_form_is_read_without_the_lenient_reading() {
        let calls = json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}, {"function": {"name": "g"}}]);
        for answer in [
            json!({"choices": [{"message": {"content": "hi"}}]}),
            json!({
                "id": "x", "object": "chat.completion", "created": 1, "error": null,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi", "refusal": null}, "finish_reason": "stop", "logprobs": null}],
                "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 0}},
            }),
            json!({"choices": [{"message": {"content": null, "tool_calls": calls}, "finish_reason": "tool_calls"}]}),
        ] {
            let body = answer.to_string();
            let ordinary = read(body.as_bytes());
            assert!(ordinary.is_some(), "{answer}");
            assert_eq!(ordinary, read_leniently(body.as_bytes()).ok());
        }
    }

    proptest! {
        #[test]
        fn the_ordinary_reading_agrees_with_the_lenient_one(answer in answer()) {
            let body = answer.to_string();
            if let Some(ordinary) = read(body.as_bytes()) {
                prop_assert_eq!(Ok(ordinary), read_leniently(body.as_bytes()));
            }
        }
    }
}
