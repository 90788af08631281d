//! `cota bundle` and `cota export`.

use std::fs;

use crate::support::Home;

#[test]
fn a_bundle_is_the_bot() {
    let home = Home::with("weather");
    let written = home.cota(&["bundle", "-o", "weather.json"]);
    assert_eq!(written.code, 0, "{}", written.stderr);
    assert_eq!(home.cota(&["check", "weather.json"]).code, 0);
    let said = home.cota_with_input(&["shell", "weather.json"], "what is the weather in Oslo tomorrow?\n");
    assert!(said.stdout.contains("Oslo, tomorrow"), "{}{}", said.stdout, said.stderr);
}

#[test]
fn a_bundle_holds_the_name_of_a_secret_and_not_the_secret() {
    let home = Home::with("weather");
    home.write("endpoints.yml", "llms:\n  gpt:\n    key: ${COTA_TEST_SECRET}\n    model: m\n    apibase: http://localhost:1\n");
    let written = home.command(&["bundle", "-o", "weather.json"]).env("COTA_TEST_SECRET", "sk-very-secret").output().unwrap();
    assert!(written.status.success());
    let bundle = home.read("weather.json");
    assert!(bundle.contains("${COTA_TEST_SECRET}") && !bundle.contains("sk-very-secret"), "{bundle}");
}

#[test]
fn a_broken_bot_makes_no_bundle() {
    let home = Home::with("weather");
    home.change("policy/rules.yml", "name: HandOver", "name: HandOverr");
    let called = home.cota(&["bundle", "-o", "weather.json"]);
    assert_eq!((called.code, called.stdout.as_str()), (1, ""));
    assert!(called.stderr.contains("policy/rules.yml:8:16: error: "), "{}", called.stderr);
    assert!(!home.path().join("weather.json").exists());
}

#[test]
fn a_bundle_that_was_changed_is_refused() {
    let home = Home::with("weather");
    home.cota(&["bundle", "-o", "weather.json"]);
    home.change("weather.json", "friendly", "grumpy");
    let called = home.cota(&["check", "weather.json"]);
    assert_eq!(called.code, 1);
    assert!(called.stderr.contains("weather.json: the bundle's digest does not fit its files"), "{}", called.stderr);
}

#[test]
fn a_bundle_of_a_task_holds_its_agents() {
    let home = Home::new();
    let trip = format!("{}/trip", crate::support::examples());
    let written = home.cota(&["bundle", &trip, "-o", "trip.json"]);
    assert_eq!(written.code, 0, "{}", written.stderr);
    let bundle: serde_json::Value = serde_json::from_str(&home.read("trip.json")).unwrap();
    let files = bundle["files"].as_object().unwrap();
    for file in ["task.yml", "endpoints.yml", "agents/prices/endpoints.yml", "agents/writer/agent.yml", "agents/food/policy/talk.yml"] {
        assert!(files.contains_key(file), "{file} is missing: {:?}", files.keys());
    }
    home.write("job/task.yml", "plans: [{name: a, agent: nobody, startquery: x}]\n");
    let refused = home.cota(&["bundle", "job", "-o", "job.json"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("because the task does not load"), "{}", refused.stderr);
    assert!(!home.path().join("job.json").exists());
}

#[test]
fn the_examples_become_one_document_for_each_action() {
    let home = Home::with("weather");
    let called = home.cota(&["export", "-o", "documents"]);
    assert_eq!(called.code, 0, "{}", called.stderr);
    let listed: Vec<&str> = called.stdout.lines().collect();
    assert!(listed.contains(&"documents/Selector.md"), "{listed:?}");
    assert_eq!(listed.len(), fs::read_dir(home.path().join("documents")).unwrap().count());
    let selector = home.read("documents/Selector.md");
    assert!(selector.starts_with("# ") && selector.contains("thought:") && selector.contains("UserUtter:"), "{selector}");
}
