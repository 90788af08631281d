//! Telling a running turn that a newer message waits, or that it is to stop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;

use cota_core::event::InboxMessage;
use cota_core::ids::{MessageId, Position};

/// The bell inside one running conversation. One task drives it, anybody may nudge.
#[derive(Debug, Default)]
pub struct Signals {
    newest: AtomicU64,
    /// The message whose turn is to stop.
    cancelled: Mutex<Option<MessageId>>,
    waker: AtomicWaker,
}

impl Signals {
    /// Says that a message waits at this position of the inbox.
    pub fn nudge(&self, position: Position) {
        self.newest.fetch_max(position.0, Ordering::AcqRel);
        self.waker.wake();
    }

    /// The newest position that anybody told of.
    pub(crate) fn newest(&self) -> Position {
        Position(self.newest.load(Ordering::Acquire))
    }

    /// Says that the turn which answers this message is to stop.
    pub fn cancel(&self, message: &MessageId) {
        *self.cancelled.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.clone());
        self.waker.wake();
    }

    /// Ends when the turn that answers one of these messages is to stop.
    pub(crate) fn cancelled<'s>(&'s self, messages: &'s [InboxMessage]) -> impl Future<Output = ()> + 's {
        futures_util::future::poll_fn(move |context| {
            self.waker.register(context.waker());
            let cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
            let is_meant = cancelled.as_ref().is_some_and(|id| messages.iter().any(|message| message.message_id == *id));
            if is_meant { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// Ends when a message waits that is newer than `position`.
    pub(crate) fn newer_than(&self, position: Position) -> impl Future<Output = ()> + '_ {
        futures_util::future::poll_fn(move |context| {
            self.waker.register(context.waker());
            if self.newest.load(Ordering::Acquire) > position.0 { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}
