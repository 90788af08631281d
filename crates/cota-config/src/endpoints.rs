//! endpoints.yml: the LLMs, the store, the channel.

use cota_core::bot::{Llm, LlmKind, Secret};
use cota_core::limits;
use serde_json::{Map as JsonMap, Value as Json};

use crate::codes;
use crate::executor::check_address;
use crate::fields::{Fields, text};
use crate::keys;
use crate::names::Names;
use crate::nearest::nearest;
use crate::node::{Entry, Map, Node, Span, Value, canonical_number};
use crate::report::{Report, say, shown};

const TYPES: [&str; 4] = ["openai", "openai-rag", "custom", "examples"];
/// Keys of an LLM that this platform reads; all others go into the request.
const OWN: [&str; 15] = [
    "type",
    "apitype",
    "userag",
    "headers",
    "model",
    "key",
    "apibase",
    "timeout",
    "retry_attempts",
    "retry_delay",
    "max_concurrent",
    "rate_limit",
    "fallback_model",
    "knowledge_id",
    "rag_prompt",
];
/// Keys of requests that are near to a known one and no slip of the pen.
const COMMON: [&str; 8] = ["top_k", "top_a", "min_p", "n", "logprobs", "top_logprobs", "max_completion_tokens", "max_new_tokens"];
const OPENAI: &str = "https://api.openai.com/v1";
/// Tries in all, where an LLM does not say.
const ATTEMPTS: u32 = 3;
/// Before the second try, where an LLM does not say.
const RETRY_DELAY_MS: u64 = 500;

/// Where the bot's own files want conversations kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreChoice {
    /// They do not say: the target's default store.
    #[default]
    Default,
    /// In a SQLite file, relative to the bot's folder.
    Sqlite(String),
}

/// What endpoints.yml says.
pub(crate) struct Endpoints {
    pub(crate) llms: Vec<Llm>,
    pub(crate) store: StoreChoice,
}

/// The names of the configured LLMs.
pub(crate) fn names(endpoints: &Node) -> Names {
    let entries = endpoints.as_map().and_then(|map| map.get("llms")).and_then(Node::as_map).map(Map::entries).unwrap_or_default();
    Names::of(entries.iter().map(|entry| entry.key.clone()))
}

/// Reads endpoints.yml with its overlay laid over it and its variables filled in.
pub(crate) fn read(node: &Node, names: &Names, report: &mut Report<'_>) -> Endpoints {
    let Some(fields) = Fields::read(node, &keys::ENDPOINTS, report) else {
        return Endpoints { llms: vec![offline()], store: StoreChoice::Default };
    };
    let entries = fields.named("llms", report);
    let mut llms: Vec<Llm> = entries.iter().filter_map(|entry| llm(entry, names, report)).collect();
    report_cycles(&llms, entries, report);
    if entries.is_empty() {
        report.add(&codes::OFFLINE_MODEL, node.span.whole_file(), || {
            say("no LLM is configured, so the offline model answers from the examples in policy/")
                .help("describe an LLM under `llms` in endpoints.yml; `type: examples` there names the offline model")
        });
        llms.push(offline());
    }
    if let Some(entry) = fields.entry("channel") {
        report.add(&codes::CHANNEL_NOT_USED, entry.key_span, || say("`channel` is not used: the store does its work"));
    }
    Endpoints { llms, store: store(&fields, report) }
}

/// The model of a bot that has none.
fn offline() -> Llm {
    Llm {
        name: "offline".to_owned(),
        kind: LlmKind::Examples,
        model: String::new(),
        key: None,
        apibase: String::new(),
        extra: JsonMap::new(),
        timeout_ms: None,
        attempts: 1,
        retry_delay_ms: 0,
        max_concurrent: None,
        rate_limit: None,
        fallback: None,
    }
}

fn llm(entry: &Entry, names: &Names, report: &mut Report<'_>) -> Option<Llm> {
    let fields = Fields::read_open(&entry.value, &keys::LLM, report)?;
    let kind = kind(&fields, report)?;
    if kind == LlmKind::Examples {
        return Some(Llm { name: entry.key.clone(), ..offline() });
    }
    let model = fields.text("model", report);
    if model.is_none() && kind != LlmKind::Custom {
        report.add(&codes::MISSING_KEY, entry.key_span, || say(format!("the LLM `{}` needs a `model`", entry.key)));
    }
    let attempts = fields.whole("retry_attempts", 0..=100, report).unwrap_or(ATTEMPTS).max(1);
    let fallback = fields.get("fallback_model").and_then(|node| names.llm(node, report));
    Some(Llm {
        name: entry.key.clone(),
        apibase: address(entry, &fields, &kind, report),
        kind,
        model: model.unwrap_or_default(),
        key: fields.text("key", report).filter(|key| !key.is_empty()).map(Secret::new),
        extra: extra(&fields, report),
        timeout_ms: fields.seconds("timeout", limits::TURN_MS, report),
        attempts: u16::try_from(attempts).unwrap_or(u16::MAX),
        retry_delay_ms: fields.seconds("retry_delay", limits::TURN_MS, report).unwrap_or(RETRY_DELAY_MS),
        max_concurrent: fields.whole("max_concurrent", 1..=1_000_000, report),
        rate_limit: fields.whole("rate_limit", 1..=1_000_000_000, report),
        fallback,
    })
}

fn kind(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<LlmKind> {
    let written = fields.text("type", report).unwrap_or_else(|| "openai".to_owned());
    let uses_rag = fields.get("userag").and_then(Node::as_bool) == Some(true);
    match written.trim().to_ascii_lowercase().as_str() {
        "openai" if uses_rag => rag(fields, report),
        "openai" => Some(LlmKind::OpenAi),
        "openai-rag" => rag(fields, report),
        "custom" => Some(LlmKind::Custom),
        "examples" => Some(LlmKind::Examples),
        _ => {
            let node = fields.get("type")?;
            report.add(&codes::UNKNOWN_LLM_TYPE, node.span, || {
                say(format!("there is no LLM of type {}", shown(node))).suggest(nearest(&written, TYPES))
            });
            None
        }
    }
}

fn rag(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<LlmKind> {
    let Some(knowledge_id) = fields.text("knowledge_id", report) else {
        report.add(&codes::MISSING_KEY, fields.span, || say("an LLM of `type: openai-rag` needs a `knowledge_id`"));
        return None;
    };
    Some(LlmKind::OpenAiRag { knowledge_id, prompt: fields.text("rag_prompt", report) })
}

fn address(entry: &Entry, fields: &Fields<'_>, kind: &LlmKind, report: &mut Report<'_>) -> String {
    check_address(fields, "apibase", report);
    match (fields.text("apibase", report), kind) {
        (Some(apibase), _) => apibase.trim().to_owned(),
        (None, LlmKind::Custom) => {
            report.add(&codes::MISSING_KEY, entry.key_span, || {
                say(format!("the LLM `{}` is of `type: custom` and needs an `apibase`, the address to post to", entry.key))
            });
            String::new()
        }
        (None, LlmKind::OpenAi | LlmKind::OpenAiRag { .. } | LlmKind::Examples) => OPENAI.to_owned(),
    }
}

/// What goes into each request as it is.
fn extra(fields: &Fields<'_>, report: &mut Report<'_>) -> JsonMap<String, Json> {
    let mut extra = JsonMap::new();
    for entry in fields.entries().iter().filter(|entry| !OWN.contains(&entry.key.as_str())) {
        let name = entry.key.as_str();
        if !keys::LLM.known.contains(&name)
            && !COMMON.contains(&name)
            && let Some(near) = nearest(name, keys::LLM.known.iter().copied())
        {
            report.add(&codes::UNKNOWN_KEY, entry.key_span, || {
                say(format!("an LLM has no key `{name}`, so it goes into the request as it is")).suggest(Some(near))
            });
        }
        if !entry.value.is_null() {
            extra.insert(entry.key.clone(), request_value(&entry.value));
        }
    }
    extra
}

/// A value as the request takes it: a number in an unusual spelling is a number.
fn request_value(node: &Node) -> Json {
    match &node.value {
        // A text in a number's JSON spelling was quoted, and is a text.
        Value::Text(text) => match node.as_number() {
            Some(number) if canonical_number(text).is_none() => Json::from(number),
            Some(_) | None => Json::String(text.clone()),
        },
        Value::List(items) => Json::Array(items.iter().map(request_value).collect()),
        Value::Map(map) => {
            map.entries().iter().map(|entry| (entry.key.clone(), request_value(&entry.value))).collect::<JsonMap<_, _>>().into()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => node.to_json(),
    }
}

/// Reports LLMs that fall back to each other in a circle, once for each circle.
fn report_cycles(llms: &[Llm], entries: &[Entry], report: &mut Report<'_>) {
    let fallback = |name: &str| llms.iter().find(|llm| llm.name == name).and_then(|llm| llm.fallback.clone());
    let mut reported: Vec<String> = Vec::new();
    for llm in llms {
        let mut path = vec![llm.name.clone()];
        let mut next = llm.fallback.clone();
        while let Some(name) = next {
            if let Some(start) = path.iter().position(|seen| *seen == name) {
                let cycle: Vec<String> = path.drain(start..).chain([name.clone()]).collect();
                if !reported.contains(&name) {
                    report.add(&codes::FALLBACK_CYCLE, fallback_span(entries, &name), || {
                        say(format!("these LLMs fall back to each other in a circle: {}", cycle.join(" -> ")))
                            .help("let the last one fall back to none")
                    });
                }
                reported.extend(cycle);
                break;
            }
            next = fallback(&name);
            path.push(name);
        }
    }
}

fn fallback_span(entries: &[Entry], name: &str) -> Span {
    let entry = entries.iter().find(|entry| entry.key == name);
    entry
        .and_then(|entry| Some(entry.value.as_map()?.get("fallback_model")?.span))
        .or(entry.map(|entry| entry.key_span))
        .unwrap_or_default()
}

fn store(fields: &Fields<'_>, report: &mut Report<'_>) -> StoreChoice {
    let Some(entry) = fields.entry("base_store") else { return StoreChoice::Default };
    let Some(store) = Fields::read_open(&entry.value, &keys::STORE, report) else { return StoreChoice::Default };
    let kind = store.text("type", report).unwrap_or_default();
    if kind.is_empty() || kind.eq_ignore_ascii_case("memory") {
        return StoreChoice::Default;
    }
    let dialect = store.text("dialect", report).unwrap_or_default();
    if kind.eq_ignore_ascii_case("sql") && dialect.starts_with("sqlite") {
        let path = match dialect.split_once(":///") {
            Some((_, path)) if !path.is_empty() => Some(path.to_owned()),
            Some(_) | None => store.get("db").and_then(|node| text(node, "`db`", report)),
        };
        return path.map_or(StoreChoice::Default, StoreChoice::Sqlite);
    }
    report.add(&codes::STORE_NOT_USED, entry.key_span, || {
        let written = store.get("dialect").or_else(|| store.get("type")).map_or_else(String::new, shown);
        say(format!("the store {written} is not used; the default store takes its place")).help("choose a store with `--store`")
    });
    StoreChoice::Default
}
