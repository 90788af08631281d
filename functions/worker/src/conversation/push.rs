//! Batches of what is new, and their way to a connection object.

use futures_util::{FutureExt as _, StreamExt as _};
use http::StatusCode;
use worker::ObjectNamespace;

use cota_core::ids::Timestamp;
use cota_driver::host::Subscription;
use cota_driver::ports::Clock as _;

use crate::platform::{PlatformClock, ask_object};
use crate::wire::{News, Notice};

/// Between two pushes of pieces of a reply to one connection object, in milliseconds.
const PACE_MS: u64 = 50;

/// What is new, batch by batch.
pub(super) struct Batches {
    subscription: Subscription,
    /// Pieces of a reply are not pushed before this.
    not_before: Timestamp,
}

/// What became of a push.
pub(super) enum Told {
    /// It was heard.
    Heard,
    /// The connection object has nobody in this room any more.
    Gone,
    /// Nobody knows.
    Unreachable,
}

impl Batches {
    pub(super) fn new(subscription: Subscription) -> Self {
        Self { subscription, not_before: Timestamp::default() }
    }

    /// The next batch. Pieces of a reply wait for each other a little; what is durable does not.
    pub(super) async fn next(&mut self) -> Option<Vec<News>> {
        let mut batch = vec![News::from(&self.subscription.next().await?)];
        self.take_ready(&mut batch);
        if batch.iter().all(is_piece) && self.not_before > PlatformClock.now() {
            PlatformClock.sleep_until(self.not_before).await;
            self.take_ready(&mut batch);
        }
        self.not_before = PlatformClock.now().plus_ms(PACE_MS);
        Some(batch)
    }

    fn take_ready(&mut self, batch: &mut Vec<News>) {
        while let Some(Some(update)) = self.subscription.next().now_or_never() {
            let news = News::from(&update);
            match (batch.last_mut(), news) {
                (Some(News::Delta { message_id, offset, text }), News::Delta { message_id: same, offset: next, text: more })
                    if *message_id == same && u64::from(*offset) + text.chars().count() as u64 == u64::from(next) =>
                {
                    text.push_str(&more);
                }
                (_, news) => batch.push(news),
            }
        }
    }
}

fn is_piece(news: &News) -> bool {
    matches!(news, News::Delta { .. })
}

/// Pushes a batch.
pub(super) async fn push(connections: &ObjectNamespace, connection: &str, notice: &Notice) -> Told {
    let Ok(body) = serde_json::to_string(notice) else { return Told::Unreachable };
    match ask_object(connections, connection, &body).await {
        Ok(answer) => match answer.status {
            StatusCode::OK => Told::Heard,
            StatusCode::GONE => Told::Gone,
            _ => Told::Unreachable,
        },
        Err(_) => Told::Unreachable,
    }
}
