//! `cota run`.

use std::net::TcpStream;

use cota_testkit::services::dynamodb;
use serde_json::json;

use crate::support::{Home, is_alive, try_post, until};

const AGENT: &str = "\
system: {name: slow}
policies: [{type: trigger}, {type: match}]
actions:
  Slow: {description: Waits., executer: {type: script, script_path: slow.sh}}
";
const ENDPOINTS: &str = "llms: {offline: {type: examples}}\n";
const POLICY: &str = "\
policies:
  - title: go
    actions:
      - {name: UserUtter, result: [go, go now]}
      - {name: Selector, thought: run it, result: Slow}
      - {name: Slow, result: <text>}
      - {name: Selector, thought: tell it, result: BotUtter}
      - {name: BotUtter, thought: tell it, result: 'It said {result}'}
triggers:
  - title: go
    actions:
      - {name: UserUtter, result: go}
      - {name: Slow}
      - {name: BotUtter}
";
/// Says that it has begun, and ends when it is let go.
const SCRIPT: &str =
    "#!/bin/sh\necho $$ > begun.tmp\nmv begun.tmp begun\nfor n in $(seq 3000); do [ -e let-go ] && break; sleep 0.02; done\necho done\n";

/// A bot whose turns last as long as the test wants.
fn slow() -> Home {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    for (file, text) in [("agent.yml", AGENT), ("endpoints.yml", ENDPOINTS), ("policy/talk.yml", POLICY), ("slow.sh", SCRIPT)] {
        home.write(file, text);
    }
    std::fs::set_permissions(home.path().join("slow.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    home
}

#[test]
fn a_conversation_goes_on_after_a_restart() {
    let home = Home::with("weather");
    let mut server = home.serve(&[]);
    assert!(server.reply("trip", "what is the weather in Oslo?").contains("which day"));
    server.signal("INT");
    assert_eq!(server.end(), 0);
    let server = home.serve(&[]);
    assert!(server.reply("trip", "tomorrow").contains("Oslo, tomorrow"));
    assert!(home.path().join(".cota/cota.db").is_file());
}

#[test]
fn a_table_is_made_on_request_alone_and_kept() {
    let home = Home::with("weather");
    let account = dynamodb::shared().environment();
    let run = ["run", "--port", "0", "--store", "dynamodb:weather"];
    let mut without_region = home.command(&run);
    let told = without_region.env_remove("AWS_DEFAULT_REGION").env_remove("AWS_REGION").output().unwrap();
    assert_eq!(told.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&told.stderr).contains("DynamoDB needs a region: set AWS_REGION"), "{told:?}");
    let told = home.command(&run).envs(account.clone()).output().unwrap();
    assert_eq!(told.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&told.stderr).contains("`cota run --store dynamodb:weather --create-table` makes it"), "{told:?}");
    let place = ["--store", "dynamodb:weather"];
    let mut server = home.serve_with(&["--store", "dynamodb:weather", "--create-table"], &account);
    assert!(server.reply("trip", "what is the weather in Oslo?").contains("which day"));
    server.signal("INT");
    assert_eq!(server.end(), 0);
    let server = home.serve_with(&place, &account);
    assert!(server.reply("trip", "tomorrow").contains("Oslo, tomorrow"));
    assert!(!home.path().join(".cota").exists());
}

#[test]
fn a_turn_that_runs_is_finished_before_the_end() {
    let home = slow();
    home.change("agent.yml", "description: Waits.", "descripton: Waits.");
    let mut server = home.serve(&["--log-format", "json"]);
    let address = server.address.clone();
    let asked = std::thread::spawn(move || try_post(&address, "/v1/conversations/a/messages", &json!({"text": "go"})));
    until("the turn to begin", || home.path().join("begun").exists());
    server.signal("TERM");
    until("the server to stop listening", || TcpStream::connect(&server.address).is_err());
    home.write("let-go", "");
    let (status, body) = asked.join().unwrap().unwrap();
    assert_eq!((status, body["replies"][0]["text"].as_str()), (200, Some("It said done")), "{body}");
    assert_eq!(server.end(), 0);
    let logged = server.logged();
    assert!(logged.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{logged}");
    assert!(logged.contains(r#""code":"unknown-key""#), "the bot's warnings are in the log: {logged}");
    assert!(!logged.contains("It said"), "no words of a conversation in a log: {logged}");
}

#[test]
fn a_second_signal_does_not_wait_for_the_turn() {
    let home = slow();
    let mut server = home.serve(&[]);
    let address = server.address.clone();
    let asked = std::thread::spawn(move || try_post(&address, "/v1/conversations/a/messages", &json!({"text": "go"})));
    until("the turn to begin", || home.path().join("begun").exists());
    server.signal("TERM");
    until("the server to stop listening", || TcpStream::connect(&server.address).is_err());
    server.signal("TERM");
    assert_eq!(server.end(), 3);
    assert_eq!(asked.join().unwrap(), None, "the connection ends without an answer");
    let script = home.read("begun");
    until("the script to be killed", || !is_alive(script.trim()));
    assert!(server.logged().contains("the next start takes them up"), "{}", server.logged());
}

#[test]
#[cfg(target_os = "linux")]
fn a_script_ends_with_a_server_that_is_killed() {
    let home = slow();
    let server = home.serve(&[]);
    let address = server.address.clone();
    let asked = std::thread::spawn(move || try_post(&address, "/v1/conversations/a/messages", &json!({"text": "go"})));
    until("the turn to begin", || home.path().join("begun").exists());
    server.signal("KILL");
    assert_eq!(asked.join().unwrap(), None, "the connection ends without an answer");
    let script = home.read("begun");
    until("the script to be killed", || !is_alive(script.trim()));
}

#[test]
fn settings_come_from_options_then_variables_then_the_bot() {
    let home = Home::with("weather");
    home.write("endpoints.yml", "llms: {offline: {type: examples}}\nbase_store: {type: SQL, dialect: sqlite, db: own.db}\n");
    drop(home.serve(&[]));
    assert!(home.path().join("own.db").is_file() && !home.path().join(".cota").exists());
    let with_variable = home.command(&["run", "--port", "0"]).env("COTA_STORE", "redis:x").output().unwrap();
    assert_eq!(with_variable.status.code(), Some(2));
    let with_variable = home.command(&["run", "--store", "memory"]).env("COTA_PORT", "none").output().unwrap();
    assert_eq!(with_variable.status.code(), Some(2));
}

#[test]
fn several_bots_are_served_and_two_of_one_name_are_not() {
    let home = Home::new();
    for bot in ["clinic", "weather"] {
        assert_eq!(home.cota(&["init", bot, "--template", bot]).code, 0);
    }
    let server = home.serve(&["--store", "memory"]);
    let (status, _) = server.say("a", "hello");
    assert_eq!(status, 200);
    assert_eq!(home.cota(&["init", "twin", "--template", "weather"]).code, 0);
    let called = home.cota(&["run", "weather", "twin"]);
    assert_eq!(called.code, 1);
    assert!(called.stderr.contains("weather and twin are both named `weather`"), "{}", called.stderr);
}

#[test]
fn an_address_in_use_exits_with_3() {
    let home = Home::with("weather");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let called = home.cota(&["run", "--store", "memory", "--port", &port]);
    assert_eq!(called.code, 3);
    assert!(called.stderr.contains("is in use by another process"), "{}", called.stderr);
}
