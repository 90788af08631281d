//! Driving a task in pieces: an engine elsewhere has the agents asked, and comes back to look what came of it.
//!
//! Nothing is held between two pieces. What runs is in the log, what an agent answered is in its own record, so a piece that is
//! lost, or done twice, changes nothing.

use std::pin::pin;

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};

use cota_core::ids::{ConversationKey, Seq, Timestamp};
use cota_core::limits;
use cota_core::machine::{EffectError, EffectId, FailureKind, ProtocolError};
use cota_core::task::{Message, RunReport};
use cota_core::turn::{Commit, Fragment};

use super::ask::{Asked, Question, ask};
use super::play::{Asking, Play, Played};
use super::{Crew, ServedTask, board};
use crate::conversation::{Driver, Outlet};
use crate::host::Conversations;
use crate::signals::Signals;
use crate::store::{ClaimOutcome, Next, StoreError};

/// How often somebody who waits for an agent looks whether the task is to stop, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// A task, for an engine that keeps nothing between two calls.
pub struct Relay<'d> {
    driver: &'d Driver,
    conversations: &'d dyn Conversations,
    served: &'d ServedTask,
    key: &'d ConversationKey,
    signals: Signals,
}

/// How far a task has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// These steps are to be put to their agents.
    Ask(Vec<Due>),
    /// Nothing goes on before a message comes, or this time.
    Wait {
        /// When it goes on by itself.
        until: Timestamp,
    },
    /// Nothing is to be done.
    Over,
}

/// A step that is to be put to its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Its name.
    pub step: String,
    /// The effect that performs it: another try has another.
    pub effect: u32,
}

/// What came of asking, beside what is in the agent's record.
#[derive(Clone, Debug, PartialEq)]
pub enum Came {
    /// The record has the answer, or the step is no longer under way.
    Recorded,
    /// There is no answer yet: ask again.
    Pending,
    /// There will be none.
    Failed(EffectError),
}

/// Why a step is no longer waited for.
enum Ended {
    /// Whoever waits has no more time; the agent goes on.
    OutOfTime,
    /// The step's own time is up.
    Late,
    /// The task is to stop.
    Stopped,
}

/// Why a task was not driven on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Somebody else drives it.
    #[error("another process drives the task")]
    Held,
    /// The store cannot serve.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Machine and driver disagree: a defect.
    #[error(transparent)]
    Broken(#[from] ProtocolError),
}

impl<'d> Relay<'d> {
    /// The task with this key.
    #[must_use]
    pub fn new(driver: &'d Driver, conversations: &'d dyn Conversations, served: &'d ServedTask, key: &'d ConversationKey) -> Self {
        Self { driver, conversations, served, key, signals: Signals::default() }
    }

    /// Takes what has come, and goes on as far as nobody need be asked. `failed` are steps that were asked in vain.
    ///
    /// # Errors
    /// When it was not driven on; the same again may work.
    pub async fn advance(&self, mut failed: Vec<(Due, EffectError)>) -> Result<Stage, RelayError> {
        loop {
            let now = self.driver.clock.now();
            let claimed = match self.driver.store.claim(self.key, &self.driver.holder, now).await? {
                ClaimOutcome::Taken(claimed) => claimed,
                ClaimOutcome::Idle => return Ok(Stage::Over),
                ClaimOutcome::Parked { until } => return Ok(Stage::Wait { until }),
                ClaimOutcome::Held { .. } => return Err(RelayError::Held),
            };
            let crew = self.crew();
            let Some(run) = crew.prepare(&claimed.claim, None).await? else { return Ok(Stage::Over) };
            let asking = Asking::Elsewhere { failed: std::mem::take(&mut failed) };
            let play = Play { crew, claim: claimed.claim, run, go_on: false, asking };
            if let Some(stage) = stage_after(play.run().await?)? {
                return Ok(stage);
            }
        }
    }

    /// Puts a step to its agent and waits for the answer, until `until` at most.
    ///
    /// # Errors
    /// If the task cannot be read.
    pub async fn ask(&self, due: &Due, until: Timestamp) -> Result<Came, StoreError> {
        let board = board(self.conversations, self.key).await?;
        let Some(step) = board.step_of(EffectId(due.effect)) else { return Ok(Came::Recorded) };
        let Some(message_id) = board.message_of(step) else { return Ok(Came::Recorded) };
        let key = self.crew().agent(&step.planned.source.agent);
        let begun = step.begun.unwrap_or(self.driver.clock.now());
        let late = begun.plus_ms(step.planned.source.timeout_ms.unwrap_or(limits::TASK_STEP_MS));
        let ended = if self.is_to_stop().await {
            Ended::Stopped
        } else {
            let (query, speaker) = (step.query.clone(), step.speaker.clone());
            let question = Question { key: key.clone(), message_id: message_id.clone(), query, speaker };
            match select(pin!(ask(self.crew(), question)), pin!(self.ended(until, late))).await {
                Either::Left((Ok(_), _)) => return Ok(Came::Recorded),
                Either::Left((Err(Asked::Failed(error)), _)) => return Ok(Came::Failed(error)),
                Either::Left((Err(Asked::Unanswered | Asked::Stopping), _)) => return Ok(Came::Pending),
                Either::Right((ended, _)) => ended,
            }
        };
        let came = match ended {
            Ended::OutOfTime => return Ok(Came::Pending),
            Ended::Stopped => Came::Pending,
            Ended::Late => Came::Failed(EffectError::new(FailureKind::TimedOut, "no answer in time")),
        };
        if let Some(key) = key {
            self.conversations.cancel(&key, &message_id);
        }
        Ok(came)
    }

    /// Ends when nobody waits for a step any more, or nobody here.
    async fn ended(&self, until: Timestamp, late: Timestamp) -> Ended {
        let clock = &self.driver.clock;
        loop {
            let now = clock.now();
            if now >= late {
                return Ended::Late;
            }
            if now >= until {
                return Ended::OutOfTime;
            }
            clock.sleep_until(now.plus_ms(LOOK_MS).min(until).min(late)).await;
            if self.is_to_stop().await {
                return Ended::Stopped;
            }
        }
    }

    /// Whether somebody has asked for the task to stop. What cannot be read is looked at again.
    async fn is_to_stop(&self) -> bool {
        let loaded = self.driver.store.load(self.key).await;
        let inbox = loaded.ok().flatten().map(|loaded| loaded.inbox).unwrap_or_default();
        inbox.iter().any(|message| matches!(Message::read(&message.content), Some(Message::Cancel { .. })))
    }

    fn crew(&self) -> Crew<'_> {
        let Self { driver, conversations, served, key, signals } = self;
        Crew { driver, conversations: *conversations, served, key, outlet: &Silent, signals }
    }
}

/// What is next after a piece; nothing where there is more to do at once.
fn stage_after(played: Played) -> Result<Option<Stage>, RelayError> {
    let (report, next, parked) = match played {
        Played::Asks(due) => return Ok(Some(Stage::Ask(due))),
        Played::Reported { report, next, parked, .. } => (report, next, parked),
    };
    let rings = matches!(next, Some(Next::Released { ring: true }));
    match (report, parked) {
        (RunReport::Fenced, _) => Err(RelayError::Held),
        (RunReport::Abandoned, _) => Err(StoreError::Unavailable("a task could not be driven on".to_owned()).into()),
        (RunReport::Parked | RunReport::Finished(_) | RunReport::Idle, _) if rings => Ok(None),
        (RunReport::Parked, Some(until)) => Ok(Some(Stage::Wait { until })),
        (RunReport::Parked, None) => Ok(None),
        (RunReport::Finished(_) | RunReport::Idle, _) => Ok(Some(Stage::Over)),
    }
}

/// Nobody listens: whoever follows the task reads its log.
struct Silent;

impl Outlet for Silent {
    fn emit(&self, _key: &ConversationKey, _fragment: Fragment) {}

    fn durable(&self, _key: &ConversationKey, _commit: &Commit, _head: Seq) {}

    fn streams(&self, _key: &ConversationKey) -> bool {
        false
    }
}
