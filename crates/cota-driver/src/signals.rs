//! Telling a running turn that a newer message waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;

use cota_core::ids::Position;

/// The bell inside one running conversation. One task drives it, anybody may nudge.
#[derive(Debug, Default)]
pub struct Signals {
    newest: AtomicU64,
    waker: AtomicWaker,
}

impl Signals {
    /// Says that a message waits at this position of the inbox.
    pub fn nudge(&self, position: Position) {
        self.newest.fetch_max(position.0, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Ends when a message waits that is newer than `position`.
    pub(crate) fn newer_than(&self, position: Position) -> impl Future<Output = ()> + '_ {
        futures_util::future::poll_fn(move |context| {
            self.waker.register(context.waker());
            if self.newest.load(Ordering::Acquire) > position.0 { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}
