//! The run of a task as a machine: `advance` decides what begins and what ends, `step` tells the driver.

mod advance;
mod effect;
mod outcome;
mod step;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

pub use effect::{Completed, Effect};

use super::Task;
use super::board::{self, Board, StepState};
use super::event::{Ending, Spent, TaskEvent};
use super::message::Message;
use crate::event::{EVENT_VERSION, Event, EventBody, InboxMessage};
use crate::ids::{BotDigest, ConversationKey, MessageId, Position, RunId, Timestamp};
use crate::machine::{EffectId, Step};
use crate::turn::{Answered, Commit};

/// Version of the saved form that this build writes.
const SCHEMA: u16 = 1;

/// One run of a task.
#[derive(Debug)]
pub struct TaskRun {
    key: ConversationKey,
    saved: Saved,
    board: Board,
    /// Events that wait to be written.
    events: Vec<Event>,
    /// The message that began the task: answered by its end.
    start: Option<Answered>,
    /// Messages that the next write answers.
    answered: Vec<Answered>,
    /// The newest message that was taken.
    heard: Position,
    /// What is under way, or about to be.
    flights: BTreeMap<EffectId, Flight>,
    /// What may begin once the events before it are durable.
    queued: Vec<EffectId>,
    /// What may begin.
    due: VecDeque<EffectId>,
    /// Output that waits to be polled.
    out: VecDeque<TaskStep>,
    write: Option<Write>,
    /// Why it is to stop.
    cancelled: Option<String>,
    /// Whether a conversation may not have heard of something.
    untold: bool,
    planner: Asking,
    over: Option<RunReport>,
}

/// What a run says next.
pub type TaskStep = Step<Effect, std::convert::Infallible, Commit, RunReport>;

/// How a run ended for its driver. What clients are told is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunReport {
    /// It is over.
    Finished(Ending),
    /// There was nothing to do: the messages were for a task that is over, or never began.
    Idle,
    /// Saved; the claim is let go.
    Parked,
    /// Another holder took over; nothing more is to be done.
    Fenced,
    /// The store did not take the commit. Somebody will hear the watchdog.
    Abandoned,
}

/// What a run is given afresh, whether it begins or is resumed.
#[derive(Clone, Debug)]
pub struct Context {
    /// The task's key.
    pub key: ConversationKey,
    /// The task as its log tells it.
    pub board: Board,
    /// The messages that have no answer yet, in order.
    pub inbox: Vec<InboxMessage>,
}

/// A saved run. Its only way on is to be resumed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct SuspendedTask(Saved);

impl SuspendedTask {
    /// The task it was begun on.
    #[must_use]
    pub fn digest(&self) -> &BotDigest {
        &self.0.digest
    }
}

/// What is saved: all else is in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Saved {
    schema: u16,
    run: RunId,
    digest: BotDigest,
    /// The next effect's id.
    effects: u32,
    /// The next commit's number.
    commits: u32,
    /// The newest message that was taken: those up to it but the first are answered.
    #[serde(default)]
    heard: Position,
    /// The steps whose agents will tell of their answers, by effect, and when to look for each that nobody told of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    asked: BTreeMap<u32, Timestamp>,
    /// Whether the conversation that began the task has heard of everything.
    #[serde(default)]
    told: bool,
}

/// An effect that is under way.
#[derive(Clone, Debug)]
struct Flight {
    what: What,
    effect: Effect,
    timeout_ms: u64,
    at: At,
}

/// How far an effect has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// It is to be handed out.
    Queued {
        /// Whether somebody may be at it already: it was handed out before.
        again: bool,
    },
    /// Somebody is at it, and says how it ended.
    HandedOut {
        /// When that is too late.
        deadline: Timestamp,
    },
    /// An agent is at it, and a message tells of its answer.
    Asked {
        /// When that is too late.
        deadline: Timestamp,
        /// When to look for an answer that nobody told of.
        look: Timestamp,
    },
}

impl At {
    /// When there should have been an outcome.
    fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Queued { .. } => None,
            Self::HandedOut { deadline } | Self::Asked { deadline, .. } => Some(deadline),
        }
    }

    /// Whether somebody may be at it.
    fn is_begun(self) -> bool {
        self != Self::Queued { again: false }
    }
}

/// What an effect is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// The step at this place of the plan.
    Step(usize),
    /// The next step, or a plan.
    Plan,
    /// Progress, told to a conversation.
    Report,
}

/// How asking the planner goes.
#[derive(Clone, Copy, Debug, Default)]
struct Asking {
    failed: u16,
    again_at: Option<Timestamp>,
}

/// The write under way.
#[derive(Debug)]
struct Write {
    commit: Commit,
    /// What may begin once it is durable.
    releases: Vec<EffectId>,
    tries: u32,
    progress: WriteProgress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteProgress {
    Ready,
    Sent,
    Backoff(Timestamp),
}

/// What every rule of a run may look at.
#[derive(Clone, Copy)]
struct Cx<'t> {
    task: &'t Task,
    now: Timestamp,
}

impl TaskRun {
    /// Begins a task, whose first message is in the context's inbox.
    #[must_use]
    pub fn start(task: &Task, run: RunId, context: Context, now: Timestamp) -> Self {
        let mut run = Self::with(
            Saved {
                schema: SCHEMA,
                run,
                digest: task.digest.clone(),
                effects: 0,
                commits: 0,
                heard: Position::default(),
                asked: BTreeMap::new(),
                told: false,
            },
            context,
            now,
        );
        run.take_up(now);
        run
    }

    fn with(saved: Saved, context: Context, now: Timestamp) -> Self {
        let Context { key, board, inbox } = context;
        let mut run = Self {
            key,
            saved,
            board,
            events: Vec::new(),
            start: None,
            answered: Vec::new(),
            heard: Position::default(),
            flights: BTreeMap::new(),
            queued: Vec::new(),
            due: VecDeque::new(),
            out: VecDeque::new(),
            write: None,
            cancelled: None,
            untold: false,
            planner: Asking::default(),
            over: None,
        };
        run.saved.effects = run.saved.effects.max(run.board.effects);
        inbox.into_iter().for_each(|message| run.hear(message, now));
        run.heard = run.heard.max(run.saved.heard);
        run
    }

    /// Takes a message of the inbox. One that was taken before is ignored.
    pub fn hear(&mut self, message: InboxMessage, now: Timestamp) {
        if message.position <= self.heard || self.over.is_some() {
            return;
        }
        self.heard = message.position;
        let InboxMessage { position, sender, message_id, content, .. } = message;
        let answered = Answered { position, sender, message_id };
        match Message::read(&content) {
            Some(Message::Start(start)) => {
                self.start = Some(answered);
                if !self.board.has_started() {
                    self.record(now, TaskEvent::Started { input: start.input, report_to: start.report_to });
                }
                return;
            }
            Some(Message::Answer { step, text }) if self.board.asks(&step) && self.cancelled.is_none() => {
                self.record(now, TaskEvent::StepEnded { step, result: text, spent: Spent::default() });
            }
            Some(Message::Outcome { said, spent }) if self.cancelled.is_none() => {
                self.hear_agent(&answered.message_id, said, spent, now);
            }
            Some(Message::Cancel { reason }) => {
                self.cancelled.get_or_insert(reason);
            }
            Some(Message::Answer { .. } | Message::Outcome { .. }) | None => {}
        }
        self.answered.push(answered);
    }

    /// Takes an agent's answer to the message of this id. One to a try that was given up is ignored.
    fn hear_agent(&mut self, asked: &MessageId, said: Result<String, String>, spent: Spent, now: Timestamp) {
        let is_meant = |step: &board::Step| self.board.message_of(step).as_ref() == Some(asked);
        let Some(place) = self.board.steps.iter().position(is_meant) else { return };
        self.flights.retain(|_, flight| flight.what != What::Step(place));
        self.step_answered(now, place, said, spent);
    }

    /// The newest message that was taken before the last write: a run is not to be parked past one that it has not heard.
    #[must_use]
    pub fn heard(&self) -> Position {
        self.saved.heard
    }

    /// The newest message that was taken.
    #[must_use]
    pub fn heard_so_far(&self) -> Position {
        self.heard
    }

    /// Ends the task with what it has, instead of going on with it.
    pub fn give_up(&mut self, task: &Task, now: Timestamp) {
        if self.board.has_started() && !self.board.is_over() {
            self.flights.clear();
            self.queued.clear();
            self.fail_the_rest(Cx { task, now }, "the process that ran it died too often");
        }
    }

    /// The task as the run sees it, what is not durable yet included.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The task as a run that is over leaves it.
    #[must_use]
    pub fn into_board(self) -> Board {
        self.board
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.saved.run
    }

    /// The saved form, at any point between two steps.
    fn save(&self) -> Vec<u8> {
        // Plain data always serializes; and the log has all that matters.
        serde_json::to_vec(&self.saved).unwrap_or_default()
    }

    /// Writes an event, and folds it in.
    fn record(&mut self, now: Timestamp, event: TaskEvent) {
        let event = Event {
            v: EVENT_VERSION,
            seq: self.board.head.next(),
            run: self.saved.run.clone(),
            at: now,
            bot_digest: self.saved.digest.clone(),
            message_id: None,
            body: EventBody::Task(Box::new(event)),
        };
        self.board.apply(&event);
        self.events.push(event);
    }

    /// Puts an effect under way, to begin once the events so far are durable.
    fn issue(&mut self, what: What, effect: Effect, timeout_ms: u64) {
        let id = EffectId(self.saved.effects);
        self.saved.effects += 1;
        self.put_under_way(id, Flight { what, effect, timeout_ms, at: At::Queued { again: false } });
    }

    fn put_under_way(&mut self, id: EffectId, flight: Flight) {
        self.flights.insert(id, flight);
        self.queued.push(id);
    }
}
