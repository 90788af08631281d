//! What is said in a bot's tests, said again in conversations with names of their own, and the record of it: over HTTP, and once
//! more over a WebSocket when that is forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cota_config::tests::{ConversationTest, TestStepKind};
use cota_testkit::client::{Socket, http};
use cota_testkit::proofs::Address;
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value as Json, json};

/// The events of each conversation, one a line, by its bot and test.
pub(crate) type Records = BTreeMap<String, String>;

/// What tells when something happened, or how long it took.
const TIMES: [&str; 3] = ["at", "timestamp", "ms"];
const SENDER: &str = "ann";
/// Conversations at a time.
const AT_A_TIME: usize = 3;

/// Has the conversations of the bot's tests, some at a time, each of them over both ways in and with one record.
pub(crate) async fn all(address: &Address, bot: &str, folder: &Path) -> Records {
    let talks = tests(folder).into_iter().enumerate().map(|(n, test)| async move {
        let talk = Talk { address, bot, id: format!("{bot}-{n}") };
        let record = talk.over_http(&test).await;
        talk.forget().await;
        let over_socket = talk.over_socket(&test).await;
        assert_eq!(first_difference(&record, &over_socket), None, "{bot}: {}, over HTTP and over a socket", test.name);
        (format!("{bot}: {}", test.name), record)
    });
    stream::iter(talks).buffer_unordered(AT_A_TIME).collect().await
}

/// Fails with the first lines that differ.
pub(crate) fn assert_same((first, expected): (&str, &Records), (second, found): (&str, &Records)) {
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (name, expected) in expected {
        assert_eq!(first_difference(expected, &found[name]), None, "{name}, on {first} and on {second}");
    }
}

/// The first lines in which two records differ; an empty one where a record has ended.
fn first_difference<'r>(one: &'r str, other: &'r str) -> Option<(&'r str, &'r str)> {
    let (mut ones, mut others) = (one.lines(), other.lines());
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return None,
            (line, same) if line == same => {}
            (line, another) => return Some((line.unwrap_or_default(), another.unwrap_or_default())),
        }
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
    address: &'a Address,
    bot: &'a str,
    id: String,
}

impl Talk<'_> {
    /// Says all that the test says in requests, and returns the record.
    async fn over_http(&self, test: &ConversationTest) -> String {
        let (path, bot) = (format!("/v1/conversations/{}/messages", self.id), format!("x-cota-bot: {}", self.bot));
        for (message_id, text) in said(test) {
            let body = json!({"text": text, "sender_id": SENDER, "message_id": message_id});
            let answer = http::post(&self.address.http, &path, &[&bot], body.to_string().as_bytes()).await.unwrap();
            assert!(answer.status < 300, "{}: {answer:?}", test.name);
            self.until_idle().await;
        }
        self.events().await
    }

    /// Says it in frames.
    async fn over_socket(&self, test: &ConversationTest) -> String {
        let mut socket = Socket::join_bot(&self.address.sockets, self.bot, SENDER, &self.id).await;
        for (message_id, text) in said(test) {
            socket.say(&self.id, &message_id, text).await;
            socket.answer_to(&message_id).await.unwrap();
            self.until_idle().await;
        }
        self.events().await
    }

    async fn forget(&self) {
        let path = format!("/v1/conversations/{}?bot={}", self.id, self.bot);
        let answer = http::exchange(&self.address.http, "DELETE", &path, &[], b"").await.unwrap();
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// A proxy user goes on by itself.
    async fn until_idle(&self) {
        while !self.is_idle().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
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
        let answer = http::get(&self.address.http, &path).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

/// What the user says in a test, under ids.
fn said(test: &ConversationTest) -> impl Iterator<Item = (String, &str)> {
    let texts = test.steps.iter().filter_map(|step| match &step.kind {
        TestStepKind::User(text) => Some(text.as_str()),
        TestStepKind::Bot(_) | TestStepKind::Action(_) => None,
    });
    texts.enumerate().map(|(n, text)| (format!("m{n}"), text))
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
