//! A stage for a turn: a bot, a script of answers, and a log of what was asked and emitted.

use std::collections::VecDeque;

use serde_json::{Value as Json, json};

use crate::bot::{
    Action, ActionKind, Bot, BotSource, Dialogue, DialogueStep, Executor, ExecutorKind, Expected, Form, Llm, LlmKind, MockCall, Safety,
    USER_UTTER,
};
use crate::event::{ActionRecord, Event, EventBody, InboxMessage, MessageContent, TurnEnd};
use crate::ids::{BotName, ConversationId, ConversationKey, MessageId, Owner, Position, RunId, SenderId, Timestamp};
use crate::machine::{EffectError, FailureKind, Input, Issued, Machine};
use crate::tests::{action, slot, source};
use crate::tracker::Tracker;
use crate::turn::{Commit, Completion, Context, Effect, Fragment, LlmCall, Outcome, Then, ToolCall, Turn, TurnReport, TurnStep};

/// What the world answers to one effect.
pub(super) enum Answer {
    Says(String),
    Calls(Vec<(&'static str, Json)>),
    Streams(Vec<&'static str>),
    /// Streams these pieces and then breaks off.
    Breaks(Vec<&'static str>),
    Executes(&'static str),
    Fails(FailureKind),
    Hangs,
}

pub(super) fn says(content: &str) -> Answer {
    Answer::Says(content.to_owned())
}

pub(super) fn picks(action: &str) -> Answer {
    Answer::Says(json!({"thought": "because", "action": action}).to_string())
}

pub(super) fn utters(text: &str) -> Answer {
    Answer::Says(json!({"thought": "so", "text": text}).to_string())
}

/// A conversation under test.
pub(super) struct Stage {
    pub(super) bot: Bot,
    pub(super) tracker: Tracker,
    pub(super) events: Vec<Event>,
    pub(super) now: Timestamp,
    messages: u64,
}

/// What one turn did.
pub(super) struct Played {
    pub(super) report: TurnReport,
    pub(super) events: Vec<Event>,
    pub(super) asked: Vec<Effect>,
    pub(super) shown: Vec<Fragment>,
    pub(super) commits: Vec<Commit>,
    /// How long the turn took, in milliseconds.
    pub(super) took: u64,
}

impl Played {
    pub(super) fn actions(&self) -> Vec<&ActionRecord> {
        self.events
            .iter()
            .filter_map(|event| match &event.body {
                EventBody::Action(action) => Some(action.as_ref()),
                EventBody::TurnEnd(_) | EventBody::Control(_) | EventBody::Task(_) => None,
            })
            .collect()
    }

    /// `Name:text`, a form as `Name/state:text`.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |action: &&ActionRecord| {
            let state = action.state.map(|state| format!("/{}", json!(state).as_str().unwrap_or_default())).unwrap_or_default();
            format!("{}{state}:{}", action.name, crate::tracker::result_text(action))
        };
        self.actions().iter().map(line).collect()
    }

    pub(super) fn end(&self) -> &TurnEnd {
        let end = self.events.iter().find_map(|event| match &event.body {
            EventBody::TurnEnd(end) => Some(end.as_ref()),
            EventBody::Action(_) | EventBody::Control(_) | EventBody::Task(_) => None,
        });
        end.expect("the turn has an end")
    }

    pub(super) fn said(&self) -> Vec<&str> {
        self.end().replies.iter().map(|reply| reply.text.as_str()).collect()
    }

    pub(super) fn calls(&self) -> Vec<&LlmCall> {
        self.asked
            .iter()
            .filter_map(|effect| match effect {
                Effect::CallLlm(call) => Some(call),
                Effect::RunExecutor { .. } => None,
            })
            .collect()
    }
}

impl Stage {
    pub(super) fn new(bot: Bot) -> Self {
        Self { bot, tracker: Tracker::default(), events: Vec::new(), now: Timestamp(1_000_000), messages: 0 }
    }

    pub(super) fn key() -> ConversationKey {
        ConversationKey { bot: BotName::new("b").unwrap(), owner: Owner::public(), id: ConversationId::new("c").unwrap() }
    }

    pub(super) fn message(&mut self, text: &str) -> InboxMessage {
        self.messages += 1;
        InboxMessage {
            position: Position(self.messages),
            sender: SenderId::new("user").unwrap(),
            message_id: MessageId::new(format!("m{}", self.messages)).unwrap(),
            at: self.now,
            content: MessageContent { text: text.to_owned(), ..MessageContent::default() },
        }
    }

    pub(super) fn turn(&mut self, input: Vec<InboxMessage>) -> Turn {
        let run = RunId::of(&Self::key(), &input[0].sender, &input[0].message_id);
        let context = Context { tracker: self.tracker.clone(), streams: true, ..Context::default() };
        Turn::start(&self.bot, Self::key(), run, input, context, self.now)
    }

    pub(super) fn say(&mut self, text: &str, script: impl IntoIterator<Item = Answer>) -> Played {
        let message = self.message(text);
        let turn = self.turn(vec![message]);
        self.play(turn, script)
    }

    fn stream(&self, turn: &mut Turn, issued: &Issued<Effect>, pieces: &[&str], shown: &mut Vec<Fragment>) {
        for piece in pieces {
            let delta = Input::Delta { id: issued.id, attempt: issued.attempt, delta: (*piece).to_owned() };
            turn.handle(&self.bot, delta, self.now).unwrap();
            while let TurnStep::Emit(fragment) = turn.poll(&self.bot, self.now).unwrap() {
                shown.push(fragment);
            }
        }
    }

    /// Plays a turn to its end; each effect takes 10 ms, and the clock jumps over every wait.
    pub(super) fn play(&mut self, mut turn: Turn, script: impl IntoIterator<Item = Answer>) -> Played {
        let mut script: VecDeque<Answer> = script.into_iter().collect();
        let began = self.now;
        let mut played = Played {
            report: TurnReport::Abandoned,
            events: Vec::new(),
            asked: Vec::new(),
            shown: Vec::new(),
            commits: Vec::new(),
            took: 0,
        };
        loop {
            match turn.poll(&self.bot, self.now).expect("the contract holds") {
                TurnStep::Perform(issued) => {
                    played.asked.push(issued.effect.clone());
                    let answer = script.pop_front().unwrap_or_else(|| panic!("no answer is left for {:?}", issued.effect));
                    self.now = self.now.plus_ms(10);
                    let (id, attempt) = (issued.id, issued.attempt);
                    let result = match answer {
                        Answer::Hangs => continue,
                        Answer::Fails(kind) => Err(EffectError::new(kind, "it failed")),
                        Answer::Says(content) => {
                            Ok(Outcome::Llm(Completion { content, prompt_tokens: 5, completion_tokens: 2, ..Completion::default() }))
                        }
                        Answer::Calls(calls) => Ok(Outcome::Llm(Completion {
                            tool_calls: calls
                                .into_iter()
                                .map(|(name, slots)| ToolCall { name: name.to_owned(), arguments: slots.to_string() })
                                .collect(),
                            ..Completion::default()
                        })),
                        Answer::Streams(pieces) => {
                            self.stream(&mut turn, &issued, &pieces, &mut played.shown);
                            Ok(Outcome::Llm(Completion { content: pieces.concat(), ..Completion::default() }))
                        }
                        Answer::Breaks(pieces) => {
                            self.stream(&mut turn, &issued, &pieces, &mut played.shown);
                            Err(EffectError::new(FailureKind::Transient, "the stream was cut"))
                        }
                        Answer::Executes(text) => Ok(Outcome::Executed { text: text.to_owned(), metadata: serde_json::Map::new() }),
                    };
                    turn.handle(&self.bot, Input::Outcome { id, attempt, result }, self.now).unwrap();
                }
                TurnStep::Emit(fragment) => played.shown.push(fragment),
                TurnStep::Abort(_) => {}
                TurnStep::Commit(commit) => {
                    played.events.extend(commit.events.iter().cloned());
                    let head = self.tracker.head;
                    let finished = commit.then == Then::Finish;
                    played.commits.push(commit);
                    turn.handle(&self.bot, Input::Committed { head }, self.now).unwrap();
                    assert!(finished || played.events.is_empty(), "events come with the finish");
                }
                TurnStep::Wait { until } => {
                    self.now = until.expect("something to wait for");
                    turn.handle(&self.bot, Input::Tick, self.now).unwrap();
                }
                TurnStep::Park { .. } => {}
                TurnStep::Done(report) => {
                    played.report = report;
                    break;
                }
            }
        }
        assert!(script.is_empty(), "{} answers were not asked for", script.len());
        played.took = self.now.since(began);
        self.tracker = turn.into_tracker();
        self.events.extend(played.events.clone());
        played
    }
}

/// A weather bot: a form of two slots, a form that acts, a rule, an utterance under its own name.
pub(super) fn weather(change: impl FnOnce(&mut BotSource)) -> Bot {
    let mut source = BotSource {
        llms: vec![llm("main", Some("spare")), llm("spare", None)],
        rules: vec![rule("agent please", "Ping"), rule("hello", "Greet")],
        ..source(vec![
            action("Greet", ActionKind::Utterance),
            form("Weather", &["city", "day"], Some(Safety::ReadOnly)),
            form("Book", &["city"], Some(Safety::AtMostOnce)),
            form("Ping", &[], Some(Safety::ReadOnly)),
            form("Note", &["city"], None),
        ])
    };
    source.settings.max_proxy_step = 2;
    source.settings.fallback = "Sorry, please try again.".to_owned();
    change(&mut source);
    Bot::compile(source)
}

pub(super) fn rule(text: &str, action: &str) -> Dialogue {
    let step = |name: &str, result: Expected| DialogueStep { name: name.to_owned(), thought: None, result };
    let steps = vec![step(USER_UTTER, Expected::OneOf(vec![text.to_owned()])), step(action, Expected::Any)];
    Dialogue { title: format!("say {text}"), during_form: true, steps }
}

fn form(name: &str, slots: &[&str], safety: Option<Safety>) -> Action {
    let kind = ExecutorKind::Mock(MockCall { text: None });
    let executor = safety.map(|safety| Executor { kind, output: Vec::new(), timeout_ms: None, safety });
    action(name, ActionKind::Form(Form { slots: slots.iter().map(|name| slot(name)).collect(), executor }))
}

fn llm(name: &str, fallback: Option<&str>) -> Llm {
    Llm {
        name: name.to_owned(),
        kind: LlmKind::OpenAi,
        model: "m".to_owned(),
        key: None,
        apibase: "http://localhost".to_owned(),
        extra: serde_json::Map::new(),
        timeout_ms: None,
        attempts: 2,
        retry_delay_ms: 1000,
        max_concurrent: None,
        rate_limit: None,
        fallback: fallback.map(str::to_owned),
    }
}
