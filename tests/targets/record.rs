//! What is said in a bot's tests, said again in conversations with names of their own, and the record of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cota_config::tests::{ConversationTest, TestStepKind};
use cota_testkit::client::http;
use serde_json::{Value as Json, json};

/// The events of each conversation, one a line, by its bot and test.
pub(crate) type Records = BTreeMap<String, String>;

/// What tells when something happened, or how long it took.
const TIMES: [&str; 3] = ["at", "timestamp", "ms"];
const SENDER: &str = "ann";

/// Has the conversations of the bot's tests.
pub(crate) async fn all(address: &str, bot: &str, folder: &Path) -> Records {
    let mut records = Records::new();
    for (n, test) in tests(folder).iter().enumerate() {
        let talk = Talk { address, bot, id: format!("{bot}-{n}") };
        records.insert(format!("{bot}: {}", test.name), talk.have(test).await);
    }
    records
}

/// Fails with the first lines that differ.
pub(crate) fn assert_same((first, expected): (&str, &Records), (second, found): (&str, &Records)) {
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (name, expected) in expected {
        let found = &found[name];
        let differ = expected.lines().zip(found.lines()).find(|(one, other)| one != other);
        assert_eq!(differ.map(|(one, _)| one), differ.map(|(_, other)| other), "{name}, on {first} and on {second}");
        assert_eq!(expected, found, "{name}, on {first} and on {second}: one has more events");
    }
}

fn tests(folder: &Path) -> Vec<ConversationTest> {
    let files = fs::read_dir(folder.join("tests")).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (format!("tests/{}", path.file_name().unwrap().to_str().unwrap()), fs::read_to_string(&path).unwrap())
    });
    let (tests, diagnostics) = cota_config::tests::read(&files.collect());
    assert!(diagnostics.is_empty() && !tests.is_empty(), "{}: {diagnostics:?}", folder.display());
    tests
}

struct Talk<'a> {
    address: &'a str,
    bot: &'a str,
    id: String,
}

impl Talk<'_> {
    /// Says all that the test says, and returns the record.
    async fn have(&self, test: &ConversationTest) -> String {
        let said = test.steps.iter().filter_map(|step| match &step.kind {
            TestStepKind::User(text) => Some(text),
            TestStepKind::Bot(_) | TestStepKind::Action(_) => None,
        });
        for (n, text) in said.enumerate() {
            let body = json!({"text": text, "sender_id": SENDER, "message_id": format!("m{n}")});
            let (path, bot) = (format!("/v1/conversations/{}/messages", self.id), format!("x-cota-bot: {}", self.bot));
            let answer = http::post(self.address, &path, &[&bot], body.to_string().as_bytes()).await.unwrap();
            assert!(answer.status < 300, "{}: {answer:?}", test.name);
            // A proxy user goes on by itself.
            while !self.is_idle().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        self.events().await
    }

    async fn is_idle(&self) -> bool {
        let state = self.get("").await;
        state["running"] == false && state["waiting"] == 0
    }

    async fn events(&self) -> String {
        let (mut lines, mut after) = (String::new(), 0);
        loop {
            let mut page = self.get(&format!("/events?after={after}")).await;
            for event in page["events"].as_array_mut().unwrap() {
                forget_times(event);
                lines.push_str(&format!("{event}\n"));
            }
            after = page["next_after"].as_u64().unwrap();
            if page["more"] != true {
                return lines;
            }
        }
    }

    async fn get(&self, rest: &str) -> Json {
        let join = if rest.contains('?') { '&' } else { '?' };
        let path = format!("/v1/conversations/{}{rest}{join}bot={}", self.id, self.bot);
        let answer = http::get(self.address, &path).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

fn forget_times(json: &mut Json) {
    match json {
        Json::Object(members) => {
            TIMES.iter().for_each(|name| drop(members.shift_remove(*name)));
            members.values_mut().for_each(forget_times);
        }
        Json::Array(values) => values.iter_mut().for_each(forget_times),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
