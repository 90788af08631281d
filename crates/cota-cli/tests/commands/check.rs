//! `cota check`.

use crate::support::{Home, examples};

#[test]
fn the_examples_have_no_errors() {
    let called = Home::new().cota(&["check", &examples(), "--format", "json"]);
    assert_eq!(called.code, 0, "{}", called.stdout);
    let report = called.json();
    assert_eq!((report["errors"].as_u64(), report["bots"].as_array().unwrap().len()), (Some(0), 4));
}

#[test]
fn an_error_is_told_with_its_place_and_exits_with_1() {
    let home = Home::with("weather");
    home.change("policy/rules.yml", "name: HandOver", "name: HandOverr");
    let called = home.cota(&["check"]);
    assert_eq!((called.code, called.stderr.as_str()), (1, ""), "{}", called.stdout);
    assert!(called.stdout.contains("policy/rules.yml:8:16: error: "), "{}", called.stdout);
    assert!(called.stdout.contains("did you mean `HandOver`?"), "{}", called.stdout);
    assert!(called.stdout.contains("1 error"), "{}", called.stdout);
    assert!(!called.stdout.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn an_error_is_told_to_programs_with_the_path_from_where_they_are() {
    let home = Home::with("weather");
    home.change("policy/rules.yml", "name: HandOver", "name: HandOverr");
    let parent = Home::new();
    let called = parent.cota(&["check", &home.path().display().to_string(), "--format", "json"]);
    assert_eq!(called.code, 1);
    let report = called.json();
    let diagnostic = &report["bots"][0]["diagnostics"][0];
    assert_eq!((diagnostic["code"].as_str(), diagnostic["line"].as_u64()), (Some("unknown-action"), Some(8)));
    assert_eq!(diagnostic["file"], home.path().join("policy/rules.yml").display().to_string());
    assert_eq!(report["errors"], 1);
}

#[test]
fn warnings_alone_exit_with_0() {
    let home = Home::with("weather");
    home.change("agent.yml", "max_tokens: 300", "max_tokns: 300");
    let called = home.cota(&["check"]);
    assert_eq!(called.code, 0, "{}", called.stdout);
    assert!(called.stdout.contains("warning: ") && called.stdout.contains("1 warning"), "{}", called.stdout);
}

#[test]
fn a_broken_test_is_an_error_too() {
    let home = Home::with("weather");
    home.write("tests/more.yml", "tests:\n  - name: one\n    steps:\n      - bot: hello\n");
    let called = home.cota(&["check"]);
    assert_eq!(called.code, 1);
    assert!(called.stdout.contains("tests/more.yml:4:"), "{}", called.stdout);
}
