//! The invocation at hand: when it ends, and what has to be done before it does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use cota_core::ids::Timestamp;
use cota_core::turn::Invocation;
use cota_driver::ports::Spawn;

/// The most that is kept back of an invocation's time for its last writes, in milliseconds.
const MARGIN_MS: u64 = 1_500;

/// When the invocation at hand ends, and the tasks it has begun. An environment has one invocation at a time.
#[derive(Debug)]
pub(crate) struct Present {
    until: AtomicU64,
    request: Mutex<String>,
    budget_ms: u64,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Present {
    /// Of a deployment in which a fresh invocation that hears a doorbell has `timeout` in all. As much as is kept back for its
    /// end is left out for its beginning: else a call that may take all of the rest would find no invocation that is fresh enough.
    #[must_use]
    pub(crate) fn new(timeout: Duration) -> Self {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        Self {
            until: AtomicU64::new(u64::MAX),
            request: Mutex::default(),
            budget_ms: ms.saturating_sub(2 * margin(ms)),
            tasks: Mutex::default(),
        }
    }

    /// The invocation of this request begins, and is ended at `deadline` whatever it does.
    pub(crate) fn begin(&self, request: &str, now: Timestamp, deadline: Timestamp) {
        request.clone_into(&mut self.request.lock().unwrap_or_else(PoisonError::into_inner));
        let until = deadline.0.saturating_sub(margin(deadline.since(now)));
        self.until.store(until, Ordering::Release);
    }

    /// What Lambda calls the request.
    pub(crate) fn request(&self) -> String {
        self.request.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long turns may run.
    #[must_use]
    pub(crate) fn terms(&self) -> Invocation {
        Invocation { until: Timestamp(self.until.load(Ordering::Acquire)), budget_ms: self.budget_ms }
    }

    /// What a fresh invocation has for one call, in milliseconds.
    #[must_use]
    pub(crate) fn budget_ms(&self) -> u64 {
        self.budget_ms
    }

    /// Waits for all that was begun.
    pub(crate) async fn finish(&self) {
        while let Some(task) = self.next() {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of this invocation broke off");
            }
        }
    }

    fn next(&self) -> Option<JoinHandle<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl Spawn for Present {
    fn spawn(&self, future: BoxFuture<'static, ()>) {
        let task = tokio::spawn(future.in_current_span());
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }
}

/// A tenth of the whole, up to [`MARGIN_MS`].
fn margin(whole_ms: u64) -> u64 {
    (whole_ms / 10).min(MARGIN_MS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn turns_end_a_while_before_the_invocation_does() {
        let present = Present::new(Duration::from_secs(15));
        assert_eq!(present.budget_ms(), 12_000);
        present.begin("r1", Timestamp(1_000), Timestamp(16_000));
        assert_eq!(present.terms(), Invocation { until: Timestamp(14_500), budget_ms: 12_000 });
        present.begin("r2", Timestamp(1_000), Timestamp(2_000));
        assert_eq!(present.request(), "r2");
        assert_eq!(present.terms().until, Timestamp(1_900), "of a short one a tenth is kept back");
    }

    #[tokio::test]
    async fn what_a_task_begins_is_waited_for_as_well() {
        let present = Arc::new(Present::new(Duration::from_secs(1)));
        let done = Arc::new(AtomicBool::new(false));
        let (inner, flag) = (Arc::clone(&present), Arc::clone(&done));
        present.spawn(Box::pin(async move {
            tokio::task::yield_now().await;
            let flag = Arc::clone(&flag);
            inner.spawn(Box::pin(async move { flag.store(true, Ordering::Release) }));
        }));
        present.finish().await;
        assert!(done.load(Ordering::Acquire));
    }
}
