//! Every kind of problem, as the author sees it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use std::collections::BTreeSet;

use cota_config::{Diagnostic, Options, Target, codes, load, tests};

/// A folder for each code, as small as it can be. Most have the offline model and one example, so that nothing else is wrong.
const CASES: &[(&str, &str)] = &[
    ("syntax", "=== agent.yml\nactions:\n  BotUtter:\n    prompt: \"never closed\n    description: x\n"),
    ("second-document", "=== agent.yml\nsystem: {name: a}\n---\nsystem: {name: b}\n"),
    ("duplicate-key", "=== agent.yml\nsystem:\n  name: a\n  description: first\n  name: b\n"),
    ("too-large", "=== agent.yml\nsystem: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]\n"),
    ("missing-file", "=== agent.yaml\nsystem: {name: a}\n"),
    ("misnamed-file", "=== agent.yml\nsystem: {name: a}\n=== endpoints.yaml\nllms: {}\n"),
    ("wrong-type", "=== agent.yml\ndialogue:\n  max_tokens: [500]\n  use_proxy_user: perhaps\nactions:\n  - Weather\n"),
    (
        "wrong-value",
        "=== agent.yml\ndialogue:\n  on_busy: drop\nactions:\n  Pay:\n    executer: {url: example.com, method: FETCH, safety: safe}\n  \
         Ask:\n    slots: {城市: {}}\n    executer: {url: \"http://{城市}.天气.example/北京\"}\n",
    ),
    (
        "missing-key",
        "=== agent.yml\nactions:\n  Pay:\n    executer:\n      method: POST\n=== endpoints.yml\nllms:\n  gpt:\n    key: ${TEST_KEY}\n",
    ),
    ("unknown-key", "=== agent.yml\nactions:\n  BotUtter:\n    descripton: Say something.\n    color: red\n"),
    (
        "old-key",
        "=== agent.yml\ndialogue:\n  max_bot_step: 20\n  use_proxy_user_breaker: true\npolicies:\n  - name: rag\n    llm: {BotUtter: glm}\n\
         actions:\n  Calculate:\n    prompt: Say it.\n    updater:\n      prompt: Fill the slots.\n    slots:\n      expression: {description: what}\n    \
         executer:\n      url: https://example.com/\n      methold: GET\n=== endpoints.yml\nllms:\n  glm: {apitype: openai, model: glm-4, key: \"${TEST_KEY}\"}\n",
    ),
    ("idle-key", "=== agent.yml\nactions:\n  BotUtter:\n    slots:\n      city: {}\n"),
    ("over-limit", "=== agent.yml\ndialogue:\n  max_history_tokens: 1000000\nactions:\n  Pay:\n    executer: {mock: true, timeout: 600}\n"),
    ("unknown-mode", "=== agent.yml\ndialogue:\n  mode: agent\n"),
    ("mode-without-tools", "=== agent.yml\ndialogue:\n  mode: tools\n"),
    ("unknown-policy", "=== agent.yml\npolicies:\n  - type: triger\n  - type: embedding\n"),
    ("idle-policy", "=== agent.yml\npolicies:\n  - type: llm\n"),
    (
        "idle-knowledge",
        "=== agent.yml\nknowledge:\n  - type: llm\nactions:\n  BotUtter:\n    prompt: |\n      Facts:\n      {{knowledge}}\n",
    ),
    (
        "unknown-action",
        "=== agent.yml\nactions:\n  Weather: {executer: {mock: true}}\n=== policy/a.yml\npolicies:\n  - title: rain\n    actions:\n      \
         - {name: UserUtter, result: rain?}\n      - {name: Selector, thought: look it up, result: Wether}\n      - name: Wether\n        result: <text>\n",
    ),
    ("similar-actions", "=== agent.yml\nactions:\n  botUtter: {description: Say something.}\n"),
    ("unknown-action-type", "=== agent.yml\nactions:\n  Ask: {type: query, description: Ask.}\n"),
    ("no-actions", "=== agent.yml\nactions:\n  Selector:\n    prompt: Choose from {{action_names}}.\n"),
    ("empty-form", "=== agent.yml\nactions:\n  Pay: {type: form}\n"),
    (
        "unknown-variable",
        "=== agent.yml\nactions:\n  BotUtter:\n    prompt: |\n      You are {{task_description}}.\n\n      {{histroy_messages}}\n      \
         你好 {{anything}} and {{histroy_messages}}\n  Selector: {prompt: \"{{x}} {{policies}}\"}\n",
    ),
    (
        "unknown-slot",
        "=== agent.yml\nactions:\n  Weather:\n    slots:\n      city: {description: where}\n    executer:\n      url: https://example.com/{citty}\n\
         === policy/a.yml\npolicies:\n  - actions:\n      - {name: UserUtter, result: rain?}\n      - {name: BotUtter, result: \"In {citty}: {result} {shrug}\"}\n",
    ),
    ("bad-pattern", "=== agent.yml\nactions:\n  Pay:\n    slots:\n      sum:\n        pattern: '(\\d+'\n"),
    (
        "unknown-llm",
        "=== agent.yml\nactions:\n  BotUtter: {llm: gpt4}\n=== endpoints.yml\nllms:\n  gpt-4: {model: gpt-4, key: \"${TEST_KEY}\", fallback_model: offline}\n",
    ),
    ("llm-not-configured", "=== agent.yml\nactions:\n  BotUtter: {llm: gpt-4}\n"),
    ("unknown-llm-type", "=== agent.yml\nsystem: {name: a}\n=== endpoints.yml\nllms:\n  gpt: {type: open-ai, model: gpt-4}\n"),
    (
        "fallback-cycle",
        "=== agent.yml\nsystem: {name: a}\n=== endpoints.yml\nllms:\n  a: {model: m, fallback_model: b}\n  b: {model: m, fallback_model: c}\n  \
         c:\n    model: m\n    fallback_model: b\n",
    ),
    ("offline-model", "=== agent.yml\nsystem: {name: a}\n"),
    ("nothing-to-answer-from", "=== agent.yml\nsystem: {name: a}\n=== endpoints.yml\nllms:\n  offline: {type: examples}\n"),
    ("unknown-executor", "=== agent.yml\nactions:\n  Pay: {executer: {type: htpp, url: https://example.com/}}\n"),
    ("unsupported-executor", "=== agent.yml\nactions:\n  Pay: {executer: {type: python}}\n"),
    ("script-on-edge", "=== agent.yml\nactions:\n  Pay: {executer: {type: script, script_path: pay.sh}}\n"),
    ("store-not-used", "=== agent.yml\nsystem: {name: a}\n=== endpoints.yml\nbase_store:\n  type: SQL\n  dialect: mysql+pymysql\n"),
    ("channel-not-used", "=== agent.yml\nsystem: {name: a}\n=== endpoints.yml\nchannel:\n  type: redis\n  host: localhost\n"),
    (
        "clear-secret",
        "=== agent.yml\nactions:\n  Pay:\n    executer:\n      url: https://example.com/\n      headers: {Authorization: Bearer sk-clear, X: y}\n\
         === endpoints.yml\nllms:\n  gpt: {model: gpt-4, key: sk-clear, apibas: x}\n  two:\n    model: m\n    key: >-\n      sk-clear\n",
    ),
    (
        "missing-variable",
        "=== agent.yml\nactions:\n  Pay:\n    executer:\n      url: https://${PAY_HOST}/pay\n=== endpoints.yml\nllms:\n  gpt:\n    model: ${MODEL:-gpt-4}\n    \
         key: ${OPENAI_API_KEY}\n",
    ),
    ("later-variable", "=== agent.yml\nsystem: {name: a}\n=== endpoints.yml\nllms:\n  gpt: {model: m, key: \"${LATER}\"}\n"),
    ("missing-environment", "=== agent.yml\nsystem: {name: a}\n"),
    ("empty-dialogue", "=== agent.yml\nsystem: {name: a}\n=== policy/a.yml\npolicies:\n  - title: nothing\n"),
    ("dialogue-too-long", ""),
    (
        "clashing-rules",
        "=== agent.yml\nactions:\n  HandOver: {executer: {mock: true, output: [done]}}\n  Hours: {executer: {mock: true}}\n\
         === policy/a.yml\ntriggers:\n  - title: a person\n    actions:\n      - {name: UserUtter, result: [agent, person]}\n      - {name: HandOver, result: done}\n\
         === policy/b.yml\ntriggers:\n  - title: opening hours\n    actions:\n      - {name: UserUtter, result: [hours, ' agent ']}\n      - name: Hours\n",
    ),
    (
        "unreachable-rule",
        "=== agent.yml\nactions:\n  HandOver: {executer: {mock: true}}\n=== policy/a.yml\ntriggers:\n  - title: no user\n    actions:\n      \
         - name: HandOver\n      - name: BotUtter\n  - title: no prediction\n    actions:\n      - {name: UserUtter, result: hello}\n  \
         - title: with Selector\n    actions:\n      - {name: UserUtter, result: hi}\n      - {name: Selector, result: HandOver}\n      - name: HandOver\n",
    ),
    (
        "bad-test",
        "=== tests/a.yml\ntests:\n  - name: wrong in many ways\n    steps:\n      - bot: hello\n      - user: hi\n        bot: hello\n      \
         - bot: {}\n      - bot: {contain: x}\n      - action: {slots: {city: Oslo}}\n    llm: gpt\n  - steps: []\n",
    ),
];

fn diagnostics(code: &str, folder: &str) -> Vec<Diagnostic> {
    let files = if code == "dialogue-too-long" { long_dialogue() } else { support::folder(folder) };
    if code == "bad-test" {
        return tests::read(&files).1;
    }
    let options = Options {
        environment: (code == "missing-environment").then_some("production"),
        target: if code == "script-on-edge" { Target::Edge } else { Target::Local },
        variables_may_come_later: code == "later-variable",
        ..Options::new("folder")
    };
    let loaded = load(&files, &support::environment, &options);
    assert_eq!(loaded.bot.is_some(), !loaded.diagnostics.iter().any(Diagnostic::is_error));
    loaded.diagnostics
}

fn long_dialogue() -> cota_config::Files {
    let steps = "      - {name: UserUtter, result: again}\n      - {name: BotUtter, result: again}\n".repeat(17);
    support::folder(&format!(
        "=== agent.yml\nsystem: {{name: a}}\n=== policy/a.yml\npolicies:\n  - title: on and on\n    actions:\n{steps}"
    ))
}

#[test]
fn each_kind_of_problem_is_said_with_its_place_and_a_way_out() {
    for (code, folder) in CASES {
        let mut found = diagnostics(code, folder);
        // Most of these folders have neither LLM nor examples; their snapshots show what they are for.
        found.retain(|diagnostic| diagnostic.code == *code || !["offline-model", "nothing-to-answer-from"].contains(&diagnostic.code));
        assert!(found.iter().any(|diagnostic| diagnostic.code == *code), "{code} is not among\n{}", support::text(&found));
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(*code, support::text(&found));
        });
    }
}

#[test]
fn each_code_has_a_snapshot() {
    let shown: BTreeSet<&str> = CASES.iter().map(|(code, _)| *code).collect();
    let all: BTreeSet<&str> = codes::ALL.iter().map(|code| code.name).collect();
    assert_eq!(shown, all);
}

#[test]
fn no_secret_shows_in_a_diagnostic() {
    for (code, folder) in CASES {
        let text = serde_json::to_string(&diagnostics(code, folder)).unwrap();
        assert!(!text.contains("sk-"), "{text}");
    }
}

#[test]
fn diagnostics_of_one_kind_are_bounded() {
    let keys: String = (0..250).map(|key| format!("  unknown{key}: x\n")).collect();
    let found = support::load_text(&format!("=== agent.yml\nsystem:\n{keys}")).diagnostics;
    assert_eq!(found.iter().filter(|diagnostic| diagnostic.code == "unknown-key").count(), 101);
    assert!(found.iter().any(|diagnostic| diagnostic.message.starts_with("150 more of `unknown-key`")));
}

#[test]
fn what_stands_behind_an_anchor_is_reported_once() {
    let found = support::load_text(
        "=== agent.yml\nactions:\n  BotUtter: {prompt: &p \"{{nothing}}\"}\n  Selector: {prompt: *p}\n  Ask: {prompt: *p}\n",
    );
    assert_eq!(found.diagnostics.iter().filter(|diagnostic| diagnostic.code == "unknown-variable").count(), 1);
}

#[test]
fn the_json_of_a_diagnostic_is_stable() {
    let found = support::load_text("=== agent.yml\nsystem:\n  nam: a\n").diagnostics;
    let unknown = found.iter().find(|diagnostic| diagnostic.code == "unknown-key").unwrap();
    assert_eq!(
        serde_json::to_value(unknown).unwrap(),
        serde_json::json!({
            "severity": "warning",
            "code": "unknown-key",
            "file": "agent.yml",
            "line": 2,
            "column": 3,
            "message": "`system` has no key `nam`",
            "snippet": " 2 |   nam: a\n   |   ^^^",
            "help": "did you mean `name`?",
        })
    );
}
