//! What the object answers.

use std::convert::Infallible;

use futures_util::stream::{self, StreamExt as _};
use futures_util::{FutureExt as _, Stream, select_biased};
use serde::Serialize;
use worker::{Response, ResponseBuilder};

use cota_core::event::{Event, EventBody};
use cota_core::ids::{ConversationKey, MessageId, SenderId, Seq};
use cota_driver::host::{Conversations as _, Subscription, Update};
use cota_driver::ports::Clock as _;
use cota_driver::store::StoreError;

use super::awake::Awake;
use super::members::Member;
use crate::platform::ObjectClock;
use crate::wire::{Acknowledged, Ask, Call, Following, Joined, Line, News, Refused};

/// Answers a call.
pub(super) async fn answer(awake: &Awake, call: Call) -> worker::Result<Response> {
    let Call { key, ask } = call;
    let host = &awake.host;
    match ask {
        Ask::Send { message, follow } => {
            // Whoever follows hears of the message itself.
            let following = follow.map(|following| host.subscribe(&key, following.streams));
            let id = message.message_id.clone();
            let sent = host.send(&key, (*message).into()).await.map(Acknowledged::from).map_err(Refused::from);
            let following = following.filter(|_| sent.is_ok());
            match (following, follow) {
                (Some(following), Some(Following { streams: false })) => finished(&awake.clock, Line::Sent(sent), following, &id).await,
                (following, _) => lines(encode(&Line::Sent(sent)), following),
            }
        }
        Ask::Follow(Following { streams }) => lines(encode(&Line::Following), Some(host.subscribe(&key, streams))),
        Ask::Events { after, limit } => json(host.events(&key, after, limit).await),
        Ask::State => json(host.state(&key).await),
        Ask::Unanswered => json(host.unanswered(&key).await),
        Ask::Progress { sender, message } => json(host.progress(&key, &sender, &message).await),
        Ask::Cancel { message } => {
            host.cancel(&key, &message);
            json(Ok(()))
        }
        Ask::Forget => json(host.forget(&key).await),
        Ask::Join { connection, user, streams } => json(join(awake, &key, connection, user, streams).await),
        Ask::Leave { connection } => json(awake.members.leave(&key, &connection).map_err(StoreError::from)),
    }
}

async fn join(awake: &Awake, key: &ConversationKey, connection: String, user: SenderId, streams: bool) -> Result<Joined, StoreError> {
    // From here on it is told what is new, so nothing is missed between that and the place in the record.
    let users = awake.members.join(key, Member { connection, user, streams })?;
    let head = awake.host.state(key).await?.map_or(Seq::default(), |tracker| tracker.head);
    Ok(Joined { head, users })
}

fn json(answer: Result<impl Serialize, StoreError>) -> worker::Result<Response> {
    match answer {
        Ok(answer) => Response::from_json(&answer),
        Err(error) => {
            tracing::error!(%error, "an object cannot serve");
            Response::error(error.to_string(), 503)
        }
    }
}

/// The type of an answer that goes on, by which js/panics.js knows it.
const LINES: &str = "application/x-ndjson";

/// How long whoever does not want a reply piece by piece waits for its turn before hearing anything, in milliseconds.
const PATIENCE_MS: u64 = 5_000;

/// A first line, and all that is new until the message is answered, at once where that is soon: a body that comes in pieces costs
/// the platform more than a turn's own work.
async fn finished(clock: &ObjectClock, first: Line, mut following: Subscription, id: &MessageId) -> worker::Result<Response> {
    let mut bytes = encode(&first);
    let mut patience = clock.sleep_until(clock.now().plus_ms(PATIENCE_MS)).fuse();
    loop {
        let update = select_biased! {
            update = following.next().fuse() => update,
            () = patience => return lines(bytes, Some(following)),
        };
        let Some(update) = update else { break };
        bytes.extend(encode(&Line::News(News::from(&update))));
        if answers(&update, id) {
            break;
        }
    }
    Response::from_bytes(bytes)
}

/// Whether this is the end of a turn that answers the message.
fn answers(update: &Update, id: &MessageId) -> bool {
    let is_end = |event: &Event| matches!(&event.body, EventBody::TurnEnd(end) if end.message_ids.contains(id));
    match update {
        Update::Durable(events) => events.iter().any(is_end),
        Update::Forgotten => true,
        Update::Accepted(_) | Update::Fragment(_) | Update::Missed => false,
    }
}

/// The first lines, and what is new behind them.
fn lines(first: Vec<u8>, following: Option<Subscription>) -> worker::Result<Response> {
    match following {
        None => Response::from_bytes(first),
        Some(subscription) => {
            let lines = stream::once(async { first }).chain(news(subscription));
            ResponseBuilder::new().with_header("content-type", LINES)?.from_stream(lines.map(Ok::<_, Infallible>))
        }
    }
}

/// What is new, as much at once as there is.
fn news(subscription: Subscription) -> impl Stream<Item = Vec<u8>> {
    stream::unfold(subscription, |mut subscription| async move {
        let mut lines = encode(&Line::News(News::from(&subscription.next().await?)));
        while let Some(Some(update)) = subscription.next().now_or_never() {
            lines.extend(encode(&Line::News(News::from(&update))));
        }
        Some((lines, subscription))
    })
}

fn encode(line: &Line) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
