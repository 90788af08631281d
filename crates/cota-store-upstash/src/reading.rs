//! The operations that read, and how answers are understood.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ConversationKey, MessageId, RunId, SenderId, Seq, Timestamp};
use cota_core::tracker::Tracker;
use cota_driver::store::{Loaded, Recorded};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::UpstashStore;
use crate::fault::Fault;

const LOAD: &str = include_str!("scripts/load.lua");
const EVENTS: &str = "return redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])";
const RECORDED: &str = "return redis.call('HGET', KEYS[1], ARGV[1])";
const UNFINISHED: &str = "return redis.call('ZRANGE', KEYS[1], 0, ARGV[1], 'WITHSCORES')";
const READY: &str = "return redis.call('EXISTS', KEYS[1])";

/// Events of one call.
const PAGE: usize = 256;
/// Unfinished conversations of one call: those that are due first.
const UNFINISHED_PAGE: usize = 10_000;
/// None is no list and no text.
const NO_ARGUMENTS: [&str; 0] = [];

pub(crate) async fn load(store: &UpstashStore, key: &ConversationKey) -> Result<Option<Loaded>, Fault> {
    let [conversation, waiting, log, _, _] = store.keys.parts(key);
    loaded(store.api.eval(LOAD, &[conversation, waiting, log], &NO_ARGUMENTS).await?)
}

/// A conversation as the scripts tell it, if there is one.
pub(crate) fn loaded(answer: Json) -> Result<Option<Loaded>, Fault> {
    let Some(loaded) = decode::<Option<Vec<Json>>>("a conversation", answer)? else { return Ok(None) };
    let mut parts = loaded.into_iter();
    let mut part = || parts.next().unwrap_or_default();
    let snapshot = text("a snapshot", part())?.map(|tracker| parse("a snapshot", &tracker)).transpose()?;
    let saved = text("a saved run", part())?.map(|run| BASE64_STANDARD.decode(run)).transpose();
    let saved = saved.map_err(|error| Fault::Unreadable { what: "a saved run", why: error.to_string() })?;
    let inbox = inbox(part())?;
    let mut tracker: Tracker = snapshot.unwrap_or_default();
    for event in list::<Event>("an event", part())? {
        if event.seq > tracker.head {
            tracker.apply(&event);
        }
    }
    Ok(Some(Loaded { tracker, saved, inbox }))
}

pub(crate) async fn events(store: &UpstashStore, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, Fault> {
    let [_, _, log, _, _] = store.keys.parts(key);
    let mut events = Vec::new();
    while events.len() < limit {
        let wanted = PAGE.min(limit - events.len());
        // The event of seq n is at index n - 1.
        let first = after.0.saturating_add(events.len() as u64);
        let last = first.saturating_add(wanted as u64 - 1);
        let page = store.api.eval(EVENTS, &[&log], &[first.to_string(), last.to_string()]).await?;
        let page: Vec<Event> = list("an event", page)?;
        let is_last = page.len() < wanted;
        events.extend(page);
        if is_last {
            break;
        }
    }
    Ok(events)
}

pub(crate) async fn recorded(
    store: &UpstashStore,
    key: &ConversationKey,
    sender: &SenderId,
    message: &MessageId,
) -> Result<Option<Recorded>, Fault> {
    let [_, _, _, recorded, _] = store.keys.parts(key);
    let found = store.api.eval(RECORDED, &[recorded], &[RunId::of(key, sender, message).as_str()]).await?;
    text("a message's record", found)?.map(|found| parse("a message's record", &found)).transpose()
}

pub(crate) async fn unfinished(store: &UpstashStore, now: Timestamp) -> Result<Vec<(ConversationKey, Timestamp)>, Fault> {
    let found = store.api.eval(UNFINISHED, &[store.keys.unfinished()], &[(UNFINISHED_PAGE - 1).to_string()]).await?;
    let found: Vec<String> = decode("the list of unfinished conversations", found)?;
    let (pairs, _) = found.as_chunks::<2>();
    let due = |[key, at]: &[String; 2]| {
        let at: f64 = parse("a due time", at)?;
        Ok((parse("a conversation's key", key)?, now.max(Timestamp(at as u64))))
    };
    pairs.iter().map(due).collect()
}

/// Asks for something that is never there: it shows that scripts run.
pub(crate) async fn ready(store: &UpstashStore) -> Result<(), Fault> {
    store.api.eval(READY, &[store.keys.unfinished()], &NO_ARGUMENTS).await.map(|_| ())
}

/// The waiting messages, in order.
pub(crate) fn inbox(answer: Json) -> Result<Vec<InboxMessage>, Fault> {
    let mut inbox: Vec<InboxMessage> = list("a waiting message", answer)?;
    inbox.sort_by_key(|message| message.position);
    Ok(inbox)
}

/// A list of JSON texts; none is empty.
fn list<T: DeserializeOwned>(what: &'static str, answer: Json) -> Result<Vec<T>, Fault> {
    let texts: Option<Vec<String>> = decode(what, answer)?;
    texts.unwrap_or_default().iter().map(|text| parse(what, text)).collect()
}

pub(crate) fn text(what: &'static str, answer: Json) -> Result<Option<String>, Fault> {
    decode(what, answer)
}

pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, answer: Json) -> Result<T, Fault> {
    serde_json::from_value(answer).map_err(|error| Fault::Unreadable { what, why: kind(&error) })
}

fn parse<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Unreadable { what, why: kind(&error) })
}

/// Where the error is, and not what stands there: that may be personal.
fn kind(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
}
