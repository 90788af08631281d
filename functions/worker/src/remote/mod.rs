//! Conversations that are elsewhere: each in the object that its key names.
//!
//! A request that sends a message and waits for the answer is one call: the subscription that a gateway takes before it sends is
//! not opened until it is known what else is asked of the conversation, and goes along with that.

mod lines;
mod object;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_channel::mpsc::UnboundedSender;
use futures_util::future::{AbortHandle, abortable};
use worker::send::SendFuture;
use worker::wasm_bindgen_futures::spawn_local;

use cota_core::bot::Bot;
use cota_core::event::Event;
use cota_core::ids::{BotName, ConversationKey, MessageId, Position, SenderId, Seq, Timestamp};
use cota_core::limits;
use cota_core::tracker::Tracker;
use cota_core::turn::Fragment;
use cota_driver::host::{Conversations, Host, Hub, Once, OnceError, SendError, Sent, Subscription, Update};
use cota_driver::metrics::Metrics;
use cota_driver::store::{NewMessage, Progress, StoreError};

use crate::wire::{Ask, Following, Line};
use lines::Lines;
pub(crate) use object::{Objects, post};

/// The conversations of a deployment, as one request reaches them.
pub(crate) struct RemoteConversations {
    objects: Objects,
    /// Answers what nobody keeps, and knows the bots.
    here: Arc<Host>,
    hub: Arc<Hub>,
    /// Subscriptions that are to be opened with the next call.
    unopened: Mutex<HashMap<ConversationKey, Following>>,
    /// Ends what reads the open ones.
    reading: Mutex<Vec<AbortHandle>>,
}

impl RemoteConversations {
    /// The conversations in these objects. `here` answers what is answered without one.
    pub(crate) fn new(objects: Objects, here: Arc<Host>) -> Self {
        Self { objects, here, hub: Arc::default(), unopened: Mutex::default(), reading: Mutex::default() }
    }

    /// Opens the subscription of a conversation, if there is one that is not open yet.
    async fn open(&self, key: &ConversationKey) -> Result<(), StoreError> {
        let following = lock(&self.unopened).remove(key);
        let Some(following) = following else { return Ok(()) };
        let opened = self.follow(key, following).await;
        if opened.is_err() {
            // The next call tries it again.
            lock(&self.unopened).entry(key.clone()).or_insert(following);
        }
        opened
    }

    async fn follow(&self, key: &ConversationKey, following: Following) -> Result<(), StoreError> {
        let mut lines = self.objects.lines(key, Ask::Follow(following)).await?;
        match lines.next().await? {
            Some(Line::Following) => {
                self.read(key, lines);
                Ok(())
            }
            Some(Line::Sent(_) | Line::News(_)) | None => Err(unexpected()),
        }
    }

    /// Passes what is new on to the subscribers, as long as there are lines.
    fn read(&self, key: &ConversationKey, mut lines: Lines) {
        let (hub, key) = (Arc::downgrade(&self.hub), key.clone());
        let (reading, abort) = abortable(async move {
            loop {
                let (update, is_over) = match lines.next().await {
                    Ok(Some(Line::News(news))) => (news.update(), false),
                    Ok(Some(Line::Sent(_) | Line::Following)) => (None, false),
                    Ok(None) | Err(_) => (Some(Update::Missed), true),
                };
                let Some(hub) = hub.upgrade() else { break };
                if let Some(update) = update {
                    hub.publish(&key, &update);
                }
                if is_over {
                    break;
                }
            }
        });
        lock(&self.reading).push(abort);
        spawn_local(async move {
            // Nobody waits for it.
            let _ = reading.await;
        });
    }

    async fn offer(&self, key: &ConversationKey, message: NewMessage) -> Result<Sent, SendError> {
        let follow = lock(&self.unopened).remove(key);
        let message = message.at_position(Position::default());
        let mut lines = self.objects.lines(key, Ask::Send { message, follow }).await?;
        match lines.next().await? {
            Some(Line::Sent(Ok(acknowledged))) => {
                if follow.is_some() {
                    self.read(key, lines);
                }
                Ok(acknowledged.into())
            }
            Some(Line::Sent(Err(refused))) => Err(refused.into()),
            Some(Line::Following | Line::News(_)) | None => Err(unexpected().into()),
        }
    }
}

impl Drop for RemoteConversations {
    fn drop(&mut self) {
        lock(&self.reading).drain(..).for_each(|reading| reading.abort());
    }
}

#[async_trait]
impl Conversations for RemoteConversations {
    async fn send(&self, key: &ConversationKey, message: NewMessage) -> Result<Sent, SendError> {
        // What can be refused here needs no object.
        self.bot(Some(&key.bot)).ok_or(SendError::UnknownBot)?;
        let bytes = message.content.text.len();
        if bytes > limits::MESSAGE_BYTES {
            return Err(SendError::TextTooLong { bytes });
        }
        SendFuture::new(self.offer(key, message)).await
    }

    fn subscribe(&self, key: &ConversationKey, streams: bool) -> Subscription {
        let mut unopened = lock(&self.unopened);
        let known = unopened.get(key).is_some_and(|following| following.streams);
        unopened.insert(key.clone(), Following { streams: streams || known });
        self.hub.subscribe(key, streams)
    }

    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        SendFuture::new(async {
            self.open(key).await?;
            self.objects.ask(key, Ask::Events { after, limit }).await
        })
        .await
    }

    async fn state(&self, key: &ConversationKey) -> Result<Option<Tracker>, StoreError> {
        SendFuture::new(async {
            self.open(key).await?;
            self.objects.ask(key, Ask::State).await
        })
        .await
    }

    async fn unanswered(&self, key: &ConversationKey) -> Result<usize, StoreError> {
        SendFuture::new(self.objects.ask(key, Ask::Unanswered)).await
    }

    async fn progress(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Progress>, StoreError> {
        let ask = Ask::Progress { sender: sender.clone(), message: message.clone() };
        SendFuture::new(async {
            self.open(key).await?;
            self.objects.ask(key, ask).await
        })
        .await
    }

    async fn forget(&self, key: &ConversationKey) -> Result<(), StoreError> {
        SendFuture::new(self.objects.ask(key, Ask::Forget)).await
    }

    async fn answer_once(&self, once: Once, fragments: Option<UnboundedSender<Fragment>>) -> Result<Vec<Event>, OnceError> {
        self.here.answer_once(once, fragments).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn bot(&self, name: Option<&BotName>) -> Option<Arc<Bot>> {
        self.here.bot(name)
    }

    fn bot_names(&self) -> Vec<BotName> {
        self.here.bot_names()
    }

    fn metrics(&self) -> &Metrics {
        self.here.metrics()
    }

    fn now(&self) -> Timestamp {
        self.here.now()
    }
}

fn unexpected() -> StoreError {
    StoreError::Corrupt("the conversation's object answered something else".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
