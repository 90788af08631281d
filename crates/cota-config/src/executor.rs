//! `executer` of a form.

use cota_core::bot::{Executor, ExecutorKind, HttpCall, HttpMethod, MockCall, Safety, ScriptCall, Secret};
use cota_core::limits;

use crate::Target;
use crate::codes;
use crate::fields::{Fields, text};
use crate::keys;
use crate::nearest::nearest;
use crate::node::Node;
use crate::report::{Report, say, shown};

const TYPES: [&str; 5] = ["http", "script", "python", "plugin", "mcp"];
const METHODS: [(&str, HttpMethod); 5] = [
    ("GET", HttpMethod::Get),
    ("POST", HttpMethod::Post),
    ("PUT", HttpMethod::Put),
    ("PATCH", HttpMethod::Patch),
    ("DELETE", HttpMethod::Delete),
];
const SAFETIES: [(&str, Safety); 3] =
    [("read_only", Safety::ReadOnly), ("idempotent", Safety::Idempotent), ("at_most_once", Safety::AtMostOnce)];
/// Stands for any result text in `output`.
const ANY_TEXT: &str = "<text>";

/// Reads an executor. `slots` are the names of the form's slots.
pub(crate) fn executor(node: &Node, slots: &[&str], target: Target, report: &mut Report<'_>) -> Option<Executor> {
    let fields = Fields::read(node, &keys::EXECUTER, report)?;
    let output = fields.texts("output", report);
    let kind = match mock(&fields, &output, report) {
        Some(mock) => ExecutorKind::Mock(mock),
        None => kind(&fields, target, report)?,
    };
    check_placeholders(&fields, slots, report);
    let safety = chosen(&fields, "safety", &SAFETIES, report).unwrap_or_else(|| default_safety(&kind));
    let timeout_ms = fields.seconds("timeout", limits::TURN_MS, report);
    Some(Executor { kind, output, timeout_ms, safety })
}

/// The mock, if the executor is one.
fn mock(fields: &Fields<'_>, output: &[String], report: &mut Report<'_>) -> Option<MockCall> {
    let node = fields.get("mock")?;
    match node.as_bool() {
        Some(false) => None,
        Some(true) => Some(MockCall { text: output.iter().find(|text| *text != ANY_TEXT).cloned() }),
        None => Some(MockCall { text: Some(text(node, "`mock`", report)?) }),
    }
}

fn kind(fields: &Fields<'_>, target: Target, report: &mut Report<'_>) -> Option<ExecutorKind> {
    let written = fields.text("type", report).unwrap_or_else(|| "http".to_owned());
    let written = written.trim().to_ascii_lowercase();
    match written.as_str() {
        "http" => http(fields, report).map(ExecutorKind::Http),
        "script" => script(fields, target, report).map(ExecutorKind::Script),
        "python" | "plugin" => {
            Some(unsupported(fields, &written, "Serve the function over HTTP, or run it as a program with `type: script`", report))
        }
        "mcp" => Some(unsupported(fields, &written, "Call the tool over HTTP until MCP servers are supported", report)),
        _ => {
            let node = fields.get("type")?;
            report.add(&codes::UNKNOWN_EXECUTOR, node.span, || {
                say(format!("there is no executor of type {}", shown(node))).suggest(nearest(&written, TYPES))
            });
            None
        }
    }
}

/// An executor that loads and fails when it is run.
fn unsupported(fields: &Fields<'_>, written: &str, way_out: &str, report: &mut Report<'_>) -> ExecutorKind {
    let span = fields.get("type").map_or(fields.span, |node| node.span);
    report.add(&codes::UNSUPPORTED_EXECUTOR, span, || {
        say(format!("executors of type `{written}` are not run, so this action's result will be an error")).help(lower_first(way_out))
    });
    ExecutorKind::Unsupported { written: written.to_owned(), way_out: format!("{way_out}.") }
}

fn http(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<HttpCall> {
    let method = chosen(fields, "method", &METHODS, report).unwrap_or(HttpMethod::Get);
    let headers = fields
        .named("headers", report)
        .iter()
        .filter_map(|entry| Some((entry.key.clone(), Secret::new(text(&entry.value, "a header", report)?))))
        .collect();
    let Some(url) = fields.text("url", report) else {
        report.add(&codes::MISSING_KEY, fields.span, || {
            say("an `http` executor needs a `url`").help("`mock: true` answers without calling anyone")
        });
        return None;
    };
    check_address(fields, "url", report);
    Some(HttpCall { url, method, headers })
}

fn script(fields: &Fields<'_>, target: Target, report: &mut Report<'_>) -> Option<ScriptCall> {
    let Some(path) = fields.text("script_path", report) else {
        report.add(&codes::MISSING_KEY, fields.span, || say("a `script` executor needs a `script_path`"));
        return None;
    };
    if target == Target::Edge {
        report.add(&codes::SCRIPT_ON_EDGE, fields.span, || {
            say("scripts run only where `cota run` serves the bot, so here this action's result will be an error")
                .help("serve the program over HTTP and use `url`")
        });
    }
    Some(ScriptCall { path, args: fields.texts("args", report) })
}

/// The value of a key that takes one of a few words, in any case.
fn chosen<T: Copy>(fields: &Fields<'_>, key: &str, words: &[(&'static str, T)], report: &mut Report<'_>) -> Option<T> {
    let written = fields.text(key, report)?;
    let node = fields.get(key)?;
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(written.trim()));
    if found.is_none() {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        report.add(&codes::WRONG_VALUE, node.span, || say(format!("`{key}` must be one of {}, not {}", all.join(", "), shown(node))));
    }
    found.map(|(_, value)| *value)
}

pub(crate) fn default_safety(kind: &ExecutorKind) -> Safety {
    match kind {
        ExecutorKind::Mock(_) | ExecutorKind::Http(HttpCall { method: HttpMethod::Get, .. }) => Safety::ReadOnly,
        ExecutorKind::Http(_) | ExecutorKind::Script(_) | ExecutorKind::Unsupported { .. } => Safety::AtMostOnce,
        // Its effect's key is the task's id.
        ExecutorKind::Task(_) => Safety::Idempotent,
    }
}

/// Reports an address that no client can call.
pub(crate) fn check_address(fields: &Fields<'_>, key: &str, report: &mut Report<'_>) {
    let Some(node) = fields.get(key) else { return };
    if node.is_pending() {
        return;
    }
    let address = node.as_text().unwrap_or_default();
    match ["http://", "https://"].iter().find_map(|scheme| address.trim_start().strip_prefix(scheme)) {
        None => report.add(&codes::WRONG_VALUE, node.span, || {
            say(format!("`{key}` must be an address that begins with http:// or https://, not {}", shown(node)))
        }),
        Some(rest) if !is_plain_host(rest) => report.add(&codes::WRONG_VALUE, node.span, || {
            say(format!("the host in `{key}` must be written as DNS has it, in letters of ASCII (`xn--...`), not {}", shown(node)))
        }),
        Some(_) => {}
    }
}

/// Whether the host that an address goes on with after its scheme is ASCII, whatever the names of the slots in it.
fn is_plain_host(rest: &str) -> bool {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.split('{').enumerate().all(|(place, part)| {
        let written = if place == 0 { part } else { part.split_once('}').map_or(part, |(_, written)| written) };
        written.is_ascii()
    })
}

/// Reports every `{word}` that is no slot.
fn check_placeholders(fields: &Fields<'_>, slots: &[&str], report: &mut Report<'_>) {
    for key in ["url", "mock", "args"] {
        let Some(node) = fields.get(key) else { continue };
        let texts: Vec<String> = match node.as_list() {
            Some(items) => items.iter().filter_map(Node::as_text).collect(),
            None => node.as_text().into_iter().collect(),
        };
        for word in texts.iter().flat_map(|text| placeholders(text)) {
            if slots.contains(&word) {
                continue;
            }
            let place = report.sources.find(node.span, &format!("{{{word}}}"), 0);
            report.add(&codes::UNKNOWN_SLOT, place, || {
                say(format!("this form has no slot `{word}`, so `{{{word}}}` stays as it is")).suggest(nearest(word, slots.iter().copied()))
            });
        }
    }
}

/// The words in single braces; a variable of the environment is none.
pub(crate) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter(|(at, _)| !text.get(..*at).is_some_and(|before| before.ends_with('$'))).filter_map(|(at, _)| {
        let (word, _) = text.get(at + 1..)?.split_once('}')?;
        let is_word = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_word.then_some(word)
    })
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
