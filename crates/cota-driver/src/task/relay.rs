//! Driving a task in pieces: an engine elsewhere has the agents asked, and comes back to look what came of it.
//!
//! Nothing is held between two pieces. What runs is in the log, what an agent answered is in its own record, so a piece that is
//! lost, or done twice, changes nothing.

use std::collections::VecDeque;
use std::pin::pin;

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};

use cota_core::ids::{ConversationKey, SenderId, Seq, Timestamp};
use cota_core::limits;
use cota_core::machine::{CommitFailure, EffectError, EffectId, FailureKind, Input, Issued, Machine as _, ProtocolError, Step};
use cota_core::task::{Completed, Effect, Message, RunReport, SENDER, TaskRun};
use cota_core::turn::{Commit, Fragment};

use super::ask::{Asked, ask, plan, recorded, report};
use super::{Crew, ServedTask, board};
use crate::conversation::{Driver, Outlet};
use crate::host::Conversations;
use crate::signals::Signals;
use crate::store::{Claim, ClaimOutcome, CommitError, CommitTerms, Next, Progress, StoreError};

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
            // Every piece takes the claim over, so that says nothing; how often one is tried is the engine's affair.
            let claim = Claim { takeovers: 0, ..claimed.claim };
            let Some(run) = crew.prepare(&claim).await? else { return Ok(Stage::Over) };
            let failed = std::mem::take(&mut failed);
            let renew_at = now.plus_ms(limits::RENEW_MS);
            let piece = Piece { crew, claim, run, failed, due: Vec::new(), found: VecDeque::new(), next: None, renew_at, unwritten: false };
            if let Some(stage) = piece.play().await? {
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
        let late = self.driver.clock.now().plus_ms(step.planned.source.timeout_ms.unwrap_or(limits::TASK_STEP_MS));
        let asked = ask(self.crew(), key.clone(), message_id.clone(), step.query.clone(), step.speaker.clone());
        let ended = pin!(self.ended_before(until.min(late)));
        let came = match select(pin!(asked), ended).await {
            Either::Left((Ok(_), _)) => return Ok(Came::Recorded),
            Either::Left((Err(Asked::Failed(error)), _)) => return Ok(Came::Failed(error)),
            Either::Left((Err(Asked::Stopping), _)) => return Ok(Came::Pending),
            Either::Right(((), _)) if self.driver.clock.now() >= late => {
                Came::Failed(EffectError::new(FailureKind::TimedOut, "no answer in time"))
            }
            Either::Right(((), _)) => Came::Pending,
        };
        let goes_on_elsewhere = came == Came::Pending && self.driver.clock.now() >= until;
        if let Some(key) = key.filter(|_| !goes_on_elsewhere) {
            self.conversations.cancel(&key, &message_id);
        }
        Ok(came)
    }

    /// Ends at a time, or when the task is to stop.
    async fn ended_before(&self, until: Timestamp) {
        let clock = &self.driver.clock;
        while clock.now() < until {
            clock.sleep_until(clock.now().plus_ms(LOOK_MS).min(until)).await;
            let loaded = self.driver.store.load(self.key).await;
            let inbox = loaded.ok().flatten().map(|loaded| loaded.inbox).unwrap_or_default();
            if inbox.iter().any(|message| matches!(Message::read(&message.content), Some(Message::Cancel { .. }))) {
                return;
            }
        }
    }

    fn crew(&self) -> Crew<'_> {
        let Self { driver, conversations, served, key, signals } = self;
        Crew { driver, conversations: *conversations, served, key, outlet: &Silent, signals }
    }
}

impl Crew<'_> {
    /// The conversation of an agent.
    fn agent(&self, agent: &str) -> Option<ConversationKey> {
        Some(ConversationKey { bot: self.served.task.bot_of(agent)?, ..self.key.clone() })
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

/// One run, from one look at the log to where it waits for others.
struct Piece<'d> {
    crew: Crew<'d>,
    claim: Claim,
    run: TaskRun,
    failed: Vec<(Due, EffectError)>,
    /// Steps that nobody has answered.
    due: Vec<Due>,
    /// Outcomes that the machine has not heard.
    found: VecDeque<(EffectId, Result<Completed, EffectError>)>,
    /// What became of the claim with the last commit.
    next: Option<Next>,
    renew_at: Timestamp,
    /// Whether a commit is to be tried again.
    unwritten: bool,
}

impl Piece<'_> {
    /// Plays it; nothing where there is more to do at once.
    async fn play(mut self) -> Result<Option<Stage>, RelayError> {
        let task = &self.crew.served.task;
        let mut parked = None;
        loop {
            match self.run.poll(task, self.now())? {
                Step::Perform(issued) => self.perform(issued).await?,
                Step::Emit(never) => match never {},
                Step::Abort(id) => self.due.retain(|due| due.effect != id.0),
                Step::Commit(commit) => self.commit(commit).await?,
                Step::Park { until } => parked = Some(until),
                Step::Done(report) => return self.done(report, parked),
                Step::Wait { until } => {
                    if let Some((id, result)) = self.found.pop_front() {
                        let now = self.now();
                        self.run.handle(task, Input::Outcome { id, attempt: 1, result }, now)?;
                    } else if !self.due.is_empty() && !self.unwritten {
                        return self.let_go().await.map(Some);
                    } else {
                        let until = until.unwrap_or(self.renew_at);
                        self.meanwhile(self.crew.driver.clock.sleep_until(until)).await?;
                        let now = self.now();
                        self.run.handle(task, Input::Tick, now)?;
                    }
                }
            }
        }
    }

    async fn perform(&mut self, issued: Issued<Effect>) -> Result<(), RelayError> {
        let (crew, id, deadline) = (self.crew, issued.id, issued.deadline);
        let asked = match issued.effect {
            Effect::Ask { agent, message_id, speaker, .. } => {
                let sender = SenderId::new(speaker.as_deref().unwrap_or(SENDER)).ok();
                let answered = match (crew.agent(&agent), sender) {
                    (Some(key), Some(sender)) => match crew.conversations.progress(&key, &sender, &message_id).await? {
                        Some(Progress::Answered { first, last }) => Some(recorded(crew, &key, &message_id, first, last).await),
                        Some(Progress::Pending) | None => None,
                    },
                    (None, _) | (_, None) => None,
                };
                match answered {
                    Some(asked) => asked,
                    None => return self.not_answered(id),
                }
            }
            Effect::Plan { llm } => {
                let chat = crew.planner_request(self.run.board());
                let key = format!("{}/{}", self.run.run(), id.0);
                self.until(deadline, plan(crew, llm, chat, key, deadline)).await?
            }
            Effect::Report { to, message_id, text, for_bot } => self.until(deadline, report(crew, to, message_id, text, for_bot)).await?,
        };
        match asked {
            Ok(completed) => self.found.push_back((id, Ok(completed))),
            Err(Asked::Failed(error)) => self.found.push_back((id, Err(error))),
            Err(Asked::Stopping) => return Err(StoreError::Unavailable("the process ends".to_owned()).into()),
        }
        Ok(())
    }

    /// A step without an answer has failed, where whoever asked said so; else it is to be asked.
    fn not_answered(&mut self, id: EffectId) -> Result<(), RelayError> {
        let step = self.run.board().step_of(id).map(|step| step.planned.source.name.clone()).unwrap_or_default();
        let due = Due { step, effect: id.0 };
        match self.failed.iter().position(|(failed, _)| *failed == due) {
            Some(place) => {
                let (_, error) = self.failed.swap_remove(place);
                self.found.push_back((id, Err(error)));
            }
            None => self.due.push(due),
        }
        Ok(())
    }

    /// Waits for something that nobody waits for after `deadline`.
    async fn until(
        &mut self,
        deadline: Timestamp,
        work: impl Future<Output = Result<Completed, Asked>>,
    ) -> Result<Result<Completed, Asked>, RelayError> {
        let late = self.crew.driver.clock.sleep_until(deadline);
        let work = async {
            match select(pin!(work), late).await {
                Either::Left((asked, _)) => asked,
                Either::Right(((), _)) => Err(Asked::Failed(EffectError::new(FailureKind::TimedOut, "no answer in time"))),
            }
        };
        self.meanwhile(work).await
    }

    /// Waits for something, and renews the lease as long as it takes.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, RelayError> {
        let mut work = pin!(work);
        loop {
            let time = self.crew.driver.clock.sleep_until(self.renew_at);
            work = match select(work, time).await {
                Either::Left((done, _)) => return Ok(done),
                Either::Right(((), work)) => work,
            };
            let now = self.now();
            self.renew_at = now.plus_ms(limits::RENEW_MS);
            match self.crew.driver.store.renew(self.crew.key, &self.claim, now.plus_ms(limits::LEASE_MS)).await {
                Ok(_) => {}
                Err(CommitError::Fenced) => return Err(RelayError::Held),
                Err(CommitError::Unavailable(reason)) => tracing::warn!(%reason, "a lease could not be renewed"),
            }
        }
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), RelayError> {
        let (task, now) = (&self.crew.served.task, self.now());
        let lease_until = now.plus_ms(limits::LEASE_MS);
        let terms = CommitTerms { now, lease_until, go_on: false, heard: Some(self.run.heard()) };
        let committed = self.crew.driver.store.commit(self.crew.key, &self.claim, &commit, &terms).await;
        crate::failpoint::failpoint("after-task-commit");
        self.unwritten = committed.is_err();
        let now = self.now();
        match committed {
            Ok(committed) => {
                self.next = Some(committed.next);
                self.run.handle(task, Input::Committed { head: committed.head }, now)?;
            }
            Err(error) => self.run.handle(task, Input::CommitFailed(CommitFailure::from(&error)), now)?,
        }
        Ok(())
    }

    /// Lets go of the claim while others work: whoever comes back takes it at once, whatever its clock says.
    async fn let_go(self) -> Result<Stage, RelayError> {
        match self.crew.driver.store.renew(self.crew.key, &self.claim, Timestamp::default()).await {
            Ok(_) => Ok(Stage::Ask(self.due)),
            Err(CommitError::Fenced) => Err(RelayError::Held),
            Err(CommitError::Unavailable(reason)) => Err(StoreError::Unavailable(reason).into()),
        }
    }

    fn done(&self, report: RunReport, parked: Option<Timestamp>) -> Result<Option<Stage>, RelayError> {
        let rings = matches!(self.next, Some(Next::Released { ring: true }));
        match (report, parked) {
            (RunReport::Fenced, _) => Err(RelayError::Held),
            (RunReport::Abandoned, _) => Err(StoreError::Unavailable("the store did not take a task's events".to_owned()).into()),
            (RunReport::Parked | RunReport::Finished(_) | RunReport::Idle, _) if rings => Ok(None),
            (RunReport::Parked, Some(until)) => Ok(Some(Stage::Wait { until })),
            (RunReport::Parked, None) => Ok(None),
            (RunReport::Finished(_) | RunReport::Idle, _) => Ok(Some(Stage::Over)),
        }
    }

    fn now(&self) -> Timestamp {
        self.crew.driver.clock.now()
    }
}
