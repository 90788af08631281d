//! COTA's own routes: a message in, and the tracker, the latest messages or all messages out.
//!
//! They show the record as COTA's clients know it: points in time are ISO 8601, and each result of an action says who acted.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value as Json, json};

use cota_core::bot::USER_UTTER;
use cota_core::event::{ActionRecord, Event, EventBody, MessageContent, Slots};
use cota_core::ids::{ConversationId, ConversationKey, Seq};
use cota_protocol::problem::{Code, Problem};
use cota_protocol::time::iso8601;
use cota_protocol::tracker::{AddMessage, TrackerState, Utterance, Utterances};

use crate::access::Scopes;
use crate::answer::{AnsweredTurn, Question};
use crate::gateway::Gateway;
use crate::request::{Addressed, JsonBody, Visit};
use crate::respond::{self, Refusal};
use crate::view;
use crate::wait::{Waiter, forgotten, out_of_time};
use crate::websocket::utterances;

/// The most events of a conversation that these routes look back on: they have no pages, and a conversation has no end.
const LATEST_EVENTS: u64 = 1_000;
/// The most conversations that one request may ask for.
const MOST_CONVERSATIONS: usize = 100;

/// Sends a message, waits for its turn, and answers with the tracker.
pub(crate) async fn add_message(State(gateway): State<Gateway>, to: Addressed, JsonBody(body): JsonBody) -> Result<Response, Refusal> {
    let AddMessage { text, sender_id, message_id, receiver, metadata } = AddMessage::decode(&body)?;
    let (key, identity) = to.resolve(&gateway, sender_id).await?;
    let question = Question::new(key.clone(), identity.sender.clone(), gateway.message_id(message_id)?);
    let content = MessageContent { text, receiver, metadata, ..MessageContent::default() };
    let mut waiter = Waiter::send(&gateway, question, &identity, content, false).await?;
    let events = waiter.end().await?.ok_or_else(out_of_time)?;
    AnsweredTurn::among(&events, waiter.question()).ok_or_else(forgotten)?.replies()?;
    tracker(&gateway, &key, identity.scopes).await
}

/// The tracker of a conversation.
pub(crate) async fn show_tracker(State(gateway): State<Gateway>, to: Addressed) -> Result<Response, Refusal> {
    let (key, identity) = to.resolve(&gateway, None).await?;
    tracker(&gateway, &key, identity.scopes).await
}

/// Every message of a conversation.
pub(crate) async fn list_history(State(gateway): State<Gateway>, to: Addressed) -> Result<Response, Refusal> {
    let (key, _) = to.resolve(&gateway, None).await?;
    let events = latest_events(&gateway, &key).await?.ok_or_else(unknown)?;
    let conversations = events.iter().flat_map(|event| said(&key.id, event)).collect();
    Ok(respond::json(StatusCode::OK, &Utterances { conversations }))
}

/// The last message of each of several conversations; those without one are left out.
pub(crate) async fn list_latest(State(gateway): State<Gateway>, visit: Visit) -> Result<Response, Refusal> {
    let ids = conversation_ids(visit.asked.conversation_ids.as_deref())?;
    let Visit { bot, caller, .. } = visit;
    let identity = gateway.speaker(caller, None).await?;
    let mut conversations = Vec::new();
    for id in ids {
        let key = ConversationKey { bot: bot.clone(), owner: identity.owner.clone(), id };
        let events = latest_events(&gateway, &key).await?.unwrap_or_default();
        conversations.extend(events.iter().rev().find_map(|event| said(&key.id, event).pop()));
    }
    Ok(respond::json(StatusCode::OK, &Utterances { conversations }))
}

async fn tracker(gateway: &Gateway, key: &ConversationKey, scopes: Scopes) -> Result<Response, Refusal> {
    let events = latest_events(gateway, key).await?.ok_or_else(unknown)?;
    let actions = events.iter().filter_map(|event| match &event.body {
        EventBody::Action(action) => Some(shown(event, action, scopes)),
        EventBody::TurnEnd(_) | EventBody::Control(_) | EventBody::Task(_) => None,
    });
    let actions = actions.collect::<Result<_, _>>()?;
    let state = TrackerState { session_id: key.id.clone(), slots: slots(&events), actions };
    Ok(respond::json(StatusCode::OK, &state))
}

/// The latest events of a conversation; `None` if there is no such conversation.
async fn latest_events(gateway: &Gateway, key: &ConversationKey) -> Result<Option<Vec<Event>>, Refusal> {
    let conversations = gateway.conversations();
    let Some(tracker) = conversations.state(key).await? else { return Ok(None) };
    let after = Seq(tracker.head.0.saturating_sub(LATEST_EVENTS));
    Ok(Some(conversations.events(key, after, usize::try_from(LATEST_EVENTS).unwrap_or(usize::MAX)).await?))
}

/// The messages of an event.
fn said(id: &ConversationId, event: &Event) -> Vec<Utterance> {
    utterances(id, event).into_iter().map(|message| Utterance::new(message, event.at)).collect()
}

/// The slots as the last turn left them.
fn slots(events: &[Event]) -> Slots {
    let last = events.iter().rev().find_map(|event| match &event.body {
        EventBody::TurnEnd(end) => Some(end.slots.clone()),
        EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => None,
    });
    last.unwrap_or_default()
}

/// An action as COTA's clients know it.
fn shown(event: &Event, action: &ActionRecord, scopes: Scopes) -> Result<Json, Problem> {
    let mut shown = view::action(action, scopes)?;
    if let Some(action_json) = shown.as_object_mut() {
        action_json.insert("timestamp".to_owned(), json!(iso8601(event.at)));
    }
    let sender = if action.name == USER_UTTER { "user" } else { "bot" };
    let results = shown.get_mut("result").and_then(Json::as_array_mut);
    for result in results.into_iter().flatten().filter_map(Json::as_object_mut) {
        let kind = if result.get("payload").is_some_and(|payload| payload.get("src").is_some()) { "image" } else { "text" };
        result.insert("type".to_owned(), json!(kind));
        result.insert("sender".to_owned(), json!(sender));
        result.entry("sender_id").or_insert_with(|| json!(action.sender_id));
    }
    Ok(shown)
}

fn conversation_ids(wanted: Option<&str>) -> Result<Vec<ConversationId>, Problem> {
    let refused = |detail: String| Problem::new(Code::BadRequest, detail).with("field", "conversation_ids");
    let wanted = wanted.ok_or_else(|| refused("`conversation_ids` is missing in the query; send a JSON list of ids".to_owned()))?;
    let ids: Vec<ConversationId> = serde_json::from_slice(wanted.as_bytes())
        .map_err(|_| refused("`conversation_ids` has to be a JSON list of conversation ids, for example [\"c1\",\"c2\"]".to_owned()))?;
    if ids.len() > MOST_CONVERSATIONS {
        return Err(refused(format!("`conversation_ids` has {} ids, at most {MOST_CONVERSATIONS} are allowed", ids.len())));
    }
    Ok(ids)
}

fn unknown() -> Problem {
    Problem::new(Code::NotFound, "there is no conversation with this id; a first message creates it")
}
