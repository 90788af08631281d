//! Conversations as a function serves them: accepted and driven inside one invocation, read from the record where another drives.

mod outlet;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use futures_channel::mpsc::UnboundedSender;
use futures_util::future::{Either, select};
use tracing::Instrument as _;
use tracing::field::Empty;

use cota_core::bot::Bot;
use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{BotName, ConversationKey, MessageId, SenderId, Seq, Timestamp};
use cota_core::limits;
use cota_core::tracker::Tracker;
use cota_core::turn::Fragment;
use cota_driver::Signals;
use cota_driver::conversation::{DriveTerms, Driven, Driver};
use cota_driver::failpoint::failpoint;
use cota_driver::host::{Conversations, Hub, Once, OnceError, SendError, Sent, Subscription, Update, check_length};
use cota_driver::metrics::{Metrics, add};
use cota_driver::ports::{Bots, Clock, Doorbell as _, Effects, Spawn as _};
use cota_driver::store::{Acceptance, AfterAccept, ClaimOutcome, Claimed, Holder, NewMessage, Progress, Store, StoreError};
use cota_driver::task::{Relay, ServedTask, accept_terms};
use cota_driver::{BoardCache, TrackerCache};

use crate::connections::FanOut;
use crate::doorbell::Bells;
use crate::failure::Failure;
use crate::invocation::Present;
use crate::stops::Stops;
use crate::task::Engine;
use outlet::TurnOutlet;

/// How often the record is looked at for those who follow a conversation that another function drives, in milliseconds.
const FOLLOW_MS: u64 = 500;
/// Conversations kept in memory between their turns.
const CACHED_CONVERSATIONS: usize = 200;

/// What a host runs on.
pub(crate) struct Ports {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) effects: Arc<dyn Effects>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bots: Arc<dyn Bots>,
    pub(crate) holder: Holder,
    pub(crate) bells: Arc<Bells>,
    pub(crate) present: Arc<Present>,
    /// Where there is a WebSocket API.
    pub(crate) fan_out: Option<FanOut>,
    /// Where there is a state machine for tasks.
    pub(crate) engine: Option<Engine>,
    pub(crate) stops: Stops,
    pub(crate) role: Role,
}

/// What a function does with conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It drives what it accepts, one turn an invocation.
    Answers,
    /// It accepts, and rings for somebody who drives.
    Accepts,
    /// It drives until nothing waits or its time is up.
    Drives,
}

/// Conversations served by one environment of a function.
pub(crate) struct FunctionHost {
    driver: Driver,
    bells: Arc<Bells>,
    present: Arc<Present>,
    fan_out: Option<FanOut>,
    engine: Option<Engine>,
    stops: Stops,
    role: Role,
    hub: Arc<Hub>,
    /// The conversations that are being driven here.
    running: Mutex<HashMap<ConversationKey, Arc<Signals>>>,
    /// The conversations that are followed here.
    followed: Mutex<HashSet<ConversationKey>>,
    metrics: Metrics,
    this: Weak<FunctionHost>,
}

impl FunctionHost {
    pub(crate) fn new(ports: Ports) -> Arc<Self> {
        Arc::new_cyclic(|this| {
            let driver = Driver {
                store: ports.store,
                effects: ports.effects,
                clock: ports.clock,
                doorbell: Arc::clone(&ports.bells) as _,
                bots: ports.bots,
                holder: ports.holder,
                cache: TrackerCache::new(CACHED_CONVERSATIONS),
                // A task's next state is seldom another invocation of the same environment.
                boards: BoardCache::new(0),
            };
            Self {
                driver,
                bells: ports.bells,
                present: ports.present,
                fan_out: ports.fan_out,
                engine: ports.engine,
                stops: ports.stops,
                role: ports.role,
                hub: Arc::default(),
                running: Mutex::default(),
                followed: Mutex::default(),
                metrics: Metrics::default(),
                this: Weak::clone(this),
            }
        })
    }

    /// Answers a doorbell: takes the claim if it is to be had, and drives until nothing waits or the invocation's time is up.
    ///
    /// # Errors
    /// If the store cannot be asked; the doorbell is to be heard again then.
    pub(crate) async fn hear(&self, key: &ConversationKey) -> Result<(), StoreError> {
        failpoint("before-claim");
        if self.driver.bots.task(&key.bot).is_some() {
            return self.drive_task(key).await;
        }
        match self.driver.store.claim(key, &self.driver.holder, self.driver.clock.now()).await? {
            ClaimOutcome::Taken(claimed) => {
                if claimed.claim.takeovers > 0 {
                    self.bells.watch_takeover(key, claimed.claim.lease_until).await;
                }
                failpoint("after-claim");
                self.drive(key, claimed, None).await;
            }
            ClaimOutcome::Parked { until } => self.bells.ring(key, until),
            // Whoever finished may have died before it told the room.
            ClaimOutcome::Idle => {
                if let Some(fan_out) = &self.fan_out {
                    fan_out.catch_up(key).await?;
                }
            }
            // Whoever holds it may die before its own watchdog is set, and this may have been the message's.
            ClaimOutcome::Held { until } => self.bells.watch(key, until),
        }
        Ok(())
    }

    /// Where a conversation's record ends, and whether a message waits for its answer.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub(crate) async fn stands(&self, key: &ConversationKey) -> Result<(Seq, bool), StoreError> {
        let loaded = self.driver.store.load(key).await?;
        Ok(loaded.map_or((Seq::default(), false), |loaded| (loaded.tracker.head, !loaded.inbox.is_empty())))
    }

    /// The task that a key is of.
    ///
    /// # Errors
    /// If it is not served here.
    pub(crate) fn served(&self, key: &ConversationKey) -> Result<Arc<ServedTask>, Failure> {
        self.driver.bots.task(&key.bot).ok_or_else(|| Failure::UnknownTask(key.bot.clone()))
    }

    /// A task whose agents have their conversations here.
    pub(crate) fn relay<'h>(&'h self, served: &'h ServedTask, key: &'h ConversationKey) -> Relay<'h> {
        Relay::new(&self.driver, self, served, key)
    }

    /// The state machine of tasks.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Has the state machine go on with a task.
    async fn drive_task(&self, key: &ConversationKey) -> Result<(), StoreError> {
        let engine = self.engine.as_ref().ok_or_else(|| StoreError::Unavailable("there is no state machine for tasks".to_owned()))?;
        engine.drive(key).await.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Accepts a message on the terms of whoever it is for.
    async fn accept(&self, key: &ConversationKey, message: NewMessage) -> Result<Acceptance, SendError> {
        if self.driver.bots.task(&key.bot).is_some() {
            return Ok(self.driver.store.accept(key, message, &accept_terms(None)).await?);
        }
        let bot = self.driver.bots.current(&key.bot).ok_or(SendError::UnknownBot)?;
        Ok(self.driver.accept(&bot, key, message, self.role == Role::Answers).await?)
    }

    /// Wakes whoever drives a conversation of which this invocation does not.
    async fn ring(&self, key: &ConversationKey) -> Result<(), StoreError> {
        if self.driver.bots.task(&key.bot).is_some() {
            return self.drive_task(key).await;
        }
        self.bells.ring(key, self.driver.clock.now());
        Ok(())
    }

    /// Drives a conversation; what is logged of it says of which one, of which run, and in which invocation.
    async fn drive(&self, key: &ConversationKey, claimed: Claimed, accepted: Option<InboxMessage>) {
        let request = self.present.request();
        let span = tracing::info_span!("turn", request, bot = %key.bot, conversation = %key.id, run = Empty);
        self.drive_unnamed(key, claimed, accepted).instrument(span).await;
    }

    async fn drive_unnamed(&self, key: &ConversationKey, claimed: Claimed, accepted: Option<InboxMessage>) {
        let signals = Arc::new(Signals::default());
        lock(&self.running).insert(key.clone(), Arc::clone(&signals));
        add(&self.metrics.running, 1);
        let delivery = match &self.fan_out {
            Some(fan_out) => Some(fan_out.begin(key, accepted.clone(), self.hub.streams(key)).await),
            None => None,
        };
        let outlet = TurnOutlet { host: self, delivery };
        let terms = DriveTerms { go_on: self.role == Role::Drives, invocation: Some(self.present.terms()), effects_left: None };
        let driving = self.driver.drive(key, claimed, accepted, &outlet, &signals, terms);
        let driven = if self.driver.bots.is_agent(&key.bot) {
            match select(pin!(driving), pin!(self.stops.pass_on(key, &signals))).await {
                Either::Left((driven, _)) => driven,
                Either::Right((never, _)) => match never {},
            }
        } else {
            driving.await
        };
        drop(outlet);
        lock(&self.running).remove(key);
        self.metrics.running.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        match driven {
            Driven::Idle => {}
            Driven::Ring => self.bells.ring(key, self.driver.clock.now()),
            // What somebody else writes is not heard of here: who follows the conversation reads it from the log.
            Driven::Left => self.hub.publish(key, &Update::Missed),
        }
    }

    fn start_driving(&self, key: &ConversationKey, claimed: Claimed, accepted: InboxMessage) {
        let Some(host) = self.this.upgrade() else { return };
        let key = key.clone();
        self.present.spawn(Box::pin(async move { host.drive(&key, claimed, Some(accepted)).await }));
    }

    /// Tells those who follow a conversation here to look at the record now and then, as long as anybody does.
    fn look_now_and_then(&self, key: &ConversationKey) {
        let Some(host) = self.this.upgrade() else { return };
        if !lock(&self.followed).insert(key.clone()) {
            return;
        }
        let key = key.clone();
        // No invocation waits for it: it ends when the last follower does.
        tokio::spawn(async move {
            let clock = &host.driver.clock;
            loop {
                clock.sleep_until(clock.now().plus_ms(FOLLOW_MS)).await;
                let mut followed = lock(&host.followed);
                if !host.hub.is_followed(&key) {
                    followed.remove(&key);
                    return;
                }
                drop(followed);
                if !lock(&host.running).contains_key(&key) {
                    host.hub.publish(&key, &Update::Missed);
                }
            }
        });
    }

    async fn accepted(&self, key: &ConversationKey, message: InboxMessage, then: AfterAccept) -> Result<(), StoreError> {
        add(&self.metrics.accepted, 1);
        self.hub.publish(key, &Update::Accepted(Arc::new(message.clone())));
        match then {
            AfterAccept::Drive(claimed) => {
                self.start_driving(key, claimed, message);
                Ok(())
            }
            AfterAccept::Wait | AfterAccept::Ring => {
                // The room sees a message before its answer: whoever answers it is woken after this.
                if let Some(fan_out) = &self.fan_out {
                    fan_out.accepted(key, &message).await;
                }
                if let Some(signals) = lock(&self.running).get(key) {
                    signals.nudge(message.position);
                }
                failpoint("before-ring");
                self.ring(key).await
            }
        }
    }
}

#[async_trait]
impl Conversations for FunctionHost {
    async fn send(&self, key: &ConversationKey, message: NewMessage) -> Result<Sent, SendError> {
        check_length(&message)?;
        if self.driver.bots.current(&key.bot).is_none() && self.driver.bots.task(&key.bot).is_none() {
            return Err(SendError::UnknownBot);
        }
        let lease_until = self.driver.clock.now().plus_ms(limits::LEASE_MS);
        // Before the message is there: whoever dies after this leaves nothing lying.
        self.bells.watch_first(key, lease_until).await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        failpoint("before-accept");
        let acceptance = self.accept(key, message.clone()).await?;
        failpoint("after-accept");
        let refused = |error| {
            add(&self.metrics.refused, 1);
            Err(error)
        };
        match acceptance {
            Acceptance::Accepted { position, then } => {
                // It is accepted whatever comes now: where nobody can be woken, the watchdog is.
                if let Err(error) = self.accepted(key, message.at_position(position), then).await {
                    tracing::error!(%error, "a task goes on only when its watchdog is heard");
                }
                Ok(Sent::Accepted(position))
            }
            Acceptance::Repeated(progress) => {
                if progress == Progress::Pending {
                    self.ring(key).await?;
                }
                Ok(Sent::Repeated(progress))
            }
            Acceptance::IdReused => refused(SendError::IdReused),
            Acceptance::Busy => refused(SendError::Busy),
            Acceptance::QueueFull => refused(SendError::QueueFull),
        }
    }

    fn subscribe(&self, key: &ConversationKey, streams: bool) -> Subscription {
        let subscription = self.hub.subscribe(key, streams);
        self.look_now_and_then(key);
        subscription
    }

    fn cancel(&self, key: &ConversationKey, message: &MessageId) {
        if let Some(signals) = lock(&self.running).get(key) {
            return signals.cancel(message);
        }
        let Some(host) = self.this.upgrade() else { return };
        let (key, message) = (key.clone(), message.clone());
        self.present.spawn(Box::pin(async move {
            if let Err(error) = host.stops.ask(&key, &message).await {
                tracing::warn!(%error, "a turn of a task's agent could not be stopped; it comes to its own end");
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
        self.hub.publish(key, &Update::Forgotten);
        if let Some(fan_out) = &self.fan_out {
            fan_out.forgotten(key).await;
        }
        Ok(())
    }

    async fn answer_once(&self, once: Once, fragments: Option<UnboundedSender<Fragment>>) -> Result<Vec<Event>, OnceError> {
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
