//! `GET` and `DELETE /v1/conversations/{id}`, `GET .../events`.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use cota_core::ids::Seq;
use cota_protocol::problem::{Code, Problem};
use cota_protocol::rest::{ConversationState, EventsPage};

use super::stream;
use crate::follow;
use crate::gateway::Gateway;
use crate::request::{Addressed, Format, number};
use crate::respond::{self, Refusal};
use crate::view;

/// Events on a page where nobody says.
const PAGE: u64 = 100;
/// The most events on a page.
const LARGEST_PAGE: u64 = 1_000;

/// Where the conversation stands.
pub(crate) async fn show(State(gateway): State<Gateway>, to: Addressed) -> Result<Response, Refusal> {
    let (key, _) = to.resolve(&gateway, None).await?;
    let conversations = gateway.conversations();
    let Some(tracker) = conversations.state(&key).await? else { return Err(unknown().into()) };
    let unanswered = conversations.unanswered(&key).await?;
    let form = tracker.active_form().map(str::to_owned);
    let slots = form.as_deref().and_then(|form| tracker.form_slots(form)).cloned().unwrap_or_default();
    let state = ConversationState {
        conversation_id: key.id,
        seq: tracker.head,
        form,
        slots,
        running: unanswered > 0,
        waiting: u32::try_from(unanswered.saturating_sub(1)).unwrap_or(u32::MAX),
    };
    Ok(respond::json(StatusCode::OK, &state))
}

/// The record after a place in it: a page, or as a stream that goes on.
pub(crate) async fn show_events(State(gateway): State<Gateway>, to: Addressed) -> Result<Response, Refusal> {
    let after = number("after", to.asked.after.as_deref())?.map(Seq);
    let limit = number("limit", to.asked.limit.as_deref())?.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let (format, last_event_id) = (to.format, to.last_event_id);
    let (key, identity) = to.resolve(&gateway, None).await?;
    let after = last_event_id.or(after).unwrap_or_default();
    match format {
        Format::EventStream => {
            let connected = gateway.limiter().stream(&key.owner, identity.address).await?;
            let joining = follow::join(&gateway, key.clone(), false);
            let head = gateway.conversations().state(&key).await?.ok_or_else(unknown)?.head;
            Ok(stream::record(&gateway, joining.after(after.min(head), head), identity.scopes, connected))
        }
        Format::Json => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let mut events = gateway.conversations().events(&key, after, limit.saturating_add(1)).await?;
            if events.is_empty() && gateway.conversations().state(&key).await?.is_none() {
                return Err(unknown().into());
            }
            let more = events.len() > limit;
            events.truncate(limit);
            let page = EventsPage {
                conversation_id: key.id,
                next_after: events.last().map_or(after, |event| event.seq),
                events: events.iter().map(|event| view::event(event, identity.scopes)).collect::<Result<_, _>>()?,
                more,
            };
            Ok(respond::json(StatusCode::OK, &page))
        }
    }
}

/// Forgets the conversation, whether there is one or not.
pub(crate) async fn forget(State(gateway): State<Gateway>, to: Addressed) -> Result<Response, Refusal> {
    let (key, _) = to.resolve(&gateway, None).await?;
    gateway.conversations().forget(&key).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn unknown() -> Problem {
    Problem::new(Code::NotFound, "there is no conversation with this id; a first message creates it")
}
