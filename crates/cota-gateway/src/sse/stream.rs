//! `GET /sse`: the server's frames.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::{self, Either};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde_json::json;

use cota_core::ids::Timestamp;
use cota_driver::ports::Clock;
use cota_protocol::problem::{Code, Problem};
use cota_protocol::sse;
use cota_protocol::time::iso8601;

use super::place::Places;
use crate::gateway::Gateway;
use crate::idle::until_idle;
use crate::request::header_text;
use crate::respond::{self, Refusal};

/// Between two `ping` frames, in milliseconds.
const PING_MS: u64 = 30_000;
/// The header that says how far a client had come.
const LAST_EVENT_ID: &str = "last-event-id";

/// Opens a stream, and goes on where the client says it was.
pub(crate) async fn open(State(gateway): State<Gateway>, request: Request) -> Result<Response, Refusal> {
    let (parts, _) = request.into_parts();
    let places = Places::read(header_text(&parts.headers, LAST_EVENT_ID)?.unwrap_or_default());
    let Some((bot, identity)) = gateway.visitor(&parts)? else {
        let detail = "say whose stream it is: `?sender_id=` in the query";
        return Err(Problem::new(Code::MissingSender, detail).with("field", "sender_id").into());
    };
    let events = gateway.options().sessions.stream(&gateway, &bot, &identity, &places).await?;
    let (events, clock) = (until_idle(events, &gateway), gateway.clock());
    Ok(respond::event_stream(with_pings(events, Arc::clone(clock)).boxed(), Arc::clone(clock)))
}

/// The events, and a `ping` from time to time.
fn with_pings(events: BoxStream<'static, sse::Event>, clock: Arc<dyn Clock>) -> impl stream::Stream<Item = sse::Event> {
    let ping_at = clock.now().plus_ms(PING_MS);
    stream::unfold(Pinging { events, clock, ping_at }, |mut pinging| async move { Some((pinging.next().await?, pinging)) })
}

struct Pinging {
    events: BoxStream<'static, sse::Event>,
    clock: Arc<dyn Clock>,
    ping_at: Timestamp,
}

impl Pinging {
    async fn next(&mut self) -> Option<sse::Event> {
        match future::select(self.events.next(), self.clock.sleep_until(self.ping_at)).await {
            Either::Left((event, _)) => event,
            Either::Right(((), _)) => {
                let now = self.clock.now();
                self.ping_at = now.plus_ms(PING_MS);
                Some(sse::Event::new(json!({"type": "ping", "timestamp": iso8601(now)}).to_string()))
            }
        }
    }
}
