//! The doorbell: messages of a standard queue that wake the `turn` function for a conversation or a connection.
//!
//! A ring carries a key and a time, nothing else. It may come twice, late or in any order, and costs no more than a look where
//! nothing is to be done.

mod ring;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use url::Url;

use cota_core::ids::{ConversationKey, Timestamp};
use cota_driver::ports::{Clock, Doorbell, Spawn as _};

use crate::aws::{CallError, JsonService};
use crate::invocation::Present;

pub(crate) use ring::{BadRing, Ring, Whom};

/// The longest that a queue keeps a message back, in seconds: a later time is rung for in hops.
const LONGEST_DELAY: u64 = 900;
/// How long after its lease a conversation's watchdog barks, in milliseconds.
const WATCHDOG_MS: u64 = 1_000;
/// A watchdog that was set so shortly before, in milliseconds, does for this lease, too.
const SAME_LEASE_MS: u64 = 2_000;

/// Rings by way of a queue.
pub(crate) struct Bells {
    queue: Option<Queue>,
    present: Arc<Present>,
    clock: Arc<dyn Clock>,
    /// The watchdog that was set last.
    watched: Mutex<Option<(ConversationKey, Timestamp)>>,
    /// Whether the queue refused a ring.
    lost: AtomicBool,
    this: std::sync::Weak<Bells>,
}

/// A queue of SQS.
pub(crate) struct Queue {
    pub(crate) sqs: JsonService,
    pub(crate) url: Url,
}

impl Bells {
    pub(crate) fn new(queue: Option<Queue>, present: Arc<Present>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            queue,
            present,
            clock,
            watched: Mutex::default(),
            lost: AtomicBool::new(false),
            this: std::sync::Weak::clone(this),
        })
    }

    /// Sets the watchdog of a message before it is accepted, and waits until that is done.
    pub(crate) async fn watch_first(&self, key: &ConversationKey, lease_until: Timestamp) -> Result<(), CallError> {
        if self.is_new(key, lease_until) { self.send(&watchdog(key, lease_until)).await } else { Ok(()) }
    }

    /// Sets the watchdog of a conversation whose holder died, and waits until that is done: it may be what waits there that kills,
    /// before a ring that nobody waits for is on its way. The message that is being heard comes again much later.
    pub(crate) async fn watch_takeover(&self, key: &ConversationKey, lease_until: Timestamp) {
        if let Err(error) = self.watch_first(key, lease_until).await {
            self.lost.store(true, Ordering::Release);
            tracing::error!(%error, "the watchdog of a conversation that is taken over could not be set");
        }
    }

    /// Rings, and waits until the queue has it.
    pub(crate) async fn send(&self, ring: &Ring) -> Result<(), CallError> {
        let Some(queue) = &self.queue else { return Ok(()) };
        let delay = ring.at.since(self.clock.now()).div_ceil(1000).min(LONGEST_DELAY);
        let parameters = json!({"QueueUrl": queue.url.as_str(), "MessageBody": ring.encode(), "DelaySeconds": delay});
        queue.sqs.call("SendMessage", &parameters).await.map(drop)
    }

    /// Rings without waiting; the invocation does not end before it is done.
    pub(crate) fn ring_for(&self, ring: Ring) {
        let Some(bells) = self.this.upgrade() else { return };
        self.present.spawn(Box::pin(async move {
            if let Err(error) = bells.send(&ring).await {
                bells.lost.store(true, Ordering::Release);
                tracing::error!(%error, "a doorbell could not be rung");
            }
        }));
    }

    /// Whether a ring was lost since this was asked last.
    pub(crate) fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::AcqRel)
    }

    /// Notes a watchdog; whether it is one that has not been set.
    fn is_new(&self, key: &ConversationKey, lease_until: Timestamp) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let is_set = watched.as_ref().is_some_and(|(other, until)| other == key && lease_until.since(*until) < SAME_LEASE_MS);
        if !is_set {
            *watched = Some((key.clone(), lease_until));
        }
        !is_set
    }
}

impl Doorbell for Bells {
    fn ring(&self, key: &ConversationKey, at: Timestamp) {
        self.ring_for(Ring { whom: Whom::Conversation(key.clone()), at });
    }

    fn watch(&self, key: &ConversationKey, lease_until: Timestamp) {
        if self.is_new(key, lease_until) {
            self.ring_for(watchdog(key, lease_until));
        }
    }
}

/// Late enough for a lease that was taken a moment after the watchdog was set.
fn watchdog(key: &ConversationKey, lease_until: Timestamp) -> Ring {
    Ring { whom: Whom::Conversation(key.clone()), at: lease_until.plus_ms(SAME_LEASE_MS + WATCHDOG_MS) }
}
