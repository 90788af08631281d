//! Telling a running turn that a newer message waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;

/// The bell inside one running conversation. One task drives it, anybody may nudge.
#[derive(Debug, Default)]
pub struct Signals {
    nudged: AtomicBool,
    waker: AtomicWaker,
}

impl Signals {
    /// Says that a newer message waits.
    pub fn nudge(&self) {
        self.nudged.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Forgets a nudge: what it said is known.
    pub fn settle(&self) {
        self.nudged.store(false, Ordering::Release);
    }

    /// Ends at the next nudge, or at once if there was one, and forgets it.
    pub fn nudged(&self) -> impl Future<Output = ()> + '_ {
        futures_util::future::poll_fn(|context| {
            self.waker.register(context.waker());
            if self.nudged.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}
