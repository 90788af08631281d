//! A run on a stage: a store that always answers, agents that say what a table has for them.

use crate::event::InboxMessage;
use crate::ids::{BotDigest, BotName, ConversationId, ConversationKey, MessageId, Owner, Position, RunId, SenderId, Timestamp};
use crate::machine::{EffectError, EffectId, Input, Machine as _, Step};
use crate::task::plan::StepSource;
use crate::task::planner::{Mind, Planner};
use crate::task::{
    Agent, Board, Completed, Context, Effect, Holes, Message, Plan, Planning, Report, RunReport, SENDER, Settings, Spent, Start,
    SuspendedTask, Task, TaskRun,
};
use crate::turn::{Commit, Completion, RunState, Then};

pub(super) struct Stage {
    pub(super) task: Task,
    pub(super) run: TaskRun,
    pub(super) now: Timestamp,
    /// Effects that wait for an outcome.
    pub(super) asked: Vec<(EffectId, Effect)>,
    pub(super) commits: Vec<Commit>,
    pub(super) aborted: Vec<EffectId>,
    pub(super) over: Option<RunReport>,
    pub(super) wakes: Option<Timestamp>,
    positions: u64,
}

pub(super) fn step(name: &str, agent: &str, query: Option<&str>, dependencies: &[&str]) -> StepSource {
    StepSource {
        name: name.to_owned(),
        agent: agent.to_owned(),
        startquery: query.map(str::to_owned),
        dependencies: dependencies.iter().map(|&other| other.to_owned()).collect(),
        ..StepSource::default()
    }
}

pub(super) fn static_task(steps: Vec<StepSource>) -> Task {
    task(Planning::Static(Plan::check(steps, &["ana", "bo", "cy"]).unwrap()))
}

pub(super) fn dynamic_task(prompt: &str, mind: Mind) -> Task {
    task(Planning::Dynamic(Planner { mind, prompt: Holes::parse(prompt), max_tokens: 500, finish_when: None }))
}

fn task(planning: Planning) -> Task {
    Task {
        name: BotName::new("job").unwrap(),
        digest: BotDigest::of(b"job"),
        description: "a job".to_owned(),
        agents: ["ana", "bo", "cy"].map(|name| Agent { name: name.to_owned(), description: format!("is {name}") }).to_vec(),
        planning,
        settings: Settings::default(),
    }
}

fn key() -> ConversationKey {
    ConversationKey { bot: BotName::new("job").unwrap(), owner: Owner::public(), id: ConversationId::new("t1").unwrap() }
}

impl Stage {
    pub(super) fn begin(task: Task, start: Start) -> Self {
        let inbox = vec![message(1, "start", Message::Start(start))];
        let run = RunId::of(&key(), &SenderId::new(SENDER).unwrap(), &MessageId::new("start").unwrap());
        let now = Timestamp(1_000);
        let run = TaskRun::start(&task, run, Context { key: key(), board: Board::default(), inbox }, now);
        let stage =
            Self { task, run, now, asked: Vec::new(), commits: Vec::new(), aborted: Vec::new(), over: None, wakes: None, positions: 1 };
        stage.drained()
    }

    fn drained(mut self) -> Self {
        self.drain();
        self
    }

    /// Polls until the run waits or is over; every write succeeds.
    pub(super) fn drain(&mut self) {
        for _ in 0..10_000 {
            match self.run.poll(&self.task, self.now).unwrap() {
                Step::Perform(issued) => self.asked.push((issued.id, issued.effect)),
                Step::Commit(commit) => {
                    self.commits.push(commit);
                    let head = self.run.board().head;
                    self.run.handle(&self.task, Input::Committed { head }, self.now).unwrap();
                }
                Step::Abort(id) => {
                    self.aborted.push(id);
                    self.asked.retain(|(asked, _)| *asked != id);
                }
                Step::Wait { until } => return self.wakes = until,
                Step::Park { until } => self.wakes = Some(until),
                Step::Done(report) => return self.over = Some(report),
                Step::Emit(never) => match never {},
            }
        }
        panic!("the run does not come to rest");
    }

    /// The agent that was asked first of these says something.
    pub(super) fn says(&mut self, agent: &str, text: &str) {
        self.answers(agent, Ok(text.to_owned()));
    }

    pub(super) fn answers(&mut self, agent: &str, said: Result<String, String>) {
        let place = self.asked.iter().position(|(_, effect)| matches!(effect, Effect::Ask { agent: asked, .. } if asked == agent));
        let (id, _) = self.asked.remove(place.unwrap_or_else(|| panic!("{agent} was not asked: {:?}", self.asked)));
        self.outcome(id, Ok(Completed::Answered { said, spent: Spent { llm_calls: 1, tokens: 10 } }));
    }

    pub(super) fn plans(&mut self, content: &str) {
        let place = self.asked.iter().position(|(_, effect)| matches!(effect, Effect::Plan { .. })).expect("the planner is asked");
        let (id, _) = self.asked.remove(place);
        let completion = Completion { content: content.to_owned(), ..Completion::default() };
        self.outcome(id, Ok(Completed::Planned(completion)));
    }

    pub(super) fn outcome(&mut self, id: EffectId, result: Result<Completed, EffectError>) {
        self.run.handle(&self.task, Input::Outcome { id, attempt: 1, result }, self.now).unwrap();
        self.drain();
    }

    /// A message reaches the inbox of a run that is held, or wakes one that is parked.
    pub(super) fn hears(&mut self, id: &str, content: Message) {
        self.positions += 1;
        let message = message(self.positions, id, content);
        if self.over == Some(RunReport::Parked) {
            return self.resume(vec![message]);
        }
        self.run.hear(message, self.now);
        self.drain();
    }

    pub(super) fn passes(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        if self.over == Some(RunReport::Parked) {
            return self.resume(Vec::new());
        }
        self.run.handle(&self.task, Input::Tick, self.now).unwrap();
        self.drain();
    }

    /// Another process goes on from what is durable.
    pub(super) fn resume(&mut self, news: Vec<InboxMessage>) {
        let mut board = Board::default();
        self.commits.iter().flat_map(|commit| commit.events.iter()).for_each(|event| board.apply(event));
        let RunState::Put(saved) = &self.commits.last().expect("something was written").run else { panic!("it is over") };
        let saved: SuspendedTask = serde_json::from_slice(saved).unwrap();
        let mut inbox = vec![message(1, "start", Message::Start(Start::default()))];
        inbox.extend(news);
        self.asked.clear();
        self.over = None;
        self.run = TaskRun::resume(saved, Context { key: key(), board, inbox }, self.now);
        self.drain();
    }

    pub(super) fn queries(&self) -> Vec<(&str, &str)> {
        let asked = self.asked.iter().filter_map(|(_, effect)| match effect {
            Effect::Ask { agent, query, .. } => Some((agent.as_str(), query.as_str())),
            Effect::Plan { .. } | Effect::Report { .. } => None,
        });
        asked.collect()
    }

    pub(super) fn report(&self) -> Report {
        self.run.board().report(key().id)
    }

    pub(super) fn states(&self) -> Vec<String> {
        self.report().steps.iter().map(|step| format!("{} {}", step.name, step.state)).collect()
    }

    pub(super) fn is_parked(&self) -> bool {
        self.over == Some(RunReport::Parked) && matches!(self.commits.last().map(|commit| commit.then), Some(Then::Park(_)))
    }
}

pub(super) fn message(position: u64, id: &str, content: Message) -> InboxMessage {
    InboxMessage {
        position: Position(position),
        sender: SenderId::new(SENDER).unwrap(),
        message_id: MessageId::new(id).unwrap(),
        at: Timestamp(1_000),
        content: content.into_content(),
    }
}
