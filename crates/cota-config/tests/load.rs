//! What a bot folder means.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use std::time::{Duration, Instant};

use cota_config::{Loaded, Options, StoreChoice, load};
use cota_core::bot::{
    Action, ActionKind, Bot, Executor, ExecutorKind, Expected, HttpMethod, Language, LlmKind, Mode, OnBusy, Policy, Safety,
};
use support::{folder, load_text};

fn bot(text: &str) -> Bot {
    let Loaded { bot, diagnostics, .. } = load_text(text);
    bot.unwrap_or_else(|| panic!("{}", support::text(&diagnostics)))
}

fn executor<'b>(bot: &'b Bot, action: &str) -> &'b Executor {
    bot.form(action).unwrap().executor.as_ref().unwrap()
}

/// A bot in the shape that older folders have.
const OLD: &str = "=== agent.yml
system:
  description: 你是一个智能助手，请认真回答用户的问题
dialogue:
  mode: agent
  max_bot_step: 20
  max_proxy_user_step: 7
  use_proxy_user_breaker: true
policies:
  - name: trigger
  - name: rag
    llm:
      botutter: glm
      default: deepseek
  - type: llm
    config:
      llms:
        - name: glm
          action: Selector
        - deepseek
  - type: llm
    config: {llms: glm}
actions:
  UserUtter:
    description: 用户提问
    breaker: {description: 判断, prompt: '{{history_messages}}'}
  Selector:
    prompt: '{{bot_action_names_for_selector}} {{thoughts}}'
  Weather:
    description: 查询天气
    prompt: 结果为 {{current_form_execute_result}}
    updater:
      description: 更新
      prompt: 填充 {{current_form_slot_states}}
      llm: glm
    slots:
      city: {description: 城市}
      time:
    executer:
      url: http://example.com/Weather
      methold: post
      client_key: default
      output: [<text>, 接口异常]
      mock: false
  RenGong:
    executor: {output: [成功, 失败], mock: true}
=== endpoints.yml
llms:
  glm: {apitype: openai, model: glm-4, key: '${TEST_KEY}', apibase: https://example.com/v4/, userag: true, knowledge_id: k}
  deepseek: {apitype: openai, model: deepseek-chat, key: '${TEST_KEY}'}
";

#[test]
fn a_folder_of_an_older_format_loads_with_warnings_only() {
    let bot = bot(OLD);
    let source = bot.source();
    assert_eq!(source.name.as_str(), "folder");
    assert_eq!(source.language, Language::Chinese);
    assert_eq!((source.settings.max_steps, source.settings.max_proxy_step, source.settings.mode), (20, 7, Mode::Prompts));
    assert!(source.settings.fallback.contains('歉'));
    let named = |action: &str, llm: &str| (action.to_owned(), llm.to_owned());
    assert_eq!(
        source.policies,
        [
            Policy::Trigger,
            Policy::Llm { default: Some("deepseek".to_owned()), by_action: vec![named("BotUtter", "glm")] },
            Policy::Llm { default: Some("deepseek".to_owned()), by_action: vec![named("Selector", "glm")] },
            Policy::Llm { default: Some("glm".to_owned()), by_action: vec![] },
        ]
    );
    let weather = bot.action("Weather").unwrap();
    assert_eq!(weather.prompt.as_ref().unwrap().render(|variable| variable.name().to_owned()), "填充 current_form_slot_states");
    assert_eq!(weather.llm.as_deref(), Some("glm"));
    let slots: Vec<&str> = weather.form().unwrap().slots.iter().map(|slot| slot.name.as_str()).collect();
    assert_eq!(slots, ["city", "time"]);
    assert!(matches!(&executor(&bot, "Weather").kind, ExecutorKind::Http(call) if call.method == HttpMethod::Post));
    assert!(matches!(&executor(&bot, "RenGong").kind, ExecutorKind::Mock(mock) if mock.text.as_deref() == Some("成功")));
    let rag = bot.llm(None).unwrap();
    assert!(matches!(&rag.kind, LlmKind::OpenAiRag { knowledge_id, .. } if knowledge_id == "k"));
    assert_eq!(rag.key.as_ref().unwrap().reveal(), "sk-of-the-environment");
}

#[test]
fn what_the_author_leaves_out_has_a_default() {
    let bot = bot("=== agent.yml\nactions:\n  Ask: {description: Ask.}\n  Selector:\n");
    let source = bot.source();
    let names: Vec<&str> = source.actions.iter().map(|action| action.name.as_str()).collect();
    assert_eq!(names, ["Ask", "Selector", "UserUtter", "BotUtter"]);
    assert!(source.actions.iter().all(|action| !action.description.is_empty()));
    assert_eq!(source.policies, [Policy::Trigger, Policy::Match]);
    assert_eq!(source.language, Language::English);
    let settings = &source.settings;
    assert_eq!((settings.max_steps, settings.max_tokens, settings.max_proxy_step), (16, 500, 20));
    assert_eq!((settings.max_queue, settings.max_history_tokens, settings.on_busy), (16, 6000, OnBusy::Queue));
    assert!(!settings.use_proxy_user);
    assert!(settings.fallback.starts_with("Sorry"));
    assert_eq!(bot.llm(None).map(|llm| &llm.kind), Some(&LlmKind::Examples));
    assert!(bot.action("Ask").is_some_and(Action::is_utterance));
    assert!(matches!(bot.action("Selector").unwrap().kind, ActionKind::Selector));
}

#[test]
fn the_mode_follows_from_the_selector_prompt_and_the_model() {
    let gpt = "=== endpoints.yml\nllms: {gpt: {model: m}}\n";
    let selector = "=== agent.yml\nactions: {Ask: {}, Selector: {prompt: choose}}\n";
    let plain = "=== agent.yml\nactions: {Ask: {}}\n";
    let tools = "=== agent.yml\ndialogue: {mode: tools}\nactions: {Selector: {prompt: choose}}\n";
    for (text, mode) in [
        (format!("{selector}{gpt}"), Mode::Prompts),
        (format!("{plain}{gpt}"), Mode::Tools),
        (format!("{tools}{gpt}"), Mode::Tools),
        (plain.to_owned(), Mode::Prompts),
        (tools.to_owned(), Mode::Prompts),
    ] {
        assert_eq!(bot(&text).settings().mode, mode, "{text}");
    }
}

#[test]
fn an_executors_safety_follows_from_what_it_does() {
    let bot = bot("=== agent.yml
actions:
  Get: {executer: {url: https://example.com/}}
  Post: {executer: {url: https://example.com/, method: POST, timeout: 2.5}}
  Keyed: {executer: {url: https://example.com/, method: put, safety: idempotent}}
  Mock: {executer: {method: POST, mock: '{city} is dry'}, slots: {city: }}
  Bare: {executer: {mock: true, output: [<text>]}}
  Script: {executer: {type: script, script_path: bin/pay, args: [--sum, 3]}}
  Plugin: {executer: {type: plugin}}
");
    for (action, safety) in [
        ("Get", Safety::ReadOnly),
        ("Post", Safety::AtMostOnce),
        ("Keyed", Safety::Idempotent),
        ("Mock", Safety::ReadOnly),
        ("Bare", Safety::ReadOnly),
        ("Script", Safety::AtMostOnce),
        ("Plugin", Safety::AtMostOnce),
    ] {
        assert_eq!(executor(&bot, action).safety, safety, "{action}");
    }
    assert_eq!(executor(&bot, "Post").timeout_ms, Some(2500));
    assert!(matches!(&executor(&bot, "Bare").kind, ExecutorKind::Mock(mock) if mock.text.is_none()));
    assert!(matches!(&executor(&bot, "Script").kind, ExecutorKind::Script(script) if script.args == ["--sum", "3"]));
}

#[test]
fn results_are_text_as_written() {
    let bot = bot("=== agent.yml
actions: {Weather: {executer: {mock: true}}}
=== policy/b.yaml
policies:
  - title: 12
    actions:
      - {name: userutter, result: [yes, 42, 007, 1.10, {text: true}]}
      - {name: Selector, thought: ' ', result: weather}
      - {name: Weather}
      - {name: BotUtter, thought: done, result: ~}
=== policy/a.yml
triggers:
  - actions: [{name: UserUtter, result: hi}, {name: BotUtter}]
    during_form: no
=== policy/notes.txt
not a policy
");
    let source = bot.source();
    let [example] = source.examples.as_slice() else { panic!("one example") };
    assert_eq!(example.title, "12");
    let results: Vec<&Expected> = example.steps.iter().map(|step| &step.result).collect();
    let texts = |texts: &[&str]| Expected::OneOf(texts.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(results, [&texts(&["yes", "42", "007", "1.10", "true"]), &texts(&["Weather"]), &Expected::Any, &Expected::Any]);
    assert_eq!(example.steps.first().unwrap().name, "UserUtter");
    assert_eq!(example.steps.iter().map(|step| step.thought.as_deref()).collect::<Vec<_>>(), [None, None, None, Some("done")]);
    assert!(!source.rules.first().unwrap().during_form);
}

#[test]
fn variables_are_filled_in_and_become_numbers() {
    let bot = bot("=== agent.yml
actions:
  Pay: {executer: {url: 'https://${HOST:-example.com}/${TEST_NUMBER}', headers: {X: 'Bearer ${TEST_KEY}'}, timeout: '${TEST_NUMBER}'}}
  BotUtter: {prompt: '${TEST_KEY} stays'}
=== endpoints.yml
llms:
  gpt:
    model: ${TEST_EMPTY:-gpt}
    timeout: ${TEST_NUMBER}
    temperature: ${T:-0.50}
    retry_attempts: 0
    stop: '7'
    user: ${not a variable}
");
    let ExecutorKind::Http(call) = &executor(&bot, "Pay").kind else { panic!("http") };
    assert_eq!(call.url, "https://example.com/7");
    assert_eq!(call.headers.first().unwrap().1.reveal(), "Bearer sk-of-the-environment");
    assert_eq!(executor(&bot, "Pay").timeout_ms, Some(7000));
    assert_eq!(bot.action("BotUtter").unwrap().prompt.as_ref().unwrap().render(|_| String::new()), "${TEST_KEY} stays");
    let llm = bot.llm(None).unwrap();
    assert_eq!((llm.model.as_str(), llm.timeout_ms, llm.attempts), ("gpt", Some(7000), 1));
    assert_eq!(
        serde_json::Value::from(llm.extra.clone()),
        serde_json::json!({"temperature": 0.5, "stop": "7", "user": "${not a variable}"})
    );
    assert_eq!(llm.apibase, "https://api.openai.com/v1");
}

#[test]
fn an_environments_file_is_laid_over_endpoints() {
    let files = folder(
        "=== agent.yml
system: {name: a}
=== endpoints.yml
llms:
  gpt: {model: small, key: '${NOT_SET}', temperature: 0.1}
  other: {model: m}
=== endpoints.production.yml
llms:
  gpt: {model: large, key: '${TEST_KEY}'}
base_store: {type: SQL, dialect: 'sqlite:///./chat.db'}
",
    );
    let options = Options { environment: Some("production"), ..Options::new("folder") };
    let loaded = load(&files, &support::environment, &options);
    let bot = loaded.bot.unwrap_or_else(|| panic!("{}", support::text(&loaded.diagnostics)));
    let llms = &bot.source().llms;
    assert_eq!(llms.iter().map(|llm| llm.model.as_str()).collect::<Vec<_>>(), ["large", "m"]);
    assert_eq!(llms.first().unwrap().extra.len(), 1);
    assert_eq!(loaded.store, StoreChoice::Sqlite("./chat.db".to_owned()));
    assert!(load(&files, &support::environment, &Options::new("folder")).bot.is_none(), "its variable is missing without the overlay");
}

#[test]
fn anchors_aliases_and_merge_keys_are_what_they_stand_for() {
    let bot = bot("=== agent.yml
common: &base {description: base, prompt: &p 'from {{task_description}}'}
actions:
  Ask: {<<: *base, description: own}
  Tell: {<<: [{llm: gpt}, *base]}
  Say: {prompt: *p}
=== endpoints.yml
llms: {gpt: {model: m}}
");
    let descriptions: Vec<&str> = ["Ask", "Tell"].iter().map(|name| bot.action(name).unwrap().description.as_str()).collect();
    assert_eq!(descriptions, ["own", "base"]);
    assert_eq!(bot.action("Tell").unwrap().llm.as_deref(), Some("gpt"));
    assert!(["Ask", "Tell", "Say"].iter().all(|name| bot.action(name).unwrap().prompt.is_some()));
}

#[test]
fn an_alias_bomb_is_refused_and_not_unfolded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = level - 1;
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{below}"); 10].join(", ")));
    }
    let found = load_text(&format!("=== agent.yml\n{text}")).diagnostics;
    assert!(found.iter().any(|diagnostic| diagnostic.code == "too-large"), "{}", support::text(&found));
    let mut chain = "a0: &a0 [x]\n".to_owned();
    for level in 1..5000 {
        chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(load_text(&format!("=== agent.yml\n{chain}")).bot.is_none());
}

#[test]
fn clashes_are_found_where_results_overlap_and_nowhere_else() {
    let rule = |steps: &str| format!("  - {{title: t, actions: [{steps}]}}\n");
    let clashes = |first: &str, second: &str| {
        let text = format!(
            "=== agent.yml\nactions:\n  Look: {{executer: {{mock: true, output: [none, some]}}}}\n  Pay: {{executer: {{mock: true}}}}\n\
             === policy/a.yml\ntriggers:\n{}{}",
            rule(first),
            rule(second)
        );
        load_text(&text).diagnostics.iter().filter(|diagnostic| diagnostic.code == "clashing-rules").count()
    };
    let after = |result: &str, next: &str| format!("{{name: UserUtter, result: hi}}, {{name: Look, result: {result}}}, {{name: {next}}}");
    assert_eq!(clashes(&after("none", "Pay"), &after("some", "BotUtter")), 0);
    assert_eq!(clashes(&after("none", "Pay"), &after("none", "Pay")), 0);
    assert_eq!(clashes(&after("none", "Pay"), &after("none", "BotUtter")), 1);
    assert_eq!(clashes(&after("[none, some]", "Pay"), &after("some", "BotUtter")), 1);
    assert_eq!(clashes(&after("~", "Pay"), &after("some", "BotUtter")), 1);
    assert_eq!(clashes(&after("other", "Pay"), &after("<text>", "BotUtter")), 1);
    assert_eq!(clashes(&after("other", "Pay"), &after("none", "BotUtter")), 0);
    assert_eq!(clashes("{name: UserUtter, result: [a, b]}, {name: Pay}", "{name: UserUtter, result: [b, c]}, {name: Look}"), 1);
    assert_eq!(clashes("{name: UserUtter, result: a}, {name: Pay}", "{name: UserUtter, result: A}, {name: Look}"), 0);
    let late = "{name: UserUtter, result: a}, {name: BotUtter}, {name: UserUtter, result: a}, {name: Pay}";
    assert_eq!(clashes(late, "{name: UserUtter, result: a}, {name: Look}"), 1);
}

#[test]
fn ten_thousand_dialogues_load_quickly() {
    let mut policy = "policies:\n".to_owned();
    for index in 0..10_000 {
        policy.push_str(&format!(
            "  - title: dialogue {index}\n    actions:\n      - {{name: UserUtter, result: [question {index}, 问题 {index}]}}\n      \
             - {{name: Selector, thought: look up {index}, result: Weather}}\n      - {{name: Weather, result: <text>}}\n      \
             - {{name: Selector, thought: tell {index}, result: BotUtter}}\n      - {{name: BotUtter, thought: say {index}, result: answer}}\n"
        ));
    }
    policy.push_str("triggers:\n");
    for index in 0..1_000 {
        policy.push_str(&format!("  - actions: [{{name: UserUtter, result: [rule {index}]}}, {{name: Weather}}, {{name: BotUtter}}]\n"));
    }
    let mut files = folder("=== agent.yml\nactions: {Weather: {executer: {mock: true}}}\n");
    files.insert("policy/many.yml".to_owned(), policy);
    let start = Instant::now();
    let loaded = support::load_files(&files);
    let took = start.elapsed();
    println!("10,000 dialogues and 1,000 rules loaded in {} ms", took.as_millis());
    assert_eq!(loaded.bot.unwrap().source().examples.len(), 10_000);
    assert!(took < Duration::from_secs(60), "a hang guard, not the measure: {took:?}");
}
