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
use futures_util::FutureExt as _;
use futures_util::future::abortable;
use worker::Env;
use worker::send::SendFuture;
use worker::wasm_bindgen_futures::spawn_local;

use cota_core::bot::Bot;
use cota_core::event::Event;
use cota_core::ids::{BotName, ConversationKey, MessageId, Position, SenderId, Seq, Timestamp};
use cota_core::limits;
use cota_core::tracker::Tracker;
use cota_core::turn::Fragment;
use cota_driver::host::{Conversations, Host, Hub, Once, OnceError, Ports, SendError, Sent, Subscription, Update};
use cota_driver::memory::MemoryStore;
use cota_driver::metrics::Metrics;
use cota_driver::store::{Holder, NewMessage, Progress, StoreError};
use cota_driver::task::ServedTask;

use crate::bots;
use crate::effects::effects;
use crate::platform::{PlatformClock, PlatformSpawn};
use crate::wire::{Ask, Following, Line};
use lines::Lines;
pub(crate) use object::Objects;

/// The conversations of a deployment, as one request reaches them.
pub(crate) struct RemoteConversations {
    objects: Objects,
    /// Answers what nobody keeps, and knows the bots.
    here: Arc<Host>,
    hub: Arc<Hub>,
    /// Subscriptions that are to be opened with the next call.
    unopened: Arc<Unopened>,
}

type Unopened = Mutex<HashMap<ConversationKey, Following>>;

impl RemoteConversations {
    /// The conversations of the deployment.
    ///
    /// # Errors
    /// When wrangler.toml does not bind their objects.
    pub(crate) fn of(env: &Env) -> worker::Result<Self> {
        let ports = Ports {
            store: Arc::new(MemoryStore::new()),
            effects: effects(env)?,
            clock: Arc::new(PlatformClock),
            bots: bots::known(env) as _,
            spawn: Arc::new(PlatformSpawn),
            // It keeps nothing that somebody could hold.
            holder: Holder(String::new()),
        };
        Ok(Self { objects: Objects::of(env)?, here: Host::new(ports), hub: Arc::default(), unopened: Arc::default() })
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
                self.read(key, following, lines);
                Ok(())
            }
            Some(Line::Sent(_) | Line::News(_)) | None => Err(unexpected()),
        }
    }

    /// Passes what is new on to the subscribers, as long as there are any. Where the lines end before, the next call opens
    /// them again.
    fn read(&self, key: &ConversationKey, following: Following, mut lines: Lines) {
        let (hub, unopened, of) = (Arc::downgrade(&self.hub), Arc::clone(&self.unopened), key.clone());
        let (reading, abort) = abortable(async move {
            loop {
                let update = match lines.next().await {
                    Ok(Some(Line::News(news))) => news.update(),
                    Ok(Some(Line::Sent(_) | Line::Following)) => None,
                    Ok(None) | Err(_) => break,
                };
                let Some(hub) = hub.upgrade() else { return };
                if let Some(update) = update {
                    hub.publish(&of, &update);
                }
            }
            lock(&unopened).entry(of.clone()).or_insert(following);
            if let Some(hub) = hub.upgrade() {
                hub.publish(&of, &Update::Missed);
            }
        });
        self.hub.feed(key, abort);
        let mut reading = Box::pin(reading);
        // An answer that came as a whole is passed on at once, before anybody waits for it.
        if reading.as_mut().now_or_never().is_some() {
            return;
        }
        spawn_local(async move {
            // Nobody waits for it.
            let _ = reading.await;
        });
    }

    async fn offer(&self, key: &ConversationKey, message: NewMessage) -> Result<Sent, SendError> {
        let follow = lock(&self.unopened).remove(key);
        let message = Box::new(message.at_position(Position::default()));
        let ask = || self.objects.lines(key, Ask::Send { message: message.clone(), follow });
        let mut lines = match ask().await {
            // The message may be durable already: only the same again tells, and is never taken twice.
            Err(StoreError::Unavailable(_)) => ask().await?,
            answered => answered?,
        };
        match lines.next().await? {
            Some(Line::Sent(Ok(acknowledged))) => {
                if let Some(following) = follow {
                    self.read(key, following, lines);
                }
                Ok(acknowledged.into())
            }
            Some(Line::Sent(Err(refused))) => Err(refused.into()),
            Some(Line::Following | Line::News(_)) | None => Err(unexpected().into()),
        }
    }
}

#[async_trait]
impl Conversations for RemoteConversations {
    async fn send(&self, key: &ConversationKey, message: NewMessage) -> Result<Sent, SendError> {
        // What can be refused here needs no object.
        if self.bot(Some(&key.bot)).is_none() && self.task(&key.bot).is_none() {
            return Err(SendError::UnknownBot);
        }
        let bytes = message.content.text.len();
        if bytes > limits::MESSAGE_BYTES {
            return Err(SendError::TextTooLong { bytes });
        }
        #[cfg(feature = "tried")]
        if crate::tried::is_lost(&message) {
            return Err(StoreError::Unavailable("the message is lost".to_owned()).into());
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

    fn cancel(&self, key: &ConversationKey, message: &MessageId) {
        let (objects, key, message) = (self.objects.clone(), key.clone(), message.clone());
        spawn_local(async move {
            // A turn that cannot be stopped now comes to its own end.
            let _ = objects.ask::<()>(&key, Ask::Cancel { message }).await;
        });
    }

    fn task(&self, name: &BotName) -> Option<Arc<ServedTask>> {
        self.here.task(name)
    }

    fn task_names(&self) -> Vec<BotName> {
        self.here.task_names()
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
