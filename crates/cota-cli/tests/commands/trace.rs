//! `cota trace`.

use crate::support::Home;

fn talked() -> Home {
    let home = Home::with("weather");
    home.cota_with_input(&["shell", "--session", "trip"], "agent please\nwhat is the weather in Oslo?\n");
    home
}

#[test]
fn each_step_is_told_with_its_cause_its_thought_and_its_calls() {
    let called = talked().cota(&["trace", "trip"]);
    assert_eq!((called.code, called.stderr.as_str()), (0, ""));
    for words in [
        "UserUtter: agent please",
        "because: the rule `hand over to a person` says so",
        "because: Weather misses its slot `time`",
        "thought: ",
        "LLM offline: select",
        "examples: ",
    ] {
        assert!(called.stdout.contains(words), "{words}: {}", called.stdout);
    }
}

#[test]
fn programs_get_the_same_as_json() {
    let called = talked().cota(&["trace", "trip", "--format", "json"]);
    let report = called.json();
    assert_eq!((report["conversation"]["bot"].as_str(), report["conversation"]["owner"].as_str()), (Some("weather"), Some("public")));
    let turns = report["turns"].as_array().unwrap();
    assert_eq!(turns.len(), 2);
    assert_eq!(turns[0]["steps"][1]["cause"]["policy"], "trigger");
    assert_eq!(turns[1]["outcome"], "replied");
}

#[test]
fn what_is_not_there_is_told() {
    let home = talked();
    let called = home.cota(&["trace", "other"]);
    assert_eq!(called.code, 1);
    assert!(called.stderr.contains("has no conversation `other` of the bot `weather`"), "{}", called.stderr);
    let called = home.cota(&["trace", "trip", "--store", "sqlite:nowhere.db"]);
    assert_eq!(called.code, 1);
    assert!(called.stderr.contains("there is no database at nowhere.db"), "{}", called.stderr);
    assert!(!home.path().join("nowhere.db").exists());
}
