//! A task as Server-Sent Events: its report, each time it has changed.

use axum::response::Response;
use futures_util::future;
use futures_util::stream::{self, StreamExt as _};

use cota_core::ids::{ConversationKey, Seq};
use cota_core::task::Board;
use cota_protocol::sse;

use crate::follow::{self, News};
use crate::gateway::Gateway;
use crate::idle::until_idle;
use crate::limits::Connected;
use crate::respond;

/// Streams reports until the task is over, or nothing happens to it. A client that has one is sent what is newer than that.
pub(super) fn follow(gateway: &Gateway, key: ConversationKey, cursor: Option<Seq>, connected: Connected) -> Response {
    let joining = follow::join(gateway, key.clone(), false);
    let news = joining.after(Seq(0), Seq(1));
    let reports = news.scan((Board::default(), false), move |(board, over), news| {
        // The stream takes its place as long as it lives.
        let _ = &connected;
        if *over {
            return future::ready(None);
        }
        let event = match news {
            News::Events(events) => {
                events.iter().for_each(|event| board.apply(event));
                *over = board.is_over();
                let is_new = cursor.is_none_or(|cursor| board.head > cursor);
                serde_json::to_string(&board.report(key.id.clone()))
                    .ok()
                    .filter(|_| is_new)
                    .map(|report| sse::Event::new(report).named("task").with_id(board.head.to_string()))
            }
            News::Accepted(_) | News::Fragment(_) => None,
            News::Forgotten => {
                *over = true;
                None
            }
        };
        future::ready(Some((event, *over)))
    });
    let ending = reports.flat_map(|(event, over)| {
        let last = over.then_some(None);
        stream::iter(event.map(Some).into_iter().chain(last))
    });
    let events = ending.take_while(|event| future::ready(event.is_some())).filter_map(future::ready);
    respond::event_stream(until_idle(events.boxed(), gateway), gateway.clock().clone())
}
