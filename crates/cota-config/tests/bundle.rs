//! A bundle is the bot that its folder is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use std::path::Path;

use cota_config::{Bundle, BundleError, Files, LoadedTask, Options, load, load_bundle, load_task, load_task_bundle};
use cota_core::bot::Secret;

/// A folder with everything that a bundle could lose: spellings, variables, overlays, anchors, order.
const FOLDER: &str = "=== agent.yml
system: {description: A desk.}
actions:
  Selector: {prompt: &p \"choose\\n{{action_names}}\"}
  Weather:
    prompt: *p
    slots: {time: {pattern: '\\d+'}, city: {examples: [007, 1.10, yes, 2]}}
    executer: {url: 'https://${HOST:-example.com}/', headers: {Authorization: 'Bearer ${TEST_KEY}'}, output: [none]}
=== endpoints.yml
llms: {gpt: {model: m, key: '${TEST_KEY}', temperature: 0.50, timeout: '${TEST_NUMBER}'}}
=== endpoints.test.yml
llms: {gpt: {model: large}}
=== policy/a.yml
policies:
  - title: t
    actions: [{name: UserUtter, result: [007, no, 3]}, {name: Selector, thought: x, result: Weather}, {name: Weather}]
triggers:
  - actions: [{name: UserUtter, result: hi}, {name: BotUtter}]
=== tests/a.yml
tests: []
";

fn sources(files: &Files) -> (cota_core::bot::Bot, cota_core::bot::Bot) {
    let options = Options { environment: files.contains_key("endpoints.test.yml").then_some("test"), ..Options::new("folder") };
    let folder = load(files, &support::environment, &options).bot.unwrap();
    let bundle = Bundle::parse(&Bundle::of(files, "folder").to_json()).unwrap();
    assert_eq!(bundle.name(), "folder");
    let options = Options { folder: "another", ..options };
    (folder, load_bundle(bundle, &support::environment, &options).bot.unwrap())
}

#[test]
fn a_bundle_loads_as_its_folder_does() {
    let examples = support::example_bots().into_iter().map(|bot| support::read_folder(&bot));
    for files in examples.chain([support::folder(FOLDER)]) {
        let (folder, bundle) = sources(&files);
        assert_eq!(format!("{:?}", folder.source()), format!("{:?}", bundle.source()));
        let keys = |bot: &cota_core::bot::Bot| -> Vec<Option<String>> {
            bot.source().llms.iter().map(|llm| llm.key.as_ref().map(|key| Secret::reveal(key).to_owned())).collect()
        };
        assert_eq!(keys(&folder), keys(&bundle));
    }
}

#[test]
fn a_tasks_bundle_loads_as_its_folder_does_with_its_agents() {
    for example in ["trip", "consult"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example);
        let (files, options) = (support::read_folder(&root), Options::new(example));
        let bundle = Bundle::parse(&Bundle::of_task(&files, example).to_json()).unwrap();
        assert!(bundle.is_task() && !Bundle::of(&support::folder(FOLDER), "folder").is_task());
        let told = |loaded: LoadedTask| {
            let (task, planner, agents) = loaded.into_staff().unwrap();
            let agents: Vec<_> = agents.iter().map(|agent| format!("{:?}", agent.source())).collect();
            (format!("{task:?}"), format!("{:?}", planner.source()), agents)
        };
        let folder = told(load_task(&files, &support::environment, &options));
        let bundled = told(load_task_bundle(bundle, &support::environment, &Options::new("another")));
        assert_eq!(bundled, folder, "{example}");
        assert!(folder.2.len() > 1, "{example} has agents");
    }
}

#[test]
fn a_bundle_holds_no_value_of_the_environment_and_no_tests() {
    let json = Bundle::of(&support::folder(FOLDER), "folder").to_json();
    assert!(json.contains("${TEST_KEY}") && !json.contains("sk-of-the-environment") && !json.contains("tests/a.yml"));
}

#[test]
fn comments_and_formatting_do_not_change_the_digest_and_content_does() {
    let digest = |text: &str| Bundle::of(&support::folder(text), "folder").digest().clone();
    let base = digest("=== agent.yml\nsystem: {name: a, description: b}\n");
    assert_eq!(base, digest("=== agent.yml\n# a comment\nsystem:\n  name: \"a\"\n  description: >-\n    b\n=== README.md\nx\n"));
    assert_ne!(base, digest("=== agent.yml\nsystem: {description: b, name: a}\n"), "the order of slots and actions matters");
    assert_ne!(base, digest("=== agent.yml\nsystem: {name: a, description: c}\n"));
    let loaded = support::load_text("=== agent.yml\nsystem: {name: a, description: b}\n");
    assert_eq!(*loaded.bot.unwrap().digest(), base);
}

#[test]
fn what_is_no_bundle_is_refused_with_a_reason() {
    let bundle = Bundle::of(&support::folder(FOLDER), "folder").to_json();
    assert!(matches!(Bundle::parse("system: {}"), Err(BundleError::Invalid(_))));
    assert!(matches!(Bundle::parse("{}"), Err(BundleError::Invalid(_))));
    assert!(matches!(Bundle::parse("{\"cota_bundle\": 2, \"agents\": []}"), Err(BundleError::Version(2))));
    assert!(matches!(Bundle::parse(&bundle.replace("A desk.", "A disk.")), Err(BundleError::Digest)));
    let large = " ".repeat(cota_core::limits::BUNDLE_BYTES + 1);
    assert!(matches!(Bundle::parse(&large), Err(BundleError::TooLarge(_))));
}

#[test]
fn a_bundles_diagnostics_name_the_file() {
    let bundle = Bundle::of(
        &support::folder("=== agent.yml\nactions: {BotUtter: {llm: x, promt: y}}\n=== endpoints.yml\nllms: {gpt: {model: m}}\n"),
        "a",
    );
    let found = load_bundle(bundle, &|_| None, &Options::new("a")).diagnostics;
    assert_eq!(
        support::text(&found),
        "[unknown-llm] agent.yml: error: endpoints.yml has no LLM `x`\n\n\
         [unknown-key] agent.yml: warning: an action has no key `promt`\n  help: did you mean `prompt`?"
    );
}
