//! The simulated world: a store, two processes, a clock, and whatever can go wrong between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cota_core::bot::{Bot, OnBusy, Safety};
use cota_core::event::{Event, EventBody, MessageContent};
use cota_core::ids::{BotName, ConversationId, ConversationKey, MessageId, Owner, SenderId, Seq, Timestamp};
use cota_core::machine::{CancelReason, CommitFailure, Input, Issued};
use cota_core::turn::{Effect, Invocation};
use cota_driver::memory::MemoryStore;
use cota_driver::store::{AcceptTerms, Acceptance, AfterAccept, ClaimOutcome, CommitError, CommitTerms, Holder, NewMessage, Next, Store};
use futures_executor::block_on;

use super::holder::{Asked, Driving, Process};
use super::tape::Tape;
use super::{answers, bots};

/// What may go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Chaos {
    /// Processes die and others take over.
    pub crashes: bool,
    /// Turns are saved and resumed in place.
    pub resumes: bool,
}

/// The simulated world.
pub struct World {
    tape: Tape,
    bot: Arc<Bot>,
    key: ConversationKey,
    store: MemoryStore,
    now: Timestamp,
    processes: Vec<Process>,
    /// The messages that were acknowledged, in order.
    acknowledged: Vec<MessageId>,
    /// How often each effect key of each form was performed.
    performed: BTreeMap<(String, String), u32>,
    safety: BTreeMap<String, Safety>,
}

impl World {
    /// Plays `messages` messages with whatever the tape says, to the end, and checks the contract.
    ///
    /// # Panics
    /// If the contract is broken.
    pub fn play(tape: Tape, messages: usize, chaos: Chaos) {
        Self::play_until(tape, messages, chaos, usize::MAX);
    }

    /// The same once for every step of the run, with a crash of everything at that step and nothing else going wrong.
    ///
    /// # Panics
    /// If the contract is broken.
    pub fn play_with_a_crash_at_every_step(tape: &Tape, messages: usize) {
        let calm = Chaos { crashes: false, resumes: false };
        let rounds = Self::play_until(tape.clone(), messages, calm, usize::MAX);
        for crash_at in 0..rounds {
            Self::play_until(tape.clone(), messages, calm, crash_at);
        }
    }

    fn play_until(tape: Tape, messages: usize, chaos: Chaos, crash_at: usize) -> usize {
        let mut world = Self::new(tape);
        let mut left = messages;
        let mut rounds = 0;
        while !world.tape.used_up() && rounds < 4000 {
            if rounds == crash_at {
                world.crash(0);
                world.crash(1);
            }
            rounds += 1;
            world.random_event(&mut left, chaos);
        }
        for _ in 0..left {
            world.send();
        }
        world.settle();
        world.check();
        rounds
    }

    fn new(mut tape: Tape) -> Self {
        let bot = bots::random(&mut tape);
        let process = |name: &str| Process { holder: Holder(name.to_owned()), driving: None };
        Self {
            tape,
            bot,
            key: ConversationKey {
                bot: BotName::new("random").expect("a name"),
                owner: Owner::public(),
                id: ConversationId::new("c").expect("an id"),
            },
            store: MemoryStore::new(),
            now: Timestamp(1_000_000),
            processes: vec![process("a"), process("b")],
            acknowledged: Vec::new(),
            performed: BTreeMap::new(),
            safety: bots::FORMS.iter().filter_map(|(name, safety)| safety.map(|safety| ((*name).to_owned(), safety))).collect(),
        }
    }

    fn random_event(&mut self, left: &mut usize, chaos: Chaos) {
        let who = self.tape.below(2);
        match self.tape.below(12) {
            0..=5 => self.step(who),
            6 => {
                if *left > 0 {
                    *left -= 1;
                    self.send();
                }
            }
            7 => self.now = self.now.plus_ms([10, 300, 6_000, 20_000][self.tape.below(4)]),
            8 => self.ring(who),
            9 if chaos.crashes => self.crash(who),
            10 if chaos.resumes => self.save_and_resume(who),
            11 => self.repeat_or_cancel(who),
            _ => self.step(who),
        }
    }

    /// A user sends a message; a repeat of an acknowledged one is never accepted again.
    fn send(&mut self) {
        let n = self.acknowledged.len();
        let id = MessageId::new(format!("m{n}")).expect("an id");
        let who = self.tape.below(2);
        let text = (*self.tape.pick(&["a question", "pay", "hello", ""])).to_owned();
        let message = NewMessage {
            sender: SenderId::new("user").expect("a sender"),
            message_id: id.clone(),
            at: self.now,
            content: MessageContent { text, ..MessageContent::default() },
        };
        let drives = self.tape.below(2) == 0 && self.processes[who].driving.is_none();
        let holder = self.processes[who].holder.clone();
        let wakes = self.bot.settings().on_busy == OnBusy::Latest;
        let terms = AcceptTerms { drive_as: drives.then_some(holder), max_queue: 100, reject_if_busy: false, wakes };
        let accepted = block_on(self.store.accept(&self.key, message.clone(), &terms)).expect("the memory store answers");
        let Acceptance::Accepted { then, .. } = accepted else { panic!("refused: {accepted:?}") };
        self.acknowledged.push(id);
        if let AfterAccept::Drive(claimed) = then {
            self.drive(who, claimed);
        }
        let again = block_on(self.store.accept(&self.key, message, &terms)).expect("the memory store answers");
        assert!(matches!(again, Acceptance::Repeated(_)), "a repeat was accepted: {again:?}");
    }

    fn drive(&mut self, who: usize, claimed: cota_driver::store::Claimed) {
        let loaded = block_on(self.store.load(&self.key)).expect("the memory store answers").expect("a claimed conversation exists");
        let invocation = self.invocation();
        self.processes[who].driving = Driving::begin(&self.bot, &self.key, claimed, loaded, invocation, self.now);
    }

    /// A process of its own, or one that ends by itself: a turn parks in it where it takes too long.
    fn invocation(&mut self) -> Option<Invocation> {
        let ms = *self.tape.pick(&[None, None, Some(40_000), Some(4_000)]);
        ms.map(|ms| Invocation { until: self.now.plus_ms(ms), budget_ms: 40_000 })
    }

    fn ring(&mut self, who: usize) {
        if self.processes[who].driving.is_some() {
            return;
        }
        let holder = self.processes[who].holder.clone();
        let outcome = block_on(self.store.claim(&self.key, &holder, self.now)).expect("the memory store answers");
        if let ClaimOutcome::Taken(claimed) = outcome {
            self.drive(who, claimed);
        }
    }

    fn crash(&mut self, who: usize) {
        self.processes[who].driving = None;
    }

    fn save_and_resume(&mut self, who: usize) {
        let Some(driving) = self.processes[who].driving.take() else { return };
        // With a write begun, or the last one done, the process would have to read the store first: that is the crash.
        if driving.writing || driving.next.as_ref().is_some_and(|next| *next != Next::Held) {
            self.processes[who].driving = Some(driving);
            return;
        }
        let loaded = block_on(self.store.load(&self.key)).expect("the memory store answers").expect("the conversation exists");
        self.processes[who].driving = Some(driving.save_and_resume(loaded.tracker, self.now));
    }

    /// A late or repeated outcome, a piece of a stream, a tick, or a cancel: all harmless at any time.
    fn repeat_or_cancel(&mut self, who: usize) {
        let (bot, now) = (Arc::clone(&self.bot), self.now);
        let choice = self.tape.below(4);
        let Some(driving) = self.processes[who].driving.as_mut().filter(|driving| driving.waits) else { return };
        let issued = driving.effects.last().cloned();
        let input = match (choice, issued) {
            (3, _) if !driving.late.is_empty() => driving.late.remove(0),
            (0, Some(issued)) => Input::Delta { id: issued.id, attempt: issued.attempt, delta: "{\"text\": \"par".to_owned() },
            (1, Some(issued)) if issued.attempt > 1 => {
                Input::Outcome { id: issued.id, attempt: issued.attempt - 1, result: answers::random(&mut self.tape, &issued.effect) }
            }
            (2, _) if self.bot.settings().on_busy == OnBusy::Latest => Input::Cancel(CancelReason::Superseded),
            _ => Input::Tick,
        };
        let driving = self.processes[who].driving.as_mut().expect("still driving");
        driving.feed(&bot, input, now);
    }

    /// One poll, or one answer to what the last poll asked for.
    fn step(&mut self, who: usize) {
        let (bot, now) = (Arc::clone(&self.bot), self.now);
        let Some(driving) = self.processes[who].driving.as_mut() else { return };
        if driving.commit.is_some() && self.tape.below(2) == 0 {
            return self.answer_commit(who);
        }
        let driving = self.processes[who].driving.as_mut().expect("still driving");
        if !driving.waits || driving.waits_until.is_some_and(|until| until <= now) {
            match driving.poll(&bot, now) {
                Asked::Nothing => {}
                Asked::Perform(issued) => self.perform(&issued),
                Asked::Done => self.finished(who),
            }
            return;
        }
        if driving.commit.is_some() {
            return self.answer_commit(who);
        }
        if driving.effects.is_empty() {
            return;
        }
        let issued = driving.effects.remove(0);
        let result = answers::random(&mut self.tape, &issued.effect);
        let driving = self.processes[who].driving.as_mut().expect("still driving");
        let outcome = Input::Outcome { id: issued.id, attempt: issued.attempt, result };
        driving.feed(&bot, outcome.clone(), now);
        driving.late.push(outcome);
    }

    /// The world changes the moment an effect is performed, whatever becomes of its answer.
    fn perform(&mut self, issued: &Issued<Effect>) {
        let Effect::RunExecutor { action, .. } = &issued.effect else { return };
        let run = self.processes.iter().filter_map(|process| process.driving.as_ref()).find(|driving| driving.effects.contains(issued));
        let key = format!("{}/{}", run.expect("somebody drives").turn.run(), issued.id.0);
        *self.performed.entry((action.clone(), key)).or_default() += 1;
    }

    fn answer_commit(&mut self, who: usize) {
        let (bot, now) = (Arc::clone(&self.bot), self.now);
        let fate = self.tape.below(8);
        let driving = self.processes[who].driving.as_mut().expect("somebody drives");
        let commit = driving.commit.take().expect("a commit is under way");
        if fate == 7 {
            return driving.commit_failed(&bot, CommitFailure::Transient, now);
        }
        let heard = driving.turn.input().last().filter(|_| bot.settings().on_busy == OnBusy::Latest).map(|own| own.position);
        let terms = CommitTerms { now, lease_until: now.plus_ms(cota_core::limits::LEASE_MS), go_on: true, heard };
        match block_on(self.store.commit(&self.key, &driving.claim, &commit, &terms)) {
            // Written, but the answer is lost.
            Ok(_) if fate == 6 => driving.commit_failed(&bot, CommitFailure::Transient, now),
            Ok(committed) => {
                let stored = block_on(self.store.events(&self.key, Seq(0), usize::MAX)).expect("the memory store answers");
                assert!(commit.events.iter().all(|event| stored.contains(event)), "delivered before it is durable");
                driving.committed(&bot, committed, now);
            }
            Err(CommitError::Fenced) => driving.commit_failed(&bot, CommitFailure::Fenced, now),
            Err(CommitError::Unavailable(_)) => driving.commit_failed(&bot, CommitFailure::Transient, now),
        }
    }

    fn finished(&mut self, who: usize) {
        let Some(driving) = self.processes[who].driving.take() else { return };
        if let Some(Next::Waiting { claim, .. }) = driving.next {
            let claimed = cota_driver::store::Claimed { claim, head: Seq::default(), last_commit: None, saved: false, loaded: None };
            self.drive(who, claimed);
        }
    }

    /// From here on nothing goes wrong any more: everything must come to its end.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            if self.processes.iter().all(|process| process.driving.is_none()) {
                self.now = self.now.plus_ms(20_000);
                self.ring(0);
                if self.processes.iter().all(|process| process.driving.is_none()) {
                    return;
                }
            }
            for who in 0..self.processes.len() {
                self.step(who);
                let waits = self.processes[who].driving.as_ref().and_then(|driving| driving.waits_until.filter(|_| driving.waits));
                let idle =
                    self.processes[who].driving.as_ref().is_some_and(|driving| driving.effects.is_empty() && driving.commit.is_none());
                if let Some(until) = waits.filter(|_| idle) {
                    self.now = self.now.max(until);
                }
            }
        }
        panic!("the world does not come to rest");
    }

    fn check(&self) {
        let events = block_on(self.store.events(&self.key, Seq(0), usize::MAX)).expect("the memory store answers");
        check_sequence(&events);
        self.check_messages(&events);
        self.check_effects(&events);
        let folded = events.iter().fold(cota_core::tracker::Tracker::default(), |mut tracker, event| {
            tracker.apply(event);
            tracker
        });
        let loaded = block_on(self.store.load(&self.key)).expect("the memory store answers").unwrap_or_default();
        assert_eq!(folded.active_form(), loaded.tracker.active_form(), "the snapshot and the record disagree");
        assert!(loaded.inbox.is_empty(), "messages are left over: {:?}", loaded.inbox);
    }

    /// Each message and each answer exactly once, in the order of acceptance.
    fn check_messages(&self, events: &[Event]) {
        let heard: Vec<&MessageId> = events
            .iter()
            .filter_map(|event| match &event.body {
                EventBody::Action(action) if action.name == "UserUtter" => {
                    Some(action.result.iter().filter_map(|item| item.message_id.as_ref()))
                }
                EventBody::Action(_) | EventBody::TurnEnd(_) | EventBody::Control(_) | EventBody::Task(_) => None,
            })
            .flatten()
            .collect();
        assert_eq!(heard, self.acknowledged.iter().collect::<Vec<_>>(), "the record does not hold each message once and in order");
        let answered: Vec<&MessageId> = events
            .iter()
            .filter_map(|event| match &event.body {
                EventBody::TurnEnd(end) => Some(end.message_ids.iter()),
                EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => None,
            })
            .flatten()
            .collect();
        assert_eq!(answered, heard, "the record does not answer each message once and in order");
    }

    /// No effect with side effects twice: neither under one key where that may not be, nor under two keys for one action.
    fn check_effects(&self, events: &[Event]) {
        for ((form, key), times) in &self.performed {
            if self.safety.get(form) == Some(&Safety::AtMostOnce) {
                assert_eq!(*times, 1, "{form} was performed {times} times under {key}");
            }
        }
        for (form, safety) in &self.safety {
            if *safety == Safety::ReadOnly {
                continue;
            }
            let keys: BTreeSet<&String> = self.performed.keys().filter(|(name, _)| name == form).map(|(_, key)| key).collect();
            let recorded = events
                .iter()
                .filter(|event| matches!(&event.body, EventBody::Action(action) if action.name == *form && action.state == Some(cota_core::event::FormState::End)))
                .count();
            assert!(
                keys.len() <= recorded + self.given_up(events),
                "{form} was performed under {} keys but is recorded {recorded} times",
                keys.len()
            );
        }
    }

    /// Runs that were given up after their effects were performed: their forms are not recorded as ended.
    fn given_up(&self, events: &[Event]) -> usize {
        events.iter().filter(|event| matches!(event.body, EventBody::Control(cota_core::event::Control::GaveUp { .. }))).count()
    }
}

fn check_sequence(events: &[Event]) {
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.seq, Seq(index as u64 + 1), "the log has a gap or a double");
    }
}
