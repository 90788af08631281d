//! Event streams on which nothing is said for too long end, as sockets do.

use std::sync::Arc;

use futures_util::future::{self, Either};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use cota_protocol::sse;

use crate::gateway::Gateway;

/// The events, until none comes for as long as the limits allow. What only says that the stream lives is to be added behind this. A
/// browser connects again by itself, and goes on behind the last id that it has.
pub(crate) fn until_idle(events: BoxStream<'static, sse::Event>, gateway: &Gateway) -> BoxStream<'static, sse::Event> {
    let Some(most) = gateway.limiter().idle_ms() else { return events };
    let clock = Arc::clone(gateway.clock());
    let lively = stream::unfold(events, move |mut events| {
        let clock = Arc::clone(&clock);
        async move {
            let silence = clock.sleep_until(clock.now().plus_ms(most));
            match future::select(events.next(), silence).await {
                Either::Left((event, _)) => event.map(|event| (event, events)),
                Either::Right(((), _)) => {
                    tracing::debug!("an event stream on which nothing was said ends");
                    None
                }
            }
        }
    });
    lively.boxed()
}
