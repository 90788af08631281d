//! Answers as Server-Sent Events: a turn while it runs, the record as it grows.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::response::Response;
use futures_util::future;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use cota_core::event::Event;
use cota_core::ids::{MessageId, Seq};
use cota_core::turn::Fragment;
use cota_protocol::problem::Problem;
use cota_protocol::rest::{PendingAnswer, TurnEvent};
use cota_protocol::sse;

use crate::access::Scopes;
use crate::answer::AnsweredTurn;
use crate::follow::News;
use crate::gateway::Gateway;
use crate::idle::until_idle;
use crate::limits::Connected;
use crate::respond;
use crate::view;
use crate::wait::{Heard, Waiter, forgotten};

/// Streams a turn. `from` is the last event that the client had.
pub(super) fn turn(waiter: Waiter, from: Option<Seq>, scopes: Scopes) -> Response {
    let clock = Arc::clone(waiter.clock());
    let turn = TurnStream { waiter, from, scopes, ready: VecDeque::new(), over: false };
    let events = stream::unfold(turn, |mut turn| async move {
        let event = turn.next().await?;
        Some((event.to_sse(), turn))
    });
    respond::event_stream(events.boxed(), clock)
}

/// Streams the record from a place on, and goes on with it until the conversation is forgotten or nothing happens in it.
pub(super) fn record(gateway: &Gateway, news: BoxStream<'static, News>, scopes: Scopes, connected: Connected) -> Response {
    let events = news.flat_map(move |news| match news {
        News::Events(events) => stream::iter(events.iter().map(|event| Some(recorded(event, scopes))).collect::<Vec<_>>()),
        News::Accepted(_) | News::Fragment(_) => stream::iter(Vec::new()),
        News::Forgotten => stream::iter(vec![None]),
    });
    let events = events.take_while(|event| future::ready(event.is_some())).filter_map(future::ready);
    // The stream takes its place as long as it lives.
    let events = events.map(move |event| {
        let _ = &connected;
        event
    });
    respond::event_stream(until_idle(events.boxed(), gateway), Arc::clone(gateway.clock()))
}

fn recorded(event: &Event, scopes: Scopes) -> sse::Event {
    match view::event(event, scopes) {
        Ok(json) => sse::Event::new(json.to_string()).named(view::kind(event)).with_id(event.seq.to_string()),
        Err(problem) => error(problem),
    }
}

fn error(problem: Problem) -> sse::Event {
    TurnEvent::Error(problem).to_sse()
}

struct TurnStream {
    waiter: Waiter,
    from: Option<Seq>,
    scopes: Scopes,
    ready: VecDeque<TurnEvent>,
    over: bool,
}

impl TurnStream {
    async fn next(&mut self) -> Option<TurnEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            match self.waiter.next().await {
                Heard::Fragment(fragment) => self.show(&fragment),
                Heard::Durable(events) => self.finish(&events),
                Heard::OutOfTime => self.end(TurnEvent::Pending(PendingAnswer::running(self.waiter.question().message_id.clone()))),
                Heard::Forgotten => self.end(TurnEvent::Error(forgotten())),
            }
        }
    }

    fn show(&mut self, fragment: &Fragment) {
        let is_mine = |reply: &MessageId| {
            let run = self.waiter.question().run.as_str();
            reply.as_str().strip_prefix(run).is_some_and(|rest| rest.starts_with('.'))
        };
        match fragment {
            Fragment::Delta { message_id, offset, text } if is_mine(message_id) => {
                self.ready.push_back(TurnEvent::Delta { message_id: message_id.clone(), offset: *offset, text: text.clone() });
            }
            Fragment::Reset { message_id } if is_mine(message_id) => {
                self.ready.push_back(TurnEvent::Reset { message_id: message_id.clone() });
            }
            Fragment::Delta { .. } | Fragment::Reset { .. } => {}
        }
    }

    fn finish(&mut self, events: &[Event]) {
        if let Some(turn) = AnsweredTurn::among(events, self.waiter.question()) {
            self.ready.extend(turn.stream(self.from, self.scopes));
            self.over = true;
        }
    }

    fn end(&mut self, event: TurnEvent) {
        self.ready.push_back(event);
        self.over = true;
    }
}
