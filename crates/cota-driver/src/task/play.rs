//! Playing one run: polling the machine, performing its steps, feeding back what comes of them.

use std::collections::HashMap;

use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _, select_biased};

use cota_core::ids::{ConversationKey, MessageId, Position, Timestamp};
use cota_core::limits;
use cota_core::machine::{CommitFailure, EffectError, EffectId, Input, Issued, Machine as _, ProtocolError, Step};
use cota_core::task::{Completed, Effect, RunReport, TaskRun};
use cota_core::turn::Commit;

use super::Crew;
use super::ask::{Asked, ask, plan, report};
use crate::failpoint::failpoint;
use crate::store::{Claim, CommitError, CommitTerms, Committed, Loaded, Next, Renewed, StoreError};

/// One run and everything it is played with.
pub(super) struct Play<'d> {
    pub(super) crew: Crew<'d>,
    pub(super) claim: Claim,
    pub(super) run: TaskRun,
    pub(super) go_on: bool,
}

/// How a run was left.
pub(super) struct Played {
    pub(super) report: RunReport,
    /// What became of the claim with the last commit.
    pub(super) next: Option<Next>,
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
    /// Effects that can be stopped, with the message that a step is for.
    effects: HashMap<EffectId, (AbortHandle, Option<(ConversationKey, MessageId)>)>,
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
        let renew_at = self.now().plus_ms(limits::RENEW_MS);
        let seen = self.run.heard_so_far();
        let mut under_way = UnderWay { futures: FuturesUnordered::new(), effects: HashMap::new(), renew_at, seen };
        let task = &self.crew.served.task;
        let mut next = None;
        loop {
            let until = loop {
                match self.run.poll(task, self.now())? {
                    Step::Perform(issued) => self.perform(issued, &mut under_way),
                    Step::Emit(never) => match never {},
                    Step::Abort(id) => self.abort(id, &mut under_way),
                    Step::Commit(commit) => under_way.futures.push(self.commit(commit)),
                    Step::Wait { until } => break until,
                    Step::Park { until } => self.crew.driver.doorbell.ring(self.crew.key, until),
                    Step::Done(report) => return Ok(Played { report, next }),
                }
            };
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
                    under_way.effects.remove(&id);
                    self.run.handle(task, Input::Outcome { id, attempt: 1, result }, now)?;
                }
                Heard::Nothing => {}
                Heard::Stopping => return Ok(Played { report: RunReport::Abandoned, next: None }),
                Heard::Written(commit, Ok(committed)) => {
                    // A run that moves on is not one that kills its process.
                    self.claim.takeovers = 0;
                    self.crew.outlet.durable(self.crew.key, &commit, committed.head);
                    self.run.handle(task, Input::Committed { head: committed.head }, now)?;
                    failpoint("after-task-commit");
                    next = Some(committed.next);
                }
                Heard::Written(_, Err(error)) => {
                    tracing::debug!(%error, run = %self.run.run(), "a task's commit failed");
                    self.run.handle(task, Input::CommitFailed(CommitFailure::from(&error)), now)?;
                }
                Heard::Renewed(Ok(renewed)) => self.crew.signals.nudge(renewed.last),
                Heard::Renewed(Err(CommitError::Fenced)) => return Ok(Played { report: RunReport::Fenced, next: None }),
                Heard::Renewed(Err(CommitError::Unavailable(reason))) => tracing::warn!(%reason, "a lease could not be renewed"),
            }
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
        let mut message = None;
        let performed: BoxFuture<'d, Result<Completed, Asked>> = match effect {
            Effect::Plan { llm } => {
                let chat = crew.planner_request(self.run.board());
                let key = format!("{}/{}", self.run.run(), id.0);
                plan(crew, llm, chat, key, deadline).boxed()
            }
            Effect::Ask { agent, message_id, query, speaker } => {
                let key = crew.served.task.bot_of(&agent).map(|bot| ConversationKey { bot, ..crew.key.clone() });
                message = key.clone().map(|key| (key, message_id.clone()));
                ask(crew, key, message_id, query, speaker).boxed()
            }
            Effect::Report { to, message_id, text, for_bot } => report(crew, to, message_id, text, for_bot).boxed(),
        };
        let (handle, registration) = AbortHandle::new_pair();
        let ended = async move {
            match performed.await {
                Ok(completed) => Heard::Ended(id, Ok(completed)),
                Err(Asked::Failed(error)) => Heard::Ended(id, Err(error)),
                Err(Asked::Stopping) => Heard::Stopping,
            }
        };
        under_way.effects.insert(id, (handle, message));
        under_way.futures.push(Abortable::new(ended, registration).map(|ended| ended.unwrap_or(Heard::Nothing)).boxed());
    }

    /// Stops waiting, and tells the agent to stop.
    fn abort(&self, id: EffectId, under_way: &mut UnderWay<'d>) {
        let Some((handle, message)) = under_way.effects.remove(&id) else { return };
        handle.abort();
        if let Some((key, message_id)) = message {
            self.crew.conversations.cancel(&key, &message_id);
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
        crew.driver.doorbell.watch(crew.key, lease_until);
        async move { Heard::Renewed(crew.driver.store.renew(crew.key, &claim, lease_until).await) }.boxed()
    }

    fn now(&self) -> Timestamp {
        self.crew.driver.clock.now()
    }
}
