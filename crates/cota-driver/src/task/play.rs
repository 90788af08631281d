//! Playing one run: polling the machine, performing its steps, feeding back what comes of them.
//!
//! Agents are asked here, and answer here or by a message, or they are asked elsewhere. Unless they answer here the run is let go
//! of once nothing but their answers is waited for.

use std::collections::HashMap;

use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, select_biased};

use cota_core::ids::{CommitId, ConversationKey, MessageId, Position, Timestamp};
use cota_core::limits;
use cota_core::machine::{CommitFailure, EffectError, EffectId, Input, Issued, Machine as _, ProtocolError, Step};
use cota_core::task::{Board, Completed, Effect, RunReport, StepState, TaskRun};
use cota_core::turn::Commit;

use super::ask::{Asked, Question, answered, ask, hand_over, plan, report};
use super::{Crew, Due};
use crate::failpoint::failpoint;
use crate::store::{Claim, CommitError, CommitTerms, Committed, Loaded, Next, Renewed, StoreError};

/// One run and everything it is played with.
pub(super) struct Play<'d> {
    pub(super) crew: Crew<'d>,
    pub(super) claim: Claim,
    pub(super) run: TaskRun,
    pub(super) go_on: bool,
    pub(super) asking: Asking,
}

/// Who puts steps to their agents, and how the answers come.
#[derive(Clone, Debug)]
pub(crate) enum Asking {
    /// Whoever plays, and waits for the answers.
    Here,
    /// Whoever plays. The answers come as messages to the task, which is parked meanwhile.
    ByMessage,
    /// Somebody else, while nobody plays.
    Elsewhere {
        /// The steps that were asked in vain.
        failed: Vec<(Due, EffectError)>,
    },
}

/// How a run was left.
pub(super) enum Played {
    /// As the machine says.
    Reported {
        report: RunReport,
        /// What became of the claim with the last commit.
        next: Option<Next>,
        /// When it goes on, where it is parked.
        parked: Option<Timestamp>,
        /// The task as it was left, and the last commit.
        left: Option<(Box<Board>, CommitId)>,
    },
    /// Its claim is let go, and these steps are to be put to their agents.
    Asks(Vec<Due>),
}

impl From<RunReport> for Played {
    fn from(report: RunReport) -> Self {
        Self::Reported { report, next: None, parked: None, left: None }
    }
}

/// What the machine waits for.
enum Heard {
    /// The inbox has a newer message.
    Nudged,
    /// It is time for a tick or a renewal.
    Time,
    /// The inbox was read.
    Inbox(Result<Option<Loaded>, StoreError>),
    /// An effect ended.
    Ended(EffectId, Result<Completed, EffectError>),
    /// A step has no answer yet, and nobody here waits for one.
    Unanswered(EffectId),
    /// The process ends: somebody else goes on.
    Stopping,
    /// What nobody waits for is done.
    Nothing,
    /// A commit was answered.
    Written(Box<Commit>, Result<Committed, CommitError>),
    /// A renewal was answered.
    Renewed(Result<Renewed, CommitError>),
}

/// What runs beside the machine.
struct UnderWay<'d> {
    futures: FuturesUnordered<BoxFuture<'d, Heard>>,
    /// Effects that can be stopped.
    effects: HashMap<EffectId, AbortHandle>,
    /// What agents were asked and may be at, by this process or by one before it.
    asked: HashMap<EffectId, (ConversationKey, MessageId)>,
    /// Steps that somebody else is to put to their agents.
    due: Vec<Due>,
    /// Whether a commit is to be tried again.
    unwritten: bool,
    renew_at: Timestamp,
    /// The newest message that was looked at.
    seen: Position,
}

impl<'d> Play<'d> {
    /// Plays the run to its end, or to the point where somebody else goes on with it.
    ///
    /// # Errors
    /// If machine and driver disagree on the contract: a defect.
    pub(super) async fn run(mut self) -> Result<Played, ProtocolError> {
        let mut under_way = self.taken_up();
        let task = &self.crew.served.task;
        let (mut next, mut parked, mut last) = (None, None, None);
        loop {
            let until = loop {
                match self.run.poll(task, self.now())? {
                    Step::Perform(issued) => self.perform(issued, &mut under_way),
                    Step::Emit(never) => match never {},
                    Step::Abort(id) => self.abort(id, &mut under_way),
                    Step::Commit(commit) => under_way.futures.push(self.commit(commit)),
                    Step::Wait { until } => break until,
                    Step::Park { until } => parked = Some(until),
                    Step::Done(report) => {
                        let left = last.map(|last| (Box::new(self.run.into_board()), last));
                        return Ok(Played::Reported { report, next, parked, left });
                    }
                }
            };
            if under_way.waits_for_agents() {
                return Ok(self.let_go(under_way.due).await);
            }
            let heard = self.wait(until, &mut under_way).await;
            let now = self.now();
            match heard {
                Heard::Nudged => {
                    let crew = self.crew;
                    under_way.futures.push(async move { Heard::Inbox(crew.driver.store.load(crew.key).await) }.boxed());
                }
                Heard::Inbox(Ok(loaded)) => {
                    for message in loaded.map(|loaded| loaded.inbox).unwrap_or_default() {
                        under_way.seen = under_way.seen.max(message.position);
                        self.run.hear(message, now);
                    }
                }
                Heard::Inbox(Err(error)) => tracing::warn!(%error, "a task's messages could not be read"),
                Heard::Time => {
                    if now >= under_way.renew_at {
                        under_way.renew_at = now.plus_ms(limits::RENEW_MS);
                        under_way.futures.push(self.renew(now));
                    }
                    self.run.handle(task, Input::Tick, now)?;
                }
                Heard::Ended(id, result) => {
                    under_way.ended(id, &result);
                    self.run.handle(task, Input::Outcome { id, attempt: 1, result }, now)?;
                }
                Heard::Unanswered(id) => {
                    if let Some(error) = self.not_answered(id, &mut under_way) {
                        self.run.handle(task, Input::Outcome { id, attempt: 1, result: Err(error) }, now)?;
                    }
                }
                Heard::Nothing => {}
                Heard::Stopping => return Ok(RunReport::Abandoned.into()),
                Heard::Written(commit, Ok(committed)) => {
                    // A run that moves on is not one that kills its process.
                    self.claim.takeovers = 0;
                    self.crew.outlet.durable(self.crew.key, &commit, committed.head);
                    self.run.handle(task, Input::Committed { head: committed.head }, now)?;
                    failpoint("after-task-commit");
                    under_way.unwritten = false;
                    next = Some(committed.next);
                    last = Some(commit.commit_id);
                }
                Heard::Written(_, Err(error)) => {
                    tracing::debug!(%error, run = %self.run.run(), "a task's commit failed");
                    under_way.unwritten = true;
                    self.run.handle(task, Input::CommitFailed(CommitFailure::from(&error)), now)?;
                }
                Heard::Renewed(Ok(renewed)) => self.crew.signals.nudge(renewed.last),
                Heard::Renewed(Err(CommitError::Fenced)) => return Ok(RunReport::Fenced.into()),
                Heard::Renewed(Err(CommitError::Unavailable(reason))) => tracing::warn!(%reason, "a lease could not be renewed"),
            }
        }
    }

    /// What is under way at first: what an earlier process put to agents, who may still be at it.
    fn taken_up(&self) -> UnderWay<'d> {
        let board = self.run.board();
        let asked = board.steps().iter().filter_map(|step| {
            let StepState::Running(effect) = step.state else { return None };
            let key = self.crew.agent(&step.planned.source.agent)?;
            Some((EffectId(effect), (key, board.message_of(step)?)))
        });
        UnderWay {
            futures: FuturesUnordered::new(),
            effects: HashMap::new(),
            asked: asked.collect(),
            due: Vec::new(),
            unwritten: false,
            renew_at: self.now().plus_ms(limits::RENEW_MS),
            seen: self.run.heard_so_far(),
        }
    }

    /// Waits for whatever comes first.
    async fn wait(&self, until: Option<Timestamp>, under_way: &mut UnderWay<'d>) -> Heard {
        let wake_at = until.map_or(under_way.renew_at, |until| until.min(under_way.renew_at));
        let mut time = self.crew.driver.clock.sleep_until(wake_at).fuse();
        let mut nudged = std::pin::pin!(self.crew.signals.newer_than(under_way.seen).fuse());
        select_biased! {
            () = nudged => {
                // Read once for each nudge: what it was about is in the inbox.
                under_way.seen = self.crew.signals.newest();
                Heard::Nudged
            },
            () = time => Heard::Time,
            heard = under_way.futures.select_next_some() => heard,
        }
    }

    fn perform(&self, issued: Issued<Effect>, under_way: &mut UnderWay<'d>) {
        let Issued { id, deadline, effect, .. } = issued;
        let crew = self.crew;
        let performed: BoxFuture<'d, Result<Completed, Asked>> = match effect {
            Effect::Plan { llm } => {
                let chat = crew.planner_request(self.run.board());
                let key = format!("{}/{}", self.run.run(), id.0);
                plan(crew, llm, chat, key, deadline).boxed()
            }
            Effect::Ask { agent, message_id, query, speaker } => {
                let key = crew.agent(&agent);
                under_way.asked.extend(key.clone().map(|key| (id, (key, message_id.clone()))));
                match self.asking {
                    Asking::Here => ask(crew, Question { key, message_id, query, speaker }).boxed(),
                    Asking::ByMessage => hand_over(crew, Question { key, message_id, query, speaker }).boxed(),
                    Asking::Elsewhere { .. } => answered(crew, key, message_id, speaker).boxed(),
                }
            }
            Effect::Report { to, message_id, text, for_bot } => report(crew, to, message_id, text, for_bot).boxed(),
        };
        let (handle, registration) = AbortHandle::new_pair();
        let ended = async move {
            match performed.await {
                Ok(completed) => Heard::Ended(id, Ok(completed)),
                Err(Asked::Failed(error)) => Heard::Ended(id, Err(error)),
                Err(Asked::Unanswered) => Heard::Unanswered(id),
                Err(Asked::Stopping) => Heard::Stopping,
            }
        };
        under_way.effects.insert(id, handle);
        under_way.futures.push(Abortable::new(ended, registration).map(|ended| ended.unwrap_or(Heard::Nothing)).boxed());
    }

    /// Stops waiting, and tells the agent to stop.
    fn abort(&self, id: EffectId, under_way: &mut UnderWay<'d>) {
        if let Some(handle) = under_way.effects.remove(&id) {
            handle.abort();
        }
        if let Some((key, message_id)) = under_way.asked.remove(&id) {
            self.crew.conversations.cancel(&key, &message_id);
        }
        under_way.due.retain(|due| due.effect != id.0);
    }

    /// A step without an answer has failed, where whoever asked said so; else it is to be asked.
    fn not_answered(&mut self, id: EffectId, under_way: &mut UnderWay<'d>) -> Option<EffectError> {
        let step = self.run.board().step_of(id)?.planned.source.name.clone();
        let due = Due { step, effect: id.0 };
        if let Asking::Elsewhere { failed } = &mut self.asking
            && let Some(place) = failed.iter().position(|(failed, _)| *failed == due)
        {
            let error = failed.swap_remove(place).1;
            under_way.ended(id, &Err(error.clone()));
            return Some(error);
        }
        under_way.due.push(due);
        None
    }

    /// Lets go of the claim while others work: whoever comes back takes it at once.
    async fn let_go(self, due: Vec<Due>) -> Played {
        match self.crew.driver.store.release(self.crew.key, &self.claim, self.now()).await {
            Ok(()) => Played::Asks(due),
            Err(CommitError::Fenced) => RunReport::Fenced.into(),
            Err(CommitError::Unavailable(reason)) => {
                tracing::warn!(%reason, "a task could not be let go of");
                RunReport::Abandoned.into()
            }
        }
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'d, Heard> {
        let (crew, claim, go_on, heard) = (self.crew, self.claim.clone(), self.go_on, self.run.heard());
        async move {
            let now = crew.driver.clock.now();
            let terms = CommitTerms { now, lease_until: now.plus_ms(limits::LEASE_MS), go_on, heard: Some(heard) };
            let result = crew.driver.store.commit(crew.key, &claim, &commit, &terms).await;
            Heard::Written(Box::new(commit), result)
        }
        .boxed()
    }

    fn renew(&self, now: Timestamp) -> BoxFuture<'d, Heard> {
        let (crew, claim) = (self.crew, self.claim.clone());
        let lease_until = now.plus_ms(limits::LEASE_MS);
        // An engine elsewhere does itself again what was broken off.
        if matches!(self.asking, Asking::Here) {
            crew.driver.doorbell.watch(crew.key, lease_until);
        }
        async move { Heard::Renewed(crew.driver.store.renew(crew.key, &claim, lease_until).await) }.boxed()
    }

    fn now(&self) -> Timestamp {
        self.crew.driver.clock.now()
    }
}

impl UnderWay<'_> {
    /// Whether nothing but the answers of agents is waited for, whom somebody else asks.
    fn waits_for_agents(&self) -> bool {
        !self.due.is_empty() && self.futures.is_empty() && !self.unwritten
    }

    fn ended(&mut self, id: EffectId, result: &Result<Completed, EffectError>) {
        self.effects.remove(&id);
        // An agent that has been asked is still at it.
        if !matches!(result, Ok(Completed::Asked)) {
            self.asked.remove(&id);
        }
    }
}
