//! Subscribers of conversations: bounded queues that never slow a turn.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use futures_util::future::AbortHandle;

use cota_core::ids::{ConversationKey, MessageId};
use cota_core::turn::Fragment;

use super::Update;

/// Updates that wait for one subscriber before it is told that it missed some.
const MOST_WAITING: usize = 256;

/// All subscribers of a host, or of what stands for one elsewhere.
#[derive(Debug, Default)]
pub struct Hub {
    rooms: Mutex<HashMap<ConversationKey, Room>>,
}

#[derive(Debug, Default)]
struct Room {
    subscribers: Vec<Arc<Queue>>,
    /// The reply that is being written, for those who join in the middle of it.
    live: Option<(MessageId, String)>,
    /// What tells this room of what is new elsewhere.
    feeds: Feeds,
}

/// Ends with the last subscriber, or with the hub.
#[derive(Debug, Default)]
struct Feeds(Vec<AbortHandle>);

#[derive(Debug)]
struct Queue {
    streams: bool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    updates: VecDeque<Update>,
    missed: bool,
    waker: Option<Waker>,
}

/// One subscriber's updates. It ends when it is dropped, and never by itself.
#[derive(Debug)]
pub struct Subscription {
    hub: Weak<Hub>,
    key: ConversationKey,
    queue: Arc<Queue>,
}

impl Hub {
    /// Follows a conversation from now on; with `streams`, replies piece by piece as well.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, key: &ConversationKey, streams: bool) -> Subscription {
        let queue = Arc::new(Queue { streams, waiting: Mutex::default() });
        let mut rooms = lock(&self.rooms);
        let room = rooms.entry(key.clone()).or_default();
        if let Some((message_id, text)) = room.live.as_ref().filter(|_| streams) {
            let whole = Fragment::Delta { message_id: message_id.clone(), offset: 0, text: text.clone() };
            queue.push(&Update::Fragment(Arc::new(whole)));
        }
        room.subscribers.push(Arc::clone(&queue));
        Subscription { hub: Arc::downgrade(self), key: key.clone(), queue }
    }

    /// Whether somebody wants replies piece by piece.
    #[must_use]
    pub fn streams(&self, key: &ConversationKey) -> bool {
        lock(&self.rooms).get(key).is_some_and(|room| room.subscribers.iter().any(|queue| queue.streams))
    }

    /// Whether anybody follows the conversation.
    #[must_use]
    pub fn is_followed(&self, key: &ConversationKey) -> bool {
        lock(&self.rooms).get(key).is_some_and(|room| !room.subscribers.is_empty())
    }

    /// Ends `feed` as soon as nobody follows the conversation any more: at once where nobody does.
    pub fn feed(&self, key: &ConversationKey, feed: AbortHandle) {
        match lock(&self.rooms).get_mut(key).filter(|room| !room.subscribers.is_empty()) {
            Some(room) => room.feeds.0.push(feed),
            None => feed.abort(),
        }
    }

    /// Tells everybody who follows a conversation.
    pub fn publish(&self, key: &ConversationKey, update: &Update) {
        let mut rooms = lock(&self.rooms);
        let Some(room) = rooms.get_mut(key) else { return };
        match update {
            Update::Fragment(fragment) => room.follow(fragment),
            Update::Durable(_) | Update::Forgotten => room.live = None,
            Update::Accepted(_) | Update::Missed => {}
        }
        let only_streaming = matches!(update, Update::Fragment(_));
        for queue in room.subscribers.iter().filter(|queue| queue.streams || !only_streaming) {
            queue.push(update);
        }
        if room.is_over() {
            rooms.remove(key);
        }
    }

    fn leave(&self, key: &ConversationKey, queue: &Arc<Queue>) {
        let mut rooms = lock(&self.rooms);
        if let Some(room) = rooms.get_mut(key) {
            room.subscribers.retain(|other| !Arc::ptr_eq(other, queue));
            if room.subscribers.is_empty() {
                room.feeds = Feeds::default();
            }
            if room.is_over() {
                rooms.remove(key);
            }
        }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Room {
    /// Whether nobody is there, and no reply is being written that somebody who comes back would want from its start.
    fn is_over(&self) -> bool {
        self.subscribers.is_empty() && self.live.is_none()
    }

    fn follow(&mut self, fragment: &Fragment) {
        match fragment {
            Fragment::Reset { .. } => self.live = None,
            Fragment::Delta { message_id, text, .. } => match &mut self.live {
                Some((live, so_far)) if live == message_id => so_far.push_str(text),
                Some(_) | None => self.live = Some((message_id.clone(), text.clone())),
            },
        }
    }
}

impl Queue {
    fn push(&self, update: &Update) {
        let mut waiting = lock(&self.waiting);
        if waiting.updates.len() >= MOST_WAITING {
            // What was missed can be read from the log; only the newest would have to be guessed.
            waiting.updates.clear();
            waiting.missed = true;
        }
        waiting.updates.push_back(update.clone());
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Stream for Subscription {
    type Item = Update;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Update>> {
        let mut waiting = lock(&self.queue.waiting);
        if std::mem::take(&mut waiting.missed) {
            return Poll::Ready(Some(Update::Missed));
        }
        match waiting.updates.pop_front() {
            Some(update) => Poll::Ready(Some(update)),
            None => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.leave(&self.key, &self.queue);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use cota_core::ids::{BotName, ConversationId, Owner};
    use futures_util::future::AbortHandle;

    use super::*;

    #[test]
    fn what_feeds_a_room_ends_with_its_last_follower() {
        let key = ConversationKey { bot: BotName::new("b").unwrap(), owner: Owner::public(), id: ConversationId::new("c").unwrap() };
        let hub = Arc::<Hub>::default();
        let feed = || AbortHandle::new_pair().0;
        let too_late = feed();
        hub.feed(&key, too_late.clone());
        assert!(too_late.is_aborted(), "nobody follows");
        let (first, second, fed) = (hub.subscribe(&key, false), hub.subscribe(&key, false), feed());
        hub.feed(&key, fed.clone());
        drop(first);
        assert!(!fed.is_aborted());
        drop(second);
        assert!(fed.is_aborted());
        let (_follower, last) = (hub.subscribe(&key, false), feed());
        hub.feed(&key, last.clone());
        drop(hub);
        assert!(last.is_aborted(), "the hub is gone");
    }
}
