//! A model that misbehaves in every way: the client gets a reply or an error within the budget, and the user's message stays.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{FuturesUnordered, iter};

use super::{Address, Heard, Server as _, Speaker, Target, Ways, model};
use crate::client::Record;
use crate::llm_server::scripts::{Misbehaviour, chat};
use crate::llm_server::{Script, Settings};

/// Misbehaviours at one time: a busy machine is no slow model.
const AT_ONCE: usize = 5;

/// Each misbehaviour, over both ways in, whole and streamed, and both ways in one conversation.
pub async fn every_misbehaviour_ends_in_a_reply_and_keeps_the_message(target: &impl Target) {
    let llm = model(Settings::new(misbehaving())).await;
    let server = target.start("impatient", &llm.apibase()).await;
    let address = server.address();
    iter(Misbehaviour::ALL).for_each_concurrent(AT_ONCE, |misbehaviour| survives(&address, misbehaviour)).await;
    // What serves is as good as new.
    for ways in [Ways::Http, Ways::Sockets] {
        let mut speaker = Speaker::new(&address, "ann", &format!("after-{ways:?}"));
        assert_eq!(speaker.say(ways.of(0), "m1", "and #well").await, Heard::reply("It is #well."));
    }
    assert!(!server.logged().contains("panicked"), "{}", server.logged());
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

async fn survives(address: &Address, misbehaviour: Misbehaviour) {
    let text = format!("please #{misbehaviour:?}");
    let spoken: FuturesUnordered<_> = Ways::ALL.into_iter().map(|ways| spoken(address, misbehaviour, ways, &text)).collect();
    tokio::join!(spoken.collect::<()>(), streamed(address, misbehaviour, &text));
}

/// Says it once; where the ways are mixed, once each way.
async fn spoken(address: &Address, misbehaviour: Misbehaviour, ways: Ways, text: &str) {
    let mut speaker = Speaker::new(address, &format!("sender-{misbehaviour:?}"), &format!("{ways:?}-{misbehaviour:?}"));
    let ids: &[&str] = if ways == Ways::Mixed { &["m1", "m2"] } else { &["m1"] };
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(speaker.say(ways.of(n), id, text).await, Heard::reply(reply_to(misbehaviour)), "{misbehaviour:?}, {ways:?}, {id}");
    }
    assert_kept(&speaker.record().await, ids, text);
}

async fn streamed(address: &Address, misbehaviour: Misbehaviour, text: &str) {
    let speaker = Speaker::new(address, "ann", &format!("streamed-{misbehaviour:?}"));
    let answer = speaker.streamed("m1", text).await;
    let ends_well = answer.body.contains("event: done") || answer.body.contains("event: error");
    assert!(ends_well, "{misbehaviour:?}, streamed: {answer:?}");
    assert_kept(&speaker.record().await, &["m1"], text);
}

/// Checks that the messages stand in the record, in order, each with one end.
fn assert_kept(record: &Record, ids: &[&str], text: &str) {
    assert_eq!(record.heard(), vec![text; ids.len()]);
    let ends: Vec<String> = record.outcomes().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ends, ids);
}
