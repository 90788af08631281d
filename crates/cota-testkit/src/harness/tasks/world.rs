//! A store, a task that is driven, crashed and resumed, and agents that count what they are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cota_core::event::Event;
use cota_core::ids::{BotName, ConversationId, ConversationKey, MessageId, Owner, Position, SenderId, Seq, Timestamp};
use cota_core::limits;
use cota_core::machine::{CommitFailure, Input, Issued, Machine as _, Step};
use cota_core::task::{
    Board, Completed, Context, Effect, Message, RunReport, SENDER, Spent, Start, State, StepState, SuspendedTask, TaskRun,
};
use cota_core::task::{answer_id, start_id};
use cota_core::turn::Commit;
use cota_driver::memory::MemoryStore;
use cota_driver::store::{AcceptTerms, Acceptance, Claim, ClaimOutcome, CommitError, CommitTerms, Holder, NewMessage, Next, Store as _};
use futures_executor::block_on;

use super::plans::{Drawn, Fate, draw};
use crate::harness::Tape;

/// The simulated world of one task.
pub struct TaskWorld {
    tape: Tape,
    drawn: Arc<Drawn>,
    fates: BTreeMap<String, Fate>,
    key: ConversationKey,
    store: MemoryStore,
    now: Timestamp,
    driving: Option<Driving>,
    /// The task as its log tells it.
    durable: Board,
    processes: u32,
    /// Each message that an agent was sent, with the step and the try that it is for.
    asked: BTreeMap<MessageId, (String, u16)>,
    /// What the conversation that began the task was told, by the message's id, and whether its bot is to answer.
    told: BTreeMap<MessageId, (String, bool)>,
    /// Messages that an agent has not answered.
    open: BTreeMap<MessageId, String>,
    /// Whether agents tell of their answers by messages, which may be lost.
    tells: bool,
    parked: Option<Timestamp>,
    polls: usize,
}

/// A process at work on the task.
struct Driving {
    run: TaskRun,
    claim: Claim,
    effects: Vec<Issued<Effect>>,
    late: Vec<Input<Completed, std::convert::Infallible>>,
    commit: Option<Commit>,
    until: Option<Timestamp>,
    waits: bool,
    heard: Position,
}

impl TaskWorld {
    /// Runs a random plan of at most `most` steps with whatever the tape says, to the end, and checks what came of it.
    ///
    /// # Panics
    /// If the contract is broken.
    pub fn play(tape: Tape, most: usize) {
        let mut world = Self::new(tape, most);
        world.start();
        let mut rounds = 0;
        while !world.tape.used_up() && !world.is_over() && rounds < 20_000 {
            rounds += 1;
            world.happen();
        }
        world.settle();
        world.check();
    }

    /// The same plan once for every poll, with a crash there and nothing else going wrong.
    ///
    /// # Panics
    /// If the contract is broken.
    pub fn play_with_a_crash_at_every_step(tape: &Tape, most: usize) {
        let mut calm = Self::new(tape.clone(), most);
        calm.start();
        calm.tape = Tape::new(Vec::new());
        calm.settle();
        for crash_at in 0..calm.polls {
            let mut world = Self::new(tape.clone(), most);
            world.start();
            world.tape = Tape::new(Vec::new());
            while world.polls < crash_at && !world.is_over() {
                world.go_on();
            }
            world.driving = None;
            world.settle();
            world.check();
        }
    }

    fn new(mut tape: Tape, most: usize) -> Self {
        let drawn = draw(&mut tape, most);
        let fates = drawn.fates();
        let tells = tape.below(2) == 1;
        Self {
            tells,
            tape,
            drawn: Arc::new(drawn),
            fates,
            key: ConversationKey {
                bot: BotName::new("drawn").expect("a name"),
                owner: Owner::public(),
                id: ConversationId::new("t").expect("an id"),
            },
            store: MemoryStore::new(),
            now: Timestamp(1_000_000),
            driving: None,
            durable: Board::default(),
            processes: 0,
            asked: BTreeMap::new(),
            told: BTreeMap::new(),
            open: BTreeMap::new(),
            parked: None,
            polls: 0,
        }
    }

    fn start(&mut self) {
        let report_to = (self.tape.below(2) == 1).then(|| ConversationKey {
            bot: BotName::new("host").expect("a name"),
            id: ConversationId::new("c").expect("an id"),
            ..self.key.clone()
        });
        let start = Message::Start(Start { input: "the job".to_owned(), report_to });
        self.send(start_id().expect("an id"), start);
    }

    fn send(&mut self, message_id: MessageId, message: Message) {
        let sender = SenderId::new(SENDER).expect("a sender");
        let message = NewMessage { sender, message_id, at: self.now, content: message.into_content() };
        let terms = AcceptTerms { drive_as: None, max_queue: limits::TASK_MESSAGES, reject_if_busy: false, wakes: true };
        let accepted = block_on(self.store.accept(&self.key, message, &terms)).expect("the memory store answers");
        assert!(matches!(accepted, Acceptance::Accepted { .. } | Acceptance::Repeated(_)), "refused: {accepted:?}");
    }

    fn happen(&mut self) {
        match self.tape.below(16) {
            0..=8 => self.go_on(),
            9 => self.now = self.now.plus_ms([1, 200, 5_000, 16_000][self.tape.below(4)]),
            10 => self.driving = None,
            11 => self.answer_people(),
            12 => self.repeat_late(),
            13 => {
                self.answer_by_message();
            }
            _ => self.go_on(),
        }
    }

    /// One step of whoever drives; somebody takes the task over where nobody does.
    fn go_on(&mut self) {
        if self.driving.is_none() {
            return self.take();
        }
        let drawn = Arc::clone(&self.drawn);
        let now = self.now;
        self.hear();
        let Some(driving) = self.driving.as_mut() else { return };
        if driving.commit.is_some() && self.tape.below(2) == 0 {
            return self.answer_commit();
        }
        if driving.waits && driving.until.is_none_or(|until| until > now) {
            if driving.commit.is_some() {
                return self.answer_commit();
            }
            return self.answer_an_agent();
        }
        if driving.waits {
            driving.run.handle(&drawn.task, Input::Tick, now).expect("a tick");
        }
        self.poll();
    }

    fn poll(&mut self) {
        self.polls += 1;
        let (drawn, now) = (Arc::clone(&self.drawn), self.now);
        let Some(driving) = self.driving.as_mut() else { return };
        driving.waits = false;
        match driving.run.poll(&drawn.task, now).expect("the machine keeps the contract") {
            Step::Perform(issued) => self.perform(issued),
            Step::Commit(commit) => driving.commit = Some(commit),
            Step::Wait { until } => {
                driving.waits = true;
                driving.until = until;
            }
            Step::Abort(id) => driving.effects.retain(|issued| issued.id != id),
            Step::Emit(never) => match never {},
            Step::Park { until } => self.parked = Some(until),
            Step::Done(RunReport::Abandoned | RunReport::Fenced | RunReport::Parked | RunReport::Finished(_) | RunReport::Idle) => {
                self.driving = None;
            }
        }
    }

    fn take(&mut self) {
        self.processes += 1;
        let holder = Holder(format!("p{}", self.processes));
        let outcome = block_on(self.store.claim(&self.key, &holder, self.now)).expect("the memory store answers");
        let claim = match outcome {
            ClaimOutcome::Taken(claimed) => claimed.claim,
            ClaimOutcome::Held { until } => return self.now = self.now.max(until),
            ClaimOutcome::Parked { until } => {
                self.answer_people();
                if !self.answer_by_message() && self.is_at_work() {
                    // What nobody told of is looked for.
                    self.now = self.now.max(until);
                }
                return;
            }
            ClaimOutcome::Idle => return self.answer_people(),
        };
        let run = self.load(&claim);
        self.driving = Some(Driving {
            run,
            claim,
            effects: Vec::new(),
            late: Vec::new(),
            commit: None,
            until: None,
            waits: false,
            heard: Position::default(),
        });
    }

    fn load(&self, claim: &Claim) -> TaskRun {
        let loaded = block_on(self.store.load(&self.key)).expect("the memory store answers").expect("the task exists");
        let context = Context { key: self.key.clone(), board: self.durable.clone(), inbox: loaded.inbox };
        match loaded.saved {
            Some(bytes) => {
                let saved: SuspendedTask = serde_json::from_slice(&bytes).expect("a saved run");
                TaskRun::resume(saved, context, self.now)
            }
            None => TaskRun::start(&self.drawn.task, claim.run.clone(), context, self.now),
        }
    }

    fn events(&self) -> Vec<Event> {
        block_on(self.store.events(&self.key, Seq(0), usize::MAX)).expect("the memory store answers")
    }

    /// What a driver does that was nudged: it reads the inbox.
    fn hear(&mut self) {
        let inbox = block_on(self.store.load(&self.key)).expect("the memory store answers").map(|loaded| loaded.inbox);
        let Some(driving) = self.driving.as_mut() else { return };
        for message in inbox.unwrap_or_default() {
            if message.position > driving.heard {
                driving.heard = message.position;
                driving.waits = false;
                driving.run.hear(message, self.now);
            }
        }
    }

    /// An agent hears a message: the first time it does the work, again it only says what it said.
    fn perform(&mut self, issued: Issued<Effect>) {
        let (agent, message_id, query) = match &issued.effect {
            Effect::Ask { agent, message_id, query, .. } => (agent, message_id, query),
            Effect::Report { message_id, text, for_bot, .. } => {
                let told = (text.clone(), *for_bot);
                let known = self.told.entry(message_id.clone()).or_insert_with(|| told.clone());
                assert_eq!(*known, told, "{message_id} tells two things");
                return self.driving.as_mut().expect("somebody drives").effects.push(issued);
            }
            Effect::Plan { .. } => panic!("a static plan asks no planner"),
        };
        let durable = &self.durable;
        let step = durable.steps().iter().find(|step| step.state == StepState::Running(issued.id.0));
        let step = step.expect("a step is asked of its agent only once its beginning is durable");
        let source = &step.planned.source;
        for dependency in &source.dependencies {
            let other = durable.step(dependency).expect("a step of the plan");
            assert!(other.is_over(), "{} began before {dependency} had ended", source.name);
        }
        assert_eq!(*query, self.drawn.query(source, &self.fates), "what {} is asked", source.name);
        let tried = (source.name.clone(), step.tries);
        match self.asked.get(message_id) {
            Some(known) => assert_eq!(*known, tried, "one message for two steps"),
            None => {
                assert!(!self.asked.values().any(|other| *other == tried), "{tried:?} is asked twice");
                let works = self.open.values().any(|other| other == agent);
                assert!(!works, "{agent} is asked while it works");
                self.asked.insert(message_id.clone(), tried);
                self.open.insert(message_id.clone(), agent.clone());
                let most = usize::try_from(self.drawn.task.settings.max_concurrent).expect("a small number");
                assert!(self.open.len() <= most, "more than {most} steps run at once");
            }
        }
        self.driving.as_mut().expect("somebody drives").effects.push(issued);
    }

    /// One of the agents answers, whichever.
    fn answer_an_agent(&mut self) {
        let (drawn, now) = (Arc::clone(&self.drawn), self.now);
        let Some(driving) = self.driving.as_mut() else { return };
        if driving.effects.is_empty() {
            match driving.until {
                Some(until) => self.now = self.now.max(until),
                None => self.answer_people(),
            }
            return;
        }
        let which = self.tape.below(driving.effects.len());
        let issued = driving.effects.remove(which);
        let result = match &issued.effect {
            Effect::Ask { message_id, .. } if self.tells && self.open.contains_key(message_id) => Ok(Completed::Asked),
            Effect::Ask { message_id, .. } => {
                self.open.remove(message_id);
                let (said, spent) = answer_to(&self.drawn, &self.asked[message_id]);
                Ok(Completed::Answered { said, spent })
            }
            Effect::Report { .. } | Effect::Plan { .. } => Ok(Completed::Reported),
        };
        let input = Input::Outcome { id: issued.id, attempt: issued.attempt, result };
        driving.run.handle(&drawn.task, input.clone(), now).expect("an outcome");
        driving.late.push(input);
        driving.waits = false;
    }

    /// One of the agents that tell of their answers has one; what it tells may be lost, or come twice. Whether any had.
    fn answer_by_message(&mut self) -> bool {
        if !self.tells || self.open.is_empty() {
            return false;
        }
        let which = self.tape.below(self.open.len());
        let asked = self.open.keys().nth(which).expect("one of them").clone();
        self.open.remove(&asked);
        let (said, spent) = answer_to(&self.drawn, &self.asked[&asked]);
        for _ in 0..[1, 1, 2, 0][self.tape.below(4)] {
            self.send(asked.clone(), Message::Outcome { said: said.clone(), spent });
        }
        true
    }

    /// Whether an agent is at work, as far as the log tells.
    fn is_at_work(&self) -> bool {
        let running = |step: &cota_core::task::Step| matches!(step.state, StepState::Running(_)) && !step.planned.is_human();
        self.durable.steps().iter().any(running)
    }

    fn repeat_late(&mut self) {
        let (drawn, now) = (Arc::clone(&self.drawn), self.now);
        if let Some(driving) = self.driving.as_mut()
            && let Some(input) = driving.late.pop()
            && driving.run.handle(&drawn.task, input, now).is_err()
        {
            // It is over, and says so.
            assert!(
                matches!(driving.run.poll(&drawn.task, now), Ok(Step::Done(_) | Step::Park { .. })),
                "a double is harmless while it runs"
            );
        }
    }

    /// The people who are asked answer.
    fn answer_people(&mut self) {
        let board = &self.durable;
        let asked: Vec<String> =
            board.steps().iter().map(|step| step.planned.source.name.clone()).filter(|name| board.asks(name)).collect();
        let waits = !board.steps().iter().any(|step| matches!(step.state, StepState::Running(_)));
        for step in asked {
            let Fate::Done(text) = self.fates[&step].clone() else { panic!("{step} should not be asked") };
            self.send(answer_id(&step).expect("an id"), Message::Answer { step, text });
        }
        if self.driving.is_none()
            && waits
            && let Some(until) = self.parked.take()
        {
            self.now = self.now.max(until);
        }
    }

    fn answer_commit(&mut self) {
        let (drawn, now) = (Arc::clone(&self.drawn), self.now);
        let fate = self.tape.below(8);
        let Some(driving) = self.driving.as_mut() else { return };
        driving.waits = false;
        let Some(commit) = driving.commit.take() else { return };
        let heard = Some(driving.run.heard());
        let terms = CommitTerms { now, lease_until: now.plus_ms(limits::LEASE_MS), go_on: false, heard };
        let input = if fate == 7 {
            Input::CommitFailed(CommitFailure::Transient)
        } else {
            let written = block_on(self.store.commit(&self.key, &driving.claim, &commit, &terms));
            if written.is_ok() {
                commit.events.iter().for_each(|event| self.durable.apply(event));
            }
            match written {
                // Written, but the answer is lost.
                Ok(_) if fate == 6 => Input::CommitFailed(CommitFailure::Transient),
                Ok(committed) => {
                    assert!(!matches!(committed.next, Next::Waiting { .. }), "nobody takes what waits in the same claim");
                    Input::Committed { head: committed.head }
                }
                Err(CommitError::Fenced) => Input::CommitFailed(CommitFailure::Fenced),
                Err(CommitError::Unavailable(_)) => Input::CommitFailed(CommitFailure::Transient),
            }
        };
        driving.run.handle(&drawn.task, input, now).expect("a commit that was answered");
    }

    fn is_over(&self) -> bool {
        self.driving.is_none()
            && self.durable.is_over()
            && block_on(self.store.load(&self.key)).is_ok_and(|loaded| loaded.is_some_and(|loaded| loaded.inbox.is_empty()))
    }

    /// From here on nothing goes wrong any more: the task must come to its end.
    fn settle(&mut self) {
        for _ in 0..4_000 {
            if self.driving.is_none() && self.is_over() {
                return;
            }
            self.go_on();
        }
        panic!("the task does not come to its end: {:?}", self.durable.report(self.key.id.clone()));
    }

    /// Whoever began the task has heard of each step that an agent came to an end with, and of the end; of a question unless it was
    /// answered before anybody could be told.
    fn check_told(&self, board: &Board) {
        let mut due = BTreeMap::from([(self.key.id.to_string(), true)]);
        let mut asked = BTreeMap::new();
        for step in board.steps() {
            let id = format!("{}/{}", self.key.id, step.planned.source.name);
            if step.planned.is_human() {
                asked.insert(id, true);
            } else if matches!(step.state, StepState::Done | StepState::Failed) {
                due.insert(id, false);
            }
        }
        let told = self.told.iter().map(|(id, (_, for_bot))| (id.to_string(), *for_bot));
        let told: BTreeMap<String, bool> = told.filter(|(id, _)| !asked.contains_key(id)).collect();
        assert_eq!(told, due);
        let questions = self.told.iter().filter(|(id, _)| asked.contains_key(&id.to_string()));
        assert!(questions.into_iter().all(|(_, (_, for_bot))| *for_bot), "a question is for the bot");
    }

    fn check(&self) {
        let mut board = Board::default();
        self.events().iter().for_each(|event| board.apply(event));
        let report = board.report(self.key.id.clone());
        for (name, fate) in &self.fates {
            let step = board.step(name).expect("every step is in the record");
            let came = match (&step.state, step.let_down()) {
                (StepState::Done, _) => Fate::Done(step.result.clone()),
                (StepState::Failed, _) => Fate::Failed,
                (StepState::Skipped(_), true) => Fate::LetDown,
                (StepState::Skipped(_), false) => Fate::Idle,
                (other, _) => panic!("{name} is left {other:?}"),
            };
            assert_eq!(came, *fate, "{name}");
        }
        let done = self.fates.values().any(|fate| matches!(fate, Fate::Done(_)));
        let lost = self.fates.values().any(|fate| matches!(fate, Fate::Failed | Fate::LetDown));
        let state = match (done, lost) {
            (_, false) => State::Done,
            (true, true) => State::Partial,
            (false, true) => State::Failed,
        };
        assert_eq!(report.state, state);
        if board.reports() {
            self.check_told(&board);
        }
        let tries: BTreeSet<&(String, u16)> = self.asked.values().collect();
        assert_eq!(tries.len(), self.asked.len(), "a try was asked twice");
        assert_eq!(report.steps.len(), self.fates.len());
        for (index, event) in self.events().iter().enumerate() {
            assert_eq!(event.seq, Seq(index as u64 + 1), "the log has a gap or a double");
        }
    }
}

fn answer_to(drawn: &Drawn, (step, tries): &(String, u16)) -> (Result<String, String>, Spent) {
    (drawn.answer(step, *tries), Spent { llm_calls: 1, tokens: 0 })
}
