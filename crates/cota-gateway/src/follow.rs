//! Following a conversation from a place in its record on: everything durable once and in order, and what is provisional
//! between.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ConversationKey, MessageId, Seq};
use cota_core::turn::Fragment;
use cota_driver::host::{Conversations, Subscription, Update};
use cota_driver::ports::Clock;

use crate::gateway::Gateway;

/// Events read from the record at once.
pub(crate) const PAGE: usize = 256;
/// Until the record is tried again after it could not be read, in milliseconds.
const RETRY_MS: u64 = 500;

/// What is new to a follower.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A message was accepted.
    Accepted(Arc<InboxMessage>),
    /// A piece of a reply that is not committed yet.
    Fragment(Fragment),
    /// These events are durable: the ones after those that came before.
    Events(Arc<[Event]>),
    /// The conversation was forgotten. What follows is a new one of the same id.
    Forgotten,
}

/// Subscribes at once. [`Joining::after`] then says from where.
pub(crate) fn join(gateway: &Gateway, key: ConversationKey, streams: bool) -> Joining {
    let conversations = Arc::clone(gateway.conversations());
    let subscription = conversations.subscribe(&key, streams);
    Joining(Follower {
        conversations,
        clock: Arc::clone(gateway.clock()),
        key,
        streams,
        subscription,
        stashed: None,
        cursor: Seq::default(),
        behind: false,
        live: None,
    })
}

/// A subscription whose place in the record is not known yet.
pub(crate) struct Joining(Follower);

impl Joining {
    /// The news after `cursor`, in a conversation whose record has been read up to `head` since the subscription began. It ends
    /// never by itself.
    pub(crate) fn after(self, cursor: Seq, head: Seq) -> BoxStream<'static, News> {
        let follower = Follower { cursor, behind: cursor < head, ..self.0 };
        stream::unfold(follower, |mut follower| async move { Some((follower.next().await, follower)) }).boxed()
    }
}

struct Follower {
    conversations: Arc<dyn Conversations>,
    clock: Arc<dyn Clock>,
    key: ConversationKey,
    streams: bool,
    subscription: Subscription,
    /// An update that was taken too early.
    stashed: Option<Update>,
    /// The last event that was passed on.
    cursor: Seq,
    /// Whether the record may hold events after the cursor that no update will bring.
    behind: bool,
    /// The reply of which pieces were passed on.
    live: Option<MessageId>,
}

impl Follower {
    async fn next(&mut self) -> News {
        loop {
            if self.behind {
                if let Some(news) = self.catch_up().await {
                    return news;
                }
                continue;
            }
            let update = match self.stashed.take() {
                Some(update) => Some(update),
                None => self.subscription.next().await,
            };
            if let Some(news) = self.take(update.unwrap_or(Update::Missed)) {
                return news;
            }
        }
    }

    async fn catch_up(&mut self) -> Option<News> {
        match self.conversations.events(&self.key, self.cursor, PAGE).await {
            Ok(events) => {
                self.behind = events.len() >= PAGE;
                self.pass_on(events.into())
            }
            Err(error) => {
                tracing::warn!(%error, "a conversation could not be read for somebody who follows it");
                self.clock.sleep_until(self.clock.now().plus_ms(RETRY_MS)).await;
                None
            }
        }
    }

    fn take(&mut self, update: Update) -> Option<News> {
        match update {
            Update::Accepted(message) => Some(News::Accepted(message)),
            Update::Fragment(fragment) => Some(News::Fragment(self.fragment(&fragment))),
            Update::Durable(events) => {
                let follows = events.first().is_some_and(|first| first.seq <= self.cursor.next());
                if !follows {
                    self.behind = true;
                    return None;
                }
                self.live = None;
                self.pass_on(events)
            }
            Update::Missed => {
                // A new subscription begins with the whole of a running reply.
                self.subscription = self.conversations.subscribe(&self.key, self.streams);
                self.behind = true;
                self.live.take().map(|message_id| News::Fragment(Fragment::Reset { message_id }))
            }
            Update::Forgotten => {
                (self.cursor, self.live) = (Seq::default(), None);
                Some(News::Forgotten)
            }
        }
    }

    /// The events that are after the cursor, which moves past them.
    fn pass_on(&mut self, events: Arc<[Event]>) -> Option<News> {
        let known = events.iter().take_while(|event| event.seq <= self.cursor).count();
        self.cursor = self.cursor.max(events.last()?.seq);
        match known {
            0 => Some(News::Events(events)),
            _ if known == events.len() => None,
            _ => Some(News::Events(events.iter().skip(known).cloned().collect())),
        }
    }

    /// The fragment, joined with those that wait behind it where they continue it.
    fn fragment(&mut self, fragment: &Fragment) -> Fragment {
        let (message_id, offset, mut text) = match fragment {
            Fragment::Reset { message_id } => {
                self.live = None;
                return Fragment::Reset { message_id: message_id.clone() };
            }
            Fragment::Delta { message_id, offset, text } => (message_id, *offset, text.clone()),
        };
        self.live = Some(message_id.clone());
        let mut end = u64::from(offset) + text.chars().count() as u64;
        while let Some(Some(update)) = self.subscription.next().now_or_never() {
            let Some(more) = continuation(&update, message_id, end) else {
                self.stashed = Some(update);
                break;
            };
            end += more.chars().count() as u64;
            text.push_str(more);
        }
        Fragment::Delta { message_id: message_id.clone(), offset, text }
    }
}

/// The text of an update that goes on where a piece of the same reply ended.
fn continuation<'u>(update: &'u Update, reply: &MessageId, end: u64) -> Option<&'u str> {
    let Update::Fragment(fragment) = update else { return None };
    match fragment.as_ref() {
        Fragment::Delta { message_id, offset, text } if message_id == reply && u64::from(*offset) == end => Some(text),
        Fragment::Delta { .. } | Fragment::Reset { .. } => None,
    }
}
