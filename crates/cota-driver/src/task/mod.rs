//! Driving a task: its claim, its log, and one run after the other until nothing waits.

mod action;
mod ask;
mod company;
mod play;
mod relay;

use std::sync::Arc;

use cota_core::bot::Bot;
use cota_core::ids::{ConversationKey, Seq};
use cota_core::limits;
use cota_core::machine::Machine as _;
use cota_core::prompt::ChatRequest;
use cota_core::task::{Board, Context, Planning, RunReport, SuspendedTask, Task, TaskRun};

use crate::conversation::{Driven, Driver, Outlet};
use crate::host::Conversations;
use crate::signals::Signals;
use crate::store::{AcceptTerms, Claim, Claimed, Holder, Loaded, Next, StoreError};
use play::{Play, Played};

pub(crate) use play::Asking;

pub use action::WithTasks;
pub use company::Company;
pub use relay::{Came, Due, Relay, RelayError, Stage};

/// Events that are read at once.
const PAGE: usize = 1_000;

/// A task that is served.
#[derive(Debug)]
pub struct ServedTask {
    /// The task.
    pub task: Task,
    /// A bot that has the planner's LLMs and nothing else.
    pub planner: Arc<Bot>,
}

/// On which terms a task accepts messages: each wakes it.
#[must_use]
pub fn accept_terms(drive_as: Option<Holder>) -> AcceptTerms {
    AcceptTerms { drive_as, max_queue: limits::TASK_MESSAGES, reject_if_busy: false, wakes: true }
}

/// Where a task stands, read from its log. Nothing has started on a board without events.
///
/// # Errors
/// If the store cannot serve.
pub async fn board(conversations: &dyn Conversations, key: &ConversationKey) -> Result<Board, StoreError> {
    let mut board = Board::default();
    loop {
        let events = conversations.events(key, board.head, PAGE).await?;
        events.iter().for_each(|event| board.apply(event));
        if events.len() < PAGE {
            return Ok(board);
        }
    }
}

/// A task and those who work for it.
#[derive(Clone, Copy)]
pub(crate) struct Crew<'d> {
    pub(crate) driver: &'d Driver,
    pub(crate) conversations: &'d dyn Conversations,
    pub(crate) served: &'d ServedTask,
    pub(crate) key: &'d ConversationKey,
    pub(crate) outlet: &'d dyn Outlet,
    pub(crate) signals: &'d Signals,
}

impl Crew<'_> {
    /// Drives the task under a claim just taken, until it waits for somebody or is over.
    pub(crate) async fn drive(self, claimed: Claimed, go_on: bool, asking: Asking) -> Driven {
        let mut known = self.driver.boards.current(self.key, claimed.head, claimed.last_commit.as_ref());
        let mut claim = claimed.claim;
        self.driver.doorbell.watch(self.key, claim.lease_until);
        loop {
            let mut run = match self.prepare(&claim, known.take()).await {
                Ok(Some(run)) => run,
                Ok(None) => return Driven::Left,
                Err(error) => {
                    tracing::warn!(%error, "a task could not be read");
                    return Driven::Left;
                }
            };
            if claim.takeovers >= limits::TAKEOVERS {
                tracing::error!(run = %claim.run, takeovers = claim.takeovers, "a task is given up: its process died too often");
                run.give_up(&self.served.task, self.driver.clock.now());
            }
            let played = match (Play { crew: self, claim: claim.clone(), run, go_on, asking: asking.clone() }).run().await {
                Ok(played) => played,
                Err(error) => {
                    tracing::error!(%error, run = %claim.run, "the driver broke the task's contract");
                    return Driven::Left;
                }
            };
            let Played::Reported { report, next, parked, left } = played else { return Driven::Left };
            match (report, next) {
                (RunReport::Finished(_) | RunReport::Idle, Some(Next::Waiting { claim: kept, .. })) => claim = kept,
                (RunReport::Finished(_) | RunReport::Idle | RunReport::Parked, Some(Next::Released { ring })) => {
                    if let Some(until) = parked {
                        self.driver.doorbell.ring(self.key, until);
                    }
                    if let Some((board, last)) = left {
                        self.driver.boards.put(self.key, board.head, *board, last);
                    }
                    return if ring { Driven::Ring } else { Driven::Idle };
                }
                (_, _) => return Driven::Left,
            }
        }
    }

    /// Folds the log.
    async fn read_board(&self) -> Result<Board, StoreError> {
        let mut board = Board::default();
        loop {
            let before = board.head;
            self.driver.store.events(self.key, before, PAGE).await?.iter().for_each(|event| board.apply(event));
            if board.head == before || board.head < Seq(before.0 + PAGE as u64) {
                return Ok(board);
            }
        }
    }

    /// The conversation of an agent.
    fn agent(&self, agent: &str) -> Option<ConversationKey> {
        Some(ConversationKey { bot: self.served.task.bot_of(agent)?, ..self.key.clone() })
    }

    /// What the planner's LLM is asked next.
    fn planner_request(&self, board: &Board) -> Option<ChatRequest> {
        match &self.served.task.planning {
            Planning::Dynamic(planner) => Some(planner.request(&self.served.task, board)),
            Planning::Static(_) => None,
        }
    }

    /// Reads what is durable and not known yet, and makes the run of it.
    async fn prepare(&self, claim: &Claim, known: Option<Board>) -> Result<Option<TaskRun>, StoreError> {
        let Some(Loaded { saved, inbox, .. }) = self.driver.store.load(self.key).await? else { return Ok(None) };
        let board = match known {
            Some(board) => board,
            None => self.read_board().await?,
        };
        let now = self.driver.clock.now();
        let context = Context { key: self.key.clone(), board, inbox };
        let saved = saved.and_then(|bytes| serde_json::from_slice::<SuspendedTask>(&bytes).ok());
        Ok(Some(match saved {
            Some(saved) => TaskRun::resume(saved, context, now),
            None => TaskRun::start(&self.served.task, claim.run.clone(), context, now),
        }))
    }
}
