//! The JSON Schemas accept what loads without a word, and refuse what does not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use cota_config::{Bundle, Files};
use jsonschema::Validator;
use serde_json::Value as Json;

fn schema(name: &str) -> Validator {
    let path = format!("{}/../../schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&json).unwrap()
}

/// The trees of a folder. Its tests go as policy files, because a bundle leaves tests out.
fn trees(files: &Files) -> Vec<(String, Json)> {
    let as_parts: Files = files.iter().map(|(path, text)| (path.replace("tests/", "policy/../tests/"), text.clone())).collect();
    let json: Json = serde_json::from_str(&Bundle::of(&as_parts, "x").to_json()).unwrap();
    json["files"].as_object().unwrap().iter().map(|(path, tree)| (path.replace("policy/../", ""), tree.clone())).collect()
}

fn schema_of(path: &str) -> &'static str {
    match path.split(['/', '.']).next() {
        Some("agent") => "agent",
        Some("endpoints") => "endpoints",
        Some("policy") => "policy",
        Some("tests") => "tests",
        other => panic!("{other:?}"),
    }
}

fn faults(files: &Files) -> Vec<String> {
    trees(files)
        .iter()
        .flat_map(|(path, tree)| {
            let schema = schema(schema_of(path));
            schema.iter_errors(tree).map(|error| format!("{path} {}: {error}", error.instance_path())).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_example_bots_fit_the_schemas() {
    for bot in support::example_bots() {
        let files = support::read_folder(&bot);
        assert_eq!(faults(&files), Vec::<String>::new(), "{}", bot.display());
        for (path, text) in &files {
            let depth = if path.contains('/') { "../../.." } else { "../.." };
            let line = format!("# yaml-language-server: $schema={depth}/schemas/{}.schema.json", schema_of(path));
            assert_eq!(text.lines().next(), Some(line.as_str()), "{} {path}", bot.display());
        }
    }
}

#[test]
fn a_bot_that_uses_every_key_fits_the_schemas() {
    let files = support::folder("=== agent.yml
system: {name: a, description: b}
dialogue:
  {use_proxy_user: true, max_proxy_step: 3, max_tokens: 9, max_steps: 3, mode: tools, on_busy: merge, max_queue: 2, max_history_tokens: 9, fallback: x}
user_proxy: {description: p}
policies: [{type: trigger}, {name: match}, {type: llm, config: {llms: [{name: gpt, action: Ask}, gpt]}}, {type: llm, llm: {Ask: gpt}}]
knowledge:
actions:
  Ask: {type: utterance, description: d, prompt: p, llm: gpt}
  Pay:
    slots: {sum: {description: d, prompt: p, llm: gpt, values: [1, 2], pattern: '\\d', examples: 3}, name: }
    executer: {type: http, url: 'https://example.com/', method: post, headers: {A: b}, output: [done], mock: false, timeout: 3, safety: idempotent}
  Run: {executor: {type: script, script_path: x, args: [a, 1]}}
  Trip: {type: task, task: trip, slots: {where: }}
  Approve: {type: task, task: trip, step: approve, slots: {answer: }}
=== endpoints.yml
llms:
  gpt: {type: openai, model: m, key: '${TEST_KEY}', apibase: 'https://example.com', timeout: '${TEST_NUMBER}', retry_attempts: 2, retry_delay: 1,
        max_concurrent: 3, rate_limit: 60, fallback_model: off, temperature: 0.1, top_p: 1, max_tokens: 5, seed: 1, stop: [a], top_k: 5}
  rag: {type: openai-rag, model: m, knowledge_id: 4, rag_prompt: p}
  off: {type: examples}
base_store: {type: SQL, dialect: sqlite, db: x.db}
=== policy/a.yml
policies: [{title: 1, actions: [{name: UserUtter, result: [a, {text: b}]}, {name: Ask, thought: t, result: c}]}]
triggers: [{title: t, during_form: false, actions: [{name: UserUtter, result: hi}, {name: Ask}]}]
=== tests/a.yml
tests:
  - {name: t, llm: [x, {a: 1}], steps: [{user: hi}, {bot: x}, {bot: {equals: a, contains: [b], not_contains: c, matches: d}},
     {action: {name: Ask, slots: {a: 1}, state: end, result: x}}, {action: Ask}]}
");
    assert_eq!(faults(&files), Vec::<String>::new());
    let loaded = support::load_files(&files);
    assert!(loaded.bot.is_some(), "{}", support::text(&loaded.diagnostics));
    assert!(loaded.diagnostics.iter().all(|diagnostic| diagnostic.code != "unknown-key"), "{}", support::text(&loaded.diagnostics));
}

#[test]
fn the_schemas_refuse_what_an_editor_should_mark() {
    for file in [
        "agent.yml\nactions: {Ask: {promt: x}}",
        "agent.yml\ndialogue: {mode: agent}",
        "agent.yml\npolicies: [{type: triger}]",
        "agent.yml\nactions: {Pay: {executer: {timeout: 600}}}",
        "endpoints.yml\nllms: {gpt: {type: gpt}}",
        "policy/a.yml\ntriggers: [{actions: []}]",
        "policy/a.yml\npolicies: [{actions: [{result: x}]}]",
        "tests/a.yml\ntests: [{name: a, steps: [{user: a, bot: b}]}]",
    ] {
        assert_ne!(faults(&support::folder(&format!("=== {file}\n"))), Vec::<String>::new(), "{file}");
    }
}
