//! The example bots' own tests, over both ways in, with the same transcript as in one process.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::support::deployment::{Deployment, Plan};
use super::support::{self, Bundles, Record, Socket, cota};

const EXAMPLES: [&str; 3] = ["weather", "weather-zh", "helpdesk"];

fn folder(example: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(example)
}

/// The real `cota test` against the Function URL.
#[test]
fn the_example_bots_pass_their_tests_over_http() {
    support::run(async {
        for example in EXAMPLES {
            let deployment = Deployment::start(Bundles::of_examples(&[example]), Plan::default()).await;
            let mut test = Command::new(cota());
            test.args(["test", "--target", &format!("http://{}", deployment.address())]).arg(folder(example));
            let output = tokio::task::spawn_blocking(move || test.output().unwrap()).await.unwrap();
            assert!(
                output.status.success(),
                "{example}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    });
}

#[test]
fn a_transcript_over_the_socket_is_the_one_over_http() {
    support::run(async {
        let deployment = Deployment::start(Bundles::of_examples(&["weather"]), Plan::default()).await;
        let said = ["hello", "what is the weather in Oslo?", "tomorrow", "agent please"];
        let mut socket = Socket::join(&deployment.sockets.address(), "ana", "over-socket", &json!({})).await;
        for (n, text) in said.iter().enumerate() {
            let id = format!("m{n}");
            socket.say("over-socket", &id, text).await;
            socket.answer_to(&id).await.unwrap();
            let answer = deployment.say("over-http", &json!({"text": text, "sender_id": "ana", "message_id": id})).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let over_socket = transcript(&Record::read(&deployment.address(), "over-socket").await);
        let over_http = transcript(&Record::read(&deployment.address(), "over-http").await);
        assert_eq!(over_socket, over_http);
        assert_eq!(over_http.len(), 4, "{over_http:?}");
    });
}

/// What was said, without ids and times.
fn transcript(record: &Record) -> Vec<(String, Vec<String>)> {
    let mut turns: Vec<(String, Vec<String>)> = Vec::new();
    for said in record.said() {
        match (said.by.as_str(), turns.last_mut()) {
            ("UserUtter", _) => turns.push((said.text, Vec::new())),
            (_, Some((_, replies))) => replies.push(said.text),
            (_, None) => panic!("the bot spoke first"),
        }
    }
    turns
}
