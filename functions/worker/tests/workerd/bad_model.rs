//! A model that misbehaves in every way: the client gets a reply or an error within the budget, and the user's message stays.

use std::sync::Arc;

use cota_testkit::llm_server::scripts::{Misbehaviour, chat};
use cota_testkit::llm_server::{Script, Settings};
use futures_util::future::join_all;
use serde_json::json;

use super::support::{self, Record, Socket, Workerd, http, model};

#[test]
fn every_misbehaviour_ends_in_a_reply_and_keeps_the_message() {
    support::run(async {
        let llm = model(Settings::new(misbehaving())).await;
        let workerd = Workerd::start("impatient", &llm.apibase()).await;
        join_all(Misbehaviour::ALL.into_iter().map(|misbehaviour| survives(&workerd, misbehaviour))).await;
        // The process is as good as new.
        assert_eq!(workerd.say("after", &json!({"text": "and #well"})).await.replies(), ["It is #well."]);
        assert!(!workerd.logged().contains("panicked"), "{}", workerd.logged());
    });
}

/// As the message's `#word` says.
fn misbehaving() -> Script {
    let well = chat();
    Arc::new(move |call| {
        let tag = call.last_tag().unwrap_or_default().to_owned();
        match Misbehaviour::ALL.into_iter().find(|misbehaviour| format!("{misbehaviour:?}") == tag) {
            Some(misbehaviour) => misbehaviour.answer(call),
            None => well(call),
        }
    })
}

/// What the user hears: the model's words where it has any that make sense, else the bot's fallback.
fn reply_to(misbehaviour: Misbehaviour) -> &'static str {
    match misbehaviour {
        Misbehaviour::Prose => "I would rather just talk.",
        Misbehaviour::Fenced | Misbehaviour::UnknownAction | Misbehaviour::Selector | Misbehaviour::UserUtter => "Here I am.",
        Misbehaviour::List
        | Misbehaviour::Null
        | Misbehaviour::Number
        | Misbehaviour::EndlessForm
        | Misbehaviour::ServerError
        | Misbehaviour::RateLimit
        | Misbehaviour::Hang
        | Misbehaviour::Cut
        | Misbehaviour::Huge => "What did you say?",
    }
}

async fn survives(workerd: &Workerd, misbehaviour: Misbehaviour) {
    let text = format!("please #{misbehaviour:?}");
    let whole = format!("whole-{misbehaviour:?}");
    let answer = workerd.say(&whole, &json!({"text": text, "message_id": "m1"})).await;
    let replies = answer.replies();
    assert_eq!((answer.status, replies.as_slice()), (200, &[reply_to(misbehaviour).to_owned()][..]), "{misbehaviour:?}: {answer:?}");
    kept(workerd, &whole, &text).await;

    let streamed = format!("streamed-{misbehaviour:?}");
    let path = format!("/v1/conversations/{streamed}/messages");
    let body = json!({"text": text, "message_id": "m1"}).to_string();
    let answer = http::post(&workerd.address, &path, &["accept: text/event-stream"], body.as_bytes()).await.unwrap();
    let ends_well = answer.body.contains("event: done") || answer.body.contains("event: error");
    assert!(ends_well, "{misbehaviour:?}, streamed: {answer:?}");
    kept(workerd, &streamed, &text).await;

    let framed = format!("framed-{misbehaviour:?}");
    let mut socket = Socket::join(&workerd.address, &format!("sender-{misbehaviour:?}"), &framed, &json!({"stream": true})).await;
    socket.say(&framed, "m1", &text).await;
    let answer = socket.answer_to("m1").await.unwrap();
    assert_eq!(answer["text"], reply_to(misbehaviour), "{misbehaviour:?}, on a socket: {answer}");
    kept(workerd, &framed, &text).await;
}

/// Checks that the message stands in the record, in order, with one end.
async fn kept(workerd: &Workerd, conversation: &str, text: &str) {
    let record = Record::read(&workerd.address, conversation).await;
    assert_eq!(record.heard(), [text], "{conversation}");
    let ends: Vec<String> = record.outcomes().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ends, ["m1"], "{conversation}");
}
