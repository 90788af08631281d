//! The host that serves conversations from one process: a laptop, a container, an object.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use futures_channel::mpsc::UnboundedSender;

use cota_core::bot::Bot;
use cota_core::event::{Event, EventBody, InboxMessage, TurnEnd};
use cota_core::ids::{BotName, ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::limits;
use cota_core::task::{Message, SENDER, outcome_of};
use cota_core::tracker::Tracker;
use cota_core::turn::{Commit, Fragment};

use super::entrance::Entrance;
use super::hub::Hub;
use super::once::Unkept;
use super::{Conversations, Once, OnceError, SendError, Sent, Subscription, Update, check_length};
use crate::cache::{BoardCache, TrackerCache};
use crate::conversation::{DriveTerms, Driven, Driver, Outlet};
use crate::metrics::{Metrics, add};
use crate::ports::{Bots, Clock, Doorbell, Effects, Spawn};
use crate::signals::Signals;
use crate::store::{Acceptance, AfterAccept, ClaimOutcome, Claimed, Holder, NewMessage, Progress, Store, StoreError};
use crate::task::{Asking, Crew, ServedTask, WithTasks, accept_terms};

/// How often the host looks for work that nobody alive drives, in milliseconds.
const SWEEP_MS: u64 = 5_000;
/// How often the host looks whether another process has answered, in milliseconds.
const FOLLOW_MS: u64 = 200;
/// Conversations kept in memory between their turns.
const CACHED_CONVERSATIONS: usize = 2_000;
/// Tasks kept in memory while they are parked.
const CACHED_TASKS: usize = 50;

/// What a host runs on.
pub struct Ports {
    /// Where conversations are kept.
    pub store: Arc<dyn Store>,
    /// What turns ask for.
    pub effects: Arc<dyn Effects>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The bots.
    pub bots: Arc<dyn Bots>,
    /// Where turns run.
    pub spawn: Arc<dyn Spawn>,
    /// The name of this process.
    pub holder: Holder,
}

/// Conversations served from one process.
pub struct Host {
    driver: Driver,
    spawn: Arc<dyn Spawn>,
    /// Where tasks and their agents are, if not here: each in a process of its own, and so they tell each other by messages.
    elsewhere: Option<Arc<dyn Conversations>>,
    hub: Arc<Hub>,
    entrance: Entrance,
    /// The conversations that are being driven here.
    running: Mutex<HashMap<ConversationKey, Arc<Signals>>>,
    /// The turns that run here in conversations that nobody keeps.
    unkept: Unkept,
    metrics: Metrics,
    stopping: AtomicBool,
    this: Weak<Host>,
}

/// Rings inside the process. Watchdogs are left to the sweep, which also sees the conversations of processes that died.
struct InProcess {
    host: Weak<Host>,
    spawn: Arc<dyn Spawn>,
    clock: Arc<dyn Clock>,
}

impl Doorbell for InProcess {
    fn ring(&self, key: &ConversationKey, at: Timestamp) {
        let (host, clock, key) = (self.host.clone(), Arc::clone(&self.clock), key.clone());
        self.spawn.spawn(Box::pin(async move {
            clock.sleep_until(at).await;
            if let Some(host) = host.upgrade() {
                host.hear(&key).await;
            }
        }));
    }

    fn watch(&self, _key: &ConversationKey, _lease_until: Timestamp) {}
}

impl Host {
    /// A host that drives what it accepts. It takes up what others left unfinished once [`Host::watch`] runs.
    #[must_use]
    pub fn new(ports: Ports) -> Arc<Self> {
        let (spawn, clock) = (Arc::clone(&ports.spawn), Arc::clone(&ports.clock));
        Self::with_doorbell(ports, None, |host| Arc::new(InProcess { host, spawn, clock }))
    }

    /// A host whose doorbell is the platform's: whoever it wakes calls [`Host::hear`]. Tasks and their agents have their
    /// conversations in `elsewhere`, each in a host of its own that no task holds while its agents work, or all here.
    #[must_use]
    pub fn with_doorbell(
        ports: Ports,
        elsewhere: Option<Arc<dyn Conversations>>,
        doorbell: impl FnOnce(Weak<Self>) -> Arc<dyn Doorbell>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| {
            let here: Weak<dyn Conversations> = Weak::<Self>::clone(this);
            let tasks = elsewhere.as_ref().map_or(here, Arc::downgrade);
            let driver = Driver {
                store: ports.store,
                effects: Arc::new(WithTasks::over(ports.effects, tasks)),
                clock: ports.clock,
                doorbell: doorbell(Weak::clone(this)),
                bots: ports.bots,
                holder: ports.holder,
                cache: TrackerCache::new(CACHED_CONVERSATIONS),
                boards: BoardCache::new(CACHED_TASKS),
            };
            Self {
                driver,
                spawn: ports.spawn,
                elsewhere,
                hub: Arc::default(),
                entrance: Entrance::default(),
                running: Mutex::default(),
                unkept: Unkept::default(),
                metrics: Metrics::default(),
                stopping: AtomicBool::new(false),
                this: Weak::clone(this),
            }
        })
    }

    /// Takes up unfinished work now and then, until the host stops: at once what a dead process left, else when its lease ends.
    pub async fn watch(&self) {
        while !self.stopping.load(Ordering::Acquire) {
            match self.driver.store.unfinished(self.driver.clock.now()).await {
                Ok(unfinished) => {
                    let now = self.driver.clock.now();
                    for (key, _) in unfinished.iter().filter(|(_, due)| *due <= now) {
                        self.hear(key).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "unfinished conversations could not be looked for"),
            }
            let clock = &self.driver.clock;
            clock.sleep_until(clock.now().plus_ms(SWEEP_MS)).await;
        }
    }

    /// Refuses new messages and waits until the running turns have ended. Waiting messages stay in the inbox for the next start.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let clock = &self.driver.clock;
        let give_up = clock.now().plus_ms(limits::TURN_MS);
        while !(lock(&self.running).is_empty() && self.unkept.is_none()) && clock.now() < give_up {
            clock.sleep_until(clock.now().plus_ms(20)).await;
        }
    }

    /// Answers a doorbell: takes the claim if it is to be had.
    pub async fn hear(&self, key: &ConversationKey) {
        if lock(&self.running).contains_key(key) {
            return;
        }
        if self.stopping.load(Ordering::Acquire) {
            return;
        }
        let driver = &self.driver;
        match driver.store.claim(key, &driver.holder, driver.clock.now()).await {
            Ok(ClaimOutcome::Taken(claimed)) => self.start_driving(key, claimed, None),
            Ok(ClaimOutcome::Parked { until }) => driver.doorbell.ring(key, until),
            Ok(ClaimOutcome::Idle | ClaimOutcome::Held { .. }) => {}
            Err(error) => tracing::warn!(%error, "a conversation could not be claimed"),
        }
    }

    /// Looks now and then whether another process has answered a message, and tells those who follow the conversation here.
    fn follow(&self, key: &ConversationKey, message: &InboxMessage) {
        let Some(host) = self.this.upgrade() else { return };
        let (key, sender, message_id) = (key.clone(), message.sender.clone(), message.message_id.clone());
        let give_up = message.at.plus_ms(limits::TURN_MS);
        self.spawn.spawn(Box::pin(async move {
            let clock = &host.driver.clock;
            while clock.now() < give_up {
                clock.sleep_until(clock.now().plus_ms(FOLLOW_MS)).await;
                if let Ok(Some(Progress::Answered { .. }) | None) = host.progress(&key, &sender, &message_id).await {
                    break;
                }
            }
            host.hub.publish(&key, &Update::Missed);
        }));
    }

    /// Where the conversations of tasks and their agents are.
    fn of_tasks(&self) -> &dyn Conversations {
        self.elsewhere.as_deref().unwrap_or(self)
    }

    /// Accepts a message under the rules of whoever it is for.
    async fn accept(&self, key: &ConversationKey, message: NewMessage) -> Result<Acceptance, SendError> {
        let driver = &self.driver;
        if driver.bots.task(&key.bot).is_some() {
            return Ok(driver.store.accept(key, message, &accept_terms(Some(driver.holder.clone()))).await?);
        }
        let bot = driver.bots.current(&key.bot).ok_or(SendError::UnknownBot)?;
        Ok(driver.accept(&bot, key, message, true).await?)
    }

    fn start_driving(&self, key: &ConversationKey, claimed: Claimed, accepted: Option<InboxMessage>) {
        let Some(host) = self.this.upgrade() else { return };
        let signals = Arc::new(Signals::default());
        lock(&self.running).insert(key.clone(), Arc::clone(&signals));
        add(&self.metrics.running, 1);
        let key = key.clone();
        self.spawn.spawn(Box::pin(async move {
            let ended = Running { host: &host, key: &key, signals: &signals };
            let effects_left = host.driver.doorbell.most_effects();
            let terms = DriveTerms { go_on: !host.stopping.load(Ordering::Acquire), invocation: None, effects_left };
            let driven = match host.driver.bots.task(&key.bot) {
                Some(served) => {
                    let (driver, outlet) = (&host.driver, host.as_ref());
                    let asking = if host.elsewhere.is_some() { Asking::ByMessage } else { Asking::Here };
                    let crew = Crew { driver, conversations: host.of_tasks(), served: &served, key: &key, outlet, signals: &signals };
                    crew.drive(claimed, terms.go_on, asking).await
                }
                None => host.driver.drive(&key, claimed, accepted, host.as_ref(), &signals, terms).await,
            };
            drop(ended);
            match driven {
                Driven::Idle => {}
                Driven::Ring => host.hear(&key).await,
                // What somebody else writes is not heard of here: who follows the conversation reads it from the log.
                Driven::Left => host.hub.publish(&key, &Update::Missed),
            }
        }));
    }
}

/// Takes a conversation off the list of the running ones, also where its turn panicked.
struct Running<'h> {
    host: &'h Host,
    key: &'h ConversationKey,
    signals: &'h Arc<Signals>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = lock(&self.host.running);
        // The next message may have been accepted, and be driven, before this end is noticed.
        if running.get(self.key).is_some_and(|signals| Arc::ptr_eq(signals, self.signals)) {
            running.remove(self.key);
        }
        drop(running);
        self.host.metrics.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Outlet for Host {
    fn emit(&self, key: &ConversationKey, fragment: Fragment) {
        self.hub.publish(key, &Update::Fragment(Arc::new(fragment)));
    }

    fn durable(&self, key: &ConversationKey, commit: &Commit, _head: Seq) {
        for event in commit.events.iter() {
            match &event.body {
                EventBody::TurnEnd(end) => self.metrics.turn_ended(end),
                EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => {}
            }
        }
        if !commit.events.is_empty() {
            self.hub.publish(key, &Update::Durable(Arc::clone(&commit.events)));
        }
    }

    fn answered(&self, asker: &ConversationKey, message_id: &MessageId, end: &TurnEnd) {
        let (Some(host), Ok(sender)) = (self.this.upgrade(), SenderId::new(SENDER)) else { return };
        let (asker, message_id) = (asker.clone(), message_id.clone());
        let (said, spent) = outcome_of(end);
        self.spawn.spawn(Box::pin(async move {
            let message = NewMessage { sender, message_id, at: host.now(), content: Message::Outcome { said, spent }.into_content() };
            if let Err(error) = host.of_tasks().send(&asker, message).await {
                tracing::warn!(%error, "a task could not be told of an answer; it looks for it later");
            }
        }));
    }

    fn streams(&self, key: &ConversationKey) -> bool {
        self.hub.streams(key)
    }
}

#[async_trait]
impl Conversations for Host {
    async fn send(&self, key: &ConversationKey, message: NewMessage) -> Result<Sent, SendError> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(SendError::Stopping);
        }
        check_length(&message)?;
        let refused = |error| {
            add(&self.metrics.refused, 1);
            Err(error)
        };
        let _entered = self.entrance.enter(key).await;
        match self.accept(key, message.clone()).await? {
            Acceptance::Accepted { position, then } => {
                add(&self.metrics.accepted, 1);
                let message = message.at_position(position);
                self.hub.publish(key, &Update::Accepted(Arc::new(message.clone())));
                match then {
                    AfterAccept::Drive(claimed) => self.start_driving(key, claimed, Some(message)),
                    AfterAccept::Wait => match lock(&self.running).get(key) {
                        Some(signals) => signals.nudge(position),
                        None => self.follow(key, &message),
                    },
                    AfterAccept::Ring => self.driver.doorbell.ring(key, self.driver.clock.now()),
                }
                Ok(Sent::Accepted(position))
            }
            Acceptance::Repeated(progress) => Ok(Sent::Repeated(progress)),
            Acceptance::IdReused => refused(SendError::IdReused),
            Acceptance::Busy => refused(SendError::Busy),
            Acceptance::QueueFull => refused(SendError::QueueFull),
        }
    }

    fn subscribe(&self, key: &ConversationKey, streams: bool) -> Subscription {
        self.hub.subscribe(key, streams)
    }

    fn cancel(&self, key: &ConversationKey, message: &MessageId) {
        if let Some(signals) = lock(&self.running).get(key) {
            return signals.cancel(message);
        }
        // A turn that an earlier process had begun is taken up to be stopped.
        let Some(host) = self.this.upgrade() else { return };
        let (key, message) = (key.clone(), message.clone());
        self.spawn.spawn(Box::pin(async move {
            host.hear(&key).await;
            if let Some(signals) = lock(&host.running).get(&key) {
                signals.cancel(&message);
            }
        }));
    }

    fn task(&self, name: &BotName) -> Option<Arc<ServedTask>> {
        self.driver.bots.task(name)
    }

    fn task_names(&self) -> Vec<BotName> {
        self.driver.bots.task_names()
    }

    async fn events(&self, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.driver.store.events(key, after, limit).await
    }

    async fn state(&self, key: &ConversationKey) -> Result<Option<Tracker>, StoreError> {
        Ok(self.driver.store.load(key).await?.map(|loaded| loaded.tracker))
    }

    async fn unanswered(&self, key: &ConversationKey) -> Result<usize, StoreError> {
        Ok(self.driver.store.load(key).await?.map_or(0, |loaded| loaded.inbox.len()))
    }

    async fn progress(&self, key: &ConversationKey, sender: &SenderId, message: &MessageId) -> Result<Option<Progress>, StoreError> {
        Ok(self.driver.store.recorded(key, sender, message).await?.map(|recorded| recorded.progress))
    }

    async fn forget(&self, key: &ConversationKey) -> Result<(), StoreError> {
        self.driver.store.delete(key).await?;
        self.driver.cache.forget(key);
        self.driver.boards.forget(key);
        self.hub.publish(key, &Update::Forgotten);
        Ok(())
    }

    async fn answer_once(&self, once: Once, fragments: Option<UnboundedSender<Fragment>>) -> Result<Vec<Event>, OnceError> {
        let _running = self.unkept.begin();
        if self.stopping.load(Ordering::Acquire) {
            return Err(SendError::Stopping.into());
        }
        once.answer(&self.driver, &self.metrics, fragments).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.driver.store.ready().await
    }

    fn bot(&self, name: Option<&BotName>) -> Option<Arc<Bot>> {
        match name {
            Some(name) => self.driver.bots.current(name),
            None => self.driver.bots.names().first().and_then(|name| self.driver.bots.current(name)),
        }
    }

    fn bot_names(&self) -> Vec<BotName> {
        self.driver.bots.names()
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn now(&self) -> Timestamp {
        self.driver.clock.now()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
