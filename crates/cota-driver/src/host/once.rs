//! One answer in a conversation that nobody keeps: the same machine and the same effects over a store that is thrown away.
//!
//! Such a turn may be cut off at any time and asked for again, so an executor that may run only once is not run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_channel::mpsc::{self, UnboundedSender};
use futures_util::future::{self, Either};
use futures_util::{StreamExt as _, pin_mut};

use cota_core::bot::Safety;
use cota_core::event::{Event, EventBody};
use cota_core::ids::{ConversationKey, Seq, Timestamp};
use cota_core::machine::EffectError;
use cota_core::turn::{Commit, Fragment, Outcome};

use super::{SendError, check_length};
use crate::cache::{BoardCache, TrackerCache};
use crate::conversation::{DriveTerms, Driven, Driver, Outlet};
use crate::memory::MemoryStore;
use crate::metrics::{Metrics, add};
use crate::ports::{Doorbell, Effects, Job, Pieces, Work};
use crate::signals::Signals;
use crate::store::{Acceptance, AfterAccept, NewMessage};

/// A message to a conversation that nobody keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Once {
    /// The bot, and a name for the conversation: executors see it, and the ids of replies come from it.
    pub key: ConversationKey,
    /// What was said and done before, in order and without a gap from the first place on.
    pub past: Vec<Event>,
    /// What is to be answered.
    pub message: NewMessage,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnceError {
    /// The message was not accepted.
    #[error(transparent)]
    Refused(#[from] SendError),
    /// The turn came to an executor that may run only once, and did not run it.
    #[error("the action {action} may run only once, which takes a conversation that is kept")]
    AtMostOnce {
        /// The action.
        action: String,
    },
    /// The turn broke off.
    #[error("the turn broke off")]
    BrokenOff,
}

impl Once {
    /// Plays the turn as `kept` would, over a store of its own, and yields its events. `fragments` takes the pieces of the reply.
    ///
    /// # Errors
    /// If there is no answer; nothing was done then that lasts.
    pub async fn answer(
        self,
        kept: &Driver,
        metrics: &Metrics,
        fragments: Option<UnboundedSender<Fragment>>,
    ) -> Result<Vec<Event>, OnceError> {
        let Self { key, past, message } = self;
        check_length(&message)?;
        let bot = kept.bots.current(&key.bot).ok_or(SendError::UnknownBot)?;
        let (refuse, mut refused) = mpsc::unbounded();
        let driver = Driver {
            store: Arc::new(MemoryStore::with_past(&key, past, kept.clock.now())),
            effects: Arc::new(Repeatable { effects: Arc::clone(&kept.effects), refuse }),
            clock: Arc::clone(&kept.clock),
            doorbell: Arc::new(NoDoorbell),
            bots: Arc::clone(&kept.bots),
            holder: kept.holder.clone(),
            cache: TrackerCache::new(0),
            boards: BoardCache::new(0),
        };
        let accepted = driver.accept(&bot, &key, message.clone(), true).await.map_err(SendError::Store)?;
        let Acceptance::Accepted { position, then: AfterAccept::Drive(claimed) } = accepted else { return Err(OnceError::BrokenOff) };
        add(&metrics.accepted, 1);
        let outlet = OneTurn { metrics, fragments, events: Mutex::default() };
        let signals = Signals::default();
        let drive = driver.drive(&key, claimed, Some(message.at_position(position)), &outlet, &signals, DriveTerms::default());
        pin_mut!(drive);
        match future::select(refused.next(), drive).await {
            Either::Left((Some(action), _)) => Err(OnceError::AtMostOnce { action }),
            Either::Left((None, _)) | Either::Right((Driven::Left, _)) => Err(OnceError::BrokenOff),
            Either::Right((Driven::Idle | Driven::Ring, _)) => Ok(outlet.take_events()),
        }
    }
}

/// How many turns run in conversations that nobody keeps.
#[derive(Default)]
pub(super) struct Unkept(AtomicUsize);

/// One of them, for as long as somebody waits for it.
pub(super) struct Running<'u>(&'u AtomicUsize);

impl Unkept {
    /// One more, until what is returned is dropped.
    pub(super) fn begin(&self) -> Running<'_> {
        self.0.fetch_add(1, Ordering::AcqRel);
        Running(&self.0)
    }

    /// Whether none runs.
    pub(super) fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Effects without those that may happen only once.
struct Repeatable {
    effects: Arc<dyn Effects>,
    /// Takes the name of an action that was not run.
    refuse: UnboundedSender<String>,
}

#[async_trait]
impl Effects for Repeatable {
    async fn perform(&self, job: Job, pieces: Pieces) -> Result<Outcome, EffectError> {
        match &job.work {
            Work::Executor { action, .. } if is_at_most_once(&job, action) => {
                // The receiver ends the turn.
                let _ = self.refuse.unbounded_send(action.clone());
                future::pending().await
            }
            Work::Executor { .. } | Work::Llm { .. } | Work::Plan { .. } => self.effects.perform(job, pieces).await,
        }
    }
}

fn is_at_most_once(job: &Job, action: &str) -> bool {
    let executor = job.bot.form(action).and_then(|form| form.executor.as_ref());
    executor.is_some_and(|executor| executor.safety == Safety::AtMostOnce)
}

/// Nobody is to be woken: who asked for the answer drives the turn, and when they are gone so is the conversation.
struct NoDoorbell;

impl Doorbell for NoDoorbell {
    fn ring(&self, _key: &ConversationKey, _at: Timestamp) {}

    fn watch(&self, _key: &ConversationKey, _lease_until: Timestamp) {}
}

/// Takes what the turn gives out.
struct OneTurn<'m> {
    metrics: &'m Metrics,
    fragments: Option<UnboundedSender<Fragment>>,
    events: Mutex<Vec<Event>>,
}

impl OneTurn<'_> {
    fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Outlet for OneTurn<'_> {
    fn emit(&self, _key: &ConversationKey, fragment: Fragment) {
        if let Some(fragments) = &self.fragments {
            // Whoever reads them may be gone already.
            let _ = fragments.unbounded_send(fragment);
        }
    }

    fn durable(&self, _key: &ConversationKey, commit: &Commit, _head: Seq) {
        for event in commit.events.iter() {
            match &event.body {
                EventBody::TurnEnd(end) => self.metrics.turn_ended(end),
                EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => {}
            }
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend(commit.events.iter().cloned());
    }

    fn streams(&self, _key: &ConversationKey) -> bool {
        self.fragments.is_some()
    }
}
