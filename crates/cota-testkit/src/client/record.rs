//! The record of a conversation, as anybody can read it over HTTP.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::http;

/// The events of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The events, in order.
    pub events: Vec<Json>,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `UserUtter` or `BotUtter`.
    pub by: String,
    /// What was said.
    pub text: String,
    /// Its id.
    pub message_id: String,
    /// What it answers.
    pub reply_to: Option<String>,
}

impl Record {
    /// Reads the whole record of a conversation with the default bot; empty where there is no such conversation.
    pub async fn read(address: &str, conversation: &str) -> Self {
        Self::read_at(address, &format!("/v1/conversations/{conversation}/events?")).await
    }

    /// Reads the whole record of a conversation with this bot.
    pub async fn read_of(address: &str, bot: &str, conversation: &str) -> Self {
        Self::read_at(address, &format!("/v1/conversations/{conversation}/events?bot={bot}&")).await
    }

    async fn read_at(address: &str, path: &str) -> Self {
        let mut events = Vec::new();
        let mut after = 0;
        loop {
            let page = http::get(address, &format!("{path}after={after}")).await.unwrap();
            assert!(page.status == 200 || page.status == 404, "{page:?}");
            let page = page.json();
            events.extend(page["events"].as_array().cloned().unwrap_or_default());
            after = page["next_after"].as_u64().unwrap_or(0);
            if page["more"] != true {
                return Self { events };
            }
        }
    }

    /// The names of the actions, in order.
    pub fn actions(&self) -> Vec<String> {
        self.of_kind("action").map(|event| text(&event["data"]["name"])).collect()
    }

    /// What users and bot said, in order.
    pub fn said(&self) -> Vec<Said> {
        let mut said = Vec::new();
        for event in self.of_kind("action") {
            let by = text(&event["data"]["name"]);
            if by != "UserUtter" && by != "BotUtter" {
                continue;
            }
            for item in event["data"]["result"].as_array().into_iter().flatten() {
                let reply_to = item["reply_to"].as_str().map(str::to_owned);
                said.push(Said { by: by.clone(), text: text(&item["text"]), message_id: text(&item["message_id"]), reply_to });
            }
        }
        said
    }

    /// What users said, in order.
    pub fn heard(&self) -> Vec<String> {
        self.said().into_iter().filter(|said| said.by == "UserUtter").map(|said| said.text).collect()
    }

    /// What the bot said, in order.
    pub fn replies(&self) -> Vec<String> {
        self.said().into_iter().filter(|said| said.by == "BotUtter").map(|said| said.text).collect()
    }

    /// How each message that a turn took ended.
    pub fn outcomes(&self) -> Vec<(String, String)> {
        let mut outcomes = Vec::new();
        for event in self.of_kind("turn_end") {
            for id in event["data"]["message_ids"].as_array().into_iter().flatten() {
                outcomes.push((text(id), text(&event["data"]["outcome"])));
            }
        }
        outcomes
    }

    /// Checks that every message stands in it once with one answer after it, that answers follow the order of the messages,
    /// and that its places have no gap. Returns the ids of the messages in order.
    pub fn answered_in_order(&self) -> Vec<String> {
        let seqs: Vec<u64> = self.events.iter().filter_map(|event| event["seq"].as_u64()).collect();
        assert_eq!(seqs, (1..=self.events.len() as u64).collect::<Vec<_>>(), "the record has a gap");
        let said = self.said();
        let ids = |by: &str| said.iter().filter(|said| said.by == by).cloned().collect::<Vec<Said>>();
        let messages: Vec<String> = ids("UserUtter").into_iter().map(|said| said.message_id).collect();
        let answers: Vec<String> = ids("BotUtter").into_iter().filter_map(|said| said.reply_to).collect();
        assert_eq!(answers, messages, "answers do not match the messages: {said:#?}");
        let mut counts: BTreeMap<&String, u32> = BTreeMap::new();
        messages.iter().for_each(|id| *counts.entry(id).or_default() += 1);
        assert!(counts.values().all(|count| *count == 1), "a message stands in the record twice: {counts:?}");
        let ended: Vec<String> = self.outcomes().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ended, messages, "ends of turns do not match the messages");
        messages
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Json> {
        self.events.iter().filter(move |event| event["kind"] == kind)
    }
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}
