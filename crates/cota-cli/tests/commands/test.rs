//! `cota test`.

use crate::support::{Home, examples};

const SCRIPTED: &str = r#"tests:
  - name: a scripted model chooses and speaks
    llm:
      - {thought: greet, action: BotUtter}
      - {thought: hello, text: Good morning from the script}
    steps:
      - user: hi
      - bot: Good morning from the script
  - name: the offline model on request
    llm: examples
    steps:
      - user: hello
      - bot: {contains: Hello}
"#;

const FAILING: &str = "tests:\n  - name: wrong\n    steps:\n      - user: what is the weather in Oslo?\n      - bot: {contains: snow}\n";

#[test]
fn all_examples_pass_in_process() {
    let called = Home::new().cota(&["test", &examples()]);
    assert_eq!(called.code, 0, "{}", called.stdout);
    assert!(called.stdout.contains("41 passed, 0 failed"), "{}", called.stdout);
}

#[test]
fn a_test_brings_its_own_model() {
    let home = Home::with("weather");
    home.write("tests/scripted.yml", SCRIPTED);
    for filter in ["scripted model", "offline model"] {
        let called = home.cota(&["test", "--filter", filter]);
        assert_eq!(called.code, 0, "{}", called.stdout);
        assert!(called.stdout.ends_with("1 passed, 0 failed\n"), "{}", called.stdout);
    }
}

#[test]
fn a_failure_tells_the_place_the_expectation_and_the_conversation() {
    let home = Home::with("weather");
    home.write("tests/failing.yml", FAILING);
    let called = home.cota(&["test", "--filter", "wrong"]);
    assert_eq!((called.code, called.stderr.as_str()), (1, ""), "{}", called.stdout);
    for words in [
        "FAILED  wrong",
        "tests/failing.yml:5: expected a reply that contains `snow`",
        "does not contain `snow`",
        "user: what is the weather in Oslo?",
        "0 passed, 1 failed",
    ] {
        assert!(called.stdout.contains(words), "{words}: {}", called.stdout);
    }
    let json = home.cota(&["test", "--filter", "wrong", "--format", "json"]);
    assert_eq!((json.code, json.json()["failed"].as_u64()), (1, Some(1)));
    let junit = home.cota(&["test", "--filter", "wrong", "--format", "junit"]);
    assert!(junit.stdout.contains(r#"tests="1" failures="1""#) && junit.stdout.contains("<failure message="), "{}", junit.stdout);
}

#[test]
fn a_running_server_is_tested_over_its_routes() {
    let home = Home::with("weather");
    home.write("tests/scripted.yml", SCRIPTED);
    home.write("tests/failing.yml", FAILING);
    let server = home.serve(&["--store", "memory"]);
    let target = format!("http://{}", server.address);
    let called = home.cota(&["test", "--target", &target]);
    assert_eq!(called.code, 1, "{}", called.stderr);
    assert!(called.stdout.contains("11 passed, 1 failed, 1 skipped"), "{}", called.stdout);
    assert!(called.stdout.contains("skipped a scripted model chooses and speaks"), "{}", called.stdout);
}

#[test]
fn a_rehearsal_on_a_server_is_followed_to_its_end() {
    let home = Home::with("clinic");
    let server = home.serve(&["--store", "memory"]);
    let called = home.cota(&["test", "--target", &format!("http://{}/", server.address)]);
    assert_eq!(called.code, 0, "{}{}", called.stdout, called.stderr);
}

#[test]
fn a_server_that_is_not_there_exits_with_3() {
    let home = Home::with("weather");
    // A port that was free a moment ago, and that nobody listens on now.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let called = home.cota(&["test", "--target", &format!("http://{address}"), "--key", "secret-key"]);
    assert_eq!(called.code, 3, "{}", called.stdout);
    assert!(called.stderr.contains("cannot be tested: it cannot be reached"), "{}", called.stderr);
    assert!(!called.stderr.contains("secret-key"));
}

#[test]
fn no_tests_at_all_exit_with_1() {
    let home = Home::with("weather");
    let called = home.cota(&["test", "--filter", "no such name"]);
    assert_eq!(called.code, 1);
    assert!(called.stderr.contains("no test has `no such name` in its name"), "{}", called.stderr);
}
